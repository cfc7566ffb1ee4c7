//! On the way: what has been sent and not yet arrived.

use std::hash::{Hash, Hasher};
use std::net::SocketAddr;

use sbc_core::flow::{ConnectionId, Zone};
use sbc_core::time::Time;

use super::link::LOST_IN_A_ROW;
use super::world::{Node, parse};
use super::{Link, WSS, World};

/// Something that arrives.
pub(super) struct Flying {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    /// Over this connection, in either direction.
    pub(super) socket: Option<ConnectionId>,
    pub(super) bytes: Vec<u8>,
}

impl World {
    /// Send raw bytes from an address to another.
    pub fn inject(&mut self, from: &str, to: &str, bytes: &[u8]) {
        let socket = self.sockets.get(&parse(from)).map(|socket| socket.connection);
        self.fly(Flying { from: parse(from), to: parse(to), socket, bytes: bytes.to_vec() });
    }

    /// Take what a node wants to send.
    pub(super) fn collect(&mut self, from: SocketAddr) {
        let Some(node) = self.nodes.get_mut(&from) else { return };
        for output in node.endpoint().outputs() {
            let is_browser = output.to == parse(WSS);
            let by_stream = self.stream_to(output.to);
            // Who has a connection may send datagrams as well.
            let open = self.sockets.get(&from).filter(|_| is_browser || by_stream.is_some());
            let socket = open.map(|socket| socket.connection).or(by_stream);
            if is_browser && socket.is_none() {
                self.leave_unsaid(from, output.to, output.bytes);
                continue;
            }
            let from = self.translated.get(&from).copied().unwrap_or(from);
            self.fly(Flying { from, to: output.to, socket, bytes: output.bytes });
        }
    }

    /// WebSockets keep order and lose nothing; datagrams travel by the link.
    pub(super) fn fly(&mut self, flying: Flying) {
        self.print(&flying);
        self.destinations.insert(flying.to);
        let link = self.link_of(&flying);
        if let Some(socket) = flying.socket {
            let earliest = self.now + link.stream_time(&mut self.chance);
            let last = self.last_on_stream.entry((socket, flying.to)).or_insert(Time::ZERO);
            *last = earliest.max(*last);
            let at = *last;
            self.sent += 1;
            self.flying.insert((at, self.sent), flying);
            return;
        }
        let copies = 1 + u64::from(self.chance.percent(link.duplicate_percent));
        for _ in 0..copies {
            let is_lost = self.chance.percent(link.loss_percent) && (!link.fair || self.may_lose(&flying));
            if is_lost || flying.bytes.len() > link.mtu {
                continue;
            }
            let at = self.now + link.time(&mut self.chance);
            self.sent += 1;
            let mut copy = Flying { bytes: flying.bytes.clone(), ..flying };
            if link.corrupt_percent > 0 && self.chance.percent(link.corrupt_percent) {
                Link::damage(&mut copy.bytes, &mut self.chance);
            }
            self.flying.insert((at, self.sent), copy);
        }
    }

    /// The inside may have links of its own.
    fn link_of(&self, flying: &Flying) -> Link {
        // A member that a reload took out has not moved.
        let is_inside = |address: &SocketAddr| matches!(self.nodes.get(address), Some(Node::Member(_)));
        let is_inside = |address: &SocketAddr| is_inside(address) || self.is_pool_member(address);
        let inside = self.inside_link.filter(|_| is_inside(&flying.from) || is_inside(&flying.to));
        inside.unwrap_or(self.link)
    }

    fn is_pool_member(&self, address: &SocketAddr) -> bool {
        let mut pools = self.edges.iter().flat_map(|edge| &edge.config.pools);
        pools.any(|pool| pool.zone == Zone::Pool && pool.members.iter().any(|one| one.address == *address))
    }

    /// Loss is fair: of one datagram at most so many copies in a row are lost.
    fn may_lose(&mut self, flying: &Flying) -> bool {
        let mut hasher = std::hash::DefaultHasher::new();
        (flying.from, flying.to, &flying.bytes).hash(&mut hasher);
        let lost = self.lost.entry(hasher.finish()).or_default();
        *lost += 1;
        if *lost > LOST_IN_A_ROW {
            *lost = 0;
        }
        *lost > 0
    }

    fn print(&self, flying: &Flying) {
        let Some(from) = self.trace_from else { return };
        let text = String::from_utf8_lossy(&flying.bytes);
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or("");
        let start = text.lines().next().unwrap_or("");
        let at = self.now.since(from).as_millis();
        let (cseq, call_id) = (line("CSeq"), line("Call-ID"));
        eprintln!("{at:>7} {} -> {}  {start}  [{cseq}] [{call_id}]", flying.from, flying.to);
    }

    pub(super) fn arrive(&mut self, mut flying: Flying) {
        if let Some((inner, _)) = self.translated.iter().find(|(_, outer)| **outer == flying.to) {
            flying.to = *inner;
        }
        let Some(flying) = self.arrive_at_edge(flying) else { return };
        let now = self.now;
        if flying.socket.is_some() && self.drops_tcp.contains(&flying.to) {
            return;
        }
        let is_refused = flying.socket.is_some() && self.without_tcp.contains(&flying.to);
        if is_refused || self.closed_ports.contains(&flying.to) {
            self.refuse(&flying);
        } else if let Some(node) = self.nodes.get_mut(&flying.to) {
            node.endpoint().handle(now, flying.from, &flying.bytes);
            self.collect(flying.to);
        }
    }
}
