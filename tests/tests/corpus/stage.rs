//! One core that serves every domain, a stranger in front of it, and a member behind it.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;

use routing_rules::{Names, Rules};
use sbc_core::flow::{ConnectionId, Flow, ListenerId, WorkerId};
use sbc_core::io::Input;
use sbc_core::time::Time;
use sbc_core::{Core, Worker};
use sbc_tests::sim::{EdgeSettings, MEMBERS, edge_config};

/// Everything that is asked goes to the pool.
const RULES: &str = "[[rule]]\nname = \"all\"\nroute = { pool = \"freeswitch\" }\n";
const STRANGER: &str = "192.0.2.66:5066";
const BROWSERS: ListenerId = ListenerId(0);
const PHONES: ListenerId = ListenerId(1);
const INSIDE: ListenerId = ListenerId(3);

/// How the stranger comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Udp,
    WebSocket,
}

impl Way {
    pub(crate) const BOTH: [Self; 2] = [Self::Udp, Self::WebSocket];
}

/// A message that left.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) flow: Flow,
    pub(crate) bytes: Vec<u8>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Forwarded,
    Answered(u16),
    Dropped,
}

pub(crate) struct Stage {
    core: Core,
    worker: Worker,
    now: Time,
    way: Way,
}

impl Stage {
    pub(crate) fn new(way: Way) -> Self {
        let mut config = (*edge_config(&EdgeSettings::new(&MEMBERS[..1]))).clone();
        let names = Names::new(&["freeswitch", "carrier"], &["browsers", "phones", "trunk", "inside"]);
        config.admission.domains = Vec::new();
        // It does what nobody may do for long.
        config.admission.allow = vec!["192.0.2.66/32".parse().expect("a network")];
        config.rules = Arc::new(Rules::parse(RULES, "routes.toml", &names).expect("the rule"));
        let now = Time::from_millis(1);
        let core = Core::new(Arc::new(config), [7; 32], now);
        let worker = Worker::new(WorkerId(0), now);
        let mut stage = Self { core, worker, now, way };
        if way == Way::WebSocket {
            let flow = stage.outside();
            stage.input(Input::Opened(flow));
        }
        stage
    }

    /// Where the stranger comes in.
    pub(crate) fn outside(&self) -> Flow {
        let remote: SocketAddr = STRANGER.parse().expect("an address");
        match self.way {
            Way::Udp => Flow::to(PHONES, remote),
            Way::WebSocket => {
                Flow { connection: Some(ConnectionId(NonZeroU64::MIN)), ..Flow::to(BROWSERS, remote) }
            }
        }
    }

    /// Where the member comes in with requests of its own.
    pub(crate) fn inside(&self) -> Flow {
        Flow::to(INSIDE, MEMBERS[0].parse().expect("an address"))
    }

    fn input(&mut self, input: Input<'_>) -> Vec<Sent> {
        self.core.handle(&mut self.worker, self.now, input);
        let outbox = &self.worker.outbox;
        let sent = outbox.transmits().iter();
        let sent: Vec<_> =
            sent.map(|one| Sent { flow: one.flow, bytes: outbox.bytes(&one.range).to_vec() }).collect();
        self.worker.outbox.clear();
        sent
    }

    /// A message comes in.
    pub(crate) fn hear(&mut self, flow: Flow, bytes: &[u8]) -> Vec<Sent> {
        self.input(Input::Received { flow, source: flow.remote, bytes })
    }

    /// The stranger says this. Whatever leaves goes to the pool or back to the stranger, and nowhere else.
    pub(crate) fn judge(&mut self, bytes: &[u8]) -> Outcome {
        let (outside, inside) = (self.outside(), self.inside());
        let sent = self.hear(outside, bytes);
        for one in &sent {
            assert!(
                one.flow.remote == outside.remote || one.flow.remote == inside.remote,
                "sent to {}: {}",
                one.flow.remote,
                String::from_utf8_lossy(&one.bytes)
            );
        }
        if sent.iter().any(|one| one.flow.remote == inside.remote) {
            return Outcome::Forwarded;
        }
        let mut statuses = sent.iter().filter_map(|one| status(&one.bytes)).filter(|status| *status >= 200);
        statuses.next_back().map_or(Outcome::Dropped, Outcome::Answered)
    }

    /// It still answers a ping.
    pub(crate) fn assert_alive(&mut self) {
        let ping =
            b"OPTIONS sip:198.51.100.7 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.66:5066;branch=z9hG4bKalive\r\n\
            Max-Forwards: 70\r\nFrom: <sip:ping@example.test>;tag=p\r\nTo: <sip:198.51.100.7>\r\n\
            Call-ID: alive\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(self.judge(ping), Outcome::Answered(200), "it lives");
    }
}

/// The status of a response; `None` for a request.
pub(crate) fn status(bytes: &[u8]) -> Option<u16> {
    std::str::from_utf8(bytes.strip_prefix(b"SIP/2.0 ")?.get(..3)?).ok()?.parse().ok()
}
