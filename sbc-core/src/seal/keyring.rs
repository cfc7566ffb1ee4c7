//! Keys and the envelope: version, kind, key id, tag, ciphertext, in letters, digits, `-` and `_`.
//!
//! Only that alphabet, because FreeSWITCH decodes escapes in a Path and cuts at `/`.

use aes_gcm_siv::aead::AeadInOut;
use aes_gcm_siv::{Aes256GcmSiv, KeyInit, Nonce, Tag};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::Key;
use crate::hash::KeyedHash;

/// What a token is for. A token of one kind never opens as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In a Contact towards the public side: a peer and its remote target, bound to a Call-ID.
    Contact = 1,
    /// In a Record-Route towards the pool: a flow or binding.
    RecordRoute = 2,
    /// In a Path: a binding. Sealed with the path key.
    Path = 3,
    /// In a Via branch: where the response goes.
    Branch = 4,
    /// In a Contact that a pool member registers at a carrier. Sealed with the path key.
    Registered = 5,
    /// In the `opaque` of a challenge: the member that made it.
    Challenge = 6,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Contact,
            2 => Self::RecordRoute,
            3 => Self::Path,
            4 => Self::Branch,
            5 => Self::Registered,
            6 => Self::Challenge,
            _ => return None,
        })
    }

    /// Path and registered Contacts outlive the rotation of the token keys.
    const fn is_lasting(self) -> bool {
        matches!(self, Self::Path | Self::Registered)
    }
}

/// Why a token did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// Not written by us or anyone like us: an ordinary user name.
    NotAToken,
    /// Sealed with a key we do not have, or no longer have.
    UnknownKey,
    /// Sealed with a key of ours, and altered, or moved to another place or Call-ID.
    Forged,
}

const VERSION: u8 = 1;
const HEADER_LENGTH: usize = 3;
const TAG_LENGTH: usize = 16;
/// Longest plain text of a token, in bytes.
pub(super) const PLAIN_MAX: usize = 640;
const RAW_MAX: usize = HEADER_LENGTH + TAG_LENGTH + PLAIN_MAX;
/// Longest token, in characters.
pub(super) const TEXT_MAX: usize = RAW_MAX.div_ceil(3) * 4;
const TEXT_MIN: usize = (HEADER_LENGTH + TAG_LENGTH) * 4 / 3;

/// The plain text of an opened token, on the stack.
pub struct Token {
    raw: [u8; RAW_MAX],
    length: usize,
}

impl Token {
    /// The plain text.
    pub fn plain(&self) -> &[u8] {
        &self.raw[HEADER_LENGTH + TAG_LENGTH..self.length]
    }
}

struct SealKey {
    id: u16,
    cipher: Aes256GcmSiv,
}

impl SealKey {
    fn new(key: &Key) -> Self {
        let mut half = [0u8; 16];
        half.copy_from_slice(&key.0[..16]);
        let id = KeyedHash::new(half).of(&[b"key id", &key.0]) as u16;
        Self { id, cipher: Aes256GcmSiv::new(&key.0.into()) }
    }
}

/// The keys in force: those of dialogs, newest first, and the one of Path.
pub struct KeyRing {
    dialog: Vec<SealKey>,
    path: SealKey,
}

impl KeyRing {
    /// `keys` newest first; the first one seals.
    pub fn new(keys: &[Key], path_key: &Key) -> Self {
        Self { dialog: keys.iter().map(SealKey::new).collect(), path: SealKey::new(path_key) }
    }

    /// The kind a text claims, if it has the looks of a token.
    pub fn kind_of(text: &[u8]) -> Option<Kind> {
        if text.len() < TEXT_MIN || text.len() > TEXT_MAX {
            return None;
        }
        if !text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return None;
        }
        let mut first = [0u8; 3];
        let written = URL_SAFE_NO_PAD.decode_slice(text.get(..4)?, &mut first).ok()?;
        (written == 3 && first[0] >> 4 == VERSION).then(|| Kind::of(first[0] & 15))?
    }

    /// Append the token for `plain`, which only opens again with the same `kind` and `context`.
    /// Returns false, and appends nothing, where `plain` is longer than `PLAIN_MAX` bytes.
    pub fn seal(&self, kind: Kind, context: &[u8], plain: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(key) = self.sealing_key(kind) else { return false };
        if plain.len() > PLAIN_MAX {
            return false;
        }
        let mut raw = [0u8; RAW_MAX];
        let length = HEADER_LENGTH + TAG_LENGTH + plain.len();
        raw[0] = VERSION << 4 | kind as u8;
        raw[1..3].copy_from_slice(&key.id.to_be_bytes());
        let (head, body) = raw.split_at_mut(HEADER_LENGTH + TAG_LENGTH);
        let body = &mut body[..plain.len()];
        body.copy_from_slice(plain);
        let Ok(tag) = key.cipher.encrypt_inout_detached(&nonce(kind), context, body.into()) else {
            return false;
        };
        head[HEADER_LENGTH..].copy_from_slice(&tag);
        let start = out.len();
        out.resize(start + TEXT_MAX, 0);
        let written = URL_SAFE_NO_PAD.encode_slice(&raw[..length], &mut out[start..]).unwrap_or(0);
        out.truncate(start + written);
        true
    }

    /// Open `text`.
    ///
    /// # Errors
    /// See [`OpenError`]; only `Forged` speaks against whoever sent it.
    pub fn open(&self, kind: Kind, context: &[u8], text: &[u8]) -> Result<Token, OpenError> {
        if Self::kind_of(text) != Some(kind) {
            return Err(OpenError::NotAToken);
        }
        let mut token = Token { raw: [0; RAW_MAX], length: 0 };
        token.length =
            URL_SAFE_NO_PAD.decode_slice(text, &mut token.raw).map_err(|_| OpenError::NotAToken)?;
        if token.length < HEADER_LENGTH + TAG_LENGTH {
            return Err(OpenError::NotAToken);
        }
        let id = u16::from_be_bytes([token.raw[1], token.raw[2]]);
        let key = self.opening_key(kind, id).ok_or(OpenError::UnknownKey)?;
        let (head, body) = token.raw.split_at_mut(HEADER_LENGTH + TAG_LENGTH);
        let mut tag = Tag::default();
        tag.copy_from_slice(&head[HEADER_LENGTH..]);
        let body = &mut body[..token.length - HEADER_LENGTH - TAG_LENGTH];
        key.cipher
            .decrypt_inout_detached(&nonce(kind), context, body.into(), &tag)
            .map_err(|_| OpenError::Forged)?;
        Ok(token)
    }

    /// The first characters of all tokens of a kind, one for each key.
    pub fn beginnings(&self, kind: Kind) -> Vec<Vec<u8>> {
        let keys = if kind.is_lasting() { std::slice::from_ref(&self.path) } else { &self.dialog[..] };
        let beginning = |key: &SealKey| {
            let [high, low] = key.id.to_be_bytes();
            let mut text = vec![0; 4];
            let written = URL_SAFE_NO_PAD.encode_slice([VERSION << 4 | kind as u8, high, low], &mut text);
            text.truncate(written.unwrap_or(0));
            text
        };
        keys.iter().map(beginning).collect()
    }

    fn sealing_key(&self, kind: Kind) -> Option<&SealKey> {
        if kind.is_lasting() { Some(&self.path) } else { self.dialog.first() }
    }

    fn opening_key(&self, kind: Kind, id: u16) -> Option<&SealKey> {
        if kind.is_lasting() {
            return (self.path.id == id).then_some(&self.path);
        }
        self.dialog.iter().find(|key| key.id == id)
    }
}

