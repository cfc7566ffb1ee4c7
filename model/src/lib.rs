//! The sources of `sbc-core`, compiled once more on tables that a model checker schedules.
//!
//! Every look into a table is a place where another worker may come in between, and a table that is asked while one
//! of its guards is held is a deadlock, and found. What the workers do to each other is in `tests/`.
#![forbid(unsafe_code)]
// What is not used here is used where the sources live.
#![allow(dead_code, unreachable_pub, unused_imports, unfulfilled_lint_expectations)]

#[path = "../../sbc-core/src/admission/mod.rs"]
pub mod admission;
#[path = "../../sbc-core/src/config.rs"]
pub mod config;
#[path = "../../sbc-core/src/count.rs"]
pub mod count;
#[path = "../../sbc-core/src/dialog/mod.rs"]
pub mod dialog;
#[path = "../../sbc-core/src/flow.rs"]
pub mod flow;
#[path = "../../sbc-core/src/gauge.rs"]
pub mod gauge;
#[path = "../../sbc-core/src/hash.rs"]
pub mod hash;
#[path = "../../sbc-core/src/io.rs"]
pub mod io;
#[path = "../../sbc-core/src/limiting.rs"]
pub mod limiting;
#[path = "../../sbc-core/src/limits.rs"]
pub mod limits;
#[path = "../../sbc-core/src/lock.rs"]
pub mod lock;
#[path = "../../sbc-core/src/pool/mod.rs"]
pub mod pool;
#[path = "../../sbc-core/src/proxy/mod.rs"]
mod proxy;
#[path = "../../sbc-core/src/rate.rs"]
pub mod rate;
#[path = "../../sbc-core/src/registration/mod.rs"]
pub mod registration;
#[path = "../../sbc-core/src/seal/mod.rs"]
pub mod seal;
#[path = "../../sbc-core/src/sip/mod.rs"]
pub mod sip;
pub mod table;
#[path = "../../sbc-core/src/tally.rs"]
pub mod tally;
#[path = "../../sbc-core/src/time.rs"]
pub mod time;
#[path = "../../sbc-core/src/transaction/mod.rs"]
pub mod transaction;
#[path = "../../sbc-core/src/wire/mod.rs"]
pub mod wire;

pub use proxy::{
    Change, Core, MemberStatus, NeedsRestart, PoolStatus, Refused, Rehearsal, Status, Unreadable, Worker,
};
