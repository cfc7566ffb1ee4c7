//! RFC 3261 vocabulary: methods, status codes, and the messages we write ourselves.
//!
//! The words are rsip's types. What came in is never written back through them: it is forwarded as
//! its own bytes.

mod method;
mod probe;
mod status;

pub use method::{forms_dialog, known_method};
pub use probe::{OptionsProbe, write_options};
pub use rsip::{Method, StatusCode};
pub use status::reason_of;

/// With these bytes begins every branch since RFC 3261 (§8.1.1.7).
pub const COOKIE: &[u8] = b"z9hG4bK";
