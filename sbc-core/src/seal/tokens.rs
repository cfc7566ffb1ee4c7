//! The tokens by purpose: what each says, and the URI it is written in.

use std::net::SocketAddr;

use super::fields::{Peer, PeerAddress, Reader};
use super::keyring::{KeyRing, Kind, OpenError, PLAIN_MAX, TEXT_MAX, Token};
use super::plain::StackBytes;
use crate::config::{HostPort, Key};
use crate::flow::AddressText;
use crate::wire::Uri;

/// Longest user part of a Contact of ours, in characters. What does not fit follows in `;t=`.
const CONTACT_USER_MAX: usize = 128;
/// Longest remote target that a Contact token takes, in bytes.
const TARGET_MAX: usize = 512;
/// Longest list of hidden Vias that a branch takes, in bytes.
const HIDDEN_VIAS_MAX: usize = 512;
const REST_PARAMETER: &str = "t";

/// Seals and opens every kind of token.
pub struct Tokens {
    ring: KeyRing,
}

/// A Contact (or registered Contact) to be written: `sip:TOKEN@host:port`, or `sips:`.
pub struct ContactUri<'a> {
    /// [`Kind::Contact`] or [`Kind::Registered`].
    pub kind: Kind,
    /// The Call-ID it is bound to; empty for a registered Contact.
    pub call_id: &'a [u8],
    /// Who is behind it.
    pub peer: Peer,
    /// The Contact URI that the peer gave: its remote target (RFC 3261 §12.1).
    pub target: &'a [u8],
    /// Whether it is a `sips:` one.
    pub secure: bool,
    /// What the other side is told.
    pub advertise: &'a HostPort,
    /// Appended, with its `;`.
    pub parameters: &'a str,
}

/// An opened Contact.
pub struct ContactSeal {
    /// Where to send.
    pub peer: Peer,
    token: Token,
    target_at: usize,
}

/// What a branch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BranchSeal<'a> {
    /// Where the response goes.
    pub peer: Peer,
    /// Tells the branches of one request apart: the member, or the number of the binding.
    pub leg: u32,
    /// Hash of what makes the request one transaction (its top Via and method).
    pub proof: u32,
    /// Hash of what the routing of the request hung on: a request that comes back with the same is in a loop.
    pub routing: u32,
    /// The Via values taken off, as they came, separated by `, `. Empty: none was taken off.
    pub vias: &'a [u8],
}

impl Tokens {
    /// With these keys, newest first.
    pub fn new(keys: &[Key], path_key: &Key) -> Self {
        Self { ring: KeyRing::new(keys, path_key) }
    }

    /// Append a Contact URI. False, and nothing appended, where the target is too long to be sealed.
    pub fn write_contact(&self, contact: &ContactUri<'_>, out: &mut Vec<u8>) -> bool {
        if contact.target.len() > TARGET_MAX {
            return false;
        }
        let mut plain = Plain::new();
        contact.peer.write(&mut plain);
        write_target(&contact.peer, contact.target, &mut plain);
        let start = out.len();
        out.extend_from_slice(if contact.secure { SECURE_SCHEME } else { SCHEME });
        let user = out.len();
        if !self.seal(contact.kind, contact.call_id, &plain, out) {
            out.truncate(start);
            return false;
        }
        let rest = out.len().min(user + CONTACT_USER_MAX);
        let rest_length = out.len() - rest;
        out.push(b'@');
        write_host(contact.advertise, out);
        if rest_length > 0 {
            out.extend_from_slice(b";t=");
            // What did not fit the user part stands before the host now, and belongs behind it.
            if let Some(tail) = out.get_mut(rest..) {
                tail.rotate_left(rest_length);
            }
        }
        out.extend_from_slice(contact.parameters.as_bytes());
        true
    }

    /// How Contact URIs of ours begin, those that lead into dialogs.
    pub fn contact_beginnings(&self) -> Vec<Vec<u8>> {
        let tokens = self.ring.beginnings(Kind::Contact);
        let with = |scheme: &[u8]| tokens.iter().map(|token| [scheme, token].concat()).collect::<Vec<_>>();
        [with(SCHEME), with(SECURE_SCHEME)].concat()
    }

