//! The front door: one input, all its consequences.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;

use crate::admission::{self, Gate, Tickets};
use crate::config::Config;
use crate::count::{Count, Counters};
use crate::dialog::Records;
use crate::flow::{Flow, ListenerId, Transport, Zone, is_stream, is_websocket};
use crate::gauge::Gauge;
use crate::hash::KeyedHash;
use crate::io::Input;
use crate::limiting::{Callers, Gates};
use crate::limits;
use crate::lock::Lock;
use crate::pool::Challenges;
use crate::proxy::settings::Settings;
use crate::proxy::setup::Setup;
use crate::proxy::shedding::Loads;
use crate::proxy::turn::Turn;
use crate::proxy::worker::{Timer, Worker};
use crate::registration::Directory;
use crate::table::{DigestMap, with_room};
use crate::tally::Tally;
use crate::time::Time;
use crate::transaction::EntryId;
use crate::wire::{Framing, Limits, Message, ParseError};

/// Signalling as a value. One for all workers.
pub struct Core {
    /// Swapped as a whole; one input is handled under one of them.
    pub(crate) settings: ArcSwap<Settings>,
    /// Held while the settings are made anew: one change after the other.
    pub(crate) changing: Lock<()>,
    /// Keyed by chance: what clients wrote lands in tables by it.
    pub(crate) hash: KeyedHash,
    /// Names this process in tokens.
    pub(crate) boot: u64,
    pub(crate) started: Time,
    pub(crate) entries: DigestMap<Box<Setup>>,
    /// Bytes of the requests of all entries.
    pub(crate) request_bytes: Gauge,
    pub(crate) branches: DigestMap<EntryId>,
    /// INVITEs that begin a call, by what they have in common whichever way they come.
    pub(crate) merges: DigestMap<EntryId>,
    pub(crate) directory: Directory,
    pub(crate) dialogs: Records,
    /// Members that are down, and whose messages are looked at for signs of life.
    pub(crate) listened_for: Gauge,
    pub(crate) challenges: Challenges,
    pub(crate) gate: Gate,
    pub(crate) tickets: Tickets,
    pub(crate) counters: Counters,
    /// What rules with a limit have let through.
    pub(crate) gates: Gates,
    pub(crate) callers: Callers,
    /// How often rules gave each tag.
    pub(crate) tags: Tally,
    /// How far each worker is behind.
    pub(crate) loads: Loads,
    /// Unix time at `Time::ZERO`, in seconds.
    pub(crate) unix_zero: AtomicI64,
}

impl Core {
    /// `seed` is 32 bytes of chance, different in every process.
    pub fn new(config: Arc<Config>, seed: [u8; 32], now: Time) -> Self {
        let (mut key, mut boot) = ([0u8; 16], [0u8; 8]);
        key.copy_from_slice(&seed[..16]);
        boot.copy_from_slice(&seed[16..24]);
        let loads = Loads::new(config.workers);
        Self {
            settings: ArcSwap::from_pointee(Settings::new(config, None, now)),
            changing: Lock::default(),
            hash: KeyedHash::new(key),
            boot: u64::from_be_bytes(boot),
            started: now,
            entries: with_room(limits::TRANSACTIONS_AT_ONCE),
            request_bytes: Gauge::default(),
            branches: with_room(limits::TRANSACTIONS_AT_ONCE),
            merges: with_room(limits::TRANSACTIONS_AT_ONCE),
            directory: Directory::default(),
            dialogs: Records::default(),
            listened_for: Gauge::default(),
            challenges: Challenges::default(),
            gate: Gate::new(KeyedHash::new(key)),
            tickets: Tickets::default(),
            counters: Counters::default(),
            gates: Gates::default(),
            callers: Callers::default(),
            tags: Tally::default(),
            loads,
            unix_zero: AtomicI64::new(0),
        }
    }

    /// Put a worker to work; the first one also asks the pool's members how they are.
    pub fn start(&self, worker: &mut Worker, now: Time) {
        self.keep_up(worker, now, &self.settings.load());
    }

