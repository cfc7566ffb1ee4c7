//! The member as a process: a phone over real sockets, and the status that tests read.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command};
use std::time::Duration;

use sbc_tests::agent::{Agent, Registered, Settings, State};
use sbc_tests::shell::Shell;

/// Longest wait for anything here.
const PATIENCE: Duration = Duration::from_secs(20);

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_address() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port")
}

fn status(http: SocketAddr) -> Option<serde_json::Value> {
    let mut stream = TcpStream::connect(http).ok()?;
    stream.write_all(b"GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "never: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_registers_and_calls_over_real_sockets() {
    let (sip, http, own) = (free_address(), free_address(), free_address());
    let member = Command::new(env!("CARGO_BIN_EXE_fs-member"))
        .args(["--sip", &sip.to_string(), "--http", &http.to_string(), "--name", "a"])
        .spawn()
        .expect("the member starts");
    let _member = Process(member);
    until("the status is served", || status(http).is_some()).await;
    let settings = Settings {
        address: own,
        edge: sip,
        user: "1000".into(),
        domain: "example.test".into(),
        password: Some("secret".into()),
        seed: 1,
    };
    let phone = std::sync::Arc::new(Shell::bind(own, Agent::phone(settings)).await.expect("a free port"));
    let running = std::sync::Arc::clone(&phone);
    tokio::spawn(async move { running.run().await });
    phone.act(|agent, now| agent.register(now, 300));
    until("registered", || phone.act(|agent, _| agent.registered()) == Registered::Yes(300)).await;
    let leg = phone.act(|agent, now| agent.call(now, "sip:9196@example.test"));
    until("answered", || phone.act(|agent, _| agent.state(leg)) == State::Up).await;
    let seen = status(http).expect("a status");
    assert_eq!(seen["bindings"][0]["aor"], "1000@example.test");
    assert_eq!(seen["legs"][0]["number"], "9196");
    assert_eq!(seen["messages"]["answered"]["INVITE 407"], 1);
    phone.act(|agent, now| agent.bye(now, leg));
    until("the member ended it", || status(http).is_some_and(|seen| seen["counters"]["ended"] == 1)).await;
}
