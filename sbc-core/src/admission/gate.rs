//! The gate of the public zone: who is heard, how much of it, and for how long not at all.
//!
//! Three moments. A message *knocks* before it is parsed. A request is *charged* to its source, its user and its
//! listener once it is known what it asks. What the pool says to it is *learnt*: who is accepted is no stranger any
//! more, who fails again and again is evidence against its source.
//!
//! Evidence counts only from whoever really receives at its address: a connection does, a UDP source does when it
//! repeats a nonce that was sent there. So nobody can have somebody else banned.

use std::net::IpAddr;

use crate::admission::access::{Access, Standing};
use crate::admission::bans::{Ban, Bans, network_of};
use crate::admission::scanners::Scanners;
use crate::admission::sources::{Source, Sources};
use crate::config::Admission;
use crate::count::Count;
use crate::flow::{Flow, ListenerId};
use crate::hash::{Digest, KeyedHash};
use crate::time::Time;

/// Good sources behind one address raise what may be held against it up to so many times.
const MOST_PATIENCE: u32 = 16;

/// What the configuration says, ready to be asked.
#[derive(Debug)]
pub struct GateRules {
    access: Access,
    /// Signatures of scanners.
    pub scanners: Scanners,
    admission: Admission,
}

impl GateRules {
    /// From the configuration.
    pub fn new(admission: &Admission) -> Self {
        Self {
            access: Access::new(&admission.allow, &admission.deny),
            scanners: Scanners::new(&admission.scanners),
            admission: admission.clone(),
        }
    }

    /// Whether an address is on the deny list alone.
    pub fn is_denied(&self, source: IpAddr) -> bool {
        self.standing(source) == Standing::Denied
    }

    /// What the lists say about an address.
    pub fn standing(&self, source: IpAddr) -> Standing {
        self.access.of(source)
    }
}

/// What a request asks, as far as rates tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// An INVITE that begins a call.
    Call,
    /// A REGISTER.
    Registration,
    /// Anything else.
    Else,
}

/// A message from the public zone.
#[derive(Debug, Clone, Copy)]
pub struct Knock {
    /// Its place in the table of sources; `None`: it is on the allow list.
    key: Option<Digest>,
    listener: ListenerId,
    connected: bool,
}

impl Knock {
    /// Its source is on the allow list.
    pub const fn is_exempt(&self) -> bool {
        self.key.is_none()
    }
}

/// The state of the gate; it outlives a reload.
pub struct Gate {
    hash: KeyedHash,
    sources: Sources,
    bans: Bans,
}

impl Gate {
    /// Keyed by chance: nobody chooses where a source lands in the table.
    pub fn new(hash: KeyedHash) -> Self {
        Self { hash, sources: Sources::default(), bans: Bans::default() }
    }

    /// Before a message is parsed. Only responses of strangers are let by where their rate is spent: they are asked for.
    ///
    /// # Errors
    /// What its drop is counted as: it is on the deny list, banned, over its rate, or over that of strangers.
    pub fn knock(
        &self,
        rules: &GateRules,
        source: IpAddr,
        flow: &Flow,
        is_response: bool,
        now: Time,
    ) -> Result<Knock, Count> {
        let knock = |key| Knock { key, listener: flow.listener, connected: flow.connection.is_some() };
        if self.heard(rules, source, now)? == Standing::Allowed {
            return Ok(knock(None));
        }
        let key = self.key_of(source);
        let known = self.sources.peek(key);
        let knock = knock(Some(key));
        if rules.admission.per_source.requests.is_spent(known.requests, now) {
            return Err(Count::FloodSource);
        }
        if !is_response && !knock.connected && !known.is_good(now) {
            let strangers = self.sources.peek(self.strangers(flow.listener)).requests;
            if rules.admission.strangers.is_spent(strangers, now) {
                return Err(Count::FloodStrangers);
            }
        }
        Ok(knock)
    }

    /// The place of all strangers at a listener.
    fn strangers(&self, listener: ListenerId) -> Digest {
        self.hash.of(&[b"listener", &listener.0.to_be_bytes()])
    }

    /// Where a source that is heard at all stands.
    fn heard(&self, rules: &GateRules, source: IpAddr, now: Time) -> Result<Standing, Count> {
        match rules.standing(source) {
            Standing::Denied => Err(Count::Denied),
            Standing::Unlisted if self.bans.has(source, now) => Err(Count::Banned),
            standing => Ok(standing),
        }
    }

    /// What a source is called in tables.
    pub fn key_of(&self, source: IpAddr) -> Digest {
        match network_of(source).addr() {
            IpAddr::V4(ip) => self.hash.of(&[b"source", &ip.octets()]),
            IpAddr::V6(ip) => self.hash.of(&[b"source", &ip.octets()]),
        }
    }

    /// Charge whatever was no SIP, or no answer to anything, to its source.
    pub fn charge_rubbish(&self, rules: &GateRules, knock: &Knock, now: Time) {
        let Some(key) = knock.key else { return };
        let rate = &rules.admission.per_source.requests;
        self.sources.with(key, now, |source| {
            let share = source.share(now);
            rate.take(&mut source.requests, now, share)
        });
    }

