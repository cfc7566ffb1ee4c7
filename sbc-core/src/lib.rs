//! Signalling as a value: whole calls run through [`Core::handle`] on virtual time.
//!
//! This crate has no socket, clock, task, file or environment variable. It is told what happened and when,
//! and says what to send. Whoever drives it does so from several threads with one `Core` and one `Worker` each.
#![forbid(unsafe_code)]

pub mod admission;
pub mod config;
pub mod count;
pub mod dialog;
pub mod flow;
pub mod gauge;
pub mod hash;
pub mod io;
pub mod limiting;
pub mod limits;
pub mod lock;
pub mod pool;
mod proxy;
pub mod rate;
pub mod registration;
pub mod seal;
pub mod sip;
pub mod table;
pub mod tally;
pub mod time;
pub mod transaction;
pub mod wire;

pub use proxy::{
    Account, Change, Checked, Core, Leaving, Load, MemberStatus, NeedsRestart, NoSuchMember, PoolStatus,
    Refused, Rehearsal, Ruling, Status, Unreadable, Worker,
};
