//! Wrong configurations, each with the one message it owes.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sbc_core::config::Strictness;
use sbc_core::rate::Rate;

use sbc_core::config::{Balance, Registrations, Share};

use super::*;

/// Right as it stands; every case changes one thing.
const GOOD: &str = r#"routes = "routes.toml"
[node]
name = "edge-1"
keys = ["file:sbc.key"]
path_key = "env:PATH_KEY"
state_dir = "state"
workers = 2
[[listener]]
name = "browsers"
transport = "wss"
bind = "0.0.0.0:8443"
zone = "public"
advertise = "sip.example.com:443"
origins = ["https://*.example.com"]
[[listener]]
name = "behind-alb"
transport = "ws"
bind = "0.0.0.0:8080"
zone = "public"
client_address = "x-forwarded-for"
trusted_proxies = ["10.0.0.0/16"]
[[listener]]
name = "carriers"
transport = "udp"
bind = "0.0.0.0:5062"
zone = "trunk"
networks = ["203.0.113.0/24", "192.0.2.1"]
symmetric = false
[[listener]]
name = "inside"
transport = "udp"
bind = "10.0.1.5:5070"
worker_ports = "5071-5074"
zone = "pool"
[pool.freeswitch]
members = [
  { uri = "sip:10.0.2.10:5080" },
  { uri = "sip:10.0.2.11:5080;transport=udp" },
]
balance = "hash:aor"
probe = { interval = "3s", timeout = "1s", fall = 3, rise = 1 }
failover = { invite_after = "1s", other_after = "4s", attempts = 2 }
[pool.carrier-a]
zone = "trunk"
listener = "carriers"
members = [{ uri = "sip:203.0.113.10:5060" }]
probe = false
[admission]
max_message = "32KiB"
domains = ["Example.com"]
[timers]
t1 = "200ms"
ring = "60s"
[admin]
bind = "127.0.0.1:9091"
[log]
format = "json"
level = "debug"
"#;

const ROUTES: &str = "[[rule]]\nname = \"all\"\nroute = { pool = \"freeswitch\" }\n";

/// A machine with one address on a private network and one on the road to the carriers.
fn machine() -> Machine {
    let route = |to: IpAddr| match to {
        IpAddr::V4(to) if to.octets()[0] == 203 => Some(Ipv4Addr::new(198, 51, 100, 7).into()),
        IpAddr::V4(_) => Some(Ipv4Addr::new(10, 0, 1, 5).into()),
        IpAddr::V6(_) => None,
    };
    let variable = |name: &str| (name == "PATH_KEY").then(|| "ab".repeat(32));
    Machine { name: "host".into(), processors: 4, route, variable, state_dir: PathBuf::from("/state") }
}

/// A directory with the files that [`GOOD`] names; gone with the value.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("sbc-config-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).expect("temporary directory");
        fs::write(directory.join("sbc.key"), "01".repeat(32)).expect("key file");
        fs::write(directory.join("routes.toml"), ROUTES).expect("routes file");
        Self(directory)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn check(directory: &Path, text: &str) -> Result<Settings, Problems> {
    parse("sbc.toml", text, directory, &machine())
}

/// Replaces `from`, checks, and wants exactly `expected`; DIR stands for the directory.
fn wrong(files: &Files, from: &str, to: &str, expected: &str) {
    assert_eq!(GOOD.matches(from).count(), 1, "{from:?} is not unique in the good configuration");
    let problems = check(&files.0, &GOOD.replace(from, to)).expect_err(to);
    let told = problems.to_string().replace(&files.0.display().to_string(), "DIR");
    assert_eq!(told, expected, "\nafter {from:?} became {to:?}");
}

#[test]
fn a_right_configuration_becomes_what_it_says() {
    let files = Files::new("right");
    let settings = check(&files.0, GOOD).expect("no problems");
    assert_eq!(settings.name, "edge-1");
    assert_eq!(settings.workers, 2);
    assert_eq!(settings.keys, Some(vec![Key([1; 32])]));
    assert_eq!(settings.path_key, Some(Key([0xab; 32])));
    assert_eq!(settings.state_dir.value, files.0.join("state"));
    assert_eq!(settings.admin.value.port(), 9091);
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.admission.max_message, 32 << 10);
    assert_eq!(settings.admission.domains, ["example.com".into()]);
    assert_eq!(settings.admission.ban, Admission::default().ban);
    assert_eq!(settings.timers.ring, Duration::from_secs(60));
    let config = settings.core(vec![Key([1; 32])], Key([2; 32]));
    let told: Vec<_> = config.listeners.iter().map(|listener| listener.advertise.to_string()).collect();
    assert_eq!(told, ["sip.example.com:443", "10.0.1.5:8080", "198.51.100.7:5062", "10.0.1.5:5070"]);
    let inside = config.listeners.last().expect("a pool listener");
    assert_eq!(inside.worker_ports.iter().map(SocketAddr::port).collect::<Vec<_>>(), [5071, 5072]);
    let pools: Vec<_> =
        config.pools.iter().map(|pool| (&*pool.name, pool.listener.0, pool.members.len())).collect();
    assert_eq!(pools, [("freeswitch", 3, 2), ("carrier-a", 2, 1)]);
    assert_eq!(config.pools.last().map(|pool| pool.probe.is_none()), Some(true));
    // Only FreeSWITCH that is probed can be found dead.
    let releases: Vec<_> = config.pools.iter().map(|pool| pool.release).collect();
    assert_eq!(releases, [Some(Duration::from_secs(900)), None]);
}

