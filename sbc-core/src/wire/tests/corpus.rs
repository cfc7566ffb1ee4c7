//! The messages of RFC 3261, 3665, 4475, 5118 and 7118, where they are at hand.

use std::path::Path;

use crate::wire::*;

/// Names the directory that holds one directory of `.dat` files per RFC.
const VARIABLE: &str = "SBC_CORPUS";

/// What an RFC calls an error that already the index or the start line shows.
const REFUSED: &[(&str, ParseError)] = &[
    ("rfc4475/clerr.dat", ParseError::BodyShort),
    ("rfc4475/ncl.dat", ParseError::ContentLength),
    ("rfc4475/mcl01.dat", ParseError::ContentLength),
    ("rfc4475/lwsruri.dat", ParseError::StartLine),
    ("rfc4475/lwsstart.dat", ParseError::StartLine),
    ("rfc4475/trws.dat", ParseError::StartLine),
    ("rfc4475/bigcode.dat", ParseError::StartLine),
    ("rfc4475/badvers.dat", ParseError::Version),
    ("rfc4475/baddn.dat", ParseError::NoEnd),
    // Its start line names no version.
    ("rfc4475/test.dat", ParseError::NotSip),
    // A method of 44 characters is lawful and known to nobody: 501.
    ("rfc4475/intmeth.dat", ParseError::MethodTooLong),
];

/// What a reader has to refuse.
const UNREADABLE: &[&str] = &[
    "rfc4475/badinv01.dat",
    "rfc4475/scalar02.dat",
    "rfc4475/scalarlg.dat",
    "rfc4475/quotbal.dat",
    "rfc4475/ltgtruri.dat",
    "rfc4475/regbadct.dat",
    "rfc4475/badaspec.dat",
    "rfc4475/baddn.dat",
    "rfc5118/ipv6-bad.dat",
    "rfc5118/ipv6-bug-abnf-3-colons.dat",
];

#[test]
#[expect(clippy::disallowed_methods, reason = "the crate reads no files, its test does")]
fn messages_of_the_rfcs_are_read() {
    let Some(corpus) = std::env::var_os(VARIABLE) else {
        println!("0 messages read: {VARIABLE} names no directory");
        return;
    };
    let mut count = 0;
    for set in std::fs::read_dir(&corpus).expect("a directory of sets").flatten() {
        for file in std::fs::read_dir(set.path()).expect("a directory of messages").flatten() {
            let path = file.path();
            if path.extension().is_some_and(|extension| extension == "dat") {
                let name =
                    path.strip_prefix(Path::new(&corpus)).expect("inside").to_string_lossy().into_owned();
                check(&name, &std::fs::read(&path).expect("a readable message"));
                count += 1;
            }
        }
    }
    println!("{count} messages read");
    assert!(count > 0, "no .dat files below {VARIABLE}");
}

fn check(name: &str, bytes: &[u8]) {
    let mut index = Index::new();
    let verdict = index.parse(bytes, Framing::Datagram, &Limits::default());
    let refused = REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, error)| *error);
    assert_eq!(verdict.err(), refused, "{name}");
    let message = Message::new(bytes, &index);
    let mut out = Vec::new();
    Edits::new().apply(message.bytes(), &mut out);
    if verdict == Err(ParseError::NotSip) {
        return assert!(out.is_empty(), "{name}");
    }
    assert!(!out.is_empty() && bytes.windows(out.len()).any(|window| window == out), "{name} changed");
    match read_typed(&message) {
        Err(error) => assert!(UNREADABLE.contains(&name), "{name}: {error}"),
        Ok(()) => assert!(!UNREADABLE.contains(&name), "{name} was read"),
    }
}

/// Read every header that has a reader.
fn read_typed(message: &Message<'_>) -> Result<(), ReadError> {
    if message.is_request() && !message.request_uri().contains(&b' ') {
        Uri::parse(message.request_uri())?;
    }
    for header in message.headers() {
        match header.name {
            HeaderName::Via => {
                for item in split(header.value) {
                    Via::parse(item.text)?;
                }
                Via::parse(header.value)?;
            }
            HeaderName::From | HeaderName::To => read_name_addr(header.value)?,
            HeaderName::Contact if header.value == b"*" => {}
            HeaderName::Contact | HeaderName::Route | HeaderName::RecordRoute | HeaderName::ReferTo => {
                split(header.value).try_for_each(|item| read_name_addr(item.text))?;
            }
            HeaderName::CSeq => {
                CSeq::parse(header.value)?;
            }
            HeaderName::Authorization
            | HeaderName::ProxyAuthorization
            | HeaderName::WwwAuthenticate
            | HeaderName::ProxyAuthenticate => {
                Digest::parse(header.value)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_name_addr(text: &[u8]) -> Result<(), ReadError> {
    Uri::parse(NameAddr::parse(text)?.uri).map(|_| ())
}
