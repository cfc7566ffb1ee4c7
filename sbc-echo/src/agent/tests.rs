//! One behaviour each, on virtual time.

use super::{Agent, Command, Input};
use crate::Settings;
use crate::call::{CallNumber, MAX_CALL, RING};
use crate::repeat::{PATIENCE, T1};
use std::collections::hash_map::RandomState;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
                     m=audio 9000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
const WEBRTC: &str = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n";

/// An agent, its clock, and what it did last.
struct Bench {
    agent: Agent,
    now: Instant,
    source: SocketAddr,
    done: Vec<Command>,
    requests: u32,
}

impl Bench {
    fn new(max_calls: usize) -> Self {
        let settings = Settings { sip: "192.0.2.1:5080".parse().unwrap(), rtp_ports: 4001..=4005, max_calls };
        Self {
            agent: Agent::new(settings.sip, &settings, RandomState::new()),
            now: Instant::now(),
            source: "192.0.2.9:5060".parse().unwrap(),
            done: Vec::new(),
            requests: 0,
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        self.done.clear();
        self.agent.handle(self.now, input, &mut self.done);
    }

    /// Give the agent a message; returns the texts that it sent.
    fn receive(&mut self, message: &str) -> Vec<String> {
        let source = self.source;
        self.handle(Input::Received { source, bytes: message.as_bytes() });
        self.sent()
    }

    /// Let time pass, with a call of the agent at each of its deadlines; returns all texts that it sent.
    fn pass(&mut self, time: Duration) -> Vec<String> {
        let (end, mut sent, mut all) = (self.now + time, Vec::new(), Vec::new());
        while let Some(deadline) = self.agent.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.handle(Input::Deadline);
            sent.extend(self.sent());
            all.append(&mut self.done);
        }
        self.now = end;
        self.done = all;
        sent
    }

    fn sent(&self) -> Vec<String> {
        let text = |command: &Command| match command {
            Command::Send { bytes, .. } => Some(String::from_utf8(bytes.clone()).unwrap()),
            _ => None,
        };
        self.done.iter().filter_map(text).collect()
    }

    /// A request of call `id`; `headers` are whole lines, `to_tag` may be empty.
    fn request(&mut self, method: &str, id: &str, to_tag: &str, headers: &str, body: &str) -> String {
        self.requests += 1;
        let cseq = self.requests;
        request(method, cseq, &format!("z9hG4bK{cseq}"), id, to_tag, headers, body)
    }

    /// Set up call `id`; returns the texts up to the 200, and the tag.
    fn answered(&mut self, id: &str, headers: &str, body: &str) -> (Vec<String>, String) {
        let invite = self.request("INVITE", id, "", headers, body);
        let mut texts = self.receive(&invite);
        texts.extend(self.pass(RING));
        let tag = tag_of(texts.last().unwrap());
        (texts, tag)
    }

    fn ack(&mut self, id: &str, tag: &str, body: &str) -> Vec<String> {
        let ack = request("ACK", self.requests, "z9hG4bKack", id, tag, "", body);
        self.receive(&ack)
    }

    /// Set up and confirm call `id`; returns the tag.
    fn confirmed(&mut self, id: &str) -> String {
        let (_, tag) = self.answered(id, "", OFFER);
        assert!(self.ack(id, &tag, "").is_empty());
        tag
    }

    fn is_idle(&self) -> bool {
        self.agent.calls.is_empty()
            && self.agent.by_invite.is_empty()
            && self.agent.timetable.is_empty()
            && self.agent.free_ports.len() == 2
    }
}

