//! Where the programs under test are: beside the test, and up to date.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The directory with the programs of this build, as `target/debug`.
fn directory() -> PathBuf {
    let test = std::env::current_exe().expect("a test is a program");
    let parent = test.parent().expect("tests are in <target>/<profile>/deps, programs in <target>/<profile>");
    if parent.ends_with("deps") { parent.parent().unwrap_or(parent) } else { parent }.to_owned()
}

/// The `fs-member` that was built with the tests.
pub(super) fn fs_member() -> PathBuf {
    directory().join("fs-member")
}

/// `sbc` as the sources are now. Cargo builds it with the tests of the whole workspace, but not with those of
/// this package alone: then it is built here, once.
pub(super) fn sbc() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let directory = directory();
        if !is_current(&directory) {
            build_sbc(&directory);
        }
        directory.join("sbc")
    });
    built.clone()
}

/// True when no source that cargo noted for `sbc` is newer than the program.
fn is_current(directory: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    let Some(made) = changed(&directory.join("sbc")) else { return false };
    let noted = fs::read_to_string(directory.join("sbc.d")).unwrap_or_default();
    let Some((_, sources)) = noted.split_once(": ") else { return false };
    // A target directory may be shared with another checkout.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let current = |source: &str| {
        let source = Path::new(source);
        root.is_some_and(|root| source.starts_with(root)) && changed(source).is_some_and(|at| at <= made)
    };
    // A path that cannot be read counts as changed, also one with a space in it.
    sources.split_whitespace().all(current)
}

fn build_sbc(directory: &Path) {
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
