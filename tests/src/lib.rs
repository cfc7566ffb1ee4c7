//! SIP endpoints for the tests of sbc: a FreeSWITCH-like member, phones, browsers and carriers.
//!
//! All of them are values: they are told the time and what arrived, and say what to send. So they run in a
//! simulation on virtual time as well as behind a real socket (the program `fs-member`). They share their
//! transactions and dialogs with each other, never with `sbc-core`: what judges must not share faults with
//! what is judged. Only the readers of `sbc_core::wire` are common.
#![forbid(unsafe_code)]

pub mod agent;
pub mod load;
pub mod lures;
pub mod member;
#[cfg(test)]
mod net;
pub mod process;
pub mod shell;
pub mod sim;
pub mod ua;
