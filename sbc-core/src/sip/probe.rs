//! The OPTIONS that asks a member whether it is alive (RFC 3261 §11).

use rsip::headers::{CSeq, CallId, ContentLength, From, MaxForwards, To, UntypedHeader, Via};
use rsip::{Headers, Method, Request, Uri, Version};

use crate::config::HostPort;

/// What makes one probe.
#[derive(Debug)]
pub struct OptionsProbe<'a> {
    /// As Via names what it is sent by: `UDP`, `TCP` or `TLS`.
    pub transport: &'a str,
    /// Our address as the member sees it.
    pub us: &'a HostPort,
    /// The member's URI.
    pub member: &'a str,
    /// With magic cookie.
    pub branch: &'a str,
    /// Of this member's probes.
    pub call_id: &'a str,
    /// Our tag.
    pub tag: &'a str,
    /// Rises from probe to probe.
    pub sequence: u32,
}

/// The probe's bytes; `None` where the member's URI cannot be one.
pub fn write_options(probe: &OptionsProbe<'_>) -> Option<Vec<u8>> {
    let uri = Uri::try_from(probe.member).ok()?;
    let mut headers = Headers::default();
    headers.push(
        Via::new(format!("SIP/2.0/{} {};rport;branch={}", probe.transport, probe.us, probe.branch)).into(),
    );
    headers.push(MaxForwards::new("70").into());
    headers.push(From::new(format!("<sip:{}>;tag={}", probe.us, probe.tag)).into());
    headers.push(To::new(format!("<{}>", probe.member)).into());
    headers.push(CallId::new(probe.call_id).into());
    headers.push(CSeq::new(format!("{} OPTIONS", probe.sequence)).into());
    headers.push(ContentLength::new("0").into());
    let request = Request { method: Method::Options, uri, version: Version::V2, headers, body: Vec::new() };
    Some(request.to_string().into_bytes())
}
