//! Once its buffers have grown, a hop on `wire` takes nothing from the heap.
#![forbid(unsafe_code)]

use sbc_bench::{INVITE, WireHop, rsip_hop};

#[test]
fn second_hop_of_the_same_size_allocates_nothing() {
    let mut hop = WireHop::default();
    hop.run(INVITE).expect("a lawful INVITE");
    let counted = allocation_counter::measure(|| {
        hop.run(INVITE).expect("a lawful INVITE");
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn hop_changes_what_it_should_and_nothing_else() {
    let mut hop = WireHop::default();
    let out = String::from_utf8(hop.run(INVITE).expect("a lawful INVITE").to_vec()).expect("text");
    let expected = String::from_utf8(INVITE.to_vec())
        .expect("text")
        .replace(
            "INVITE sip:+4930123456@sbc.example.net:5060 ",
            "INVITE sip:+4930123456@192.0.2.77:5080;transport=UDP ",
        )
        .replace(
            "Via: SIP/2.0/UDP 203.0.113.20:5062;rport;",
            "Via: SIP/2.0/UDP 198.51.100.9:5060;rport;branch=z9hG4bKAp3dX0vS8rT2yQ5wK7mL9nB1cZ4h\r\n\
             Record-Route: <sip:Ap3dX0vS8rT2yQ5wK7mL9nB1@198.51.100.9:5060;lr>\r\n\
             Via: SIP/2.0/UDP 203.0.113.20:5062;rport=40112;",
        )
        .replace("Max-Forwards: 69", "Max-Forwards: 68")
        .replace(
            "Contact: <sip:+49891234567@203.0.113.20:5062;transport=udp>",
            "Contact: <sip:Ap3dX0vS8rT2yQ5wK7mL9nB1@198.51.100.9:5060>",
        )
        .replace("User-Agent: CarrierGate 4.2 (session gateway 1)\r\n", "")
        .replace("Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE\r\n", "");
    assert_eq!(out, expected);
}

#[test]
fn both_hops_write_the_same_headers() {
    let mut hop = WireHop::default();
    let sorted = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let ours = sorted(hop.run(INVITE).expect("a lawful INVITE"));
    assert_eq!(ours, sorted(&rsip_hop(INVITE).expect("rsip reads it")));
}
