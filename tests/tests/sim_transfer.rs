//! Attended transfer (RFC 3515, RFC 3891), with both calls on one member and on two.

use std::time::Duration;

use sbc_tests::agent::{LegId, Policy};
use sbc_tests::sim::{BROWSER, EdgeSettings, MEMBERS, OTHER_BROWSER, PHONE, World, cast, for_seeds};

const SEEDS: u64 = 40;

/// The member that holds a call.
fn member_of(world: &mut World, who: &str, leg: LegId) -> &'static str {
    let call_id = world.agent(who).call_of(leg).expect("a call").call_id.clone();
    let now = world.now;
    MEMBERS
        .into_iter()
        .find(|member| world.member(member).status(now).legs.iter().any(|leg| leg.call_id == call_id))
        .expect("some member holds the call")
}

/// The transferor talks to both others, on one member or on two, and connects them. It names the other
/// party `by_user` or by the Contact that it learnt.
fn transfer(seed: u64, loss: u64, on_one_member: bool, by_user: bool) {
    let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
    for other in [OTHER_BROWSER, PHONE] {
        world.agent(other).policy = Policy::Answer { after: Duration::from_millis(200) };
    }
    let first = world.act(BROWSER, |agent, now| agent.call(now, "sip:1002@example.test"));
    world.until_up(BROWSER, first);
    let at_first = member_of(&mut world, BROWSER, first);
    // The Call-ID decides on the member: call until it falls as wanted.
    let second = loop {
        let second = world.act(BROWSER, |agent, now| agent.call(now, "sip:1003@example.test"));
        world.until_up(BROWSER, second);
        if (member_of(&mut world, BROWSER, second) == at_first) == on_one_member {
            break second;
        }
        world.act(BROWSER, |agent, now| agent.bye(now, second));
        world.run(5_000);
    };
    world.run(2_000);
    let referred = world.act(BROWSER, |agent, now| match by_user {
        true => agent.refer_replacing_at(now, first, second, "sip:1003@example.test"),
        false => agent.refer_replacing(now, first, second),
    });
    assert!(referred);
    let told = world.until(90_000, |world| {
        world.agent(BROWSER).call_of(first).is_some_and(|call| call.transfer.contains(&200))
    });
    let transfer = world.agent(BROWSER).call_of(first).map(|call| call.transfer.clone());
    assert!(told, "the transfer was told as {transfer:?}");
    world.until_ended(BROWSER, second);
    let (one, other) = (world.call_up(OTHER_BROWSER), world.call_up(PHONE));
    world.act(PHONE, |agent, now| agent.bye(now, other));
    world.until_ended(OTHER_BROWSER, one);
    world.assert_quiet();
}

#[test]
fn both_calls_on_one_member() {
    for_seeds(SEEDS, |seed, loss| transfer(seed, loss, true, seed % 2 == 0));
}

#[test]
fn each_call_on_its_own_member() {
    for_seeds(SEEDS, |seed, loss| transfer(seed, loss, false, seed % 2 == 0));
}
