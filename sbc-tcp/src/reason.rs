//! Why a connection was refused or ended: one word each, for counters and logs.

use sbc_tls::Failed;

/// Why a peer got no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The listener holds as many connections as it may.
    TooManyConnections,
    /// One source holds as many connections as it may.
    TooManyOfSource,
    /// [`Handler::admits`](crate::Handler::admits) said no to the address.
    Source,
    /// A trusted proxy that has to name its client did not do so in time, or not in words we know.
    ProxyHeader,
    /// The TLS handshake was not finished in time.
    TlsTimeout,
    /// The TLS handshake failed.
    TlsFailed,
    /// The peer asked for a server name that is not ours, or for none where names are listed.
    ServerName,
    /// The peer showed no certificate where one is needed.
    NoCertificate,
    /// The peer's certificate is not one that we trust.
    BadCertificate,
}

impl From<Failed> for Refused {
    fn from(why: Failed) -> Self {
        match why {
            Failed::Timeout => Self::TlsTimeout,
            Failed::ServerName => Self::ServerName,
            Failed::NoCertificate => Self::NoCertificate,
            Failed::BadCertificate => Self::BadCertificate,
            Failed::Other => Self::TlsFailed,
        }
    }
}

impl Refused {
    /// How much it speaks against the source, for whoever weighs evidence: 0 for what happens to good peers daily.
    pub const fn evidence(self) -> u8 {
        match self {
            Self::TooManyConnections
            | Self::TooManyOfSource
            | Self::Source
            | Self::ProxyHeader
            | Self::TlsTimeout => 0,
            // A certificate that ran out, a phone that does not know ours.
            Self::TlsFailed | Self::NoCertificate | Self::BadCertificate => 1,
            Self::ServerName => 2,
        }
    }

    /// The word for a counter's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyOfSource => "too_many_of_source",
            Self::Source => "source",
            Self::ProxyHeader => "proxy_header",
            Self::TlsTimeout => "tls_timeout",
            Self::TlsFailed => "tls_failed",
            Self::ServerName => "server_name",
            Self::NoCertificate => "no_certificate",
            Self::BadCertificate => "bad_certificate",
        }
    }
}

/// Why a server that was dialled is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unreached {
    /// It accepted no connection.
    Connect,
    /// It did not accept, or not finish the TLS handshake, in time.
    Timeout,
    /// The TLS handshake failed.
    TlsFailed,
    /// Its certificate is not one that we trust, or is for another name.
    BadCertificate,
    /// Nothing says whom to trust there.
    NoAuthority,
}

impl From<Failed> for Unreached {
    fn from(why: Failed) -> Self {
        match why {
            Failed::Timeout => Self::Timeout,
            Failed::NoCertificate | Failed::BadCertificate => Self::BadCertificate,
            Failed::ServerName | Failed::Other => Self::TlsFailed,
        }
    }
}

impl Unreached {
    /// The word for a counter's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::TlsFailed => "tls_failed",
            Self::BadCertificate => "bad_certificate",
            Self::NoAuthority => "no_authority",
        }
    }
}

/// Why an open connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The peer closed it.
    Peer,
    /// It broke: reset, or no sign of life from the peer's system.
    Lost,
    /// Nothing at all came in time after it was opened.
    Silent,
    /// A message began and did not end in time.
    Unfinished,
    /// Nothing was sent or received for long.
    Idle,
    /// The peer does not read: more waits for it than the egress limits allow, or a write made no way.
    SlowReader,
    /// The stream does not begin with SIP.
    NotSip,
    /// A message without Content-Length (RFC 3261 §18.3).
    NoLength,
    /// A Content-Length that is no number, or two that differ.
    BadLength,
    /// A message larger than `max_message`.
    TooBig,
    /// [`Connections::close`](crate::Connections::close) asked for it.
    Requested,
    /// The worker that ran the connection ended.
    Stopped,
}

impl CloseReason {
    /// How much it speaks against the source, for whoever weighs evidence: 0 for what happens to good clients daily.
    pub const fn evidence(self) -> u8 {
        match self {
            Self::NotSip | Self::NoLength | Self::BadLength | Self::TooBig => 2,
            _ => 0,
        }
    }

    /// The word for a counter's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Lost => "lost",
            Self::Silent => "silent",
            Self::Unfinished => "unfinished",
            Self::Idle => "idle",
            Self::SlowReader => "slow_reader",
            Self::NotSip => "not_sip",
            Self::NoLength => "no_length",
            Self::BadLength => "bad_length",
            Self::TooBig => "too_big",
            Self::Requested => "requested",
            Self::Stopped => "stopped",
        }
    }
}
