//! Digest authentication (RFC 3261 §22, RFC 2617 with MD5 and qop=auth): the caller's half.

use md5::{Digest as _, Md5};
use sbc_core::wire::Digest;

/// Who we are where we are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name of the digest.
    pub user: String,
    /// Its secret.
    pub password: String,
}

/// What a server asked for, with the count of answers given to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    count: u32,
    /// True when only the nonce was wrong.
    pub stale: bool,
}

fn md5_hex(parts: &[&str]) -> String {
    let mut hash = Md5::new();
    hash.update(parts.join(":").as_bytes());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digest response for qop=auth.
pub fn response(credentials: &Credentials, realm: &str, method: &str, uri: &str, nonce: [&str; 3]) -> String {
    let secret = md5_hex(&[&credentials.user, realm, &credentials.password]);
    let request = md5_hex(&[method, uri]);
    let [nonce, count, client_nonce] = nonce;
    md5_hex(&[&secret, nonce, count, client_nonce, "auth", &request])
}

impl Challenge {
    /// Read WWW-Authenticate or Proxy-Authenticate.
    pub fn read(value: &str) -> Option<Self> {
        let digest = Digest::parse(value.as_bytes()).ok()?;
        let get = |name| digest.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
        Some(Self {
            realm: get("realm")?,
            nonce: get("nonce")?,
            opaque: get("opaque"),
            count: 0,
            stale: get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// The value of Authorization or Proxy-Authorization; counts one use.
    pub fn answer(
        &mut self,
        credentials: &Credentials,
        method: &str,
        uri: &str,
        client_nonce: &str,
    ) -> String {
        self.count += 1;
        let count = format!("{:08x}", self.count);
        let response = response(credentials, &self.realm, method, uri, [&self.nonce, &count, client_nonce]);
        let opaque = self.opaque.as_ref().map(|opaque| format!(", opaque=\"{opaque}\"")).unwrap_or_default();
        format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm=MD5, cnonce=\"{client_nonce}\", qop=auth, nc={count}{opaque}",
            credentials.user, self.realm, self.nonce
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_is_that_of_the_worked_example() {
        // The worked example of RFC 2617 §3.5.
        let credentials = Credentials { user: "Mufasa".into(), password: "Circle Of Life".into() };
        let nonce = ["dcd98b7102dd2f0e8b11d0f600bfb0c093", "00000001", "0a4f113b"];
        let answer = response(&credentials, "testrealm@host.com", "GET", "/dir/index.html", nonce);
        assert_eq!(answer, "6629fae49393a05397450978507c4ef1");
    }
}
