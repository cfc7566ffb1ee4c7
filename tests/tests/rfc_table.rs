//! `RFC.md` is true: every file and every test that it names is there.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_path_buf()
}

/// All sources below a directory.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = entries.map(|entry| entry.expect("a directory entry").path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// The words in backticks of one cell.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_rule_names_a_file_and_a_test_that_exist() {
    let page = fs::read_to_string(root().join("RFC.md")).expect("RFC.md");
    let files: Vec<(String, String)> = ["sbc-core/src", "sbc-tcp/tests", "tests/tests"]
        .iter()
        .flat_map(|directory| sources(&root().join(directory)))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
            (stem, fs::read_to_string(&path).unwrap_or_default())
        })
        .collect();
    let mut rules = 0;
    for line in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| rule")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        assert_eq!(cells.len(), 3, "{line}");
        let (places, tests) = (quoted(cells[1]).collect::<Vec<_>>(), quoted(cells[2]).collect::<Vec<_>>());
        assert!(!places.is_empty() && !tests.is_empty(), "{line}");
        for place in places {
            let is_there = root().join("sbc-core/src").join(place).is_file() || root().join(place).is_file();
            assert!(is_there, "{place} is not there: {line}");
        }
        for test in tests {
            let (stem, name) = test.split_once("::").unwrap_or_else(|| panic!("{test} names no file"));
            let wanted = format!("fn {name}(");
            let is_there = files.iter().any(|(own, text)| own == stem && text.contains(&wanted));
            assert!(is_there, "{test} is not there: {line}");
        }
        rules += 1;
    }
    assert!(rules > 60, "the page is read: {rules} rules");
}
