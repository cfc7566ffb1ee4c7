//! Tickets of every algorithm, and each way of making one up.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;

const SECRET: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

fn rules() -> TicketRules {
    TicketRules {
        audience: "sip.example.com".into(),
        issuer: Some("shop".into()),
        place: TicketPlace::Query,
        name: "ticket".into(),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn claims() -> Value {
    json!({
        "aud": "sip.example.com", "iss": "shop", "exp": now() + 60,
        "aor": "alice@example.com", "destinations": ["sales", "+49*"],
    })
}

/// The sound claims with one of them changed, or taken out.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

/// A file that goes away with the value.
struct File(PathBuf);

impl File {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("sbc-ws-ticket-{name}-{}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn shared_secret(name: &str) -> Tickets {
    let file = File::new(name, SECRET);
    Tickets::from_key_file(&file.0, TicketAlgorithm::Hs256, rules()).unwrap()
}

fn signed(claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET)).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    // A header or claims part as the library writes it: the middle of a token of that JSON string.
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(word >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    text
}

fn judged(tickets: &Tickets, token: &str) -> Result<Ticket, NoTicket> {
    tickets.judge([token.as_bytes()].into_iter())
}

#[test]
fn a_sound_ticket_says_who_may_call_whom() {
    let tickets = shared_secret("sound");
    let ticket = judged(&tickets, &signed(&claims())).unwrap();
    assert_eq!(ticket.users, ["alice@example.com".into()]);
    assert_eq!(ticket.destinations, Some(vec!["sales".into(), "+49*".into()]));
    let several = with("aor", json!(["alice@example.com", "bob@example.com"]));
    assert_eq!(judged(&tickets, &signed(&several)).unwrap().users.len(), 2);
    let anybody = with("destinations", Value::Null);
    assert_eq!(judged(&tickets, &signed(&anybody)).unwrap().destinations, None);
}

#[test]
fn time_counts_but_for_a_little() {
    let tickets = shared_secret("time");
    for (claim, offset, outcome) in [
        ("exp", -3600, Some(NoTicket::OutOfTime)),
        ("exp", -10, None),
        ("nbf", 3600, Some(NoTicket::OutOfTime)),
        ("nbf", 10, None),
    ] {
        let token = signed(&with(claim, json!(now().saturating_add_signed(offset))));
        assert_eq!(judged(&tickets, &token).err(), outcome, "{claim} {offset}");
    }
}

#[test]
fn claims_that_are_absent_or_of_others_are_refused() {
    let tickets = shared_secret("claims");
    for (claim, value) in [
        ("exp", Value::Null),
        ("exp", json!("tomorrow")),
        ("nbf", json!("never")),
        ("aud", Value::Null),
        ("aud", json!("other.example.com")),
        ("iss", Value::Null),
        ("iss", json!("elsewhere")),
        ("aor", Value::Null),
        ("aor", json!([])),
        ("aor", json!(7)),
        ("aor", json!(vec!["a@example.com"; MAX_NAMES + 1])),
        ("destinations", json!("sales")),
        ("destinations", json!(vec!["sales"; MAX_NAMES + 1])),
    ] {
        let token = signed(&with(claim, value.clone()));
        assert_eq!(judged(&tickets, &token), Err(NoTicket::Bad), "{claim}: {value}");
    }
}

#[test]
fn what_is_not_signed_by_us_is_refused() {
    let tickets = shared_secret("forged");
    let good = signed(&claims());
    let (head, signature) = good.rsplit_once('.').unwrap();
    let claims_part = head.rsplit_once('.').unwrap().1;
    let other = EncodingKey::from_secret(b"another secret of sufficient size");
    for token in [
        encode(&Header::default(), &claims(), &other).unwrap(),
        encode(&Header::new(Algorithm::HS384), &claims(), &EncodingKey::from_secret(SECRET)).unwrap(),
        format!("{head}."),
        head.to_owned(),
        format!("{}.{claims_part}.", base64(br#"{"alg":"none","typ":"JWT"}"#)),
        format!("{}.{claims_part}.{signature}", base64(br#"{"alg":"None"}"#)),
        format!("{}.{claims_part}.{signature}", base64(br#"{"typ":"JWT"}"#)),
        format!("{}.{claims_part}.{signature}", base64(br#"{"alg":"ES256"}"#)),
        format!("{good}.x"),
        String::new(),
        "a.b.c".to_owned(),
        "x".repeat(MAX_TOKEN + 1),
        signed(&with("note", json!("x".repeat(MAX_TOKEN)))),
    ] {
        assert_eq!(judged(&tickets, &token), Err(NoTicket::Bad), "{token}");
    }
}

#[test]
fn one_ticket_is_wanted() {
    let tickets = shared_secret("one");
    let good = signed(&claims());
    assert_eq!(tickets.judge(std::iter::empty()), Err(NoTicket::Absent));
    assert_eq!(tickets.judge([good.as_bytes(), good.as_bytes()].into_iter()), Err(NoTicket::Bad));
}

/// A new key of P-256: to sign with, and its public point.
fn elliptic() -> (EncodingKey, Vec<u8>) {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    (EncodingKey::from_ec_der(pkcs8.as_ref()), pair.public_key().as_ref().to_vec())
}

fn elliptic_jwk(point: &[u8], id: &str) -> Value {
    json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": id,
        "x": base64(&point[1..33]), "y": base64(&point[33..]),
    })
}

fn set(name: &str, keys: &Value) -> Result<Tickets, TicketKeyError> {
    let file = File::new(name, json!({ "keys": keys }).to_string().as_bytes());
    Tickets::from_jwks(&file.0, rules())
}

fn signed_with(algorithm: Algorithm, id: Option<&str>, key: &EncodingKey) -> String {
    let header = Header { kid: id.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, &claims(), key).unwrap()
}

#[test]
fn a_set_of_keys_is_asked_by_id_and_each_key_for_its_own_algorithm() {
    let ((one, one_point), (two, two_point)) = (elliptic(), elliptic());
    let foreign = json!({ "kty": "OKP", "crv": "Ed25519", "x": base64(&[7; 32]) });
    let keys = json!([foreign, elliptic_jwk(&one_point, "one"), elliptic_jwk(&two_point, "two")]);
    let tickets = set("set", &keys).unwrap();
    let es256 = Algorithm::ES256;
    assert!(judged(&tickets, &signed_with(es256, Some("one"), &one)).is_ok());
    assert!(judged(&tickets, &signed_with(es256, Some("two"), &two)).is_ok());
    assert!(judged(&tickets, &signed_with(es256, None, &two)).is_ok());
    assert_eq!(judged(&tickets, &signed_with(es256, Some("one"), &two)), Err(NoTicket::Bad));
    assert_eq!(judged(&tickets, &signed_with(es256, Some("three"), &one)), Err(NoTicket::Bad));
    // The public key is no secret: a token signed with it as one is a forgery.
    let confused = EncodingKey::from_secret(&one_point);
    assert_eq!(judged(&tickets, &signed_with(Algorithm::HS256, Some("one"), &confused)), Err(NoTicket::Bad));
}

#[test]
fn a_public_key_is_read_from_pem() {
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    let pem = |der: &[u8]| {
        let text = base64(der).replace('-', "+").replace('_', "/");
        let padding = "=".repeat((4 - text.len() % 4) % 4);
        format!("-----BEGIN PUBLIC KEY-----\n{text}{padding}\n-----END PUBLIC KEY-----\n").into_bytes()
    };
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let file = File::new("ec.pem", &pem(der.as_ref()));
    let tickets = Tickets::from_key_file(&file.0, TicketAlgorithm::Es256, rules()).unwrap();
    let token = signed_with(Algorithm::ES256, None, &EncodingKey::from_ec_der(pkcs8.as_ref()));
    assert!(judged(&tickets, &token).is_ok());
    // The same file as a shared secret would let anybody sign.
    let confused = EncodingKey::from_secret(&std::fs::read(&file.0).unwrap());
    let token = signed_with(Algorithm::HS256, None, &confused);
    assert_eq!(judged(&tickets, &token), Err(NoTicket::Bad));
    assert!(Tickets::from_key_file(&file.0, TicketAlgorithm::Rs256, rules()).is_err());
}

#[test]
fn rsa_signs_tickets_too() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = pair.public_key();
    let jwk = json!({
        "kty": "RSA", "n": base64(public.modulus().big_endian_without_leading_zero()),
        "e": base64(public.exponent().big_endian_without_leading_zero()),
    });
    let tickets = set("rsa", &json!([jwk])).unwrap();
    let head = base64(br#"{"alg":"RS256","typ":"JWT"}"#);
    let message = format!("{head}.{}", base64(claims().to_string().as_bytes()));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    assert!(judged(&tickets, &format!("{message}.{}", base64(&signature))).is_ok());
    signature[0] ^= 1;
    assert_eq!(judged(&tickets, &format!("{message}.{}", base64(&signature))), Err(NoTicket::Bad));
}

#[test]
fn a_key_file_that_cannot_be_meant_is_an_error_that_names_it() {
    let short = File::new("short", b"too short\n");
    let error = Tickets::from_key_file(&short.0, TicketAlgorithm::Hs256, rules()).unwrap_err();
    assert!(error.to_string().contains("ticket-short") && error.to_string().contains("32 bytes"), "{error}");
    let absent = Path::new("/nowhere/key");
    assert!(matches!(
        Tickets::from_key_file(absent, TicketAlgorithm::Es256, rules()),
        Err(TicketKeyError::Read { .. })
    ));
    assert!(Tickets::from_key_file(&short.0, TicketAlgorithm::Es256, rules()).is_err());
    assert!(Tickets::from_jwks(&short.0, rules()).is_err());
    let (_, point) = elliptic();
    let mut for_encryption = elliptic_jwk(&point, "one");
    for_encryption["use"] = json!("enc");
    for keys in [json!([]), json!([for_encryption]), json!([{ "kty": "oct", "k": base64(b"short") }])] {
        assert!(set("unfit", &keys).is_err(), "{keys}");
    }
}
