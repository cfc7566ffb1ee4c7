//! SIP over WebSocket (RFC 7118): TLS, the HTTP upgrade, frames, pings and bounded queues.
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

mod certificates;
mod client_address;
mod connections;
mod egress;
#[cfg(fuzzing)]
pub mod fuzzing;
mod guest;
mod handler;
mod handshake;
mod http;
mod listener;
mod liveness;
mod open;
mod origin;
mod proxy_header;
mod reason;
mod server_name;
mod session;
mod settings;
mod sources;
mod ticket;
mod upgrade;

pub use certificates::{CertificateError, CertificateFiles, Certificates};
pub use connections::Connections;
pub use egress::SendError;
pub use handler::Handler;
pub use listener::{Listener, bind, serve};
pub use origin::{OriginError, OriginPattern};
pub use reason::{CloseReason, Refused};
pub use server_name::{ServerNameError, ServerNamePattern};
pub use settings::{ClientAddress, EgressLimits, Settings};
pub use ticket::{Ticket, TicketAlgorithm, TicketKeyError, TicketPlace, TicketRules, Tickets};
