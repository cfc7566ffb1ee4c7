//! Session descriptions of the size and shape that FreeSWITCH and browsers send. No media stands behind them.

use super::ids::Ids;

/// What kind of media a description offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RTP/AVP.
    Plain,
    /// SAVPF with DTLS and ICE.
    Web,
}

/// One side's description of one call: the same origin in every answer and offer of it.
#[derive(Debug, Clone)]
pub struct Media {
    name: &'static str,
    host: String,
    session: u64,
    port: u16,
    ufrag: String,
    password: String,
    stream: String,
    ssrc: u32,
    /// Our DTLS role in answers: it never changes during a call (RFC 8842 §5.3).
    role: &'static str,
    /// Candidates beside the first one, as of a machine with many interfaces.
    more_candidates: u16,
}

impl Media {
    /// Media of `name` (the user in `o=`) at `host`.
    pub fn new(name: &'static str, host: &str, ids: &mut Ids) -> Self {
        let number = ids.number();
        Self {
            name,
            host: host.into(),
            session: 1_795_000_000 + number % 1_000_000,
            port: 16_384 + (number >> 32) as u16 % 8_000 * 2,
            ufrag: ids.text(16),
            password: ids.text(24),
            stream: ids.text(32),
            ssrc: (number >> 20) as u32,
            role: "active",
            more_candidates: 0,
        }
    }

    /// With so many candidates beside the first one in descriptions for browsers: each is some 90 bytes.
    pub fn with_more_candidates(self, more_candidates: u16) -> Self {
        Self { more_candidates, ..self }
    }

    /// Media of a call that begins with our offer: whoever answers takes the active role (RFC 5763 §5).
    pub fn offerer(self) -> Self {
        Self { role: "passive", ..self }
    }

    /// An offer.
    pub fn offer(&self, kind: Kind) -> String {
        match kind {
            Kind::Plain => {
                self.plain("0 8 101 13", "a=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\n", "sendrecv")
            }
            Kind::Web => self.web("RTP/SAVPF", "0 8 101 13", "actpass", "sendrecv"),
        }
    }

    /// An answer to `offer`, in its profile and with its direction mirrored.
    pub fn answer(&self, offer: &str) -> String {
        let direction = mirrored(offer);
        match kind_of(offer) {
            Kind::Plain => self.plain("0 101", "", direction),
            Kind::Web => {
                let profile =
                    if offer.contains("UDP/TLS/RTP/SAVPF") { "UDP/TLS/RTP/SAVPF" } else { "RTP/SAVPF" };
                self.web(profile, "0 101", self.role, direction)
            }
        }
    }

    /// The offer again with another direction, as for hold.
    pub fn directed(&self, kind: Kind, direction: &str) -> String {
        match kind {
            Kind::Plain => self.plain("0 101", "", direction),
            Kind::Web => self.web("UDP/TLS/RTP/SAVPF", "0 101", "actpass", direction),
        }
    }

    fn head(&self) -> String {
        format!(
            "v=0\r\no={} {} {} IN IP4 {host}\r\ns={}\r\nc=IN IP4 {host}\r\nt=0 0\r\n",
            self.name,
            self.session,
            self.session + 1,
            self.name,
            host = self.host
        )
    }

    fn plain(&self, payloads: &str, more: &str, direction: &str) -> String {
        let (port, host) = (self.port, &self.host);
        let direction = if direction == "sendrecv" { String::new() } else { format!("a={direction}\r\n") };
        format!(
            "{}m=audio {port} RTP/AVP {payloads}\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
             a=fmtp:101 0-15\r\n{more}{direction}a=ptime:20\r\na=rtcp:{} IN IP4 {host}\r\n",
            self.head(),
            port + 1,
        )
    }

    fn web(&self, profile: &str, payloads: &str, setup: &str, direction: &str) -> String {
        let Self { port, host, ssrc, stream, .. } = self;
        let more: String = (1..=self.more_candidates)
            .map(|n| {
                format!("a=candidate:{n} 1 udp 2130706431 {host} {} typ host generation 0\r\n", port + n)
            })
            .collect();
        let fingerprint: Vec<_> = (0..32u32).map(|n| format!("{:02X}", ssrc.rotate_left(n) & 0xff)).collect();
        format!(
            "{}a=msid-semantic: WMS {stream}\r\nm=audio {port} {profile} {payloads}\r\na=rtpmap:0 PCMU/8000\r\n\
             a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=rtpmap:13 CN/8000\r\n\
             a=fingerprint:sha-256 {}\r\na=setup:{setup}\r\na={direction}\r\na=rtcp-mux\r\n\
             a=rtcp:{port} IN IP4 {host}\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n\
             a=candidate:2987082786 1 udp 2130706431 {host} {port} typ host generation 0\r\n{more}a=end-of-candidates\r\n\
             a=ssrc:{ssrc} cname:{}\r\na=ssrc:{ssrc} msid:{stream} a0\r\na=ssrc:{ssrc} mslabel:{stream}\r\n\
             a=ssrc:{ssrc} label:{stream}a0\r\na=ptime:20\r\n",
            self.head(),
            fingerprint.join(":"),
            self.ufrag,
            self.password,
            self.ufrag,
        )
    }
}

/// What an offer asks for.
pub fn kind_of(sdp: &str) -> Kind {
    if sdp.contains("SAVPF") { Kind::Web } else { Kind::Plain }
}

/// The direction that answers an offer's (RFC 3264 §6.1).
fn mirrored(offer: &str) -> &'static str {
    if offer.contains("a=sendonly") {
        "recvonly"
    } else if offer.contains("a=recvonly") {
        "sendonly"
    } else if offer.contains("a=inactive") {
        "inactive"
    } else {
        "sendrecv"
    }
}