#[test]
fn the_calls_of_dead_members_are_ended_when_the_operator_says() {
    let files = Files::new("release");
    for (value, expected) in [("\"30s\"", Some(Duration::from_secs(30))), ("false", None)] {
        let text = GOOD.replace("balance = \"hash:aor\"", &format!("release = {value}"));
        let settings = check(&files.0, &text).expect("no problems");
        let config = settings.core(vec![Key([1; 32])], Key([2; 32]));
        assert_eq!(config.pools.first().map(|pool| pool.release), Some(expected));
    }
}

#[test]
fn strangers_are_judged_strictly_unless_the_operator_says_otherwise() {
    let files = Files::new("checks");
    let checks = |text: &str| {
        let settings = check(&files.0, text).expect("no problems");
        let config = settings.core(vec![Key([1; 32])], Key([2; 32]));
        config.listeners.iter().map(|listener| listener.checks).collect::<Vec<_>>()
    };
    let (strict, tolerant) = (Strictness::Strict, Strictness::Tolerant);
    assert_eq!(checks(GOOD), [strict, strict, tolerant, tolerant]);
    let turned = GOOD
        .replace("name = \"behind-alb\"", "name = \"behind-alb\"\nchecks = \"tolerant\"")
        .replace("name = \"carriers\"", "name = \"carriers\"\nchecks = \"strict\"");
    assert_eq!(checks(&turned), [strict, tolerant, strict, tolerant]);
}

#[test]
fn the_quickstart_is_right() {
    let text = include_str!("../quickstart/sbc.toml");
    let settings = parse("quickstart.toml", text, Path::new(""), &machine()).expect("no problems");
    assert_eq!(settings.workers, 4);
    assert_eq!(settings.keys, None);
    assert_eq!(settings.state_dir.value, PathBuf::from("/state"));
    assert_eq!(settings.echo.map(|echo| echo.bind.value.port()), Some(5090));
}

#[test]
fn the_configuration_of_the_container_is_right() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/sbc.toml");
    let settings = load(&file, &machine()).expect("no problems");
    assert_eq!(settings.pools.iter().map(|pool| pool.members.len()).collect::<Vec<_>>(), [2]);
    assert_eq!(settings.rules.len(), 3);
}

