//! The directory of flows and the requests that wait for one.

mod unanswered;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::flow::{ConnectionId, Flow};
use crate::hash::Digest;
use crate::limits;
use crate::seal::{BindingId, Peer};
use crate::table::{DigestMap, Entry};
use crate::time::Time;
use crate::transaction::EntryId;
use unanswered::Unanswered;

/// A binding that the registrar confirmed.
#[derive(Debug, Clone)]
pub struct Binding {
    /// Its address of record, hashed.
    pub aor: Digest,
    /// The same as a URI: what the registrant calls itself.
    pub name: Box<[u8]>,
    /// The newest flow it was registered over.
    pub flow: Flow,
    /// What its Path says; stays as it was at the first REGISTER.
    pub path: Peer,
    /// The Contact URI.
    pub contact: Box<[u8]>,
    /// The member of the pool that granted it.
    pub member: Option<SocketAddr>,
    /// How much its user prefers it (RFC 3261 §20.10), in thousandths.
    pub q: u16,
    /// When the registrar forgets it.
    pub expires: Time,
    /// The place of its last REGISTER among all of them: see [`Directory::next_order`].
    pub order: u64,
    /// When its connection closed, if it did.
    pub closed: Option<Time>,
    /// When it was last registered.
    pub refreshed: Time,
    /// Its timer carries the same number; a timer of an earlier life says nothing.
    pub generation: u32,
}

/// A registration that the registrar just confirmed.
#[derive(Debug)]
pub struct Registration<'a> {
    /// Which binding.
    pub id: BindingId,
    /// Its address of record, hashed.
    pub aor: Digest,
    /// The same as a URI.
    pub name: &'a [u8],
    /// The flow of the REGISTER.
    pub flow: Flow,
    /// The Path that was sent with it.
    pub path: Peer,
    /// Its Contact URI.
    pub contact: &'a [u8],
    /// The member of the pool that granted it.
    pub member: Option<SocketAddr>,
    /// How much its user prefers it, in thousandths.
    pub q: u16,
    /// When the registrar forgets it.
    pub expires: Time,
    /// See [`Directory::next_order`].
    pub order: u64,
}

impl Registration<'_> {
    fn binding(&self, flow: Flow, closed: Option<Time>, generation: u32, now: Time) -> Binding {
        Binding {
            aor: self.aor,
            name: self.name.into(),
            flow,
            path: self.path,
            contact: self.contact.into(),
            member: self.member,
            q: self.q,
            expires: self.expires,
            order: self.order,
            closed,
            refreshed: now,
            generation,
        }
    }
}

/// A binding that was removed a moment ago.
#[derive(Debug, Clone, Copy)]
struct Left {
    /// The place of the REGISTER that ended it.
    order: u64,
    until: Time,
}

/// Where a binding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// Reached over this flow, as it said at that time.
    Live {
        /// The flow.
        flow: Flow,
        /// When it was last registered.
        since: Time,
    },
    /// Its connection closed then; it may return.
    Dead(Time),
    /// Nobody has heard of it in this process.
    Unknown,
}

/// A live binding of an address of record.
#[derive(Debug, Clone)]
pub struct Reached {
    /// Which.
    pub id: BindingId,
    /// Where.
    pub flow: Flow,
    /// Its Contact URI: the next Request-URI.
    pub contact: Box<[u8]>,
    /// How much its user prefers it, in thousandths: the greatest is tried first.
    pub q: u16,
    /// When it was last registered; of several alike the newest is tried first.
    pub refreshed: Time,
}

#[derive(Debug)]
struct Connected {
    flow: Flow,
    bindings: Vec<BindingId>,
    /// The newest requests sent there as datagrams: whom an ICMP error concerns.
    asked: Vec<EntryId>,
    unanswered: Unanswered,
}

impl Connected {
    fn new(flow: Flow) -> Self {
        Self { flow, bindings: Vec::new(), asked: Vec::new(), unanswered: Unanswered::default() }
    }
}

/// Whether a registration could be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembered {
    /// It was not known; its timer is to carry this number.
    New {
        /// See [`Binding::generation`].
        generation: u32,
    },
    /// It was known; `before` is the flow that it has left for this one.
    Again {
        /// Another than now.
        before: Option<Flow>,
    },
    /// There are too many.
    Full,
    /// A REGISTER that came later was answered before: nothing has changed.
    Late,
}

