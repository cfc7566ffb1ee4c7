//! From a sealed peer to a flow that exists now, and back.

use crate::dialog::DialogKey;
use crate::flow::{ConnectionId, Flow};
use crate::hash::Digest;
use crate::limits;
use crate::proxy::core::Core;
use crate::proxy::incoming::Upstream;
use crate::proxy::settings::Settings;
use crate::registration::Lookup;
use crate::seal::{Peer, PeerAddress};
use crate::time::Time;
use std::num::NonZeroU64;

/// Whether a peer can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Over this flow.
    Flow(Flow),
    /// Not now; it may come back until then, and will be announced under this key.
    Wait { key: Digest, until: Time },
    /// Not any more.
    Dead,
}

impl Core {
    /// Where a peer is: where its dialog was last heard, or where its binding was last registered,
    /// whichever is newer; else where the token says.
    pub(crate) fn reach(
        &self,
        peer: &Peer,
        dialog: Option<DialogKey>,
        settings: &Settings,
        now: Time,
    ) -> Reach {
        let looked_up = peer.binding.map(|binding| (binding, self.directory.lookup(binding)));
        let heard = dialog.and_then(|key| self.dialogs.last_flow(key));
        let heard = heard.and_then(|(flow, at)| Some((self.if_open(flow)?, at)));
        match (heard, looked_up) {
            (Some((_, at)), Some((_, Lookup::Live { flow, since }))) if since > at => {
                return Reach::Flow(flow);
            }
            (Some((flow, _)), _) => return Reach::Flow(flow),
            (None, _) => {}
        }
        if let PeerAddress::Connection { boot, number } = peer.address
            && let Some(flow) = self.own_connection(boot, number)
        {
            return Reach::Flow(flow);
        }
        match (looked_up, peer.address) {
            (Some((_, Lookup::Live { flow, .. })), _) => Reach::Flow(flow),
            (_, PeerAddress::At(remote)) => match settings.listener_of(peer.listener) {
                Some(listener) => Reach::Flow(Flow { listener, port: peer.port, remote, connection: None }),
                None => Reach::Dead,
            },
            (Some((binding, Lookup::Dead(since))), _) => {
                wait_until(binding.0, since + limits::FLOW_RETURN, now)
            }
            (Some((binding, Lookup::Unknown)), _) => {
                wait_until(binding.0, self.patience_with_the_unknown(now), now)
            }
            (None, _) => match dialog {
                Some(dialog) => wait_until(dialog.0, self.patience_with_the_unknown(now), now),
                None => Reach::Dead,
            },
        }
    }

    /// A binding that nobody knows is worth waiting for while browsers come back after a start.
    fn patience_with_the_unknown(&self, now: Time) -> Time {
        if now < self.started + limits::RELEARNING { now + limits::FLOW_RETURN } else { now }
    }

    fn own_connection(&self, boot: u64, number: u64) -> Option<Flow> {
        let connection = NonZeroU64::new(number).filter(|_| boot == self.boot)?;
        self.directory.connection(ConnectionId(connection))
    }

    fn if_open(&self, flow: Flow) -> Option<Flow> {
        match flow.connection {
            None => Some(flow),
            Some(connection) => self.directory.connection(connection),
        }
    }

    /// Where an answer goes: the flow it came by, or the next connection of whoever that was (RFC 3261 §18.2.2).
    pub(crate) fn reply_flow(&self, reply: Flow, peer: &Peer, settings: &Settings) -> Option<Flow> {
        self.if_open(reply).or_else(|| match (peer.address, peer.binding) {
            (PeerAddress::At(remote), _) => Some(Flow::to(settings.listener_of(peer.listener)?, remote)),
            (_, Some(binding)) => match self.directory.lookup(binding) {
                Lookup::Live { flow, .. } => Some(flow),
                Lookup::Dead(_) | Lookup::Unknown => None,
            },
            (_, None) => None,
        })
    }

    /// Whoever sent a request, as tokens name them.
    pub(crate) fn upstream_peer(
        &self,
        upstream: &Upstream,
        aor: Option<Digest>,
        settings: &Settings,
    ) -> Peer {
        match upstream.home {
            Some(home) => self.peer_of(&Flow::to(upstream.flow.listener, home), aor, settings),
            None => self.peer_of(&upstream.reply, aor, settings),
        }
    }

    /// A flow as tokens name it; `aor` finds the binding it was registered with.
    pub(crate) fn peer_of(&self, flow: &Flow, aor: Option<Digest>, settings: &Settings) -> Peer {
        let address = match flow.connection {
            Some(connection) => PeerAddress::Connection { boot: self.boot, number: connection.0.get() },
            None => PeerAddress::At(flow.remote),
        };
        let binding = aor.and_then(|aor| self.directory.binding_of(flow, aor));
        Peer { listener: settings.tag_of(flow.listener), port: flow.port, address, binding }
    }
}

fn wait_until(key: Digest, until: Time, now: Time) -> Reach {
    if until > now { Reach::Wait { key, until } } else { Reach::Dead }
}
