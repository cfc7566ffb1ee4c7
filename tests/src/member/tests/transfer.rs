//! REFER: blind, attended with both calls here, attended across two members.

use std::time::Duration;

use crate::agent::{By, LegId, Policy, State};
use crate::net::{Net, address};

const ANN: u16 = 5100;
const BOB: u16 = 5200;
const CAT: u16 = 5300;

fn three(second: u16) -> Net {
    let mut net = Net::new(1);
    net.add_member(6080, |_| {});
    net.add_member(6081, |_| {});
    net.registered(ANN, "1000", 6080);
    net.registered(BOB, "1001", 6080);
    net.registered(CAT, "1002", second);
    for port in [BOB, CAT] {
        net.agent(port).policy = Policy::Answer { after: Duration::from_millis(500) };
    }
    net
}

fn call(net: &mut Net, user: &str) -> LegId {
    let leg = net.act(ANN, |agent, now| agent.call(now, &format!("sip:{user}@example.test")));
    net.run(3000);
    assert_eq!(net.agent(ANN).state(leg), State::Up);
    leg
}

fn up(net: &mut Net, port: u16) -> usize {
    net.agent(port).calls().filter(|(_, call)| call.state == State::Up).count()
}

#[test]
fn blind_transfer_connects_the_other_party_and_tells_how_it_went() {
    let mut net = three(6080);
    let leg = call(&mut net, "1001");
    net.act(ANN, |agent, now| agent.refer(now, leg, "sip:1002@example.test"));
    net.run(5000);
    assert_eq!(net.agent(ANN).call_of(leg).map(|call| call.transfer.clone()), Some(vec![100, 200]));
    assert_eq!([up(&mut net, ANN), up(&mut net, BOB), up(&mut net, CAT)], [0, 1, 1]);
}

#[test]
fn failed_blind_transfer_leaves_the_call_up() {
    let mut net = three(6080);
    let leg = call(&mut net, "1001");
    net.act(ANN, |agent, now| agent.refer(now, leg, "sip:9486@example.test"));
    net.run(5000);
    assert_eq!(net.agent(ANN).call_of(leg).map(|call| call.transfer.clone()), Some(vec![100, 486]));
    assert_eq!([up(&mut net, ANN), up(&mut net, BOB)], [1, 1]);
    net.act(ANN, |agent, now| agent.bye(now, leg));
    net.run(1000);
    assert_eq!(up(&mut net, BOB), 0);
}

#[test]
fn attended_transfer_with_both_calls_on_one_member() {
    let mut net = three(6080);
    let (first, second) = (call(&mut net, "1001"), call(&mut net, "1002"));
    net.act(ANN, |agent, now| agent.refer_replacing(now, first, second));
    net.run(5000);
    assert_eq!([up(&mut net, ANN), up(&mut net, BOB), up(&mut net, CAT)], [0, 1, 1]);
    net.act(BOB, |agent, now| agent.incoming().map(|leg| agent.bye(now, leg)));
    net.run(1000);
    assert_eq!(up(&mut net, CAT), 0);
    assert_eq!(net.violations(), [""; 0]);
}

#[test]
fn attended_transfer_across_two_members() {
    let mut net = three(6081);
    let first = call(&mut net, "1001");
    net.agent(ANN).move_to(address(ANN), address(6081));
    let second = call(&mut net, "1002");
    net.act(ANN, |agent, now| agent.refer_replacing(now, first, second));
    net.run(5000);
    assert_eq!([up(&mut net, ANN), up(&mut net, BOB), up(&mut net, CAT)], [0, 1, 1]);
    net.act(CAT, |agent, now| agent.incoming().map(|leg| agent.bye(now, leg)));
    net.run(1000);
    assert_eq!(up(&mut net, BOB), 0);
    let now = net.now;
    assert!(net.member(6080).status(now).legs.is_empty());
    assert!(net.member(6081).status(now).legs.is_empty());
}

#[test]
fn the_member_deflects_a_caller_who_tells_how_it_went() {
    let mut net = three(6080);
    let leg = net.act(ANN, |agent, now| agent.call(now, "sip:9171@example.test"));
    net.run(5000);
    assert_eq!(net.agent(ANN).state(leg), State::Ended { by: By::Them, status: 200 });
    assert_eq!(net.agent(ANN).call_of(leg).map(|call| call.requests.clone()), Some(vec!["REFER".to_owned()]));
    assert_eq!([up(&mut net, ANN), up(&mut net, BOB)], [1, 1]);
    assert_eq!(net.violations(), [""; 0]);
}

#[test]
fn transfers_survive_loss() {
    for seed in 0..40 {
        let mut net = three(6081);
        let first = call(&mut net, "1001");
        net.agent(ANN).move_to(address(ANN), address(6081));
        let second = call(&mut net, "1002");
        net.reseed(seed);
        net.loss_percent = 20;
        net.act(ANN, |agent, now| agent.refer_replacing(now, first, second));
        net.run(90_000);
        assert_eq!([up(&mut net, ANN), up(&mut net, BOB), up(&mut net, CAT)], [0, 1, 1], "seed {seed}");
        assert_eq!(net.violations(), [""; 0], "seed {seed}");
    }
}
