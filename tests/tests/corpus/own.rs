//! What the torture tests of RFC 4475 and RFC 5118 are about, in words of our own. What single checks refuse is in the
//! case files of `sbc-core/tests/cases`.

use super::stage::{Outcome, Stage, Way};

const FORWARDED: Outcome = Outcome::Forwarded;

/// A request with these lines, which end with LF here.
fn written(lines: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = lines.trim_start().replace('\n', "\r\n").into_bytes();
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// What every one of them ends with.
fn ids(cseq: &str) -> String {
    format!("Call-ID: {}\nCSeq: {cseq}\nMax-Forwards: 70\n", cseq.replace(' ', "-"))
}

fn request(start: &str, from_to: &str, more: &str) -> String {
    let method = start.split(' ').next().unwrap_or_default();
    let ids = ids(&format!("7 {method}"));
    format!("{start} SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.66:5066;branch=z9hG4bKown\n{from_to}{ids}{more}")
}

const PARTIES: &str = "From: <sip:caller@example.com>;tag=own\nTo: <sip:callee@example.com>\n";
const CONTACT: &str = "Contact: <sip:caller@192.0.2.66>\n";

fn judged(what: &str, bytes: &[u8], expected: &[Outcome]) {
    for way in Way::BOTH {
        let mut stage = Stage::new(way);
        let outcome = stage.judge(bytes);
        assert!(expected.contains(&outcome), "{what} over {way:?}: {outcome:?}");
        stage.assert_alive();
    }
}

#[test]
fn unusual_and_lawful_requests_go_on() {
    let invite =
        |start: &str, parties: &str, more: &str| request(start, parties, &format!("{CONTACT}{more}"));
    let folded = "INVITE sip:callee@example.com;unknown SIP/2.0\nTO :\n sip:callee@example.com\nf: \"C \\\\\\\" \" \
        <sip:caller@example.com>\n ; tag = 1\nMax-Forwards: 0068\ni: folded\nCSeq: 0009\n INVITE\nv: SIP / 2.0\n / UDP \
        192.0.2.66;branch=z9hG4bKa\nVia: SIP/2.0/TCP a.example.com;branch=z9hG4bKb , SIP/2.0/UDP 192.0.2.9\nSubject:\n\
        UnknownHeader: any;thing,here\nm: <sip:caller@192.0.2.66>;p=\"1\"\n";
    let cases = [
        ("folding, compact names, leading zeros", folded.to_owned()),
        ("escapes in a user", invite("INVITE sip:sips%3Ax%40y@example.com", PARTIES, "")),
        ("a parameter in a user", request("OPTIONS sip:user;par=u%40h@example.com", PARTIES, "")),
        (
            "a display name without a blank",
            request("OPTIONS sip:u@example.com", &PARTIES.replace("From: <", "From: caller<"), ""),
        ),
        ("an unknown method", request("CONVERSE sip:u@example.com", PARTIES, "")),
        ("a method with a percent sign", request("RE%47IST%45R sip:example.com", PARTIES, "")),
        (
            "unknown transports below",
            request(
                "OPTIONS sip:u@example.com",
                PARTIES,
                "Via: SIP/2.0/CARRIER-PIGEON a.example.com;branch=z9hG4bKb\n",
            ),
        ),
        (
            "a date of nowhere",
            invite("INVITE sip:u@example.com", PARTIES, "Date: Fri, 01 Jan 2010 16:00:00 EST\n"),
        ),
        ("a type nobody knows", invite("INVITE sip:u@example.com", PARTIES, "Accept: text/nobody-knows\n")),
        ("an IPv6 reference", request("OPTIONS sip:[2001:db8::10]:5070", PARTIES, "")),
        (
            "a received in brackets",
            request("OPTIONS sip:u@[2001:db8::10]", PARTIES, "")
                .replace("=z9hG4bKown", "=z9hG4bKown;received=[2001:db8::9]"),
        ),
        (
            "a received without",
            request("OPTIONS sip:u@[2001:db8::10]", PARTIES, "")
                .replace("=z9hG4bKown", "=z9hG4bKown;received=2001:db8::9"),
        ),
        (
            "another scheme of credentials",
            request(
                "REGISTER sip:example.com",
                &PARTIES.replace("callee", "caller"),
                &format!("{CONTACT}Authorization: Riddle answer=\"42\"\n"),
            ),
        ),
        (
            "NUL in bindings",
            request(
                "REGISTER sip:example.com",
                &PARTIES.replace("callee", "a%00b"),
                "Contact: <sip:%00@192.0.2.66>\n",
            ),
        ),
        (
            "a header part in a binding",
            request(
                "REGISTER sip:example.com",
                PARTIES,
                "Contact: <sip:c@192.0.2.66?Route=%3Csip:x.test%3E>\n",
            ),
        ),
        (
            "an unknown parameter of a binding",
            request("REGISTER sip:example.com", PARTIES, "Contact: sip:c@192.0.2.66;unknown\n"),
        ),
    ];
    for (what, lines) in cases {
        judged(what, &written(&lines, b""), &[FORWARDED]);
        // Clients of RFC 2543 write no cookie.
        judged(what, &written(&lines.replace("z9hG4bK", ""), b""), &[FORWARDED]);
    }
}

#[test]
fn what_follows_a_message_is_not_looked_at() {
    let lines = request("OPTIONS sip:u@example.com", PARTIES, "Content-Length: 0\n");
    let second = written(&request("INVITE sip:second@example.com", PARTIES, CONTACT), b"");
    let mut stage = Stage::new(Way::Udp);
    let outside = stage.outside();
    let sent = stage.hear(outside, &written(&lines, &second));
    let told: Vec<_> = sent.iter().map(|one| String::from_utf8_lossy(&one.bytes).into_owned()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("OPTIONS ") && !told[0].contains("second"), "{told:?}");
}

#[test]
fn a_body_of_any_bytes_passes_byte_for_byte() {
    let body: Vec<u8> =
        b"--b\r\nContent-Type: application/x\r\n\r\n".iter().copied().chain(0..=255).collect();
    let more = format!("Content-Type: multipart/mixed;boundary=b\nContent-Length: {}\n", body.len());
    let bytes = written(&request("MESSAGE sip:u@example.com", PARTIES, &more), &body);
    let mut stage = Stage::new(Way::Udp);
    let outside = stage.outside();
    let sent = stage.hear(outside, &bytes);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].bytes.ends_with(&body), "{}", String::from_utf8_lossy(&sent[0].bytes));
}