/// All bindings and connections of this node.
#[derive(Default)]
pub struct Directory {
    connected: AtomicUsize,
    generations: AtomicU32,
    orders: AtomicU64,
    bindings: DigestMap<Binding>,
    left: DigestMap<Left>,
    by_aor: DigestMap<Vec<BindingId>>,
    flows: DigestMap<Connected>,
    waiting: DigestMap<Vec<EntryId>>,
    /// What servers owe: those that are reached without a connection of their own making.
    servers: DigestMap<Unanswered>,
    known_servers: AtomicUsize,
}

/// A connection is its number, a UDP flow its listener and remote.
fn flow_key(flow: &Flow) -> Digest {
    match flow.connection {
        Some(connection) => Digest::from(connection.0.get()),
        None => datagram_key(flow),
    }
}

fn datagram_key(flow: &Flow) -> Digest {
    let ip = match flow.remote {
        SocketAddr::V4(v4) => v4.ip().to_ipv6_mapped().to_bits(),
        SocketAddr::V6(v6) => v6.ip().to_bits(),
    };
    let rest = u128::from(flow.remote.port()) << 16 | u128::from(flow.listener.0) | 1 << 96;
    ip.rotate_left(37) ^ rest.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
}

impl Directory {
    /// A connection was accepted.
    pub fn connected(&self, flow: Flow) {
        if flow.connection.is_some() && self.connected.fetch_add(1, Ordering::Relaxed) < limits::CONNECTIONS {
            self.flows.insert(flow_key(&flow), Connected::new(flow));
        } else if flow.connection.is_some() {
            self.connected.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A connection closed: its bindings stay, for their next connection. Gives what was sent over it and has no
    /// answer.
    pub fn closed(&self, connection: ConnectionId, now: Time) -> Vec<EntryId> {
        let Some((_, gone)) = self.flows.remove(&Digest::from(connection.0.get())) else { return Vec::new() };
        self.connected.fetch_sub(1, Ordering::Relaxed);
        for id in gone.bindings {
            if let Some(mut binding) = self.bindings.get_mut(&id.0)
                && binding.flow.connection == Some(connection)
            {
                binding.closed = Some(now);
            }
        }
        gone.unanswered.into_entries()
    }

    /// The flow of a connection of this process, while it is open.
    pub fn connection(&self, connection: ConnectionId) -> Option<Flow> {
        self.flows.get(&Digest::from(connection.0.get())).map(|connected| connected.flow)
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.connected.load(Ordering::Relaxed)
    }

    /// How many bindings are known.
    pub fn bindings(&self) -> usize {
        self.bindings.len()
    }

    /// The Path that a binding was first registered with.
    pub fn path_of(&self, id: BindingId) -> Option<Peer> {
        self.bindings.get(&id.0).map(|binding| binding.path)
    }

    /// The place of a REGISTER that just came among all of them.
    pub fn next_order(&self) -> u64 {
        self.orders.fetch_add(1, Ordering::Relaxed)
    }

    /// The registrar confirmed a binding. What it said of an older REGISTER than the last one changes nothing.
    pub fn registered(&self, registration: &Registration<'_>, now: Time) -> Remembered {
        let is_full = self.bindings.len() >= limits::BINDINGS;
        // The connection may have closed while the registrar was asked.
        let is_gone = self.is_gone(&registration.flow);
        let (before, flow, generation) = match self.bindings.entry(registration.id.0) {
            Entry::Occupied(known) => {
                let mut known = known.into_ref();
                if known.order > registration.order {
                    return Remembered::Late;
                }
                let (before, generation) = (known.flow, known.generation);
                // A flow that is open is not given up for one that is not.
                let stays = is_gone && known.closed.is_none();
                let flow = if stays { before } else { registration.flow };
                *known = registration.binding(flow, (is_gone && !stays).then_some(now), generation, now);
                (Some(before), flow, generation)
            }
            Entry::Vacant(_) if is_full => return Remembered::Full,
            Entry::Vacant(vacant) => {
                let generation = self.generations.fetch_add(1, Ordering::Relaxed);
                let closed = is_gone.then_some(now);
                vacant.insert(registration.binding(registration.flow, closed, generation, now));
                (None, registration.flow, generation)
            }
        };
        let moved = before.filter(|before| *before != flow);
        if let Some(before) = moved {
            self.unlink_flow(&before, registration.id);
        }
        self.link_aor(registration);
        self.link_flow(&flow, registration.id);
        self.look_at_flow_again(&flow, registration.id, now);
        if self.has_left_since(registration) {
            self.remove_where(registration.id, |binding| binding.order == registration.order);
            return Remembered::Late;
        }
        if before.is_some() { Remembered::Again { before: moved } } else { Remembered::New { generation } }
    }

    fn is_gone(&self, flow: &Flow) -> bool {
        flow.connection.is_some_and(|connection| self.connection(connection).is_none())
    }

    /// The connection may have closed before the binding was found by it.
    fn look_at_flow_again(&self, flow: &Flow, id: BindingId, now: Time) {
        if self.is_gone(flow)
            && let Some(mut binding) = self.bindings.get_mut(&id.0)
            && binding.flow == *flow
        {
            binding.closed.get_or_insert(now);
        }
    }

    /// The registrar removed the binding at the word of a REGISTER that came after this one.
    fn has_left_since(&self, registration: &Registration<'_>) -> bool {
        self.left.get(&registration.id.0).is_some_and(|left| left.order > registration.order)
    }

    fn link_aor(&self, registration: &Registration<'_>) {
        let mut ids = self.by_aor.entry(registration.aor).or_default();
        ids.retain(|id| *id != registration.id);
        if ids.len() >= limits::BINDINGS_PER_AOR {
            ids.remove(0);
        }
        ids.push(registration.id);
    }

    fn link_flow(&self, flow: &Flow, id: BindingId) {
        let mut connected = match self.flows.entry(flow_key(flow)) {
            Entry::Occupied(entry) => entry.into_ref(),
            // A connection that closed meanwhile must not come back to life here.
            Entry::Vacant(_) if flow.connection.is_some() => return,
            Entry::Vacant(entry) => entry.insert(Connected::new(*flow)),
        };
        let bindings = &mut connected.bindings;
        if !bindings.contains(&id) && bindings.len() < limits::BINDINGS_PER_FLOW {
            bindings.push(id);
        }
    }

    /// The registrar removed a binding at the word of the REGISTER with this order. Until then the answer to an older
    /// one may still come, which changes nothing; then call [`Self::forget_left`].
    pub fn unregistered(&self, id: BindingId, order: u64, until: Time) {
        if self.left.len() < limits::BINDINGS_LEFT {
            let mut left = self.left.entry(id.0).or_insert(Left { order, until });
            left.order = left.order.max(order);
            left.until = left.until.max(until);
        }
        self.remove_where(id, |binding| binding.order <= order);
    }

    /// No answer to a REGISTER from before the end of this binding can come any more.
    pub fn forget_left(&self, id: BindingId, now: Time) {
        self.left.remove_if(&id.0, |_, left| left.until <= now);
    }

    /// Take a binding out, if it is that one.
    fn remove_where(&self, id: BindingId, is: impl Fn(&Binding) -> bool) {
        let Some((_, binding)) = self.bindings.remove_if(&id.0, |_, binding| is(binding)) else { return };
        if let Some(mut ids) = self.by_aor.get_mut(&binding.aor) {
            ids.retain(|other| *other != id);
        }
        self.by_aor.remove_if(&binding.aor, |_, ids| ids.is_empty());
        self.unlink_flow(&binding.flow, id);
    }

    fn unlink_flow(&self, flow: &Flow, id: BindingId) {
        let key = flow_key(flow);
        if let Some(mut connected) = self.flows.get_mut(&key) {
            connected.bindings.retain(|other| *other != id);
        }
        if flow.connection.is_none() {
            self.flows.remove_if(&key, |_, connected| connected.bindings.is_empty());
        }
    }

    /// A request that begins something was sent to a flow. Nothing is kept where nobody is registered over it as a UDP
    /// address.
    pub fn asked(&self, flow: &Flow, entry: EntryId) {
        if flow.connection.is_some() {
            return;
        }
        if let Some(mut connected) = self.flows.get_mut(&flow_key(flow)) {
            if connected.asked.len() >= limits::IN_FLIGHT_PER_FLOW {
                connected.asked.remove(0);
            }
            connected.asked.push(entry);
        }
    }

    /// Nobody is at a flow: the requests that may still be waiting for an answer from there.
    pub fn take_asked(&self, flow: &Flow) -> Vec<EntryId> {
        self.flows
            .get_mut(&flow_key(flow))
            .map(|mut flow| std::mem::take(&mut flow.asked))
            .unwrap_or_default()
    }

    /// Forget a binding whose time is over; otherwise say when to ask again.
    pub fn expire(&self, id: BindingId, generation: u32, now: Time) -> Option<Time> {
        let expires = self.bindings.get(&id.0).filter(|binding| binding.generation == generation)?.expires;
        if expires > now {
            return Some(expires);
        }
        self.remove_where(id, |binding| binding.generation == generation && binding.expires <= now);
        None
    }

    /// Where a binding is now.
    pub fn lookup(&self, id: BindingId) -> Lookup {
        let Some(binding) = self.bindings.get(&id.0) else { return Lookup::Unknown };
        match binding.closed {
            None => Lookup::Live { flow: binding.flow, since: binding.refreshed },
            Some(closed) => Lookup::Dead(closed),
        }
    }

    /// The binding that was registered over a flow: that of `aor` if it has one, else its newest.
    pub fn binding_of(&self, flow: &Flow, aor: Digest) -> Option<BindingId> {
        // A copy on the stack: no guard is held while another table is asked.
        let mut copy = [BindingId(0); limits::BINDINGS_PER_FLOW];
        let known = {
            let connected = self.flows.get(&flow_key(flow))?;
            let known = connected.bindings.len().min(copy.len());
            copy.get_mut(..known)?.copy_from_slice(connected.bindings.get(..known)?);
            known
        };
        let ids = copy.get(..known)?;
        let here = |id: &&BindingId| self.bindings.get(&id.0).is_some_and(|binding| binding.flow == *flow);
        let own = |id: &&BindingId| self.bindings.get(&id.0).is_some_and(|binding| binding.aor == aor);
        let mut newest_first = ids.iter().rev().filter(here);
        newest_first.clone().find(own).or_else(|| newest_first.next()).copied()
    }

    /// Whether `aor` is registered over this very flow.
    pub fn is_registered_over(&self, flow: &Flow, aor: Digest) -> bool {
        self.binding_of(flow, aor)
            .is_some_and(|id| self.bindings.get(&id.0).is_some_and(|one| one.aor == aor))
    }

    /// The address of record that was last registered over a flow, as a URI.
    pub fn name_over(&self, flow: &Flow) -> Option<Box<[u8]>> {
        // No address of record hashes to nothing: the newest is given.
        let newest = self.binding_of(flow, 0)?;
        self.bindings.get(&newest.0).map(|binding| binding.name.clone())
    }

    /// The live bindings of an address of record, the preferred first, and of those alike the newest.
    pub fn of_aor(&self, aor: Digest, now: Time) -> Vec<Reached> {
        let Some(ids) = self.by_aor.get(&aor).map(|ids| ids.clone()) else { return Vec::new() };
        let mut reached: Vec<Reached> = ids
            .into_iter()
            .filter_map(|id| {
                let binding = self.bindings.get(&id.0)?;
                let live = binding.closed.is_none() && binding.expires > now;
                live.then(|| Reached {
                    id,
                    flow: binding.flow,
                    contact: binding.contact.clone(),
                    q: binding.q,
                    refreshed: binding.refreshed,
                })
            })
            .collect();
        reached.sort_by_key(|one| std::cmp::Reverse((one.q, one.refreshed)));
        reached
    }

    /// Whether an address of record has a live binding here.
    pub fn is_registered(&self, aor: Digest, now: Time) -> bool {
        !self.of_aor(aor, now).is_empty()
    }

    /// The member that granted the newest binding of an address of record, open or closed: its user may come back to
    /// it. `None`: there is none that has not expired.
    pub fn granted_by(&self, aor: Digest, now: Time) -> Option<Option<SocketAddr>> {
        let ids = self.by_aor.get(&aor).map(|ids| ids.clone())?;
        let bindings = ids.into_iter().filter_map(|id| {
            let binding = self.bindings.get(&id.0)?;
            (binding.expires > now).then_some((binding.refreshed, binding.member))
        });
        bindings.max_by_key(|(refreshed, _)| *refreshed).map(|(_, member)| member)
    }

    /// Let a request wait for the binding or dialog `key` to come back. False where too many wait.
    pub fn wait(&self, key: Digest, entry: EntryId) -> bool {
        if self.waiting.len() >= limits::WAITING {
            return false;
        }
        let mut waiting = self.waiting.entry(key).or_default();
        if waiting.len() >= limits::WAITING_PER_PEER {
            return false;
        }
        waiting.push(entry);
        true
    }

    /// `key` came back, or nobody waits for it any more: who was waiting?
    pub fn wake(&self, key: Digest) -> Vec<EntryId> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        self.waiting.remove(&key).map(|(_, entries)| entries).unwrap_or_default()
    }

    /// One request waits no longer.
    pub fn stop_waiting(&self, key: Digest, entry: EntryId) {
        if let Some(mut waiting) = self.waiting.get_mut(&key) {
            waiting.retain(|other| *other != entry);
        }
        self.waiting.remove_if(&key, |_, entries| entries.is_empty());
    }

    /// How many bindings and dialogs are waited for.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use super::*;
    use crate::flow::ListenerId;
    use crate::seal::{ListenerTag, PeerAddress};

    const AOR: Digest = 77;

    fn connection(number: u64) -> Flow {
        let remote = "192.0.2.1:4000".parse().unwrap();
        let connection = NonZeroU64::new(number).map(ConnectionId);
        Flow { listener: ListenerId(0), port: 0, remote, connection }
    }

    fn register(directory: &Directory, id: u128, flow: Flow, now: Time) {
        let remembered = register_as(directory, directory.next_order(), id, flow, now);
        assert!(!matches!(remembered, Remembered::Full | Remembered::Late));
    }

    /// The answer to the REGISTER that came as this one.
    fn register_as(directory: &Directory, order: u64, id: u128, flow: Flow, now: Time) -> Remembered {
        let path = Peer {
            listener: ListenerTag(0),
            port: 0,
            address: PeerAddress::Binding,
            binding: Some(BindingId(id)),
        };
        let expires = now + Duration::from_secs(60);
        let registration = Registration {
            id: BindingId(id),
            aor: AOR,
            name: b"sip:x@example.test",
            flow,
            path,
            contact: b"sip:x@y.invalid",
            member: (id > 100).then(|| ([10, 0, 2, 10], 5080).into()),
            q: if id > 100 { 500 } else { 1000 },
            expires,
            order,
        };
        directory.registered(&registration, now)
    }

    #[test]
    fn a_late_answer_to_an_older_register_changes_nothing() {
        let directory = Directory::default();
        let (first, second) = (connection(1), connection(2));
        let orders = [(); 4].map(|()| directory.next_order());
        directory.connected(first);
        directory.connected(second);
        register_as(&directory, orders[1], 5, second, Time::ZERO);
        assert_eq!(register_as(&directory, orders[0], 5, first, Time::ZERO), Remembered::Late);
        directory.unregistered(BindingId(5), orders[0], Time::from_millis(32_000));
        assert!(matches!(directory.lookup(BindingId(5)), Lookup::Live { flow, .. } if flow == second));
        directory.unregistered(BindingId(5), orders[3], Time::from_millis(32_000));
        assert_eq!(register_as(&directory, orders[2], 5, first, Time::ZERO), Remembered::Late);
        assert_eq!(directory.lookup(BindingId(5)), Lookup::Unknown);
        assert!(directory.by_aor.is_empty());
        directory.forget_left(BindingId(5), Time::from_millis(32_000));
        assert!(directory.left.is_empty());
    }

    #[test]
    fn a_flow_that_is_open_is_not_given_up_for_one_that_closed_meanwhile() {
        let directory = Directory::default();
        let (first, second) = (connection(1), connection(2));
        directory.connected(first);
        register(&directory, 5, first, Time::ZERO);
        register(&directory, 5, second, Time::from_millis(3));
        assert!(matches!(directory.lookup(BindingId(5)), Lookup::Live { flow, .. } if flow == first));
        directory.closed(first.connection.unwrap(), Time::from_millis(4));
        assert_eq!(directory.lookup(BindingId(5)), Lookup::Dead(Time::from_millis(4)));
    }

    #[test]
    fn a_closed_connection_leaves_its_binding_dead_until_it_returns() {
        let directory = Directory::default();
        let (first, second) = (connection(1), connection(2));
        directory.connected(first);
        register(&directory, 5, first, Time::ZERO);
        assert_eq!(directory.lookup(BindingId(5)), Lookup::Live { flow: first, since: Time::ZERO });
        directory.closed(first.connection.unwrap(), Time::from_millis(9));
        assert_eq!(directory.lookup(BindingId(5)), Lookup::Dead(Time::from_millis(9)));
        assert!(!directory.is_registered(AOR, Time::from_millis(9)));
        directory.connected(second);
        register(&directory, 5, second, Time::from_millis(10));
        assert!(matches!(directory.lookup(BindingId(5)), Lookup::Live { flow, .. } if flow == second));
    }

    #[test]
    fn whoever_granted_the_newest_binding_is_known_until_it_expires() {
        let directory = Directory::default();
        let (first, second) = (connection(1), connection(2));
        directory.connected(first);
        directory.connected(second);
        assert_eq!(directory.granted_by(AOR, Time::ZERO), None);
        register(&directory, 5, first, Time::ZERO);
        assert_eq!(directory.granted_by(AOR, Time::ZERO), Some(None));
        register(&directory, 105, second, Time::from_millis(1));
        directory.closed(second.connection.unwrap(), Time::from_millis(2));
        assert_eq!(
            directory.granted_by(AOR, Time::from_millis(2)),
            Some(Some(([10, 0, 2, 10], 5080).into()))
        );
        assert_eq!(directory.granted_by(AOR, Time::from_millis(61_000)), None);
    }

    #[test]
    fn the_old_connection_closing_late_does_not_kill_the_new_one() {
        let directory = Directory::default();
        let (first, second) = (connection(1), connection(2));
        directory.connected(first);
        register(&directory, 5, first, Time::ZERO);
        directory.connected(second);
        register(&directory, 5, second, Time::ZERO);
        directory.closed(first.connection.unwrap(), Time::ZERO);
        assert!(matches!(directory.lookup(BindingId(5)), Lookup::Live { flow, .. } if flow == second));
    }

    #[test]
    fn bindings_of_one_aor_are_bounded_and_newest_first() {
        let directory = Directory::default();
        for number in 1..=40u64 {
            let flow = connection(number);
            directory.connected(flow);
            register(&directory, u128::from(number), flow, Time::from_millis(number));
        }
        let reached = directory.of_aor(AOR, Time::from_millis(50));
        assert_eq!(reached.len(), limits::BINDINGS_PER_AOR);
        assert_eq!(reached[0].id, BindingId(40));
    }

    #[test]
    fn a_port_that_changes_leaves_nothing_behind() {
        let directory = Directory::default();
        for port in 1..=50 {
            let flow = Flow { connection: None, remote: ([192, 0, 2, 1], port).into(), ..connection(1) };
            register(&directory, 5, flow, Time::ZERO);
        }
        assert_eq!(directory.flows.len(), 1);
    }

    #[test]
    fn a_connection_that_closed_meanwhile_is_dead() {
        let directory = Directory::default();
        let flow = connection(1);
        directory.connected(flow);
        directory.closed(flow.connection.unwrap(), Time::ZERO);
        register(&directory, 5, flow, Time::from_millis(3));
        assert_eq!(directory.lookup(BindingId(5)), Lookup::Dead(Time::from_millis(3)));
        assert_eq!(directory.connections(), 0);
    }

    #[test]
    fn tables_empty_out() {
        let directory = Directory::default();
        let udp = Flow { connection: None, ..connection(1) };
        register(&directory, 5, udp, Time::ZERO);
        assert_eq!(directory.binding_of(&udp, AOR), Some(BindingId(5)));
        assert!(directory.expire(BindingId(5), 0, Time::from_millis(1)).is_some());
        assert_eq!(
            directory.expire(BindingId(5), 1, Time::from_millis(60_000)),
            None,
            "another life's timer"
        );
        assert_eq!(directory.expire(BindingId(5), 0, Time::from_millis(60_000)), None);
        assert!(directory.bindings.is_empty() && directory.by_aor.is_empty() && directory.flows.is_empty());
    }

    #[test]
    fn waiting_is_bounded_and_ends() {
        let directory = Directory::default();
        for entry in 0..limits::WAITING_PER_PEER as u128 {
            assert!(directory.wait(1, EntryId(entry)));
        }
        assert!(!directory.wait(1, EntryId(99)));
        directory.stop_waiting(1, EntryId(0));
        assert_eq!(directory.wake(1).len(), limits::WAITING_PER_PEER - 1);
        assert!(directory.waiting.is_empty());
    }
}
