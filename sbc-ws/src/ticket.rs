//! The ticket that a client shows at the upgrade: a token signed by the site's own backend (JWT, RFC 7519).
//!
//! It says for whom the connection may speak and whom it may ask for; both are only carried here, SIP is for others
//! to judge. Each key verifies one algorithm, whatever the token claims to be signed with: `none`, and a public key
//! taken for a shared secret, are refused like any other forgery (RFC 8725 §3.1).

use std::fmt;
use std::path::{Path, PathBuf};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

/// The largest token, in bytes. Whoever needs more says too much in it.
const MAX_TOKEN: usize = 4096;
/// The most users of one ticket, and the most destinations.
const MAX_NAMES: usize = 64;
/// How far clocks may be apart, in seconds.
const LEEWAY: u64 = 30;
/// The shortest shared secret, in bytes: as long as the hash (RFC 7518 §3.2).
const MIN_SECRET: usize = 32;
/// An uncompressed point of P-256, in bytes.
const P256_POINT: usize = 65;

/// What a connection was given by its ticket.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Ticket {
    /// Claim `aor`: the users it may speak for, as `alice@example.com`. Never empty.
    #[serde(rename = "aor", deserialize_with = "one_or_many")]
    pub users: Vec<Box<str>>,
    /// Claim `destinations`: whom it may ask for, as `sales@example.com`, `sales` or `+49*`; `None`: anybody.
    #[serde(default)]
    pub destinations: Option<Vec<Box<str>>>,
}

/// Where in the request the token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketPlace {
    /// `/?NAME=TOKEN`.
    Query,
    /// `Cookie: NAME=TOKEN`.
    Cookie,
    /// `Sec-WebSocket-Protocol: sip, NAME.TOKEN`.
    SubProtocol,
}

/// What a token must say beside its names, and where it is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketRules {
    /// Claim `aud` must name this.
    pub audience: String,
    /// Claim `iss` must be this; `None`: any.
    pub issuer: Option<String>,
    /// Where it stands.
    pub place: TicketPlace,
    /// What it is called there.
    pub name: Box<str>,
}

/// How a key file is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketAlgorithm {
    /// HMAC with SHA-256; the file is the secret, of at least 32 bytes.
    Hs256,
    /// ECDSA on P-256; the file is the public key as PEM.
    Es256,
    /// RSA with PKCS #1 v1.5; the file is the public key as PEM.
    Rs256,
}

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TicketKeyError {
    /// The file could not be read.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds no such key.
    #[error("{path}: {reason}", path = path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// What was found, and what would be right.
        reason: String,
    },
}

/// Why a request brings no ticket that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoTicket {
    /// It brings none.
    Absent,
    /// It was good once, or will be.
    OutOfTime,
    /// It never was: forged, for others, too large, more than one.
    Bad,
}

/// Reads and judges the tickets of a listener.
pub struct Tickets {
    rules: TicketRules,
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    key: DecodingKey,
    validation: Validation,
}

impl fmt::Debug for Tickets {
    /// Shows the rules, never a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tickets").field(&self.rules).finish()
    }
}

impl Tickets {
    /// With one key.
    ///
    /// # Errors
    /// A [`TicketKeyError`] that names the file and what is wrong with it.
    pub fn from_key_file(
        path: &Path,
        algorithm: TicketAlgorithm,
        rules: TicketRules,
    ) -> Result<Self, TicketKeyError> {
        let bytes = read(path)?;
        let error = |reason: String| TicketKeyError::Key { path: path.to_owned(), reason };
        let (algorithm, key) = match algorithm {
            TicketAlgorithm::Hs256 => {
                (Algorithm::HS256, Ok(DecodingKey::from_secret(bytes.trim_ascii_end())))
            }
            TicketAlgorithm::Es256 => (Algorithm::ES256, DecodingKey::from_ec_pem(&bytes)),
            TicketAlgorithm::Rs256 => (Algorithm::RS256, DecodingKey::from_rsa_pem(&bytes)),
        };
        let key =
            key.map_err(|found| error(format!("holds no public key as PEM for {algorithm:?}: {found}")))?;
        let key = Key::new(None, algorithm, key, &rules).map_err(|found| error(found.to_owned()))?;
        Ok(Self { rules, keys: vec![key] })
    }

