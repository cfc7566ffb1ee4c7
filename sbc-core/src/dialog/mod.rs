//! Dialogs, as far as anything must be known of them: soft state, rebuilt by the next message.
//!
//! Routing never depends on a record, as long as both parties follow the addresses they were given. It
//! tells where the public party was last heard, and how many calls are up.

mod ended;
mod farewell;
mod records;

pub use farewell::{Asked, Farewell};
pub use records::{Answered, DialogKey, Inside, Records};
