//! Members that DNS lists: each pool's source is asked again when its answer has grown old, and what it says is
//! given to the core as any other change of the configuration is.
//!
//! A good answer is kept until there is another one: a DNS server that is down, or has suddenly nothing to say, takes
//! no member away. Members that are no longer listed drain, as those do that are taken out of the file.

mod lookup;
mod members;
mod table;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

pub(super) use self::lookup::Failure;
pub(super) use self::table::{Found, News};
use super::reload::Reloader;
use crate::config::{Discovery, Settings};

/// An answer is not asked for again before that, however short its time to live.
const FLOOR: Duration = Duration::from_secs(2);
/// No answer is believed for longer.
const CEILING: Duration = Duration::from_secs(300);
/// The longest pause after a failure; it begins with [`FLOOR`] and doubles.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Pauses are up to this part shorter, by lot: nodes that were started together do not ask together.
const JITTER_PERCENT: u32 = 10;

/// What one task asks.
#[derive(Clone, PartialEq, Eq)]
struct Asked {
    discovery: Discovery,
    resolver: Option<std::net::SocketAddr>,
    /// What no member is: the addresses of this node itself.
    own: Vec<std::net::SocketAddr>,
}

/// Stops with the value.
struct Task {
    asked: Asked,
    handle: JoinHandle<()>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// Keeps one task for each source of the configuration that runs.
pub(super) async fn supervise(reloader: Arc<Reloader>) {
    let mut tasks: Vec<Task> = Vec::new();
    loop {
        let wanted = wanted(&reloader.running());
        tasks.retain(|task| wanted.contains(&task.asked));
        for asked in wanted {
            if tasks.iter().all(|task| task.asked != asked) {
                let handle = tokio::spawn(ask_on(asked.clone(), Arc::clone(&reloader)));
                tasks.push(Task { asked, handle });
            }
        }
        reloader.reloaded().await;
    }
}

fn wanted(settings: &Settings) -> Vec<Asked> {
    let own: Vec<_> = settings
        .listeners
        .iter()
        .flat_map(|listener| std::iter::once(listener.core.bind).chain(listener.core.worker_ports.clone()))
        .collect();
    let asked = |discovery: &Discovery| Asked {
        discovery: discovery.clone(),
        resolver: settings.resolver,
        own: own.clone(),
    };
    settings.discoveries.iter().map(asked).collect()
}

async fn ask_on(asked: Asked, reloader: Arc<Reloader>) {
    let (mut pause, mut targets) = (FLOOR, lookup::Targets::default());
    loop {
        let answer = lookup::ask(&asked.discovery, asked.resolver, &mut targets).await;
        let answer = answer.and_then(|(listed, ttl)| {
            let members = members::members(&asked.discovery, listed, &asked.own);
            if members.is_empty() { Err(Failure::Empty) } else { Ok((members, ttl)) }
        });
        let wait = match &answer {
            Ok((_, ttl)) => {
                pause = FLOOR;
                (*ttl).clamp(FLOOR, CEILING)
            }
            Err(_) => {
                let longer = (pause * 2).min(LONGEST_PAUSE);
                std::mem::replace(&mut pause, longer)
            }
        };
        let (discovery, reloader) = (asked.discovery.clone(), Arc::clone(&reloader));
        let answer = answer.map(|(members, _)| members);
        // What it says is in the log; it does not panic, and the program would end if it did.
        let _ = spawn_blocking(move || reloader.discovered(&discovery, answer)).await;
        sleep(shortened(wait)).await;
    }
}

/// By lot; without chance from the system every node waits the full time, which is no harm.
fn shortened(pause: Duration) -> Duration {
    let lot = getrandom::u32().unwrap_or(0) % (JITTER_PERCENT + 1);
    pause * (100 - lot) / 100
}
