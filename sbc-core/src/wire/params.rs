//! Parameters of a URI or a header (RFC 3261 §25.1): `;name`, `;name=value`, `;name="quoted; value"`.
//!
//! Nothing is decoded: values are what was written.

use std::ops::Range;

use super::ReadError;
use super::text::{between, eq_ignore_case, is_token_char, quoted_end, trim, trim_end, unquote};

/// Parameters as they were written, from the first `;` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Params<'a> {
    raw: &'a [u8],
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param<'a> {
    /// The name, in the case it was written.
    pub name: &'a [u8],
    /// The value with its quotes, if any; `None` for a flag such as `;lr`.
    pub value: Option<&'a [u8]>,
    /// From its `;` to its end, relative to [`Params::raw`]: delete this to remove it.
    pub range: Range<usize>,
}

impl<'a> Params<'a> {
    /// Parameters that begin with `;`, or nothing.
    pub(super) const fn new(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// The parameters in their order; those without a name are skipped.
    pub fn iter(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        Iter { raw: self.raw, at: 0 }
    }

    /// The first parameter of this name, in any case: its value as written, `Some(None)` for a flag.
    pub fn get(&self, name: &str) -> Option<Option<&'a [u8]>> {
        self.iter().find(|param| eq_ignore_case(param.name, name.as_bytes())).map(|param| param.value)
    }

    /// The value of the first parameter of this name without its quotes; escapes stay. `None` for a flag, too.
    pub fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.get(name).flatten().map(unquote)
    }

    /// True when there is a parameter of this name.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The text that was read, from the first `;`; empty without parameters.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Refuse what no grammar of a header allows: an empty parameter, a quote that never closes, a second value after
    /// a comma, an angle bracket.
    pub(super) fn check(&self) -> Result<(), ReadError> {
        let mut named = true;
        let mut at = 0;
        while let Some(&byte) = self.raw.get(at) {
            match byte {
                // Nearly all bytes are such, and one look into a table is all they need.
                plain if is_token_char(plain) => named = true,
                b'"' => {
                    at = quoted_end(self.raw, at).ok_or(ReadError { what: "a quote that never closes" })?;
                    continue;
                }
                b';' if !named => return Err(EMPTY),
                b';' => named = false,
                b',' => {
                    return Err(ReadError { what: "a comma: one value was expected" });
                }
                b'<' | b'>' => {
                    return Err(ReadError { what: "an angle bracket in a parameter" });
                }
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ => named = true,
            }
            at += 1;
        }
        if named { Ok(()) } else { Err(EMPTY) }
    }
}

const EMPTY: ReadError = ReadError { what: "an empty parameter" };

struct Iter<'a> {
    raw: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        while self.at < self.raw.len() {
            let start = self.at;
            // The byte at `start` is the ';' of this parameter.
            let inside = start + 1;
            let (end, equals) = param_end(self.raw, inside);
            self.at = end;
            let name = trim(between(self.raw, inside, equals.unwrap_or(end)));
            if name.is_empty() {
                continue;
            }
            let written = trim_end(between(self.raw, start, end));
            let value = equals.map(|equals| trim(between(self.raw, equals + 1, end)));
            return Some(Param { name, value, range: start..start + written.len() });
        }
        None
    }
}

/// The end of the parameter that begins at `at`, and where its first `=` stands.
fn param_end(raw: &[u8], mut at: usize) -> (usize, Option<usize>) {
    let mut equals = None;
    // Parameters are a few bytes long: a plain loop is faster here than a wide search.
    while let Some(&byte) = raw.get(at) {
        match byte {
            b';' => return (at, equals),
            b'"' => match quoted_end(raw, at) {
                Some(next) => at = next - 1,
                None => break,
            },
            b'=' if equals.is_none() => equals = Some(at),
            _ => {}
        }
        at += 1;
    }
    (raw.len(), equals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_values_and_quotes_are_told_apart() {
        let params = Params::new(br#";lr;a=b ; C = "x;y\"z" ;d="#);
        let names: Vec<&[u8]> = params.iter().map(|param| param.name).collect();
        assert_eq!(names, [&b"lr"[..], b"a", b"C", b"d"]);
        assert_eq!(params.get("LR"), Some(None));
        assert_eq!(params.get("c"), Some(Some(&br#""x;y\"z""#[..])));
        assert_eq!(params.value("c"), Some(&br#"x;y\"z"#[..]));
        assert_eq!(params.value("d"), Some(&b""[..]));
        assert_eq!(params.get("e"), None);
        assert!(params.has("A") && !params.has("b"));
    }

    #[test]
    fn first_of_two_alike_counts() {
        assert_eq!(Params::new(b";tag=1;TAG=2").value("tag"), Some(&b"1"[..]));
    }

    #[test]
    fn range_reaches_from_semicolon_to_end_of_value() {
        let raw = b";a=b ;c\r\n = d ;;e";
        let pieces: Vec<&[u8]> = Params::new(raw).iter().map(|param| &raw[param.range]).collect();
        assert_eq!(pieces, [&b";a=b"[..], b";c\r\n = d", b";e"]);
    }

    #[test]
    fn value_keeps_further_equals_signs() {
        assert_eq!(Params::new(b";a=b=c").value("a"), Some(&b"b=c"[..]));
        assert_eq!(Params::new(b";=x;y").iter().count(), 1);
    }

    #[test]
    fn check_refuses_what_no_grammar_allows() {
        for good in ["", ";a", ";a=\"<,;>\"", " ;a = b ; c"] {
            assert_eq!(Params::new(good.as_bytes()).check(), Ok(()), "{good}");
        }
        for bad in [";", ";;a", ";a;", ";a; ;b", ";a=\"b", ";a,b", ";a=<b>", ";a=\"\\\""] {
            assert!(Params::new(bad.as_bytes()).check().is_err(), "{bad}");
        }
    }
}
