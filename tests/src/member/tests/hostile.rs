//! Whatever arrives, no endpoint panics.

use crate::net::{Net, address};
use crate::ua::Endpoint;
use crate::ua::ids::Ids;

const MEMBER: u16 = 6080;
const ANN: u16 = 5100;
const ROUNDS: usize = 20_000;

/// Damage a message in a few places.
fn damaged(bytes: &[u8], chance: &mut Ids) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..=chance.number() % 4 {
        let at = (chance.number() as usize) % out.len().max(1);
        match chance.number() % 4 {
            0 => out.truncate(at),
            1 => out.insert(at.min(out.len()), (chance.number() & 0xff) as u8),
            2 => {
                let piece: Vec<u8> = out.iter().skip(at).take(40).copied().collect();
                out.splice(at..at, piece);
            }
            _ => {
                if let Some(byte) = out.get_mut(at) {
                    *byte = b";,<>\"%=\r\n:@?"[(chance.number() % 12) as usize];
                }
            }
        }
    }
    out
}

#[test]
fn damaged_messages_of_a_real_call_hurt_nobody() {
    let mut net = Net::new(1);
    net.add_member(MEMBER, |_| {});
    net.registered(ANN, "1000", MEMBER);
    for number in ["9170", "9171", "9184", "1000"] {
        net.act(ANN, |agent, now| agent.call(now, &format!("sip:{number}@example.test")));
        net.run(3000);
    }
    let messages: Vec<_> = net.agent(ANN).trace().iter().map(|one| one.message.to_bytes()).collect();
    let mut chance = Ids::new(7);
    for round in 0..ROUNDS {
        let bytes = damaged(&messages[round % messages.len()], &mut chance);
        let now = net.now;
        net.member(MEMBER).handle(now, address(ANN), &bytes);
        net.agent(ANN).handle(now, address(MEMBER), &bytes);
        net.collect(address(MEMBER));
        net.collect(address(ANN));
        net.run(1);
    }
}
