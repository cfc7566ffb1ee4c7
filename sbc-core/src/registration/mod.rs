//! Which flow leads to whom: bindings as the registrar confirmed them (RFC 3261 §10, RFC 5626).
//!
//! FreeSWITCH is the registrar; this is only the directory of flows. An entry appears when a 2xx to
//! a REGISTER passes, never on the REGISTER's own word. A flow that dies leaves its binding behind,
//! so that the dialogs of a browser find its next connection.

mod directory;

pub use directory::{Binding, Directory, Lookup, Reached, Registration, Remembered};
