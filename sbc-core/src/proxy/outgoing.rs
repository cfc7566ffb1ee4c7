//! The request that leaves: all edits of one hop, collected here and applied once (RFC 3261 §16.6).

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use routing_rules::Changes;

use crate::config::Listener;
use crate::flow::{Flow, Zone};
use crate::proxy::contact::Sealing;
use crate::proxy::incoming::Incoming;
use crate::proxy::policy::Boundary;
use crate::proxy::rewrite::{self, Passage};
use crate::proxy::secure;
use crate::proxy::settings::Settings;
use crate::proxy::{credentials, description, identity, length, refer, route, via, warning};
use crate::seal::{Kind, OpenError, Peer};
use crate::sip::{Method, forms_dialog};
use crate::wire::{Edits, HeaderName, Message, NameAddr, Uri, write_u64};

/// Where a request goes next, and as what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hop<'a> {
    pub(crate) zone: Zone,
    pub(crate) flow: Flow,
    /// The next Request-URI; `None` leaves it as it is.
    pub(crate) target: Option<&'a [u8]>,
    /// A pool member's address as URIs write it, where the hop is one.
    pub(crate) member: Option<SocketAddr>,
    /// Our branch, cookie included.
    pub(crate) branch: &'a [u8],
    /// Who sent the request, as tokens name them.
    pub(crate) upstream: Peer,
    /// The Path of a REGISTER.
    pub(crate) path: Option<Peer>,
    /// How many Route values on top are ours.
    pub(crate) routes: usize,
    /// The URI that From gets, where the caller wrote somebody else's.
    pub(crate) new_from: Option<&'a [u8]>,
    /// What rules say it is to say differently.
    pub(crate) changes: Option<&'a Changes>,
    /// Its part of the request's Max-Breadth.
    pub(crate) breadth: Option<u32>,
    /// The member with the dialog that a Refer-To wants replaced, as far as its record knows.
    pub(crate) replaced_at: Option<SocketAddr>,
}

/// Append the request as it leaves.
///
/// # Errors
/// A Refer-To with a token that leads nowhere.
pub(crate) fn write_request(
    incoming: &Incoming<'_>,
    hop: &Hop<'_>,
    settings: &Settings,
    edits: &mut Edits,
    out: &mut Vec<u8>,
) -> Result<(), OpenError> {
    let message = &incoming.message;
    let Some(listener) = settings.listener(hop.flow.listener) else { return Ok(()) };
    edits.clear();
    request_uri(message, hop, listener, settings, edits);
    vias(incoming, hop, listener, edits);
    max_forwards(message, edits);
    if let (Some(header), Some(breadth)) = (message.first(HeaderName::MaxBreadth), hop.breadth) {
        edits.replace_with(header.value_range(), |out| write_u64(out, u64::from(breadth)));
    }
    routes(incoming, hop, edits);
    if let Some(uri) = hop.new_from {
        identity::replace_from(message, uri, edits);
    }
    if hop.zone == Zone::Pool {
        towards_pool(incoming, hop, settings, edits)?;
    } else {
        towards_outside(incoming, hop, listener, settings, edits);
    }
    Boundary::new(incoming.upstream.zone, hop.zone, settings).apply(message, edits);
    if let Some(changes) = hop.changes {
        let passage = Passage { from: incoming.upstream.zone, to: hop.zone, listener, settings };
        rewrite::headers(message, changes, &passage, edits);
    }
    length::state(message, listener, edits);
    edits.apply(message.bytes(), out);
    Ok(())
}

fn request_uri(
    message: &Message<'_>,
    hop: &Hop<'_>,
    listener: &Listener,
    settings: &Settings,
    edits: &mut Edits,
) {
    if let Some(target) = hop.target {
        edits.replace(message.request_uri_range(), target);
        return;
    }
    let Ok(uri) = Uri::parse(message.request_uri()) else { return };
    if let Some(changes) = hop.changes {
        let own = || match hop.member.filter(|_| hop.zone == Zone::Trunk) {
            Some(member) => member.to_string(),
            None => settings.outside_authority(listener),
        };
        rewrite::request_uri(message, &uri, changes, &own, edits);
        if changes.host.is_some() || !uri.is_sip() {
            return;
        }
    }
    // Out to a carrier: FreeSWITCH asked our inner address, the carrier is asked by its own.
    let Some(member) = hop.member.filter(|_| hop.zone == Zone::Trunk) else { return };
    if settings.is_ours(&uri) || uri.ip().is_some_and(|ip| settings.hidden.has(ip, uri.port)) {
        let start = message.request_uri_range().start;
        let host = start + uri.host_range.start..start + uri.host_range.end;
        edits.replace_with(host, |out| {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{member}");
        });
    }
}