#[test]
fn the_example_of_the_readme_wants_only_its_certificate() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```toml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("the end of the example");
    let files = Files::new("readme");
    let problems = check(&files.0, example).expect_err("no certificate here").to_string();
    let keys: Vec<_> = problems.lines().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(keys, ["listener.browsers.certificate", "listener.browsers.private_key"]);
    let plain = example.replace("certificate =", "#").replace("private_key =", "#");
    check(&files.0, &plain).expect("no problems without them");
}

#[test]
fn unknown_keys_name_the_nearest_known_one() {
    let files = Files::new("unknown");
    let cases = [
        (
            "name = \"edge-1\"",
            "nam = \"edge-1\"",
            "sbc.toml:3:1: node.nam: found an unknown key, expected a known key: did you mean `name`?",
        ),
        (
            "zone = \"pool\"",
            "zone = \"pool\"\nworkerports = 1",
            "sbc.toml:35:1: listener.inside.workerports: found an unknown key, expected a known key: did you mean `worker_ports`?",
        ),
        (
            "fall = 3",
            "falls = 3",
            "sbc.toml:41:44: pool.freeswitch.probe.falls: found an unknown key, expected a known key: did you mean `fall`?",
        ),
        (
            "[log]",
            "[logs]",
            "sbc.toml:56:2: logs: found an unknown key, expected a known key: did you mean `log`?",
        ),
        (
            "format = \"json\"",
            "zzzzzzzz = 1",
            "sbc.toml:57:1: log.zzzzzzzz: found an unknown key, expected one of: format, level",
        ),
    ];
    for (from, to, expected) in cases {
        wrong(&files, from, to, expected);
    }
}

#[test]
fn members_say_what_they_take() {
    let files = Files::new("share");
    let member = "{ uri = \"sip:10.0.2.10:5080\" }";
    let text = GOOD
        .replace(
            member,
            "{ uri = \"sip:10.0.2.10:5080\", weight = 3, priority = 1, region = \"eu\", tags = [\"large\", \"new\"], max_calls = 500, max_cps = 30 }",
        )
        .replace("balance = \"hash:aor\"", "balance = \"least-calls\"\nregistrations = \"by-aor\"")
        .replace("name = \"edge-1\"", "name = \"edge-1\"\nregion = \"eu\"\nwatch = true");
    let settings = check(&files.0, &text).expect("right");
    let pool = &settings.pools[0];
    let share = Share {
        weight: 3,
        priority: 1,
        region: Some("eu".into()),
        tags: ["large".into(), "new".into()].into(),
        max_calls: Some(500),
        max_cps: Some(30),
    };
    assert_eq!((&pool.members[0].share, &pool.members[1].share), (&share, &Share::default()));
    assert_eq!((pool.balance, pool.registrations), (Balance::LeastCalls, Registrations::ByAor));
    assert_eq!((&*settings.region, settings.watch, settings.warnings.len()), ("eu", true, 0));
    let zero = format!("{}, weight = 0 }}", &member[..member.len() - 2]);
    let expected =
        "sbc.toml:37:42: pool.freeswitch.members[0].weight: found 0, expected a whole number from 1 to 1000";
    wrong(&files, member, &zero, expected);
}

#[test]
fn several_members_without_a_word_on_registrations_are_worth_a_warning() {
    let files = Files::new("registrations");
    let settings = check(&files.0, GOOD).expect("right");
    let [warning] = &settings.warnings[..] else { panic!("{:?}", settings.warnings) };
    assert!(
        warning.starts_with("sbc.toml:35:7: pool.freeswitch: several members and no `registrations`"),
        "{warning}"
    );
}

#[test]
fn the_burst_of_a_call_rate_is_twice_the_rate_unless_it_is_said() {
    let files = Files::new("call-rates");
    let rates =
        "call_rate_per_user = { calls = \"2/s\", burst = 3 }\ncall_rate_per_source = { calls = \"600/m\" }\n";
    let admission = check(&files.0, &GOOD.replace("[timers]", &format!("{rates}[timers]")))
        .expect("no problems")
        .admission;
    assert_eq!(admission.call_rate_per_user, Some(Rate::per_second(2, 3)));
    assert_eq!(admission.call_rate_per_source, Some(Rate::new(600, Duration::from_secs(60), 1200)));
    let unsaid = check(&files.0, GOOD).expect("no problems").admission;
    assert_eq!((unsaid.call_rate_per_user, unsaid.call_rate_per_source), (None, None));
}

#[test]
fn values_out_of_bounds_name_what_would_be_right() {
    let files = Files::new("values");
    let cases = [
        (
            "bind = \"0.0.0.0:8443\"",
            "bind = \"0.0.0.0\"",
            "sbc.toml:11:8: listener.browsers.bind: found \"0.0.0.0\", expected IP:PORT as \"0.0.0.0:5060\" or \"[::]:5060\", the port not 0",
        ),
        (
            "bind = \"127.0.0.1:9091\"",
            "bind = \"127.0.0.1:0\"",
            "sbc.toml:55:8: admin.bind: found \"127.0.0.1:0\", expected IP:PORT as \"0.0.0.0:5060\" or \"[::]:5060\", the port not 0",
        ),
        (
            "zone = \"pool\"\n[pool",
            "zone = \"pool\"\nchecks = \"lenient\"\n[pool",
            "sbc.toml:35:10: listener.inside.checks: found \"lenient\", expected one of: strict, tolerant",
        ),
        (
            "zone = \"trunk\"\nnet",
            "zone = \"trunks\"\nnet",
            "sbc.toml:26:8: listener.carriers.zone: found \"trunks\", expected one of: public, trunk, pool",
        ),
        (
            "[\"10.0.0.0/16\"]",
            "[\"10.0.0.0/33\"]",
            "sbc.toml:21:20: listener.behind-alb.trusted_proxies[0]: found \"10.0.0.0/33\", expected a network as \"192.0.2.0/24\" or one address",
        ),
        (
            "origins = [\"https://*.example.com\"]",
            "ping_interval = \"0s\"",
            "sbc.toml:14:17: listener.browsers.ping_interval: found \"0s\", expected a duration from \"1s\" to \"5m\"",
        ),
        (
            "https://*.example.com",
            "*.example.com",
            "sbc.toml:14:12: listener.browsers.origins[0]: found \"*.example.com\", expected an origin as \"https://www.example.com\" or \"https://*.example.com\"",
        ),
        (
            "client_address = \"x-forwarded-for\"",
            "client_address = \"proxy-v1\"",
            "sbc.toml:20:18: listener.behind-alb.client_address: found \"proxy-v1\", expected one of: socket, x-forwarded-for, proxy-v2",
        ),
        (
            "origins = [\"https://*.example.com\"]",
            "path = \"ws\"",
            "sbc.toml:14:8: listener.browsers.path: found \"ws\", expected a path as \"/ws\", without a query",
        ),
        (
            "origins = [\"https://*.example.com\"]",
            "server_names = [\"*.example.com\", \"192.0.2.1\"]",
            "sbc.toml:14:34: listener.browsers.server_names[1]: found \"192.0.2.1\", expected a DNS name as \"sip.example.com\" or \"*.example.com\"",
        ),
        (
            "origins = [\"https://*.example.com\"]",
            "connections_per_source = 0",
            "sbc.toml:14:26: listener.browsers.connections_per_source: found 0, expected a whole number from 1 to 1000000",
        ),
        (
            "origins = [\"https://*.example.com\"]",
            "first_message = true",
            "sbc.toml:14:17: listener.browsers.first_message: found true, expected a duration from \"1s\" to \"1h\"",
        ),
        (
            "sip:10.0.2.10:5080",
            "sip:fs-a.internal:5080",
            "sbc.toml:37:11: pool.freeswitch.members[0].uri: found \"sip:fs-a.internal:5080\", expected \"sip:IP:PORT\": use an IP address; names are looked up by `discover`",
        ),
        (
            "sip:10.0.2.10:5080",
            "sip:10.0.2.10",
            "sbc.toml:37:11: pool.freeswitch.members[0].uri: found \"sip:10.0.2.10\", expected \"sip:IP:PORT\", the port written out",
        ),
        (
            "sip:10.0.2.10:5080",
            "sip:10.0.2.11:5080",
            "sbc.toml:38:11: pool.freeswitch.members[1].uri: found \"sip:10.0.2.11:5080;transport=udp\", expected each member once",
        ),
        (
            "fall = 3",
            "fall = 0",
            "sbc.toml:41:51: pool.freeswitch.probe.fall: found 0, expected a whole number from 1 to 20",
        ),
        (
            "interval = \"3s\"",
            "interval = \"500ms\"",
            "sbc.toml:41:41: pool.freeswitch.probe.timeout: found \"1s\", expected a timeout no longer than the interval",
        ),
        (
            "balance = \"hash:aor\"",
            "release = \"1s\"",
            "sbc.toml:40:11: pool.freeswitch.release: found \"1s\", expected a duration from \"10s\" to \"24h\"",
        ),
        (
            "probe = false",
            "release = \"30s\"",
            "sbc.toml:47:11: pool.carrier-a.release: found a key without effect here, expected no `release`: only members of zone \"pool\" that are probed can be found dead",
        ),
        (
            "probe = false",
            "probe = true",
            "sbc.toml:47:9: pool.carrier-a.probe: found true, expected a table",
        ),
        (
            "max_message = \"32KiB\"",
            "max_message = \"1MiB\"",
            "sbc.toml:49:15: admission.max_message: found \"1MiB\", expected a size from \"4096B\" to \"64KiB\"",
        ),
        (
            "[timers]",
            "allow = [\"192.0.2.0/24\", \"here\"]\n[timers]",
            "sbc.toml:51:26: admission.allow[1]: found \"here\", expected a network as \"192.0.2.0/24\" or one address",
        ),
        (
            "[timers]",
            "per_source = { requests = \"100\" }\n[timers]",
            "sbc.toml:51:27: admission.per_source.requests: found \"100\", expected a rate as \"100/s\" or \"600/m\"",
        ),
        (
            "[timers]",
            "max_calls_per_user = 0\n[timers]",
            "sbc.toml:51:22: admission.max_calls_per_user: found 0, expected a whole number from 1 to 1000000",
        ),
        (
            "[timers]",
            "call_rate_per_user = { burst = 4 }\n[timers]",
            "sbc.toml:51:22: admission.call_rate_per_user.calls: found nothing, expected a rate as \"100/s\" or \"600/m\"",
        ),
        (
            "[timers]",
            "call_rate_per_source = { calls = \"20/s\", burst = 0 }\n[timers]",
            "sbc.toml:51:50: admission.call_rate_per_source.burst: found 0, expected a whole number from 1 to 1000000",
        ),
        (
            "[timers]",
            "call_rate_per_source = \"20/s\"\n[timers]",
            "sbc.toml:51:24: admission.call_rate_per_source: found \"20/s\", expected a table",
        ),
        (
            "[timers]",
            "ban = { time = \"0s\" }\n[timers]",
            "sbc.toml:51:16: admission.ban.time: found \"0s\", expected a duration from \"1s\" to \"168h\"",
        ),
        (
            "[timers]",
            "scanners = [{ header = \"a b\", contains = \"x\" }]\n[timers]",
            "sbc.toml:51:24: admission.scanners[0].header: found \"a b\", expected a header name as \"X-Internal\", or the begin of names as \"X-Internal-*\"",
        ),
        (
            "[timers]",
            "[headers]\nstrip = [\"X-Internal-*\", \"Via\"]\n[timers]",
            "sbc.toml:52:26: headers.strip[1]: found \"Via\", expected a header that calls work without",
        ),
        (
            "[timers]",
            "[headers]\nhide = [\"10.0.1.6\", \"node-b\"]\n[timers]",
            "sbc.toml:52:21: headers.hide[1]: found \"node-b\", expected an IP address",
        ),
        (
            "max_message = \"32KiB\"",
            "caller_identity = \"none\"",
            "sbc.toml:49:19: admission.caller_identity: found \"none\", expected one of: as-is, registered, replace",
        ),
        (
            "level = \"debug\"",
            "level = \"loud\"",
            "sbc.toml:58:9: log.level: found \"loud\", expected one of: error, warn, info, debug, trace",
        ),
        (
            "workers = 2",
            "workers = 0",
            "sbc.toml:7:11: node.workers: found 0, expected a whole number from 1 to 64",
        ),
        (
            "ring = \"60s\"",
            "ring = 60",
            "sbc.toml:53:8: timers.ring: found 60, expected a duration from \"10s\" to \"15m\"",
        ),
        (
            "ring = \"60s\"",
            "call = \"1s\"",
            "sbc.toml:53:8: timers.call: found \"1s\", expected a duration from \"2m\" to \"168h\"",
        ),
    ];
    for (from, to, expected) in cases {
        wrong(&files, from, to, expected);
    }
}

#[test]
fn missing_and_wrong_files_are_told_before_anything_starts() {
    let files = Files::new("files");
    fs::write(files.0.join("short.key"), "0123").expect("key file");
    fs::write(files.0.join("bad.toml"), ROUTES.replace("freeswitch", "freeswich")).expect("routes file");
    let cases = [
        (
            "routes = \"routes.toml\"",
            "routes = \"none.toml\"",
            "sbc.toml:1:10: routes: found \"none.toml\", expected a readable file; DIR/none.toml: No such file or directory (os error 2)",
        ),
        (
            "file:sbc.key",
            "file:none.key",
            "sbc.toml:4:9: node.keys[0]: found \"file:none.key\", expected a readable key file; DIR/none.key: No such file or directory (os error 2)",
        ),
        (
            "file:sbc.key",
            "file:short.key",
            "sbc.toml:4:9: node.keys[0]: found \"file:short.key\", expected 32 bytes as base64 or hex there (`sbc keygen` makes them)",
        ),
        (
            "env:PATH_KEY",
            "env:NONE",
            "sbc.toml:5:12: node.path_key: found \"env:NONE\", expected the environment variable NONE to be set",
        ),
        (
            "[\"file:sbc.key\"]",
            "[\"file:sbc.key\", \"file:sbc.key\"]",
            "sbc.toml:4:8: node.keys: found a list, expected each key once",
        ),
        (
            "origins = [\"https://*.example.com\"]",
            "certificate = \"routes.toml\"",
            "sbc.toml:14:15: listener.browsers.certificate: found a certificate alone, expected its private_key beside it",
        ),
        (
            "origins = [\"https://*.example.com\"]",
            "ticket = { key = \"sbc.key\", algorithm = \"HS256\" }",
            "sbc.toml:14:10: listener.browsers.ticket.audience: found nothing, expected what the claim `aud` names",
        ),
        (
            "origins = [\"https://*.example.com\"]",
            "ticket = { key = \"sbc.key\", algorithm = \"none\", audience = \"sip\" }",
            "sbc.toml:14:41: listener.browsers.ticket.algorithm: found \"none\", expected one of: HS256, ES256, RS256",
        ),
        (
            "origins = [\"https://*.example.com\"]",
            "ticket = { key = \"sbc.key\", audience = \"sip\" }",
            "sbc.toml:14:10: listener.browsers.ticket: found a table, expected either jwks, or key with its algorithm",
        ),
        (
            "origins = [\"https://*.example.com\"]",
            "ticket = { key = \"short.key\", algorithm = \"HS256\", audience = \"sip\" }",
            "sbc.toml:14:10: listener.browsers.ticket: found a table, expected keys that verify tickets; DIR/short.key: a secret for HS256 has at least 32 bytes",
        ),
        (
            "origins = [\"https://*.example.com\"]",
            "ticket = { key = \"sbc.key\", algorithm = \"HS256\", audience = \"sip\", from = \"cookie\" }",
            "sbc.toml:14:10: listener.browsers.ticket: found a ticket in a cookie for every page, expected origins beside it: a cookie comes along whichever page connects",
        ),
        (
            "origins = [\"https://*.example.com\"]",
            "certificates = [{ private_key = \"routes.toml\" }]",
            "sbc.toml:14:33: listener.browsers.certificates[0].private_key: found a private key alone, expected its certificate beside it",
        ),
        (
            "origins = [\"https://*.example.com\"]",
            "certificates = [{ certificate = \"routes.toml\", private_key = \"sbc.key\" }]",
            "sbc.toml:14:16: listener.browsers.certificates: found files that cannot be used, expected a certificate chain and its key as PEM; DIR/routes.toml: holds no \"-----BEGIN CERTIFICATE-----\" section; the server's certificate must come first, then the intermediates",
        ),
        (
            "origins = [\"https://*.example.com\"]",
            "private_key = \".\"",
            "sbc.toml:14:15: listener.browsers.private_key: found \".\", expected a file; DIR/. is none",
        ),
    ];
    for (from, to, expected) in cases {
        wrong(&files, from, to, expected);
    }
    let problems = check(&files.0, &GOOD.replace("routes.toml", "bad.toml")).expect_err("an unknown pool");
    let told = problems.to_string();
    assert!(told.contains("bad.toml:3:"), "{told}");
    assert!(told.contains("freeswich") && told.contains("freeswitch"), "{told}");
}

#[test]
fn parts_that_do_not_fit_together_are_told() {
    let files = Files::new("parts");
    let cases = [
        (
            "networks = [\"203.0.113.0/24\", \"192.0.2.1\"]\n",
            "",
            "sbc.toml:22:1: listener.carriers: found a trunk listener that lets nobody in, expected networks = [\"203.0.113.0/24\"] with the carriers' addresses",
        ),
        (
            "worker_ports = \"5071-5074\"\n",
            "",
            "sbc.toml:29:1: listener.inside: found a pool listener without worker_ports, expected worker_ports = \"5071-5086\", one port for each worker",
        ),
        (
            "worker_ports = \"5071-5074\"",
            "worker_ports = \"5071-5071\"",
            "sbc.toml:33:16: listener.inside.worker_ports: found 1 ports, expected a port for each of the 2 workers",
        ),
        (
            "worker_ports = \"5071-5074\"",
            "worker_ports = \"5069-5074\"",
            "sbc.toml:33:16: listener.inside.worker_ports: found udp 10.0.1.5:5069-5074, expected an address of its own: `listener.inside.bind` has udp 10.0.1.5:5070",
        ),
        (
            "bind = \"0.0.0.0:8080\"",
            "bind = \"10.0.1.5:8443\"",
            "sbc.toml:18:8: listener.behind-alb.bind: found tcp 10.0.1.5:8443, expected an address of its own: `listener.browsers.bind` has tcp 0.0.0.0:8443",
        ),
        (
            "bind = \"127.0.0.1:9091\"",
            "bind = \"127.0.0.1:8080\"",
            "sbc.toml:55:8: admin.bind: found tcp 127.0.0.1:8080, expected an address of its own: `listener.behind-alb.bind` has tcp 0.0.0.0:8080",
        ),
        (
            "name = \"behind-alb\"",
            "name = \"browsers\"",
            "sbc.toml:16:8: listener.browsers.name: found \"browsers\" a second time, expected a name of its own",
        ),
        (
            "listener = \"carriers\"",
            "listener = \"carrier\"",
            "sbc.toml:45:12: pool.carrier-a.listener: found \"carrier\", expected the name of a listener: one of browsers, behind-alb, carriers, inside",
        ),
        (
            "listener = \"carriers\"",
            "listener = \"inside\"",
            "sbc.toml:45:12: pool.carrier-a.listener: found listener \"inside\" of zone pool, expected a listener of zone trunk and transport udp, tcp or tls",
        ),
        (
            "sip:203.0.113.10:5060",
            "sip:[2001:db8::10]:5060",
            "sbc.toml:46:20: pool.carrier-a.members[0].uri: found \"sip:[2001:db8::10]:5060\", expected an IPv4 address: listener \"carriers\" cannot reach another family",
        ),
        (
            "sip:10.0.2.10:5080",
            "sip:10.0.1.5:5072",
            "sbc.toml:37:11: pool.freeswitch.members[0].uri: found \"sip:10.0.1.5:5072\", expected a server; this is listener \"inside\" of this node",
        ),
        (
            "bind = \"0.0.0.0:8080\"",
            "bind = \"[::]:8080\"",
            "sbc.toml:18:8: listener.behind-alb.bind: found \"[::]:8080\", expected advertise = \"ADDRESS:PORT\" beside it: no single route says what peers see",
        ),
        (
            "client_address = \"x-forwarded-for\"\n",
            "",
            "sbc.toml:20:19: listener.behind-alb.trusted_proxies: found proxies that nobody asks, expected client_address = \"x-forwarded-for\" or \"proxy-v2\" beside it, or no trusted_proxies",
        ),
        (
            "trusted_proxies = [\"10.0.0.0/16\"]\n",
            "",
            "sbc.toml:15:1: listener.behind-alb.trusted_proxies: found nothing, expected the networks of the proxies whose x-forwarded-for is believed",
        ),
        (
            "symmetric = false",
            "origins = []",
            "sbc.toml:28:11: listener.carriers.origins: found a key without effect here, expected this key only on listeners of transport ws or wss",
        ),
        (
            "worker_ports = \"5071-5074\"\n",
            "worker_ports = \"5071-5074\"\nadvertise = \"edge.internal:5070\"\n",
            "sbc.toml:34:13: listener.inside.advertise: found the name \"edge.internal\", expected an IP address: FreeSWITCH is told no names",
        ),
        (
            "routes = \"routes.toml\"\n",
            "",
            "sbc.toml:1:1: routes: found nothing, expected a file of rules: with several pools they say which one a request goes to",
        ),
    ];
    for (from, to, expected) in cases {
        wrong(&files, from, to, expected);
    }
}

#[test]
fn a_pool_needs_members_and_a_way_to_them() {
    let files = Files::new("pool");
    let inside = &GOOD[GOOD.find("[[listener]]\nname = \"inside\"").expect("inside")
        ..GOOD.find("[pool.freeswitch]").expect("pool")];
    wrong(
        &files,
        inside,
        "",
        "sbc.toml:29:7: pool.freeswitch: found a pool without a listener, expected a [[listener]] of zone pool and transport udp to reach its members from",
    );
    let none =
        "[[listener]]\nname = \"a\"\ntransport = \"udp\"\nbind = \"127.0.0.1:5060\"\nzone = \"public\"\n";
    for (text, expected) in [
        (
            none.to_owned(),
            "sbc.toml:1:1: pool: found nothing, expected at least one [pool.NAME] with members",
        ),
        (
            format!("{none}[pool]\n"),
            "sbc.toml:6:1: pool: found 0 pools, expected at least one [pool.NAME] with members, and at most 64 of them",
        ),
        (
            format!("{none}[pool.a]\nmembers = []\n"),
            "sbc.toml:7:11: pool.a.members: found a list, expected a list of 1 or more members as [{ uri = \"sip:10.0.2.10:5080\" }]",
        ),
        (
            format!("{none}[pool.a]\nmembers = [{}]\n", "{ uri = \"sip:10.0.2.10:5080\" }, ".repeat(65)),
            "sbc.toml:7:11: pool.a.members: found a list, expected at most 64 items",
        ),
    ] {
        let problems = check(&files.0, &text).expect_err(expected).to_string();
        assert!(problems.lines().any(|line| line == expected), "{problems}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let files = Files::new("all");
    let text = GOOD
        .replace("name = \"edge-1\"", "name = \"edge 1\"")
        .replace("sip:10.0.2.11:5080;transport=udp", "sips:10.0.2.11:5080")
        .replace("bind = \"0.0.0.0:8080\"", "bind = \"0.0.0.0:8443\"")
        .replace("level = \"debug\"", "levle = \"debug\"");
    let problems = check(&files.0, &text).expect_err("four mistakes");
    let lines: Vec<_> = problems
        .to_string()
        .lines()
        .map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        lines,
        [
            "sbc.toml:3:8 node.name",
            "sbc.toml:18:8 listener.behind-alb.bind",
            "sbc.toml:38:11 pool.freeswitch.members[1].uri",
            "sbc.toml:58:1 log.levle",
        ]
    );
}

#[test]
fn no_text_makes_the_checker_panic() {
    let files = Files::new("hostile");
    let mut state = 1_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or_default() % below.max(1)
    };
    for _ in 0..400 {
        let mut text = GOOD.as_bytes().to_vec();
        for _ in 0..=random(4) {
            let (from, length) = (random(text.len()), random(30));
            let to = (from + length).min(text.len());
            match random(3) {
                0 => drop(text.drain(from..to)),
                1 => text[from..to].reverse(),
                _ => text.insert(from, b"\"'[]{}=#\n\\\xc3"[random(11)]),
            }
        }
        let _ = check(&files.0, &String::from_utf8_lossy(&text));
    }
    for text in [
        "",
        "=",
        "[",
        "listener = 1\npool = 2",
        "[[pool]]",
        "listener = [1, {}]\npool = { a = 1 }",
        "node = []",
    ] {
        check(&files.0, text).expect_err(text);
    }
}

#[test]
fn members_may_be_listed_by_dns_alone() {
    let files = Files::new("discover");
    let text = GOOD
        .replace(
            "zone = \"trunk\"\nlistener",
            "zone = \"trunk\"\ndiscover = \"host:carrier.test:5060\"\nlistener",
        )
        .replace("members = [{ uri = \"sip:203.0.113.10:5060\" }]\n", "")
        .replace("[node]\n", "[node]\nresolver = \"10.0.0.2:53\"\n");
    let settings = check(&files.0, &text).expect("no problems");
    assert_eq!(settings.resolver, "10.0.0.2:53".parse().ok());
    assert!(settings.pools[1].members.is_empty());
    let [discovery] = &settings.discoveries[..] else { panic!("{:?}", settings.discoveries) };
    assert_eq!((&*discovery.pool, discovery.listener.0, discovery.ipv6), ("carrier-a", 2, false));
    assert_eq!(&*discovery.source.name, "carrier.test");
    let cases = [
        (
            "balance = \"hash:aor\"",
            "discover = \"srv:fs.test\"",
            "sbc.toml:40:12: pool.freeswitch.discover: found \"srv:fs.test\", expected \"srv:_sip._udp.NAME\" or \"host:NAME:PORT\", with `;transport=tcp` behind it where needed",
        ),
        (
            "balance = \"hash:aor\"",
            "discover = \"srv:_sip._tcp.fs.test\"",
            "sbc.toml:35:7: pool.freeswitch: found a pool without a listener, expected a [[listener]] of zone pool and transport tcp to reach its members from",
        ),
        (
            "state_dir = \"state\"",
            "resolver = \"dns.test\"",
            "sbc.toml:6:12: node.resolver: found \"dns.test\", expected the address of a DNS server as \"10.0.0.2:53\"",
        ),
        (
            "members = [{ uri = \"sip:203.0.113.10:5060\" }]\n",
            "",
            "sbc.toml:43:1: pool.carrier-a.members: found nothing, expected a list as [{ uri = \"sip:10.0.2.10:5080\" }], or `discover`",
        ),
    ];
    for (from, to, expected) in cases {
        wrong(&files, from, to, expected);
    }
}

#[test]
fn the_file_says_what_those_take_that_dns_lists() {
    let files = Files::new("discovered");
    let beside = |discover: &str, discovered: &str| {
        format!("balance = \"hash:aor\"\ndiscover = \"{discover}\"\ndiscovered = {{ {discovered} }}")
    };
    let with = |new: &str| GOOD.replace("balance = \"hash:aor\"", new);
    let (srv, host) = ("srv:_sip._udp.fs.test", "host:fs.test:5080");
    let said = "region = \"eu\", tags = [\"new\"], max_calls = 300, max_cps = 20";
    let share = Share {
        region: Some("eu".into()),
        tags: ["new".into()].into(),
        max_calls: Some(300),
        max_cps: Some(20),
        ..Share::default()
    };
    let settings = check(&files.0, &with(&beside(srv, said))).expect("right");
    assert_eq!((settings.discoveries.len(), &settings.discovered[..]), (1, &[share.clone()][..]));
    let settings = check(&files.0, &with(&beside(host, &format!("weight = 3, {said}")))).expect("right");
    assert_eq!(settings.discovered, [Share { weight: 3, ..share }]);
    let without = with("balance = \"hash:aor\"\ndiscover = \"host:fs.test:5080\"");
    assert_eq!(check(&files.0, &without).expect("right").discovered, [Share::default()]);
    for (to, expected) in [
        (
            "balance = \"hash:aor\"\ndiscovered = { max_calls = 300 }".to_owned(),
            "sbc.toml:41:14: pool.freeswitch.discovered: found a key without effect here, expected `discover` beside it, or `max_calls` and the like in each of `members`",
        ),
        (
            beside(srv, "max_calls = 300, priority = 2"),
            "sbc.toml:42:44: pool.freeswitch.discovered.priority: found a key without effect here, expected neither `weight` nor `priority`: SRV records say them",
        ),
        (
            beside(host, "max_cps = 0"),
            "sbc.toml:42:26: pool.freeswitch.discovered.max_cps: found 0, expected a whole number from 1 to 100000",
        ),
        (
            beside(host, "uri = \"sip:10.0.2.10:5080\""),
            "sbc.toml:42:16: pool.freeswitch.discovered.uri: found an unknown key, expected one of: weight, priority, region, tags, max_calls, max_cps",
        ),
    ] {
        wrong(&files, "balance = \"hash:aor\"", &to, expected);
    }
}

#[test]
fn rules_may_choose_by_the_tags_of_those_that_dns_lists() {
    let files = Files::new("discovered-tags");
    let rule = "[[rule]]\nname = \"new ones\"\nroute = { pool = \"freeswitch\", tag = \"new\" }\n";
    std::fs::write(files.0.join("routes.toml"), rule).expect("a file");
    let with = |tag: &str| {
        let discovered = format!(
            "balance = \"hash:aor\"\ndiscover = \"host:fs.test:5080\"\ndiscovered = {{ tags = [\"{tag}\"] }}"
        );
        check(&files.0, &GOOD.replace("balance = \"hash:aor\"", &discovered))
    };
    with("new").expect("right");
    let told = with("old").expect_err("nobody has that tag").to_string();
    assert!(told.contains("tag") && told.contains("new"), "{told}");
}

#[test]
fn overload_has_limits_that_can_be_changed_or_taken_away() {
    use sbc_core::config::Overload;
    let files = Files::new("overload");
    let with = |text: &str| check(&files.0, &format!("{text}{GOOD}")).expect("no problems").overload;
    assert_eq!(with(""), Some(Overload::default()));
    assert_eq!(with("overload = false\n"), None);
    let limits = Overload { delay: Duration::from_millis(20), cpu: Some(85) };
    assert_eq!(with("overload = { delay = \"20ms\", cpu = 85 }\n"), Some(limits));
    for (to, expected) in [
        (
            "[overload]\ndelay = \"2s\"\n",
            "sbc.toml:55:9: overload.delay: found \"2s\", expected a duration from \"5ms\" to \"500ms\"",
        ),
        (
            "[overload]\ncpu = 0\n",
            "sbc.toml:55:7: overload.cpu: found 0, expected a whole number from 10 to 100",
        ),
    ] {
        wrong(&files, "[admin]\n", &format!("{to}[admin]\n"), expected);
    }
}
