//! Registration and digest.

use crate::agent::Registered;
use crate::net::Net;
use crate::ua::Endpoint;
use crate::ua::message::Message;

const MEMBER: u16 = 6080;

fn register(contact: &str, path: &str, expires: u32, cseq: u32, authorization: &str) -> String {
    format!(
        "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5079;branch=z9hG4bK{cseq}x;rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:1001@example.test>;tag=a\r\nTo: <sip:1001@example.test>\r\n\
         Call-ID: one\r\nCSeq: {cseq} REGISTER\r\nContact: {contact}\r\nPath: {path}\r\nExpires: {expires}\r\n\
         {authorization}Content-Length: 0\r\n\r\n"
    )
}

/// Send a REGISTER, answer its challenge, give the last response.
fn registers(net: &mut Net, cseq: u32, contact: &str, path: &str, expires: u32) -> Message {
    use crate::ua::digest::{Challenge, Credentials};
    let now = net.now;
    let member = net.member(MEMBER);
    let from = crate::net::address(5079);
    let mut ask = |cseq, authorization: &str| {
        member.handle(now, from, register(contact, path, expires, cseq, authorization).as_bytes());
        let output = member.outputs().pop().expect("an answer");
        Message::read(&output.bytes).expect("SIP")
    };
    let challenged = ask(cseq, "");
    assert_eq!(challenged.status(), 401);
    let value = challenged.get("WWW-Authenticate").expect("a challenge");
    assert!(!value.contains("opaque"), "{value}");
    let mut challenge = Challenge::read(value).expect("readable");
    let credentials = Credentials { user: "1001".into(), password: "secret".into() };
    let answer = challenge.answer(&credentials, "REGISTER", "sip:example.test", "c");
    ask(cseq + 1, &format!("Authorization: {answer}\r\n"))
}

fn net() -> Net {
    let mut net = Net::new(1);
    net.add_member(MEMBER, |_| {});
    net
}

const WIDGET: &str =
    "\"W\" <sip:q7x1@m2c9.invalid;transport=ws>;+sip.instance=\"<urn:uuid:1>\";reg-id=1;q=0.5";

#[test]
fn the_200_lists_all_bindings_without_instance_and_does_not_echo_path() {
    let mut net = net();
    registers(&mut net, 1, WIDGET, "<sip:k3@127.0.0.1:5079;lr>", 300);
    let ok =
        registers(&mut net, 3, "<sip:other@m2c9.invalid;transport=ws>", "<sip:k4@127.0.0.1:5079;lr>", 60);
    assert_eq!(ok.status(), 200);
    let listed = [
        "<sip:q7x1@m2c9.invalid;transport=ws>;expires=300",
        "<sip:other@m2c9.invalid;transport=ws>;expires=60",
    ];
    assert_eq!(ok.list("Contact"), listed);
    assert_eq!(ok.get("Path"), None);
    let names: Vec<_> = ok.headers.iter().map(|(name, _)| name.as_str()).collect();
    let captured =
        ["Via", "From", "To", "Call-ID", "CSeq", "Contact", "Contact", "User-Agent", "Allow", "Supported"];
    assert_eq!(names.strip_suffix(&["Content-Length"]), Some(&captured[..]));
}

#[test]
fn the_same_contact_with_another_path_is_another_binding_and_leaves_alone() {
    let mut net = net();
    registers(&mut net, 1, WIDGET, "<sip:k3@127.0.0.1:5079;lr>", 300);
    let both = registers(&mut net, 3, WIDGET, "<sip:k4@127.0.0.1:5079;lr>", 300);
    assert_eq!(both.list("Contact").len(), 2);
    let refreshed = registers(&mut net, 5, WIDGET, "<sip:k4@127.0.0.1:5079;lr>", 300);
    assert_eq!(refreshed.list("Contact").len(), 2);
    registers(&mut net, 7, WIDGET, "<sip:k4@127.0.0.1:5079;lr>", 0);
    registers(&mut net, 9, "*", "<sip:k3@127.0.0.1:5079;lr>", 0);
    let now = net.now;
    let left = net.member(MEMBER).status(now).bindings;
    assert_eq!(
        left.iter().map(|binding| binding.path.clone()).collect::<Vec<_>>(),
        [["<sip:k3@127.0.0.1:5079;lr>"]]
    );
}

#[test]
fn one_binding_mode_replaces() {
    let mut net = Net::new(1);
    net.add_member(MEMBER, |config| config.multiple = crate::ua::registrar::Multiple::One);
    registers(&mut net, 1, WIDGET, "<sip:k3@127.0.0.1:5079;lr>", 300);
    let ok = registers(&mut net, 3, WIDGET, "<sip:k4@127.0.0.1:5079;lr>", 300);
    assert_eq!(ok.list("Contact").len(), 1);
    registers(&mut net, 5, "*", "<sip:k4@127.0.0.1:5079;lr>", 0);
    let now = net.now;
    assert!(net.member(MEMBER).status(now).bindings.is_empty());
}

#[test]
fn wrong_password_is_403_and_a_foreign_user_too() {
    let mut net = net();
    let mut settings = Net::settings(5100, "1000", MEMBER);
    settings.password = Some("guess".into());
    net.add_phone(5100, "1000", MEMBER);
    *net.agent(5100) = crate::agent::Agent::phone(settings);
    net.act(5100, |agent, now| agent.register(now, 60));
    net.run(1000);
    assert_eq!(net.agent(5100).registered(), Registered::Refused(403));
}

#[test]
fn a_phone_registers_refreshes_with_its_nonce_and_leaves() {
    let mut net = net();
    net.registered(5100, "1000", MEMBER);
    assert_eq!(net.agent(5100).registered(), Registered::Yes(600));
    net.agent(5100).reuse_nonce(true);
    net.act(5100, |agent, now| agent.register(now, 600));
    net.run(1000);
    let now = net.now;
    let status = net.member(MEMBER).status(now);
    assert_eq!(status.messages.answered.get("REGISTER 401"), Some(&1));
    assert_eq!(status.bindings.first().map(|binding| binding.refreshes), Some(2));
    net.act(5100, |agent, now| agent.register(now, 0));
    net.run(1000);
    assert!(net.member(MEMBER).status(now).bindings.is_empty());
    assert_eq!(net.violations(), [""; 0]);
}

#[test]
fn nonce_of_another_member_is_stale() {
    let mut net = net();
    net.add_member(6081, |_| {});
    net.registered(5100, "1000", MEMBER);
    net.agent(5100).reuse_nonce(true);
    net.act(5100, |agent, now| {
        agent.move_to(crate::net::address(5100), crate::net::address(6081));
        agent.register(now, 600);
    });
    net.run(1000);
    let stale = net.agent(5100).trace().iter().any(|traced| {
        traced.message.get("WWW-Authenticate").is_some_and(|value| value.contains("stale=true"))
    });
    assert!(stale);
    assert_eq!(net.agent(5100).registered(), Registered::Yes(600));
}
