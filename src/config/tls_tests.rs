//! SIP over TLS: right and wrong, each mistake with the one message it owes.

use std::fs;
use std::path::{Path, PathBuf};

use sbc_core::flow::Transport;

use super::*;

/// Right as it stands; every case changes one thing.
const GOOD: &str = r#"routes = "routes.toml"
[node]
workers = 1
[[listener]]
name = "phones"
transport = "tls"
bind = "192.0.2.7:5061"
zone = "public"
certificate = "own.pem"
private_key = "own.key"
server_names = ["sip.example.com"]
client_ca = "ca.pem"
client_address = "proxy-v2"
trusted_proxies = ["10.0.0.0/16"]
connections_per_source = 7
idle_timeout = "2m"
[[listener]]
name = "inside"
transport = "tls"
bind = "10.0.1.5:5071"
zone = "pool"
certificate = "own.pem"
private_key = "own.key"
ca = "ca.pem"
[[listener]]
name = "inside-udp"
transport = "udp"
bind = "10.0.1.5:5070"
worker_ports = "5072-5073"
zone = "pool"
[pool.freeswitch]
listener = "inside"
members = [
  { uri = "sip:10.0.2.10:5081;transport=tls", server_name = "fs.example.com" },
  { uri = "sip:10.0.2.11:5081;transport=tls" },
]
registrations = "shared"
"#;

/// A directory with the files that [`GOOD`] names; gone with the value.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("sbc-tls-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).expect("temporary directory");
        let made = rcgen::generate_simple_self_signed(["sip.example.com".to_owned()]).expect("a certificate");
        let rules = "[[rule]]\nname = \"all\"\nroute = { pool = \"freeswitch\" }\n".to_owned();
        for (name, text) in [
            ("routes.toml", rules),
            ("ca.pem", made.cert.pem()),
            ("own.pem", made.cert.pem()),
            ("own.key", made.signing_key.serialize_pem()),
        ] {
            fs::write(directory.join(name), text).expect("a file");
        }
        Self(directory)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn check(directory: &Path, text: &str) -> Result<Settings, Problems> {
    let machine = Machine {
        name: "host".into(),
        processors: 1,
        route: |_| None,
        variable: |_| None,
        state_dir: directory.join("state"),
    };
    parse("sbc.toml", text, directory, &machine)
}

#[test]
fn a_right_configuration_becomes_what_it_says() {
    let files = Files::new("right");
    let settings = check(&files.0, GOOD).unwrap_or_else(|problems| panic!("{problems}"));
    let [phones, inside, _] = &settings.listeners[..] else { panic!("three listeners") };
    assert_eq!(phones.core.transport, Transport::Tls);
    let connection = phones.connection.as_ref().expect("connections");
    assert_eq!(connection.per_source, Some(7));
    assert_eq!(connection.trusted_proxies.len(), 1);
    let tls = connection.tls.as_ref().expect("tls");
    assert!(tls.certificates.is_some() && tls.client_ca.is_some() && tls.ca.is_none());
    assert_eq!(tls.server_names.len(), 1);
    assert_eq!(phones.stream.as_ref().expect("a stream").idle_timeout.as_secs(), 120);
    assert!(inside.connection.as_ref().expect("connections").tls.as_ref().expect("tls").ca.is_some());
    let named: Vec<_> = inside.names.iter().map(|(at, name)| format!("{at} {name:?}")).collect();
    assert_eq!(named, ["10.0.2.10:5081 DnsName(\"fs.example.com\")"]);
    for file in ["own.pem", "own.key", "ca.pem"] {
        assert!(settings.files.contains(&files.0.join(file)), "{file} is watched");
    }
}

