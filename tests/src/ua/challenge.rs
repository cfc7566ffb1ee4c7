//! Digest authentication: the server's half, with nonces that only this instance knows.

use std::collections::BTreeMap;
use std::time::Duration;

use sbc_core::time::Time;
use sbc_core::wire::Digest;

use super::digest::{self, Credentials};
use super::ids::Ids;

/// How long a nonce may be used, as FreeSWITCH's `nonce-ttl`.
const NONCE_TTL: Duration = Duration::from_secs(60);
/// Nonces kept; the oldest go first.
const MAX_NONCES: usize = 20_000;

/// What became of a request's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Right; the digest's user.
    Good(String),
    /// Ask (again); true when only the nonce was wrong.
    Ask {
        /// The challenge says `stale=true`.
        stale: bool,
    },
    /// Refused without another challenge.
    Refused,
}

#[derive(Debug, Clone)]
struct Nonce {
    expires: Time,
    count: u32,
}

/// The nonces given out, and the realm they are for.
#[derive(Debug)]
pub struct Challenger {
    realm: String,
    nonces: BTreeMap<String, Nonce>,
    order: std::collections::VecDeque<String>,
}

impl Challenger {
    /// A challenger without nonces.
    pub fn new(realm: &str) -> Self {
        Self { realm: realm.into(), nonces: BTreeMap::new(), order: std::collections::VecDeque::new() }
    }

    /// A new challenge: the value of WWW-Authenticate or Proxy-Authenticate.
    pub fn challenge(&mut self, now: Time, ids: &mut Ids, stale: bool) -> String {
        let nonce = ids.uuid();
        self.nonces.insert(nonce.clone(), Nonce { expires: now + NONCE_TTL, count: 0 });
        self.order.push_back(nonce.clone());
        while self.order.len() > MAX_NONCES {
            if let Some(old) = self.order.pop_front() {
                self.nonces.remove(&old);
            }
        }
        let stale = if stale { ", stale=true" } else { "" };
        format!("Digest realm=\"{}\", nonce=\"{nonce}\"{stale}, algorithm=MD5, qop=\"auth\"", self.realm)
    }

    /// Judge the value of Authorization or Proxy-Authorization; `password` knows the users.
    pub fn judge(
        &mut self,
        now: Time,
        value: Option<&str>,
        method: &str,
        password: impl Fn(&str) -> Option<String>,
    ) -> Verdict {
        let Some(Ok(given)) = value.map(|value| Digest::parse(value.as_bytes())) else {
            return Verdict::Ask { stale: false };
        };
        let get = |name| {
            given.get(name).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
        };
        let (nonce, count_text, user) = (get("nonce"), get("nc"), get("username"));
        let count = u32::from_str_radix(&count_text, 16).unwrap_or(0);
        match self.nonces.get_mut(&nonce) {
            Some(known) if known.expires > now && count > known.count => known.count = count,
            _ => return Verdict::Ask { stale: true },
        }
        let Some(password) = password(&user) else {
            return Verdict::Refused;
        };
        let credentials = Credentials { user, password };
        let nonce = [nonce.as_str(), count_text.as_str(), &get("cnonce")];
        if digest::response(&credentials, &get("realm"), method, &get("uri"), nonce) == get("response") {
            Verdict::Good(credentials.user)
        } else {
            Verdict::Refused
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::digest::Challenge;
    use super::*;

    fn known(user: &str) -> Option<String> {
        (user == "1000").then(|| "secret".into())
    }

    fn pair() -> (Challenger, Challenge, Credentials) {
        let mut server = Challenger::new("example.test");
        let challenge = server.challenge(Time::ZERO, &mut Ids::new(1), false);
        let credentials = Credentials { user: "1000".into(), password: "secret".into() };
        (server, Challenge::read(&challenge).expect("a challenge we wrote"), credentials)
    }

    #[test]
    fn nonce_serves_again_with_a_rising_count_only() {
        let (mut server, mut challenge, credentials) = pair();
        for _ in 0..2 {
            let value = challenge.answer(&credentials, "INVITE", "sip:9196@example.test", "c");
            assert_eq!(server.judge(Time::ZERO, Some(&value), "INVITE", known), Verdict::Good("1000".into()));
            assert_eq!(server.judge(Time::ZERO, Some(&value), "INVITE", known), Verdict::Ask { stale: true });
        }
    }

    #[test]
    fn nonce_of_another_instance_or_an_old_one_is_stale() {
        let (mut server, mut challenge, credentials) = pair();
        let value = challenge.answer(&credentials, "INVITE", "sip:9196@example.test", "c");
        let mut other = Challenger::new("example.test");
        assert_eq!(other.judge(Time::ZERO, Some(&value), "INVITE", known), Verdict::Ask { stale: true });
        let late = Time::ZERO + NONCE_TTL;
        assert_eq!(server.judge(late, Some(&value), "INVITE", known), Verdict::Ask { stale: true });
    }

    #[test]
    fn wrong_password_and_unknown_user_are_refused() {
        let (mut server, mut challenge, mut credentials) = pair();
        credentials.password = "guess".into();
        let value = challenge.answer(&credentials, "REGISTER", "sip:example.test", "c");
        assert_eq!(server.judge(Time::ZERO, Some(&value), "REGISTER", known), Verdict::Refused);
        credentials.user = "4711".into();
        let value = challenge.answer(&credentials, "REGISTER", "sip:example.test", "c");
        assert_eq!(server.judge(Time::ZERO, Some(&value), "REGISTER", known), Verdict::Refused);
    }
}
