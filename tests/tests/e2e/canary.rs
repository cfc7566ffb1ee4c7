//! Nothing that somebody outside writes makes sbc send to an address of his choice, and none of it reaches the pool as
//! something that only sbc may say. The canaries are real sockets on loopback, where every spelling of it leads.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sbc_core::flow::Transport;
use sbc_tests::lures::{
    Dialog, METHODS, SPELLINGS, Sender, believed_in_vain, claims, lure, lure_inside, places,
};
use sbc_tests::process::{ANSWERED, Balance, PATIENCE, Recorder, Sbc, Site, alone, until, until_within};
use sbc_tests::ua::message::Message;

/// What was sent last is on its way for no longer.
const LAST_WORD: Duration = Duration::from_millis(700);
/// So many datagrams are sent without a pause: the listener's buffer holds more.
const VOLLEY: usize = 50;
const PAUSE: Duration = Duration::from_millis(4);

/// Sockets at one port of both loopback addresses. Nobody has any business there.
struct Canary {
    port: u16,
    datagrams: Vec<UdpSocket>,
    streams: Vec<TcpListener>,
}

impl Canary {
    fn new() -> Self {
        for _ in 0..200 {
            let first = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            let port = first.local_addr().expect("bound").port();
            let other = UdpSocket::bind(("::1", port));
            let streams = ["127.0.0.1", "::1"].map(|host| TcpListener::bind((host, port)));
            if let (Ok(other), [Ok(four), Ok(six)]) = (other, streams) {
                let (datagrams, streams) = (vec![first, other], vec![four, six]);
                datagrams.iter().for_each(|socket| socket.set_nonblocking(true).expect("a socket"));
                streams.iter().for_each(|socket| socket.set_nonblocking(true).expect("a socket"));
                return Self { port, datagrams, streams };
            }
        }
        panic!("no port that is free at both loopback addresses, by UDP and by TCP");
    }

    /// It hears what is said to it, in all spellings that the system knows.
    fn sings(&self) {
        let socket = UdpSocket::bind("[::]:0").expect("a socket");
        let spoken = ["::1", "::ffff:127.0.0.1", "localhost"];
        for host in spoken {
            socket.send_to(b"tweet", (host, self.port)).expect("sent");
        }
        let _stream = TcpStream::connect(("127.1", self.port)).expect("a connection");
        assert_eq!(self.heard().len(), spoken.len() + 1);
    }

    /// What came.
    fn heard(&self) -> Vec<String> {
        let mut heard = Vec::new();
        let mut buffer = vec![0; 65_536];
        for socket in &self.datagrams {
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                heard.push(format!("from {from}: {}", String::from_utf8_lossy(&buffer[..length])));
            }
        }
        let peers = self.streams.iter().filter_map(|listener| listener.accept().ok());
        heard.extend(peers.map(|(_, from)| format!("a connection from {from}")));
        heard
    }
}

/// How somebody speaks to sbc.
enum Line {
    Udp(UdpSocket),
    /// A byte stream; `true`: each message in a WebSocket frame.
    Stream(TcpStream, bool),
}

struct Door {
    transport: &'static str,
    own: SocketAddr,
    edge: SocketAddr,
    line: Line,
    /// All that sbc said to it.
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Door {
    fn udp(site: &Site) -> Self {
        let socket = UdpSocket::bind(site.outside()).expect("a free port");
        socket.connect(site.udp).expect("sbc is there");
        let own = socket.local_addr().expect("bound");
        let reader = socket.try_clone().expect("a second handle");
        let heard = listen(move |buffer| reader.recv(buffer));
        Self { transport: "UDP", own, edge: site.udp, line: Line::Udp(socket), heard }
    }

    fn tcp(site: &Site) -> Self {
        let edge = site.streams.as_ref().expect("a site with streams").tcp;
        Self::stream("TCP", edge)
    }

    fn ws(site: &Site) -> Self {
        let mut door = Self::stream("WS", site.ws);
        let upgrade = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: sip\r\n\r\n",
            site.ws
        );
        door.say(&upgrade);
        until("the upgrade", || door.has_heard("HTTP/1.1 101"));
        if let Line::Stream(_, framed) = &mut door.line {
            *framed = true;
        }
        door
    }

    fn stream(transport: &'static str, edge: SocketAddr) -> Self {
        let stream = TcpStream::connect(edge).expect("sbc is there");
        let own = stream.local_addr().expect("connected");
        let mut reader = stream.try_clone().expect("a second handle");
        let heard = listen(move |buffer| reader.read(buffer));
        Self { transport, own, edge, line: Line::Stream(stream, false), heard }
    }

    /// False where sbc has closed the connection.
    fn say(&mut self, text: &str) -> bool {
        match &mut self.line {
            // An ICMP error is told once; the socket stays good.
            Line::Udp(socket) => socket.send(text.as_bytes()).is_ok() || socket.send(text.as_bytes()).is_ok(),
            Line::Stream(stream, false) => stream.write_all(text.as_bytes()).is_ok(),
            Line::Stream(stream, true) => stream.write_all(&frame(text.as_bytes())).is_ok(),
        }
    }

