//! What the rules would say about a message that has not come: by the code that asks them about those that have.

use std::net::IpAddr;

use routing_rules::{Explanation, Lookup, Rules, Scratch};

use crate::flow::ListenerId;
use crate::proxy::core::Core;
use crate::proxy::question::{Asker, ask};
use crate::wire::{Framing, HeaderName, Index, Limits, Message, Uri};

/// A message that is supposed to have come.
#[derive(Debug, Clone, Copy)]
pub struct Rehearsal<'a> {
    /// Where it came in.
    pub listener: ListenerId,
    /// Who sent it.
    pub source: IpAddr,
    /// The request, whole.
    pub message: &'a [u8],
    /// Whether whoever it asks for has a binding here.
    pub registered: bool,
    /// When, in seconds.
    pub unix_time: i64,
    /// In which ten-thousandth of all calls it is; `None`: by its Call-ID.
    pub share: Option<u16>,
}

/// A message that the rules cannot be asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

/// The surroundings of a message that has not come.
struct Supposed<'a> {
    message: &'a Message<'a>,
    registered: bool,
}

impl Lookup for Supposed<'_> {
    fn registered(&self, _: &str, _: &str) -> bool {
        self.registered
    }

    fn header(&self, name: &str, see: &mut dyn FnMut(&[u8])) {
        self.message.named(name).for_each(|header| see(header.value));
    }
}

impl Core {
    /// Ask the rules about a message, and tell what they say. Nothing is counted, limited or sent.
    ///
    /// # Errors
    /// No request that could be read, or no SIP URI in it.
    pub fn rehearse<R>(
        &self,
        rehearsal: &Rehearsal<'_>,
        tell: impl FnOnce(&Rules, &Explanation<'_>) -> R,
    ) -> Result<R, Unreadable> {
        let mut index = Index::new();
        index
            .parse(rehearsal.message, Framing::Datagram, &Limits::default())
            .map_err(|error| Unreadable(error.reason().to_owned()))?;
        let message = Message::new(rehearsal.message, &index);
        if !message.is_request() {
            return Err(Unreadable("a response".to_owned()));
        }
        let uri = Uri::parse(message.request_uri()).map_err(|error| Unreadable(error.what.to_owned()))?;
        let settings = self.settings.load();
        let supposed = Supposed { message: &message, registered: rehearsal.registered };
        let asker = Asker {
            listener: rehearsal.listener,
            source: rehearsal.source,
            message: &message,
            call_id: message.value(HeaderName::CallId),
            new_from: &None,
            unix_time: rehearsal.unix_time,
        };
        let mut query = ask(&asker, &uri, &settings, &supposed);
        query.share = rehearsal.share.unwrap_or(query.share);
        let mut scratch = Scratch::default();
        Ok(tell(&settings.config.rules, &settings.config.rules.explain(&query, &mut scratch)))
    }
}