    /// Take one input. What it leads to is in `worker.outbox` afterwards.
    pub fn handle(&self, worker: &mut Worker, now: Time, input: Input<'_>) {
        let settings = &**self.settings.load();
        self.keep_up(worker, now, settings);
        let mut turn = Turn { worker, now, settings, knock: None };
        match input {
            Input::Received { flow, source, bytes } => self.received(&mut turn, flow, source, bytes),
            Input::Opened(flow) => self.directory.connected(flow),
            Input::OpenedBy(flow, ticket) => {
                if let Some(connection) = flow.connection {
                    self.opened_by(connection, ticket, settings);
                }
                self.directory.connected(flow);
            }
            Input::Closed(connection) => {
                self.tickets.closed(connection);
                let owed = self.directory.closed(connection, now);
                let reads = owed.len() <= limits::OWED_BY_READERS;
                for id in owed {
                    self.step(&mut turn, id, |setup, step| setup.on_closed(connection, reads, step));
                }
            }
            Input::Unreachable(flow) => self.unreachable(&mut turn, flow),
            Input::Disconnected(flow) => self.disconnected(&mut turn, flow),
            Input::Taken(backlog) => self.taken(&mut turn, &backlog),
            Input::Busy(percent) => self.busy(&mut turn, percent),
            Input::Deadline => self.deadline(&mut turn),
        }
    }

    /// The settings may be others than at the worker's last input: the first worker asks their members.
    fn keep_up(&self, worker: &mut Worker, now: Time, settings: &Settings) {
        if worker.settings != settings.version {
            worker.settings = settings.version;
            if worker.id.0 == 0 {
                self.start_probes(worker, now, settings);
            }
        }
    }

    /// Say what Unix time it was at `Time::ZERO`, in seconds: at the start, and again whenever the clock on the wall
    /// was set. Rules about days and hours go by it.
    pub fn set_unix_zero(&self, seconds: i64) {
        self.unix_zero.store(seconds, Ordering::Relaxed);
    }

    /// Unix time in seconds.
    pub(crate) fn unix_time(&self, now: Time) -> i64 {
        let since = i64::try_from(now.as_micros() / 1_000_000).unwrap_or(i64::MAX);
        self.unix_zero.load(Ordering::Relaxed).saturating_add(since)
    }

    /// How often rules gave each tag.
    pub fn tags(&self) -> &Tally {
        &self.tags
    }

    /// Calls that hold a place under the limit of a rule.
    pub fn calls_of_rule(&self, rule: &str) -> u32 {
        self.gates.calls(&self.hash, rule)
    }

    /// When `Input::Deadline` is due at this worker: in the past where one of them was not enough.
    pub fn next_deadline(&self, worker: &Worker) -> Option<Time> {
        worker.wheel.next_deadline()
    }

    /// Whether an address may speak at a listener at all.
    pub fn is_peer(&self, listener: ListenerId, remote: SocketAddr) -> bool {
        let settings = &**self.settings.load();
        let known = |listener| admission::is_peer(listener, remote.ip().to_canonical(), &settings.members);
        settings.listener(listener).is_some_and(known)
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn received(&self, turn: &mut Turn<'_>, flow: Flow, source: SocketAddr, bytes: &[u8]) {
        let settings = turn.settings;
        let Some(listener) = settings.listener(flow.listener) else { return };
        if self.is_keepalive(turn.worker, flow, bytes) {
            return;
        }
        if !admission::is_peer(listener, source.ip().to_canonical(), &settings.members) {
            self.counters.add(Count::NotAPeer);
            return;
        }
        match self.knock(settings, listener.zone, &flow, source, is_response(bytes), turn.now) {
            Ok(knock) => turn.knock = knock,
            Err(count) => return self.counters.add(count),
        }
        if listener.zone == Zone::Pool {
            self.note_life(&flow, settings, turn.now);
        }
        turn.worker.overload.count_message();
        let mut index = std::mem::take(&mut turn.worker.index);
        let framing = framing_of(listener.transport);
        match index.parse(bytes, framing, &Limits::default()) {
            Ok(()) => {
                let message = Message::new(bytes, &index);
                if message.is_request() {
                    self.request(turn, flow, source, message);
                } else {
                    self.response(turn, flow, source, &message);
                }
            }
            Err(error) => self.unreadable(turn, flow, source, &Message::new(bytes, &index), error),
        }
        turn.worker.index = index;
    }

    /// RFC 5626 §4.4.1: a double CRLF on a connection is answered with one; blanks mean nothing.
    fn is_keepalive(&self, worker: &mut Worker, flow: Flow, bytes: &[u8]) -> bool {
        if !bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return false;
        }
        self.counters.add(Count::Keepalives);
        if flow.connection.is_some() && bytes == b"\r\n\r\n" {
            worker.outbox.send(flow, b"\r\n");
        }
        true
    }

