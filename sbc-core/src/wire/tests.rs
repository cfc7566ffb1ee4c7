//! Rules of the whole message, one behaviour per test.

mod corpus;
mod random;
mod rsip_agrees;

use super::*;

/// An indexed copy of some text.
struct Read {
    bytes: Vec<u8>,
    index: Index,
    verdict: Result<(), ParseError>,
}

impl Read {
    fn message(&self) -> Message<'_> {
        Message::new(&self.bytes, &self.index)
    }
}

fn read_within(bytes: &[u8], limits: &Limits) -> Read {
    let mut index = Index::new();
    let verdict = index.parse(bytes, Framing::Datagram, limits);
    Read { bytes: bytes.to_vec(), index, verdict }
}

fn read(text: &str) -> Read {
    read_within(text.as_bytes(), &Limits::default())
}

/// A lawful request around some header lines.
fn request(headers: &str) -> String {
    format!("INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n{headers}\r\n")
}

fn error(text: &str) -> Option<ParseError> {
    read(text).verdict.err()
}

#[test]
fn request_line_is_taken_apart() {
    let read = read(&request(""));
    let message = read.message();
    assert_eq!(read.verdict, Ok(()));
    assert!(message.is_request());
    assert_eq!((message.method_text(), message.request_uri()), (&b"INVITE"[..], &b"sip:bob@example.com"[..]));
    assert_eq!(&read.bytes[message.request_uri_range()], b"sip:bob@example.com");
    assert_eq!(&read.bytes[message.start_line_range()], b"INVITE sip:bob@example.com SIP/2.0\r\n");
    assert_eq!((message.status(), message.reason_phrase()), (0, &b""[..]));
}

#[test]
fn status_line_is_taken_apart() {
    let read = read("SIP/2.0 486 Busy  Here\r\nCSeq: 7 INVITE\r\n\r\n");
    let message = read.message();
    assert!(!message.is_request());
    assert_eq!((message.status(), message.reason_phrase()), (486, &b"Busy  Here"[..]));
    assert_eq!((message.method_text(), message.request_uri()), (&b"INVITE"[..], &b""[..]));
}

#[test]
fn reason_phrase_may_be_empty_or_of_any_bytes() {
    assert_eq!(read("SIP/2.0 100 \r\n\r\n").message().reason_phrase(), b"");
    assert_eq!(read("SIP/2.0 100\r\n\r\n").message().status(), 100);
    let latin = read_within(b"SIP/2.0 200 gr\xfc\xdf dich\r\n\r\n", &Limits::default());
    assert_eq!((latin.verdict, latin.message().reason_phrase()), (Ok(()), &b"gr\xfc\xdf dich"[..]));
}

#[test]
fn start_lines_that_are_not_quite_sip_are_refused() {
    let start_line = Some(ParseError::StartLine);
    for line in [
        "INVITE  sip:a@b SIP/2.0",
        "INVITE sip:a@b  SIP/2.0",
        "INVITE sip:a@b SIP/2.0  ",
        "INVITE sip:a@b; lr SIP/2.0",
        "INVITE SIP/2.0",
        " INVITE sip:a@b SIP/2.0",
        "INV(ITE sip:a@b SIP/2.0",
        "SIP/2.0 42 Short",
        "SIP/2.0 4294967301 Long",
        "SIP/2.0 099 Low",
        "SIP/2.0 700 High",
        "SIP/2.0  200 OK",
        "SIP/2.0 200OK",
        "SIP/2.0",
    ] {
        assert_eq!(error(&format!("{line}\r\nTo: x\r\n\r\n")), start_line, "{line}");
    }
    assert_eq!(error("OPTIONS sip:a@b SIP/7.0\r\n\r\n"), Some(ParseError::Version));
    assert_eq!(error("SIP/1.0 200 OK\r\n\r\n"), Some(ParseError::Version));
    assert_eq!(error("OPTIONS sip:a@b sip/2.0\r\n\r\n"), None);
}

