//! The usual cast: two members, two browsers, a phone and a carrier.

use super::{EdgeSettings, Link, World};

/// The pool.
pub const MEMBERS: [&str; 2] = ["10.0.2.10:5080", "10.0.2.11:5080"];
/// User 1001.
pub const BROWSER: &str = "192.0.2.21:40001";
/// User 1002.
pub const OTHER_BROWSER: &str = "192.0.2.22:40002";
/// User 1003.
pub const PHONE: &str = "192.0.2.23:5060";
/// The carrier's proxy.
pub const CARRIER: &str = "203.0.113.10:5060";
/// The carrier's exchange, behind it.
pub const EXCHANGE: &str = "203.0.113.20:5060";

/// A world with everybody in it, registered where they register, over these links.
pub fn cast(seed: u64, settings: &EdgeSettings, loss_percent: u64) -> World {
    let mut world = World::new(seed, settings);
    world.add_browser(BROWSER, "1001");
    world.add_browser(OTHER_BROWSER, "1002");
    world.add_phone(PHONE, "1003");
    world.run(500);
    world.link = if loss_percent == 0 { Link::GOOD } else { Link::lossy(loss_percent) };
    for agent in [BROWSER, OTHER_BROWSER, PHONE] {
        world.register(agent);
    }
    world
}

/// Run `play` without loss and with 20 % of it, over so many seeds; `SBC_SIM_SEEDS` overrides the number.
///
/// # Panics
/// Where `play` does; the seed and the loss are printed before.
pub fn for_seeds(seeds: u64, play: impl Fn(u64, u64)) {
    let seeds = std::env::var("SBC_SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(seeds);
    for seed in 0..seeds {
        for loss in [0, 20] {
            let told = Told { seed, loss };
            play(seed, loss);
            std::mem::forget(told);
        }
    }
}

/// Names the seed when a play panics.
struct Told {
    seed: u64,
    loss: u64,
}

impl Drop for Told {
    fn drop(&mut self) {
        eprintln!("failed with seed {} at {} % loss", self.seed, self.loss);
    }
}
