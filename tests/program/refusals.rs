//! What keeps `sbc` from starting: exit code 1, one clear line for each mistake, nothing bound.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use crate::support::{Site, stderr, stdout};

/// One change to the good configuration, and the line that `check` prints and `run` refuses with.
fn refused(site: &Site, from: &str, to: &str, expected: &str) {
    let good = site.good();
    assert!(good.contains(from), "{from:?} is not in the good configuration");
    site.write("sbc.toml", &good.replacen(from, to, 1));
    let checked = site.end(&["check"]);
    assert_eq!(checked.status.code(), Some(1), "{to:?}");
    assert_eq!(stdout(&checked).trim_end(), expected);
    let run = site.end(&["run", "--config", "sbc.toml"]);
    assert_eq!((run.status.code(), stderr(&run).trim_end()), (Some(1), expected));
    assert_eq!(stdout(&run), "", "nothing may have begun");
}

#[test]
fn a_wrong_configuration_is_refused_before_anything_is_bound() {
    let site = Site::new("wrong");
    let ip = site.ip;
    let pool = site.good().split_once("[pool.freeswitch]").map(|(_, rest)| rest.to_owned()).expect("a pool");
    let pool = format!("[pool.freeswitch]{}", pool.split_once("[admin]").expect("admin").0);
    let cases = [
        ("zone = \"public\"\n[[", "zone = \"public\"\nzome = 1\n[[", "sbc.toml:10:1: listener.browsers.zome: found an unknown key, expected a known key: did you mean `zone`?".to_owned()),
        (&format!("bind = \"{ip}:5060\""), "bind = \"localhost:5060\"", "sbc.toml:13:8: listener.phones.bind: found \"localhost:5060\", expected IP:PORT as \"0.0.0.0:5060\" or \"[::]:5060\", the port not 0".to_owned()),
        ("workers = 2", "path_key = \"file:none\"", "sbc.toml:4:12: node.path_key: found \"file:none\", expected a readable key file; none: No such file or directory (os error 2)".to_owned()),
        (&pool, "", "sbc.toml:1:1: pool: found nothing, expected at least one [pool.NAME] with members".to_owned()),
        ("zone = \"pool\"", "zone = \"public\"", "sbc.toml:19:16: listener.inside.worker_ports: found a key without effect here, expected this key only on listeners of zone pool and transport udp".to_owned()),
        (&format!("sip:{ip}:5080"), "sip:[::1]:5080", "sbc.toml:22:20: pool.freeswitch.members[0].uri: found \"sip:[::1]:5080\", expected an IPv4 address: listener \"inside\" cannot reach another family".to_owned()),
        ("name = \"edge\"", "name = edge", "sbc.toml:2:8: found a TOML syntax error, expected".to_owned()),
    ];
    for (from, to, expected) in &cases[..cases.len() - 1] {
        refused(&site, from, to, expected);
    }
    let (from, to, expected) = cases.last().expect("a last case");
    site.write("sbc.toml", &site.good().replacen(from, to, 1));
    let checked = site.end(&["check"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(stdout(&checked).starts_with(expected.as_str()), "{}", stdout(&checked));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let site = Site::new("none");
    for arguments in [&["check"][..], &["run", "--config", "sbc.toml"]] {
        let output = site.end(arguments);
        assert_eq!(output.status.code(), Some(1));
        let told = format!("{}{}", stdout(&output), stderr(&output));
        assert!(told.starts_with("sbc.toml: No such file or directory"), "{told}");
    }
}

#[test]
fn ports_in_use_are_named_all_of_them_and_the_free_ones_stay_free() {
    let site = Site::new("ports");
    let config = site.write("sbc.toml", &site.good());
    let at = |port| SocketAddr::from((site.ip, port));
    let _tcp = TcpListener::bind(at(8080)).expect("a free port");
    let _udp = UdpSocket::bind(at(5060)).expect("a free port");
    let _worker = UdpSocket::bind(at(5072)).expect("a free port");
    let output = site.end(&["run", "--config", config.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    let expected = [
        (8, "listener.browsers.bind", "tcp", 8080, 't'),
        (13, "listener.phones.bind", "udp", 5060, 'u'),
        (19, "listener.inside.worker_ports", "udp", 5072, 'u'),
    ];
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{told}");
    for (line, (number, key, protocol, port, option)) in lines.iter().zip(expected) {
        let column = if key.ends_with("bind") { 8 } else { 16 };
        let place = format!("{}:{number}:{column}: {key}", config.display());
        let found = format!("found {protocol} {}:{port}, a port in use", site.ip);
        let advice = format!("expected a free one (`ss -ln{option}p sport = :{port}` shows who has it)");
        assert_eq!(*line, format!("{place}: {found}, {advice}"));
    }
    drop(TcpListener::bind(at(9090)).expect("the admin port stays free"));
    drop(UdpSocket::bind(at(5070)).expect("the pool port stays free"));
}

#[test]
fn a_second_sbc_gets_neither_the_state_dir_nor_the_ports_of_the_first() {
    let site = Site::new("second");
    let config = site.write("sbc.toml", &site.good());
    let first = site.start(&config);
    let other_ports = Site::new("second-elsewhere");
    let state = site.directory.join("state");
    let text = other_ports.good().replace("\"state\"", &format!("{:?}", state.display().to_string()));
    let same_state = other_ports.write("sbc.toml", &text);
    let output = other_ports.end(&["run", "--config", same_state.to_str().expect("UTF-8")]);
    let place = format!("{}:3:13: node.state_dir", same_state.display());
    let found = format!("found {}, which another running sbc has locked", state.display());
    let expected = format!("{place}: {found}, expected a state_dir of its own for each sbc");
    assert_eq!((output.status.code(), stderr(&output).trim_end()), (Some(1), expected.as_str()));

    let same_ports = site.write("second.toml", &site.good().replace("\"state\"", "\"state-2\""));
    let output = site.end(&["run", "--config", same_ports.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(1));
    let keys = ["listener.browsers.bind", "listener.phones.bind", "listener.inside.bind", "admin.bind"];
    let told = stderr(&output);
    assert_eq!(told.lines().count(), keys.len(), "{told}");
    assert!(
        told.lines().zip(keys).all(|(line, key)| line.contains(key) && line.contains("a port in use")),
        "{told}"
    );
    assert_eq!(first.stop("TERM").code(), Some(0), "the first one is unharmed");
}
