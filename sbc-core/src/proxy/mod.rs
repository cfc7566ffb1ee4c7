//! The proxy: the ten steps of a message, and everything that is rewritten on the way (RFC 3261 §16).

mod acknowledge;
mod after;
mod bindings;
mod cancelling;
mod contact;
mod core;
mod credentials;
mod description;
mod forward;
mod hiding;
mod hop;
mod identity;
mod incoming;
mod members;
mod outgoing;
mod passing;
mod policy;
mod probing;
mod reach;
mod reconfigure;
mod refer;
mod reply;
mod request;
mod response;
mod route;
mod settings;
mod setup;
mod status;
mod turn;
mod via;
mod warning;
mod worker;

pub use core::Core;
pub use reconfigure::{Change, NeedsRestart, Refused};
pub use status::{MemberStatus, NoSuchMember, PoolStatus, Status};
pub use worker::Worker;
