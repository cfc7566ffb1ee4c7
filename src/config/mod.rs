//! `sbc.toml` and `routes.toml`, read and checked: what an operator wrote becomes [`Settings`] or [`Problems`].
//!
//! Nothing is bound, written or resolved here, so `sbc check` and `sbc run` see the same. Unknown keys are errors,
//! and so are keys of later work: nothing that an operator writes is ignored.

mod admission;
mod check;
mod claims;
mod connection;
mod discover;
mod document;
mod error;
mod examples;
mod listener;
mod machine;
mod node;
mod pool;
mod reach;
mod routes;
mod service;
mod share;
mod ticket;
mod tls;
mod units;
mod websocket;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sbc_core::config::{
    Admission, Config, Headers, Key, Listener, Member, Overload, Pool, Rules, Share, Timers,
};
use sbc_core::flow::ListenerId;
use sbc_tls::ServerName;

pub(crate) use self::connection::Connection;
pub(crate) use self::discover::Source;
pub(crate) use self::document::At;
use self::document::{Document, Keys, Section};
pub(crate) use self::error::{Place, Problem, Problems};
pub(crate) use self::examples::{Example, examples, with_line_ends};
pub(crate) use self::listener::Stream;
pub(crate) use self::machine::Machine;
pub(crate) use self::service::{Echo, Log, LogFormat};
pub(crate) use self::tls::Tls;
pub(crate) use self::websocket::WebSocket;

/// Larger files are not configurations.
const MAX_FILE: u64 = 4 << 20;

const KEYS: Keys = Keys {
    known: &[
        "routes",
        "node",
        "listener",
        "pool",
        "admission",
        "headers",
        "timers",
        "overload",
        "admin",
        "log",
        "echo",
    ],
    later: &[],
};

/// A checked configuration: what the core is told, and what only the program needs.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Name of this node in logs and status.
    pub name: String,
    /// Region of this node; empty: none.
    pub region: String,
    /// Keys from the file, newest first; `None`: they live in `state_dir`.
    pub keys: Option<Vec<Key>>,
    /// The Path key from the file; `None`: it lives in `state_dir`.
    pub path_key: Option<Key>,
    /// Locked while this node runs.
    pub state_dir: At<PathBuf>,
    /// Worker threads.
    pub workers: u8,
    /// In the order of the file.
    pub listeners: Vec<ListenerSettings>,
    /// In the order of the file.
    pub pools: Vec<Pool>,
    /// What is asked of DNS for them.
    pub discoveries: Vec<Discovery>,
    /// What each member takes that one of these lists, in the same order.
    pub discovered: Vec<Share>,
    /// Which DNS server is asked; `None`: those of `/etc/resolv.conf`.
    pub resolver: Option<SocketAddr>,
    /// Compiled against `pools` and `listeners`.
    pub rules: Arc<Rules>,
    /// What is let in.
    pub admission: Admission,
    /// What passes from one zone to another.
    pub headers: Headers,
    /// RFC 3261 timers.
    pub timers: Timers,
    /// When a worker turns new work away.
    pub overload: Option<Overload>,
    /// Where the admin API listens.
    pub admin: At<SocketAddr>,
    /// How logs are written.
    pub log: Log,
    /// The built-in peer, if it shall run.
    pub echo: Option<Echo>,
    /// Reload by itself when one of `files` changes.
    pub watch: bool,
    /// What an operator should know, and may be right all the same.
    pub warnings: Vec<String>,
    /// The configuration file and all files it names.
    pub files: Vec<PathBuf>,
}

/// A listener with what only the front ends need.
#[derive(Debug)]
pub(crate) struct ListenerSettings {
    /// As the core sees it.
    pub core: Listener,
    /// Where `bind` stands in the file.
    pub bind_place: Place,
    /// Local ports towards the pool, one a worker, and where they stand in the file.
    pub worker_ports: Option<At<Vec<SocketAddr>>>,
    /// Set for `ws` and `wss`.
    pub websocket: Option<WebSocket>,
    /// Set for `tcp` and `tls`.
    pub stream: Option<Stream>,
    /// Set for all but `udp`.
    pub connection: Option<Connection>,
    /// The names that members prove to have over TLS, where they are not their addresses.
    pub names: Vec<(SocketAddr, ServerName<'static>)>,
}

/// A pool whose members DNS lists, or some of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Discovery {
    /// Its name.
    pub pool: Box<str>,
    /// What is asked for.
    pub source: Source,
    /// The listener that members are reached from.
    pub listener: ListenerId,
    /// Which addresses it reaches.
    pub ipv6: bool,
}

impl Discovery {
    /// What a member takes that it lists: as the file says, but for what the answer says itself.
    pub(crate) fn share_of(&self, listed: &Member, share: &Share) -> Share {
        let mut share = share.clone();
        if self.source.has_weights() {
            (share.weight, share.priority) = (listed.share.weight, listed.share.priority);
        }
        share
    }
}

