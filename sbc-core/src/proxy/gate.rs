//! The gate of the public zone at work: what knocks, what is charged, and what is held against a source.

use std::net::{IpAddr, SocketAddr};

use crate::admission::{Asks, Ban, Knock, Refusal, Standing};
use crate::count::Count;
use crate::flow::{Flow, ListenerId, Zone};
use crate::limits;
use crate::proxy::core::Core;
use crate::proxy::hop::Answer;
use crate::proxy::incoming::Incoming;
use crate::proxy::reply::{Reply, write_reply};
use crate::proxy::settings::Settings;
use crate::proxy::turn::Turn;
use crate::proxy::worker::Timer;
use crate::sip::Method;
use crate::time::Time;
use crate::wire::Message;

/// Something held against a source that receives at its address.
pub(crate) struct Evidence {
    pub(crate) source: IpAddr,
    pub(crate) weight: u8,
    pub(crate) reason: Count,
}

impl Core {
    /// Whether a message may be looked at; `None` of a knock where nobody is limited.
    ///
    /// # Errors
    /// What its drop is counted as.
    pub(super) fn knock(
        &self,
        settings: &Settings,
        zone: Zone,
        flow: &Flow,
        source: SocketAddr,
        is_response: bool,
        now: Time,
    ) -> Result<Option<Knock>, Count> {
        let ip = source.ip().to_canonical();
        let knock = match zone {
            Zone::Pool => return Ok(None),
            Zone::Trunk if settings.gate.is_denied(ip) => Err(Count::Denied),
            Zone::Trunk => return Ok(None),
            Zone::Public => self.gate.knock(&settings.gate, ip, flow, is_response, now),
        };
        knock.map(Some)
    }

    /// Charge a request that was read. False: it goes no further, and was answered if its sender waits for that.
    pub(super) fn charge(&self, turn: &mut Turn<'_>, incoming: &Incoming<'_>) -> bool {
        let Some(knock) = turn.knock else { return true };
        let begins = !incoming.is_in_dialog();
        let (asks, user) = match incoming.method {
            Some(Method::Invite) if begins => (Asks::Call, Some(incoming.caller_aor(turn.settings))),
            Some(Method::Register) => (Asks::Registration, incoming.registered_aor(turn.settings)),
            _ => (Asks::Else, None),
        };
        let charged = self.gate.charge(&turn.settings.gate, &knock, asks, user, turn.now);
        self.watch_sources(turn);
        let Err(count) = charged else { return true };
        self.counters.add(count);
        // Over UDP silence is the cheapest answer, and repeated; over a connection nothing is repeated.
        let upstream = &incoming.upstream;
        if upstream.flow.connection.is_some() && incoming.method != Some(Method::Ack) {
            let extra = format!("Retry-After: {}\r\n", limits::RETRY_AFTER_SECONDS);
            let reply = Reply { status: 503, reason: None, extra: &extra };
            turn.worker.outbox.send_with(upstream.reply, |out| {
                write_reply(&incoming.message, upstream.source, &reply, &self.hash, out);
            });
        }
        false
    }

    /// Charge what was no SIP, or an answer to nothing.
    pub(super) fn charge_rubbish(&self, turn: &mut Turn<'_>) {
        if let Some(knock) = turn.knock {
            self.gate.charge_rubbish(&turn.settings.gate, &knock, turn.now);
            self.watch_sources(turn);
        }
    }

    /// Whether what is refused may hear so.
    pub(super) fn may_answer(&self, turn: &Turn<'_>) -> bool {
        turn.knock.is_none_or(|knock| self.gate.may_answer(&turn.settings.gate, &knock, turn.now))
    }

    /// As long as sources are known, the table is swept.
    fn watch_sources(&self, turn: &mut Turn<'_>) {
        if self.gate.sources().begin_sweeping() {
            turn.worker.wheel.schedule(turn.now + limits::SWEEP_EVERY, Timer::Sweep);
        }
    }

    pub(super) fn sweep(&self, turn: &mut Turn<'_>) {
        if self.gate.sources().sweep(turn.now) {
            turn.worker.wheel.schedule(turn.now + limits::SWEEP_EVERY, Timer::Sweep);
        }
    }

