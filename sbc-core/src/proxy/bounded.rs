//! Requests of a connection that showed a ticket: only as its users, only to its destinations.
//!
//! In a dialog the sealed address is the bound: it leads to the party that the dialog was set up with, and nowhere
//! else. What a REFER asks the pool to call is a destination like any other.

use crate::admission::Bounds;
use crate::count::Count;
use crate::flow::ConnectionId;
use crate::hash::Digest;
use crate::io::Ticket;
use crate::proxy::core::Core;
use crate::proxy::hop::Answer;
use crate::proxy::incoming::Incoming;
use crate::proxy::settings::{Settings, strip_brackets};
use crate::seal::{KeyRing, Kind};
use crate::sip::Method;
use crate::wire::{HeaderName, NameAddr, Uri};

/// A refusal with its reason.
fn refuse(reason: &str, count: Count) -> Answer {
    Answer { status: 403, reason: Some(reason.to_owned()), retry_after: None, count: Some(count) }
}

impl Core {
    /// Remember what a connection may ask for.
    pub(super) fn opened_by(&self, connection: ConnectionId, ticket: &Ticket, settings: &Settings) {
        let users = ticket.users.iter().filter_map(|user| aor_of(user, settings)).collect();
        self.tickets.opened(connection, Bounds::new(users, ticket.destinations.as_deref()));
    }

    /// Judge whom a request speaks for, and what a REFER wants to be called.
    ///
    /// # Errors
    /// The answer to a request beyond the ticket.
    pub(super) fn within_ticket(&self, incoming: &Incoming<'_>, settings: &Settings) -> Result<(), Answer> {
        let Some(bounds) = self.tickets.of(&incoming.upstream.flow) else { return Ok(()) };
        if incoming.method == Some(Method::Refer) && !refers_within(&bounds, incoming, settings) {
            return Err(refuse("Not A Destination Of The Ticket", Count::TicketDestination));
        }
        if incoming.is_in_dialog() {
            return Ok(());
        }
        let speaks_for = match incoming.method {
            Some(Method::Register) => incoming.registered_aor(settings),
            _ => None,
        };
        let is_own = |aor| bounds.may_speak_for(aor);
        if is_own(incoming.caller_aor(settings)) && speaks_for.is_none_or(is_own) {
            Ok(())
        } else {
            Err(refuse("Not A User Of The Ticket", Count::TicketUser))
        }
    }

    /// Judge whom a request that rules would lead on asks for.
    ///
    /// # Errors
    /// The answer to a request beyond the ticket.
    pub(super) fn asks_within_ticket(
        &self,
        incoming: &Incoming<'_>,
        uri: &Uri<'_>,
        settings: &Settings,
    ) -> Result<(), Answer> {
        if incoming.method == Some(Method::Register) {
            return Ok(());
        }
        match self.tickets.of(&incoming.upstream.flow) {
            Some(bounds) if !is_destination(&bounds, uri, settings) => {
                Err(refuse("Not A Destination Of The Ticket", Count::TicketDestination))
            }
            _ => Ok(()),
        }
    }
}

fn is_destination(bounds: &Bounds, uri: &Uri<'_>, settings: &Settings) -> bool {
    // Our address is the served domain in other words.
    let domain = match settings.config.admission.domains.first() {
        Some(domain) if settings.is_ours(uri) => domain.as_bytes(),
        _ => strip_brackets(uri.host),
    };
    bounds.may_ask_for(uri.user.unwrap_or(b""), domain, settings.aor(uri))
}

/// A sealed Contact leads to the party of a dialog that the connection has; whether it opens is seen later.
fn refers_within(bounds: &Bounds, incoming: &Incoming<'_>, settings: &Settings) -> bool {
    incoming.message.all(HeaderName::ReferTo).all(|header| {
        let address = NameAddr::parse(header.value).ok();
        address.and_then(|address| Uri::parse(address.uri).ok()).is_some_and(|uri| {
            let is_sealed = uri.user.and_then(KeyRing::kind_of) == Some(Kind::Contact);
            is_sealed || is_destination(bounds, &uri, settings)
        })
    })
}

/// `alice@example.com`, with `sip:` or without.
fn aor_of(user: &str, settings: &Settings) -> Option<Digest> {
    let text = if user.starts_with("sip:") { user.to_owned() } else { format!("sip:{user}") };
    let uri = Uri::parse(text.as_bytes()).ok()?;
    uri.user.is_some_and(|user| !user.is_empty()).then(|| settings.aor(&uri))
}