    fn seal(&self, kind: Kind, context: &[u8], plain: &Plain, out: &mut Vec<u8>) -> bool {
        plain.get().is_some_and(|plain| self.ring.seal(kind, context, plain, out))
    }

    /// Open a Contact URI of ours.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_contact(&self, kind: Kind, call_id: &[u8], uri: &Uri<'_>) -> Result<ContactSeal, OpenError> {
        let user = uri.user.ok_or(OpenError::NotAToken)?;
        let token = match uri.params.value(REST_PARAMETER) {
            None => self.ring.open(kind, call_id, user)?,
            Some(rest) => {
                let mut whole = StackBytes::<TEXT_MAX>::new();
                whole.extend_from_slice(user);
                whole.extend_from_slice(rest);
                self.ring.open(kind, call_id, whole.get().ok_or(OpenError::NotAToken)?)?
            }
        };
        let mut reader = Reader(token.plain());
        let peer = Peer::read(&mut reader).ok_or(OpenError::Forged)?;
        let target_at = token.plain().len() - reader.0.len();
        Ok(ContactSeal { peer, token, target_at })
    }

    /// Append the user part of a Path or Record-Route.
    pub fn write_route(&self, kind: Kind, peer: &Peer, out: &mut Vec<u8>) {
        let mut plain = Plain::new();
        peer.write(&mut plain);
        self.seal(kind, b"", &plain, out);
    }

    /// Open the user part of a Route that was our Path or Record-Route.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_route(&self, user: &[u8]) -> Result<Peer, OpenError> {
        let kind = KeyRing::kind_of(user).ok_or(OpenError::NotAToken)?;
        if !matches!(kind, Kind::Path | Kind::RecordRoute) {
            return Err(OpenError::NotAToken);
        }
        let token = self.ring.open(kind, b"", user)?;
        Peer::read(&mut Reader(token.plain())).ok_or(OpenError::Forged)
    }

    /// Append a branch without its magic cookie. Hidden Vias too long to seal are left out: then only
    /// the transaction in memory can lead the response home. It opens again for the same Call-ID alone.
    pub fn write_branch(&self, call_id: &[u8], branch: &BranchSeal<'_>, out: &mut Vec<u8>) {
        let mut plain = Plain::new();
        branch.peer.write(&mut plain);
        plain.extend_from_slice(&branch.leg.to_be_bytes());
        plain.extend_from_slice(&branch.proof.to_be_bytes());
        plain.extend_from_slice(&branch.routing.to_be_bytes());
        if branch.vias.len() <= HIDDEN_VIAS_MAX {
            plain.extend_from_slice(branch.vias);
        }
        self.seal(Kind::Branch, call_id, &plain, out);
    }

    /// Open a branch without its magic cookie and hand it to `read`.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_branch<R>(
        &self,
        call_id: &[u8],
        text: &[u8],
        read: impl FnOnce(BranchSeal<'_>) -> R,
    ) -> Result<R, OpenError> {
        let token = self.ring.open(Kind::Branch, call_id, text)?;
        let mut reader = Reader(token.plain());
        let peer = Peer::read(&mut reader).ok_or(OpenError::Forged)?;
        let leg = u32::from_be_bytes(reader.array().ok_or(OpenError::Forged)?);
        let proof = u32::from_be_bytes(reader.array().ok_or(OpenError::Forged)?);
        let routing = u32::from_be_bytes(reader.array().ok_or(OpenError::Forged)?);
        Ok(read(BranchSeal { peer, leg, proof, routing, vias: reader.0 }))
    }

    /// Append the `opaque` of a challenge: the member that made it, and the opaque it had of its own.
    pub fn write_challenge(&self, member: SocketAddr, opaque: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
        let mut plain = Plain::new();
        let address = PeerAddress::At(member);
        Peer { listener: super::ListenerTag(0), port: 0, address, binding: None }.write(&mut plain);
        if let Some(opaque) = opaque {
            plain.push(1);
            plain.extend_from_slice(opaque);
        }
        self.seal(Kind::Challenge, b"", &plain, out)
    }

    /// Open the `opaque` of credentials and hand the member and its own opaque to `read`.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_challenge<R>(
        &self,
        text: &[u8],
        read: impl FnOnce(SocketAddr, Option<&[u8]>) -> R,
    ) -> Result<R, OpenError> {
        let token = self.ring.open(Kind::Challenge, b"", text)?;
        let mut reader = Reader(token.plain());
        let peer = Peer::read(&mut reader).ok_or(OpenError::Forged)?;
        let PeerAddress::At(member) = peer.address else { return Err(OpenError::Forged) };
        Ok(read(member, reader.byte().map(|_| reader.0)))
    }
}