#[test]
fn what_cannot_go_on_gets_the_status_it_is_owed() {
    let parties = |from: &str, to: &str| format!("From: {from}\nTo: {to}\n");
    let options = |parties: &str, more: &str| request("OPTIONS sip:u@example.com", parties, more);
    let cases = [
        (
            "stray separators",
            400,
            request("INVITE sip:u@example.com", PARTIES, "Contact: \"\" <sip:u@example.org>;;,\n"),
        ),
        ("a length beyond the end", 400, options(PARTIES, "Content-Length: 9999\n")),
        ("a negative length", 400, options(PARTIES, "Content-Length: -999\n")),
        ("two lengths", 400, options(PARTIES, "Content-Length: 1\nContent-Length: 2\n")),
        (
            "numbers over their range",
            400,
            options(PARTIES, "").replace("CSeq: 7", "CSeq: 36893488147419103232"),
        ),
        ("an open quote", 400, options(&parties("<sip:a@b>;tag=1", "\"Mr. J. User <sip:j@example.com>"), "")),
        ("angle brackets", 400, request("OPTIONS <sip:u@example.com>", PARTIES, "")),
        ("a blank in the Request-URI", 400, request("OPTIONS sip:u@example.com; lr", PARTIES, "")),
        ("two blanks", 400, request("OPTIONS  sip:u@example.com", PARTIES, "")),
        ("a blank at the end", 400, options(PARTIES, "").replacen(" SIP/2.0\n", " SIP/2.0  \n", 1)),
        (
            "a header in the Request-URI",
            400,
            request("OPTIONS sip:u@example.com?Route=%3Csip:x%3E", PARTIES, ""),
        ),
        (
            "a header part without brackets",
            400,
            request("REGISTER sip:example.com", PARTIES, "Contact: sip:u@example.com?Route=%3Csip:x%3E\n"),
        ),
        ("blanks in brackets", 400, options(&parties("<sip:a@b>;tag=1", "\"W\" < sip:w@example.org >"), "")),
        (
            "an unquoted comma",
            400,
            options(&parties("<sip:a@b>;tag=1", "Watson, Thomas <sip:w@example.org>"), ""),
        ),
        ("another version", 505, options(PARTIES, "").replacen(" SIP/2.0\n", " SIP/7.0\n", 1)),
        ("another method in CSeq", 400, options(PARTIES, "").replace("7 OPTIONS", "7 INVITE")),
        ("the cookie alone", 400, options(PARTIES, "").replace("=z9hG4bKown", "=z9hG4bK")),
        ("no From and no To", 400, options("", "")),
        ("a scheme nobody knows", 416, request("OPTIONS nobodyKnows:this", PARTIES, "")),
        ("a scheme that somebody knows", 416, request("OPTIONS soap.beep://192.0.2.103:3002", PARTIES, "")),
        (
            "an extension nobody knows",
            420,
            options(PARTIES, "Require: nothing\nProxy-Require: nothing, special\n"),
        ),
        ("two of everything", 400, options(&format!("{PARTIES}{PARTIES}"), "")),
        (
            "no hop left",
            483,
            request("INVITE sip:u@example.com", PARTIES, CONTACT)
                .replace("Max-Forwards: 70", "Max-Forwards: 0"),
        ),
        ("IPv6 without brackets", 400, request("OPTIONS sip:2001:db8::10", PARTIES, "")),
    ];
    for (what, status, lines) in cases {
        judged(what, &written(&lines, b""), &[Outcome::Answered(status)]);
    }
}

#[test]
fn stray_responses_and_what_cannot_be_answered_get_silence() {
    let response = |start: &str, cseq: &str| {
        format!(
            "{start}\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\nVia: SIP/2.0/UDP 255.255.255.255\n{PARTIES}{}",
            ids(cseq)
        )
    };
    let cases = [
        ("a phrase of any letters", response("SIP/2.0 200 = 2**3 * 5**2 \u{43d}\u{43e}", "1 INVITE")),
        ("no phrase", response("SIP/2.0 100 ", "1 INVITE")),
        ("numbers over their range", response("SIP/2.0 503 Busy", "9292394834772304023312 OPTIONS")),
        ("a status of ten digits", response("SIP/2.0 4294967301 better not", "1 INVITE")),
        ("a broadcast address below", response("SIP/2.0 200 OK", "1 INVITE")),
        ("no Via", request("OPTIONS sip:u@example.com", PARTIES, "").replace("Via: ", "X-Via: ")),
        ("an ACK that breaks the grammar", request("ACK sip:u@example.com?x=y", PARTIES, "")),
        ("an ACK of nothing", request("ACK sip:u@example.com", PARTIES, "")),
    ];
    for (what, lines) in cases {
        judged(what, &written(&lines, b""), &[Outcome::Dropped]);
    }
}
