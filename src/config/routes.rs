//! `routes = "routes.toml"`: the rules, compiled against the names of this file.

use std::path::Path;

use routing_rules::{Files, Labels, MAX_PREFIX_FILE_BYTES, Names, Rules};

use super::document::{Document, Section};
use super::error::Problem;
use super::{listener, read_text};

/// Reads the rules; without a file everything goes to the only pool there is.
pub(super) fn read(root: &Section<'_, '_>, directory: &Path) -> Option<Rules> {
    // Names as written, also of pools that have something wrong: rules may speak of them.
    let pools = root.names("pool");
    let Some(value) = root.get("routes") else {
        if pools.len() > 1 {
            let expected = "a file of rules: with several pools they say which one a request goes to";
            root.document().report(root.place("routes"), "nothing", expected);
            return None;
        }
        return Some(Rules::single_pool(0));
    };
    let path = listener::file(&value, directory)?;
    let text = match read_text(&path) {
        Ok(text) => text,
        Err(error) => return value.wrong(format!("a readable file; {}: {error}", path.display())),
    };
    let listeners = root.strings_in("listener", "name");
    let words: Vec<_> = pools.iter().map(|pool| words_of_members(root, pool)).collect();
    let members: Vec<_> =
        words.iter().map(|words| words.as_ref().map(|(tags, regions)| Labels { tags, regions })).collect();
    let names = Names { members: &members, ..Names::new(&pools, &listeners) };
    let beside = Beside { directory: path.parent().unwrap_or(Path::new("")), document: root.document() };
    match Rules::load(&text, &path.display().to_string(), &names, &beside) {
        Ok(rules) => Some(rules),
        Err(errors) => {
            errors.into_iter().for_each(|error| root.document().push(Problem::Rule(Box::new(error))));
            None
        }
    }
}

/// The tags and regions of a pool's members as written, and of those that DNS lists.
fn words_of_members<'s>(root: &Section<'s, '_>, pool: &str) -> Option<(Vec<&'s str>, Vec<&'s str>)> {
    let pool = root.child("pool")?.child(pool)?;
    let words = |name: &str| {
        let mut words = pool.words_in("members", name);
        words.extend(pool.child("discovered").map(|section| section.words(name)).unwrap_or_default());
        words.sort_unstable();
        words.dedup();
        words
    };
    Some((words("tags"), words("region")))
}

/// The files beside the routes file.
struct Beside<'s, 'd> {
    directory: &'s Path,
    document: &'s Document<'d>,
}

impl Files for Beside<'_, '_> {
    fn read(&self, name: &str) -> Result<String, String> {
        let path = self.directory.join(name);
        self.document.depends_on(path.clone());
        let length = std::fs::metadata(&path).map_err(|error| error.to_string())?.len();
        if length > MAX_PREFIX_FILE_BYTES as u64 {
            return Err(format!("{length} bytes, more than the {MAX_PREFIX_FILE_BYTES} that it may have"));
        }
        std::fs::read_to_string(&path).map_err(|error| error.to_string())
    }
}
