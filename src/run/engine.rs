//! What a worker drives: the core, seen as inputs, an outbox and a deadline.
//!
//! The seam lets the tests of the workers run without SIP.

use sbc_core::flow::WorkerId;
use sbc_core::io::{Input, Outbox};
use sbc_core::time::Time;

use crate::admin::Report;

/// Signalling that several workers share.
pub(crate) trait Engine: Send + Sync + 'static {
    /// What belongs to one worker: its outbox and its timers.
    type Worker;

    /// Makes a worker's part.
    fn worker(&self, id: WorkerId, now: Time) -> Self::Worker;
    /// Takes one input; what to do about it is added to the worker's outbox.
    fn handle(&self, worker: &mut Self::Worker, now: Time, input: Input<'_>);
    /// A worker's outbox.
    fn outbox(worker: &mut Self::Worker) -> &mut Outbox;
    /// When the worker wants [`Input::Deadline`].
    fn next_deadline(&self, worker: &Self::Worker) -> Option<Time>;
    /// What the admin API tells.
    fn report(&self, now: Time) -> Report;
}
