//! A worker with one listener on loopback, and clients for it.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sbc_tls::{Certificates, Server, ServerNamePattern, ServerSettings};
use sbc_ws::{CloseReason, Connections, Handler, Listener, Refused, Settings, Ticket, bind, serve};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request};
use tokio_tungstenite::{WebSocketStream, client_async};

/// No test waits longer for what must happen; none passes because this time is over.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a worker was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Opened { id: NonZeroU64, source: SocketAddr, ticket: Option<Ticket> },
    Received { id: NonZeroU64, message: Vec<u8> },
    Closed { id: NonZeroU64, why: CloseReason },
    Refused { source: Option<SocketAddr>, why: Refused },
}

/// A handler that writes everything down, and answers `echo …` with the same bytes.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) events: RefCell<Vec<Event>>,
    changed: Notify,
    /// The only address turned away.
    pub(crate) banned: Cell<Option<std::net::IpAddr>>,
    /// The only address that is not counted.
    pub(crate) unlimited: Cell<Option<std::net::IpAddr>>,
    connections: RefCell<Option<Arc<Connections>>>,
}

impl Recorder {
    fn note(&self, event: Event) {
        self.events.borrow_mut().push(event);
        self.changed.notify_waiters();
    }
}

impl Handler for Recorder {
    fn admits(&self, source: SocketAddr) -> bool {
        self.banned.get() != Some(source.ip())
    }

    fn is_unlimited(&self, source: SocketAddr) -> bool {
        self.unlimited.get() == Some(source.ip())
    }

    fn opened(&self, id: NonZeroU64, _remote: SocketAddr, source: SocketAddr, ticket: Option<Ticket>) {
        self.note(Event::Opened { id, source, ticket });
    }

    fn received(&self, id: NonZeroU64, _remote: SocketAddr, _source: SocketAddr, message: &[u8]) {
        self.note(Event::Received { id, message: message.to_vec() });
        if message.starts_with(b"echo") {
            let connections = self.connections.borrow();
            connections.as_ref().unwrap().send(id, message).unwrap();
        }
    }

    fn closed(&self, id: NonZeroU64, _source: SocketAddr, why: CloseReason) {
        self.note(Event::Closed { id, why });
    }

    fn refused(&self, source: Option<SocketAddr>, why: Refused) {
        self.note(Event::Refused { source, why });
    }
}

/// One worker's listener, running.
pub(crate) struct Worker {
    pub(crate) address: SocketAddr,
    pub(crate) listener: Arc<Listener>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) recorder: Rc<Recorder>,
}

impl Worker {
    /// Starts on a free port. Inside of [`run`].
    pub(crate) fn start(settings: Settings) -> Self {
        let socket = bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let address = socket.local_addr().unwrap();
        let connections = Connections::new();
        let listener = Listener::new(settings, Arc::clone(&connections));
        let recorder = Rc::new(Recorder::default());
        recorder.connections.replace(Some(Arc::clone(&connections)));
        tokio::task::spawn_local(serve(
            socket,
            Arc::clone(&listener),
            Rc::clone(&recorder) as Rc<dyn Handler>,
        ));
        Self { address, listener, connections, recorder }
    }

    /// Waits for an event that `pick` takes.
    pub(crate) async fn event<T>(&self, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        loop {
            let changed = self.recorder.changed.notified();
            if let Some(found) = self.recorder.events.borrow().iter().find_map(&mut pick) {
                return found;
            }
            changed.await;
        }
    }

    pub(crate) async fn opened(&self) -> (NonZeroU64, SocketAddr) {
        self.event(|event| match *event {
            Event::Opened { id, source, .. } => Some((id, source)),
            _ => None,
        })
        .await
    }

