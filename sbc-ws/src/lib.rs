//! SIP over WebSocket (RFC 7118): the HTTP upgrade, over TLS or not, frames, pings and bounded queues.
//!
//! A worker binds a socket with [`bind`], shares one [`Listener`] with the other workers and runs [`serve`] on its
//! own `LocalSet`. Every SIP message is one WebSocket message: what comes in goes to the worker's [`Handler`], what
//! goes out is handed to [`Connections::send`] from any thread.
//!
//! Promises: one task owns a connection and frees all of it when it ends; [`Handler::closed`] follows every
//! [`Handler::opened`] exactly once; no client, however slow or hostile, blocks a worker or makes it hold more than
//! the [`Settings`] name. The crate never reads a SIP message, never routes, and negotiates no extension
//! (permessage-deflate would cost each connection a compression window and gains little on a few SIP messages).
#![forbid(unsafe_code)]

mod client_address;
#[cfg(fuzzing)]
pub mod fuzzing;
mod guest;
mod handler;
mod http;
mod listener;
mod liveness;
mod open;
mod origin;
mod reason;
mod session;
mod settings;
mod ticket;
mod upgrade;

use sbc_tcp::{connections, egress, sources};

pub use handler::Handler;
pub use listener::{Listener, serve};
pub use origin::{OriginError, OriginPattern};
pub use reason::{CloseReason, Refused};
pub use sbc_tcp::{Connections, EgressLimits, SendError, bind};
pub use settings::{ClientAddress, Settings};
pub use ticket::{Ticket, TicketAlgorithm, TicketKeyError, TicketPlace, TicketRules, Tickets};
