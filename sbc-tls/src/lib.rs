//! TLS over TCP, in both directions: certificates, whom to trust, handshakes with a deadline.
//!
//! A [`Server`] makes streams of accepted connections, a [`Client`] of those that we opened. Both speak TLS 1.2 and
//! 1.3 only, authenticated encryption and ephemeral keys only (RFC 9325 §4.2), and keep nothing for session
//! resumption: no cache that grows, no ticket key to guard. The crate knows nothing of what is said over a stream.
#![forbid(unsafe_code)]

mod authorities;
mod certificates;
mod client;
mod provider;
mod reason;
mod server;
mod server_name;

pub use authorities::Authorities;
pub use certificates::{CertificateError, CertificateFiles, Certificates};
pub use client::Client;
pub use reason::Failed;
pub use rustls_pki_types::ServerName;
pub use server::{Server, ServerSettings};
pub use server_name::{ServerNameError, ServerNamePattern};
pub use tokio_rustls::TlsStream;