fn vias(incoming: &Incoming<'_>, hop: &Hop<'_>, listener: &Listener, edits: &mut Edits) {
    let message = &incoming.message;
    let top = message.start_line_range().end;
    edits.insert_with(top, |out| via::write_own_via(listener, hop.flow.port, hop.branch, out));
    if incoming.upstream.zone == Zone::Pool && hop.zone != Zone::Pool {
        route::take_all_off(message, HeaderName::Via, edits);
        return;
    }
    let Some(header) = message.first(HeaderName::Via) else { return };
    let Some(item) = crate::wire::split(header.value).next() else { return };
    let start = header.value_range().start;
    edits.replace_with(start + item.range.start..start + item.range.end, |out| {
        via::write_stamped(item.text, incoming.upstream.source, out);
    });
}

fn max_forwards(message: &Message<'_>, edits: &mut Edits) {
    match message.first(HeaderName::MaxForwards) {
        None => edits.insert(message.start_line_range().end, b"Max-Forwards: 70\r\n"),
        Some(header) => {
            let hops = std::str::from_utf8(header.value).ok().and_then(|text| text.parse::<u64>().ok());
            edits.replace_with(header.value_range(), |out| {
                write_u64(out, hops.unwrap_or(70).saturating_sub(1))
            });
        }
    }
}

/// From outside, no Route leads anywhere. From the pool, what stands below ours is data for the next hop.
fn routes(incoming: &Incoming<'_>, hop: &Hop<'_>, edits: &mut Edits) {
    if incoming.upstream.zone == Zone::Pool {
        route::take_off(&incoming.message, hop.routes, edits);
    } else {
        route::take_all_off(&incoming.message, HeaderName::Route, edits);
    }
}

fn towards_pool(
    incoming: &Incoming<'_>,
    hop: &Hop<'_>,
    settings: &Settings,
    edits: &mut Edits,
) -> Result<(), OpenError> {
    let message = &incoming.message;
    let Some(pool_listener) = settings.told_to(&hop.flow) else { return Ok(()) };
    let top = message.start_line_range().end;
    if forms_dialog(incoming.method) && !incoming.is_in_dialog() && incoming.upstream.zone != Zone::Pool {
        edits.insert_with(top, |out| {
            route::write_own(b"Record-Route", Kind::RecordRoute, &hop.upstream, settings, pool_listener, out);
        });
    }
    if let Some(path) = hop.path {
        edits.insert_with(top, |out| {
            route::write_own(b"Path", Kind::Path, &path, settings, pool_listener, out)
        });
    }
    if !incoming.is_in_dialog() && incoming.upstream.zone != Zone::Pool {
        let source = incoming.upstream.source;
        edits.insert_with(message.head_end(), |out| {
            // Writing to a Vec cannot fail.
            let _ = write!(
                out,
                "X-AUTH-IP: {}\r\nX-AUTH-PORT: {}\r\n",
                source.ip().to_canonical(),
                source.port()
            );
        });
    }
    credentials::restore_opaque(message, settings, edits);
    // A member finds a dialog of its own by Call-ID, whatever the URI says.
    let elsewhere = hop.replaced_at.filter(|member| *member != hop.flow.remote);
    let from_outside = incoming.upstream.zone != Zone::Pool;
    refer::open_refer_to(message, from_outside, elsewhere, settings, edits)
}