fn request(
    method: &str,
    cseq: u32,
    branch: &str,
    id: &str,
    to_tag: &str,
    headers: &str,
    body: &str,
) -> String {
    let to_tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:100@192.0.2.1:5080 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch={branch};rport\r\n\
         From: <sip:alice@example.com>;tag=alice\r\nTo: <sip:100@example.com>{to_tag}\r\nCall-ID: {id}\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:alice@192.0.2.9:5060>\r\n{headers}{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let line = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {message}"))
}

fn tag_of(message: &str) -> String {
    header(message, "To").split_once(";tag=").unwrap().1.to_owned()
}

fn first_lines(messages: &[String]) -> Vec<&str> {
    messages.iter().map(|message| message.lines().next().unwrap()).collect()
}

#[test]
fn a_call_rings_is_answered_and_ends_with_its_bye() {
    let mut bench = Bench::new(9);
    let (texts, tag) = bench.answered("a", "", OFFER);
    assert_eq!(first_lines(&texts), ["SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK"]);
    assert!(!header(&texts[0], "To").contains("tag="));
    assert_eq!(tag_of(&texts[1]), tag);
    assert!(texts[2].contains("m=audio 4002 RTP/AVP 0 101\r\n"), "{}", texts[2]);
    assert_eq!(header(&texts[2], "Contact"), "<sip:echo@192.0.2.1:5080>");
    let number = CallNumber::of_tag(tag.as_bytes()).unwrap();
    assert!(bench.done.contains(&Command::Media { call: number, echo: true }));

    assert!(bench.ack("a", &tag, "").is_empty());
    assert!(bench.pass(Duration::from_secs(600)).is_empty());
    let bye = bench.request("BYE", "a", &tag, "", "");
    assert_eq!(first_lines(&bench.receive(&bye)), ["SIP/2.0 200 OK"]);
    assert!(bench.done.contains(&Command::Close { call: number }));
    assert!(bench.is_idle());
    assert_eq!(first_lines(&bench.receive(&bye)), ["SIP/2.0 200 OK"], "a repeated BYE is answered again");
}

#[test]
fn responses_go_back_where_the_request_was_seen_and_say_so() {
    let mut bench = Bench::new(9);
    bench.source = "198.51.100.7:40000".parse().unwrap();
    let options = bench.request("OPTIONS", "a", "", "Via: SIP/2.0/UDP 192.0.2.8;branch=z9hG4bKlower\r\n", "");
    let texts = bench.receive(&options);
    assert_eq!(
        header(&texts[0], "Via"),
        "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1;received=198.51.100.7;rport=40000"
    );
    assert!(texts[0].contains("Via: SIP/2.0/UDP 192.0.2.8;branch=z9hG4bKlower\r\n"));
    assert!(matches!(bench.done[0], Command::Send { to, .. } if to == bench.source));

    let without_rport = options.replace(";rport", "").replace("z9hG4bK1", "z9hG4bKother");
    bench.receive(&without_rport);
    assert!(matches!(bench.done[0], Command::Send { to, .. } if to == "198.51.100.7:5060".parse().unwrap()));
}

#[test]
fn a_repeated_invite_makes_no_second_call() {
    let mut bench = Bench::new(9);
    let invite = bench.request("INVITE", "a", "", "", OFFER);
    bench.receive(&invite);
    assert_eq!(first_lines(&bench.receive(&invite)), ["SIP/2.0 180 Ringing"]);
    let answer = bench.pass(RING);
    assert_eq!(bench.receive(&invite), answer);
    assert_eq!(bench.agent.calls.len(), 1);
}

#[test]
fn the_200_is_repeated_until_the_ack_and_without_one_the_call_ends() {
    let mut bench = Bench::new(9);
    let (_, tag) = bench.answered("a", "", OFFER);
    assert_eq!(bench.pass(T1 * 3).len(), 2, "after T1 and 3*T1");
    let wrong = request("ACK", 99, "z9hG4bKx", "a", &tag, "", "");
    bench.receive(&wrong);
    assert_eq!(bench.pass(T1 * 4).len(), 1, "an ACK with another CSeq confirms nothing");
    let texts = bench.pass(PATIENCE - T1 * 7);
    assert_eq!(first_lines(&texts[texts.len() - 1..]), ["BYE sip:alice@192.0.2.9:5060 SIP/2.0"]);
    bench.pass(PATIENCE);
    assert!(bench.is_idle(), "a BYE that nobody answers is given up");
}

#[test]
fn our_bye_follows_the_route_and_ends_with_its_answer() {
    let mut bench = Bench::new(9);
    let routes = "Record-Route: <sip:192.0.2.50:5070;lr>, <sip:b.example.com;lr>\r\nRecord-Route: <sip:c.example.com;lr>\r\n";
    let (texts, tag) = bench.answered("a", routes, OFFER);
    assert!(texts[2].contains(routes), "{}", texts[2]);
    assert!(!texts[0].contains("Record-Route"));
    bench.ack("a", &tag, "");
    let texts = bench.pass(MAX_CALL);
    let bye = &texts[0];
    assert!(bye.starts_with("BYE sip:alice@192.0.2.9:5060 SIP/2.0\r\n"));
    let expected = "Route: <sip:192.0.2.50:5070;lr>\r\nRoute: <sip:b.example.com;lr>\r\nRoute: <sip:c.example.com;lr>\r\n";
    assert!(bye.contains(expected), "{bye}");
    assert_eq!(header(bye, "From"), format!("<sip:100@example.com>;tag={tag}"));
    assert_eq!(header(bye, "To"), "<sip:alice@example.com>;tag=alice");
    let to = "192.0.2.50:5070".parse().unwrap();
    assert!(bench.done.iter().any(|command| matches!(command, Command::Send { to: hop, .. } if *hop == to)));

    let answer = bye.replace("BYE sip:alice@192.0.2.9:5060 SIP/2.0", "SIP/2.0 200 OK");
    bench.receive(&answer.replace("Call-ID: a", "Call-ID: b"));
    assert!(!bench.is_idle(), "another call's answer changes nothing");
    bench.receive(&answer);
    assert!(bench.is_idle());
}

#[test]
fn a_cancel_while_ringing_ends_the_invite_with_487_until_its_ack() {
    let mut bench = Bench::new(9);
    let invite = bench.request("INVITE", "a", "", "", OFFER);
    let tag = tag_of(&bench.receive(&invite)[1]);
    let cancel = request("CANCEL", 1, "z9hG4bK1", "a", "", "", "");
    let texts = bench.receive(&cancel);
    assert_eq!(first_lines(&texts), ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]);
    assert_eq!((tag_of(&texts[0]), tag_of(&texts[1])), (tag.clone(), tag.clone()));
    assert_eq!(header(&texts[1], "CSeq"), "1 INVITE");
    assert_eq!(first_lines(&bench.pass(T1)), ["SIP/2.0 487 Request Terminated"]);
    bench.ack("a", &tag, "");
    assert!(bench.is_idle());
}

