//! Sealed tokens: what both sides hold for us so that we need to remember nothing.
//!
//! A token is deterministic authenticated encryption (AES-256-GCM-SIV, RFC 8452) of a few bytes:
//! the same input gives the same token, so a Contact does not change between 18x, 200 and their
//! repetitions. Nobody outside can read one, make one, or move one to another place or Call-ID.

mod fields;
mod keyring;
mod plain;
mod tokens;

pub use fields::{BindingId, ListenerTag, Peer, PeerAddress};
pub use keyring::{KeyRing, Kind, OpenError, Token};
pub(crate) use tokens::write_host;
pub use tokens::{BranchSeal, ContactSeal, ContactUri, Tokens};