fn towards_outside(
    incoming: &Incoming<'_>,
    hop: &Hop<'_>,
    listener: &Listener,
    settings: &Settings,
    edits: &mut Edits,
) {
    let message = &incoming.message;
    let registers = incoming.method == Some(Method::Register);
    let sealing = Sealing {
        settings,
        kind: if registers { Kind::Registered } else { Kind::Contact },
        call_id: if registers { b"" } else { incoming.call_id },
        peer: Peer { port: 0, ..hop.upstream },
        listener,
        secure: secure::asks_securely(hop.target.unwrap_or(message.request_uri()), listener),
    };
    sealing.apply(message, edits);
    credentials::restore_opaque(message, settings, edits);
    if incoming.upstream.zone == Zone::Pool {
        route::take_all_off(message, HeaderName::RecordRoute, edits);
        refer::seal_refer_to(message, settings, listener, edits);
        // FreeSWITCH called the carrier at our inner address: To names the carrier's own.
        let carrier = (hop.zone == Zone::Trunk).then(|| hop.flow.remote.ip());
        hide(
            message,
            Boundary::new(incoming.upstream.zone, hop.zone, settings),
            settings,
            listener,
            carrier,
            edits,
        );
    }
}

/// Headers that are rewritten by rules of their own, or whose bytes a digest or a dialog hangs on.
fn has_own_rule(name: HeaderName) -> bool {
    matches!(
        name,
        HeaderName::Via
            | HeaderName::Route
            | HeaderName::CallId
            | HeaderName::CSeq
            | HeaderName::WwwAuthenticate
            | HeaderName::ProxyAuthenticate
            | HeaderName::Authorization
            | HeaderName::ProxyAuthorization
            | HeaderName::ContentLength
            | HeaderName::ContentType
    )
}

/// Write the served domain over every pool address in the remaining headers, and nothing over the names
/// in a session description. Towards a carrier, whom FreeSWITCH thinks it called at our inner address,
/// To names the carrier.
pub(crate) fn hide(
    message: &Message<'_>,
    boundary: Boundary<'_>,
    settings: &Settings,
    listener: &Listener,
    carrier: Option<IpAddr>,
    edits: &mut Edits,
) {
    description::hide_maker(message, &settings.hidden, edits);
    let domain = settings.outside_name(listener);
    warning::hide_agents(message, domain, edits);
    for header in message.headers() {
        if has_own_rule(header.name) || boundary.stops(&header) {
            continue;
        }
        if boundary.to == Zone::Public
            && header.name == HeaderName::PAssertedIdentity
            && is_anonymous(message)
        {
            edits.delete(header.line());
            continue;
        }
        let carrier = carrier.filter(|_| header.name == HeaderName::To);
        let start = header.value_range().start;
        let mut at = 0;
        while let Some(found) = settings.hidden.next(header.value, at) {
            at = found.range.end;
            let range = start + found.range.start..start + found.range.end;
            edits.replace_with(range, |out| match (found.word, carrier) {
                (Some(word), _) => out.extend_from_slice(word.as_bytes()),
                // Writing to a Vec cannot fail.
                (None, Some(ip)) => drop(write!(out, "{ip}")),
                (None, None) => out.extend_from_slice(domain.as_bytes()),
            });
        }
    }
}

/// RFC 3325 §9.3: with `Privacy: id` an asserted identity stops before strangers.
fn is_anonymous(message: &Message<'_>) -> bool {
    let values = message.all(HeaderName::Privacy).flat_map(|header| header.value.split(|byte| *byte == b';'));
    values.map(crate::wire::trim).any(|value| value.eq_ignore_ascii_case(b"id"))
}

/// Give From and To of an answer back to the pool as it wrote them, where [`hide`] had changed them.
pub(crate) fn restore_identity(
    request: &Message<'_>,
    response: &Message<'_>,
    settings: &Settings,
    edits: &mut Edits,
) {
    for name in [HeaderName::From, HeaderName::To] {
        let sent = request.value(name);
        let (Some(header), true) = (response.first(name), settings.hidden.next(sent, 0).is_some()) else {
            continue;
        };
        let tag = NameAddr::parse(header.value).ok().and_then(|address| address.tag());
        let has_tag = NameAddr::parse(sent).is_ok_and(|address| address.tag().is_some());
        edits.replace_with(header.value_range(), |out| {
            out.extend_from_slice(sent);
            if let (false, Some(tag)) = (has_tag, tag) {
                out.extend_from_slice(b";tag=");
                out.extend_from_slice(tag);
            }
        });
    }
}
