//! `[node]`: who this node is, how many workers it has, and its keys.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sbc_core::config::Key;

use super::document::{At, Keys, Section, Value};
use super::machine::Machine;
use super::{listener, units};
use crate::keys;

/// More workers than this gain nothing on the machines that this is made for.
pub(super) const MOST_WORKERS: u32 = 64;
/// Keys that are accepted at one time; two live during a rotation, the rest is for slow fleets.
const MOST_KEYS: usize = 8;

const KEYS: Keys = Keys {
    known: &["name", "region", "workers", "keys", "path_key", "state_dir", "watch", "resolver"],
    later: &[],
};

/// `[node]`, checked.
pub(super) struct Node {
    pub name: String,
    /// Empty: none.
    pub region: String,
    /// `None`: as many as there are processors and worker ports.
    pub workers: Option<At<u8>>,
    /// `None`: made and kept in `state_dir`.
    pub keys: Option<Vec<Key>>,
    /// `None`: made and kept in `state_dir`.
    pub path_key: Option<Key>,
    pub state_dir: Option<At<PathBuf>>,
    /// Reload by itself when a file changes.
    pub watch: bool,
    /// The DNS server; `None`: as the system does.
    pub resolver: Option<SocketAddr>,
}

/// Reads `[node]`, which may be absent.
pub(super) fn read(root: &Section<'_, '_>, directory: &Path, machine: &Machine) -> Option<Node> {
    let automatic = || machine.name.clone();
    let Some(value) = root.get("node") else {
        let region = String::new();
        return Some(Node {
            name: automatic(),
            region,
            workers: None,
            keys: None,
            path_key: None,
            state_dir: None,
            watch: false,
            resolver: None,
        });
    };
    let section = value.section(KEYS)?;
    let name = section.or("name", automatic(), |value| {
        let name = value.parsed("\"auto\", or 1 to 40 letters, digits, `-`, `_` or `.`", |text| {
            units::label(text).then(|| text.to_owned())
        })?;
        Some(if name == "auto" { automatic() } else { name })
    });
    let region = section.or("region", String::new(), |value| listener::name_of(value).map(|name| name.value));
    let workers = section
        .maybe("workers", |value| value.integer(1..=MOST_WORKERS).and_then(|count| u8::try_from(count).ok()));
    let keys = section.maybe("keys", |value| keys_of(value, directory, machine));
    let path_key = section.maybe("path_key", |value| key(value, directory, machine));
    let state_dir =
        section.maybe("state_dir", |value| value.text("a directory").map(|text| directory.join(text)));
    let watch = section.or("watch", false, Value::boolean);
    let resolver = section.maybe("resolver", |value| {
        value.parsed("the address of a DNS server as \"10.0.0.2:53\"", units::address)
    });
    Some(Node {
        name: name?,
        region: region?,
        workers: workers?,
        keys: keys?.map(|keys| keys.value),
        path_key: path_key?.map(|key| key.value),
        state_dir: state_dir?,
        watch: watch?,
        resolver: resolver?.map(|at| at.value),
    })
}

fn keys_of(value: &Value<'_, '_>, directory: &Path, machine: &Machine) -> Option<Vec<Key>> {
    let expected = "a list with 1 or more of \"file:PATH\" or \"env:NAME\", newest first";
    let read = value.list_of(MOST_KEYS, expected, |item| key(item, directory, machine))?;
    if read.is_empty() {
        return value.wrong(expected);
    }
    let repeated =
        read.iter().enumerate().any(|(index, key)| read.iter().skip(index + 1).any(|other| other == key));
    if repeated { value.wrong("each key once") } else { Some(read) }
}

/// Reads the key that `file:PATH` or `env:NAME` names. The key itself never enters a message.
fn key(value: &Value<'_, '_>, directory: &Path, machine: &Machine) -> Option<Key> {
    const SOURCE: &str = "\"file:PATH\" or \"env:NAME\"";
    let source = value.text(SOURCE)?;
    let text = match source.split_once(':') {
        Some(("file", path)) => {
            let path = directory.join(path);
            value.document().depends_on(path.clone());
            match keys::read_file(&path) {
                Ok(text) => text,
                Err(error) => {
                    return value.wrong(format!("a readable key file; {}: {error}", path.display()));
                }
            }
        }
        Some(("env", name)) => match (machine.variable)(name) {
            Some(text) => text,
            None => return value.wrong(format!("the environment variable {name} to be set")),
        },
        _ => return value.wrong(SOURCE),
    };
    let key = keys::parse(&text);
    key.or_else(|| value.wrong("32 bytes as base64 or hex there (`sbc keygen` makes them)"))
}