#[test]
fn a_cancel_too_late_or_for_nothing_changes_nothing() {
    let mut bench = Bench::new(9);
    bench.answered("a", "", OFFER);
    let late = request("CANCEL", 1, "z9hG4bK1", "a", "", "", "");
    assert_eq!(first_lines(&bench.receive(&late)), ["SIP/2.0 200 OK"]);
    assert_eq!(bench.agent.calls.len(), 1);
    let unknown = request("CANCEL", 1, "z9hG4bKother", "a", "", "", "");
    assert_eq!(first_lines(&bench.receive(&unknown)), ["SIP/2.0 481 Call/Transaction Does Not Exist"]);
}

#[test]
fn a_bye_while_ringing_ends_the_invite_too() {
    let mut bench = Bench::new(9);
    let invite = bench.request("INVITE", "a", "", "", OFFER);
    let tag = tag_of(&bench.receive(&invite)[1]);
    let bye = bench.request("BYE", "a", &tag, "", "");
    assert_eq!(first_lines(&bench.receive(&bye)), ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]);
    bench.pass(PATIENCE);
    assert!(bench.is_idle(), "a 487 without ACK is given up");
}

#[test]
fn an_rtp_port_that_does_not_open_is_503() {
    let mut bench = Bench::new(9);
    let invite = bench.request("INVITE", "a", "", "", OFFER);
    let tag = tag_of(&bench.receive(&invite)[1]);
    bench.handle(Input::MediaFailed(CallNumber::of_tag(tag.as_bytes()).unwrap()));
    assert_eq!(first_lines(&bench.sent()), ["SIP/2.0 503 Service Unavailable"]);
}

