//! The house stands as drawn: who may know whom, inside `sbc-core` and between the crates.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of `sbc-core`, from the ground up: a room knows rooms of lower floors only.
const FLOORS: [&[&str]; 7] = [
    &["wire", "hash", "flow", "gauge", "time", "limits", "lock", "count"],
    &["rate"],
    &["config", "table"],
    &["sip", "seal", "io"],
    &["admission", "transaction", "limiting", "tally"],
    &["dialog", "registration", "pool"],
    &["proxy"],
];

/// What the pure core and the rules must never stand on.
const SHELL: [&str; 6] = ["tokio", "tokio-tungstenite", "socket2", "nix", "rustls", "mio"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_path_buf()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All sources under a directory, build directories excluded.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for path in entries.map(|entry| entry.expect("a directory entry").path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !name.starts_with('.') && !["target", "node_modules"].contains(&name) {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    found
}

/// The members of the workspace, and its root.
fn crates() -> Vec<PathBuf> {
    let manifest = read(&root().join("Cargo.toml"));
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).expect("members");
    let named = members.split('"').skip(1).step_by(2).map(|member| root().join(member));
    named.chain([root()]).collect()
}

/// The names under `[dependencies]`.
fn dependencies(of: &str) -> Vec<String> {
    let manifest = read(&root().join(of).join("Cargo.toml"));
    let section = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let lines = section.take_while(|line| !line.starts_with('['));
    let names = lines.map(|line| line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned());
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).collect()
}

/// The rooms that a source names after `crate::`, comments left out; groups count with all their rooms.
fn rooms_named(source: &str) -> Vec<String> {
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut rooms = Vec::new();
    for after in code.split("crate::").skip(1) {
        if let Some(group) = after.strip_prefix('{') {
            let end = group.find(";\n").unwrap_or(group.len());
            rooms.extend(top_of_group(&group[..end]));
        } else {
            rooms.push(word(after));
        }
    }
    rooms
}

/// The first word of every item on the outermost level of `{a::b, c::{d, e}}`.
fn top_of_group(group: &str) -> Vec<String> {
    let (mut depth, mut items) = (0, vec![String::new()]);
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(String::new()),
            other if depth == 0 => items.last_mut().expect("one at least").push(other),
            _ => {}
        }
    }
    items.iter().map(|item| word(item.trim())).filter(|name| !name.is_empty()).collect()
}

fn word(text: &str) -> String {
    text.chars().take_while(|character| character.is_ascii_alphanumeric() || *character == '_').collect()
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

#[test]
fn the_rooms_of_the_core_know_only_what_is_below_them() {
    let core = root().join("sbc-core/src");
    let mut seen = 0;
    for path in sources(&core) {
        let inside = path.strip_prefix(&core).expect("inside");
        let first = inside.iter().next().and_then(|name| name.to_str()).unwrap_or_default();
        let room = first.trim_end_matches(".rs");
        if room == "lib" {
            continue;
        }
        let floor = floor_of(room).unwrap_or_else(|| panic!("{room} has no floor: draw it in"));
        for named in rooms_named(&read(&path)).into_iter().filter(|named| named != room) {
            // What `lib.rs` hands on is the proxy's.
            let below = floor_of(&named).unwrap_or(FLOORS.len());
            assert!(below < floor, "{} knows {named}, which is not below it", inside.display());
            seen += 1;
        }
    }
    assert!(seen > 100, "the reader of imports must find them: {seen}");
}

#[test]
fn imports_are_read_in_every_form() {
    let source = "use crate::wire;\n// crate::no\nuse crate::{hash::Digest, pool::{Tried, a}, time};\n\
                  fn f(_: &crate::flow::Flow) {}\n";
    assert_eq!(rooms_named(source), ["wire", "hash", "pool", "time", "flow"]);
}

#[test]
fn the_core_is_pure_and_the_rules_know_nobody() {
    let core = dependencies("sbc-core");
    let rules = dependencies("routing-rules");
    for name in SHELL {
        assert!(!core.contains(&name.to_owned()), "sbc-core depends on {name}");
        assert!(!rules.contains(&name.to_owned()), "routing-rules depends on {name}");
    }
    let ours = |names: &[String]| -> Vec<String> {
        let is_ours = |name: &&String| name.starts_with("sbc") || *name == "routing-rules";
        names.iter().filter(is_ours).cloned().collect()
    };
    assert_eq!(ours(&core), ["routing-rules"]);
    assert_eq!(ours(&rules), Vec::<String>::new());
}

#[test]
fn the_front_ends_do_not_know_each_other() {
    // SIP over WebSocket stands on connections; nothing stands on it.
    for (one, other) in [
        ("sbc-udp", "sbc-ws"),
        ("sbc-udp", "sbc-tcp"),
        ("sbc-tcp", "sbc-udp"),
        ("sbc-tcp", "sbc-ws"),
        ("sbc-tls", "sbc-tcp"),
        ("sbc-tls", "sbc-ws"),
        ("sbc-ws", "sbc-udp"),
    ] {
        assert!(!dependencies(one).contains(&other.to_owned()), "{one} depends on {other}");
    }
    for member in crates() {
        let name = member.strip_prefix(root()).expect("inside").to_str().expect("a name").to_owned();
        assert!(!dependencies(&name).contains(&"sbc-tests".to_owned()), "{name:?} depends on the tests");
    }
}

#[test]
fn no_crate_has_unsafe_code() {
    for member in crates() {
        let mut roots: Vec<PathBuf> =
            ["src/lib.rs", "src/main.rs"].iter().map(|path| member.join(path)).collect();
        let programs = member.join("src/bin");
        if programs.is_dir() {
            // A program of several files begins with `main.rs`, and the others are its rooms.
            let is_root = |path: &PathBuf| path.parent() == Some(&programs) || path.ends_with("main.rs");
            roots.extend(sources(&programs).into_iter().filter(is_root));
        }
        roots.retain(|path| path.is_file());
        assert!(!roots.is_empty(), "{} has no root", member.display());
        for path in roots {
            assert!(read(&path).contains("\n#![forbid(unsafe_code)]\n"), "{}", path.display());
        }
    }
}

#[test]
fn every_file_opens_with_what_it_promises() {
    let all = sources(&root());
    assert!(all.len() > 150, "{} sources", all.len());
    let silent: Vec<_> = all.into_iter().filter(|path| !read(path).starts_with("//! ")).collect();
    assert_eq!(silent, Vec::<PathBuf>::new());
}
