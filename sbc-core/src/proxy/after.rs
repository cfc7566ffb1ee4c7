//! One step of one entry, and what it leaves to be done once the entry is no longer locked.

use crate::count::Count;
use crate::flow::Flow;
use crate::hash::Digest;
use crate::limits;
use crate::proxy::core::Core;
use crate::proxy::setup::{Setup, Step};
use crate::proxy::turn::Turn;
use crate::proxy::worker::{After, Timer};
use crate::registration::{Binding, Lookup, Registration, Remembered};
use crate::seal::BindingId;
use crate::transaction::EntryId;

impl Core {
    /// One locked step of one entry, then what it left for the tables.
    pub(crate) fn step<R>(
        &self,
        turn: &mut Turn<'_>,
        id: EntryId,
        run: impl FnOnce(&mut Setup, &mut Step<'_>) -> R,
    ) -> Option<R> {
        let result = {
            let mut entry = self.entries.get_mut(&id.0)?;
            run(&mut entry, &mut Step::of(self, turn, id))
        };
        self.after(turn, id);
        Some(result)
    }

    /// Do what a step left to be done.
    pub(crate) fn after(&self, turn: &mut Turn<'_>, id: EntryId) {
        let mut after = std::mem::take(&mut turn.worker.after);
        for what in after.drain(..) {
            match what {
                After::Link(branch) => {
                    self.branches.insert(branch, id);
                }
                After::Unlink(branch) => {
                    self.branches.remove(&branch);
                }
                After::Unmerge(key) => {
                    self.merges.remove_if(&key, |_, owner| *owner == id);
                }
                After::Remove => {
                    let left = self.entries.remove(&id.0);
                    left.into_iter().for_each(|(_, setup)| turn.worker.entries.give(setup));
                }
                After::Registered { id, binding } => self.registered(turn, id, &binding),
                After::Unregistered { id, order } => self.unregistered(turn, id, order),
                After::Answered { key, call } => {
                    if self.dialogs.answered(key, call, turn.now) {
                        self.counters.add(Count::Answered);
                    }
                    self.watch_dialogs(turn);
                }
                After::Hold { key, permits } => self.dialogs.hold(key, permits),
                After::Heard { key, member, flow } => {
                    let has_moved = self.dialogs.heard(key, member, flow, turn.now);
                    self.watch_dialogs(turn);
                    if has_moved {
                        self.wake(turn, key.0, flow);
                    }
                }
                After::Taken { key, member, peer, target, hold, farewell } => {
                    if self.dialogs.taken(key, member, (peer, &target), hold, farewell, turn.now) {
                        tracing::info!(%member, "the member has taken over a dialog");
                    }
                    self.watch_dialogs(turn);
                }
                After::Refreshed { key, farewell } => self.dialogs.refreshed(key, farewell),
                After::Retargeted { key, target } => self.dialogs.retarget(key, target),
                After::Lost { key, tag } => self.release_lost(turn, key, tag),
                After::Ended(key) => {
                    if self.dialogs.over(key, turn.now) {
                        self.counters.add(Count::Ended);
                    }
                }
                After::Closed(connection) => {
                    self.step(turn, id, |setup, step| setup.on_closed(connection, true, step));
                }
                After::StopWaiting(key) => self.directory.stop_waiting(key, id),
            }
        }
        // Steps that were woken above have left their own list behind.
        if turn.worker.after.is_empty() {
            turn.worker.after = after;
        }
    }

    fn registered(&self, turn: &mut Turn<'_>, id: BindingId, binding: &Binding) {
        let registration = Registration {
            id,
            aor: binding.aor,
            name: &binding.name,
            flow: binding.flow,
            path: binding.path,
            contact: &binding.contact,
            member: binding.member,
            q: binding.q,
            expires: binding.expires,
            order: binding.order,
        };
        let remembered = self.directory.registered(&registration, turn.now);
        if let Remembered::New { generation } = remembered {
            turn.worker.wheel.schedule(binding.expires, Timer::Binding(id, generation));
        }
        let (Remembered::New { .. } | Remembered::Again { .. }, Lookup::Live { flow, .. }) =
            (remembered, self.directory.lookup(id))
        else {
            return;
        };
        self.wake(turn, id.0, flow);
        // The way it has left may be dead long before anybody notices.
        if let Remembered::Again { before: Some(before) } = remembered
            && before.connection.is_some()
        {
            for waiting in self.directory.unanswered(&before) {
                self.step(turn, waiting, |setup, step| setup.on_moved(id, before, flow, step));
            }
        }
    }

    fn unregistered(&self, turn: &mut Turn<'_>, id: BindingId, order: u64) {
        let until = turn.now + turn.settings.config.timers.t1.saturating_mul(64);
        self.directory.unregistered(id, order, until);
        turn.worker.wheel.schedule(until, Timer::Left(id));
    }

    /// A binding or dialog is back at `flow`: requests that waited for it go on.
    fn wake(&self, turn: &mut Turn<'_>, key: Digest, flow: Flow) {
        for waiting in self.directory.wake(key) {
            self.step(turn, waiting, |setup, step| setup.resume(key, flow, step));
        }
    }

    /// As long as dialogs are known, their table is swept.
    fn watch_dialogs(&self, turn: &mut Turn<'_>) {
        if self.dialogs.begin_sweeping() {
            turn.worker.wheel.schedule(turn.now + limits::SWEEP_EVERY, Timer::SweepDialogs);
        }
    }

    pub(super) fn sweep_dialogs(&self, turn: &mut Turn<'_>) {
        if self.dialogs.sweep(turn.settings.config.timers.call, turn.now) {
            turn.worker.wheel.schedule(turn.now + limits::SWEEP_EVERY, Timer::SweepDialogs);
        }
    }
}
