//! Two of the program, each a trunk of the other over mutual TLS: who is believed, and certificates that change.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::support::{Site, stderr};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// Gives a site a certificate for `name`, and `trusted` to believe.
fn certify(site: &Site, signed_by: &Authority, name: &str, trusted: &Authority) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    site.write("own.pem", &params.signed_by(&key, signed_by).expect("signed").pem());
    site.write("own.key", &key.serialize_pem());
    site.write("ca.pem", &trusted.pem());
}

/// A trunk at port 5061, and the other one as its only member, by the name of its certificate.
fn config(site: &Site, other: &Site, name: &str) -> String {
    format!(
        r#"[node]
name = "edge"
state_dir = "state"
workers = 1
[[listener]]
name = "trunk"
transport = "tls"
bind = "{own}:5061"
zone = "trunk"
networks = ["127.0.0.0/8"]
certificate = "own.pem"
private_key = "own.key"
client_ca = "ca.pem"
ca = "ca.pem"
[pool.other]
zone = "trunk"
members = [{{ uri = "sip:{other}:5061;transport=tls", server_name = "{name}" }}]
probe = {{ interval = "500ms", timeout = "500ms", fall = 1, rise = 1 }}
[admin]
bind = "{own}:9090"
"#,
        own = site.ip,
        other = other.ip,
    )
}

fn is_up(site: &Site) -> bool {
    let status: serde_json::Value = serde_json::from_str(&site.get("/api/v1/status").1).expect("JSON");
    status["pools"][0]["members"][0]["state"] == "up"
}

fn metric(site: &Site, name: &str) -> u64 {
    let text = site.get("/metrics").1;
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
}

fn reload(site: &Site) {
    let reloaded = site.end(&["reload", "--admin", &site.admin()]);
    assert!(reloaded.status.success(), "{}", stderr(&reloaded));
}

#[test]
fn both_sides_prove_who_they_are_and_a_reload_exchanges_certificates_without_dropping_anyone() {
    let (near, far) = (Site::new("tls-near"), Site::new("tls-far"));
    let (ours, strange) = (authority(), authority());
    certify(&near, &ours, "near.example.com", &ours);
    certify(&far, &strange, "far.example.com", &ours);
    let near_config = near.write("sbc.toml", &config(&near, &far, "far.example.com"));
    let far_config = far.write("sbc.toml", &config(&far, &near, "near.example.com"));
    let (first, _far) = (near.start(&near_config), far.start(&far_config));

    // Nobody vouches for the far one: neither as a server nor as a client.
    let (untrusted, refused) = (
        "sbc_tcp_unreachable_total{reason=\"bad_certificate\"}",
        "sbc_tcp_refused_total{reason=\"bad_certificate\"}",
    );
    near.wait_until("the server is not believed", || metric(&near, untrusted) > 0);
    near.wait_until("the client is not let in", || metric(&near, refused) > 0);
    near.wait_until("neither is up", || !is_up(&near) && !is_up(&far));

    certify(&far, &ours, "far.example.com", &ours);
    reload(&far);
    near.wait_until("both are up", || is_up(&near) && is_up(&far));

    // Connections keep what they were opened under; whoever connects anew meets the new certificate.
    let opened = || metric(&near, "sbc_tcp_opened_total{by=\"us\"}");
    let before = opened();
    certify(&far, &ours, "other.example.com", &ours);
    reload(&far);
    near.wait_until("both are up as before", || is_up(&near) && is_up(&far));
    assert_eq!(opened(), before);
    assert!(first.stop("KILL").code().is_none());
    let _again = near.start(&near_config);
    near.wait_until("another name is not believed", || metric(&near, untrusted) > 0);
    near.wait_until("it is not up", || !is_up(&near));
}