#[test]
fn calls_beyond_the_limit_or_the_ports_are_busy() {
    for max_calls in [2, 9] {
        let mut bench = Bench::new(max_calls);
        bench.confirmed("a");
        bench.confirmed("b");
        let third = bench.request("INVITE", "c", "", "", OFFER);
        assert_eq!(first_lines(&bench.receive(&third)), ["SIP/2.0 486 Busy Here"]);
    }
}

#[test]
fn offers_that_cannot_be_taken_are_refused_with_the_reason() {
    let mut bench = Bench::new(9);
    let webrtc = bench.request("INVITE", "a", "", "", WEBRTC);
    let texts = bench.receive(&webrtc);
    assert_eq!(first_lines(&texts), ["SIP/2.0 488 Not Acceptable Here"]);
    assert_eq!(
        header(&texts[0], "Warning"),
        "399 sbc-echo \"WebRTC media is not supported by the echo peer\""
    );

    let other = bench.request("INVITE", "b", "", "", OFFER).replace("application/sdp", "text/plain");
    assert_eq!(first_lines(&bench.receive(&other)), ["SIP/2.0 415 Unsupported Media Type"]);
    let reliable = bench.request("INVITE", "c", "", "Require: timer, 100rel\r\n", OFFER);
    let texts = bench.receive(&reliable);
    assert_eq!(first_lines(&texts), ["SIP/2.0 420 Bad Extension"]);
    assert_eq!(header(&texts[0], "Unsupported"), "100rel");
    assert!(bench.is_idle());
}

#[test]
fn an_invite_without_offer_gets_one_and_the_ack_answers_it() {
    let mut bench = Bench::new(9);
    let (texts, tag) = bench.answered("a", "", "");
    assert!(texts[2].contains("RTP/AVP 0 8 101\r\n"));
    let held = OFFER.to_owned() + "a=sendonly\r\n";
    assert!(bench.ack("a", &tag, &held).is_empty());
    let call = CallNumber::of_tag(tag.as_bytes()).unwrap();
    assert_eq!(bench.done, [Command::Media { call, echo: false }]);

    let (_, tag) = bench.answered("b", "", "");
    let texts = bench.ack("b", &tag, "");
    assert_eq!(first_lines(&texts), ["BYE sip:alice@192.0.2.9:5060 SIP/2.0"]);
}

#[test]
fn hold_and_resume_are_answered_and_move_the_target() {
    let mut bench = Bench::new(9);
    let tag = bench.confirmed("a");
    let call = CallNumber::of_tag(tag.as_bytes()).unwrap();
    let held = OFFER.to_owned() + "a=sendonly\r\n";
    let hold = bench.request("INVITE", "a", &tag, "", &held).replace("<sip:alice@", "<sip:moved@");
    let texts = bench.receive(&hold);
    assert!(texts[0].starts_with("SIP/2.0 200 OK") && texts[0].contains("a=recvonly\r\n"), "{}", texts[0]);
    assert!(bench.done.contains(&Command::Media { call, echo: false }));

    let crossing = bench.request("INVITE", "a", &tag, "", OFFER);
    assert_eq!(first_lines(&bench.receive(&crossing)), ["SIP/2.0 491 Request Pending"]);
    bench.requests -= 1;
    bench.ack("a", &tag, "");
    bench.requests += 1;

    let resume = bench.request("UPDATE", "a", &tag, "", OFFER);
    let texts = bench.receive(&resume);
    assert!(texts[0].starts_with("SIP/2.0 200 OK") && texts[0].contains("a=sendrecv\r\n"), "{}", texts[0]);
    assert!(bench.done.contains(&Command::Media { call, echo: true }));

    let refused = bench.request("INVITE", "a", &tag, "", WEBRTC);
    assert_eq!(first_lines(&bench.receive(&refused)), ["SIP/2.0 488 Not Acceptable Here"]);
    assert_eq!(bench.agent.calls.len(), 1, "the call goes on");
}

