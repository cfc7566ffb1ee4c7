//! One SIP message as an owned value: read with the project's readers, written with plain formatting.
//!
//! Header names are kept in their long form and in the order they came. Text that is not UTF-8 is replaced:
//! endpoints of a test have no use for it.

use std::net::SocketAddr;

use sbc_core::wire::{self, CSeq, Framing, HeaderName, Index, Limits, NameAddr, Uri, Via};

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A request line.
    Request {
        /// INVITE, ACK, …
        method: String,
        /// Request-URI.
        uri: String,
    },
    /// A status line.
    Response {
        /// 100 to 699.
        status: u16,
        /// Reason phrase.
        reason: String,
    },
}

/// A body and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Content-Type.
    pub kind: String,
    /// The text itself.
    pub text: String,
}

impl Body {
    /// An SDP body.
    pub fn sdp(text: String) -> Self {
        Self { kind: "application/sdp".into(), text }
    }
}

/// A whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// First line.
    pub start: Start,
    /// Name and value, in order.
    pub headers: Vec<(String, String)>,
    /// What follows the empty line.
    pub body: String,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Message {
    /// Read one datagram or WebSocket message.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut index = Index::new();
        index.parse(bytes, Framing::Datagram, &Limits::default()).map_err(|error| error.to_string())?;
        let message = wire::Message::new(bytes, &index);
        let start = if message.is_request() {
            Start::Request { method: text(message.method_text()), uri: text(message.request_uri()) }
        } else {
            Start::Response { status: message.status(), reason: text(message.reason_phrase()) }
        };
        let headers = message
            .headers()
            .map(|header| {
                let name = match header.name {
                    HeaderName::Other => text(header.raw_name),
                    known => known.canonical().to_owned(),
                };
                (name, text(header.value))
            })
            .collect();
        Ok(Self { start, headers, body: text(message.body()) })
    }

    /// An empty request.
    pub fn request(method: &str, uri: &str) -> Self {
        Self {
            start: Start::Request { method: method.into(), uri: uri.into() },
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// An empty response.
    pub fn response(status: u16, reason: &str) -> Self {
        Self {
            start: Start::Response { status, reason: reason.into() },
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// Append a header.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.into(), value.into()));
    }

    /// Append copies of every header `name` of `from`.
    pub fn copy(&mut self, from: &Self, name: &str) {
        let values: Vec<_> = from.all(name).map(str::to_owned).collect();
        values.into_iter().for_each(|value| self.push(name, value));
    }

    /// Append Content-Type, Content-Disposition and Content-Length as the body needs, and the body.
    pub fn close(&mut self, body: Option<Body>) {
        if let Some(body) = body {
            let session = body.kind == "application/sdp";
            self.push("Content-Type", body.kind);
            if session {
                self.push("Content-Disposition", "session");
            }
            self.body = body.text;
        }
        self.push("Content-Length", self.body.len().to_string());
    }

    /// The bytes to send.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = match &self.start {
            Start::Request { method, uri } => format!("{method} {uri} SIP/2.0\r\n"),
            Start::Response { status, reason } => format!("SIP/2.0 {status} {reason}\r\n"),
        };
        for (name, value) in &self.headers {
            out.push_str(name);
            out.push_str(": ");
            out.push_str(value);
            out.push_str("\r\n");
        }
        out.push_str("\r\n");
        out.push_str(&self.body);
        out.into_bytes()
    }

    /// True for a request.
    pub const fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The request's method, or that of the CSeq of a response.
    pub fn method(&self) -> &str {
        match &self.start {
            Start::Request { method, .. } => method,
            Start::Response { .. } => {
                self.get("CSeq").and_then(|value| value.split_whitespace().nth(1)).unwrap_or("")
            }
        }
    }

    /// Request-URI, or nothing.
    pub fn uri(&self) -> &str {
        match &self.start {
            Start::Request { uri, .. } => uri,
            Start::Response { .. } => "",
        }
    }

    /// Status, or 0.
    pub const fn status(&self) -> u16 {
        match self.start {
            Start::Request { .. } => 0,
            Start::Response { status, .. } => status,
        }
    }

    /// First value of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All values of a header, one for each line.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// All values of a comma-separated header, one for each item.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.all(name).flat_map(|value| wire::split(value.as_bytes()).map(|item| text(item.text))).collect()
    }

    /// True when a comma-separated header of tokens has `token`.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.list(name).iter().any(|item| item.eq_ignore_ascii_case(token))
    }

    /// Call-ID, or nothing.
    pub fn call_id(&self) -> &str {
        self.get("Call-ID").unwrap_or("")
    }

    /// CSeq number; 0 when it cannot be read.
    pub fn cseq(&self) -> u32 {
        self.get("CSeq").and_then(|value| CSeq::parse(value.as_bytes()).ok()).map_or(0, |cseq| cseq.number)
    }

    /// Tag of From or To; empty without one.
    pub fn tag(&self, name: &str) -> String {
        self.get(name)
            .and_then(|value| NameAddr::parse(value.as_bytes()).ok())
            .and_then(|address| address.tag().map(text))
            .unwrap_or_default()
    }

    /// The first URI of a header of addresses: From, To, Contact, Refer-To, ….
    pub fn uri_of(&self, name: &str) -> Option<String> {
        self.list(name).first().and_then(|value| address_uri(value))
    }

    /// A number in a header, without what follows a semicolon.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.split(';').next()?.trim().parse().ok()
    }

    /// Branch and sent-by of the top Via.
    pub fn top_via(&self) -> Option<(String, String)> {
        let item = self.list("Via").into_iter().next()?;
        let via = Via::parse(item.as_bytes()).ok()?;
        Some((text(via.branch().unwrap_or(b"")), text(via.sent_by_text())))
    }

    /// Where a response to this request goes by its top Via (RFC 3261 §18.2.2, RFC 3581), and the request
    /// with `received` and `rport` filled in as a server does.
    pub fn note_source(&mut self, source: SocketAddr) -> SocketAddr {
        let Some((_, value)) = self.headers.iter_mut().find(|(name, _)| name == "Via") else {
            return source;
        };
        let mut items: Vec<String> = wire::split(value.as_bytes()).map(|item| text(item.text)).collect();
        let Some(top) = items.first_mut() else {
            return source;
        };
        let Ok(via) = Via::parse(top.as_bytes()) else {
            return source;
        };
        // A connection is answered on itself; only datagrams are led by what the Via says.
        let asked = via.rport().is_some() || !via.transport.eq_ignore_ascii_case(b"UDP");
        let port = via.port.unwrap_or(5060);
        let same_host = via.host == source.ip().to_string().as_bytes();
        let filled = via.rport().is_some().then(|| fill_rport(top, source.port()));
        let mut new = filled.unwrap_or_else(|| top.clone());
        if !same_host {
            new.push_str(&format!(";received={}", source.ip()));
        }
        *top = new;
        *value = items.join(", ");
        if asked { source } else { SocketAddr::new(source.ip(), port) }
    }
}