impl Settings {
    /// What the core is told, once the keys are at hand.
    pub(crate) fn core(&self, keys: Vec<Key>, path_key: Key) -> Config {
        Config {
            listeners: self.listeners.iter().map(|listener| listener.core.clone()).collect(),
            pools: self.pools.clone(),
            region: self.region.as_str().into(),
            rules: Arc::clone(&self.rules),
            admission: self.admission.clone(),
            headers: self.headers.clone(),
            timers: self.timers.clone(),
            overload: self.overload,
            keys,
            path_key,
            workers: self.workers,
        }
    }
}

/// Reads and checks a file.
///
/// # Errors
/// Everything that is wrong with it and with the files it names.
pub(crate) fn load(path: &Path, machine: &Machine) -> Result<Settings, Problems> {
    let file = path.display().to_string();
    let unreadable = |why: String| Problems(vec![Problem::Unreadable { file: file.clone(), why }]);
    let text = read_text(path).map_err(unreadable)?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut settings = parse(&file, &text, directory, machine)?;
    settings.files.insert(0, path.to_owned());
    Ok(settings)
}

/// Checks a configuration. `file` is what messages call it; the paths in it are relative to `directory`.
///
/// # Errors
/// Everything that is wrong with it and with the files it names.
pub(crate) fn parse(
    file: &str,
    text: &str,
    directory: &Path,
    machine: &Machine,
) -> Result<Settings, Problems> {
    let document = Document::new(file, text);
    let table = document.parse();
    let settings = read(&document.root(&table, KEYS), directory, machine);
    match (Problems::any(document.into_problems()), settings) {
        (None, Some(settings)) => Ok(settings),
        (Some(problems), _) => Err(problems),
        // Every reader reports before it gives up; were one to forget, nothing may start.
        (None, None) => Err(Problems(vec![Problem::Unreadable {
            file: file.to_owned(),
            why: "the configuration is not complete".to_owned(),
        }])),
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MAX_FILE {
        return Err(format!("found {length} bytes, expected a configuration file of at most {MAX_FILE}"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// Reads all sections before it gives up on any.
fn read(root: &Section<'_, '_>, directory: &Path, machine: &Machine) -> Option<Settings> {
    let node = node::read(root, directory, machine);
    let listeners = listeners(root, directory);
    let pools = pools(root);
    let rules = routes::read(root, directory);
    let admission = admission::read(root);
    let headers = service::headers(root);
    let timers = service::timers(root);
    let overload = service::overload(root);
    let admin = service::admin(root);
    let log = service::log(root);
    let echo = service::echo(root);
    let parts = check::Parts {
        root,
        machine,
        node: node.as_ref(),
        listeners,
        pools,
        admin: admin.as_ref(),
        echo: echo.as_ref().and_then(Option::as_ref),
    };
    let checked = check::all(parts);
    let (checked, node) = (checked?, node?);
    let default_state_dir = At { value: machine.state_dir.clone(), place: root.place("node.state_dir") };
    Some(Settings {
        name: node.name,
        region: node.region,
        keys: node.keys,
        path_key: node.path_key,
        state_dir: node.state_dir.unwrap_or(default_state_dir),
        workers: checked.workers,
        listeners: checked.listeners,
        pools: checked.pools,
        discoveries: checked.discoveries,
        discovered: checked.discovered,
        resolver: node.resolver,
        rules: Arc::new(rules?),
        admission: admission?,
        headers: headers?,
        timers: timers?,
        overload: overload?,
        admin: admin?,
        log: log?,
        echo: echo?,
        watch: node.watch,
        warnings: root.document().take_warnings(),
        files: root.document().take_files(),
    })
}

/// What could be read of several alike, and whether that is all.
pub(super) struct Several<T> {
    pub whole: Vec<T>,
    pub complete: bool,
}

impl<T> Several<T> {
    fn collect(items: impl Iterator<Item = Option<T>>) -> Self {
        let mut complete = true;
        let whole = items.inspect(|item| complete &= item.is_some()).flatten().collect();
        Self { whole, complete }
    }
}

fn listeners(root: &Section<'_, '_>, directory: &Path) -> Several<listener::RawListener> {
    const EXPECTED: &str = "at least one [[listener]]";
    let items =
        root.require("listener", EXPECTED).and_then(|value| value.list(listener::MOST_LISTENERS, EXPECTED));
    match items {
        Some(items) => Several::collect(
            items.into_iter().map(|item| listener::read(&item.called_by("name", "listener"), directory)),
        ),
        None => Several { whole: Vec::new(), complete: false },
    }
}

fn pools(root: &Section<'_, '_>) -> Several<pool::RawPool> {
    const EXPECTED: &str = "at least one [pool.NAME] with members";
    let Some(section) = root.require("pool", EXPECTED).and_then(|value| value.named()) else {
        return Several { whole: Vec::new(), complete: false };
    };
    let entries = section.entries();
    if entries.is_empty() || entries.len() > pool::MOST_POOLS {
        let expected = format!("{EXPECTED}, and at most {} of them", pool::MOST_POOLS);
        section.document().report(section.place(""), format!("{} pools", entries.len()), expected);
    }
    Several::collect(entries.into_iter().map(|(name, place, value)| pool::read(name, place, &value)))
}
