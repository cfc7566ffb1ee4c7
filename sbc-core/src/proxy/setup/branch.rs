//! One attempt downstream, and what is known of it.

use crate::flow::{Flow, Zone};
use crate::gauge::Held;
use crate::hash::Digest;
use crate::pool::{Health, Seat};
use crate::proxy::setup::Waiting;
use crate::proxy::setup::machines::Client;
use crate::proxy::setup::plan::Next;
use crate::proxy::setup::unwanted::Unwanted;
use crate::seal::Peer;
use crate::time::Time;
use crate::transaction::{NonInviteClient, Timers};

/// One attempt downstream.
pub(super) struct Branch {
    /// Hash of its Via branch.
    pub(super) id: Digest,
    pub(super) client: Client,
    pub(super) timers: Timers,
    pub(super) flow: Flow,
    pub(super) zone: Zone,
    /// As tokens name it.
    pub(super) peer: Peer,
    /// Where it is one of a pool.
    pub(super) member: Option<Seat>,
    /// Its place among the calls of that member, until it fails; an answered call takes it along.
    pub(super) call: Option<Held>,
    /// Another member was tried instead.
    pub(super) abandoned: bool,
    /// It answered, or was given up: nothing more is expected for the caller.
    pub(super) over: bool,
    /// The network said that nobody is there.
    pub(super) refused: bool,
    /// It began a dialog: a provisional response above 100 with a To tag.
    pub(super) rang: bool,
    /// Its part of the request's Max-Breadth.
    pub(super) breadth: Option<u32>,
    /// CANCEL it as soon as it says anything provisional.
    pub(super) cancel_wanted: bool,
    pub(super) cancel: Option<NonInviteClient>,
    /// The CANCEL found no INVITE there: it had overtaken it.
    pub(super) cancel_missed: bool,
    /// Its answers that nobody waited for.
    pub(super) unwanted: Vec<Unwanted>,
    /// It was counted against its member that it did not answer.
    pub(super) missed: bool,
    /// It goes by a connection only because it is large; without one it goes by UDP.
    pub(super) falls_back: bool,
    /// So often it was sent again over a new connection.
    pub(super) sent_again: u8,
    /// The directory knows that it owes an answer.
    pub(super) is_remembered: bool,
    /// Its connection closed, and it may return.
    pub(super) lost: Option<Waiting>,
}

impl Branch {
    /// Nothing was answered yet.
    pub(super) fn new(id: Digest, client: Client, timers: Timers, next: &Next) -> Self {
        Self {
            id,
            client,
            timers,
            flow: next.flow,
            zone: next.zone,
            peer: next.peer,
            member: next.member.clone(),
            call: None,
            abandoned: false,
            over: false,
            refused: false,
            rang: false,
            breadth: None,
            cancel_wanted: false,
            cancel: None,
            cancel_missed: false,
            unwanted: Vec::new(),
            missed: false,
            falls_back: false,
            sent_again: 0,
            is_remembered: false,
            lost: None,
        }
    }

    /// Its member answers no probe, and has said no more than 100: whether it still works on the request, nobody knows.
    pub(super) fn is_lost(&self) -> bool {
        let is_dead = |member: &Seat| member.health() == Health::Down && !member.is_in_good_health();
        !self.over && !self.rang && self.member.as_ref().is_some_and(is_dead)
    }

    pub(super) fn is_terminated(&self) -> bool {
        self.client.is_terminated() && self.extras().all(NonInviteClient::is_terminated)
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let extras = self.extras().filter_map(NonInviteClient::deadline);
        let lost = self.lost.map(|lost| lost.until);
        self.client.deadline().into_iter().chain(extras).chain(lost).min()
    }

    /// The requests of our own that go with it.
    pub(super) fn extras(&self) -> impl Iterator<Item = &NonInviteClient> {
        self.cancel.iter().chain(self.unwanted.iter().map(|one| &one.bye))
    }

    pub(super) fn extras_mut(&mut self) -> impl Iterator<Item = &mut NonInviteClient> {
        self.cancel.iter_mut().chain(self.unwanted.iter_mut().map(|one| &mut one.bye))
    }
}
