//! `sbc keygen` and the usage.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Site, stderr, stdout};

#[test]
fn a_key_is_one_line_and_never_the_same() {
    let site = Site::new("keygen");
    let (one, other) = (stdout(&site.end(&["keygen"])), stdout(&site.end(&["keygen"])));
    assert_eq!((one.lines().count(), one.trim().len()), (1, 44));
    assert_ne!(one, other);
}

#[test]
fn a_key_file_is_for_its_owner_and_never_overwritten() {
    let site = Site::new("keygen-file");
    assert!(site.end(&["keygen", "--out", "sbc.key"]).status.success());
    let path = site.directory.join("sbc.key");
    let key = fs::read_to_string(&path).expect("a key");
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    let second = site.end(&["keygen", "--out", "sbc.key"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).starts_with("cannot write sbc.key: File exists"), "{}", stderr(&second));
    assert_eq!(fs::read_to_string(&path).expect("a key"), key);
    let text = site.good().replace("state_dir", "keys = [\"file:sbc.key\"]\nstate_dir");
    site.write("sbc.toml", &text);
    assert!(site.end(&["check"]).status.success());
}

#[test]
fn wrong_usage_exits_with_2_and_help_has_examples() {
    let site = Site::new("usage");
    for wrong in [&["fly"][..], &["run", "--port", "1"], &["check", "--config"], &[]] {
        assert_eq!(site.end(wrong).status.code(), Some(2), "{wrong:?}");
    }
    for command in [
        &["--help"][..],
        &["run", "--help"],
        &["check", "--help"],
        &["keygen", "--help"],
        &["status", "--help"],
    ] {
        let output = site.end(command);
        assert!(output.status.success() && stdout(&output).contains("Example"), "{command:?}");
    }
}