    /// Whether a refusal may be answered: what strangers get wrong by datagrams hears as much as they may ask, and
    /// takes nothing from those who ask right.
    pub fn may_answer(&self, rules: &GateRules, knock: &Knock, now: Time) -> bool {
        let Some(key) = knock.key.filter(|_| !knock.connected) else { return true };
        if self.sources.peek(key).is_good(now) {
            return true;
        }
        let answers = self.hash.of(&[b"refused", &knock.listener.0.to_be_bytes()]);
        let take = |bucket: &mut Source| rules.admission.strangers.take(&mut bucket.requests, now, 1);
        self.sources.with(answers, now, take).unwrap_or(true)
    }

    /// Charge a request to its source, and a stranger's to the user it names and the listener it came to.
    ///
    /// # Errors
    /// What its drop is counted as.
    pub fn charge(
        &self,
        rules: &GateRules,
        knock: &Knock,
        asks: Asks,
        user: Option<Digest>,
        now: Time,
    ) -> Result<(), Count> {
        let Some(key) = knock.key else { return Ok(()) };
        let rates = &rules.admission.per_source;
        let charged = self.sources.with(key, now, |source| {
            let share = source.share(now);
            let good = source.is_good(now);
            if !rates.requests.take(&mut source.requests, now, share) {
                return Err(Count::FloodSource);
            }
            match asks {
                Asks::Call if !rates.invites.take(&mut source.invites, now, share) => Err(Count::FloodInvite),
                Asks::Registration if !rates.registers.take(&mut source.registers, now, share) => {
                    Err(Count::FloodRegister)
                }
                _ => Ok(good),
            }
        });
        match charged {
            Some(Err(count)) => Err(count),
            Some(Ok(true)) | None => Ok(()),
            Some(Ok(false)) => self.charge_stranger(rules, knock, asks, user, now),
        }
    }

    fn charge_stranger(
        &self,
        rules: &GateRules,
        knock: &Knock,
        asks: Asks,
        user: Option<Digest>,
        now: Time,
    ) -> Result<(), Count> {
        let take = |key, rate: &crate::rate::Rate| {
            self.sources.with(key, now, |bucket| rate.take(&mut bucket.requests, now, 1)).unwrap_or(true)
        };
        if let (Some(user), Asks::Call | Asks::Registration) = (user, asks) {
            let key = self.hash.of(&[b"user", &user.to_be_bytes()]);
            if !take(key, &rules.admission.per_user) {
                return Err(Count::FloodUser);
            }
        }
        // A connection was shaken hands on: its sender is known, and would not ask again if it were dropped.
        if !knock.connected && !take(self.strangers(knock.listener), &rules.admission.strangers) {
            return Err(Count::FloodStrangers);
        }
        Ok(())
    }

    /// The pool accepted a registration or a call of `user` from this source.
    pub fn accepted(&self, source: IpAddr, user: Digest, now: Time) {
        self.sources.accepted(self.key_of(source), user, now);
    }

    /// Whether the pool accepted something from this source lately.
    pub fn is_good(&self, source: IpAddr, now: Time) -> bool {
        self.sources.peek(self.key_of(source)).is_good(now)
    }

    /// A challenge with this nonce goes out to a source.
    pub fn challenged(&self, source: IpAddr, nonce: &[u8], now: Time) {
        let nonce = self.nonce(nonce);
        self.sources.with(self.key_of(source), now, |one| one.challenged(nonce));
    }

    /// Whether a request with this nonce in its credentials comes from whoever was challenged at its address.
    pub fn was_challenged(&self, source: IpAddr, nonce: &[u8]) -> bool {
        self.sources.peek(self.key_of(source)).was_challenged(self.nonce(nonce))
    }

    fn nonce(&self, nonce: &[u8]) -> u32 {
        // Zero stands for no nonce.
        (self.hash.of(&[b"nonce", nonce]) as u32).max(1)
    }

    /// Hold something against a source that really receives at its address. The ban that this was one too many for.
    pub fn evidence(
        &self,
        rules: &GateRules,
        source: IpAddr,
        weight: u8,
        reason: Count,
        now: Time,
    ) -> Option<Ban> {
        let policy = rules.admission.ban.as_ref().filter(|_| weight > 0)?;
        if rules.standing(source) == Standing::Allowed {
            return None;
        }
        let weight = u32::from(weight);
        let too_much = self.sources.with(self.key_of(source), now, |one| {
            let most = policy.score.saturating_mul(one.share(now).min(MOST_PATIENCE));
            one.add_evidence(weight, most, policy.window, now)
        })?;
        let ban = Ban { network: network_of(source), reason, since: now, until: now + policy.time };
        let banned = too_much && (policy.dry_run || self.bans.add(ban));
        banned.then_some(ban)
    }

    /// Whether a source is heard at all: not on the deny list, and not banned.
    pub fn is_welcome(&self, rules: &GateRules, source: IpAddr, now: Time) -> bool {
        self.heard(rules, source, now).is_ok()
    }

    /// The bans in force.
    pub fn bans(&self) -> &Bans {
        &self.bans
    }

    /// How many sources, users and listeners are known apart.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }
}