#[test]
fn what_is_no_sip_at_all_leaves_an_empty_index() {
    for text in [
        "",
        "\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "hello\r\n",
        "\0\u{1}\u{2}",
        "INVITE sip:a@b",
        "\n",
    ] {
        let read = read(text);
        assert_eq!(read.verdict, Err(ParseError::NotSip), "{text:?}");
        assert_eq!((read.message().headers().count(), read.message().bytes()), (0, &b""[..]), "{text:?}");
    }
}

#[test]
fn line_ends_before_the_message_are_skipped() {
    let text = format!("\r\n\r\n{}", request("Content-Length: 2\r\n")) + "hi there";
    let read = read(&text);
    let message = read.message();
    assert_eq!(
        message.bytes(),
        request("Content-Length: 2\r\n").as_bytes().iter().chain(b"hi").copied().collect::<Vec<_>>()
    );
    assert_eq!(message.body(), b"hi");
    assert_eq!(message.bytes().get(message.request_uri_range()), Some(&b"sip:bob@example.com"[..]));
}

#[test]
fn headers_are_found_by_name_in_any_form() {
    let text = request(
        "f: <sip:a@b>\r\nROUTE: <sip:r1>\r\nRoute  : <sip:r2>\r\nX-Thing: 1\r\nx-thing: 2\r\nm: *\r\n",
    );
    let read = read(&text);
    let message = read.message();
    assert_eq!(read.verdict, Ok(()));
    assert_eq!(message.value(HeaderName::From), b"<sip:a@b>");
    assert_eq!(message.first(HeaderName::Contact).map(|header| header.raw_name), Some(&b"m"[..]));
    assert_eq!(message.count(HeaderName::Route), 2);
    assert_eq!(message.first(HeaderName::Route).map(|header| header.value), Some(&b"<sip:r1>"[..]));
    assert_eq!(message.last(HeaderName::Route).map(|header| header.value), Some(&b"<sip:r2>"[..]));
    let routes: Vec<_> = message.all(HeaderName::Route).map(|header| header.value).collect();
    assert_eq!(routes, [b"<sip:r1>", b"<sip:r2>"]);
    assert_eq!(message.named("x-THING").count(), 2);
    assert_eq!(message.named("Contact").count(), 1);
    assert_eq!(message.count(HeaderName::Other), 2);
    assert!(message.first(HeaderName::To).is_none() && message.last(HeaderName::To).is_none());
    assert_eq!((message.value(HeaderName::To), message.count(HeaderName::To)), (&b""[..], 0));
    assert_eq!(message.headers().count(), 7);
}

#[test]
fn folding_stays_in_the_value_and_belongs_to_the_line() {
    let text = request("TO :\r\n sip:x@y ;\r\n\ttag = 1 \r\ns:\r\nSubject: \r\n  \r\nZ: z\r\n");
    let read = read(&text);
    let message = read.message();
    let to = message.first(HeaderName::To).expect("there");
    assert_eq!(read.verdict, Ok(()));
    assert_eq!(to.value, b"sip:x@y ;\r\n\ttag = 1");
    assert_eq!(&message.bytes()[to.line()], b"TO :\r\n sip:x@y ;\r\n\ttag = 1 \r\n");
    assert_eq!(&message.bytes()[to.value_range()], to.value);
    let subjects: Vec<_> = message.all(HeaderName::Subject).map(|header| header.value).collect();
    assert_eq!(subjects, [b"", b""]);
    assert_eq!(message.named("z").next().map(|header| header.value), Some(&b"z"[..]));
}

#[test]
fn empty_value_can_be_replaced() {
    let read = read(&request("Subject:\r\n"));
    let message = read.message();
    let mut edits = Edits::new();
    edits.replace(message.first(HeaderName::Subject).expect("there").value_range(), b" now");
    let mut out = Vec::new();
    edits.apply(message.bytes(), &mut out);
    assert_eq!(out, request("Subject: now\r\n").as_bytes());
}

