//! What we add stays small: FreeSWITCH stores our addresses in columns of limited width, and a public UDP
//! message that grows past the path's MTU is cut to pieces that many home routers drop.

use std::net::SocketAddr;
use std::sync::Arc;

use sbc_core::config::{Config, HostPort};
use sbc_core::flow::{Flow, ListenerId, WorkerId, Zone};
use sbc_core::io::Input;
use sbc_core::time::Time;
use sbc_core::{Core, Worker};
use sbc_tests::sim::{EdgeSettings, answer, edge_config, replace};
use sbc_tests::ua::message::{Message, uri_user};

/// Longest user part of our Contact, in characters.
const CONTACT_USER: usize = 128;
/// Longest Path, in characters.
const PATH: usize = 255;
/// Most that we add to a public UDP message, in bytes.
const ADDED: usize = 350;

/// As long as a Call-ID, a branch and a number usually get.
const CALL_ID: &str = "32e0c274-5f62-1240-7b8c-fd8d06226d35";
const MEMBER_BRANCH: &str = "z9hG4bKDvy7X7t37QDgH";
/// E.164 allows fifteen digits.
const NUMBER: &str = "+493012345678901";

/// Addresses of one kind, each as long as they get.
struct Addresses {
    public: SocketAddr,
    /// What phones are told.
    name: HostPort,
    inside: SocketAddr,
    member: SocketAddr,
    phone: SocketAddr,
}

fn addresses() -> [Addresses; 3] {
    let of = |public: &str, inside: &str, member: &str, phone: &str| {
        let address = |text: &str| -> SocketAddr { text.parse().expect("an address") };
        let public = address(public);
        let name = HostPort::from(public);
        Addresses { public, name, inside: address(inside), member: address(member), phone: address(phone) }
    };
    let v4 = || {
        of("198.51.100.107:50600", "192.168.101.105:50700", "192.168.102.110:50800", "203.0.113.123:61234")
    };
    let v6 = of(
        "[2001:db8:ffff:ffff:ffff:ffff:ffff:1007]:50600",
        "[fd12:3456:789a:1001:ffff:ffff:ffff:1005]:50700",
        "[fd12:3456:789a:1002:ffff:ffff:ffff:1010]:50800",
        "[2001:db8:eeee:eeee:eeee:eeee:eeee:1023]:61234",
    );
    let name = HostPort { host: "sip-udp.eu-central-1.callcentre.example.com".into(), port: 50600 };
    [v4(), Addresses { name, ..v4() }, v6]
}

const PHONES: ListenerId = ListenerId(1);
const POOL: ListenerId = ListenerId(3);

/// The core alone, with members and one phone at these addresses.
struct Edge {
    core: Core,
    worker: Worker,
    now: Time,
    at: Addresses,
}

impl Edge {
    fn new(at: Addresses) -> Self {
        // With a second one, challenges are marked with the member that made them.
        let members = vec![at.member, SocketAddr::new(at.member.ip(), at.member.port() + 1)];
        let settings = EdgeSettings { members, ..EdgeSettings::new(&[]) };
        let mut config = Config::clone(&edge_config(&settings));
        for (index, bind) in [(PHONES, at.public), (POOL, at.inside)] {
            let listener = &mut config.listeners[usize::from(index.0)];
            listener.bind = bind;
            listener.advertise = bind.into();
            for port in &mut listener.worker_ports {
                *port = SocketAddr::new(bind.ip(), port.port() + 50_000);
            }
        }
        config.listeners[usize::from(PHONES.0)].advertise = at.name.clone();
        let now = Time::from_millis(1);
        let core = Core::new(Arc::new(config), [5; 32], now);
        Self { core, worker: Worker::new(WorkerId(0), now), now, at }
    }

    /// What `message` leads to: who is faced, and the message.
    fn handle(&mut self, listener: ListenerId, source: SocketAddr, message: &[u8]) -> Vec<(Zone, Vec<u8>)> {
        let flow = Flow::to(listener, source);
        self.core.handle(&mut self.worker, self.now, Input::Received { flow, source, bytes: message });
        let outbox = std::mem::take(&mut self.worker.outbox);
        let zone = |flow: &Flow| if flow.listener == POOL { Zone::Pool } else { Zone::Public };
        let sent = outbox.transmits().iter();
        sent.map(|transmit| (zone(&transmit.flow), outbox.bytes(&transmit.range).to_vec())).collect()
    }