impl ContactSeal {
    /// Append the remote target, as the peer gave it.
    pub fn write_target(&self, out: &mut Vec<u8>) {
        read_target(&self.peer, &self.token.plain()[self.target_at..], out);
    }
}

/// Plain text on its way into a token.
type Plain = StackBytes<PLAIN_MAX>;

const STARTS_WITH_SIP: u8 = 1;
const HAS_PEER_ADDRESS: u8 = 2;
const SCHEME: &[u8] = b"sip:";
const SECURE_SCHEME: &[u8] = b"sips:";

/// The target without what the peer says already: its scheme and its own address.
fn write_target(peer: &Peer, target: &[u8], out: &mut Plain) {
    let (scheme, text) = match target.strip_prefix(SCHEME) {
        Some(rest) => (STARTS_WITH_SIP, rest),
        None => (0, target),
    };
    let address = address_text(peer);
    let address = address.as_bytes();
    let found = if address.is_empty() { None } else { memchr::memmem::find(text, address) };
    // What follows must not be another digit of the port.
    let found = found.filter(|at| *at < 256 && !text.get(at + address.len()).is_some_and(u8::is_ascii_digit));
    match found {
        Some(at) => {
            out.push(scheme | HAS_PEER_ADDRESS);
            out.push(at as u8);
            out.extend_from_slice(&text[..at]);
            out.extend_from_slice(&text[at + address.len()..]);
        }
        None => {
            out.push(scheme);
            out.extend_from_slice(text);
        }
    }
}

fn read_target(peer: &Peer, plain: &[u8], out: &mut Vec<u8>) {
    let mut reader = Reader(plain);
    let Some(flags) = reader.byte() else { return };
    if flags & STARTS_WITH_SIP != 0 {
        out.extend_from_slice(SCHEME);
    }
    if flags & HAS_PEER_ADDRESS != 0 {
        let length = reader.byte().unwrap_or(0);
        out.extend_from_slice(reader.take(usize::from(length)).unwrap_or(b""));
        out.extend_from_slice(address_text(peer).as_bytes());
    }
    out.extend_from_slice(reader.0);
}

/// The address as URIs write it; empty where there is none.
fn address_text(peer: &Peer) -> AddressText {
    match peer.address {
        PeerAddress::At(remote) => AddressText::of(remote),
        PeerAddress::Binding | PeerAddress::Connection { .. } => AddressText::EMPTY,
    }
}

/// Append `host:port`, IPv6 in brackets.
pub(crate) fn write_host(host: &HostPort, out: &mut Vec<u8>) {
    use std::io::Write as _;
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{host}");
}

#[cfg(test)]
mod tests {
    use super::super::{BindingId, ListenerTag};
    use super::*;

    fn tokens() -> Tokens {
        Tokens::new(&[Key([1; 32])], &Key([2; 32]))
    }

    fn member() -> Peer {
        let address = PeerAddress::At("10.0.2.10:5080".parse().unwrap());
        Peer { listener: ListenerTag(7), port: 0, address, binding: None }
    }

