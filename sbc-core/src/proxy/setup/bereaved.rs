//! A member is dead for good: what rings for it or at it ends, for nobody will say another word about it.

use std::net::SocketAddr;

use crate::flow::Zone;
use crate::proxy::farewell::Cause;
use crate::proxy::setup::{Branch, Setup, Step};
use crate::sip::Method;

impl Setup {
    /// Whether it is an INVITE without a final answer that this member sent, or has.
    pub(crate) fn rings_at(&self, member: SocketAddr) -> bool {
        let is_open = self.method == Some(Method::Invite) && !self.has_final() && !self.cancelled;
        is_open && (self.is_of(member) || self.branches.iter().any(|branch| is_open_at(branch, member)))
    }

    /// That member is dead. Whom it called is cancelled; who called it gets an answer, or another target is tried where
    /// the member had not begun a dialog.
    pub(crate) fn on_member_dead(&mut self, member: SocketAddr, step: &mut Step<'_>) {
        if self.is_of(member) {
            self.on_cancel(Some(Cause::Gone.reason()), step);
        } else {
            self.lose(|branch| is_open_at(branch, member), step);
        }
    }

    fn is_of(&self, member: SocketAddr) -> bool {
        self.upstream.zone == Zone::Pool && self.upstream.address() == member
    }
}

fn is_open_at(branch: &Branch, member: SocketAddr) -> bool {
    branch.zone == Zone::Pool && branch.flow.remote == member && !branch.over && !branch.client.has_final()
}
