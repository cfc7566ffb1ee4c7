//! Another configuration for a running node: read, checked and compared before anything is touched, then taken
//! over at once. Whatever is wrong with it, everything stays as it is.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use sbc_core::Refused;
use sbc_core::config::{Config, Member};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::core_config;
use super::discovery::{Failure, Found, News};
use super::listeners::{self, SelfSigned};
use super::worker::Shared;
use crate::admin::{DiscoverReport, ListenerReport, PoolReport, Reloaded};
use crate::config::{self, Discovery, ListenerSettings, Machine, Problem, Problems, Settings};
use crate::state_dir::StateDir;

/// How often files are looked at where `node.watch` asks for it.
const WATCH: Duration = Duration::from_secs(2);

/// What runs, and what ran before it.
struct Versions {
    running: Arc<Settings>,
    previous: Option<Arc<Settings>>,
}

/// When files were last written, and how long they are.
type Seen = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

/// Changes the configuration of a running node.
pub(super) struct Reloader {
    /// `None`: the quickstart, which has no file.
    file: Option<PathBuf>,
    shared: Arc<Shared>,
    state: Arc<StateDir>,
    open_files: usize,
    self_signed: SelfSigned,
    versions: Mutex<Versions>,
    /// The files as they were when they were last read, or passed over. Held while another version is read and taken
    /// over: of two at once the later one is the one that stays.
    read: Mutex<Seen>,
    /// What DNS lists beside the file.
    found: Found,
    /// Told when another configuration runs.
    changed: Notify,
}

impl Reloader {
    pub(super) fn new(
        file: Option<PathBuf>,
        running: Arc<Settings>,
        shared: Arc<Shared>,
        state: Arc<StateDir>,
        open_files: usize,
        self_signed: SelfSigned,
    ) -> Self {
        let read = Mutex::new(look_at(&running.files));
        let versions = Mutex::new(Versions { running, previous: None });
        let (found, changed) = (Found::default(), Notify::new());
        Self { file, shared, state, open_files, self_signed, versions, read, found, changed }
    }

    /// Reads the file again. Blocks while it does: not for a worker's thread.
    ///
    /// # Errors
    /// All that is wrong with it, one line each; then nothing has changed.
    pub(super) fn reload(&self) -> Result<Reloaded, Vec<String>> {
        let file = self.file.as_deref();
        let file = file.ok_or_else(|| vec!["sbc runs without a configuration file".to_owned()])?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        // Before anything is read: whatever changes while it is read is another change.
        *read = look_at(&self.running().files);
        let new = config::load(file, &Machine::this()).map_err(|problems| problems.lines());
        let done =
            new.and_then(|new| self.take_over(Arc::new(new))).inspect_err(|problems| told(problems))?;
        // It may name other files.
        let before = std::mem::take(&mut *read);
        *read = look_at(&self.running().files);
        for (file, state) in &mut *read {
            *state = before.iter().find(|(known, _)| known == file).map_or(*state, |(_, state)| *state);
        }
        Ok(done)
    }

