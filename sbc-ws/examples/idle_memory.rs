//! What one idle wss connection costs the server in user memory.
//!
//! `cargo run --release -p sbc-ws --example idle_memory -- 2000` opens that many connections from a second process;
//! each sends one message of a REGISTER's size and gets one back. Prints the growth of the server's resident memory.

use std::cell::Cell;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use sbc_tls::{CertificateFiles, Certificates, Server, ServerSettings};
use sbc_ws::{CloseReason, Connections, Handler, Listener, Refused, Settings, Ticket};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// Bytes of a browser's REGISTER with credentials, and of its 200.
const REGISTER: usize = 850;
const OK: usize = 520;
/// The clients do not read on, so they must not be pinged.
const QUIET: Duration = Duration::from_secs(3600);

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [count] => {
            LocalSet::new().block_on(&runtime, server(count.parse().context("how many connections?")?))
        }
        [address, certificate, count] => {
            runtime.block_on(clients(address.parse()?, certificate, count.parse()?))
        }
        _ => bail!("usage: idle_memory COUNT"),
    }
}

/// Answers each message, and tells when all clients were answered.
struct Registrar {
    connections: Arc<Connections>,
    missing: Cell<usize>,
    done: Notify,
}

impl Handler for Registrar {
    fn admits(&self, _source: SocketAddr) -> bool {
        true
    }

    fn is_unlimited(&self, _: SocketAddr) -> bool {
        false
    }

    fn opened(&self, _id: NonZeroU64, _remote: SocketAddr, _source: SocketAddr, _ticket: Option<Ticket>) {}

    fn received(&self, connection: NonZeroU64, _remote: SocketAddr, _source: SocketAddr, _message: &[u8]) {
        if let Err(error) = self.connections.send(connection, &[b'x'; OK]) {
            eprintln!("connection {connection}: {error}");
        }
        self.missing.set(self.missing.get().saturating_sub(1));
        if self.missing.get() == 0 {
            self.done.notify_one();
        }
    }

    fn closed(&self, _connection: NonZeroU64, _source: SocketAddr, _why: CloseReason) {}

    fn refused(&self, _source: Option<SocketAddr>, _why: Refused) {}
}

async fn server(count: usize) -> Result<()> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let directory = std::env::temp_dir();
    let certificate = directory.join(format!("idle-memory-{}.pem", std::process::id()));
    let key = directory.join(format!("idle-memory-{}.key", std::process::id()));
    std::fs::write(&certificate, made.cert.pem())?;
    std::fs::write(&key, made.signing_key.serialize_pem())?;
    let files = CertificateFiles { certificate: certificate.clone(), key: key.clone() };
    let tls = Some(Server::new(ServerSettings {
        certificates: Arc::new(Certificates::from_files(&[files])?),
        protocol: b"http/1.1",
        names: Vec::new(),
        clients: None,
        deadline: QUIET,
    })?);
    std::fs::remove_file(&key)?;

    let socket = sbc_ws::bind(SocketAddr::from(([127, 0, 0, 1], 0)), false)?;
    let address = socket.local_addr()?;
    let connections = Connections::new();
    let listener = Listener::new(
        Settings { tls, ping_interval: QUIET, max_per_source: count, ..Settings::default() },
        Arc::clone(&connections),
    );
    let registrar = Rc::new(Registrar { connections, missing: Cell::new(count), done: Notify::new() });
    tokio::task::spawn_local(sbc_ws::serve(socket, listener, Rc::clone(&registrar) as Rc<dyn Handler>));

    let before = resident_bytes()?;
    let mut clients = Command::new(std::env::current_exe()?)
        .args([address.to_string(), certificate.display().to_string(), count.to_string()])
        .spawn()?;
    registrar.done.notified().await;
    // The last answers have to leave.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = resident_bytes()?.saturating_sub(before);
    println!("{count} idle wss connections: {} bytes each", grown / count.max(1));
    clients.kill()?;
    clients.wait()?;
    std::fs::remove_file(&certificate)?;
    std::process::exit(0);
}

fn resident_bytes() -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kibibytes: usize = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024)
}

async fn clients(address: SocketAddr, certificate: &str, count: usize) -> Result<()> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = connector.connect(ServerName::try_from("localhost")?, stream).await?;
        let mut request = "ws://localhost/".into_client_request()?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("sip"));
        let (mut socket, _) = client_async(request, stream).await?;
        socket.send(Message::text("x".repeat(REGISTER))).await?;
        socket.next().await.context("no answer")??;
        open.push(socket);
    }
    std::future::pending().await
}
