//! Where the programs under test are: beside the test, and up to date.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The directory with the programs of this build, as `target/debug`.
fn directory() -> PathBuf {
    let test = std::env::current_exe().expect("a test is a program");
    let parent = test.ancestors().nth(2).expect("tests are in <target>/<profile>/deps");
    parent.to_owned()
}

/// The `fs-member` that was built with the tests.
pub(super) fn fs_member() -> PathBuf {
    directory().join("fs-member")
}

/// `sbc` as the sources are now. Cargo builds it with the tests of the whole workspace, but not with those of
/// this package alone.
pub(super) fn sbc() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build_sbc).clone()
}

fn build_sbc() -> PathBuf {
    let directory = directory();
    let target = directory.parent().expect("a profile is in a target directory");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "sbc", "--bin", "sbc", "--manifest-path", manifest]);
    command.arg("--target-dir").arg(target);
    if directory.ends_with("release") {
        command.arg("--release");
    }
    let status = command.status().expect("cargo starts");
    assert!(status.success(), "sbc does not build");
    directory.join("sbc")
}

/// A program of the system that tests need.
///
/// # Panics
/// When it is not installed; the message says how to get it.
pub(super) fn installed(name: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(name).is_file());
    assert!(found, "{name} is not installed: `make prepare` installs it");
    name.to_owned()
}