    /// Goes back to what ran before the last change; a second time comes forward again.
    ///
    /// # Errors
    /// Why there is no way back.
    pub(super) fn previous(&self) -> Result<Reloaded, Vec<String>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let previous = self.versions().previous.clone();
        let previous = previous.ok_or_else(|| vec!["nothing was reloaded since the start".to_owned()]);
        let done = previous.and_then(|previous| self.take_over(previous));
        let done = done.inspect_err(|problems| told(problems))?;
        // What stands in the files is what somebody has just gone back from.
        *read = look_at(&self.running().files);
        Ok(done)
    }

    /// How the files are that this configuration was read from, and whether that is news.
    fn look(&self) -> (Seen, bool) {
        let now = look_at(&self.running().files);
        let is_news = match self.read.try_lock() {
            Ok(read) => *read != now,
            Err(TryLockError::Poisoned(read)) => *read.into_inner() != now,
            // Somebody is reading it already.
            Err(TryLockError::WouldBlock) => false,
        };
        (now, is_news)
    }

    /// The listeners as they are now.
    pub(super) fn listeners(&self) -> Vec<ListenerReport> {
        self.versions().running.listeners.iter().map(report).collect()
    }

    fn versions(&self) -> std::sync::MutexGuard<'_, Versions> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until another configuration runs. One caller at a time.
    pub(super) async fn reloaded(&self) {
        self.changed.notified().await;
    }

    /// What the core is told: the file, and the members that DNS lists beside it.
    fn config(&self, settings: &Settings) -> anyhow::Result<Config> {
        let mut config = core_config(settings, &self.state)?;
        self.found.add_to(&mut config, &settings.discoveries, &settings.discovered);
        Ok(config)
    }

    /// DNS was asked. Blocks while the core takes over what is new.
    pub(super) fn discovered(&self, asked: &Discovery, answer: Result<Vec<Member>, Failure>) {
        let versions = self.versions();
        let running = &versions.running;
        if !running.discoveries.contains(asked) {
            return;
        }
        self.shared.counters.discovered(answer.as_ref().map_or_else(Failure::label, |_| "answered"));
        let (pool, source) = (&*asked.pool, &*asked.source.text);
        let why = answer.as_ref().err().map(ToString::to_string).unwrap_or_default();
        match self.found.note(asked, answer) {
            News::Nothing => {}
            News::Returns => tracing::info!(pool, source, "DNS lists the members again"),
            News::Fails => {
                let kept = self.found.state(asked).members.len();
                tracing::warn!(
                    pool,
                    source,
                    why,
                    kept,
                    "DNS does not list the members; what it listed is kept"
                );
            }
            News::Members => match self.take_over_members(running) {
                Ok(changes) => tracing::info!(pool, source, changes, "DNS lists other members"),
                Err(error) => {
                    self.found.refused(asked);
                    tracing::error!(pool, source, error, "what DNS lists was not taken over");
                }
            },
        }
    }

    fn take_over_members(&self, running: &Settings) -> Result<String, String> {
        let config = self.config(running).map_err(|error| format!("{error:#}"))?;
        let changes = self.shared.core.reconfigure(Arc::new(config), self.shared.clock.now());
        self.shared.reconfigured.notify_one();
        let changes = changes.map_err(|refused| refused.to_string())?;
        Ok(changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    /// Say which members DNS lists, and what it was asked for.
    pub(super) fn name_sources(&self, pools: &mut [PoolReport]) {
        let running = self.running();
        for discovery in &running.discoveries {
            let Some(pool) = pools.iter_mut().find(|pool| *pool.name == *discovery.pool) else { continue };
            let state = self.found.state(discovery);
            let file = running.pools.iter().find(|one| one.name == discovery.pool);
            let in_file =
                |uri: &str| file.is_some_and(|pool| pool.members.iter().any(|member| *member.uri == *uri));
            for member in &mut pool.members {
                member.discovered = !in_file(&member.name);
            }
            pool.discover = Some(DiscoverReport {
                source: discovery.source.text.to_string(),
                members: state.members.len(),
                failing: state.failing.map(|failure| failure.to_string()),
            });
        }
    }

    pub(super) fn running(&self) -> Arc<Settings> {
        Arc::clone(&self.versions().running)
    }

    /// Held versions make one change wait for the other. All that can fail comes before anything changes.
    fn take_over(&self, new: Arc<Settings>) -> Result<Reloaded, Vec<String>> {
        let mut versions = self.versions();
        let file = self.name();
        needs_restart(&file, &versions.running, &new).map_err(|problems| problems.lines())?;
        let failed = |error: anyhow::Error| vec![format!("{file}: {error:#}")];
        self.found.inherit(&versions.running.discoveries, &new.discoveries);
        let config = Arc::new(self.config(&new).map_err(failed)?);
        let websockets = listeners::websockets(&new, self.open_files, &self.self_signed).map_err(failed)?;
        let streams = listeners::streams(&new, self.open_files, &self.self_signed).map_err(failed)?;
        let shared = &self.shared;
        let refused = |refused: Refused| restarts(&file, refused.0.iter().map(ToString::to_string)).lines();
        let changes = shared.core.reconfigure(config, shared.clock.now()).map_err(refused)?;
        for (id, settings) in websockets {
            if let Some((_, listener)) = shared.listeners.iter().find(|(known, _)| *known == id) {
                listener.replace(settings);
            }
        }
        // Open connections keep what they were opened under.
        for (id, settings) in streams {
            if let Some(running) = shared.streams.iter().find(|running| running.id == id) {
                running.accepting.replace(settings);
            }
        }
        shared.reconfigured.notify_one();
        self.found.keep(&new.discoveries, &versions.running.discoveries);
        self.changed.notify_one();
        let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
        let rules = new.rules.len();
        tracing::info!(file, rules, changes = changes.join("; "), "the configuration was reloaded");
        versions.previous = Some(std::mem::replace(&mut versions.running, new));
        Ok(Reloaded { rules, changes })
    }

    fn name(&self) -> String {
        self.file.as_deref().unwrap_or(Path::new("quickstart")).display().to_string()
    }
}

fn told(problems: &[String]) {
    for problem in problems {
        tracing::error!(problem, "the configuration was not reloaded");
    }
}

fn report(listener: &ListenerSettings) -> ListenerReport {
    let core = &listener.core;
    ListenerReport {
        name: core.name.to_string(),
        transport: core.transport.to_string().to_lowercase(),
        zone: core.zone.to_string(),
        bind: core.bind.to_string(),
        advertise: core.advertise.to_string(),
    }
}

/// What only the program holds on to; the core speaks for itself.
fn needs_restart(file: &str, running: &Settings, new: &Settings) -> Result<(), Problems> {
    let echo = |settings: &Settings| {
        settings.echo.as_ref().map(|echo| format!("{} {:?}", echo.bind.value, echo.rtp_ports))
    };
    let log = |settings: &Settings| format!("{:?} {}", settings.log.format, settings.log.level);
    let state_dir = |settings: &Settings| settings.state_dir.value.display().to_string();
    let keys = [
        ("node.name", Some(running.name.clone()), Some(new.name.clone())),
        ("node.state_dir", Some(state_dir(running)), Some(state_dir(new))),
        ("admin.bind", Some(running.admin.value.to_string()), Some(new.admin.value.to_string())),
        ("log", Some(log(running)), Some(log(new))),
        ("echo", echo(running), echo(new)),
    ];
    let changed: Vec<String> = keys
        .into_iter()
        .filter(|(_, is, would_be)| is != would_be)
        .map(|(key, is, would_be)| {
            let word = |value: Option<String>| value.unwrap_or_else(|| "absent".to_owned());
            format!("{key} changed: is {}, would be {}", word(is), word(would_be))
        })
        .collect();
    if changed.is_empty() { Ok(()) } else { Err(restarts(file, changed.into_iter())) }
}

fn restarts(file: &str, reasons: impl Iterator<Item = String>) -> Problems {
    Problems::all(reasons.map(|why| Problem::Restart { file: file.to_owned(), why }).collect())
}

/// SIGHUP, from now on.
///
/// # Errors
/// When it cannot be watched.
pub(super) fn hangups() -> anyhow::Result<Signal> {
    signal(SignalKind::hangup()).context("SIGHUP cannot be watched")
}

/// Reloads at every SIGHUP. What is wrong is in the log.
pub(super) async fn on_hangup(reloader: Arc<Reloader>, mut hangups: Signal) {
    while hangups.recv().await.is_some() {
        in_background(&reloader).await;
    }
}

/// Where `node.watch` asks for it: reloads when a file has changed and then stayed the same for a moment, so that
/// no half-written file is read.
pub(super) async fn watch(reloader: Arc<Reloader>) {
    let (mut last, _) = reloader.look();
    loop {
        sleep(WATCH).await;
        let (now, is_news) = reloader.look();
        if is_news && now == last && reloader.running().watch {
            // One that is refused is not read again and again.
            in_background(&reloader).await;
        }
        last = now;
    }
}

async fn in_background(reloader: &Arc<Reloader>) {
    let reloader = Arc::clone(reloader);
    // What it says is in the log; it does not panic, and the program would end if it did.
    let _ = spawn_blocking(move || reloader.reload()).await;
}

fn look_at(files: &[PathBuf]) -> Seen {
    let look = |file: &PathBuf| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(|file| (file.clone(), look(file))).collect()
}