#[test]
fn headers_can_be_appended_before_the_empty_line() {
    let text = request("To: x\r\n") + "body";
    let read = read(&text);
    let mut edits = Edits::new();
    edits.insert(read.message().head_end(), b"Y: z\r\n");
    let mut out = Vec::new();
    edits.apply(read.message().bytes(), &mut out);
    assert_eq!(out, (request("To: x\r\nY: z\r\n") + "body").as_bytes());
}

#[test]
fn content_length_cuts_the_tail_and_absent_takes_all() {
    let body = |length: &str| read(&(request(length) + "hello")).message().body().to_vec();
    assert_eq!(body(""), b"hello");
    assert_eq!(body("Content-Length: 2\r\n"), b"he");
    assert_eq!(body("l: 0\r\n"), b"");
    assert_eq!(body("Content-Length: 005\r\nl: 5\r\n"), b"hello");
}

#[test]
fn content_length_must_be_one_number_that_the_datagram_holds() {
    let with = |length: &str| error(&(request(length) + "hello"));
    assert_eq!(with("Content-Length: 6\r\n"), Some(ParseError::BodyShort));
    assert_eq!(with("Content-Length: 18446744073709551615\r\n"), Some(ParseError::BodyShort));
    for wrong in ["", "-1", "+5", "5 5", "5,5", "0x5", "5;a", "99999999999999999999999"] {
        assert_eq!(with(&format!("Content-Length: {wrong}\r\n")), Some(ParseError::ContentLength), "{wrong}");
    }
    assert_eq!(with("Content-Length: 5\r\nl: 4\r\n"), Some(ParseError::ContentLength));
}

#[test]
fn first_error_is_told_and_the_other_headers_stay_readable() {
    let text = request(
        "no colon here\r\nFrom: <sip:a@b>;tag=1\r\nBad Name: 1\r\n: 2\r\nContent-Length: x\r\nTo: <sip:c@d>\r\n",
    );
    let read = read(&text);
    assert_eq!(read.verdict, Err(ParseError::NoColon));
    assert_eq!(read.message().value(HeaderName::From), b"<sip:a@b>;tag=1");
    assert_eq!(read.message().value(HeaderName::To), b"<sip:c@d>");
    assert_eq!(read.message().headers().count(), 4);
    assert_eq!(error(&request("Bad Name: 1\r\n")), Some(ParseError::HeaderName));
    assert_eq!(error(&request(": 1\r\n")), Some(ParseError::HeaderName));
    assert_eq!(error(&request("B\u{fc}d: 1\r\n")), Some(ParseError::HeaderName));
}

#[test]
fn missing_empty_line_is_an_error_with_readable_headers() {
    let read = read("OPTIONS sip:a@b SIP/2.0\r\nTo: <sip:c@d>\r\nFrom: x\r\nCut: of");
    assert_eq!(read.verdict, Err(ParseError::NoEnd));
    assert_eq!(read.message().value(HeaderName::From), b"x");
    assert_eq!(error("OPTIONS sip:a@b SIP/2.0\r\n"), Some(ParseError::NoEnd));
}

#[test]
fn control_characters_pass_only_as_escapes_in_quotes() {
    let bare = Some(ParseError::BareControl);
    for header in
        ["X: a\0b", "X: a\rb", "X: a\nb: c", "X: \u{7}", "X: \u{7f}", "X: \"\0\"", "X: \\\0", "X\u{1}: a"]
    {
        let found = error(&request(&format!("{header}\r\n")));
        assert!(
            found == bare || header.starts_with("X\u{1}") && found == Some(ParseError::HeaderName),
            "{header:?}"
        );
    }
    assert_eq!(error(&request("X: \"BEL:\\\u{7} NUL:\\\0 DEL:\\\u{7f}\" <sip:a>\r\n")), None);
    assert_eq!(error(&request("X: a\tb\r\n\t c\r\n")), None);
    assert_eq!(error(&request("X: a\rb\r\nY: c\n")), bare, "one CR too many, one too few");
    assert_eq!(error("OPTIONS sip:a@b SIP/2.0\nX: a\rb\r\n\r\n"), bare, "the same with the start line");
    assert_eq!(error("OPTIONS sip:a@b SIP/2.0\r\nX: a\rb\r\n\n"), bare, "the same with the empty line");
    assert_eq!(error("INVITE sip:a\0@b SIP/2.0\r\n\r\n"), bare);
    assert_eq!(error("OPTIONS sip:a@b SIP/2.0\nTo: x\n\n"), bare);
    assert_eq!(error(&(request("X: \"\r\n") + "\0\n\r")), None, "a body may hold anything");
}