    /// With all keys of a JWK set (RFC 7517) that are for signatures by HS256, ES256 or RS256.
    ///
    /// # Errors
    /// A [`TicketKeyError`] that names the file and what is wrong with it.
    pub fn from_jwks(path: &Path, rules: TicketRules) -> Result<Self, TicketKeyError> {
        let error = |reason: String| TicketKeyError::Key { path: path.to_owned(), reason };
        let set: JwkSet = serde_json::from_slice(&read(path)?)
            .map_err(|found| error(format!("is no JWK set as {{\"keys\": [...]}}: {found}")))?;
        let mut keys = Vec::new();
        for jwk in &set.keys {
            let Some(algorithm) = algorithm_of(jwk) else { continue };
            let key = DecodingKey::from_jwk(jwk).map_err(|found| error(found.to_string()))?;
            let id = jwk.common.key_id.clone();
            keys.push(Key::new(id, algorithm, key, &rules).map_err(|found| error(found.to_owned()))?);
        }
        if keys.is_empty() {
            return Err(error("holds no key for signatures by HS256, ES256 or RS256".to_owned()));
        }
        Ok(Self { rules, keys })
    }

    /// Where the token is looked for.
    pub fn place(&self) -> TicketPlace {
        self.rules.place
    }

    /// What it is called there.
    pub(crate) fn name(&self) -> &str {
        &self.rules.name
    }

    /// Judges the tokens that a request brings.
    ///
    /// # Errors
    /// Why there is no ticket.
    pub(crate) fn judge<'a>(&self, mut tokens: impl Iterator<Item = &'a [u8]>) -> Result<Ticket, NoTicket> {
        let token = tokens.next().ok_or(NoTicket::Absent)?;
        if token.len() > MAX_TOKEN || tokens.next().is_some() {
            return Err(NoTicket::Bad);
        }
        let header = decode_header(token).map_err(|_| NoTicket::Bad)?;
        let mut verdict = NoTicket::Bad;
        for key in self.keys.iter().filter(|key| key.may_have_signed(header.kid.as_deref(), header.alg)) {
            match decode::<Ticket>(token, &key.key, &key.validation) {
                Ok(data) if data.claims.is_sound() => return Ok(data.claims),
                Ok(_) => {}
                Err(error) => {
                    let late =
                        matches!(error.kind(), ErrorKind::ExpiredSignature | ErrorKind::ImmatureSignature);
                    verdict = if late { NoTicket::OutOfTime } else { verdict };
                }
            }
        }
        Err(verdict)
    }
}

impl Key {
    fn new(
        id: Option<String>,
        algorithm: Algorithm,
        key: DecodingKey,
        rules: &TicketRules,
    ) -> Result<Self, &'static str> {
        let length = key.try_get_as_bytes().map_or(0, <[u8]>::len);
        match algorithm {
            Algorithm::HS256 if length < MIN_SECRET => {
                return Err("a secret for HS256 has at least 32 bytes");
            }
            Algorithm::ES256 if length != P256_POINT => {
                return Err("a key for ES256 is one of the curve P-256");
            }
            _ => {}
        }
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_audience(&[&rules.audience]);
        let mut required = vec!["exp", "aud"];
        if let Some(issuer) = &rules.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        Ok(Self { id, key, validation })
    }

    fn may_have_signed(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        let named = match (id, self.id.as_deref()) {
            (Some(id), Some(own)) => id == own,
            _ => true,
        };
        named && self.validation.algorithms.contains(&algorithm)
    }
}

impl Ticket {
    fn is_sound(&self) -> bool {
        let destinations = self.destinations.as_ref().map_or(0, Vec::len);
        !self.users.is_empty() && self.users.len() <= MAX_NAMES && destinations <= MAX_NAMES
    }
}

/// What a key of a set verifies: its own word, as long as it fits its kind.
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    if jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
        return None;
    }
    let (algorithm, word) = match &jwk.algorithm {
        AlgorithmParameters::OctetKey(_) => (Algorithm::HS256, KeyAlgorithm::HS256),
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        _ => return None,
    };
    jwk.common.key_algorithm.is_none_or(|said| said == word).then_some(algorithm)
}

fn read(path: &Path) -> Result<Vec<u8>, TicketKeyError> {
    std::fs::read(path).map_err(|source| TicketKeyError::Read { path: path.to_owned(), source })
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Box<str>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(Box<str>),
        Many(Vec<Box<str>>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

#[cfg(test)]
#[path = "ticket_tests.rs"]
mod tests;