    /// A request that cannot be read gets the status its error knows; whatever else gets silence.
    fn unreadable(
        &self,
        turn: &mut Turn<'_>,
        flow: Flow,
        source: SocketAddr,
        message: &Message<'_>,
        error: ParseError,
    ) {
        tracing::debug!(reason = error.reason(), source = %source, "unreadable message");
        self.refuse(turn, flow, source, message, &admission::syntax(error));
    }

    fn unreachable(&self, turn: &mut Turn<'_>, flow: Flow) {
        for seat in turn.settings.members_at(&flow) {
            if seat.listener() != flow.listener {
                // Only a large request asked for a connection; the member itself is reached by UDP.
                seat.member().refused_connection(turn.now);
            } else {
                seat.unreachable(turn.now);
            }
            for id in seat.member().take_in_flight(flow.listener) {
                self.step(turn, id, |setup, step| setup.on_unreachable(flow, step));
            }
        }
        for id in self.directory.unanswered(&flow) {
            self.step(turn, id, |setup, step| setup.on_unreachable(flow, step));
        }
        self.phone_unreachable(turn, flow);
    }

    /// A phone that is registered and not there. What it had been asked inside a dialog goes on: such an error may be
    /// forged by whoever knows its address, and must not end a call.
    fn phone_unreachable(&self, turn: &mut Turn<'_>, flow: Flow) {
        for id in self.directory.take_asked(&flow) {
            self.step(turn, id, |setup, step| setup.on_unreachable(flow, step));
        }
    }

    /// Whatever a server owes may be lost with the connection: what has no answer is asked once more. And the server
    /// may be gone: it is probed at once.
    fn disconnected(&self, turn: &mut Turn<'_>, flow: Flow) {
        self.probe_at_once(turn, &flow);
        for seat in turn.settings.members_at(&flow) {
            for id in seat.member().take_in_flight(flow.listener) {
                self.step(turn, id, |setup, step| setup.on_disconnected(flow, step));
            }
        }
        for id in self.directory.unanswered(&flow) {
            self.step(turn, id, |setup, step| setup.on_disconnected(flow, step));
        }
    }

    fn deadline(&self, turn: &mut Turn<'_>) {
        let now = turn.now;
        for _ in 0..limits::TIMERS_AT_ONCE {
            let Some(timer) = turn.worker.wheel.pop_due(now) else { return };
            match timer {
                Timer::Entry(id, generation) => {
                    self.step(turn, id, |setup, step| setup.on_timer(generation, step));
                }
                Timer::Binding(id, generation) => {
                    if let Some(next) = self.directory.expire(id, generation, now) {
                        turn.worker.wheel.schedule(next, timer);
                    }
                }
                Timer::Left(id) => self.directory.forget_left(id, now),
                Timer::Probe(due) => {
                    if let Some(next) = self.probe(turn, due) {
                        turn.worker.wheel.schedule(next, timer);
                    }
                }
                Timer::Look(due) => {
                    if let Some(next) = self.probe(turn, due).filter(|_| self.is_asked(turn.settings, due)) {
                        turn.worker.wheel.schedule(next, timer);
                    }
                }
                Timer::Release(due) => self.release(turn, due),
                Timer::Sweep => self.sweep(turn),
                Timer::SweepDialogs => self.sweep_dialogs(turn),
            }
        }
    }
}

/// Whether bytes begin as a response does (RFC 3261 §7.2), whatever follows.
pub(super) fn is_response(bytes: &[u8]) -> bool {
    bytes.starts_with(b"SIP/2.0 ")
}

pub(super) fn framing_of(transport: Transport) -> Framing {
    if is_stream(transport) {
        Framing::Stream
    } else if is_websocket(transport) {
        Framing::WebSocket
    } else {
        Framing::Datagram
    }
}
