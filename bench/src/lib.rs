//! The work that is measured: one INVITE read, looked through, edited as a proxy edits it, and written.
//!
//! The same hop stands here twice, on [`sbc_core::wire`] and on rsip, so that both run on the same message in the
//! same process.
#![forbid(unsafe_code)]

mod judging;
mod rsip_hop;
mod sample;
mod wire_hop;

pub use judging::Judging;
pub use rsip_hop::rsip_hop;
pub use sample::{INVITE, hostile_params, hostile_vias, nastiest};
pub use wire_hop::WireHop;

/// The Via that both hops put on top.
const OUR_VIA: &str = "SIP/2.0/UDP 198.51.100.9:5060;rport;branch=z9hG4bKAp3dX0vS8rT2yQ5wK7mL9nB1cZ4h";
/// The Record-Route that both hops insert.
const OUR_RECORD_ROUTE: &str = "<sip:Ap3dX0vS8rT2yQ5wK7mL9nB1@198.51.100.9:5060;lr>";
/// The Contact that both hops put in the place of the caller's.
const OUR_CONTACT: &str = "sip:Ap3dX0vS8rT2yQ5wK7mL9nB1@198.51.100.9:5060";
/// The Request-URI that both hops send the message to.
const TARGET: &str = "sip:+4930123456@192.0.2.77:5080;transport=UDP";
/// The source port that both hops write into the top Via.
const SOURCE_PORT: u16 = 40_112;
