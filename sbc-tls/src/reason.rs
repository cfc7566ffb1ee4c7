//! Why there is no TLS with a peer: one word each, for whoever counts and logs.

use std::io;

/// Why a handshake came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failed {
    /// It was not finished in time.
    Timeout,
    /// The peer asked for a name that is not ours, or for none where names are listed.
    ServerName,
    /// The peer showed no certificate where one is needed.
    NoCertificate,
    /// The peer's certificate is not one that we trust, or is for another name.
    BadCertificate,
    /// Anything else: no common version or cipher, no TLS at all, a connection that broke.
    Other,
}

impl Failed {
    /// What the error of a handshake says.
    pub(crate) fn of(error: &io::Error) -> Self {
        let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        match of_tls {
            Some(rustls::Error::NoCertificatesPresented) => Self::NoCertificate,
            Some(rustls::Error::InvalidCertificate(_)) => Self::BadCertificate,
            _ => Self::Other,
        }
    }
}
