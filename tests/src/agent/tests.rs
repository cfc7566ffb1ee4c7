//! Agents against each other, without a member.

use std::time::Duration;

use super::{By, Policy, State};
use crate::net::{Net, address};
use crate::ua::Endpoint;

const PHONE: u16 = 5100;
const BROWSER: u16 = 5200;

fn pair() -> Net {
    let mut net = Net::new(1);
    net.add_phone(PHONE, "1000", BROWSER);
    net.add_browser(BROWSER, "1001", PHONE);
    for port in [PHONE, BROWSER] {
        net.agent(port).policy = Policy::Answer { after: Duration::from_millis(100) };
    }
    net
}

#[test]
fn a_browser_calls_with_a_name_for_an_address() {
    let mut net = pair();
    let leg = net.act(BROWSER, |agent, now| agent.call(now, "sip:1000@example.test"));
    net.run(2000);
    assert_eq!(net.agent(BROWSER).state(leg), State::Up);
    let trace = net.agent(PHONE).trace();
    let invite = &trace.first().expect("an INVITE").message;
    let via = invite.get("Via").unwrap_or("");
    assert!(via.starts_with("SIP/2.0/WSS ") && via.contains(".invalid;branch="), "{via}");
    assert!(invite.get("Contact").is_some_and(|contact| contact.ends_with(".invalid;transport=ws;ob>")));
    assert!(invite.body.contains("UDP/TLS/RTP/SAVPF") || invite.body.contains("RTP/SAVPF"));
    net.act(BROWSER, |agent, now| agent.bye(now, leg));
    net.run(1000);
    assert_eq!(net.violations(), [""; 0]);
}

#[test]
fn a_browser_refuses_what_is_not_for_it() {
    let mut net = pair();
    let wrong = net.act(PHONE, |agent, now| agent.call(now, "sip:4711@example.test"));
    let right = net.act(PHONE, |agent, now| agent.call(now, "sip:1001@example.test"));
    net.run(2000);
    assert_eq!(net.agent(PHONE).state(wrong), State::Ended { by: By::Them, status: 404 });
    assert_eq!(net.agent(PHONE).state(right), State::Up);
}

#[test]
fn a_browser_drops_a_response_with_two_vias() {
    let mut net = pair();
    net.act(BROWSER, |agent, now| agent.call(now, "sip:1000@example.test"));
    let now = net.now;
    let two = b"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK1, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2\r\n\
                From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    net.agent(BROWSER).handle(now, address(PHONE), two);
    assert_eq!(net.agent(BROWSER).violations(), ["180 INVITE with 2 Via"]);
}

#[test]
fn a_repeated_request_with_other_bytes_is_noticed() {
    let mut net = pair();
    let now = net.now;
    let ask = |text: &str| {
        format!(
            "OPTIONS sip:1000@127.0.0.1:5100 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5079;branch=z9hG4bKs\r\nX-A: {text}\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
    };
    net.agent(PHONE).handle(now, address(5079), ask("1").as_bytes());
    net.agent(PHONE).handle(now, address(5079), ask("2").as_bytes());
    assert_eq!(net.agent(PHONE).violations(), ["OPTIONS of x repeated with other bytes"]);
}

#[test]
fn an_invite_to_nobody_ends_in_silence() {
    let mut net = pair();
    net.act(PHONE, |agent, _| agent.move_to(address(PHONE), address(9)));
    let leg = net.act(PHONE, |agent, now| agent.call(now, "sip:1001@example.test"));
    net.run(40_000);
    assert_eq!(net.agent(PHONE).state(leg), State::Ended { by: By::Silence, status: 408 });
}
