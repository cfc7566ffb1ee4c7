//! Real programs for end-to-end tests: sbc itself, members, SIPp, a headless browser, and phones behind real sockets.
//!
//! Whatever a test starts ends with the value that stands for it, and only that: a process is killed by its own
//! id. Everything waits for a condition, nothing for a time.

mod binaries;
mod browser;
mod fs_member;
pub(crate) mod live;
mod public_view;
mod puppet;
mod recorder;
mod relay;
mod sbc;
mod sipp;
mod site;
mod stream;
pub(crate) mod tls;
pub(crate) mod websocket;

use std::fs::File;
use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use self::browser::{Browser, Page};
pub use self::fs_member::FsMember;
pub use self::live::Live;
pub use self::public_view::PublicView;
pub use self::puppet::{Heard, Mood, Puppet};
pub use self::recorder::{ANSWERED, Recorder};
pub use self::relay::{Path, Relay};
pub use self::sbc::Sbc;
pub use self::sipp::{Caller, Member as SippMember, Outcome};
pub use self::site::{Balance, Site};

/// Much longer than anything here takes; only a failure waits for it.
pub const PATIENCE: Duration = Duration::from_secs(25);
/// From one look at a condition to the next.
const LOOK: Duration = Duration::from_millis(10);

/// Lets one test at a time use the machine: SIPp and browsers side by side would measure each other.
///
/// Hold the guard to the end of the test.
pub fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that failed has ended its processes too.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks until `done` holds.
///
/// # Panics
/// When it does not within [`PATIENCE`]; the message says what never came.
#[track_caller]
pub fn until(what: &str, done: impl FnMut() -> bool) {
    until_or(done, || what.to_owned());
}

/// Like [`until`]; `what` is asked only when it did not come.
#[track_caller]
pub(crate) fn until_or(mut done: impl FnMut() -> bool, what: impl FnOnce() -> String) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "never: {}", what());
        std::thread::sleep(LOOK);
    }
}

/// Looks for so long whether `done` comes to hold.
pub fn until_within(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !done() {
        if begun.elapsed() >= patience {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

/// A running program, killed with the value.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a program; what it prints goes to `<name>.out` in `directory`.
    pub(crate) fn start(name: &str, directory: &std::path::Path, command: &mut Command) -> io::Result<Self> {
        let output = File::options().create(true).append(true).open(directory.join(format!("{name}.out")))?;
        let child = command
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        Ok(Self { child })
    }

    /// Takes care of a child that was started elsewhere.
    pub(crate) const fn adopt(child: Child) -> Self {
        Self { child }
    }

    /// `kill -9`, and wait until it is gone.
    pub(crate) fn kill(&mut self) {
        // It fails only when the program has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stop it (SIGSTOP), or let it go on (SIGCONT).
    ///
    /// # Panics
    /// When it has ended.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([format!("-{signal}"), self.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "{signal} reaches the process");
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The JSON at a URL; `None` while nobody serves it.
fn json(url: &str) -> Option<serde_json::Value> {
    let mut response = ureq::get(url).call().ok()?;
    serde_json::from_str(&response.body_mut().read_to_string().ok()?).ok()
}
