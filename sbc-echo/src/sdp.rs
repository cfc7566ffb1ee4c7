//! Session descriptions (RFC 8866) in the offer/answer model (RFC 3264), as far as one plain audio stream goes.
//!
//! Of an offer the first audio stream over `RTP/AVP` is taken, with its first voice codec and its
//! telephone-event; every other stream is refused with port 0. Nothing is encrypted, transcoded or bundled.

use std::fmt::Write;
use std::net::IpAddr;

/// Most streams of an offer. A browser with audio, video, screen and data sends four.
const MAX_STREAMS: usize = 16;

/// Payload type of telephone-event in an offer of our own.
const OUR_EVENTS: u8 = 101;

/// Why an offer, or an answer to ours, is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It asks for SRTP, as browsers do.
    WebRtc,
    /// It has no `RTP/AVP` audio stream with a codec.
    NoPlainAudio,
}

impl Refusal {
    /// For the Warning header.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::WebRtc => "WebRTC media is not supported by the echo peer",
            Self::NoPlainAudio => "The echo peer needs an RTP/AVP audio stream",
        }
    }
}

/// Which way media goes, as one side states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    fn of(attribute: &str) -> Option<Self> {
        match attribute {
            "sendrecv" => Some(Self::SendRecv),
            "sendonly" => Some(Self::SendOnly),
            "recvonly" => Some(Self::RecvOnly),
            "inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    /// The same as the other side states it (RFC 3264 §6.1).
    const fn mirrored(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            same => same,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// A description that the other side sent, with the one stream that is taken of it.
#[derive(Debug)]
pub(crate) struct Remote<'a> {
    streams: Vec<Stream<'a>>,
    taken: usize,
    codec: &'a str,
    events: Option<&'a str>,
    direction: Direction,
    /// `c=0.0.0.0`: hold as RFC 2543 had it.
    nowhere: bool,
}

#[derive(Debug, Default)]
struct Stream<'a> {
    kind: &'a str,
    port: &'a str,
    protocol: &'a str,
    formats: &'a str,
    attributes: Vec<&'a str>,
    connection: Option<&'a str>,
}

impl<'a> Remote<'a> {
    /// Read an offer, or the answer to ours.
    ///
    /// # Errors
    /// [`Refusal`] when it has no stream that can be taken; malformed descriptions have none.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(body).map_err(|_| Refusal::NoPlainAudio)?;
        let mut session = Stream::default();
        let mut streams: Vec<Stream<'a>> = Vec::new();
        for line in text.lines() {
            let Some((kind, value)) = line.trim_end().split_once('=') else {
                continue;
            };
            if kind == "m" {
                if streams.len() >= MAX_STREAMS {
                    return Err(Refusal::NoPlainAudio);
                }
                streams.push(Stream::read(value));
            }
            let section = streams.last_mut().unwrap_or(&mut session);
            match kind {
                "a" => section.attributes.push(value),
                "c" => section.connection = Some(value),
                _ => {}
            }
        }
        Self::take(&session, streams)
    }

    fn take(session: &Stream<'a>, streams: Vec<Stream<'a>>) -> Result<Self, Refusal> {
        let found =
            streams.iter().enumerate().find_map(|(position, stream)| Some((position, stream.voice_codec()?)));
        let Some((taken, codec)) = found else {
            return Err(refusal_of(&streams));
        };
        let stream = streams.get(taken).ok_or(Refusal::NoPlainAudio)?;
        let connection = stream.connection.or(session.connection);
        Ok(Self {
            codec,
            events: stream.events(codec),
            direction: stream.direction().or_else(|| session.direction()).unwrap_or(Direction::SendRecv),
            nowhere: connection.is_some_and(|connection| connection.ends_with(" 0.0.0.0")),
            taken,
            streams,
        })
    }

    /// True when the other side wants to hear its echo.
    pub(crate) fn listens(&self) -> bool {
        matches!(self.direction, Direction::SendRecv | Direction::RecvOnly) && !self.nowhere
    }

    /// True when the other side will send.
    pub(crate) fn speaks(&self) -> bool {
        matches!(self.direction, Direction::SendRecv | Direction::SendOnly)
    }

    /// The streams of our answer, from the `m=` lines on.
    fn answer(&self, port: u16) -> String {
        let mut out = String::new();
        for (position, stream) in self.streams.iter().enumerate() {
            if position == self.taken {
                self.accept(stream, port, &mut out);
            } else {
                push(&mut out, format_args!("m={} 0 {} {}", stream.kind, stream.protocol, stream.formats));
            }
        }
        out
    }

    fn accept(&self, stream: &Stream<'_>, port: u16, out: &mut String) {
        let formats = [Some(self.codec), self.events].into_iter().flatten();
        let list = formats.clone().collect::<Vec<_>>().join(" ");
        push(out, format_args!("m=audio {port} RTP/AVP {list}"));
        for format in formats {
            for attribute in
                ["rtpmap:", "fmtp:"].into_iter().filter_map(|name| stream.described(name, format))
            {
                push(out, format_args!("a={attribute}"));
            }
        }
        push(out, format_args!("a={}", self.direction.mirrored().text()));
    }
}

