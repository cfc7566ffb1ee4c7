//! OPTIONS probes on their way out and back.

use std::time::Duration;

use crate::count::Count;
use crate::flow::Flow;
use crate::pool::{MemberState, PoolState, ProbeDue, Seat};
use crate::proxy::core::Core;
use crate::proxy::settings::{Settings, sent_by};
use crate::proxy::turn::Turn;
use crate::proxy::via::transport_word;
use crate::proxy::worker::{ProbeTimer, Timer, Worker};
use crate::sip::{OptionsProbe, write_options};
use crate::time::Time;
use crate::wire::{CSeq, HeaderName, Message};

impl Core {
    /// Ask every member, spread over the first tenth of a second.
    /// Members known before go on where they were, and so do those that have left, as long as they have calls.
    pub(super) fn start_probes(&self, worker: &mut Worker, now: Time, settings: &Settings) {
        for (pool, state) in
            settings.pools.iter().enumerate().filter(|(_, state)| state.config.probe.is_some())
        {
            for (member, member_state) in state.members.iter().enumerate() {
                let spread = now + Duration::from_millis(5) * u32::try_from(member % 20).unwrap_or(0);
                let at = member_state.probing(|probing| probing.start(spread));
                if let (Ok(pool), Ok(member)) = (u16::try_from(pool), u16::try_from(member)) {
                    let timer = ProbeTimer { settings: settings.version, pool, member };
                    worker.wheel.schedule(at.max(now), Timer::Probe(timer));
                }
            }
        }
        for (member, seat) in settings.pools.former().enumerate().filter(|(_, seat)| has_calls(seat)) {
            let at = seat.member().probing(|probing| probing.deadline());
            if let Ok(member) = u16::try_from(member) {
                let timer = ProbeTimer { settings: settings.version, pool: FORMER, member };
                worker.wheel.schedule(at.max(now), Timer::Probe(timer));
            }
        }
    }

    /// A member's probe timer fired: when it is due again.
    pub(super) fn probe(&self, turn: &mut Turn<'_>, timer: ProbeTimer) -> Option<Time> {
        let (settings, now) = (turn.settings, turn.now);
        if timer.settings != settings.version {
            return None;
        }
        let seat = probed(settings, &timer)?;
        let (state, member_state) = (seat.pool(), seat.member());
        let probe = state.config.probe.as_ref()?;
        let before = member_state.health();
        let (due, next) = member_state.probing(|probing| (probing.on_timer(now, probe), probing.deadline()));
        match due {
            ProbeDue::Send { sequence } => self.send_probe(turn, state, member_state, sequence),
            ProbeDue::Missed => self.counters.add(Count::ProbesMissed),
            ProbeDue::Nothing => {}
        }
        if before != member_state.health() {
            tracing::warn!(
                pool = &*state.config.name,
                member = &*member_state.uri,
                "member does not answer: down"
            );
            for id in member_state.in_flight() {
                self.step(turn, id, |setup, step| setup.on_member_down(step));
            }
        }
        self.watch_silence(turn, state, timer);
        Some(next.max(now + Duration::from_millis(1)))
    }

    /// The members at the other end of this flow need not wait for their next probe.
    pub(super) fn probe_at_once(&self, turn: &mut Turn<'_>, flow: &Flow) {
        let settings = turn.settings;
        for (pool, state) in
            settings.pools.iter().enumerate().filter(|(_, state)| state.config.probe.is_some())
        {
            let Some(at) = state.at(flow.remote) else { continue };
            let Some(member) = state.members.get(at).filter(|one| one.listener == flow.listener) else {
                continue;
            };
            member.probing(|probing| probing.look(turn.now));
            if let (Ok(pool), Ok(member)) = (u16::try_from(pool), u16::try_from(at)) {
                let timer = ProbeTimer { settings: settings.version, pool, member };
                turn.worker.wheel.schedule(turn.now, Timer::Look(timer));
            }
        }
    }

    /// Whether a probe is on its way to the member that a timer means.
    pub(super) fn is_asked(&self, settings: &Settings, timer: ProbeTimer) -> bool {
        probed(settings, &timer).is_some_and(|seat| seat.member().probing(|probing| probing.is_waiting()))
    }

    fn send_probe(&self, turn: &mut Turn<'_>, state: &PoolState, member: &MemberState, sequence: u32) {
        let settings = turn.settings;
        let Some(listener) = settings.listener(member.listener) else { return };
        let name = self.probe_name(state, member.address);
        let port = settings.local_port(listener, name.as_bytes());
        let probe = OptionsProbe {
            transport: transport_word(listener.transport),
            us: &sent_by(listener, port),
            member: &member.uri,
            branch: &format!("{}{name}.{sequence}", PREFIX),
            call_id: &name,
            tag: &name,
            sequence,
        };
        if let Some(bytes) = write_options(&probe) {
            let flow = Flow { port, ..Flow::to(member.listener, member.address) };
            turn.worker.outbox.send(flow, &bytes);
        }
    }

    /// A name for the probes of one member of one pool in this process; nobody else can guess it.
    fn probe_name(&self, state: &PoolState, member: std::net::SocketAddr) -> String {
        let digest = self.hash.of(&[b"probe", state.config.name.as_bytes(), member.to_string().as_bytes()]);
        format!("{:016x}", digest as u64)
    }

    /// Whether a response answers a probe of ours. Any answer will do: somebody is there.
    pub(super) fn probe_answered(&self, response: &Message<'_>, branch: &[u8], settings: &Settings) -> bool {
        let Some(rest) = branch.strip_prefix(PREFIX.as_bytes()) else { return false };
        let here =
            settings.pools.iter().flat_map(|pool| pool.members.iter().map(move |one| (&**pool, &**one)));
        let former = settings.pools.former().map(|seat| (&**seat.pool(), &**seat.member()));
        for (state, member) in here.chain(former) {
            let Some(probe) = &state.config.probe else { continue };
            if !rest.starts_with(self.probe_name(state, member.address).as_bytes()) {
                continue;
            }
            let sequence = CSeq::parse(response.value(HeaderName::CSeq)).map_or(0, |cseq| cseq.number);
            let before = member.health();
            // 503 to OPTIONS: it is there, and as a whole takes nothing (System Busy, Paused).
            member.probing(|probing| match response.status() {
                503 => probing.on_busy(sequence),
                _ => probing.on_answer(sequence, probe),
            });
            if before != member.health() {
                tracing::info!(pool = &*state.config.name, member = &*member.uri, "member answers: up");
            }
            return true;
        }
        false
    }
}

/// Instead of a pool: the members that have left.
const FORMER: u16 = u16::MAX;

/// The member that a timer means. One that has left is asked until its last call has ended.
fn probed(settings: &Settings, timer: &ProbeTimer) -> Option<Seat> {
    let member = usize::from(timer.member);
    if timer.pool == FORMER {
        return settings.pools.former().nth(member).filter(|seat| has_calls(seat)).cloned();
    }
    Seat::of(settings.pools.get(usize::from(timer.pool))?, member)
}

fn has_calls(seat: &Seat) -> bool {
    seat.pool().config.probe.is_some() && seat.member().calls() > 0
}

/// Probe branches are no tokens: they must not look like one.
const PREFIX: &str = "z9hG4bK.probe.";
