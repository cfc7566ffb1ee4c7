//! OPTIONS probes on their way out and back.

use std::time::Duration;

use crate::count::Count;
use crate::flow::Flow;
use crate::pool::{PoolState, ProbeDue};
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
    /// Members known before go on where they were.
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
    }

    /// A member's probe timer fired.
    pub(super) fn probe(&self, turn: &mut Turn<'_>, timer: ProbeTimer) {
        let (settings, now) = (turn.settings, turn.now);
        if timer.settings != settings.version {
            return;
        }
        let Some(state) = settings.pools.get(usize::from(timer.pool)) else { return };
        let Some(probe) = &state.config.probe else { return };
        let Some(member_state) = state.members.get(usize::from(timer.member)) else { return };
        let before = member_state.health();
        let (due, next) = member_state.probing(|probing| (probing.on_timer(now, probe), probing.deadline()));
        match due {
            ProbeDue::Send { sequence } => self.send_probe(turn, state, usize::from(timer.member), sequence),
            ProbeDue::Missed => self.counters.add(Count::ProbesMissed),
            ProbeDue::Nothing => {}
        }
        if before != member_state.health() {
            tracing::warn!(
                pool = &*state.config.name,
                member = &*member_state.uri,
                "member does not answer: down"
            );
            for id in member_state.take_in_flight() {
                self.step(turn, id, |setup, step| setup.on_member_down(step));
            }
        }
        self.watch_silence(turn, state, timer);
        turn.worker.wheel.schedule(next.max(now + Duration::from_millis(1)), Timer::Probe(timer));
    }

    fn send_probe(&self, turn: &mut Turn<'_>, state: &PoolState, member: usize, sequence: u32) {
        let settings = turn.settings;
        let Some(member) = state.members.get(member) else { return };
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
        for state in settings.pools.iter() {
            let Some(probe) = &state.config.probe else { continue };
            for member in &state.members {
                let name = self.probe_name(state, member.address);
                if !rest.starts_with(name.as_bytes()) {
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
        }
        false
    }
}

/// Probe branches are no tokens: they must not look like one.
const PREFIX: &str = "z9hG4bK.probe.";