impl<'a> Stream<'a> {
    fn read(value: &'a str) -> Self {
        let mut parts = value.splitn(4, ' ');
        let mut next = || parts.next().unwrap_or_default();
        Self { kind: next(), port: next(), protocol: next(), formats: next(), ..Self::default() }
    }

    fn direction(&self) -> Option<Direction> {
        self.attributes.iter().find_map(|attribute| Direction::of(attribute))
    }

    /// The whole attribute that begins with `name` and speaks of `format`.
    fn described(&self, name: &str, format: &str) -> Option<&'a str> {
        self.attributes.iter().copied().find(|attribute| {
            attribute
                .strip_prefix(name)
                .and_then(|rest| rest.split(' ').next())
                .is_some_and(|of| of == format)
        })
    }

    /// Such as `opus/48000/2`.
    fn encoding(&self, format: &str) -> Option<&'a str> {
        self.described("rtpmap:", format)?.split_once(' ').map(|(_, encoding)| encoding.trim())
    }

    fn voice_codec(&self) -> Option<&'a str> {
        let is_plain_audio = self.kind == "audio" && self.protocol == "RTP/AVP" && self.port != "0";
        self.formats.split_ascii_whitespace().find(|format| is_plain_audio && self.is_voice(format))
    }

    fn is_voice(&self, format: &str) -> bool {
        match (self.encoding(format), format.parse::<u8>()) {
            (Some(encoding), Ok(_)) => {
                !is_encoding(encoding, "telephone-event") && !is_encoding(encoding, "CN")
            }
            // The static types of RFC 3551 need no rtpmap; 13 and 19 are comfort noise.
            (None, Ok(number)) => number <= 34 && !matches!(number, 13 | 19),
            (_, Err(_)) => false,
        }
    }

    /// telephone-event (RFC 4733) with the clock rate of `codec`.
    fn events(&self, codec: &str) -> Option<&'a str> {
        let rate =
            |format| self.encoding(format).and_then(|encoding| encoding.split('/').nth(1)).unwrap_or("8000");
        self.formats.split_ascii_whitespace().find(|format| {
            self.encoding(format).is_some_and(|encoding| is_encoding(encoding, "telephone-event"))
                && rate(format) == rate(codec)
        })
    }
}

fn is_encoding(encoding: &str, name: &str) -> bool {
    encoding.split('/').next().is_some_and(|found| found.eq_ignore_ascii_case(name))
}

