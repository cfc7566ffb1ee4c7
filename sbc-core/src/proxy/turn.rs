//! One input at work: what every step that it leads to may use.

use crate::admission::Knock;
use crate::proxy::identity::NewFrom;
use crate::proxy::incoming::Incoming;
use crate::proxy::route::Consumed;
use crate::proxy::settings::Settings;
use crate::proxy::worker::Worker;
use crate::time::Time;
use crate::transaction::EntryId;

/// Whose turn it is, when, and under which configuration.
pub(crate) struct Turn<'a> {
    pub(crate) worker: &'a mut Worker,
    pub(crate) now: Time,
    pub(crate) settings: &'a Settings,
    /// The message from the public zone that is at work; nobody else is limited.
    pub(crate) knock: Option<Knock>,
}

/// A request on its way through the steps.
pub(crate) struct Asked<'a> {
    pub(crate) incoming: Incoming<'a>,
    /// Its server transaction.
    pub(crate) id: EntryId,
    /// What its own Route values on top said.
    pub(crate) top: Consumed,
    /// The caller's own name, where From gives another.
    pub(crate) new_from: NewFrom,
    /// It came before: limits and counts have had it.
    pub(crate) was_counted: bool,
}