#[test]
fn limits_are_kept_and_named() {
    let limits = Limits { headers: 3, header_line: 50, request_uri: 19, method: 6, vias: 2 };
    let verdict = |text: &str| read_within(text.as_bytes(), &limits).verdict;
    assert_eq!(verdict(&request("A: 1\r\nB: 2\r\n")), Ok(()));
    assert_eq!(verdict(&request("A: 1\r\nB: 2\r\nC: 3\r\n")), Err(ParseError::TooManyHeaders));
    assert_eq!(verdict(&request(&format!("A: {}\r\n", "x".repeat(45)))), Ok(()));
    assert_eq!(verdict(&request(&format!("A: {}\r\n", "x".repeat(46)))), Err(ParseError::HeaderTooLong));
    assert_eq!(verdict("INVITE sip:bob@example.comm SIP/2.0\r\n\r\n"), Err(ParseError::UriTooLong));
    assert_eq!(verdict("OPTIONS sip:a@b SIP/2.0\r\n\r\n"), Err(ParseError::MethodTooLong));
    assert_eq!(verdict(&request("v: x;a=\",,,,\"\r\n")), Ok(()), "commas in quotes make no Via");
    assert_eq!(verdict(&request("v: x, y\r\n")), Err(ParseError::TooManyVias));
}

#[test]
fn headers_beyond_the_limit_do_not_hide_the_body() {
    let limits = Limits { headers: 2, ..Limits::default() };
    let read = read_within((request("A: 1\r\nB: 2\r\nC: 3\r\n") + "body").as_bytes(), &limits);
    assert_eq!((read.message().headers().count(), read.message().body()), (2, &b"body"[..]));
}

#[test]
fn errors_owe_the_status_of_the_rfc() {
    assert_eq!(ParseError::NotSip.status(), None);
    assert_eq!(ParseError::StartLine.status(), Some(400));
    assert_eq!(ParseError::UriTooLong.status(), Some(414));
    assert_eq!(ParseError::MethodTooLong.status(), Some(501));
    assert_eq!(ParseError::Version.status(), Some(505));
    assert_eq!(ParseError::BodyShort.reason(), "body_short");
}

#[test]
fn index_is_reusable() {
    let mut index = Index::new();
    let long = request("To: <sip:c@d>\r\nContent-Length: 0\r\n");
    let short = "\r\nSIP/2.0 200 OK\r\nFrom: x\r\n\r\n";
    assert_eq!(index.parse(long.as_bytes(), Framing::Datagram, &Limits::default()), Ok(()));
    assert_eq!(index.parse(short.as_bytes(), Framing::WebSocket, &Limits::default()), Ok(()));
    let message = Message::new(short.as_bytes(), &index);
    assert_eq!((message.headers().count(), message.value(HeaderName::From)), (1, &b"x"[..]));
    assert!(message.first(HeaderName::To).is_none());
}

#[test]
fn numbers_are_written_in_decimal() {
    for number in [0, 7, 10, 70, 5060, u64::MAX] {
        let mut out = b"=".to_vec();
        write_u64(&mut out, number);
        assert_eq!(out, format!("={number}").into_bytes());
    }
}

#[test]
fn white_space_is_trimmed_with_its_folding() {
    assert_eq!(trim(b" \t\r\n a b \r\n "), b"a b");
    assert_eq!(trim(b" \r\n"), b"");
    assert!(eq_ignore_case(b"Sip", b"sIP") && !eq_ignore_case(b"sip", b"sips"));
}
