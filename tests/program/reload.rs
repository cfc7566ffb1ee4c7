//! Another configuration for a running sbc: by command, by signal, by itself, and back again.

use std::net::SocketAddr;
use std::process::Output;

use crate::support::{Site, stderr, stdout};

fn reload(site: &Site, more: &[&str]) -> Output {
    let admin = site.admin();
    site.end(&[&["reload", "--admin", &admin], more].concat())
}

/// The good configuration with a second member.
fn with_second(site: &Site) -> String {
    let one = format!("{{ uri = \"sip:{}:5080\" }}", site.ip);
    site.good().replace(&one, &format!("{one}, {{ uri = \"sip:{}:5081\" }}", site.ip))
}

fn members(site: &Site) -> usize {
    let status: serde_json::Value = serde_json::from_str(&site.get("/api/v1/status").1).expect("JSON");
    status["pools"][0]["members"].as_array().expect("members").len()
}

#[test]
fn a_changed_file_is_taken_over_and_given_back() {
    let site = Site::new("reload");
    let config = site.write("sbc.toml", &site.good());
    let running = site.start(&config);
    let back = reload(&site, &["--previous"]);
    assert_eq!(back.status.code(), Some(1));
    assert_eq!(stdout(&back), "nothing was reloaded since the start\n");
    assert_eq!(stdout(&reload(&site, &[])), "reloaded: 1 rule\n");

    site.write("sbc.toml", &with_second(&site));
    let changed = reload(&site, &[]);
    assert!(changed.status.success(), "{}", stderr(&changed));
    let added = format!("reloaded: 1 rule\npool freeswitch: member sip:{}:5081 added\n", site.ip);
    assert_eq!((stdout(&changed), members(&site)), (added, 2));

    let back = reload(&site, &["--previous"]);
    let removed = format!("reloaded: 1 rule\npool freeswitch: member sip:{}:5081 removed\n", site.ip);
    assert_eq!((stdout(&back), members(&site)), (removed, 1));
    assert!(running.stop("TERM").success());
}

#[test]
fn a_wrong_file_changes_nothing_and_says_why() {
    let site = Site::new("reload-wrong");
    let config = site.write("sbc.toml", &site.good());
    let running = site.start(&config);
    let file = config.display();
    let (ip, elsewhere) = (site.ip, SocketAddr::from((site.ip, 5077)));
    let cases = [
        (
            ("fall = 1", "fall = 0"),
            format!(
                "{file}:23:57: pool.freeswitch.probe.fall: found 0, expected a whole number from 1 to 20\n"
            ),
        ),
        (
            ("bind = \"IP:5070\"", "bind = \"IP:5077\""),
            format!(
                "{file}: restart needed: listener inside bind changed: is {ip}:5070, would be {elsewhere}\n"
            ),
        ),
        (
            ("bind = \"IP:9090\"", "bind = \"IP:9091\""),
            format!("{file}: restart needed: admin.bind changed: is {ip}:9090, would be {ip}:9091\n"),
        ),
    ];
    for ((from, to), expected) in cases {
        let [from, to] = [from, to].map(|text| text.replace("IP", &ip.to_string()));
        let text = site.good().replace(&from, &to);
        assert_ne!(text, site.good());
        site.write("sbc.toml", &text);
        let refused = reload(&site, &[]);
        assert_eq!(refused.status.code(), Some(1));
        assert_eq!((stdout(&refused), stderr(&refused)), (expected, "nothing has changed\n".to_owned()));
        assert_eq!(members(&site), 1);
    }
    assert!(running.stop("TERM").success());
}

#[test]
fn a_signal_reloads_and_a_watched_file_reloads_itself() {
    let site = Site::new("reload-signal");
    let config = site.write("sbc.toml", &site.good());
    let running = site.start(&config);
    let watched = with_second(&site).replace("[node]\n", "[node]\nwatch = true\n");
    site.write("sbc.toml", &watched);
    running.signal("HUP");
    site.wait_until("the signal was heard", || members(&site) == 2);
    site.write("sbc.toml", &site.good());
    site.wait_until("the file was seen", || members(&site) == 1);
    assert!(running.stop("TERM").success());
}

/// Somebody goes back because the file is wrong: a watched file is not read again before it changes again.
#[test]
fn a_watched_file_that_was_gone_back_from_stays_so() {
    let site = Site::new("reload-back");
    let watching = |text: &str| text.replace("[node]\n", "[node]\nwatch = true\n");
    let config = site.write("sbc.toml", &watching(&site.good()));
    let running = site.start(&config);
    site.write("sbc.toml", &watching(&with_second(&site)));
    site.wait_until("the file was seen", || members(&site) == 2);
    assert!(reload(&site, &["--previous"]).status.success());
    assert_eq!(members(&site), 1);
    // Twice as long as it takes to see a change and that it stays.
    std::thread::sleep(std::time::Duration::from_secs(8));
    assert_eq!(members(&site), 1);
    site.write("sbc.toml", &format!("# And once more.\n{}", watching(&with_second(&site))));
    site.wait_until("the file was seen", || members(&site) == 2);
    assert!(running.stop("TERM").success());
}