    pub(crate) async fn received(&self) -> Vec<u8> {
        self.event(|event| match event {
            Event::Received { message, .. } => Some(message.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) async fn closed(&self) -> CloseReason {
        self.event(|event| match *event {
            Event::Closed { why, .. } => Some(why),
            _ => None,
        })
        .await
    }

    pub(crate) async fn refused(&self) -> (Option<SocketAddr>, Refused) {
        self.event(|event| match *event {
            Event::Refused { source, why } => Some((source, why)),
            _ => None,
        })
        .await
    }

    /// How many connections were reported closed.
    pub(crate) fn closes(&self) -> usize {
        self.recorder.events.borrow().iter().filter(|event| matches!(event, Event::Closed { .. })).count()
    }

    pub(crate) async fn connect(&self) -> WebSocketStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        client_async(request(), stream).await.unwrap().0
    }

    pub(crate) async fn connect_tls(&self, pin: &str) -> WebSocketStream<TlsStream<TcpStream>> {
        let stream = self.handshake(pin).await.unwrap();
        client_async(request(), stream).await.unwrap().0
    }

    /// Only the TLS handshake, with a server whose certificate has the fingerprint `pin`.
    pub(crate) async fn handshake(&self, pin: &str) -> std::io::Result<TlsStream<TcpStream>> {
        self.handshake_for("localhost", pin).await
    }

    /// The same, asking for the server `name`; an IP address asks for none.
    pub(crate) async fn handshake_for(
        &self,
        name: &'static str,
        pin: &str,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        TlsConnector::from(client_config_of(rustls::DEFAULT_VERSIONS, pin))
            .connect(name.try_into().unwrap(), stream)
            .await
    }

    /// A raw socket whose upgrade was accepted.
    pub(crate) async fn upgrade_raw(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(raw_request(&[]).as_bytes()).await.unwrap();
        let mut response = Vec::new();
        while !response.ends_with(b"\r\n\r\n") {
            response.push(stream.read_u8().await.unwrap());
        }
        assert!(response.starts_with(b"HTTP/1.1 101 "));
        stream
    }

    /// Sends `request` as it is; gives all that comes until the server closes.
    pub(crate) async fn answer_to(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await
    }
}

pub(crate) async fn read_to_end(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
    let mut bytes = Vec::new();
    // A reset after the last words is an end too.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

/// Runs a test as a worker runs: one thread, one `LocalSet`.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let test = async { tokio::time::timeout(PATIENCE, test).await };
    LocalSet::new().block_on(&runtime, test).expect("what the test waits for never happened");
}

pub(crate) fn request() -> Request<()> {
    let mut request = "ws://localhost/".into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("sip"));
    request
}

/// A sound request, with further header lines.
pub(crate) fn raw_request(headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: sip\r\n{headers}\r\n"
    )
}

pub(crate) fn self_signed() -> Arc<Certificates> {
    Arc::new(Certificates::self_signed(&["localhost".to_owned()]).unwrap())
}

/// Settings of a wss listener that shows `certificates`.
pub(crate) fn wss(certificates: &Arc<Certificates>) -> Settings {
    wss_for(certificates, Vec::new(), PATIENCE)
}

/// The same for clients that ask for one of `names` and are ready within `deadline`.
pub(crate) fn wss_for(
    certificates: &Arc<Certificates>,
    names: Vec<ServerNamePattern>,
    deadline: Duration,
) -> Settings {
    let certificates = Arc::clone(certificates);
    let tls = ServerSettings { certificates, protocol: b"http/1.1", names, clients: None, deadline };
    Settings { tls: Some(Server::new(tls).unwrap()), ..Settings::default() }
}

/// A client of the given TLS versions that trusts the certificate with the fingerprint `pin`.
pub(crate) fn client_config_of(
    versions: &[&'static SupportedProtocolVersion],
    pin: &str,
) -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Pinned { pin: pin.to_owned(), algorithms: provider.signature_verification_algorithms };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Trusts the one certificate with this fingerprint.
#[derive(Debug)]
struct Pinned {
    pin: String,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let digest = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, end_entity);
        let hex: Vec<_> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        if hex.join(":") == self.pin {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
