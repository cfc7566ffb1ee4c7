//! Why a connection was refused or ended: one word each, for counters and logs.

/// Why a client got no WebSocket connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The listener holds as many connections as it may.
    TooManyConnections,
    /// [`Handler::admits`](crate::Handler::admits) said no to the address.
    Source,
    /// The TLS handshake was not finished in time.
    TlsTimeout,
    /// The TLS handshake failed.
    TlsFailed,
    /// The upgrade request was not complete in time.
    UpgradeTimeout,
    /// The client left before its upgrade was answered.
    Disconnected,
    /// The request's header section is larger than we read.
    HeadTooLarge,
    /// The request breaks HTTP's own rules.
    Malformed,
    /// Another method than GET.
    Method,
    /// A plain HTTP request, as health checks send.
    NotAnUpgrade,
    /// Another WebSocket version than 13.
    Version,
    /// `Sec-WebSocket-Key` is absent or is not 16 bytes in base64.
    Key,
    /// The sub-protocol `sip` is not among those offered.
    SubProtocol,
    /// The page that wants to connect is not one of ours.
    Origin,
    /// A trusted proxy sent an `X-Forwarded-For` whose last element is no address.
    ForwardedFor,
    /// This node takes no new connections any more.
    Draining,
}

impl Refused {
    /// The word for a counter's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooManyConnections => "too_many_connections",
            Self::Source => "source",
            Self::TlsTimeout => "tls_timeout",
            Self::TlsFailed => "tls_failed",
            Self::UpgradeTimeout => "upgrade_timeout",
            Self::Disconnected => "disconnected",
            Self::HeadTooLarge => "head_too_large",
            Self::Malformed => "malformed",
            Self::Method => "method",
            Self::NotAnUpgrade => "not_an_upgrade",
            Self::Version => "version",
            Self::Key => "key",
            Self::SubProtocol => "sub_protocol",
            Self::Origin => "origin",
            Self::ForwardedFor => "forwarded_for",
            Self::Draining => "draining",
        }
    }
}

/// Why an open connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client closed it.
    Peer {
        /// The status of its close frame (RFC 6455 §7.4); `None` when it gave none.
        code: Option<u16>,
    },
    /// The socket ended without a close frame: network change, sleeping laptop, killed browser.
    Lost,
    /// Nothing came within `pong_timeout` after a ping.
    PingTimeout,
    /// The client does not read: more waits for it than the egress limits allow, or a write made no way.
    SlowReader,
    /// A frame broke RFC 6455: no mask, reserved bits, a fragment out of place.
    Protocol,
    /// A text message was not UTF-8.
    NotUtf8,
    /// A message was larger than `max_message`.
    TooBig,
    /// [`Connections::close`](crate::Connections::close) asked for it.
    Requested,
    /// The worker that ran the connection ended.
    Stopped,
}

impl CloseReason {
    /// The word for a counter's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Peer { .. } => "peer",
            Self::Lost => "lost",
            Self::PingTimeout => "ping_timeout",
            Self::SlowReader => "slow_reader",
            Self::Protocol => "protocol",
            Self::NotUtf8 => "not_utf8",
            Self::TooBig => "too_big",
            Self::Requested => "requested",
            Self::Stopped => "stopped",
        }
    }
}
