//! A whole world in virtual time: sbc between browsers, phones, carriers and a pool.
//!
//! One seed decides everything: what is lost, how long each datagram takes, every identifier. A failure
//! names its seed, and the seed replays it.

mod by_hand;
pub mod canary;
mod cast;
mod chance;
pub mod chaos;
mod edge;
mod edges;
mod ending;
mod judge;
mod link;
mod secrecy;
pub mod stage;
mod streams;
mod threads;
mod travel;
mod world;

pub use by_hand::{Arrival, Departure, answer, replace, within};
pub use cast::{BROWSER, CARRIER, EXCHANGE, MEMBERS, OTHER_BROWSER, PHONE, cast, for_seeds};
pub use chance::Chance;
use edge::node_config;
pub use edge::{
    EdgeSettings, INSIDE, INSIDE_TCP, INSIDE_TCP_ID, PHONES, RESERVE, TRUNK, TRUNK_TCP, TRUNK_TCP_ID, WSS,
    edge_config, unlimited,
};
pub use judge::Judge;
pub use link::Link;
pub use world::World;
