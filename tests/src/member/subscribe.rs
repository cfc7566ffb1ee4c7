//! SUBSCRIBE and the NOTIFYs that follow it, and the NOTIFY that a number asks for.

use std::net::SocketAddr;
use std::time::Duration;

use sbc_core::time::Time;

use super::Member;
use crate::ua::dialog::Dialog;
use crate::ua::message::{Body, Message, address_uri, uri_address, uri_host, uri_user};
use crate::ua::{LegId, Parts, ServerId};

/// Subscriptions kept; more get 503.
const MAX_SUBSCRIPTIONS: usize = 10_000;
/// Seconds granted when a SUBSCRIBE asks for nothing.
const DEFAULT_EXPIRES: u64 = 3600;

/// One subscription.
#[derive(Debug)]
pub(super) struct Subscription {
    dialog: Dialog,
    event: String,
    entity: String,
    expires: Time,
    version: u32,
    /// Record-Route of the SUBSCRIBE: mod_sofia repeats it in its NOTIFY.
    record_route: Vec<String>,
    last_notify: Option<u64>,
}

impl Member {
    /// SUBSCRIBE: a new one, a refresh or an end.
    pub(super) fn on_subscribe(&mut self, now: Time, id: &ServerId, from: SocketAddr, message: &Message) {
        let tag = message.tag("To");
        let known =
            |one: &Subscription| one.dialog.call_id == message.call_id() && one.dialog.local_tag == tag;
        self.subscriptions.retain(|subscription| subscription.expires > now);
        let at = if tag.is_empty() {
            if !self.is_trusted(from, message) && !self.authenticate(now, id, message) {
                return;
            }
            if !matches!(message.get("Event"), Some("dialog" | "presence" | "message-summary")) {
                return self.ua.respond(now, id, 489, Parts::default());
            }
            if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
                return self.ua.respond(now, id, 503, Parts::default());
            }
            let subscription = self.new_subscription(from, message);
            self.subscriptions.push(subscription);
            self.subscriptions.len() - 1
        } else if let Some(at) = self.subscriptions.iter().position(known) {
            at
        } else {
            return self.ua.respond_as(now, id, (481, "Subscription Does Not Exist"), None, Parts::default());
        };
        let seconds = message.number("Expires").unwrap_or(DEFAULT_EXPIRES);
        let Some(subscription) = self.subscriptions.get_mut(at) else {
            return;
        };
        subscription.expires = now + Duration::from_secs(seconds);
        subscription.dialog.learn_target(message);
        let (tag, contact) = (subscription.dialog.local_tag.clone(), subscription.dialog.contact.clone());
        let parts = Parts::default().with("Expires", seconds.to_string());
        self.ua.respond_as(now, id, (202, "Accepted"), Some((&tag, Some(&contact))), parts);
        self.notify(now, at, seconds);
        if seconds == 0 {
            self.subscriptions.remove(at);
        }
    }

    fn new_subscription(&mut self, from: SocketAddr, message: &Message) -> Subscription {
        let tag = self.ua.stack.ids.text(12);
        let user = uri_user(message.uri());
        let contact = format!("<sip:{user}@{}{}>", self.config.sip, self.config.asking());
        let mut dialog = Dialog::of_request(message, from, tag, contact, self.ua.style.first_seq);
        let record_route = std::mem::take(&mut dialog.route);
        // As seen: of several Record-Route its NOTIFY follows the top one only.
        dialog.route = record_route.first().cloned().into_iter().collect();
        Subscription {
            dialog,
            event: message.get("Event").unwrap_or("").into(),
            entity: format!("sip:{user}@{}", uri_host(message.uri())),
            expires: Time::NEVER,
            version: 0,
            record_route,
            last_notify: None,
        }
    }

    fn notify(&mut self, now: Time, at: usize, seconds: u64) {
        let Some(subscription) = self.subscriptions.get_mut(at) else {
            return;
        };
        let mut message = subscription.dialog.request("NOTIFY", None);
        for (place, route) in subscription.record_route.iter().take(1).enumerate() {
            message.headers.insert(place + 1, ("Record-Route".into(), route.clone()));
        }
        message.push("Contact", subscription.dialog.contact.clone());
        let state = if seconds > 0 {
            format!("active;expires={seconds}")
        } else {
            "terminated;reason=timeout".to_owned()
        };
        let parts = Parts::body(body_of(&subscription.event, &subscription.entity, subscription.version))
            .with("Event", subscription.event.clone())
            .with("Subscription-State", state);
        subscription.version += 1;
        let to = subscription.dialog.next_hop();
        let token = self.ua.ask(now, message, to, parts);
        if let Some(subscription) = self.subscriptions.get_mut(at) {
            subscription.last_notify = Some(token);
        }
    }

    /// A NOTIFY that fails ends its subscription (RFC 6665 §4.2.2).
    pub(super) fn on_notify_reply(&mut self, token: u64, message: Option<&Message>) {
        if message.is_none_or(|message| matches!(message.status(), 404 | 410 | 481)) {
            self.subscriptions.retain(|subscription| subscription.last_notify != Some(token));
        }
    }

    /// NOTIFY check-sync to every binding of the user who is in this leg; outside any dialog, over the Path.
    pub(super) fn check_sync(&mut self, now: Time, leg: LegId) {
        let aor = format!("{}@{}", self.caller_of(leg), self.config.domain);
        let bindings: Vec<_> = self.registrar.of(now, &aor).cloned().collect();
        for binding in bindings {
            let path =
                binding.path.first().and_then(|path| address_uri(path)).and_then(|uri| uri_address(&uri));
            let Some(to) = path.or_else(|| uri_address(&binding.contact)) else {
                continue;
            };
            let mut message = Message::request("NOTIFY", &binding.contact);
            binding.path.iter().for_each(|path| message.push("Route", path.clone()));
            message.push("Max-Forwards", "70");
            message.push("From", format!("<sip:{aor}>;tag={}", self.ua.stack.ids.text(13)));
            message.push("To", format!("<sip:{aor}>"));
            message.push("Call-ID", binding.call_id.clone());
            message.push("CSeq", format!("{} NOTIFY", self.ua.style.first_seq + 1));
            message.push("Contact", format!("<sip:mod_sofia@{}{}>", self.config.sip, self.config.asking()));
            let parts =
                Parts::body(Body { kind: "application/simple-message-summary".into(), text: String::new() })
                    .with("Event", "check-sync")
                    .with("Subscription-State", "terminated;reason=noresource");
            self.ua.ask(now, message, to, parts);
        }
    }
}

fn body_of(event: &str, entity: &str, version: u32) -> Body {
    match event {
        "presence" => Body {
            kind: "application/pidf+xml".into(),
            text: format!(
                "<?xml version=\"1.0\"?>\r\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"{entity}\">\
                 <tuple id=\"t\"><status><basic>open</basic></status></tuple></presence>\r\n"
            ),
        },
        "message-summary" => Body {
            kind: "application/simple-message-summary".into(),
            text: format!("Messages-Waiting: no\r\nMessage-Account: {entity}\r\n"),
        },
        _ => Body {
            kind: "application/dialog-info+xml".into(),
            text: format!(
                "<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" \
                 version=\"{version}\" state=\"full\" entity=\"{entity}\">\n</dialog-info>\n"
            ),
        },
    }
}