#[test]
fn an_update_with_an_offer_has_to_wait_for_the_answer_to_the_first() {
    let mut bench = Bench::new(9);
    let invite = bench.request("INVITE", "a", "", "", OFFER);
    let tag = tag_of(&bench.receive(&invite)[1]);
    let update = bench.request("UPDATE", "a", &tag, "", OFFER);
    let texts = bench.receive(&update);
    assert_eq!(first_lines(&texts), ["SIP/2.0 500 Server Internal Error"]);
    assert_eq!(header(&texts[0], "Retry-After"), "2");
    let plain = bench.request("UPDATE", "a", &tag, "", "");
    let texts = bench.receive(&plain);
    assert!(texts[0].starts_with("SIP/2.0 200 OK") && texts[0].contains("Content-Length: 0\r\n"));
}

#[test]
fn a_session_interval_is_kept_by_refreshing_and_ends_the_call_otherwise() {
    let mut bench = Bench::new(9);
    let timer = "Supported: timer\r\nSession-Expires: 90\r\n";
    let (texts, tag) = bench.answered("a", timer, OFFER);
    assert_eq!(header(&texts[2], "Session-Expires"), "90;refresher=uac");
    assert_eq!(header(&texts[2], "Require"), "timer");
    bench.ack("a", &tag, "");
    assert!(bench.pass(Duration::from_secs(55)).is_empty());
    let refresh = bench.request("UPDATE", "a", &tag, timer, "");
    assert_eq!(header(&bench.receive(&refresh)[0], "Session-Expires"), "90;refresher=uac");
    assert!(bench.pass(Duration::from_secs(55)).is_empty());
    let texts = bench.pass(Duration::from_secs(5));
    assert!(texts[0].starts_with("BYE "), "30 s before the end");
}

#[test]
fn a_session_interval_too_short_is_refused_and_one_for_us_to_refresh_is_not_taken() {
    let mut bench = Bench::new(9);
    let short = bench.request("INVITE", "a", "", "Supported: timer\r\nSession-Expires: 60\r\n", OFFER);
    let texts = bench.receive(&short);
    assert_eq!(first_lines(&texts), ["SIP/2.0 422 Session Interval Too Small"]);
    assert_eq!(header(&texts[0], "Min-SE"), "90");
    let for_us = "Supported: timer\r\nSession-Expires: 90;refresher=uas\r\n";
    for (id, headers) in [("b", for_us), ("c", "Session-Expires: 90\r\n")] {
        let (texts, _) = bench.answered(id, headers, OFFER);
        assert!(!texts[2].contains("Session-Expires"));
    }
}

#[test]
fn silence_ends_a_call_unless_the_peer_holds() {
    let mut bench = Bench::new(9);
    let tag = bench.confirmed("a");
    let call = CallNumber::of_tag(tag.as_bytes()).unwrap();
    let hold = bench.request("UPDATE", "a", &tag, "", &(OFFER.to_owned() + "a=inactive\r\n"));
    bench.receive(&hold);
    bench.handle(Input::MediaSilent(call));
    assert!(bench.done.is_empty());
    let resume = bench.request("UPDATE", "a", &tag, "", OFFER);
    bench.receive(&resume);
    bench.handle(Input::MediaSilent(call));
    assert_eq!(header(&bench.sent()[0], "Reason"), "SIP;cause=480;text=\"no RTP\"");
}

#[test]
fn requests_of_unknown_dialogs_are_481_and_old_ones_500() {
    let mut bench = Bench::new(9);
    let tag = bench.confirmed("a");
    for method in ["INVITE", "BYE", "UPDATE", "INFO"] {
        for (id, tag) in [("a", "0123456789abcdef"), ("b", tag.as_str()), ("a", "x")] {
            let stray = bench.request(method, id, tag, "", "");
            assert_eq!(first_lines(&bench.receive(&stray)), ["SIP/2.0 481 Call/Transaction Does Not Exist"]);
        }
    }
    let old = request("INFO", 1, "z9hG4bKold", "a", &tag, "", "");
    assert_eq!(first_lines(&bench.receive(&old)), ["SIP/2.0 500 Server Internal Error"]);
    let info = bench.request("INFO", "a", &tag, "", "");
    assert_eq!(first_lines(&bench.receive(&info)), ["SIP/2.0 200 OK"]);
}