    fn contact(target: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let uri = ContactUri {
            kind: Kind::Contact,
            call_id: b"call",
            peer: member(),
            target,
            secure: false,
            advertise: &HostPort { host: "sip.example.com".into(), port: 443 },
            parameters: ";transport=ws",
        };
        assert!(tokens().write_contact(&uri, &mut out));
        out
    }

    fn target_of(uri: &[u8]) -> Vec<u8> {
        let uri = Uri::parse(uri).unwrap();
        let seal = tokens().open_contact(Kind::Contact, b"call", &uri).ok().unwrap();
        assert_eq!(seal.peer, member());
        let mut out = Vec::new();
        seal.write_target(&mut out);
        out
    }

    #[test]
    fn a_target_comes_back_byte_for_byte() {
        let long = format!("sip:{}@elsewhere.example:5070;x=y", "u".repeat(300));
        let targets = [
            "sip:9195@10.0.2.10:5080;transport=udp",
            "sip:mod_sofia@10.0.2.10:5080",
            "sip:gw+name@10.0.2.10:5080;transport=udp;gw=name",
            "sip:10.0.2.10:5080",
            "sip:a@10.0.2.10:50801",
            "sip:a@[2001:db8::1]:5060",
            "sips:b@host",
            "",
            &long,
        ];
        for target in targets {
            assert_eq!(target_of(&contact(target.as_bytes())), target.as_bytes());
        }
    }

    #[test]
    fn the_user_part_stays_within_128_characters() {
        for length in [0, 10, 60, 200, 400] {
            let uri = contact(format!("sip:{}@host.example", "n".repeat(length)).as_bytes());
            let uri = Uri::parse(&uri).unwrap();
            assert!(uri.user.unwrap().len() <= CONTACT_USER_MAX);
        }
        let usual = contact(b"sip:+4930123456789@10.0.2.10:5080;transport=udp");
        assert!(!usual.windows(3).any(|w| w == b";t="), "an ordinary target needs no second part");
    }

    #[test]
    fn too_long_a_target_is_refused() {
        let uri = ContactUri {
            kind: Kind::Contact,
            call_id: b"",
            peer: member(),
            target: &[b'x'; TARGET_MAX + 1],
            secure: false,
            advertise: &HostPort { host: "h".into(), port: 1 },
            parameters: "",
        };
        let mut out = Vec::new();
        assert!(!tokens().write_contact(&uri, &mut out) && out.is_empty());
    }

    #[test]
    fn a_path_is_short_and_opens() {
        let remote = PeerAddress::At("[2001:db8::1]:65535".parse().unwrap());
        let peer = Peer { listener: ListenerTag(1), port: 9, address: remote, binding: Some(BindingId(1)) };
        let mut user = Vec::new();
        tokens().write_route(Kind::Path, &peer, &mut user);
        assert!(user.len() <= 128);
        assert_eq!(tokens().open_route(&user), Ok(peer));
    }

    #[test]
    fn a_branch_carries_the_vias_it_hides() {
        let seal = BranchSeal {
            peer: member(),
            leg: 3,
            proof: 4,
            routing: 5,
            vias: b"SIP/2.0/UDP 10.0.2.10:5080;rport;branch=z9hG4bKgQ",
        };
        let mut text = Vec::new();
        tokens().write_branch(b"call", &seal, &mut text);
        assert_eq!(tokens().open_branch(b"call", &text, |opened| opened == seal), Ok(true));
        assert_eq!(tokens().open_branch(b"another", &text, |_| ()), Err(OpenError::Forged));
    }

    #[test]
    fn a_challenge_names_its_member_and_keeps_its_own_opaque() {
        let address = "10.0.2.10:5080".parse().unwrap();
        for own in [None, Some(&b""[..]), Some(&b"5ccc069c403ebaf9f0171e9517f40e41"[..])] {
            let mut text = Vec::new();
            assert!(tokens().write_challenge(address, own, &mut text));
            let same = tokens().open_challenge(&text, |m, o| m == address && o == own);
            assert_eq!(same, Ok(true));
        }
    }
}
