//! What a world of chaos has to bear.

use std::time::Duration;

use crate::sim::{Chance, Link};

/// What happens to a world, beside its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weather {
    /// Nothing is lost: every call must come to the end that its number has.
    Calm,
    /// A little loss, 100±50 ms, doubled datagrams.
    Drizzle,
    /// Up to 30 % loss, up to 200 ms of jitter.
    Rain,
    /// 30 % loss, 200 ms of jitter.
    Storm,
    /// Loss, and a member dies: it comes back, or its calls are ended for it.
    DeadMember,
    /// Loss, and browsers lose their connections.
    Disconnected,
    /// Loss, and large datagrams never arrive.
    SmallMtu,
    /// Loss, and datagrams arrive damaged.
    Damaged,
    /// Loss, and sbc is killed and starts again.
    Killed,
    /// Loss, and one of two nodes is killed: its clients come to the other one.
    NodeKilled,
}

impl Weather {
    /// In the order that seeds take them: every third world has the worst loss there is, or may have.
    pub const ALL: [Self; 12] = [
        Self::Calm,
        Self::Drizzle,
        Self::Rain,
        Self::Storm,
        Self::DeadMember,
        Self::Disconnected,
        Self::SmallMtu,
        Self::Damaged,
        Self::Killed,
        Self::NodeKilled,
        Self::Storm,
        Self::Rain,
    ];

    /// The weather of a seed.
    pub fn of(seed: u64) -> Self {
        Self::ALL[(seed % Self::ALL.len() as u64) as usize]
    }

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Drizzle => "5 % loss, 100±50 ms",
            Self::Rain => "to 30 % loss, 200 ms jitter",
            Self::Storm => "30 % loss, 200 ms jitter",
            Self::DeadMember => "a member dies",
            Self::Disconnected => "browsers cut off",
            Self::SmallMtu => "small MTU",
            Self::Damaged => "damaged datagrams",
            Self::Killed => "sbc killed",
            Self::NodeKilled => "one of two nodes killed",
        }
    }

    /// Whether it takes somebody's memory or way away, so that the other side cannot be told of an end.
    pub(super) const fn kills(self) -> bool {
        matches!(self, Self::DeadMember | Self::Damaged | Self::Killed | Self::NodeKilled)
    }

    /// What endpoints complain of that is this weather's doing, and not that of whoever stands between them.
    pub(super) fn excuses(self, complaint: &str) -> bool {
        match self {
            Self::Calm => false,
            // What was damaged may look like anything, but never like something of the inside.
            Self::Damaged => !complaint.contains("\" in "),
            // An INVITE that is repeated by the other node, with its own address in the Via, is another one to its callee;
            // and of several that ring, nobody tells those that did not answer before the kill. Callers end such calls.
            Self::Killed | Self::NodeKilled if complaint.starts_with("a second 2xx") => true,
            // Every copy of the ACK may be lost in 64*T1: then the callee says so, and hangs up.
            _ => complaint == "no ACK for a 200",
        }
    }

    /// The links outside.
    pub(super) fn outside(self, chance: &mut Chance) -> Link {
        let loss = chance.below(31);
        let jitter = chance.below(201);
        match self {
            Self::Calm => Link::GOOD,
            Self::Drizzle => Link { delay: Duration::from_millis(50), ..bad(5, 100, 5) },
            Self::Rain | Self::DeadMember | Self::Disconnected | Self::Killed | Self::NodeKilled => {
                bad(loss, jitter, 5)
            }
            Self::Storm => bad(30, 200, 10),
            Self::SmallMtu => Link { mtu: 900 + chance.below(500) as usize, ..bad(loss, jitter, 5) },
            Self::Damaged => Link { corrupt_percent: 1 + chance.below(5), ..bad(loss, jitter, 5) },
        }
    }

    /// The links to the pool, which is near: as bad in a storm, else half of it.
    pub(super) fn inside(self, outside: Link) -> Link {
        match self {
            Self::Storm | Self::Calm => outside,
            _ => Link {
                loss_percent: outside.loss_percent / 2,
                jitter: outside.jitter / 4,
                delay: Duration::from_millis(2),
                mtu: usize::MAX,
                corrupt_percent: 0,
                ..outside
            },
        }
    }
}

/// Loss as it comes: of a datagram every copy may be lost.
fn bad(loss_percent: u64, jitter_millis: u64, duplicate_percent: u64) -> Link {
    Link {
        loss_percent,
        jitter: Duration::from_millis(jitter_millis),
        duplicate_percent,
        fair: false,
        stalls: true,
        ..Link::GOOD
    }
}
