//! The response that passes: all edits of one hop (RFC 3261 §16.7).

use std::io::Write as _;
use std::net::SocketAddr;

use crate::flow::{Flow, Zone};
use crate::limits;
use crate::proxy::contact::{Sealing, redirect_outside};
use crate::proxy::outgoing::{hide, restore_identity};
use crate::proxy::policy::Boundary;
use crate::proxy::secure;
use crate::proxy::settings::Settings;
use crate::proxy::{bindings, credentials, identity, length, route, via};
use crate::seal::{Kind, Peer};
use crate::sip::{Method, forms_dialog, known_method};
use crate::wire::{Edits, HeaderName, Message};

/// A response on its way back.
pub(crate) struct Passing<'a> {
    pub(crate) response: Message<'a>,
    /// The request it answers, as it came to us; gone after a restart.
    pub(crate) request: Option<Message<'a>>,
    /// Who sent the response, as tokens name them.
    pub(crate) from: Peer,
    pub(crate) from_zone: Zone,
    /// The pool member that answered, where challenges must be marked with it.
    pub(crate) challenger: Option<SocketAddr>,
    pub(crate) to_zone: Zone,
    pub(crate) to_flow: Flow,
    /// The true address of whoever gets it: what its Via is stamped with.
    pub(crate) to_source: SocketAddr,
    /// Via values that were hidden from the next hop, separated by `, `; empty: none were.
    pub(crate) hidden_vias: &'a [u8],
}

/// Append the response as it leaves.
pub(crate) fn write_response(
    passing: &Passing<'_>,
    settings: &Settings,
    edits: &mut Edits,
    out: &mut Vec<u8>,
) {
    let response = &passing.response;
    edits.clear();
    vias(passing, edits);
    if passing.to_zone == Zone::Pool {
        towards_pool(passing, settings, edits);
    } else {
        towards_outside(passing, settings, edits);
    }
    if passing.request.is_none() && passing.to_zone != Zone::Pool && response.status() == 503 {
        instead_of_503(response, edits);
    }
    if let Some(member) = passing.challenger {
        credentials::mark_challenges(response, settings, member, edits);
    }
    Boundary::new(passing.from_zone, passing.to_zone, settings).apply(response, edits);
    if let Some(listener) = settings.listener(passing.to_flow.listener) {
        length::state(response, listener, edits);
    }
    edits.apply(response.bytes(), out);
}

fn vias(passing: &Passing<'_>, edits: &mut Edits) {
    let response = &passing.response;
    if passing.hidden_vias.is_empty() {
        if let Some(range) = via::top_via_range(response) {
            edits.delete(range);
        }
        return;
    }
    route::take_all_off(response, HeaderName::Via, edits);
    edits.insert_with(response.start_line_range().end, |out| {
        via::write_restored_vias(passing.hidden_vias, passing.to_source, out);
    });
}

/// A 503 speaks of the member that sent it, and with a Reason of the call beyond it (RFC 3261 §16.7 item 6). Where its
/// request is known it is answered anew; without that it is changed.
fn instead_of_503(response: &Message<'_>, edits: &mut Edits) {
    route::take_all_off(response, HeaderName::RetryAfter, edits);
    if response.first(HeaderName::Reason).is_some() {
        edits.replace(response.start_line_range(), b"SIP/2.0 500 Server Internal Error\r\n");
        return;
    }
    edits.insert_with(response.head_end(), |out| {
        // Writing to a Vec cannot fail.
        let _ = write!(out, "Retry-After: {}\r\n", limits::RETRY_AFTER_SECONDS);
    });
}

fn towards_pool(passing: &Passing<'_>, settings: &Settings, edits: &mut Edits) {
    let response = &passing.response;
    let method = known_method(response.method_text());
    if method == Some(Method::Register) {
        bindings::restore_registered(response, settings, edits);
    }
    if let Some(request) = &passing.request {
        restore_identity(request, response, settings, edits);
    }
    if passing.from_zone != Zone::Pool && records_route(passing, method) {
        record_route_last(passing, settings, edits);
    }
}

/// The pool's route to a callee is recorded in every answer that makes a dialog.
fn records_route(passing: &Passing<'_>, method: Option<Method>) -> bool {
    let begins = passing
        .request
        .as_ref()
        .is_none_or(|request| super::incoming::tag_of(request, HeaderName::To).is_none());
    begins && forms_dialog(method) && (101..300).contains(&passing.response.status())
}

/// FreeSWITCH as caller reverses the list: the last one is the first hop of its requests.
fn record_route_last(passing: &Passing<'_>, settings: &Settings, edits: &mut Edits) {
    let response = &passing.response;
    let Some(pool_listener) = settings.listener(passing.to_flow.listener) else { return };
    let at = response.last(HeaderName::RecordRoute).map_or(response.head_end(), |header| header.line().end);
    edits.insert_with(at, |out| {
        route::write_own(b"Record-Route", Kind::RecordRoute, &passing.from, settings, pool_listener, out);
    });
}

fn towards_outside(passing: &Passing<'_>, settings: &Settings, edits: &mut Edits) {
    let response = &passing.response;
    let Some(listener) = settings.listener(passing.to_flow.listener) else { return };
    route::take_own_records_off(response, settings, edits);
    match (known_method(response.method_text()), response.status()) {
        (Some(Method::Register), 200..300) => {
            if let Some(request) = &passing.request {
                bindings::own_contacts_only(request, response, edits);
            }
        }
        (_, 300..400) => redirect_outside(response, settings, listener, edits),
        _ => {
            let call_id = response.value(HeaderName::CallId);
            let sealing = Sealing {
                settings,
                kind: Kind::Contact,
                call_id,
                peer: Peer { port: 0, ..passing.from },
                listener,
                secure: secure::answers_securely(response, listener),
            };
            sealing.apply(response, edits);
        }
    }
    if let Some(request) = passing.request.as_ref().filter(|_| passing.to_zone == Zone::Public) {
        identity::restore_from(request, response, edits);
    }
    if passing.from_zone == Zone::Pool {
        let boundary = Boundary::new(passing.from_zone, passing.to_zone, settings);
        hide(response, boundary, settings, listener, None, edits);
    }
}