#[test]
fn a_mistake_names_its_line_and_what_would_be_right() {
    let files = Files::new("wrong");
    fs::write(files.0.join("empty.pem"), "").expect("a file");
    for (from, to, expected) in [
        (
            "transport = \"tls\"\nbind = \"192.0.2.7:5061\"",
            "transport = \"tsl\"\nbind = \"192.0.2.7:5061\"",
            "sbc.toml:6:13: listener.phones.transport: found \"tsl\", expected one of: wss, ws, udp, tcp, tls",
        ),
        (
            "client_ca = \"ca.pem\"",
            "client_ca = \"none.pem\"",
            "sbc.toml:12:13: listener.phones.client_ca: found \"none.pem\", expected a readable file; DIR/none.pem: No such file or directory (os error 2)",
        ),
        (
            "client_ca = \"ca.pem\"",
            "client_ca = \"empty.pem\"",
            "sbc.toml:12:13: listener.phones.client_ca: found \"empty.pem\", expected a file with certificates of authorities as PEM; DIR/empty.pem: holds no \"-----BEGIN CERTIFICATE-----\" section of an authority",
        ),
        (
            "client_ca = \"ca.pem\"",
            "ca = \"empty.pem\"",
            "sbc.toml:12:6: listener.phones.ca: found \"empty.pem\", expected a file with certificates of authorities as PEM; DIR/empty.pem: holds no \"-----BEGIN CERTIFICATE-----\" section of an authority",
        ),
        (
            "client_address = \"proxy-v2\"",
            "client_address = \"x-forwarded-for\"",
            "sbc.toml:13:18: listener.phones.client_address: found \"x-forwarded-for\", expected one of: socket, proxy-v2",
        ),
        (
            "client_address = \"proxy-v2\"\n",
            "",
            "sbc.toml:13:19: listener.phones.trusted_proxies: found proxies that nobody asks, expected client_address = \"proxy-v2\" beside it, or no trusted_proxies",
        ),
        (
            "connections_per_source = 7",
            "origins = []",
            "sbc.toml:15:11: listener.phones.origins: found a key without effect here, expected this key only on listeners of transport ws or wss",
        ),
        (
            "worker_ports = \"5072-5073\"",
            "worker_ports = \"5072-5073\"\nca = \"ca.pem\"",
            "sbc.toml:30:6: listener.inside-udp.ca: found a key without effect here, expected this key only on listeners of transport tls",
        ),
        (
            "worker_ports = \"5072-5073\"",
            "worker_ports = \"5072-5073\"\nconnections_per_source = 7",
            "sbc.toml:30:26: listener.inside-udp.connections_per_source: found a key without effect here, expected this key on no listener of transport udp",
        ),
        (
            "ca = \"ca.pem\"\n[[listener]]\nname = \"inside-udp\"",
            "[[listener]]\nname = \"inside-udp\"",
            "sbc.toml:30:7: pool.freeswitch: found listener \"inside\", which trusts nobody it connects to, expected ca = \"FILE\" there: who signs the certificates of these members",
        ),
        (
            "server_name = \"fs.example.com\"",
            "server_name = \"fs example\"",
            "sbc.toml:34:61: pool.freeswitch.members[0].server_name: found \"fs example\", expected the name in its certificate as \"sip.example.com\"",
        ),
        (
            "uri = \"sip:10.0.2.10:5081;transport=tls\"",
            "uri = \"sip:10.0.2.10:5081\"",
            "sbc.toml:34:47: pool.freeswitch.members[0].server_name: found a key without effect here, expected no `server_name`, or `;transport=tls` in the member's uri",
        ),
        (
            "registrations = \"shared\"\n",
            "registrations = \"shared\"\n[pool.spare]\nlistener = \"inside\"\nmembers = [{ uri = \"sip:10.0.2.10:5081;transport=tls\" }]\n",
            "sbc.toml:40:20: pool.spare.members[0].uri: found \"sip:10.0.2.10:5081;transport=tls\", expected the server_name that it has in pool \"freeswitch\": one connection serves both",
        ),
        (
            "sip:10.0.2.11:5081;transport=tls",
            "sip:10.0.2.11:5081;transport=sctp",
            "sbc.toml:35:11: pool.freeswitch.members[1].uri: found \"sip:10.0.2.11:5081;transport=sctp\", expected \"sip:IP:PORT\" without `;transport=sctp`",
        ),
        (
            "private_key = \"own.key\"\nserver_names",
            "server_names",
            "sbc.toml:9:15: listener.phones.certificate: found a certificate alone, expected its private_key beside it",
        ),
    ] {
        assert_eq!(GOOD.matches(from).count(), 1, "{from:?} is not unique in the good configuration");
        let problems = check(&files.0, &GOOD.replace(from, to)).expect_err(to);
        let told = problems.to_string().replace(&files.0.display().to_string(), "DIR");
        assert_eq!(told, expected, "\nafter {from:?} became {to:?}");
    }
}