    /// Scanners hear nothing.
    pub(super) fn scanner(&self, turn: &Turn<'_>, request: &Message<'_>) -> Option<Refusal> {
        let judged = turn.knock.is_some_and(|knock| !knock.is_exempt());
        (judged && turn.settings.gate.scanners.know(request))
            .then(|| Refusal::silence(Count::Scanner).weighing(limits::SCANNER_EVIDENCE))
    }

    /// Some refusals say that somebody tries what honest clients do not.
    pub(super) fn hold_refusal_against(&self, turn: &Turn<'_>, incoming: &Incoming<'_>, answer: &Answer) {
        let (Some(count), upstream) = (answer.count, &incoming.upstream) else { return };
        let weight = evidence_in(count);
        if weight > 0 {
            self.hold_against_connected(turn, &upstream.flow, upstream.source, weight, count);
        }
    }

    /// Hold something against whoever is behind a connection; a datagram's sender may be anybody.
    pub(super) fn hold_against_connected(
        &self,
        turn: &Turn<'_>,
        flow: &Flow,
        source: SocketAddr,
        weight: u8,
        reason: Count,
    ) {
        if turn.knock.is_some() && flow.connection.is_some() {
            self.hold_against(turn.settings, &Evidence { source: source.ip(), weight, reason }, turn.now);
        }
    }

    /// Hold something against a source.
    pub(crate) fn hold_against(&self, settings: &Settings, evidence: &Evidence, now: Time) {
        let Evidence { source, weight, reason } = evidence;
        let Some(ban) = self.gate.evidence(&settings.gate, *source, *weight, *reason, now) else { return };
        let dry_run = settings.config.admission.ban.is_some_and(|policy| policy.dry_run);
        self.counters.add(if dry_run { Count::DryBans } else { Count::Bans });
        let seconds = ban.until.since(ban.since).as_secs();
        let reason = ban.reason.reason();
        if dry_run {
            tracing::warn!(source = %ban.network, reason, seconds, "would be banned, were it not a dry run");
        } else {
            tracing::warn!(source = %ban.network, reason, seconds, "banned");
        }
    }

    /// Whether a source is heard at all; front ends ask before they shake hands.
    pub fn is_welcome(&self, listener: ListenerId, source: IpAddr, now: Time) -> bool {
        let settings = self.settings.load();
        match settings.listener(listener).map(|listener| listener.zone) {
            Some(Zone::Public) => self.gate.is_welcome(&settings.gate, source, now),
            Some(Zone::Trunk) => !settings.gate.is_denied(source),
            Some(Zone::Pool) | None => true,
        }
    }

    /// Whether a source is on the allow list: never limited, never banned.
    pub fn is_allowed(&self, source: IpAddr) -> bool {
        self.settings.load().gate.standing(source) == Standing::Allowed
    }

    /// A front end holds something against whoever connected from `source`; 0 weighs nothing.
    pub fn misbehaved(&self, listener: ListenerId, source: IpAddr, weight: u8, now: Time) {
        let settings = self.settings.load();
        let public = settings.listener(listener).is_some_and(|listener| listener.zone == Zone::Public);
        if public && weight > 0 {
            self.counters.add(Count::BadConnection);
            let evidence = Evidence { source: source.to_canonical(), weight, reason: Count::BadConnection };
            self.hold_against(&settings, &evidence, now);
        }
    }

    /// The bans in force.
    pub fn bans(&self, now: Time) -> Vec<Ban> {
        self.gate.bans().list(now)
    }

    /// End the ban that an address is under. False where there is none.
    pub fn lift_ban(&self, source: IpAddr) -> bool {
        self.gate.bans().lift(source)
    }
}

/// How much the refusal of a request that was let in weighs against its source.
pub(super) const fn evidence_in(count: Count) -> u8 {
    match count {
        Count::ForgedToken => limits::FORGERY_EVIDENCE,
        Count::NotServed | Count::ForeignRoute => limits::RELAY_EVIDENCE,
        _ => 0,
    }
}
