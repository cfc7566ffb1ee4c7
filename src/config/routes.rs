//! `routes = "routes.toml"`: the rules, compiled against the names of this file.

use std::path::Path;

use routing_rules::{Names, Rules};

use super::document::Section;
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
    let names = Names { pools: &pools, listeners: &listeners };
    match Rules::parse(&text, &path.display().to_string(), &names) {
        Ok(rules) => Some(rules),
        Err(errors) => {
            errors.into_iter().for_each(|error| root.document().push(Problem::Rule(Box::new(error))));
            None
        }
    }
}