/// The nonce is the kind: RFC 8452 §9 allows its reuse at the price of showing equal messages as
/// equal, which is what we want, and it keeps the kinds apart.
fn nonce(kind: Kind) -> Nonce {
    let mut nonce = Nonce::default();
    nonce[0] = kind as u8;
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> KeyRing {
        KeyRing::new(&[Key([1; 32]), Key([2; 32])], &Key([9; 32]))
    }

    fn sealed(ring: &KeyRing, kind: Kind, context: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        assert!(ring.seal(kind, context, plain, &mut text));
        text
    }

    #[test]
    fn what_is_sealed_opens() {
        let ring = ring();
        for length in [0, 1, 15, 16, 17, 100, PLAIN_MAX] {
            let plain = vec![7u8; length];
            let text = sealed(&ring, Kind::Contact, b"call", &plain);
            assert_eq!(ring.open(Kind::Contact, b"call", &text).map(|t| t.plain().to_vec()), Ok(plain));
        }
    }

    #[test]
    fn the_same_input_gives_the_same_token() {
        let ring = ring();
        assert_eq!(sealed(&ring, Kind::Path, b"", b"x"), sealed(&ring, Kind::Path, b"", b"x"));
    }

    #[test]
    fn a_token_begins_as_all_of_its_kind_and_key_do() {
        let ring = ring();
        for kind in [Kind::Contact, Kind::Path] {
            let beginnings = ring.beginnings(kind);
            let text = sealed(&ring, kind, b"call", b"x");
            assert!(text.starts_with(&beginnings[0]), "{kind:?}");
        }
        assert_eq!(ring.beginnings(Kind::Contact).len(), 2);
    }

    #[test]
    fn the_alphabet_survives_freeswitch() {
        let text = sealed(&ring(), Kind::Branch, b"", &[0xff; 64]);
        assert!(text.iter().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b)));
    }

    #[test]
    fn another_call_id_or_kind_does_not_open() {
        let ring = ring();
        let text = sealed(&ring, Kind::Contact, b"call-1", b"peer");
        assert_eq!(ring.open(Kind::Contact, b"call-2", &text).err(), Some(OpenError::Forged));
        assert_eq!(ring.open(Kind::Branch, b"call-1", &text).err(), Some(OpenError::NotAToken));
    }

    #[test]
    fn every_altered_character_is_noticed() {
        let ring = ring();
        let text = sealed(&ring, Kind::Contact, b"call", b"some peer");
        for at in 0..text.len() {
            let mut altered = text.clone();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            assert!(ring.open(Kind::Contact, b"call", &altered).is_err(), "character {at}");
        }
    }

    #[test]
    fn an_older_key_still_opens_and_a_retired_one_is_unknown() {
        let old = KeyRing::new(&[Key([2; 32])], &Key([9; 32]));
        let text = sealed(&old, Kind::Contact, b"", b"x");
        assert!(ring().open(Kind::Contact, b"", &text).is_ok());
        let rotated = KeyRing::new(&[Key([3; 32]), Key([1; 32])], &Key([9; 32]));
        assert_eq!(rotated.open(Kind::Contact, b"", &text).err(), Some(OpenError::UnknownKey));
    }

    #[test]
    fn path_does_not_rotate_with_the_keys() {
        let text = sealed(&ring(), Kind::Path, b"", b"x");
        let rotated = KeyRing::new(&[Key([5; 32])], &Key([9; 32]));
        assert_eq!(sealed(&rotated, Kind::Path, b"", b"x"), text);
    }

    #[test]
    fn ordinary_user_names_are_not_tokens() {
        for name in ["alice", "", "+4930123456", "Elisabeth.von.Hohenzollern.at.home", "E"] {
            assert_eq!(KeyRing::kind_of(name.as_bytes()), None, "{name}");
        }
    }
}
