//! What is thrown at everything of sbc that reads bytes, and what must hold whatever the bytes are.
//!
//! One module per target, each with one function `run`, which panics where a promise is broken. The programs in
//! `targets/` hand it to libFuzzer; `fuzz/run` builds them and runs one after the other (`make fuzz TIME=600`).
#![forbid(unsafe_code)]

pub mod calls;
pub mod edits;
pub mod frames;
pub mod index;
pub mod readers;
pub mod rsip;
pub mod rules;
pub mod settings;
pub mod streams;
pub mod tokens;

// The program's own sources, because a program is no library.
#[allow(dead_code, unused_imports)]
#[path = "../../src/config/mod.rs"]
mod config;
#[allow(dead_code, unused_imports)]
#[path = "../../src/keys.rs"]
mod keys;
