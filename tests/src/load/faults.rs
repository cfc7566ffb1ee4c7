//! One of three members fails under SIPp and comes back: no new call fails, and none goes to it before two good probes.

use std::fmt;
use std::time::Duration;

use sbc_core::flow::Transport;

use crate::process::{Balance, Caller, Heard, Mood, Outcome, PATIENCE, Puppet, Sbc, SippMember, Site, until};
use crate::ua::message::Message;

/// How long each call lasts.
const LENGTH: Duration = Duration::from_secs(1);
/// How long calls go on before it fails, while it has failed, and when it is back, in seconds.
const PARTS: [u32; 3] = [1, 4, 5];
/// The same where it is full. It is asked again after ten seconds, however long it wants to be left alone: once when it
/// still is, and once when it has room again.
const PARTS_WHEN_FULL: [u32; 3] = [1, 12, 12];

/// What came of it.
#[derive(Debug, Clone)]
pub struct Failed {
    /// How it failed.
    pub mood: Mood,
    /// How it is reached.
    pub transport: Transport,
    /// What the caller counted.
    pub outcome: Outcome,
    /// Calls a second.
    pub rate: u32,
    /// New calls that it was asked to take when its failing was known.
    pub asked_in_vain: u32,
    /// What it did when it was well again.
    pub back: Heard,
}

impl Failed {
    /// What is not as it must be.
    pub fn broken(&self) -> Vec<String> {
        let Outcome { begun, answered, failed, unexpected, orphaned, .. } = self.outcome;
        let Self { mood, transport, .. } = *self;
        let mut broken = Vec::new();
        if answered != begun || failed + unexpected > 0 {
            broken.push(format!(
                "{mood:?} by {transport}: {answered} of {begun} calls answered, {failed} failed, {unexpected} unexpected"
            ));
        }
        // Only calls that were up there when it failed can have lost their other end.
        let most_up = u64::from(self.rate) * (LENGTH.as_secs() + 1);
        if orphaned > most_up {
            broken.push(format!("{mood:?} by {transport}: {orphaned} calls found nobody to end them"));
        }
        // Who is full is asked whether he still is: with the calls that come until he has answered, a tenth of a second
        // of them.
        let may_ask = if mood == Mood::Full { self.rate.div_ceil(10) } else { 0 };
        if self.asked_in_vain > may_ask {
            broken.push(format!("{mood:?} by {transport}: {} calls were tried at it", self.asked_in_vain));
        }
        if self.back.calls == 0 || self.back.probes_before_calls < 2 {
            broken.push(format!(
                "{mood:?} by {transport}: it was not taken back after two good probes: {:?}",
                self.back
            ));
        }
        broken
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { begun, answered, failed, orphaned, .. } = self.outcome;
        writeln!(f, "one of three members {:?}, by {}", self.mood, self.transport)?;
        writeln!(f, "calls                       {begun:>7}")?;
        writeln!(f, "answered                    {answered:>7}")?;
        writeln!(f, "failed                      {failed:>7}")?;
        writeln!(f, "BYE found nobody            {orphaned:>7}")?;
        writeln!(f, "tried at it when known      {:>7}", self.asked_in_vain)?;
        writeln!(f, "good probes before calls    {:>7}", self.back.probes_before_calls)
    }
}

/// Let one of three members, reached by UDP or TCP, fail like this and come back, under so many calls a second.
///
/// # Panics
/// When a program does not start or does not end.
pub fn fail(mood: Mood, transport: Transport, rate: u32) -> Failed {
    let name = format!("{mood:?}-{transport}").to_lowercase();
    let by_tcp = transport == Transport::Tcp;
    let site =
        if by_tcp { Site::with_streams(&name, transport) } else { Site::new(&name) }.and_third_member();
    let by = |place| if by_tcp && place == 1 { Transport::Tcp } else { Transport::Udp };
    let start = |(place, address)| Puppet::start(address, by(place));
    let members: Vec<_> = site.pool().into_iter().enumerate().map(start).collect();
    // The second one is the one that TCP may reach.
    let failing = &members[1];
    let sbc = Sbc::start(&site, Balance::CallId);
    let parts = if mood == Mood::Full { PARTS_WHEN_FULL } else { PARTS };
    let mut caller = Caller::start(&site, rate * parts.iter().sum::<u32>(), rate, LENGTH);
    let answered = |calls: u32| until("calls are answered", || caller.answered() >= u64::from(calls));
    answered(rate * parts[0]);
    failing.turn(mood);
    until("it is known", || !sbc.has_up(site.members[1]));
    if matches!(mood, Mood::Full | Mood::Paused | Mood::Deaf) {
        // What was sent before it was known has come when later probes have.
        let asked = failing.heard().asked;
        until("probes go on", || failing.heard().asked > asked + 2);
    }
    let known = failing.heard();
    answered(rate * (parts[0] + parts[1]));
    let asked_in_vain = failing.heard().calls - known.calls;
    failing.turn(Mood::Well);
    until("calls go to it again", || failing.heard().calls > 0);
    let outcome = caller.finish_within(2 * PATIENCE);
    Failed { mood, transport, outcome, rate, asked_in_vain, back: failing.heard() }
}

