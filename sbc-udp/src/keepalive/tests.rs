//! STUN by the samples of RFC 5769, and blanks.

use super::{Keepalive, classify, crc32};
use std::net::SocketAddr;

/// RFC 5769 §2.1: a request with SOFTWARE, ICE attributes, USERNAME, MESSAGE-INTEGRITY and FINGERPRINT.
const SAMPLE_REQUEST: [u8; 108] = [
    0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa,
    0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73, 0x74, 0x20,
    0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff, 0x80, 0x29, 0x00,
    0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6a,
    0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c, 0xbf,
    0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49, 0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28,
    0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
];
const SAMPLE_TRANSACTION: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

fn request(attributes: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x00, 0x01, 0x00, attributes.len() as u8, 0x21, 0x12, 0xa4, 0x42];
    bytes.extend_from_slice(&SAMPLE_TRANSACTION);
    bytes.extend_from_slice(attributes);
    bytes
}

fn judge(datagram: &[u8], source: &str) -> (Keepalive, Vec<u8>) {
    let mut response = vec![0xFF; 3];
    let verdict = classify(datagram, source.parse::<SocketAddr>().unwrap(), &mut response);
    (verdict, response)
}

#[test]
fn crc_of_the_check_string_is_right() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
}

#[test]
fn an_ipv4_source_is_told_as_in_rfc_5769() {
    let (verdict, response) = judge(&request(&[]), "192.0.2.1:32853");
    assert_eq!(verdict, Keepalive::Stun);
    assert_eq!(response[..8], [0x01, 0x01, 0x00, 0x0c, 0x21, 0x12, 0xa4, 0x42]);
    assert_eq!(response[8..20], SAMPLE_TRANSACTION);
    // RFC 5769 §2.2
    assert_eq!(response[20..], [0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
}

#[test]
fn an_ipv6_source_is_told_as_in_rfc_5769() {
    let (verdict, response) = judge(&request(&[]), "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
    assert_eq!(verdict, Keepalive::Stun);
    // RFC 5769 §2.3
    let attribute = [
        0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc,
        0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9,
    ];
    assert_eq!(response[20..], attribute);
}

#[test]
fn a_request_with_fingerprint_gets_one_that_verifies() {
    let fingerprinted = {
        let mut bytes = request(&[0x80, 0x28, 0, 4, 0, 0, 0, 0]);
        let value = super::fingerprint(&bytes[..20]).to_be_bytes();
        bytes[24..].copy_from_slice(&value);
        bytes
    };
    let (verdict, response) = judge(&fingerprinted, "192.0.2.1:32853");
    assert_eq!(verdict, Keepalive::Stun);
    assert_eq!(response.len(), 20 + 12 + 8);
    let (covered, attribute) = response.split_at(response.len() - 8);
    assert_eq!(attribute[..4], [0x80, 0x28, 0, 4]);
    assert_eq!(attribute[4..], super::fingerprint(covered).to_be_bytes());
}

#[test]
fn the_fingerprint_of_the_rfc_5769_request_verifies_and_its_ice_attribute_is_named_unknown() {
    let (verdict, response) = judge(&SAMPLE_REQUEST, "192.0.2.1:32853");
    assert_eq!(verdict, Keepalive::Stun);
    assert_eq!(response[..2], [0x01, 0x11]);
    assert_eq!(response[20..28], [0x00, 0x09, 0x00, 0x04, 0, 0, 4, 20]);
    assert_eq!(response[28..36], [0x00, 0x0a, 0x00, 0x02, 0x00, 0x24, 0, 0]);
    assert!(response.len() <= SAMPLE_REQUEST.len());
}

#[test]
fn damaged_stun_and_stun_that_is_no_binding_request_get_no_answer() {
    let mut wrong_fingerprint = SAMPLE_REQUEST;
    wrong_fingerprint[30] ^= 1;
    let mut indication = request(&[]);
    indication[1] = 0x11;
    let mut success = request(&[]);
    success[..2].copy_from_slice(&[0x01, 0x01]);
    let overrun = request(&[0x80, 0x22, 0, 9, 1, 2, 3, 4]);
    let after_fingerprint = request(&[0x80, 0x28, 0, 4, 0, 0, 0, 0, 0x80, 0x22, 0, 0]);
    for datagram in [&wrong_fingerprint[..], &indication, &success, &overrun, &after_fingerprint] {
        assert_eq!(judge(datagram, "192.0.2.1:1"), (Keepalive::Ignore, vec![]), "{datagram:x?}");
    }
    let mut long = request(&[]);
    long.resize(20 + 600, 0);
    long[2..4].copy_from_slice(&600_u16.to_be_bytes());
    assert_eq!(judge(&long, "192.0.2.1:1").0, Keepalive::Ignore);
}

#[test]
fn a_wrong_cookie_or_length_is_not_stun() {
    let mut cookie = request(&[]);
    cookie[4] = 0;
    let mut length = request(&[]);
    length[3] = 4;
    for datagram in [&cookie[..], &length, &request(&[])[..19]] {
        assert_eq!(judge(datagram, "192.0.2.1:1").0, Keepalive::NotKeepalive);
    }
}

#[test]
fn line_ends_zero_bytes_and_empty_datagrams_are_ignored() {
    for datagram in [&b""[..], b"\r\n\r\n", b"\r\n", b"\0\0\0\0", b"\0", b" \r\n", &[0; 64]] {
        assert_eq!(judge(datagram, "192.0.2.1:1"), (Keepalive::Ignore, vec![]));
    }
}

#[test]
fn sip_is_not_a_keepalive_even_after_line_ends() {
    for datagram in
        [&b"OPTIONS sip:x SIP/2.0\r\n\r\n"[..], b"\r\n\r\nSIP/2.0 200 OK\r\n\r\n", b"\0\0\0\0SIP", b"1"]
    {
        assert_eq!(judge(datagram, "192.0.2.1:1").0, Keepalive::NotKeepalive);
    }
}

proptest::proptest! {
    #[test]
    fn any_attributes_are_judged_without_a_panic_and_the_answer_stays_small(
        attributes in proptest::collection::vec(proptest::num::u8::ANY, 0..63)
    ) {
        let attributes = &attributes[..attributes.len() / 4 * 4];
        let (_, response) = judge(&request(attributes), "192.0.2.1:1");
        proptest::prop_assert!(response.len() <= request(attributes).len() + 28);
    }
}
