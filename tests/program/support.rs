//! A directory, loopback addresses of its own, and running programs that end with the test.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Much longer than anything here takes; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// One test's place: files, and a loopback address that no other test uses.
pub(crate) struct Site {
    pub directory: PathBuf,
    pub ip: Ipv4Addr,
}

impl Site {
    pub(crate) fn new(name: &str) -> Self {
        static SITES: AtomicU8 = AtomicU8::new(1);
        let number = SITES.fetch_add(1, Ordering::Relaxed);
        let [.., high, low] = std::process::id().to_be_bytes();
        let directory = std::env::temp_dir().join(format!("sbc-program-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).expect("a temporary directory");
        Self { directory, ip: Ipv4Addr::new(127, high | 1, low, number) }
    }

    /// A configuration that is right, with every listener on this site's address.
    pub(crate) fn good(&self) -> String {
        format!(
            r#"[node]
name = "edge"
state_dir = "state"
workers = 2
[[listener]]
name = "browsers"
transport = "ws"
bind = "{ip}:8080"
zone = "public"
[[listener]]
name = "phones"
transport = "udp"
bind = "{ip}:5060"
zone = "public"
[[listener]]
name = "inside"
transport = "udp"
bind = "{ip}:5070"
worker_ports = "5071-5072"
zone = "pool"
[pool.freeswitch]
members = [{{ uri = "sip:{ip}:5080" }}]
probe = {{ interval = "500ms", timeout = "500ms", fall = 1, rise = 1 }}
[admin]
bind = "{ip}:9090"
"#,
            ip = self.ip
        )
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, text).expect("a file in the temporary directory");
        path
    }

    /// The program, in this directory and with it as home.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sbc"));
        command.args(arguments).current_dir(&self.directory).env("HOME", &self.directory);
        for variable in ["XDG_STATE_HOME", "RUST_LOG", "ECS_CONTAINER_METADATA_URI_V4"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs it to its end.
    pub(crate) fn end(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Starts `sbc run` and waits until it says that it is up.
    pub(crate) fn start(&self, config: &Path) -> Running {
        let config = config.to_str().expect("a path in UTF-8");
        let mut command = self.command(&["run", "--config", config]);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let up = lines.by_ref().map_while(Result::ok).any(|line| line.contains("sbc is up"));
        // Whoever reads no more would stop the program at a full pipe.
        thread::spawn(move || lines.for_each(drop));
        let mut running = Running { child };
        assert!(up, "it did not come up: {}", running.errors());
        running
    }

    pub(crate) fn admin(&self) -> String {
        format!("http://{}:9090", self.ip)
    }

    /// The status code and text of a page of the admin API.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut response =
            agent.get(format!("{}{path}", self.admin())).call().expect("the admin API answers");
        let text = response.body_mut().read_to_string().expect("a text");
        (response.status().as_u16(), text)
    }

    /// Asks until `path` answers with `status`.
    pub(crate) fn wait_for(&self, path: &str, status: u16) {
        let begun = Instant::now();
        while self.get(path).0 != status {
            assert!(begun.elapsed() < PATIENCE, "{path} never answered {status}: {:?}", self.get(path));
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks until `holds`.
    pub(crate) fn wait_until(&self, what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < PATIENCE, "it never came true that {what}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// A pool member at port 5080 that answers whatever it is asked with 200, until the value is dropped.
    pub(crate) fn member(&self) -> Member {
        let socket = UdpSocket::bind(SocketAddr::from((self.ip, 5080))).expect("a free port");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while stopped.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    let request = String::from_utf8_lossy(&buffer[..length]);
                    let _ = socket.send_to(answer(&request).as_bytes(), from);
                }
            }
        });
        Member { stop: Some(stop), thread: Some(thread) }
    }
}

/// A 200 with the headers that RFC 3261 §8.2.6.2 wants.
fn answer(request: &str) -> String {
    let copied = ["via:", "from:", "to:", "call-id:", "cseq:"];
    let is_copied = |line: &&str| copied.iter().any(|name| line.to_ascii_lowercase().starts_with(name));
    let headers: Vec<_> = request.lines().filter(is_copied).collect();
    format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", headers.join("\r\n"))
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// See [`Site::member`].
pub(crate) struct Member {
    stop: Option<std::sync::mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Member {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A running `sbc`, killed with the value.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    /// Sends a signal by name.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().expect("kill runs");
        assert!(sent.success(), "the program was gone before {signal}");
    }

    /// Sends a signal by name and waits for the end.
    pub(crate) fn stop(mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "{signal} did not end it");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn errors(&mut self) -> String {
        let mut text = String::new();
        if let Some(pipe) = &mut self.child.stderr {
            let _ = pipe.read_to_string(&mut text);
        }
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
