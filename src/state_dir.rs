//! The directory of one node: locked while the node runs, and where it keeps the keys it made.
//!
//! Two nodes on one directory would make tokens with one boot history and overwrite each other's files, so the
//! second one does not start. The lock is the kernel's: a killed node leaves none behind.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use sbc_core::config::Key;

use crate::config::{At, Problems};
use crate::keys;

const LOCK_FILE: &str = "lock";
const KEY_FILE: &str = "sbc.key";
const PATH_KEY_FILE: &str = "sbc-path.key";

/// A locked state directory.
#[derive(Debug)]
pub(crate) struct StateDir {
    place: At<PathBuf>,
    // Held, never read: closing it unlocks.
    _lock: Flock<File>,
}

impl StateDir {
    /// Makes the directory if there is none, and locks it.
    ///
    /// # Errors
    /// When it cannot be made, or another sbc has it.
    pub(crate) fn lock(place: &At<PathBuf>) -> Result<Self, Problems> {
        let path = &place.value;
        let wrong = |error: io::Error| refuse(place, "a directory that this user may write", &error);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(wrong)?;
        let options = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).clone();
        let file = options.open(path.join(LOCK_FILE)).map_err(wrong)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { place: place.clone(), _lock: lock }),
            Err((_, Errno::EWOULDBLOCK)) => {
                let found = format!("{}, which another running sbc has locked", path.display());
                Err(Problems::one(place.place.clone(), found, "a state_dir of its own for each sbc"))
            }
            Err((_, errno)) => Err(wrong(errno.into())),
        }
    }

    /// The key for dialog tokens, made at the first start.
    ///
    /// # Errors
    /// When the file is there and holds no key, or cannot be made.
    pub(crate) fn key(&self) -> Result<Key, Problems> {
        self.keep(KEY_FILE)
    }

    /// The key for Path, made at the first start.
    ///
    /// # Errors
    /// When the file is there and holds no key, or cannot be made.
    pub(crate) fn path_key(&self) -> Result<Key, Problems> {
        self.keep(PATH_KEY_FILE)
    }

    fn keep(&self, name: &str) -> Result<Key, Problems> {
        let path = self.place.value.join(name);
        let wrong = |error: io::Error| refuse(&self.place, &format!("a key in {}", path.display()), &error);
        match keys::read_file(&path) {
            Ok(text) => keys::parse(&text).ok_or_else(|| {
                wrong(io::Error::new(io::ErrorKind::InvalidData, "32 bytes as base64 are not there"))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(&path).map_err(wrong),
            Err(error) => Err(wrong(error)),
        }
    }
}

/// The keys that a node has made here, for dialog tokens and for Path; `None` where it has made none. Locks nothing and
/// makes nothing.
pub(crate) fn kept_keys(directory: &Path) -> [Option<Key>; 2] {
    [KEY_FILE, PATH_KEY_FILE].map(|name| keys::parse(&keys::read_file(&directory.join(name)).ok()?))
}

/// Under another name first: a node that dies here must not leave half a key.
fn make(path: &Path) -> io::Result<Key> {
    let key = keys::generate()?;
    let unfinished = path.with_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => keys::write_new(&unfinished, &key)?,
    }
    fs::rename(&unfinished, path)?;
    Ok(key)
}

fn refuse(place: &At<PathBuf>, expected: &str, error: &io::Error) -> Problems {
    Problems::one(place.place.clone(), format!("{}: {error}", place.value.display()), expected)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::Place;

    fn place(name: &str) -> At<PathBuf> {
        let path = std::env::temp_dir().join(format!("sbc-state-{}-{name}", std::process::id()));
        let place = Place { file: "sbc.toml".into(), line: 6, column: 13, key: "node.state_dir".into() };
        At { value: path, place }
    }

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_gone() {
        let place = place("lock");
        let first = StateDir::lock(&place).expect("free");
        let refused = StateDir::lock(&place).expect_err("taken").to_string();
        let found = format!("found {}, which another running sbc has locked", place.value.display());
        assert_eq!(
            refused,
            format!("sbc.toml:6:13: node.state_dir: {found}, expected a state_dir of its own for each sbc")
        );
        drop(first);
        StateDir::lock(&place).expect("free again");
        fs::remove_dir_all(&place.value).expect("cleaned up");
    }

    #[test]
    fn keys_are_made_once_and_only_the_owner_reads_them() {
        let place = place("keys");
        let state = StateDir::lock(&place).expect("free");
        let (key, path_key) = (state.key().expect("made"), state.path_key().expect("made"));
        assert_ne!(key, path_key);
        drop(state);
        let state = StateDir::lock(&place).expect("free");
        assert_eq!((state.key().expect("kept"), state.path_key().expect("kept")), (key, path_key));
        let mode = fs::metadata(place.value.join(KEY_FILE)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(place.value.join(KEY_FILE), "no key").expect("written");
        state.key().expect_err("no key");
        fs::remove_dir_all(&place.value).expect("cleaned up");
    }
}
