//! Why a connection was refused or ended: one word each, for counters and logs.

/// Why a client got no WebSocket connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The listener holds as many connections as it may.
    TooManyConnections,
    /// The source holds as many connections as one may.
    TooManyFromSource,
    /// [`Handler::admits`](crate::Handler::admits) said no to the address.
    Source,
    /// A trusted proxy that has to name its client did not do so in time, or not in words we know.
    ProxyHeader,
    /// The TLS handshake was not finished in time.
    TlsTimeout,
    /// The TLS handshake failed.
    TlsFailed,
    /// The client asked for a server name that is not ours, or for none where names are listed.
    ServerName,
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
    /// Another path than the listener's.
    Path,
    /// Another WebSocket version than 13.
    Version,
    /// `Sec-WebSocket-Key` is absent or is not 16 bytes in base64.
    Key,
    /// The sub-protocol `sip` is not among those offered.
    SubProtocol,
    /// The page that wants to connect is not one of ours.
    Origin,
    /// The request brings no ticket where one is needed.
    NoTicket,
    /// The ticket is good no more, or not yet.
    TicketOutOfTime,
    /// The ticket is forged, for others, too large, or one of several.
    BadTicket,
    /// A trusted proxy sent an `X-Forwarded-For` whose last element is no address.
    ForwardedFor,
    /// This node takes no new connections any more.
    Draining,
}

impl From<sbc_tls::Failed> for Refused {
    fn from(why: sbc_tls::Failed) -> Self {
        use sbc_tls::Failed;
        match why {
            Failed::Timeout => Self::TlsTimeout,
            Failed::ServerName => Self::ServerName,
            // Browsers are asked for no certificate.
            Failed::NoCertificate | Failed::BadCertificate | Failed::Other => Self::TlsFailed,
        }
    }
}

impl Refused {
    /// The word for a counter's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyFromSource => "too_many_from_source",
            Self::Source => "source",
            Self::ProxyHeader => "proxy_header",
            Self::TlsTimeout => "tls_timeout",
            Self::TlsFailed => "tls_failed",
            Self::ServerName => "server_name",
            Self::UpgradeTimeout => "upgrade_timeout",
            Self::Disconnected => "disconnected",
            Self::HeadTooLarge => "head_too_large",
            Self::Malformed => "malformed",
            Self::Method => "method",
            Self::NotAnUpgrade => "not_an_upgrade",
            Self::Path => "path",
            Self::Version => "version",
            Self::Key => "key",
            Self::SubProtocol => "sub_protocol",
            Self::Origin => "origin",
            Self::NoTicket => "no_ticket",
            Self::TicketOutOfTime => "ticket_out_of_time",
            Self::BadTicket => "bad_ticket",
            Self::ForwardedFor => "forwarded_for",
            Self::Draining => "draining",
        }
    }

    /// How much it speaks against the source, for whoever weighs evidence: 0 for what happens to good clients and
    /// health checks daily, 3 for what only scanners do.
    pub const fn evidence(self) -> u8 {
        match self {
            Self::TooManyConnections
            | Self::Source
            | Self::ProxyHeader
            | Self::Disconnected
            | Self::NotAnUpgrade
            | Self::ForwardedFor
            | Self::TicketOutOfTime
            | Self::Draining
            // A network that lost the rest of the handshake, an office with many tabs.
            | Self::TooManyFromSource
            | Self::UpgradeTimeout
            | Self::TlsTimeout => 0,
            // A page of a neighbour, an old bookmark, a browser that does not know our certificate.
            Self::Path | Self::Origin | Self::NoTicket | Self::TlsFailed => 1,
            Self::HeadTooLarge
            | Self::Malformed
            | Self::Method
            | Self::Version
            | Self::Key
            | Self::SubProtocol
            | Self::ServerName => 2,
            Self::BadTicket => 3,
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
    /// No message came within `first_message_deadline`.
    NoMessage,
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
            Self::NoMessage => "no_message",
            Self::SlowReader => "slow_reader",
            Self::Protocol => "protocol",
            Self::NotUtf8 => "not_utf8",
            Self::TooBig => "too_big",
            Self::Requested => "requested",
            Self::Stopped => "stopped",
        }
    }

    /// How much it speaks against the source, as [`Refused::evidence`]. Networks that change and pages that close end
    /// good connections all day.
    pub const fn evidence(self) -> u8 {
        match self {
            Self::Peer { .. }
            | Self::Lost
            | Self::PingTimeout
            | Self::Requested
            | Self::Stopped
            | Self::NoMessage
            | Self::SlowReader => 0,
            Self::Protocol | Self::NotUtf8 | Self::TooBig => 2,
        }
    }
}
