//! Where an admitted request goes: the token it carries, else the rules (RFC 3261 §16.5).

use crate::count::Count;
use crate::flow::Zone;
use crate::proxy::core::Core;
use crate::proxy::incoming::Incoming;
use crate::proxy::question::changed;
use crate::proxy::refer;
use crate::proxy::route::{self, Consumed};
use crate::proxy::ruled::{Pooled, Ruled};
use crate::proxy::settings::Settings;
use crate::proxy::setup::Bound;
use crate::proxy::turn::{Asked, Turn};
use crate::proxy::worker::Spare;
use crate::seal::{KeyRing, Kind, OpenError, Peer};
use crate::sip::Method;
use crate::wire::{HeaderName, NameAddr, Uri, is_zero};
use routing_rules::Changes;

/// What is to be done with a request.
pub(crate) enum Route {
    /// It is answered here.
    Answer(Answer),
    /// Nothing: an ACK without a home.
    Drop(Count),
    /// A sealed address leads on.
    Peer {
        peer: Peer,
        /// The next Request-URI, where the token holds one.
        target: Option<Vec<u8>>,
    },
    /// The members of pools, one after the other.
    Pool(Pooled, Ruled),
    /// The bindings of a user.
    Bindings(Bound, Ruled),
    /// The caller is told of other addresses.
    Redirect {
        status: u16,
        /// Contact lines.
        contacts: String,
    },
}

/// An answer of our own.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) reason: Option<String>,
    pub(crate) retry_after: Option<u32>,
    pub(crate) count: Option<Count>,
}

impl Answer {
    pub(super) fn refuse(status: u16, count: Count) -> Route {
        Route::Answer(Self { status, reason: None, retry_after: None, count: Some(count) })
    }
}

impl Core {
    /// Decide.
    pub(crate) fn route(&self, asked: &Asked<'_>, turn: &mut Turn<'_>) -> Route {
        let (incoming, settings) = (&asked.incoming, turn.settings);
        if is_out_of_hops_ping(incoming) {
            return Route::Answer(Answer { status: 200, reason: None, retry_after: None, count: None });
        }
        match self.route_by_token(turn, asked) {
            Some(route) => route,
            None if asks_us(incoming, settings) => {
                Route::Answer(Answer { status: 200, reason: None, retry_after: None, count: None })
            }
            None => self.route_by_rule(asked, turn),
        }
    }

    /// Where a sealed address or the dialog's record leads; `None`: there is none.
    pub(super) fn route_by_token(&self, turn: &mut Turn<'_>, asked: &Asked<'_>) -> Option<Route> {
        let (incoming, top, settings) = (&asked.incoming, &asked.top, turn.settings);
        let spare = &mut turn.worker.spare;
        match incoming.upstream.zone {
            Zone::Pool => self.route_from_pool(incoming, top, settings, spare),
            Zone::Public | Zone::Trunk => self.route_from_outside(incoming, top, settings, spare),
        }
    }

    fn route_from_pool(
        &self,
        incoming: &Incoming<'_>,
        top: &Consumed,
        settings: &Settings,
        spare: &mut Spare,
    ) -> Option<Route> {
        match top.peer {
            Some(Ok(peer)) => return Some(Route::Peer { peer, target: None }),
            Some(Err(error)) => return Some(refuse_token(incoming, error)),
            None => {}
        }
        let uri = Uri::parse(incoming.message.request_uri()).ok()?;
        if let Some(Ok(peer)) = uri.user.map(|user| settings.tokens.open_route(user)) {
            return Some(Route::Peer { peer, target: None });
        }
        if let Some(route) = open_request_uri(incoming, &uri, settings, spare) {
            return Some(route);
        }
        if !incoming.is_in_dialog() {
            return None;
        }
        // FreeSWITCH without a Record-Route to go by: the record may still know.
        let flow = self.dialogs.last_flow(incoming.dialog(&self.hash));
        Some(match flow {
            Some((flow, _)) => Route::Peer { peer: self.peer_of(&flow, None, settings), target: None },
            None => without_token(incoming),
        })
    }

    fn route_from_outside(
        &self,
        incoming: &Incoming<'_>,
        top: &Consumed,
        settings: &Settings,
        spare: &mut Spare,
    ) -> Option<Route> {
        // Our Route tokens are never told outside: whoever brings an altered one has tried to make one.
        if let Some(Err(error @ OpenError::Forged)) = top.peer {
            return Some(refuse_token(incoming, error));
        }
        let uri = Uri::parse(incoming.message.request_uri()).ok()?;
        if let Some(route) = open_request_uri(incoming, &uri, settings, spare) {
            return Some(route);
        }
        // A stranger's Route chooses nothing; one that is not even ours wants a relay.
        let wants_relay = top.more && incoming.upstream.zone == Zone::Public;
        if let Some(tag) = incoming.to_tag {
            let key = incoming.dialog(&self.hash);
            let known = self.dialogs.inside(key, &incoming.upstream.flow, self.hash.of(&[tag]));
            return Some(match known {
                Some((peer, target)) => Route::Peer { peer, target: Some(target) },
                // A dialog that nobody knows is none to begin media in.
                None if wants_relay && incoming.method == Some(Method::Invite) => {
                    Answer::refuse(403, Count::ForeignRoute)
                }
                None => without_token(incoming),
            });
        }
        wants_relay.then(|| Answer::refuse(403, Count::ForeignRoute))
    }
}

