//! Members that DNS lists: they come, they go, and they stay when the DNS server does not answer.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use serde_json::Value;

use crate::support::{Site, stdout};

/// By name and type: time to live, and what is there.
type Zone = BTreeMap<(String, RecordType), (u32, Vec<RData>)>;

/// A DNS server, gone with the value.
struct Dns {
    zone: Arc<Mutex<Zone>>,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Option<std::sync::mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Dns {
    fn start(site: &Site) -> Self {
        let socket = UdpSocket::bind(SocketAddr::from((site.ip, 53_000))).expect("a free port");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        let (zone, asked) = (Arc::new(Mutex::new(Zone::new())), Arc::default());
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let (known, noted) = (Arc::clone(&zone), Arc::clone(&asked));
        let thread = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while stopped.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                let question = Message::from_vec(&buffer[..length]).expect("a question");
                let answer = answer(&question, &known.lock().expect("no panic"), &noted);
                let _ = socket.send_to(&answer.to_vec().expect("an answer"), from);
            }
        });
        Self { zone, asked, stop: Some(stop), thread: Some(thread) }
    }

    fn set(&self, name: &str, kind: RecordType, ttl: u32, records: Vec<RData>) {
        self.zone.lock().expect("no panic").insert((name.to_owned(), kind), (ttl, records));
    }

    /// How often this name was asked for.
    fn asked(&self, name: &str) -> usize {
        self.asked.lock().expect("no panic").iter().filter(|asked| *asked == name).count()
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(question: &Message, zone: &Zone, asked: &Mutex<Vec<String>>) -> Message {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    for query in &question.queries {
        let name = query.name().to_string().to_lowercase().trim_end_matches('.').to_owned();
        answer.add_query(query.clone());
        asked.lock().expect("no panic").push(name.clone());
        match zone.get(&(name, query.query_type())) {
            Some((ttl, records)) => {
                let record = |data: &RData| Record::from_rdata(query.name().clone(), *ttl, data.clone());
                answer.add_answers(records.iter().map(record));
            }
            None => answer.metadata.response_code = ResponseCode::NXDomain,
        }
    }
    answer
}

fn address(ip: Ipv4Addr) -> RData {
    RData::A(A(ip))
}

fn service(priority: u16, weight: u16, port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(priority, weight, port, Name::from_ascii(target).expect("a name")))
}

/// The good configuration with this in the place of its members, and the DNS server of the site.
fn config(site: &Site, members: &str) -> String {
    let own = format!("members = [{{ uri = \"sip:{}:5080\" }}]", site.ip);
    let text = site.good().replace(&own, members);
    text.replace("[node]\n", &format!("[node]\nresolver = \"{}:53000\"\n", site.ip))
}

fn pool(site: &Site) -> Value {
    let status: Value = serde_json::from_str(&site.get("/api/v1/status").1).expect("JSON");
    status["pools"][0].clone()
}

/// The addresses of the members, and whether DNS lists them.
fn members(site: &Site) -> Vec<(String, bool)> {
    let pool = pool(site);
    let members = pool["members"].as_array().expect("members");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    members.iter().map(|one| (text(&one["address"]), one["discovered"] == true)).collect()
}