fn refusal_of(streams: &[Stream<'_>]) -> Refusal {
    let is_secure = |stream: &Stream<'_>| stream.kind == "audio" && stream.protocol.contains("SAVP");
    if streams.iter().any(is_secure) { Refusal::WebRtc } else { Refusal::NoPlainAudio }
}

/// Our side of one call's descriptions. The version moves only when the content does (RFC 3264 §8).
#[derive(Debug)]
pub(crate) struct Local {
    ip: IpAddr,
    port: u16,
    version: u32,
    streams: String,
}

impl Local {
    pub(crate) fn new(ip: IpAddr, port: u16) -> Self {
        Self { ip, port, version: 0, streams: String::new() }
    }

    /// The answer to an offer.
    pub(crate) fn answer(&mut self, offer: &Remote<'_>) -> String {
        self.describe(offer.answer(self.port))
    }

    /// An offer of our own: G.711 and telephone-event.
    pub(crate) fn offer(&mut self) -> String {
        let mut streams = String::new();
        push(&mut streams, format_args!("m=audio {} RTP/AVP 0 8 {OUR_EVENTS}", self.port));
        push(&mut streams, format_args!("a=rtpmap:0 PCMU/8000"));
        push(&mut streams, format_args!("a=rtpmap:8 PCMA/8000"));
        push(&mut streams, format_args!("a=rtpmap:{OUR_EVENTS} telephone-event/8000"));
        push(&mut streams, format_args!("a=fmtp:{OUR_EVENTS} 0-16"));
        push(&mut streams, format_args!("a=sendrecv"));
        self.describe(streams)
    }

    fn describe(&mut self, streams: String) -> String {
        if streams != self.streams {
            self.version = self.version.wrapping_add(1);
            self.streams = streams;
        }
        let family = if self.ip.is_ipv4() { "IP4" } else { "IP6" };
        let (ip, port, version) = (self.ip, self.port, self.version);
        let mut out = String::new();
        push(&mut out, format_args!("v=0"));
        push(&mut out, format_args!("o=- {port} {version} IN {family} {ip}"));
        push(&mut out, format_args!("s=-"));
        push(&mut out, format_args!("c=IN {family} {ip}"));
        push(&mut out, format_args!("t=0 0"));
        out + &self.streams
    }
}

fn push(out: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{line}\r\n");
}

#[cfg(test)]
mod tests {
    use super::{Local, Refusal, Remote};

    fn answer(offer: &str) -> String {
        let offer = offer.replace('\n', "\r\n");
        let remote = Remote::read(offer.as_bytes()).unwrap();
        Local::new("192.0.2.1".parse().unwrap(), 4000).answer(&remote).replace("\r\n", "\n")
    }

    const HEAD: &str = "v=0\no=- 4000 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n";

    #[test]
    fn the_first_voice_codec_and_the_events_of_its_rate_are_taken() {
        let offer = "v=0\nc=IN IP4 192.0.2.9\nm=audio 9000 RTP/AVP 13 111 0 96 97\na=rtpmap:111 opus/48000/2\n\
                     a=fmtp:111 useinbandfec=1\na=rtpmap:96 telephone-event/8000\na=rtpmap:97 telephone-event/48000\n\
                     a=fmtp:97 0-16\n";
        let streams = "m=audio 4000 RTP/AVP 111 97\na=rtpmap:111 opus/48000/2\na=fmtp:111 useinbandfec=1\n\
                       a=rtpmap:97 telephone-event/48000\na=fmtp:97 0-16\na=sendrecv\n";
        assert_eq!(answer(offer), format!("{HEAD}{streams}"));
    }

    #[test]
    fn other_streams_are_refused_in_their_places() {
        let offer = "v=0\nm=video 9002 RTP/AVP 99\nm=audio 9000 RTP/AVP 8\nm=audio 9004 RTP/AVP 0\n";
        let streams = "m=video 0 RTP/AVP 99\nm=audio 4000 RTP/AVP 8\na=sendrecv\nm=audio 0 RTP/AVP 0\n";
        assert_eq!(answer(offer), format!("{HEAD}{streams}"));
    }

    #[test]
    fn the_direction_is_mirrored_from_the_stream_or_else_the_session() {
        for (theirs, ours) in [
            ("sendrecv", "sendrecv"),
            ("sendonly", "recvonly"),
            ("recvonly", "sendonly"),
            ("inactive", "inactive"),
        ] {
            assert!(
                answer(&format!("v=0\nm=audio 9000 RTP/AVP 0\na={theirs}\n"))
                    .ends_with(&format!("a={ours}\n"))
            );
            assert!(
                answer(&format!("v=0\na={theirs}\nm=audio 9000 RTP/AVP 0\n"))
                    .ends_with(&format!("a={ours}\n"))
            );
        }
    }

    #[test]
    fn a_held_peer_gets_no_echo() {
        let held = Remote::read(b"v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 9 RTP/AVP 0\r\n").unwrap();
        assert!(!held.listens());
        let sending = Remote::read(b"v=0\r\nm=audio 9 RTP/AVP 0\r\na=sendonly\r\n").unwrap();
        assert!(!sending.listens() && sending.speaks());
    }

    #[test]
    fn offers_without_plain_audio_are_refused_with_the_reason() {
        let refusal = |offer: &str| Remote::read(offer.as_bytes()).unwrap_err();
        assert_eq!(
            refusal("v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 111\na=rtpmap:111 opus/48000/2\n"),
            Refusal::WebRtc
        );
        for offer in [
            "",
            "v=0",
            "m=",
            "m=audio",
            "m=audio 0 RTP/AVP 0",
            "m=video 9 RTP/AVP 99",
            "m=audio 9 RTP/AVP 101\na=rtpmap:101 telephone-event/8000",
            "m=audio 9 RTP/AVP 120",
        ] {
            assert_eq!(refusal(offer), Refusal::NoPlainAudio, "{offer}");
        }
        assert_eq!(refusal(&"m=audio 9 RTP/AVP 0\n".repeat(17)), Refusal::NoPlainAudio);
        assert_eq!(Remote::read(b"\xff").unwrap_err(), Refusal::NoPlainAudio);
    }

    #[test]
    fn the_version_moves_only_with_the_content() {
        let mut local = Local::new("::1".parse().unwrap(), 4000);
        let first = local.offer();
        assert!(first.contains("o=- 4000 1 IN IP6 ::1\r\n"));
        assert_eq!(local.offer(), first);
        let held = Remote::read(b"m=audio 9 RTP/AVP 0\na=inactive").unwrap();
        assert!(local.answer(&held).contains("o=- 4000 2 IN IP6 ::1\r\n"));
    }
}
