//! SIP over TCP and TLS (RFC 3261 §18): connections in and out, framing by Content-Length, bounded queues.
//!
//! A worker binds a socket with [`bind`], shares one [`Listener`] with the other workers and runs [`serve`] on its
//! own `LocalSet`; what it sends to addresses of servers goes through a [`Dialer`], which keeps one connection to
//! each. Every message that comes in goes to the worker's [`Handler`]; answers are handed to [`Connections::send`]
//! from any thread.
//!
//! Promises: one task owns a connection and frees all of it when it ends; [`Handler::closed`] follows every
//! [`Handler::opened`] exactly once; no peer, however slow or hostile, blocks a worker or makes it hold more than
//! the [`Settings`] name; a stream whose framing is lost is closed, never searched for the next message. The crate
//! reads no more of SIP than the first line's shape and Content-Length.
#![forbid(unsafe_code)]

mod accept;
pub mod address;
pub mod connections;
mod dialer;
pub mod egress;
mod framer;
mod guest;
mod handler;
mod listener;
mod open;
pub mod proxy_header;
mod reason;
mod session;
mod settings;
pub mod sources;

pub use accept::{accept_each, bind};
pub use connections::Connections;
pub use dialer::{Dialer, Unreachable};
pub use egress::{EgressLimits, SendError};
pub use framer::{Frame, Framer};
pub use handler::{Handler, Link};
pub use listener::{Listener, serve};
pub use reason::{CloseReason, Refused, Unreached};
pub use settings::{Settings, Tls};