/// Give the `rport` of a Via its value.
fn fill_rport(via: &str, port: u16) -> String {
    let mut out = Vec::new();
    for part in via.split(';') {
        let name = part.split('=').next().unwrap_or("").trim();
        out.push(if name.eq_ignore_ascii_case("rport") { format!("rport={port}") } else { part.to_owned() });
    }
    out.join(";")
}

/// The URI inside a name-addr or addr-spec.
pub fn address_uri(value: &str) -> Option<String> {
    NameAddr::parse(value.as_bytes()).ok().map(|address| text(address.uri))
}

/// The user part of a URI, or nothing.
pub fn uri_user(uri: &str) -> String {
    Uri::parse(uri.as_bytes()).ok().and_then(|uri| uri.user.map(text)).unwrap_or_default()
}

/// The host of a URI, or nothing.
pub fn uri_host(uri: &str) -> String {
    Uri::parse(uri.as_bytes()).map(|uri| text(uri.host)).unwrap_or_default()
}

/// Where a URI with a literal address leads.
pub fn uri_address(uri: &str) -> Option<SocketAddr> {
    Uri::parse(uri.as_bytes()).ok()?.socket_address()
}

/// The standard phrase of a status.
pub const fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        422 => "Session Interval Too Small",
        480 => "Temporarily Unavailable",
        481 => "Call Does Not Exist",
        482 => "Request merged",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Unknown",
    }
}
