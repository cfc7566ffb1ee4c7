//! OPTIONS probes of one member (RFC 3261 §11), and the signs its traffic gives.
//!
//! A member without an answer for `fall` probes or requests in a row is down; `rise` answered probes
//! in a row bring it back. One that was never asked is down at the first missed probe: there is nothing to
//! be patient about. Without probes an answered request brings it back.

use std::time::Duration;

use super::balance::mix;
use super::health::Health;
use crate::config::Probe;
use crate::hash::Digest;
use crate::limits;
use crate::time::Time;

/// What a probe timer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeDue {
    /// Send this probe now.
    Send {
        /// Tells its answer from that of another probe.
        sequence: u32,
    },
    /// The probe in flight was not answered in time.
    Missed,
    /// Nothing yet.
    Nothing,
}

/// A deadline seen later than this says that we were busy, not that the member was silent.
const LATENESS: Duration = Duration::from_millis(200);

/// The state of one member's probes.
#[derive(Debug)]
pub struct Probing {
    health: Health,
    missed: u8,
    answered: u8,
    /// It said at its last probe that it takes nothing.
    busy: bool,
    /// Spreads its probes, so that many members or nodes do not fall into step.
    spread: u64,
    sequence: u32,
    /// When the probe in flight has missed its time.
    waiting_until: Option<Time>,
    /// That time was put off once, because nobody looked when it came.
    excused: bool,
    next: Time,
    next_resend: Time,
    /// When the last probe was first sent.
    asked: Time,
}

impl Probing {
    /// Nothing is known; `spread` is different for each member.
    pub const fn new(spread: u64) -> Self {
        Self {
            health: Health::Unknown,
            missed: 0,
            answered: 0,
            busy: false,
            spread,
            sequence: 0,
            waiting_until: None,
            excused: false,
            next: Time::ZERO,
            next_resend: Time::NEVER,
            asked: Time::ZERO,
        }
    }

    /// What is known of the member.
    pub const fn health(&self) -> Health {
        self.health
    }

    /// Whether it answered its last probe.
    pub const fn is_in_good_health(&self) -> bool {
        matches!(self.health, Health::Up) && self.missed == 0
    }

    /// A probe timer fired.
    pub fn on_timer(&mut self, now: Time, probe: &Probe) -> ProbeDue {
        if self.waiting_until.is_some_and(|until| now.since(until) > LATENESS) && !self.excused {
            // We were late ourselves: the answer may lie in a socket that nobody has read yet.
            self.excused = true;
            self.waiting_until = Some(now + LATENESS);
            return ProbeDue::Nothing;
        }
        if self.waiting_until.is_some_and(|until| until <= now) {
            self.waiting_until = None;
            self.missed(probe.fall);
            return ProbeDue::Missed;
        }
        if self.waiting_until.is_some() && self.next_resend <= now {
            // A lost datagram is not a dead member: ask again within the same probe.
            self.next_resend = now + probe.timeout / 3;
            return ProbeDue::Send { sequence: self.sequence };
        }
        if self.waiting_until.is_none() && self.next <= now {
            self.sequence = self.sequence.wrapping_add(1) & 0x7fff_ffff;
            self.waiting_until = Some(now + probe.timeout);
            self.excused = false;
            self.asked = now;
            self.next_resend = now + probe.timeout / 3;
            self.next = now + self.jittered(probe.interval);
            return ProbeDue::Send { sequence: self.sequence };
        }
        ProbeDue::Nothing
    }

    /// Up to a tenth shorter, so that the timeout of one probe never reaches the next.
    fn jittered(&self, interval: Duration) -> Duration {
        let chance = mix(self.spread, Digest::from(self.sequence)) % 1000;
        interval - interval.mul_f64(chance as f64 / 10_000.0)
    }

    /// When `on_timer` has something to do next.
    pub fn deadline(&self) -> Time {
        match self.waiting_until {
            Some(until) => until.min(self.next_resend),
            None => self.next,
        }
    }

    /// When `on_timer` has something to do first: a member that was never asked begins at `at`, the spread
    /// between members that would otherwise be asked at once.
    pub fn start(&mut self, at: Time) -> Time {
        if self.sequence == 0 {
            self.next = at;
        }
        self.deadline()
    }

    /// An answer to probe `sequence` arrived. True where it changed anything.
    pub fn on_answer(&mut self, sequence: u32, probe: &Probe) -> bool {
        if self.waiting_until.is_none() || sequence != self.sequence {
            return false;
        }
        self.waiting_until = None;
        self.missed = 0;
        self.answered = self.answered.saturating_add(1);
        if self.health == Health::Unknown || self.answered >= probe.rise {
            self.health = Health::Up;
            self.busy = false;
        }
        true
    }

    /// An answer to probe `sequence` arrived that says: alive, but take nothing here (503). True where it
    /// changed anything. It takes `rise` good answers in a row to be believed again.
    pub fn on_busy(&mut self, sequence: u32) -> bool {
        if self.waiting_until.is_none() || sequence != self.sequence {
            return false;
        }
        self.waiting_until = None;
        self.missed = 0;
        self.answered = 0;
        self.busy = true;
        if self.health == Health::Unknown {
            self.health = Health::Up;
        }
        true
    }