/// The Request-URI as a Contact of ours. An INVITE with Replaces may carry the token that a Refer-To
/// held: that one is bound to the replaced Call-ID.
fn open_request_uri(
    incoming: &Incoming<'_>,
    uri: &Uri<'_>,
    settings: &Settings,
    spare: &mut Spare,
) -> Option<Route> {
    let kind = KeyRing::kind_of(uri.user?)?;
    let open = |kind, call_id| settings.tokens.open_contact(kind, call_id, uri);
    let replaced = refer::replaced_by(&incoming.message);
    let (opened, leads_on) = match kind {
        // A token is no way past the rules: it leads on inside its dialog, to replace that dialog, and for
        // a carrier to the member that registered there.
        Kind::Registered => (open(kind, b""), incoming.upstream.zone == Zone::Trunk),
        Kind::Contact if incoming.is_in_dialog() => (open(kind, incoming.call_id), true),
        Kind::Contact => (open(kind, replaced.unwrap_or(incoming.call_id)), replaced.is_some()),
        _ => return None,
    };
    let opened = opened.and_then(|seal| if leads_on { Ok(seal) } else { Err(OpenError::Forged) });
    match opened {
        Ok(seal) => {
            let mut target = spare.take();
            seal.write_target(&mut target);
            Some(Route::Peer { peer: seal.peer, target: Some(target) })
        }
        // Somebody's name may look like a token sealed elsewhere; rules may know it.
        Err(OpenError::NotAToken) => None,
        Err(OpenError::UnknownKey) if !incoming.is_in_dialog() => None,
        Err(error) => Some(refuse_token(incoming, error)),
    }
}

/// What a token that does not open is owed, and counted as.
pub(crate) const fn refusal_of(error: OpenError) -> (u16, Count) {
    match error {
        OpenError::Forged => (403, Count::ForgedToken),
        OpenError::UnknownKey | OpenError::NotAToken => (481, Count::UnknownKey),
    }
}

fn refuse_token(incoming: &Incoming<'_>, error: OpenError) -> Route {
    let (status, count) = refusal_of(error);
    if incoming.method == Some(Method::Ack) { Route::Drop(count) } else { Answer::refuse(status, count) }
}

fn without_token(incoming: &Incoming<'_>) -> Route {
    match incoming.method {
        Some(Method::Ack) => Route::Drop(Count::StrayAck),
        _ => Answer::refuse(481, Count::NoToken),
    }
}

/// RFC 3261 §16.3 item 3: OPTIONS that may go no further is for us.
pub(super) fn is_out_of_hops_ping(incoming: &Incoming<'_>) -> bool {
    incoming.method == Some(Method::Options) && is_zero(incoming.message.value(HeaderName::MaxForwards))
}

/// OPTIONS that ask whether we are here (RFC 3261 §11): no user; from the pool, whatever
/// user stands before our address (a gateway's or a registration's ping).
pub(super) fn asks_us(incoming: &Incoming<'_>, settings: &Settings) -> bool {
    if incoming.method != Some(Method::Options) {
        return false;
    }
    let Ok(uri) = Uri::parse(incoming.message.request_uri()) else { return false };
    let for_us = settings.is_ours(&uri) || is_own_domain(&uri, settings);
    for_us && (uri.user.is_none() || incoming.upstream.zone == Zone::Pool)
}

fn is_own_domain(uri: &Uri<'_>, settings: &Settings) -> bool {
    settings.config.admission.domains.iter().any(|domain| domain.as_bytes().eq_ignore_ascii_case(uri.host))
}

pub(super) fn is_served(served: &[Box<str>], domain: &str, uri: &Uri<'_>, settings: &Settings) -> bool {
    settings.is_ours(uri) || served.iter().any(|one| one.eq_ignore_ascii_case(domain))
}

/// Whom a call wants, for `hash:aor`: the user in To for REGISTER, in the Request-URI else.
pub(crate) fn called_aor(
    incoming: &Incoming<'_>,
    changes: Option<&Changes>,
    settings: &Settings,
) -> crate::hash::Digest {
    if incoming.method == Some(Method::Register)
        && let Some(aor) = incoming.registered_aor(settings)
    {
        return aor;
    }
    let text = incoming.message.request_uri();
    let uri = NameAddr::parse(text).ok().and_then(|address| Uri::parse(address.uri).ok());
    uri.map_or(0, |uri| settings.aor(&changed(&uri, changes)))
}

/// What the top of the route set says.
pub(crate) fn top_of_route(incoming: &Incoming<'_>, settings: &Settings) -> Consumed {
    route::read_top(&incoming.message, settings)
}
