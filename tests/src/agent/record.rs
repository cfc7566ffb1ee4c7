//! What an agent remembers.

use std::net::SocketAddr;

use sbc_core::time::Time;

use super::refer::Referral;
use crate::ua::LegId;
use crate::ua::message::Message;
use crate::ua::sdp::{Kind, Media};

/// Who ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// This agent hung up, cancelled or refused.
    Us,
    /// The other side hung up, cancelled or refused.
    Them,
    /// Nobody answered.
    Silence,
}

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No such call.
    Idle,
    /// INVITE sent; or received and nothing said yet.
    Calling,
    /// 18x passed.
    Ringing,
    /// Answered.
    Up,
    /// Over.
    Ended {
        /// Who ended it.
        by: By,
        /// Final status of the INVITE; 200 after a BYE.
        status: u16,
    },
}

/// One call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The other side called.
    pub inbound: bool,
    /// Its Call-ID.
    pub call_id: String,
    /// How far it is.
    pub state: State,
    /// Inbound: the ACK of our 200 has come.
    pub confirmed: bool,
    /// Provisional statuses seen, 100 excluded.
    pub progress: Vec<u16>,
    /// Final statuses of our own requests inside the call, in the order they came. 408 stands for silence.
    pub replies: Vec<(String, u16)>,
    /// Requests inside the call that the other side sent, retransmissions excluded.
    pub requests: Vec<String>,
    /// Statuses that NOTIFYs about a REFER of ours told.
    pub transfer: Vec<u16>,
    /// The first INVITE of an inbound call; the 2xx of an outbound one.
    pub first: Option<Message>,
    pub(super) media: Media,
    pub(super) kind: Kind,
    /// We gave it up before it was answered.
    pub(super) cancelled: bool,
    /// The call whose other side asked for this one by REFER.
    pub(super) referrer: Option<LegId>,
    pub(super) referral: Referral,
}

impl Call {
    pub(super) fn new(inbound: bool, call_id: String, media: Media, kind: Kind) -> Self {
        Self {
            inbound,
            call_id,
            state: State::Calling,
            confirmed: false,
            progress: Vec::new(),
            replies: Vec::new(),
            requests: Vec::new(),
            transfer: Vec::new(),
            first: None,
            media,
            kind,
            cancelled: false,
            referrer: None,
            referral: Referral::default(),
        }
    }

    pub(super) fn progress(&mut self, status: u16) {
        self.progress.push(status);
        if self.state == State::Calling {
            self.state = State::Ringing;
        }
    }

    /// The last status that a request of this method got.
    pub fn reply(&self, method: &str) -> Option<u16> {
        self.replies.iter().rev().find(|(own, _)| own == method).map(|(_, status)| *status)
    }
}

/// One message that passed.
#[derive(Debug, Clone)]
pub struct Traced {
    /// When.
    pub at: Time,
    /// True for one that the agent sent.
    pub sent: bool,
    /// The other end.
    pub peer: SocketAddr,
    /// The message.
    pub message: Message,
}

/// How the registration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Registered {
    /// Never, or not any more.
    #[default]
    No,
    /// A REGISTER is on its way.
    Asking,
    /// For so many seconds.
    Yes(u64),
    /// The last REGISTER failed with this status; 408 stands for silence.
    Refused(u16),
}
