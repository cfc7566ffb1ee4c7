//! `sips:` (RFC 3261 §26.2.2, RFC 5630): whoever writes it wants every hop encrypted.
//!
//! The pool is a network that the operator trusts, and we answer for the domain: what reaches us goes on to a member
//! however it is reached. Towards the outside a new request for a `sips:` address leaves over TLS or not at all.
//! Inside a dialog it leaves as the dialog does, and is counted: a BYE that is refused would keep the call up.

use crate::count::Count;
use crate::flow::{Flow, Transport, Zone};
use crate::proxy::core::Core;
use crate::proxy::settings::Settings;
use crate::wire::eq_ignore_case;

/// Why (RFC 5630 §5.3): the header line of the refusal.
pub(crate) const WARNING: &str = "Warning: 380 sbc \"SIPS Not Allowed\"\r\n";

impl Core {
    /// Whether a request as it would leave, `bytes`, may take a flow.
    pub(crate) fn is_secure_enough(
        &self,
        bytes: &[u8],
        zone: Zone,
        flow: &Flow,
        in_dialog: bool,
        settings: &Settings,
    ) -> bool {
        if zone == Zone::Pool || !asks_for_sips(bytes) {
            return true;
        }
        let is_clear = settings.listener(flow.listener).is_none_or(|listener| match listener.transport {
            // Plain WebSocket is offered behind something that ends TLS.
            Transport::Tls | Transport::Wss | Transport::Ws => false,
            _ => true,
        });
        if is_clear {
            self.counters.add(if in_dialog { Count::SipsInClear } else { Count::SipsRefused });
        }
        in_dialog || !is_clear
    }
}

/// Whether the Request-URI of a request is a `sips:` one.
fn asks_for_sips(request: &[u8]) -> bool {
    let uri = memchr::memchr(b' ', request).and_then(|space| request.get(space + 1..space + 6));
    uri.is_some_and(|scheme| eq_ignore_case(scheme, b"sips:"))
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