    fn has_heard(&self, what: &str) -> bool {
        self.said().contains(what)
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().expect("a reader that lives")).into_owned()
    }

    fn sender<'a>(&self, own: &'a str, edge: &'a str) -> Sender<'a> {
        Sender { transport: self.transport, own, edge }
    }

    /// What is said behind everything else is answered after it.
    fn has_been_heard_out(&mut self, number: usize) -> bool {
        let (own, edge) = (self.own.to_string(), self.edge.to_string());
        let text = lure(&self.sender(&own, &edge), "OPTIONS", usize::MAX, "", 0, number);
        self.say(&text) && until_within(PATIENCE, || self.has_heard(&format!("Call-ID: lure-{number}\r\n")))
    }
}

fn listen(mut read: impl FnMut(&mut [u8]) -> std::io::Result<usize> + Send + 'static) -> Arc<Mutex<Vec<u8>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let its = Arc::clone(&heard);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        loop {
            match read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => its.lock().expect("a test that lives").extend_from_slice(&buffer[..length]),
                // The other side was not there for a moment.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => return,
            }
        }
    });
    heard
}

/// One masked frame of binary data; the mask is all zeros.
fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x82];
    match u16::try_from(payload.len()) {
        Ok(length) if length < 126 => frame.push(0x80 | length as u8),
        Ok(length) => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => panic!("a message of more than 64 KiB"),
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// Whoever is on the allow list is neither limited nor banned: every request is judged for itself. Rules write what they
/// captured into headers.
fn start<'s>(site: &'s Site) -> Sbc<'s> {
    Sbc::start_with(site, Balance::CallId, |config| {
        site.write_rules(
            "[[rule]]\nname = \"what was asked for\"\nmatch = { zone = \"public\", user = { regex = \"^(.*)$\" } }\n\
             set = { headers = { X-Asked = \"$1\", X-Said = \"for $1 at ${domain}\" } }\nnext = true\n",
        );
        let allowed = config.replace("[admission]\n", "[admission]\nallow = [\"127.0.0.0/8\"]\n");
        format!("overload = false\n{allowed}")
    })
}

/// Registers 1004 over a door, by a member that believes everybody.
fn register(door: &mut Door, number: usize) {
    let (own, edge) = (door.own.to_string(), door.edge.to_string());
    door.say(&lure(&door.sender(&own, &edge), "REGISTER", usize::MAX, "", 0, number));
    until("a registration", || door.has_heard(&format!("Call-ID: lure-{number}\r\n")));
}

/// A call that is up, and its dialog as the caller has to write it.
fn call(door: &mut Door) -> Dialog {
    let (own, edge) = (door.own.to_string(), door.edge.to_string());
    let text = lure(&door.sender(&own, &edge), "INVITE", usize::MAX, "", 0, 999_999);
    let text = text.replace("lure-999999", ANSWERED);
    door.say(&text);
    until("an answer", || {
        door.said().contains(&format!("Call-ID: {ANSWERED}\r\n")) && door.said().contains("SIP/2.0 200 ")
    });
    let said = door.said();
    let at = said.rfind("SIP/2.0 200 ").expect("just seen");
    let ok = Message::read(&said.as_bytes()[at..]).expect("an answer");
    let header = |name: &str| ok.get(name).expect("a header").to_owned();
    let target = ok.uri_of("Contact").expect("a Contact");
    Dialog { target, from: header("From"), to: header("To"), call_id: ANSWERED.into() }
}

fn doors(site: &Site) -> Vec<Door> {
    let mut doors = vec![Door::udp(site), Door::udp(site), Door::tcp(site), Door::ws(site), Door::ws(site)];
    // The second of its kind is a registered user.
    register(&mut doors[1], 900_001);
    register(&mut doors[4], 900_004);
    doors
}

/// A member sends something to each binding that it was told of, as it was told to.
fn call_back(members: &[Recorder], site: &Site) -> usize {
    let mut called = BTreeSet::new();
    for member in members {
        let own = member.address();
        for register in member.received().iter().filter_map(|bytes| Message::read(bytes).ok()) {
            let is_register = register.is_request() && register.method() == "REGISTER";
            let Some((contact, path)) =
                is_register.then(|| register.uri_of("Contact").zip(register.uri_of("Path"))).flatten()
            else {
                continue;
            };
            if !called.insert((contact.clone(), path.clone())) {
                continue;
            }
            let number = called.len();
            member.send(
                site.inside,
                &format!(
                    "NOTIFY {contact} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKback{number};rport\r\n\
                     Route: <{path}>\r\nMax-Forwards: 70\r\nFrom: <sip:x@example.test>;tag=b\r\n\
                     To: <sip:1004@example.test>\r\nCall-ID: back-{number}\r\nCSeq: 1 NOTIFY\r\n\
                     Event: message-summary\r\nSubscription-State: active\r\nContact: <sip:{own}>\r\n\
                     Content-Length: 0\r\n\r\n"
                ),
            );
        }
    }
    called.len()
}

