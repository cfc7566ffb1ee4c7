//! What a worker that is behind turns away: which class a request is in, the answer it gets, and what is shown of it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::admission::{Class, WHOLE};
use crate::config::Listener;
use crate::flow::{ListenerId, Transport, WorkerId, Zone};
use crate::io::{Backlog, Sieve};
use crate::limits;
use crate::proxy::core::Core;
use crate::proxy::hop::Answer;
use crate::proxy::incoming::Incoming;
use crate::proxy::turn::{Asked, Turn};
use crate::sip::Method;

impl Core {
    pub(super) fn taken(&self, turn: &mut Turn<'_>, backlog: &Backlog) {
        let limits = turn.settings.config.overload.as_ref();
        turn.worker.overload.taken(limits, backlog, turn.now);
        self.loads.show(turn);
    }

    pub(super) fn busy(&self, turn: &mut Turn<'_>, percent: u8) {
        let limits = turn.settings.config.overload.as_ref();
        turn.worker.overload.busy(limits, percent, turn.now);
        self.loads.show(turn);
    }

    /// True for a request that is turned away. Nothing is kept of it, and whoever sent it was told when to come back.
    pub(super) fn sheds(&self, turn: &mut Turn<'_>, asked: &Asked<'_>) -> bool {
        let overload = &turn.worker.overload;
        if !overload.is_shedding() && !overload.is_hopeless() {
            return false;
        }
        let Some(class) = self.class(turn, &asked.incoming) else { return false };
        let read = read(turn, class, &asked.incoming);
        let Some(count) = turn.worker.overload.refuses(class, asked.id.0, read) else { return false };
        let retry_after = limits::RETRY_AFTER_SECONDS + lot(asked.id.0, limits::RETRY_JITTER_SECONDS);
        let (retry_after, count) = (Some(retry_after), Some(count));
        self.answer(turn, &asked.incoming, &Answer { status: 503, reason: None, retry_after, count });
        true
    }

    /// `None`: never turned away, because it ends something and so makes room.
    fn class(&self, turn: &Turn<'_>, incoming: &Incoming<'_>) -> Option<Class> {
        if matches!(incoming.method, Some(Method::Ack | Method::Bye | Method::Cancel)) {
            return None;
        }
        if incoming.is_in_dialog() {
            return Some(Class::Dialog);
        }
        let judged = turn.knock.is_some_and(|knock| !knock.is_exempt());
        if judged && !self.gate.is_good(incoming.upstream.source.ip().to_canonical(), turn.now) {
            return Some(Class::Stranger);
        }
        match incoming.method {
            Some(Method::Invite | Method::Message) => Some(Class::Call),
            _ => Some(Class::Registration),
        }
    }
}

impl Core {
    /// Whether the worker's sieve is for a listener: datagrams from outside. A member's requests inside a dialog begin
    /// like others, and nobody could tell them apart.
    pub fn sifts(&self, listener: ListenerId) -> bool {
        self.settings.load().listener(listener).is_some_and(is_sifted)
    }

    /// How the Request-URIs of requests begin that pass any sieve: they lead into dialogs.
    pub fn unsifted(&self) -> Vec<Vec<u8>> {
        self.settings.load().tokens.contact_beginnings()
    }
}

fn is_sifted(listener: &Listener) -> bool {
    listener.transport == Transport::Udp && listener.zone != Zone::Pool
}

/// How many of such requests are read at all.
fn read(turn: &Turn<'_>, class: Class, incoming: &Incoming<'_>) -> u32 {
    let listener = turn.settings.listener(incoming.upstream.flow.listener);
    if class == Class::Dialog || !listener.is_some_and(is_sifted) {
        return WHOLE;
    }
    turn.worker.sieve().passes(incoming.method)
}

/// A number up to `most` that the same request draws again.
const fn lot(id: u128, most: u32) -> u32 {
    (id >> 96) as u32 % (most + 1)
}

/// How far the worst worker is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// How long inputs stand in its queues.
    pub delay: Duration,
    /// What it turns away of each class, in percent.
    pub shed: [u32; Class::ALL.len()],
    /// What it has dropped unread of calls and of others that begin something, in percent.
    pub unread: [u32; 2],
}

impl Load {
    /// What is turned away of a class, in percent.
    pub fn shed_of(&self, class: Class) -> u32 {
        self.shed.get(class as usize).copied().unwrap_or(0)
    }
}

/// What the workers show of their loads.
pub(crate) struct Loads(Vec<Shown>);

/// Each value for itself: nobody needs them of one moment.
#[derive(Default)]
struct Shown {
    delay_micros: AtomicU32,
    shed: [AtomicU32; Class::ALL.len()],
    unread: [AtomicU32; 2],
}

impl Loads {
    pub(crate) fn new(workers: u8) -> Self {
        Self((0..workers).map(|_| Shown::default()).collect())
    }

    /// Show what a worker knows now.
    fn show(&self, turn: &Turn<'_>) {
        let WorkerId(id) = turn.worker.id;
        let Some(shown) = self.0.get(usize::from(id)) else { return };
        let overload = &turn.worker.overload;
        let delay = u32::try_from(overload.stood().as_micros()).unwrap_or(u32::MAX);
        set(&shown.delay_micros, delay);
        for class in Class::ALL {
            if let Some(value) = shown.shed.get(class as usize) {
                set(value, percent_kept_out(overload.passes(class)));
            }
        }
        let Sieve { calls, others } = overload.sieve();
        for (value, passes) in shown.unread.iter().zip([calls, others]) {
            set(value, percent_kept_out(passes));
        }
    }

    /// The worst of each value.
    pub(crate) fn worst(&self) -> Load {
        let mut worst = Load::default();
        for shown in &self.0 {
            let delay = Duration::from_micros(shown.delay_micros.load(Ordering::Relaxed).into());
            worst.delay = worst.delay.max(delay);
            let most = worst.shed.iter_mut().chain(&mut worst.unread);
            for (most, value) in most.zip(shown.shed.iter().chain(&shown.unread)) {
                *most = (*most).max(value.load(Ordering::Relaxed));
            }
        }
        worst
    }
}

const fn percent_kept_out(passes: u32) -> u32 {
    ((WHOLE - passes) * 100).div_ceil(WHOLE)
}

/// Written only where it is another: the line of the cache stays with whoever reads it.
fn set(value: &AtomicU32, to: u32) {
    if value.load(Ordering::Relaxed) != to {
        value.store(to, Ordering::Relaxed);
    }
}
