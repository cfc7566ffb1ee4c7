//! Any text as a token: it is refused unless we sealed it, and what we seal opens to what went in, and stays shut
//! when a byte of it changes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sbc_core::config::{HostPort, Key};
use sbc_core::seal::{BindingId, BranchSeal, ContactUri, Kind, ListenerTag, Peer, PeerAddress, Tokens};
use sbc_core::wire::Uri;

/// The first bytes choose the peer and the byte that is altered; the rest is text.
pub fn run(bytes: &[u8]) {
    let Some((choice, text)) = bytes.split_first_chunk::<8>() else { return };
    let tokens = Tokens::new(&[Key([1; 32]), Key([2; 32])], &Key([9; 32]));
    strangers_stay_out(&tokens, text);
    let peer = peer(choice);
    contact(&tokens, peer, choice, text);
    route(&tokens, peer, choice);
    branch(&tokens, peer, choice, text);
    challenge(&tokens, choice, text);
}

fn strangers_stay_out(tokens: &Tokens, text: &[u8]) {
    assert!(tokens.open_route(text).is_err(), "a Route token out of nothing");
    assert!(tokens.open_branch(b"call", text, |_| ()).is_err(), "a branch out of nothing");
    assert!(tokens.open_challenge(text, |_, _| ()).is_err(), "a challenge out of nothing");
    for uri in [Uri::parse(text), Uri::parse(&[b"sip:", text, b"@host"].concat())].into_iter().flatten() {
        for kind in [Kind::Contact, Kind::Registered] {
            assert!(tokens.open_contact(kind, b"call", &uri).is_err(), "a Contact out of nothing");
        }
    }
}

fn peer(choice: &[u8; 8]) -> Peer {
    let port = u16::from_be_bytes([choice[2], choice[3]]);
    let number = u64::from_be_bytes(*choice);
    let address = match choice[0] % 4 {
        0 => PeerAddress::Binding,
        1 => PeerAddress::At((Ipv4Addr::new(192, 0, 2, choice[4]), port).into()),
        2 => PeerAddress::At((Ipv6Addr::from_bits(number.into()), port).into()),
        _ => PeerAddress::Connection { boot: number, number: !number },
    };
    let binding = (choice[0] & 128 != 0).then_some(BindingId(u128::from(number) << 64 | 1));
    Peer { listener: ListenerTag(port), port: choice[1], address, binding }
}

fn contact(tokens: &Tokens, peer: Peer, choice: &[u8; 8], target: &[u8]) {
    let advertise = HostPort { host: "sip.example.com".into(), port: 5060 };
    let parts = ContactUri {
        kind: Kind::Contact,
        call_id: b"call",
        peer,
        target,
        secure: choice[2] & 1 != 0,
        advertise: &advertise,
        parameters: ";transport=ws",
    };
    let mut out = Vec::new();
    if !tokens.write_contact(&parts, &mut out) {
        assert!(out.is_empty());
        return;
    }
    let uri = Uri::parse(&out).expect("our own Contact");
    let Ok(seal) = tokens.open_contact(Kind::Contact, b"call", &uri) else { panic!("our own token") };
    assert_eq!(seal.peer, peer);
    let mut opened = Vec::new();
    seal.write_target(&mut opened);
    assert_eq!(opened, target);
    assert!(tokens.open_contact(Kind::Contact, b"other", &uri).is_err());
    assert!(tokens.open_contact(Kind::Registered, b"call", &uri).is_err());
    let user = uri.user_range.expect("a token");
    let mut altered = out.clone();
    alter(altered.get_mut(user).expect("inside"), choice);
    if let Ok(uri) = Uri::parse(&altered) {
        assert!(tokens.open_contact(Kind::Contact, b"call", &uri).is_err(), "altered, and it opens");
    }
}

fn route(tokens: &Tokens, peer: Peer, choice: &[u8; 8]) {
    for kind in [Kind::Path, Kind::RecordRoute] {
        let mut user = Vec::new();
        tokens.write_route(kind, &peer, &mut user);
        assert_eq!(tokens.open_route(&user), Ok(peer));
        alter(&mut user, choice);
        assert!(tokens.open_route(&user).is_err(), "altered, and it opens");
    }
}

fn branch(tokens: &Tokens, peer: Peer, choice: &[u8; 8], vias: &[u8]) {
    let [first, second, third, fourth, ..] = *choice;
    let proof = u32::from_le_bytes([first, second, third, fourth]);
    let seal = BranchSeal { peer, leg: u32::from(choice[5]), proof, routing: !proof, vias };
    let mut text = Vec::new();
    tokens.write_branch(b"call", &seal, &mut text);
    let same = |opened: BranchSeal<'_>| {
        (opened.peer, opened.leg, opened.proof, opened.routing)
            == (seal.peer, seal.leg, seal.proof, seal.routing)
            && (opened.vias == vias || opened.vias.is_empty())
    };
    assert_eq!(tokens.open_branch(b"call", &text, same), Ok(true));
    alter(&mut text, choice);
    assert!(tokens.open_branch(b"call", &text, |_| ()).is_err(), "altered, and it opens");
}

fn challenge(tokens: &Tokens, choice: &[u8; 8], opaque: &[u8]) {
    let member = SocketAddr::new(IpAddr::from([10, 0, 2, choice[6]]), 5080);
    for opaque in [None, Some(opaque)] {
        let mut text = Vec::new();
        if !tokens.write_challenge(member, opaque, &mut text) {
            assert!(text.is_empty());
            continue;
        }
        assert_eq!(tokens.open_challenge(&text, |m, o| m == member && o == opaque), Ok(true));
        alter(&mut text, choice);
        assert!(tokens.open_challenge(&text, |_, _| ()).is_err(), "altered, and it opens");
    }
}

/// Turn one character into its neighbour in value: still of the alphabet or not, but another.
fn alter(text: &mut [u8], choice: &[u8; 8]) {
    let length = text.len().max(1);
    if let Some(byte) = text.get_mut(usize::from(choice[7]) % length) {
        *byte ^= 1;
    }
}
