//! Names that are no names: text written for a database or a shell behind us.

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::wire::{Digest, HeaderName, NameAddr, Uri};

/// What follows the quote that ends a value in a statement, blanks left out.
const AFTER_A_QUOTE: [&[u8]; 6] = [b"--", b";", b"=", b"#", b"||", b")"];
/// Words that follow it.
const WORDS_AFTER_A_QUOTE: [&[u8]; 3] = [b"or", b"and", b"union"];
/// What stands in no name, quote or not.
const NEVER: [&[u8]; 4] = [b"${", b"`", b"../", b"union select"];

/// The users of Request-URI, From and To, and the user names of credentials, escapes read.
pub(super) fn injection(judged: &Judged<'_>) -> Verdict {
    let message = &judged.message;
    let uri_user = |text| Uri::parse(text).ok().and_then(|uri| uri.user);
    let header_user = |name| uri_user(NameAddr::parse(message.value(name)).ok()?.uri);
    let users = [uri_user(message.request_uri()), header_user(HeaderName::From), header_user(HeaderName::To)];
    let credentials = [HeaderName::Authorization, HeaderName::ProxyAuthorization]
        .into_iter()
        .flat_map(|name| message.all(name))
        .filter_map(|header| Digest::parse(header.value).ok()?.get("username"));
    if users.into_iter().flatten().chain(credentials).any(is_statement) {
        return Err(Refusal::answer(403, "Forbidden", Count::Injection).weighing(3));
    }
    Ok(())
}

fn is_statement(user: &[u8]) -> bool {
    // Nearly every name is plain, and one look at each byte tells.
    if !user.iter().any(|byte| matches!(byte, b'\'' | b'"' | b'%' | b'`' | b'$' | b'/' | b' ')) {
        return false;
    }
    let mut plain = Vec::with_capacity(user.len());
    decode(user, &mut plain);
    plain.make_ascii_lowercase();
    let has = |text: &&[u8]| memchr::memmem::find(&plain, text).is_some();
    let mut quotes = memchr::memchr2_iter(b'\'', b'"', &plain);
    NEVER.iter().any(has) || quotes.any(|quote| goes_on(plain.get(quote + 1..).unwrap_or_default()))
}

/// Whether a statement goes on after its quote: `O'Brien` does not.
fn goes_on(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let is_word = |word: &[u8]| {
        text.strip_prefix(word).is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_alphanumeric))
    };
    AFTER_A_QUOTE.iter().any(|sign| text.starts_with(sign)) || WORDS_AFTER_A_QUOTE.into_iter().any(is_word)
}

/// Append `text` with its escapes read.
fn decode(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                out.push(high * 16 + low);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
