//! What the front ends are told: from the checked settings of each listener to those of `sbc-ws` and `sbc-tcp`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sbc_core::flow::{ListenerId, Zone};
use sbc_tcp::EgressLimits;
use sbc_tls::{Certificates, ServerSettings};
use sbc_ws::ClientAddress;

use super::open_files;
use crate::config::{ListenerSettings, Settings, Stream, Tls, WebSocket};

/// How long a TLS handshake may take.
const TLS_DEADLINE: Duration = Duration::from_secs(5);
/// What is spoken over TLS, as ALPN names it (RFC 7301 §6).
const HTTP: &[u8] = b"http/1.1";
const SIP: &[u8] = b"sip/2";
/// Hundreds of agents sit behind one office's address, and a browser that reconnects holds two for a moment.
const BROWSERS_PER_SOURCE: usize = 10_000;

/// Names that a self-signed certificate carries beside the advertised one.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// A server's connection carries the messages of all its calls.
const SERVER_EGRESS: EgressLimits = EgressLimits { bytes: 8 << 20, messages: 16 * 1024 };

/// What one front end is told, by listener.
type Told<T> = Vec<(ListenerId, T)>;

/// All WebSocket listeners.
///
/// # Errors
/// A certificate that cannot be made or used.
pub(super) fn websockets(
    settings: &Settings,
    open_files: usize,
    self_signed: &SelfSigned,
) -> anyhow::Result<Told<sbc_ws::Settings>> {
    let mut told = Vec::new();
    for (id, listener) in (0_u16..).map(ListenerId).zip(&settings.listeners) {
        if let Some(websocket) = &listener.websocket {
            told.push((id, websocket_settings(settings, listener, websocket, open_files, self_signed)?));
        }
    }
    Ok(told)
}

/// All TCP and TLS listeners.
///
/// # Errors
/// A certificate that cannot be made or used.
pub(super) fn streams(
    settings: &Settings,
    open_files: usize,
    self_signed: &SelfSigned,
) -> anyhow::Result<Told<sbc_tcp::Settings>> {
    let mut told = Vec::new();
    for (id, listener) in (0_u16..).map(ListenerId).zip(&settings.listeners) {
        if let Some(stream) = &listener.stream {
            told.push((id, stream_settings(settings, listener, stream, open_files, self_signed)?));
        }
    }
    Ok(told)
}

fn websocket_settings(
    settings: &Settings,
    listener: &ListenerSettings,
    websocket: &WebSocket,
    open_files: usize,
    self_signed: &SelfSigned,
) -> anyhow::Result<sbc_ws::Settings> {
    let tls = tls_of(listener).map(|tls| tls_server(listener, tls, HTTP, self_signed)).transpose()?;
    let connection = listener.connection.as_ref();
    let per_source = connection.and_then(|connection| connection.per_source);
    Ok(sbc_ws::Settings {
        tls,
        path: websocket.path.clone(),
        origins: websocket.origins.clone(),
        tickets: websocket.tickets.clone(),
        client_address: connection.map_or(ClientAddress::Socket, |connection| connection.client_address),
        trusted_proxies: connection.map(|connection| connection.trusted_proxies.clone()).unwrap_or_default(),
        max_per_source: per_source.unwrap_or(BROWSERS_PER_SOURCE),
        first_message_deadline: websocket.first_message,
        ping_interval: websocket.ping_interval,
        pong_timeout: websocket.pong_timeout,
        max_message: settings.admission.max_message,
        max_connections: open_files::for_connections(open_files),
        ..sbc_ws::Settings::default()
    })
}

fn stream_settings(
    settings: &Settings,
    listener: &ListenerSettings,
    stream: &Stream,
    open_files: usize,
    self_signed: &SelfSigned,
) -> anyhow::Result<sbc_tcp::Settings> {
    let tls = match tls_of(listener) {
        Some(tls) => Some(stream_tls(listener, tls, self_signed)?),
        None => None,
    };
    let connection = listener.connection.as_ref();
    let defaults = sbc_tcp::Settings::default();
    let is_public = listener.core.zone == Zone::Public;
    Ok(sbc_tcp::Settings {
        tls,
        proxies: connection.map(|connection| connection.trusted_proxies.clone()).unwrap_or_default(),
        max_message: settings.admission.max_message,
        max_connections: open_files::for_connections(open_files),
        max_per_source: connection.and_then(|one| one.per_source).unwrap_or(defaults.max_per_source),
        idle: stream.idle_timeout,
        egress: if is_public { defaults.egress } else { SERVER_EGRESS },
        ..defaults
    })
}

fn stream_tls(
    listener: &ListenerSettings,
    tls: &Tls,
    self_signed: &SelfSigned,
) -> anyhow::Result<sbc_tcp::Tls> {
    let own = tls.certificates.as_deref();
    let client = tls.ca.as_ref().map(|ca| sbc_tls::Client::new(ca, own, TLS_DEADLINE)).transpose()?;
    let server = tls_server(listener, tls, SIP, self_signed)?;
    Ok(sbc_tcp::Tls { server, client, names: listener.names.clone() })
}

fn tls_of(listener: &ListenerSettings) -> Option<&Tls> {
    listener.connection.as_ref()?.tls.as_ref()
}

/// How a listener's clients are met; shown the certificate that we made ourselves where none is configured.
fn tls_server(
    listener: &ListenerSettings,
    tls: &Tls,
    protocol: &'static [u8],
    self_signed: &SelfSigned,
) -> anyhow::Result<sbc_tls::Server> {
    let certificates = match &tls.certificates {
        Some(certificates) => Arc::clone(certificates),
        None => self_signed.of(listener)?,
    };
    let settings = ServerSettings {
        certificates,
        protocol,
        names: tls.server_names.clone(),
        clients: tls.client_ca.clone(),
        deadline: TLS_DEADLINE,
    };
    Ok(sbc_tls::Server::new(settings)?)
}

/// The certificates that this process made for itself, by listener: a reload keeps them.
#[derive(Default)]
pub(super) struct SelfSigned(Mutex<HashMap<Box<str>, Arc<Certificates>>>);

impl SelfSigned {
    /// The listener's own, made when it is first asked for.
    pub(super) fn of(&self, listener: &ListenerSettings) -> anyhow::Result<Arc<Certificates>> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(&listener.core.name) {
            return Ok(Arc::clone(known));
        }
        let new = Arc::new(self_signed(listener)?);
        made.insert(listener.core.name.clone(), Arc::clone(&new));
        Ok(new)
    }
}

fn self_signed(listener: &ListenerSettings) -> anyhow::Result<Certificates> {
    let mut names: Vec<String> = LOCAL_NAMES.map(str::to_owned).to_vec();
    let told = listener.core.advertise.host.to_string();
    if !names.contains(&told) {
        names.push(told);
    }
    let certificates = Certificates::self_signed(&names)?;
    let listener = &*listener.core.name;
    tracing::warn!(
        listener,
        fingerprint = certificates.fingerprint(),
        "a self-signed certificate was made: clients will refuse it until certificate and private_key are set"
    );
    Ok(certificates)
}
