//! Which pages may connect (RFC 6455 §10.2, RFC 6454).
//!
//! The check keeps a foreign page from using a visitor's browser; a program can write any `Origin` it likes.

use std::fmt;
use std::str::FromStr;

/// One allowed origin: `https://app.example.com`, `https://*.example.com` or `http://localhost:8080`.
///
/// `*.` stands for one or more labels, never for none. An absent port means the scheme's own (443 or 80).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern {
    scheme: Scheme,
    /// Lower case; without the `*.` when `subdomains` is set.
    host: String,
    subdomains: bool,
    port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Why a text is no origin pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "origin {found:?} {problem}; right would be \"https://app.example.com\" or \"https://*.example.com\""
)]
pub struct OriginError {
    found: String,
    problem: &'static str,
}

impl OriginPattern {
    /// Whether an `Origin` header's value names an allowed page. `null`, which browsers send for pages of no
    /// address, never matches.
    pub fn matches(&self, origin: &str) -> bool {
        let Ok((scheme, host, port)) = split(origin) else {
            return false;
        };
        scheme == self.scheme && port == self.port && self.matches_host(&host.to_ascii_lowercase())
    }

    fn matches_host(&self, host: &str) -> bool {
        if !self.subdomains {
            return host == self.host;
        }
        let label = host.strip_suffix(&self.host).and_then(|rest| rest.strip_suffix('.'));
        label.is_some_and(|label| !label.is_empty() && !label.starts_with('.'))
    }
}

impl FromStr for OriginPattern {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let error = |problem| OriginError { found: text.to_owned(), problem };
        let (scheme, host, port) = split(text).map_err(error)?;
        let (host, subdomains) = match host.strip_prefix("*.") {
            Some(domain) => (domain, true),
            None => (host, false),
        };
        if host.is_empty() {
            return Err(error("names no host"));
        }
        if host.contains('*') {
            return Err(error("has a \"*\" that is not the whole first label"));
        }
        Ok(Self { scheme, host: host.to_ascii_lowercase(), subdomains, port })
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let wildcard = if self.subdomains { "*." } else { "" };
        write!(f, "{scheme}://{wildcard}{}", self.host)?;
        if self.port == self.scheme.port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Scheme, host and port of an origin; the host as written, IPv6 in its brackets.
fn split(origin: &str) -> Result<(Scheme, &str, u16), &'static str> {
    let (scheme, rest) = origin.split_once("://").ok_or("has no scheme")?;
    let scheme = match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
        _ if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
        _ => return Err("has another scheme than http and https"),
    };
    if rest.contains(['/', '?', '#', '@', ' ', ',']) {
        return Err("has more than scheme, host and port");
    }
    let host_end = match rest.find(']') {
        Some(bracket) => bracket + 1,
        None => rest.find(':').unwrap_or(rest.len()),
    };
    let (host, port) = rest.split_at(host_end);
    let port = match port.strip_prefix(':') {
        Some(number) => number.parse().map_err(|_| "has a port that is no number up to 65535")?,
        None if port.is_empty() => scheme.port(),
        None => return Err("has more than scheme, host and port"),
    };
    Ok((scheme, host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> OriginPattern {
        text.parse().unwrap()
    }

    #[test]
    fn an_exact_origin_matches_itself_in_any_case_and_with_its_default_port() {
        let pattern = pattern("https://App.example.com");
        assert!(pattern.matches("https://app.example.com"));
        assert!(pattern.matches("HTTPS://APP.EXAMPLE.COM:443"));
        for other in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.org",
            "https://evil.org",
            "null",
            "",
        ] {
            assert!(!pattern.matches(other), "{other}");
        }
    }

    #[test]
    fn a_wildcard_matches_subdomains_at_any_depth_but_not_the_domain() {
        let pattern = pattern("https://*.example.com");
        assert!(pattern.matches("https://a.example.com"));
        assert!(pattern.matches("https://a.b.example.com"));
        for other in [
            "https://example.com",
            "https://.example.com",
            "https://evilexample.com",
            "https://a.example.com@evil.org",
            "https://a.example.com/path",
            "https://a.example.com:8443",
        ] {
            assert!(!pattern.matches(other), "{other}");
        }
    }

    #[test]
    fn ports_and_ip_addresses_are_hosts_too() {
        assert!(pattern("http://localhost:8080").matches("http://localhost:8080"));
        assert!(pattern("http://[::1]:8080").matches("http://[::1]:8080"));
        assert!(!pattern("http://[::1]:8080").matches("http://[::1]"));
    }

    #[test]
    fn a_pattern_that_cannot_be_meant_is_an_error_that_names_it() {
        for wrong in [
            "example.com",
            "https://",
            "https://*",
            "https://a.*.com",
            "https://*.*.com",
            "wss://example.com",
            "https://example.com/",
            "https://example.com:port",
            "https://[::1]x",
            "https://*.",
        ] {
            let error = wrong.parse::<OriginPattern>().unwrap_err();
            assert!(error.to_string().contains(wrong), "{error}");
        }
    }

    #[test]
    fn a_pattern_prints_as_it_is_written() {
        for text in ["https://*.example.com", "http://localhost:8080", "http://[::1]:8080"] {
            assert_eq!(pattern(text).to_string(), text);
        }
    }
}
