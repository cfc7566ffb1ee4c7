//! The same hop on rsip's types.

use anyhow::{Context, Result};
use rsip::common::uri::Param;
use rsip::common::uri::param::{OtherParam, OtherParamValue};
use rsip::headers::ToTypedHeader;
use rsip::message::HeadersExt;
use rsip::prelude::UntypedHeader;
use rsip::{Header, Headers, Request};

use crate::{OUR_CONTACT, OUR_RECORD_ROUTE, OUR_VIA, SOURCE_PORT, TARGET};

/// Read `bytes`, look the same things up, make the same edits, write. Returns the message that leaves.
///
/// # Errors
/// rsip does not read the message.
pub fn rsip_hop(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut request = Request::try_from(bytes)?;
    look_up(&request)?;
    edit(&mut request)?;
    Ok(request.into())
}

fn look_up(request: &Request) -> Result<()> {
    let cseq = request.cseq_header()?.typed()?;
    let from = request.from_header()?.typed()?;
    let to = request.to_header()?.typed()?;
    anyhow::ensure!(
        request.uri.scheme.is_some() && cseq.method == request.method && from.tag().is_some(),
        "not for us"
    );
    anyhow::ensure!(to.tag().is_none() && !request.call_id_header()?.value().is_empty(), "in a dialog");
    anyhow::ensure!(request.route_header().is_none(), "routed by the caller");
    let credentials = |header: &Header| matches!(header, Header::ProxyAuthorization(_));
    anyhow::ensure!(!request.headers.iter().any(credentials), "credentials");
    anyhow::ensure!(request.contact_headers().len() == 1, "one Contact");
    Ok(())
}

fn edit(request: &mut Request) -> Result<()> {
    request.uri = TARGET.try_into()?;
    let mut via = request.via_header()?.typed()?;
    for param in &mut via.params {
        if matches!(param, Param::Other(name, _) if name.value() == "rport") {
            *param =
                Param::Other(OtherParam::new("rport"), Some(OtherParamValue::new(SOURCE_PORT.to_string())));
        }
    }
    request.via_header_mut()?.replace(via.to_string());
    let hops = request.max_forwards_header()?.num()?;
    request.max_forwards_header_mut()?.replace(hops.saturating_sub(1).to_string());
    let mut contact = request.contact_header()?.typed()?;
    contact.uri = OUR_CONTACT.try_into()?;
    request.contact_header_mut().context("no Contact")?.replace(contact.to_string());
    request.headers.retain(|header| !matches!(header, Header::UserAgent(_) | Header::Allow(_)));
    let ours = [Header::Via(OUR_VIA.into()), Header::RecordRoute(OUR_RECORD_ROUTE.into())];
    let theirs = std::mem::take(&mut request.headers);
    request.headers = Headers::from(ours.into_iter().chain(theirs).collect::<Vec<_>>());
    Ok(())
}