    /// Whether its probes say that it takes nothing.
    pub const fn is_busy(&self) -> bool {
        self.busy
    }

    /// The network said that nobody is there.
    pub fn on_unreachable(&mut self, probe: &Probe) {
        self.waiting_until = None;
        self.missed(probe.fall);
    }

    /// Something makes its silence likely: the next probe is due at once, unless the last one was sent a moment ago.
    pub fn look(&mut self, now: Time) {
        if now.since(self.asked) >= limits::LOOK_AT_MEMBER {
            self.next = self.next.min(now);
        }
    }

    /// Whether a probe is on its way.
    pub const fn is_waiting(&self) -> bool {
        self.waiting_until.is_some()
    }

    /// It answered a request: it takes `fall` misses in a row again. Where it is down only its probes bring it
    /// back, if it `has_probes`.
    pub fn on_request_answered(&mut self, has_probes: bool) {
        match self.health {
            Health::Down if has_probes => return,
            Health::Down => self.health = Health::Unknown,
            Health::Unknown | Health::Up => {}
        }
        self.missed = 0;
    }

    /// A request was not answered in time. `may_eject`: that alone may take the member down. True where it
    /// did.
    pub fn missed_request(&mut self, fall: u8, may_eject: bool) -> bool {
        self.answered = 0;
        self.missed = self.missed.saturating_add(1);
        // Where it may not, the next missed probe decides.
        let goes_down = may_eject && self.health != Health::Down && self.missed >= fall;
        if goes_down {
            self.health = Health::Down;
        }
        goes_down
    }

    /// A probe was not answered in time.
    pub fn missed(&mut self, fall: u8) {
        self.answered = 0;
        self.missed = self.missed.saturating_add(1);
        if self.health == Health::Unknown || self.missed >= fall {
            self.health = Health::Down;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBE: Probe =
        Probe { interval: Duration::from_secs(5), timeout: Duration::from_secs(1), fall: 2, rise: 2 };

    fn send(probing: &mut Probing) -> u32 {
        match probing.on_timer(probing.deadline(), &PROBE) {
            ProbeDue::Send { sequence } => sequence,
            other => panic!("{other:?}"),
        }
    }

    fn answer_one(probing: &mut Probing) {
        let sequence = send(probing);
        assert!(probing.on_answer(sequence, &PROBE));
    }

    fn miss_one(probing: &mut Probing) {
        send(probing);
        while probing.on_timer(probing.deadline(), &PROBE) != ProbeDue::Missed {}
    }

    #[test]
    fn the_first_answer_brings_an_unknown_member_up() {
        let mut probing = Probing::new(7);
        answer_one(&mut probing);
        assert_eq!(probing.health(), Health::Up);
    }

    #[test]
    fn the_first_miss_takes_an_unknown_member_down() {
        let mut probing = Probing::new(7);
        miss_one(&mut probing);
        assert_eq!(probing.health(), Health::Down);
    }

    #[test]
    fn fall_and_rise_count_in_a_row() {
        let mut probing = Probing::new(7);
        answer_one(&mut probing);
        miss_one(&mut probing);
        answer_one(&mut probing);
        miss_one(&mut probing);
        assert_eq!(probing.health(), Health::Up);
        miss_one(&mut probing);
        assert_eq!(probing.health(), Health::Down);
        answer_one(&mut probing);
        assert_eq!(probing.health(), Health::Down);
        answer_one(&mut probing);
        assert_eq!(probing.health(), Health::Up);
    }

    #[test]
    fn a_late_answer_to_an_old_probe_counts_for_nothing() {
        let mut probing = Probing::new(7);
        let old = send(&mut probing);
        while probing.on_timer(probing.deadline(), &PROBE) != ProbeDue::Missed {}
        send(&mut probing);
        assert!(!probing.on_answer(old, &PROBE));
    }

    #[test]
    fn a_probe_is_repeated_within_its_time() {
        let mut probing = Probing::new(7);
        let first = send(&mut probing);
        let again = send(&mut probing);
        assert_eq!(first, again);
    }

    #[test]
    fn our_own_lateness_is_no_silence_of_the_member() {
        let mut probing = Probing::new(7);
        let sequence = send(&mut probing);
        let late = Time::ZERO + PROBE.timeout * 3;
        assert_eq!(probing.on_timer(late, &PROBE), ProbeDue::Nothing);
        assert!(probing.on_answer(sequence, &PROBE));
        assert_eq!(probing.health(), Health::Up);
    }

    #[test]
    fn a_busy_member_is_believed_again_after_some_good_answers() {
        let mut probing = Probing::new(7);
        answer_one(&mut probing);
        let sequence = send(&mut probing);
        assert!(probing.on_busy(sequence));
        assert!(probing.is_busy() && probing.health() == Health::Up);
        answer_one(&mut probing);
        assert!(probing.is_busy());
        answer_one(&mut probing);
        assert!(!probing.is_busy());
    }

    #[test]
    fn probes_keep_their_interval() {
        let mut probing = Probing::new(7);
        answer_one(&mut probing);
        let interval = probing.deadline().since(Time::ZERO);
        assert!(interval <= PROBE.interval && interval >= PROBE.interval * 9 / 10, "{interval:?}");
        assert_eq!(probing.on_timer(Time::from_millis(10), &PROBE), ProbeDue::Nothing);
    }
}
