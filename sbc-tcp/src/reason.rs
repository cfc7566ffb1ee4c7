//! Why a connection was refused or ended: one word each, for counters and logs.

/// Why a peer got no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The listener holds as many connections as it may.
    TooManyConnections,
    /// One source holds as many connections as it may.
    TooManyOfSource,
    /// [`Handler::admits`](crate::Handler::admits) said no to the address.
    Source,
}

impl Refused {
    /// The word for a counter's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyOfSource => "too_many_of_source",
            Self::Source => "source",
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
