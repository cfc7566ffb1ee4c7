//! The transactions of RFC 3261 §17 with the Accepted states of RFC 6026.
//!
//! Four machines, one file each, to be read next to the diagram that it follows. A machine is told what arrived,
//! what the transaction user (TU) sends and what time it is; it says what to repeat and when it is over. It never
//! reads a message, finds an address or sends anything. [`Wheel`] wakes whoever owns many of them.

pub mod invite_client;
pub mod invite_server;
pub mod key;
pub mod non_invite_client;
pub mod non_invite_server;
pub mod timers;
pub mod wheel;

pub use invite_client::{ClientResponse, ClientTimer, InviteClient};
pub use invite_server::{Ack, InviteServer, ServerTimer};
pub use key::EntryId;
pub use non_invite_client::NonInviteClient;
pub use non_invite_server::NonInviteServer;
pub use timers::Timers;
pub use wheel::Wheel;
