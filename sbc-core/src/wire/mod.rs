//! One SIP message as it lies in memory: an index over its headers, small readers, and edits.
//!
//! Promises: nothing is copied, decoded or normalised; reading allocates nothing once an [`Index`] and [`Edits`] have
//! been used; no bytes make it panic; every reader is linear in what it reads; and what no edit touches leaves exactly
//! as it came in. It never judges a message: whether a header may be missing or a method is allowed is admission's
//! question.
//!
//! ```
//! use sbc_core::wire::{Edits, Framing, HeaderName, Index, Limits, Message, NameAddr, Uri};
//!
//! let bytes = b"OPTIONS sip:alice@example.org SIP/2.0\r\nf: <sip:bob@example.net>;tag=7\r\n\r\n";
//! let mut index = Index::new();
//! index.parse(bytes, Framing::Datagram, &Limits::default())?;
//! let message = Message::new(bytes, &index);
//! let from = NameAddr::parse(message.value(HeaderName::From))?;
//! assert_eq!(Uri::parse(from.uri)?.host, b"example.net");
//!
//! let mut edits = Edits::new();
//! edits.replace(message.request_uri_range(), b"sip:alice@192.0.2.7");
//! edits.insert(message.head_end(), b"Max-Forwards: 70\r\n");
//! let mut out = Vec::new();
//! edits.apply(message.bytes(), &mut out);
//! assert!(out.starts_with(b"OPTIONS sip:alice@192.0.2.7 SIP/2.0\r\nf: "));
//! assert!(out.ends_with(b";tag=7\r\nMax-Forwards: 70\r\n\r\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cseq;
mod digest;
mod edits;
mod host;
mod index;
mod limits;
mod list;
mod message;
mod name;
mod name_addr;
mod params;
mod parse_error;
mod pattern;
mod read_error;
mod start_line;
#[cfg(test)]
mod tests;
mod text;
mod uri;
mod via;

pub use cseq::CSeq;
pub use digest::{Digest, DigestField};
pub use edits::Edits;
pub use index::{Framing, Index};
pub use limits::Limits;
pub use list::{Item, split};
pub use message::{Header, Message};
pub use name::HeaderName;
pub use name_addr::NameAddr;
pub use params::{Param, Params};
pub use parse_error::ParseError;
pub use pattern::HeaderPattern;
pub use read_error::ReadError;
pub use text::{eq_ignore_case, is_zero, trim, write_u64};
pub use uri::{Uri, write_unfolded};
pub use via::Via;