    fn phone_sends(&mut self, message: &[u8]) -> Message {
        let phone = self.at.phone;
        only(self.handle(PHONES, phone, message), Zone::Pool).0
    }

    /// What the phone gets of it, and its length.
    fn member_sends(&mut self, message: &[u8]) -> (Message, usize) {
        let member = self.at.member;
        only(self.handle(POOL, member, message), Zone::Public)
    }

    /// Register the phone; the Path that the member is told.
    fn register(&mut self) -> String {
        let phone = self.at.phone;
        let text = format!(
            "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP {phone};rport;branch=z9hG4bK776asdhds\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{NUMBER}@example.test>;tag=1\r\nTo: <sip:{NUMBER}@example.test>\r\n\
             Call-ID: register\r\nCSeq: 1 REGISTER\r\nContact: <sip:{NUMBER}@{phone};ob>\r\nExpires: 300\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let register = self.phone_sends(text.as_bytes());
        let mut ok = answer(&register, 200, "member");
        ok.push("Contact", format!("<sip:{NUMBER}@{phone};ob>;expires=300"));
        ok.close(None);
        self.member_sends(&ok.to_bytes());
        register.get("Path").expect("a Path").to_owned()
    }

    /// An INVITE of the member for the phone.
    fn invite(&self, path: &str) -> Message {
        let (member, phone) = (self.at.member, self.at.phone);
        let mut invite = Message::request("INVITE", &format!("sip:{NUMBER}@{phone};ob"));
        invite.push("Via", format!("SIP/2.0/UDP {member};rport;branch={MEMBER_BRANCH}"));
        invite.push("Route", path);
        invite.push("Max-Forwards", "69");
        invite.push("From", "\"caller\" <sip:caller@example.test>;tag=KDcyvSXpg0SXm");
        invite.push("To", format!("<sip:{NUMBER}@{phone};ob>"));
        invite.push("Call-ID", CALL_ID);
        invite.push("CSeq", "123028505 INVITE");
        invite.push("Contact", format!("<sip:mod_sofia@{member}>"));
        invite.close(None);
        invite
    }

    /// An INVITE of the phone, as the member gets it.
    fn call(&mut self) -> Message {
        let phone = self.at.phone;
        let text = format!(
            "INVITE sip:{NUMBER}@example.test SIP/2.0\r\nVia: SIP/2.0/UDP {phone};rport;branch=z9hG4bKnashds8\r\n\
             Max-Forwards: 70\r\nFrom: <sip:1003@example.test>;tag=1\r\nTo: <sip:{NUMBER}@example.test>\r\n\
             Call-ID: {CALL_ID}\r\nCSeq: 1 INVITE\r\nContact: <sip:{NUMBER}@{phone};ob>\r\n\
             Content-Length: 0\r\n\r\n"
        );
        self.phone_sends(text.as_bytes())
    }

    /// Contacts as FreeSWITCH writes them.
    fn member_contacts(&self) -> [String; 4] {
        let member = self.at.member;
        [
            format!("<sip:mod_sofia@{member}>"),
            format!("<sip:{NUMBER}@{member};transport=udp>"),
            format!("<sip:gw+carrier@{member};transport=udp;gw=carrier>"),
            format!("<sip:{NUMBER}@{member};transport=tcp>"),
        ]
    }
}

fn only(sent: Vec<(Zone, Vec<u8>)>, zone: Zone) -> (Message, usize) {
    let mut matching = sent.iter().filter(|(own, _)| *own == zone);
    let (_, bytes) = matching.next_back().unwrap_or_else(|| panic!("nothing sent to {zone:?} of {sent:?}"));
    (Message::read(bytes).expect("a message"), bytes.len())
}

/// The bytes of all lines of `after` that `before` has not, less those of the lines they replace.
fn added(before: &Message, after: &Message) -> usize {
    let lines = |message: &Message| -> Vec<String> {
        message.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
    };
    let (before, after) = (lines(before), lines(after));
    let length_of = |name: &str| before.iter().find(|line| line.starts_with(name)).map_or(0, String::len);
    let new = after.iter().filter(|line| !before.contains(line));
    new.map(|line| {
        let name = &line[..line.find(':').expect("a header") + 1];
        // A Via of ours stands beside what it hides; every other line takes the place of one.
        let replaced = if name == "Via:" { 0 } else { length_of(name) };
        line.len().saturating_sub(replaced)
    })
    .sum()
}

fn assert_alphabet(uri: &str) {
    let user = uri_user(uri);
    assert!(user.len() > 20, "{uri} has a token");
    let wrong = user.find(|character: char| !character.is_ascii_alphanumeric() && !"-_".contains(character));
    assert_eq!(wrong, None, "{user}");
}

#[test]
fn a_path_fits_into_255_characters() {
    for at in addresses() {
        let mut edge = Edge::new(at);
        let path = edge.register();
        assert!(path.len() <= PATH, "{} characters: {path}", path.len());
        assert!(path.ends_with(";lr>"), "{path}");
        assert_alphabet(path.trim_matches(['<', '>']));
    }
}

#[test]
fn a_record_route_towards_the_pool_fits_like_a_path() {
    for at in addresses() {
        let invite = Edge::new(at).call();
        let record: Vec<_> = invite.all("Record-Route").collect();
        assert_eq!(record.len(), 1);
        assert!(record[0].len() <= PATH, "{} characters: {record:?}", record[0].len());
        assert_alphabet(record[0].trim_matches(['<', '>']));
    }
}

#[test]
fn a_request_to_a_phone_grows_by_350_bytes_at_most() {
    for at in addresses() {
        let mut edge = Edge::new(at);
        let path = edge.register();
        for (number, contact) in edge.member_contacts().into_iter().enumerate() {
            let mut invite = edge.invite(&path);
            replace(&mut invite, "Contact", &[contact]);
            replace(&mut invite, "CSeq", &[format!("{} INVITE", 123_028_505 + number)]);
            let via = invite.get("Via").expect("a Via").replace("DgH", &format!("Dg{number}"));
            replace(&mut invite, "Via", &[via]);
            let (sent, length) = edge.member_sends(&invite.to_bytes());
            let more = added(&invite, &sent);
            assert!(more <= ADDED, "{more} bytes are added to {invite:?}: {sent:?}");
            assert!(length <= invite.to_bytes().len() + ADDED, "{length}");
            assert_eq!(sent.all("Record-Route").count() + sent.all("Route").count(), 0);
            let contact = sent.uri_of("Contact").expect("a Contact");
            assert!(uri_user(&contact).len() <= CONTACT_USER, "{contact}");
            assert!(!contact.contains(";t="), "an ordinary target needs no second part: {contact}");
            assert_alphabet(&contact);
            let branch = sent.top_via().expect("a Via").0;
            let sealed = branch.strip_prefix("z9hG4bK").expect("the cookie");
            assert_alphabet(&format!("sip:{sealed}@host"));
        }
    }
}

#[test]
fn an_answer_to_a_phone_grows_by_350_bytes_at_most() {
    for at in addresses() {
        for number in 0..4 {
            let mut edge = Edge::new(Addresses { name: at.name.clone(), ..at });
            let invite = edge.call();
            let mut ok = answer(&invite, 200, "S33j7U2BZNZDa");
            ok.push("Contact", edge.member_contacts()[number].clone());
            ok.close(None);
            let (sent, length) = edge.member_sends(&ok.to_bytes());
            let more = added(&ok, &sent);
            assert!(more <= ADDED, "{more} bytes are added to {ok:?}: {sent:?}");
            assert!(length <= ok.to_bytes().len() + ADDED, "{length}");
            let contact = sent.uri_of("Contact").expect("a Contact");
            assert!(uri_user(&contact).len() <= CONTACT_USER, "{contact}");
            assert_alphabet(&contact);
        }
    }
}

#[test]
fn a_challenge_to_a_phone_grows_by_350_bytes_at_most() {
    for at in addresses() {
        let mut edge = Edge::new(at);
        let invite = edge.call();
        let mut challenge = answer(&invite, 407, "rtat50H81c9te");
        challenge.push(
            "Proxy-Authenticate",
            "Digest realm=\"example.test\", nonce=\"032bf06a-e628-4b51-b63c-9370f7ca08e7\", algorithm=MD5, qop=\"auth\"",
        );
        challenge.close(None);
        let (sent, _) = edge.member_sends(&challenge.to_bytes());
        let more = added(&challenge, &sent);
        assert!(more > 0 && more <= ADDED, "{more} bytes are added: {sent:?}");
    }
}
