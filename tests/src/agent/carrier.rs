//! A carrier: an exchange behind a proxy of its own.

use std::net::SocketAddr;

use sbc_core::time::Time;

use super::front::Front;
use super::{Agent, Endpoint, Exchange, LegId, Output, Settings};
use crate::ua::message::Message;
use crate::ua::registrar::Binding;

/// A carrier. On the network there is only its proxy.
#[derive(Debug)]
pub struct Carrier {
    /// The exchange: calls are made and answered here.
    pub agent: Agent,
    front: Front,
    out: Vec<Output>,
}

impl Carrier {
    /// A carrier whose proxy is at `proxy`; `settings.address` is that of the exchange behind it, which appears in
    /// Contact, and `settings.edge` where its calls go.
    pub fn new(mut settings: Settings, proxy: SocketAddr, exchange: Exchange) -> Self {
        let front = Front { address: proxy, edge: settings.edge };
        settings.edge = proxy;
        let mut agent = Agent::phone(settings);
        agent.exchange = Some(exchange);
        Self { agent, front, out: Vec::new() }
    }

    /// The users' bindings.
    pub fn bindings(&self) -> &[Binding] {
        self.agent.exchange.as_ref().map_or(&[], Exchange::bindings)
    }

    /// Call a user of the carrier where he is registered: Contact as Request-URI, Path as Route.
    pub fn call_registered(&mut self, now: Time, user: &str, to: &str) -> Option<LegId> {
        let prefix = format!("{user}@");
        let binding = self.bindings().iter().find(|binding| binding.aor.starts_with(&prefix))?.clone();
        Some(self.agent.call_with(now, &binding.contact, to, binding.path, Vec::new()))
    }
}

impl Endpoint for Carrier {
    fn handle(&mut self, now: Time, from: SocketAddr, bytes: &[u8]) {
        let Ok(message) = Message::read(bytes) else {
            return self.agent.handle(now, from, bytes);
        };
        if let Some(inner) = self.front.inward(from, message) {
            self.agent.handle(now, self.front.address, &inner.to_bytes());
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        self.agent.next_deadline()
    }

    fn on_time(&mut self, now: Time) {
        self.agent.on_time(now);
    }

    fn outputs(&mut self) -> Vec<Output> {
        for output in self.agent.outputs() {
            self.out
                .extend(Message::read(&output.bytes).ok().and_then(|message| self.front.outward(message)));
        }
        std::mem::take(&mut self.out)
    }
}
