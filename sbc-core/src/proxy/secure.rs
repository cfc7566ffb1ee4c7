//! `sips:` (RFC 3261 §26.2.2, RFC 5630): whoever writes it wants every hop encrypted.
//!
//! The pool is a network that the operator trusts, and we answer for the domain: what reaches us goes on to a member
//! however it is reached. Towards the outside a new request for a `sips:` address leaves over TLS or not at all.
//! It is one where its caller asked for a `sips:` address, whatever the Contact says that it is led to (RFC 5630 §5.3), or
//! where that Contact is one. Inside a dialog it leaves as the dialog does, and is counted: a BYE that is refused would
//! keep the call up.

use crate::config::Listener;
use crate::count::Count;
use crate::flow::{Flow, Transport, Zone};
use crate::proxy::core::Core;
use crate::proxy::settings::Settings;
use crate::wire::{HeaderName, Message, NameAddr, eq_ignore_case};

/// Why (RFC 5630 §5.3): the header line of the refusal.
pub(crate) const WARNING: &str = "Warning: 380 sbc \"SIPS Not Allowed\"\r\n";

impl Core {
    /// Whether a request for `asked`, which would leave as `bytes`, may take a flow.
    pub(crate) fn is_secure_enough(
        &self,
        asked: &[u8],
        bytes: &[u8],
        zone: Zone,
        flow: &Flow,
        in_dialog: bool,
        settings: &Settings,
    ) -> bool {
        if zone == Zone::Pool || !(is_sips(asked) || asks_for_sips(bytes)) {
            return true;
        }
        let is_clear = !settings.listener(flow.listener).is_some_and(is_encrypted);
        if is_clear {
            self.counters.add(if in_dialog { Count::SipsInClear } else { Count::SipsRefused });
        }
        in_dialog || !is_clear
    }
}

/// Whether a request for `uri` owes those it goes to a `sips:` Contact (RFC 3261 §8.1.1.8).
pub(crate) fn asks_securely(uri: &[u8], listener: &Listener) -> bool {
    is_encrypted(listener) && is_sips(uri)
}

/// The same for a response (§12.1.1): whoever asks for a `sips:` address writes it into To.
pub(crate) fn answers_securely(response: &Message<'_>, listener: &Listener) -> bool {
    is_encrypted(listener)
        && NameAddr::parse(response.value(HeaderName::To)).is_ok_and(|address| is_sips(address.uri))
}

/// Plain WebSocket is offered behind something that ends TLS.
fn is_encrypted(listener: &Listener) -> bool {
    matches!(listener.transport, Transport::Tls | Transport::Wss | Transport::Ws)
}

fn is_sips(uri: &[u8]) -> bool {
    uri.get(..5).is_some_and(|scheme| eq_ignore_case(scheme, b"sips:"))
}

/// Whether the Request-URI of a request is a `sips:` one.
fn asks_for_sips(request: &[u8]) -> bool {
    memchr::memchr(b' ', request).and_then(|space| request.get(space + 1..)).is_some_and(is_sips)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_scheme_of_the_request_uri_counts() {
        for (request, expected) in [
            ("INVITE sips:a@b SIP/2.0\r\n", true),
            ("INVITE SIPS:a@b SIP/2.0\r\n", true),
            ("INVITE sip:sips:@b SIP/2.0\r\n", false),
            ("INVITE sip:a@b SIP/2.0\r\nTo: sips:a", false),
            ("INVITE sip", false),
            ("", false),
        ] {
            assert_eq!(asks_for_sips(request.as_bytes()), expected, "{request}");
        }
    }
}
