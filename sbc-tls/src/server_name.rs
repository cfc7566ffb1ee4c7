//! Which names a listener answers to in TLS (server name indication, RFC 6066 §3).

use std::fmt;
use std::str::FromStr;

/// The longest name in DNS, in characters.
const LONGEST_NAME: usize = 253;
/// The longest label of a name.
const LONGEST_LABEL: usize = 63;

/// One name: `sip.example.com`, or `*.example.com` for exactly one label more, as in certificates (RFC 9525 §6.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerNamePattern {
    /// Lower case; without the `*.` when `any_label` is set.
    name: String,
    any_label: bool,
}

/// Why a text is no server name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("server name {found:?} is no DNS name; right would be \"sip.example.com\" or \"*.example.com\"")]
pub struct ServerNameError {
    found: String,
}

impl ServerNamePattern {
    /// Whether a client asks for this name.
    pub fn matches(&self, name: &str) -> bool {
        if !self.any_label {
            return name.eq_ignore_ascii_case(&self.name);
        }
        name.split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(&self.name))
    }
}

impl FromStr for ServerNamePattern {
    type Err = ServerNameError;

    fn from_str(text: &str) -> Result<Self, ServerNameError> {
        let (name, any_label) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        let is_label = |label: &str| {
            (1..=LONGEST_LABEL).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        // RFC 6066 knows no addresses: a client that connects to one names nothing.
        let is_address = name.parse::<std::net::IpAddr>().is_ok();
        if is_address || text.len() > LONGEST_NAME || !name.split('.').all(is_label) {
            return Err(ServerNameError { found: text.to_owned() });
        }
        Ok(Self { name: name.to_ascii_lowercase(), any_label })
    }
}

impl fmt::Display for ServerNamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.any_label { "*." } else { "" }, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> ServerNamePattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_matches_itself_in_any_case() {
        assert!(pattern("SIP.example.com").matches("sip.Example.COM"));
        for other in ["example.com", "a.sip.example.com", "sip.example.com.evil.org", ""] {
            assert!(!pattern("sip.example.com").matches(other), "{other}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        assert!(pattern("*.example.com").matches("sip.example.com"));
        for other in ["example.com", ".example.com", "a.b.example.com", "sipexample.com"] {
            assert!(!pattern("*.example.com").matches(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_name_is_an_error_that_repeats_it() {
        for wrong in ["", "*", "*.", "a..b", "a b", "192.0.2.1", "::1", "a.*.com", "https://a.com"] {
            let error = wrong.parse::<ServerNamePattern>().unwrap_err();
            assert!(error.to_string().contains(wrong), "{error}");
        }
        assert_eq!(pattern("*.example.com").to_string(), "*.example.com");
    }
}