/// The same with a process that is stopped (SIGSTOP) and goes on (SIGCONT): what came for it meanwhile waits in the
/// kernel, and it answers that first.
///
/// # Panics
/// When a program does not start or does not end.
pub fn stop_process(rate: u32) -> Failed {
    let site = Site::new("sigstop").and_third_member();
    let [stopped, _other] = SippMember::pair(&site);
    let _third = site.pool().last().map(|address| Puppet::start(*address, Transport::Udp));
    let sbc = Sbc::start(&site, Balance::CallId);
    let mut caller = Caller::start(&site, rate * PARTS.iter().sum::<u32>(), rate, LENGTH);
    let answered = |calls: u32| until("calls are answered", || caller.answered() >= u64::from(calls));
    answered(rate * PARTS[0]);
    until("calls go to it", || stopped.calls() > 0);
    let missed_before = sbc.metric("sbc_pool_probes_missed_total");
    stopped.stop();
    let read_before = stopped.received().len();
    until("it is known", || !sbc.has_up(site.members[0]));
    // Calls that begin from now on are not for it; SIPp says twice how many had begun, so that all before are counted.
    let mut known = caller.begun();
    for _ in 0..2 {
        until("more calls begin", || caller.begun() > known);
        known = caller.begun();
    }
    answered(rate * (PARTS[0] + PARTS[1]));
    let is_new = |message: &Message| message.method() == "INVITE" && number_of(message) > Some(known);
    stopped.go_on();
    let since = || -> Vec<Message> {
        let read = stopped.received().split_off(read_before);
        read.iter().filter_map(|bytes| Message::read(bytes).ok()).collect()
    };
    until("calls go to it again", || since().iter().any(is_new));
    let missed = sbc.metric("sbc_pool_probes_missed_total") - missed_before;
    let outcome = caller.finish_within(2 * PATIENCE);
    let back = judge(&since(), missed, is_new);
    Failed { mood: Mood::Stopped, transport: Transport::Udp, outcome, rate, asked_in_vain: 0, back }
}

/// Calls of SIPp are numbered from 1, first thing in their Call-ID.
fn number_of(request: &Message) -> Option<u64> {
    request.call_id().split('-').next()?.parse().ok()
}

/// What a member has read since it was stopped, in order. Of the probes, which are numbered, as many were missed from the
/// first on, also those that the kernel had no room for; later ones it answered in time. A call that was sent to it when
/// it was known to be stopped stands before them.
fn judge(read: &[Message], missed: u64, is_new: impl Fn(&Message) -> bool) -> Heard {
    let mut heard = Heard::default();
    let mut first = None;
    let mut newest = 0;
    for message in read {
        if message.method() == "OPTIONS" && message.cseq() > newest {
            newest = message.cseq();
            let first = *first.get_or_insert(newest);
            heard.asked += 1;
            heard.probes += u32::from(u64::from(newest - first) >= missed);
        } else if is_new(message) {
            if heard.calls == 0 {
                heard.probes_before_calls = heard.probes;
            }
            heard.calls += 1;
        }
    }
    heard
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(method: &str, call_id: &str, number: u32) -> Message {
        let mut message = Message::request(method, "sip:a@b");
        message.push("Call-ID", call_id);
        message.push("CSeq", format!("{number} {method}"));
        message
    }

    #[test]
    fn probes_that_were_missed_are_no_good_ones_even_where_the_kernel_dropped_them() {
        let probe = |number| message("OPTIONS", "probe", number);
        let call = |number| message("INVITE", &format!("{number}-1@a"), 1);
        let is_new = |message: &Message| message.method() == "INVITE" && number_of(message) > Some(60);
        // 6 to 10 were missed.
        let read =
            [call(50), probe(6), probe(6), probe(7), probe(8), probe(11), probe(12), call(90), probe(13)];
        let heard = judge(&read, 5, is_new);
        assert_eq!(heard, Heard { asked: 6, probes: 3, calls: 1, probes_before_calls: 2 });
        let too_early = [probe(6), call(61), probe(11), probe(12)];
        assert_eq!(judge(&too_early, 5, is_new).probes_before_calls, 0);
    }
}
