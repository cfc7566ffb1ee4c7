//! When all is over: who still has a call, and what is left over.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::World;
use super::world::Node;
use crate::agent::{Agent, State};

impl World {
    /// Nobody has a call any more.
    pub fn is_over(&mut self) -> bool {
        self.nodes.values().all(|node| match node {
            Node::Member(member) => member.leg_count() == 0,
            Node::Agent(agent) => agent.calls().all(|(_, call)| matches!(call.state, State::Ended { .. })),
            Node::Carrier(carrier) => {
                carrier.agent.calls().all(|(_, call)| matches!(call.state, State::Ended { .. }))
            }
        })
    }

    /// Calls that are not over, in words.
    pub fn unended(&mut self) -> Vec<String> {
        let now = self.now;
        let mut found = Vec::new();
        for (address, node) in &self.nodes {
            match node {
                Node::Member(member) => {
                    let legs = member.status(now).legs.into_iter();
                    found.extend(legs.map(|leg| format!("{address} still has {leg:?}")));
                }
                Node::Agent(agent) => found.extend(open_calls(address, agent)),
                Node::Carrier(carrier) => found.extend(open_calls(address, &carrier.agent)),
            }
        }
        found
    }

    /// Calls that were answered more than once, in words: by one member, or by several without a BYE of ours for all
    /// but one of them. A member that died has forgotten its own.
    pub fn doubles(&mut self) -> Vec<String> {
        let now = self.now;
        // All answers, and the most that one member gave.
        let mut answered: BTreeMap<String, (u32, u32)> = BTreeMap::new();
        for node in self.nodes.values() {
            let Node::Member(member) = node else { continue };
            for (call_id, invites) in member.status(now).counters.invites {
                let (all, most) = answered.entry(call_id).or_default();
                *all += invites.answered;
                *most = invites.answered.max(*most);
            }
        }
        let is_ended =
            |call_id: &str| self.judge.as_ref().is_some_and(|judge| judge.is_ended_but_for_one(call_id));
        let is_double =
            |(call_id, (all, most)): &(String, (u32, u32))| *most > 1 || (*all > 1 && !is_ended(call_id));
        let doubles = answered.into_iter().filter(is_double);
        doubles.map(|(call_id, (times, _))| format!("{call_id} was answered {times} times")).collect()
    }

    /// No agent refreshes its registration any more.
    pub fn stop_registering(&mut self) {
        for node in self.nodes.values_mut() {
            if let Node::Agent(agent) = node {
                agent.keep_registered(false);
            }
        }
    }
}

/// What an agent has left, in words.
fn open_calls<'a>(address: &'a SocketAddr, agent: &'a Agent) -> impl Iterator<Item = String> + use<'a> {
    let open = agent.calls().filter(|(_, call)| !matches!(call.state, State::Ended { .. }));
    open.map(move |(_, call)| {
        let (id, state, inbound) = (&call.call_id, call.state, call.inbound);
        format!("{address} still has {id} {state:?}, inbound: {inbound}")
    })
}
