//! One hop on [`sbc_core::wire`].

use anyhow::{Context, Result};
use sbc_core::wire::{
    CSeq, Edits, Framing, HeaderName, Index, Limits, Message, NameAddr, Uri, Via, write_u64,
};

use crate::{OUR_CONTACT, OUR_RECORD_ROUTE, OUR_VIA, SOURCE_PORT, TARGET};

/// What a worker keeps from message to message.
#[derive(Debug, Default)]
pub struct WireHop {
    index: Index,
    edits: Edits,
    out: Vec<u8>,
    limits: Limits,
}

impl WireHop {
    /// Read `bytes`, look ten things up, edit, write. Returns the message that leaves.
    ///
    /// # Errors
    /// The message is none that a proxy would forward.
    pub fn run(&mut self, bytes: &[u8]) -> Result<&[u8]> {
        self.index.parse(bytes, Framing::Datagram, &self.limits)?;
        let message = Message::new(bytes, &self.index);
        look_up(&message)?;
        self.edits.clear();
        edit(&message, &mut self.edits)?;
        self.out.clear();
        self.edits.apply(message.bytes(), &mut self.out);
        Ok(&self.out)
    }

    /// Index `bytes` and read the top Via for what is not there. Returns how many headers there are.
    pub fn read_hostile(&mut self, bytes: &[u8]) -> usize {
        let verdict = self.index.parse(bytes, Framing::Datagram, &self.limits);
        let message = Message::new(bytes, &self.index);
        let found = Via::parse(message.value(HeaderName::Via)).is_ok_and(|via| via.params.has("absent"));
        message.headers().count() + usize::from(found) + usize::from(verdict.is_ok())
    }
}

/// The ten look-ups that every INVITE needs.
fn look_up(message: &Message<'_>) -> Result<()> {
    let uri = Uri::parse(message.request_uri())?;
    let cseq = CSeq::parse(message.value(HeaderName::CSeq))?;
    let from = NameAddr::parse(message.value(HeaderName::From))?;
    let to = NameAddr::parse(message.value(HeaderName::To))?;
    anyhow::ensure!(
        uri.is_sip() && cseq.method == message.method_text() && from.tag().is_some(),
        "not for us"
    );
    anyhow::ensure!(to.tag().is_none() && !message.value(HeaderName::CallId).is_empty(), "in a dialog");
    anyhow::ensure!(message.first(HeaderName::Route).is_none(), "routed by the caller");
    anyhow::ensure!(message.first(HeaderName::ProxyAuthorization).is_none(), "credentials");
    anyhow::ensure!(message.count(HeaderName::Contact) == 1, "one Contact");
    Ok(())
}

fn edit(message: &Message<'_>, edits: &mut Edits) -> Result<()> {
    let top = message.first(HeaderName::Via).context("no Via")?;
    let via = Via::parse(top.value)?;
    let headers_start = message.start_line_range().end;
    edits.insert_with(headers_start, |out| line(out, "Via: ", OUR_VIA));
    edits.insert_with(headers_start, |out| line(out, "Record-Route: ", OUR_RECORD_ROUTE));
    edits.replace(message.request_uri_range(), TARGET.as_bytes());
    let params_at = top.value_range().start + via.params_start;
    if let Some(rport) = via.params.iter().find(|param| param.name == b"rport") {
        edits.replace_with(params_at + rport.range.start..params_at + rport.range.end, |out| {
            out.extend_from_slice(b";rport=");
            write_u64(out, u64::from(SOURCE_PORT));
        });
    }
    let max_forwards = message.first(HeaderName::MaxForwards).context("no Max-Forwards")?;
    let hops: u64 = std::str::from_utf8(max_forwards.value)?.parse()?;
    edits.replace_with(max_forwards.value_range(), |out| write_u64(out, hops.saturating_sub(1)));
    let contact = message.first(HeaderName::Contact).context("no Contact")?;
    let uri = NameAddr::parse(contact.value)?.uri_range;
    let at = contact.value_range().start;
    edits.replace(at + uri.start..at + uri.end, OUR_CONTACT.as_bytes());
    for name in [HeaderName::UserAgent, HeaderName::Allow] {
        message.all(name).for_each(|header| edits.delete(header.line()));
    }
    Ok(())
}

fn line(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}