/// Methods that reached the pool, how often each.
fn methods(members: &[Recorder]) -> BTreeMap<String, usize> {
    let mut methods = BTreeMap::new();
    for message in members.iter().flat_map(Recorder::received) {
        if let Some(request) = Message::read(&message).ok().filter(Message::is_request) {
            *methods.entry(request.method().to_owned()).or_default() += 1;
        }
    }
    methods
}

#[test]
fn nothing_goes_to_an_address_that_somebody_outside_has_chosen() {
    let _turn = alone();
    let site = Site::with_streams("canary", Transport::Udp);
    let members = site.members.map(Recorder::start);
    let _sbc = start(&site);
    let canary = Canary::new();
    canary.sings();
    let mut doors = doors(&site);
    let mut caller = Door::udp(&site);
    let dialog = call(&mut caller);
    let mut number = 0;
    for place in 0..places() {
        for spelling in SPELLINGS {
            for (at, door) in doors.iter_mut().enumerate() {
                number += 1;
                let method = METHODS[(number + place) % METHODS.len()];
                let (own, edge) = (door.own.to_string(), door.edge.to_string());
                if !door.say(&lure(&door.sender(&own, &edge), method, place, spelling, canary.port, number)) {
                    // What cannot be framed has ended the stream.
                    *door = Door::tcp(&site);
                }
                let (own, edge) = (caller.own.to_string(), caller.edge.to_string());
                let sender = caller.sender(&own, &edge);
                // A BYE that passes would end the dialog.
                let method = if method == "BYE" { "UPDATE" } else { method };
                if at == 0
                    && let Some(text) =
                        lure_inside(&sender, &dialog, method, place, spelling, canary.port, number)
                {
                    caller.say(&text);
                }
                if number % VOLLEY == 0 {
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }
    let mut heard_out = doors.iter_mut().enumerate();
    assert!(heard_out.all(|(at, door)| at == 2 || door.has_been_heard_out(910_000 + at)));
    let bindings = call_back(&members, &site);
    std::thread::sleep(LAST_WORD);
    assert_eq!(canary.heard(), Vec::<String>::new());
    // Much of it passes, and has to: addresses that nobody goes by do no harm.
    let methods = methods(&members);
    assert!(
        METHODS.iter().all(|method| methods.get(*method).is_some_and(|count| *count > 20)),
        "{methods:?}"
    );
    assert!(bindings > 50, "{bindings} bindings were called");
    assert!(doors[1].has_heard("NOTIFY ") && doors[4].has_heard("NOTIFY "));
    let vain: Vec<_> =
        members.iter().flat_map(Recorder::received).filter(|one| !believed_in_vain(one).is_empty()).collect();
    assert!(vain.is_empty(), "{}", String::from_utf8_lossy(&vain[0]));
}

#[test]
fn no_line_and_no_trust_header_of_somebody_outside_reaches_the_pool() {
    let _turn = alone();
    let site = Site::with_streams("claims", Transport::Udp);
    let members = site.members.map(Recorder::start);
    let _sbc = start(&site);
    let mut doors = doors(&site);
    let mut sent = 0;
    for (at, door) in doors.iter_mut().enumerate() {
        let (own, edge) = (door.own.to_string(), door.edge.to_string());
        for text in claims(&door.sender(&own, &edge), at * 10_000) {
            sent += 1;
            if !door.say(&text) {
                *door = Door::tcp(&site);
            }
            if sent % VOLLEY == 0 {
                std::thread::sleep(PAUSE);
            }
        }
    }
    let mut heard_out = doors.iter_mut().enumerate();
    assert!(heard_out.all(|(at, door)| at == 2 || door.has_been_heard_out(910_000 + at)));
    std::thread::sleep(LAST_WORD);
    let received: Vec<_> = members.iter().flat_map(Recorder::received).collect();
    assert!(received.len() > sent / 4, "{} of {sent} reached the pool", received.len());
    let vain = received.iter().map(|one| (believed_in_vain(one), one)).find(|(vain, _)| !vain.is_empty());
    if let Some((names, message)) = vain {
        panic!("{names:?} in {}", String::from_utf8_lossy(message));
    }
    // Whom sbc names is whom it has seen.
    let outside = site.outside().ip().to_string();
    for request in received.iter().filter_map(|bytes| Message::read(bytes).ok()).filter(Message::is_request) {
        let named = request.get("X-AUTH-IP").unwrap_or_default().to_owned();
        assert!(named == outside || named == "127.0.0.1", "{named} in {request:?}");
    }
    // A rule wrote what it captured, in one line.
    assert!(
        received.iter().any(|bytes| Message::read(bytes).is_ok_and(|one| one.get("X-Asked") == Some("9200")))
    );
}