#[test]
fn members_come_and_go_with_dns_and_stay_when_it_is_down() {
    let site = Site::new("discovery");
    let dns = Dns::start(&site);
    let config_file = site.write("sbc.toml", &config(&site, "discover = \"host:fs.test:5080\""));
    let running = site.start(&config_file);
    // Nobody is listed: calls have nowhere to go, and the node says so.
    site.wait_until("DNS was asked", || dns.asked("fs.test") > 0);
    assert_eq!((members(&site), site.get("/readyz").0), (Vec::new(), 503));
    assert!(pool(&site)["discover"]["failing"].is_string() || dns.asked("fs.test") == 1);

    let member = site.member();
    let other = Ipv4Addr::from(u32::from(site.ip) + 0x100);
    dns.set("fs.test", RecordType::A, 1, vec![address(site.ip), address(other)]);
    site.wait_until("two members are listed", || members(&site).len() == 2);
    site.wait_for("/readyz", 200);
    assert!(members(&site).iter().all(|(_, discovered)| *discovered));
    let told = stdout(&site.end(&["status", "--admin", &site.admin()]));
    assert!(told.contains("from DNS") && told.contains("host:fs.test:5080 lists 2 members"), "{told}");

    dns.set("fs.test", RecordType::A, 1, vec![address(site.ip)]);
    let one = vec![(format!("{}:5080", site.ip), true)];
    site.wait_until("one has left", || members(&site) == one);

    // An empty answer, then no server at all: what was listed is kept, whatever is reloaded meanwhile.
    dns.set("fs.test", RecordType::A, 1, Vec::new());
    site.wait_until("the answer is empty", || pool(&site)["discover"]["failing"].is_string());
    drop(dns);
    site.wait_until("nobody answers", || {
        pool(&site)["discover"]["failing"].as_str().is_some_and(|why| !why.contains("lists"))
    });
    site.write("sbc.toml", &config(&site, "discover = \"host:fs.test:5080\"\nbalance = \"least-calls\""));
    let reloaded = stdout(&site.end(&["reload", "--admin", &site.admin()]));
    assert_eq!(reloaded, "reloaded: 1 rule\npool freeswitch changed\n");
    assert_eq!((members(&site), site.get("/readyz").0), (one.clone(), 200));
    // What is said of those that DNS lists is taken over without an answer, too: they are the same, and take less.
    let less = "discover = \"host:fs.test:5080\"\nbalance = \"least-calls\"\ndiscovered = { max_calls = 1, max_cps = 20 }";
    site.write("sbc.toml", &config(&site, less));
    let reloaded = stdout(&site.end(&["reload", "--admin", &site.admin()]));
    assert_eq!(reloaded, "reloaded: 1 rule\npool freeswitch changed\n");
    assert_eq!((members(&site), site.get("/readyz").0), (one, 200));
    let metrics = site.get("/metrics").1;
    for result in ["answered", "empty", "failed"] {
        assert!(
            metrics.contains(&format!("sbc_discovery_lookups_total{{result=\"{result}\"}}")),
            "{metrics}"
        );
    }
    drop(member);
    assert!(running.stop("TERM").success());
}

#[test]
fn services_bring_their_ports_beside_the_file_and_are_asked_again_when_their_time_is_over() {
    let site = Site::new("discovery-srv");
    let dns = Dns::start(&site);
    let services = vec![service(10, 20, 5081, "a.fs.test."), service(20, 0, 5082, "b.fs.test.")];
    dns.set("_sip._udp.fs.test", RecordType::SRV, 1, services);
    dns.set("a.fs.test", RecordType::A, 1, vec![address(site.ip)]);
    dns.set("b.fs.test", RecordType::A, 3600, vec![address(site.ip)]);
    // A second pool, whose answer stays true for an hour.
    dns.set("_sip._udp.long.test", RecordType::SRV, 3600, vec![service(0, 0, 5083, "b.fs.test.")]);
    let own = format!("members = [{{ uri = \"sip:{}:5080\" }}]\n", site.ip);
    let with_rules = |members: &str| format!("routes = \"routes.toml\"\n{}", config(&site, members));
    site.write("routes.toml", "[[rule]]\nname = \"all\"\nroute = { pool = \"freeswitch\" }\n");
    let text = with_rules(&format!("{own}discover = \"srv:_sip._udp.fs.test\""));
    let long = "[pool.long]\ndiscover = \"srv:_sip._udp.long.test\"\n";
    let config_file = site.write("sbc.toml", &format!("{text}{long}"));
    let running = site.start(&config_file);
    let listed = |port: u16, discovered| (format!("{}:{port}", site.ip), discovered);
    let expected = vec![listed(5080, false), listed(5081, true), listed(5082, true)];
    site.wait_until("the file and DNS list members", || members(&site) == expected);
    site.wait_until("an old answer is asked for again", || dns.asked("_sip._udp.fs.test") >= 3);
    assert_eq!(dns.asked("_sip._udp.long.test"), 1);

    // The service is said not to be there: whoever was listed is kept.
    dns.set("_sip._udp.fs.test", RecordType::SRV, 1, vec![service(0, 0, 0, ".")]);
    site.wait_until("the answer is empty", || pool(&site)["discover"]["failing"].is_string());
    assert_eq!(members(&site), expected);

    // Without the key, DNS has no say any more.
    site.write("sbc.toml", &format!("{}{long}", with_rules(&own)));
    assert!(site.end(&["reload", "--admin", &site.admin()]).status.success());
    assert_eq!(members(&site), expected[..1]);
    assert!(running.stop("TERM").success());
}

#[test]
fn a_check_asks_nobody() {
    let site = Site::new("discovery-check");
    let config_file = site.write("sbc.toml", &config(&site, "discover = \"srv:_sip._udp.fs.test\""));
    let checked = site.end(&["check", "--config", config_file.to_str().expect("a path in UTF-8")]);
    assert!(checked.status.success(), "{}", stdout(&checked));
}
