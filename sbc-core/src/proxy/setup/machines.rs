//! The machines of one entry: of INVITE, or of any other request (RFC 3261 §17).

use crate::time::Time;
use crate::transaction::{
    Ack, ClientResponse, ClientTimer, InviteClient, InviteServer, NonInviteClient, NonInviteServer,
    ServerTimer, Timers,
};

/// The server side.
pub(super) enum Server {
    Invite(InviteServer),
    Other(NonInviteServer),
}

/// A client side.
pub(super) enum Client {
    Invite(InviteClient),
    Other(NonInviteClient),
}

impl Server {
    pub(super) fn new(is_invite: bool) -> Self {
        if is_invite { Self::Invite(InviteServer::new()) } else { Self::Other(NonInviteServer::new()) }
    }

    /// What to send again.
    pub(super) fn on_retransmission(&self) -> Option<&[u8]> {
        match self {
            Self::Invite(server) => server.on_retransmission(),
            Self::Other(server) => server.on_retransmission(),
        }
    }

    pub(super) fn on_ack(&mut self, now: Time, timers: &Timers) -> Ack {
        match self {
            Self::Invite(server) => server.on_ack(now, timers),
            Self::Other(_) => Ack::Unexpected,
        }
    }

    /// False where it comes too late to be sent.
    pub(super) fn on_provisional(&mut self, bytes: Vec<u8>) -> bool {
        match self {
            Self::Invite(server) => server.on_provisional(bytes),
            Self::Other(server) => server.on_provisional(bytes),
        }
    }

    /// A final answer that is kept for repetitions: any but the 2xx to INVITE.
    pub(super) fn on_final(&mut self, now: Time, timers: &Timers, bytes: Vec<u8>) -> bool {
        match self {
            Self::Invite(server) => server.on_failure(now, timers, bytes),
            Self::Other(server) => server.on_final(now, timers, bytes),
        }
    }

    pub(super) fn on_timer(&mut self, now: Time, timers: &Timers) -> ServerTimer<'_> {
        match self {
            Self::Invite(server) => server.on_timer(now, timers),
            Self::Other(server) => server.on_timer(now),
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        match self {
            Self::Invite(server) => server.deadline(),
            Self::Other(server) => server.deadline(),
        }
    }

    pub(super) fn has_final(&self) -> bool {
        match self {
            Self::Invite(server) => server.has_final(),
            Self::Other(server) => server.has_final(),
        }
    }

    /// A final response other than 2xx is out.
    pub(super) fn has_failed(&self) -> bool {
        match self {
            Self::Invite(server) => server.has_failed(),
            Self::Other(server) => server.has_final(),
        }
    }

    pub(super) fn is_terminated(&self) -> bool {
        match self {
            Self::Invite(server) => server.is_terminated(),
            Self::Other(server) => server.is_terminated(),
        }
    }

    pub(super) fn take_buffers(&mut self, give: &mut impl FnMut(Vec<u8>)) {
        match self {
            Self::Invite(server) => server.take_buffers(give),
            Self::Other(server) => server.take_buffers(give),
        }
    }
}

impl Client {
    /// A request that was just sent.
    pub(super) fn new(is_invite: bool, now: Time, timers: &Timers, request: Vec<u8>) -> Self {
        if is_invite {
            Self::Invite(InviteClient::new(now, timers, request))
        } else {
            Self::Other(NonInviteClient::new(now, timers, request))
        }
    }

    /// An INVITE that was answered provisionally.
    pub(super) fn proceeding(now: Time, timers: &Timers, request: Vec<u8>) -> Self {
        Self::Invite(InviteClient::proceeding(now, timers, request))
    }

    pub(super) const fn is_invite(&self) -> bool {
        matches!(self, Self::Invite(_))
    }

    pub(super) fn request(&self) -> Option<&[u8]> {
        match self {
            Self::Invite(client) => client.request(),
            Self::Other(client) => client.request(),
        }
    }

    pub(super) fn on_response(&mut self, now: Time, timers: &Timers, status: u16) -> ClientResponse {
        match self {
            Self::Invite(client) => client.on_response(now, timers, status),
            Self::Other(client) => client.on_response(now, timers, status),
        }
    }

    pub(super) fn on_timer(&mut self, now: Time, timers: &Timers) -> ClientTimer<'_> {
        match self {
            Self::Invite(client) => client.on_timer(now, timers),
            Self::Other(client) => client.on_timer(now, timers),
        }
    }

    pub(super) fn stop_retransmitting(&mut self) {
        match self {
            Self::Invite(client) => client.stop_retransmitting(),
            Self::Other(client) => client.stop_retransmitting(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        match self {
            Self::Invite(client) => client.deadline(),
            Self::Other(client) => client.deadline(),
        }
    }

    pub(super) fn has_provisional(&self) -> bool {
        match self {
            Self::Invite(client) => client.has_provisional(),
            Self::Other(client) => client.has_provisional(),
        }
    }

    pub(super) fn has_final(&self) -> bool {
        match self {
            Self::Invite(client) => client.has_final(),
            Self::Other(client) => client.has_final(),
        }
    }

    pub(super) fn is_terminated(&self) -> bool {
        match self {
            Self::Invite(client) => client.is_terminated(),
            Self::Other(client) => client.is_terminated(),
        }
    }

    pub(super) fn take_buffers(&mut self, give: &mut impl FnMut(Vec<u8>)) {
        match self {
            Self::Invite(client) => client.take_buffers(give),
            Self::Other(client) => client.take_buffers(give),
        }
    }
}
