//! The whole core, driven by a script: parties of every zone send, answer, repeat and garble messages at two workers,
//! connections come and go, workers fall behind, members are taken out and put in again, time passes.
//!
//! Whatever the script: nothing panics, one message leads to a bounded number of others, every request that leaves
//! can be read, nothing goes to an address that no flow, member or trunk network gave, and once everybody is silent
//! nothing of any request stays in any table.

mod compose;
mod edge;
mod script;
mod world;

use script::Script;
use world::World;

/// Most steps of one script.
const STEPS: usize = 64;

/// Play the bytes as a script.
pub fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut world = World::new(script.byte() % 2 == 1);
    for _ in 0..STEPS {
        if script.is_over() {
            break;
        }
        step(&mut world, &mut script);
    }
    world.everything_ends();
}

fn step(world: &mut World, script: &mut Script<'_>) {
    match script.byte() % 12 {
        0 => {
            let party = script.byte();
            let message = script.text();
            world.say(party, message.to_vec());
        }
        1 | 2 => {
            let party = script.byte();
            let message = compose::request(script, world.address(party), world.is_connected(party));
            world.say(party, message);
        }
        3 | 4 => world.answer(script),
        5 => world.ask_within(script),
        6 => world.repeat(script),
        7 => world.garble(script),
        8 => world.pass_time(script.byte()),
        9 => world.disturb(script),
        10 => world.burden(script),
        _ => world.reload(),
    }
}