#[test]
fn other_methods_get_the_status_they_are_owed() {
    let mut bench = Bench::new(9);
    for (method, line) in [
        ("OPTIONS", "SIP/2.0 200 OK"),
        ("MESSAGE", "SIP/2.0 200 OK"),
        ("SUBSCRIBE", "SIP/2.0 489 Bad Event"),
        ("PRACK", "SIP/2.0 481 Call/Transaction Does Not Exist"),
        ("PUBLISH", "SIP/2.0 405 Method Not Allowed"),
    ] {
        let asked = bench.request(method, "a", "", "", "");
        assert_eq!(first_lines(&bench.receive(&asked)), [line]);
    }
}

#[test]
fn a_register_is_granted_listed_with_its_path_and_taken_back() {
    let mut bench = Bench::new(9);
    let path = "Path: <sip:token@192.0.2.1;lr>\r\n";
    let first = bench.request("REGISTER", "r", "", &format!("{path}Expires: 300\r\n"), "");
    let texts = bench.receive(&first);
    assert_eq!(header(&texts[0], "Contact"), "<sip:alice@192.0.2.9:5060>;expires=300");
    assert_eq!(header(&texts[0], "Path"), "<sip:token@192.0.2.1;lr>");

    bench.pass(Duration::from_secs(100));
    let second = bench
        .request("REGISTER", "r", "", path, "")
        .replace("Contact: <sip:alice@192.0.2.9:5060>", "Contact: <sip:alice@192.0.2.8>;reg-id=1;expires=60");
    let text = bench.receive(&second).remove(0);
    assert!(text.contains("Contact: <sip:alice@192.0.2.9:5060>;expires=200\r\n"), "{text}");
    assert!(text.contains("Contact: <sip:alice@192.0.2.8>;reg-id=1;expires=60\r\n"), "{text}");

    bench.pass(Duration::from_secs(100));
    let removal = bench.request("REGISTER", "r", "", &format!("{path}Expires: 0\r\n"), "");
    assert!(!bench.receive(&removal)[0].contains("Contact:"));
    let all = bench.request("REGISTER", "r", "", "Expires: 0\r\n", "");
    let all = all.replace("Contact: <sip:alice@192.0.2.9:5060>", "Contact: *");
    assert!(bench.receive(&all)[0].starts_with("SIP/2.0 200 OK"));
}

#[test]
fn one_user_cannot_take_all_bindings() {
    let mut bench = Bench::new(9);
    for number in 0..17 {
        let register =
            bench.request("REGISTER", "r", "", "", "").replace("<sip:alice@", &format!("<sip:{number}@"));
        let register = register.replace("From: <sip:0", "From: <sip:alice");
        let line = if number < 16 { "SIP/2.0 200 OK" } else { "SIP/2.0 503 Service Unavailable" };
        assert_eq!(first_lines(&bench.receive(&register)), [line]);
    }
}

#[test]
fn broken_messages_get_no_answer_and_leave_nothing_behind() {
    let mut bench = Bench::new(9);
    let invite = bench.request("INVITE", "a", "", "", OFFER);
    let head = invite.find("\r\n\r\n").unwrap();
    for end in 0..head {
        let source = bench.source;
        bench.handle(Input::Received { source, bytes: &invite.as_bytes()[..end] });
        assert!(bench.done.is_empty(), "{end}");
    }
    for damage in [
        ("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        ("CSeq: 1", "CSeq: x"),
        ("Call-ID: a", "Call-ID: "),
        ("Via: SIP/2.0/UDP", "Via: nonsense"),
        ("To: <sip:100@example.com>", "To: <"),
        ("INVITE sip:100@192.0.2.1:5080 SIP/2.0", "SIP/2.0 200 OK"),
    ] {
        let damaged = invite.replace(damage.0, damage.1);
        assert_ne!(damaged, invite);
        assert!(bench.receive(&damaged).is_empty(), "{damage:?}");
    }
    bench.receive("\r\n\r\n");
    assert!(bench.is_idle());
}
