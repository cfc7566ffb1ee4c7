//! Another configuration while calls are up: what may change does so between two inputs, the rest needs a
//! restart and is refused as a whole.
//!
//! Members keep their health and counts by pool and URI, requests in progress the pool they began with. What
//! is not of the configuration (bindings, dialogs, transactions, counters) is not touched at all.

use std::fmt;
use std::sync::Arc;

use crate::config::{Config, Listener, Pool};
use crate::proxy::core::Core;
use crate::proxy::settings::Settings;
use crate::time::Time;

/// One thing that is different under the new configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// What peers of a listener are told or who they may be.
    Listener(Box<str>),
    /// A new pool.
    PoolAdded(Box<str>),
    /// A pool that is gone; its calls go on.
    PoolRemoved(Box<str>),
    /// How a pool is used.
    Pool(Box<str>),
    /// A new member.
    MemberAdded {
        /// Its pool.
        pool: Box<str>,
        /// Its URI.
        uri: Box<str>,
    },
    /// A member that gets nothing new; its calls go on.
    MemberRemoved {
        /// Its pool.
        pool: Box<str>,
        /// Its URI.
        uri: Box<str>,
    },
    /// The keys that seal tokens.
    Keys,
}

/// Something that only a restart can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeedsRestart {
    /// A listener that is not there.
    ListenerAdded(Box<str>),
    /// A listener that would be gone, or stand elsewhere in the order.
    ListenerRemoved(Box<str>),
    /// A listener whose sockets would be others.
    Listener {
        /// Which.
        name: Box<str>,
        /// The key of the file.
        key: &'static str,
        /// What it is.
        is: String,
        /// What it would be.
        would_be: String,
    },
    /// Another number of workers.
    Workers {
        /// As many as there are.
        is: u8,
        /// As many as there would be.
        would_be: u8,
    },
    /// The key that registered phones hold in their Path.
    PathKey,
    /// The newest key would be gone, and with it all calls that are up.
    KeyWithdrawn,
}

/// Why a configuration was not taken over; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub Vec<NeedsRestart>);

impl Core {
    /// Take over another checked configuration. The next input of each worker is handled under it; give the
    /// first worker an [`Input::Deadline`](crate::io::Input::Deadline), so that it asks new members at once.
    ///
    /// # Errors
    /// What cannot change while calls are up; then nothing does.
    pub fn reconfigure(&self, config: Arc<Config>, now: Time) -> Result<Vec<Change>, Refused> {
        let _one_at_a_time = self.changing.lock();
        let before = self.settings.load_full();
        let refused = needs_restart(&before.config, &config);
        if !refused.is_empty() {
            return Err(Refused(refused));
        }
        let changes = changes(&before.config, &config);
        self.settings.store(Arc::new(Settings::new(config, Some(&before), now)));
        Ok(changes)
    }
}

fn needs_restart(before: &Config, after: &Config) -> Vec<NeedsRestart> {
    let mut needs = Vec::new();
    for (index, old) in before.listeners.iter().enumerate() {
        match after.listeners.get(index).filter(|new| new.name == old.name) {
            Some(new) => needs.extend(socket_changes(old, new)),
            None => needs.push(NeedsRestart::ListenerRemoved(old.name.clone())),
        }
    }
    let is_new = |one: &&Listener| before.listeners.iter().all(|old| old.name != one.name);
    let added = after.listeners.iter().filter(is_new);
    needs.extend(added.map(|one| NeedsRestart::ListenerAdded(one.name.clone())));
    if before.workers != after.workers {
        needs.push(NeedsRestart::Workers { is: before.workers, would_be: after.workers });
    }
    if before.path_key != after.path_key {
        needs.push(NeedsRestart::PathKey);
    }
    if before.keys.first().is_some_and(|newest| !after.keys.contains(newest)) {
        needs.push(NeedsRestart::KeyWithdrawn);
    }
    needs
}

/// What the sockets of a listener hang on.
fn socket_changes(old: &Listener, new: &Listener) -> Vec<NeedsRestart> {
    let ports = |one: &Listener| {
        one.worker_ports.iter().map(|port| port.port().to_string()).collect::<Vec<_>>().join(" ")
    };
    let keys = [
        ("transport", old.transport.to_string(), new.transport.to_string()),
        ("bind", old.bind.to_string(), new.bind.to_string()),
        ("zone", old.zone.to_string(), new.zone.to_string()),
        ("worker_ports", ports(old), ports(new)),
    ];
    let other = keys.into_iter().filter(|(_, is, would_be)| is != would_be);
    let needs = |(key, is, would_be)| NeedsRestart::Listener { name: old.name.clone(), key, is, would_be };
    other.map(needs).collect()
}

fn changes(before: &Config, after: &Config) -> Vec<Change> {
    let listeners = before.listeners.iter().zip(&after.listeners).filter(|(old, new)| old != new);
    let mut changes: Vec<Change> = listeners.map(|(_, new)| Change::Listener(new.name.clone())).collect();
    for new in &after.pools {
        match before.pools.iter().find(|old| old.name == new.name) {
            Some(old) => pool_changes(old, new, &mut changes),
            None => changes.push(Change::PoolAdded(new.name.clone())),
        }
    }
    let is_gone = |old: &&Pool| after.pools.iter().all(|new| new.name != old.name);
    changes.extend(before.pools.iter().filter(is_gone).map(|old| Change::PoolRemoved(old.name.clone())));
    if before.keys != after.keys {
        changes.push(Change::Keys);
    }
    changes
}

fn pool_changes(old: &Pool, new: &Pool, changes: &mut Vec<Change>) {
    let lacks = |pool: &Pool, uri: &str| pool.members.iter().all(|member| &*member.uri != uri);
    let before = changes.len();
    for member in new.members.iter().filter(|member| lacks(old, &member.uri)) {
        changes.push(Change::MemberAdded { pool: new.name.clone(), uri: member.uri.clone() });
    }
    for member in old.members.iter().filter(|member| lacks(new, &member.uri)) {
        changes.push(Change::MemberRemoved { pool: new.name.clone(), uri: member.uri.clone() });
    }
    if old != new && changes.len() == before {
        changes.push(Change::Pool(new.name.clone()));
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(name) => write!(f, "listener {name} changed"),
            Self::PoolAdded(name) => write!(f, "pool {name} added"),
            Self::PoolRemoved(name) => write!(f, "pool {name} removed"),
            Self::Pool(name) => write!(f, "pool {name} changed"),
            Self::MemberAdded { pool, uri } => write!(f, "pool {pool}: member {uri} added"),
            Self::MemberRemoved { pool, uri } => write!(f, "pool {pool}: member {uri} removed"),
            Self::Keys => f.write_str("node.keys changed"),
        }
    }
}

impl fmt::Display for NeedsRestart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ListenerAdded(name) => write!(f, "listener {name} added"),
            Self::ListenerRemoved(name) => write!(f, "listener {name} removed, or moved in the file"),
            Self::Listener { name, key, is, would_be } => {
                write!(f, "listener {name} {key} changed: is {is}, would be {would_be}")
            }
            Self::Workers { is, would_be } => write!(f, "node.workers changed: is {is}, would be {would_be}"),
            Self::PathKey => f.write_str("node.path_key changed: phones would register as others"),
            Self::KeyWithdrawn => {
                f.write_str("node.keys lost its newest key: calls that are up need it behind the new one")
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needs: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "restart needed: {}", needs.join("; "))
    }
}

impl std::error::Error for Refused {}
