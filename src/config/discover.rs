//! `discover`: where else the members of a pool are listed. Nothing is looked up here: names are checked, not asked.

use sbc_core::flow::Transport;

use super::document::{At, Value};
use super::units;

const EXPECTED: &str =
    "\"srv:_sip._udp.NAME\" or \"host:NAME:PORT\", with `;transport=tcp` behind it where needed";

/// Where DNS lists members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// As written: what people are told.
    pub text: Box<str>,
    /// What is asked for.
    pub name: Box<str>,
    /// Port of every address; `None`: SRV records say it.
    pub port: Option<u16>,
    /// How members are reached.
    pub transport: Transport,
}

impl Source {
    /// Whether its answers say which part of the requests each member gets.
    pub(crate) const fn has_weights(&self) -> bool {
        self.port.is_none()
    }
}

/// Reads `discover`.
pub(super) fn read(value: &Value<'_, '_>) -> Option<At<Source>> {
    let source = value.parsed(EXPECTED, parse)?;
    Some(At { value: source, place: value.place() })
}

fn parse(text: &str) -> Option<Source> {
    let (asked, parameter) = text.split_once(';').unwrap_or((text, ""));
    let told = match parameter {
        "" => None,
        "transport=udp" => Some(Transport::Udp),
        "transport=tcp" => Some(Transport::Tcp),
        _ => return None,
    };
    let (name, port, own) = match asked.split_once(':')? {
        ("srv", name) => (name, None, Some(transport_of(service(name)?)?)),
        ("host", at) => {
            let (name, port) = at.rsplit_once(':')?;
            (name, Some(port.parse().ok().filter(|port| *port != 0)?), None)
        }
        _ => return None,
    };
    let host = if port.is_some() { name } else { service(name)?.1 };
    let is_name = units::host_name(host) && host.bytes().any(|byte| byte.is_ascii_alphabetic());
    let transport = own.or(told).unwrap_or(Transport::Udp);
    // What the name of the service says and what stands behind it are the same, or one of them is a mistake.
    let agrees = told.is_none_or(|told| told == transport);
    (is_name && agrees).then(|| Source { text: text.into(), name: name.into(), port, transport })
}

/// `_sip._udp.example.com`: the protocol, and the domain (RFC 2782, RFC 3263 §4.1).
fn service(name: &str) -> Option<(&str, &str)> {
    let rest = name.strip_prefix("_sip.")?;
    rest.split_once('.')
}

fn transport_of((protocol, _): (&str, &str)) -> Option<Transport> {
    match protocol {
        "_udp" => Some(Transport::Udp),
        "_tcp" => Some(Transport::Tcp),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_services_or_hosts_with_a_port() {
        let srv = parse("srv:_sip._udp.freeswitch.internal").expect("a source");
        assert_eq!((&*srv.name, srv.port), ("_sip._udp.freeswitch.internal", None));
        assert_eq!(srv.transport, Transport::Udp);
        let tcp = parse("srv:_sip._tcp.freeswitch.internal;transport=tcp").expect("a source");
        assert_eq!(tcp.transport, Transport::Tcp);
        let host = parse("host:fs.internal:5080;transport=tcp").expect("a source");
        assert_eq!((&*host.name, host.port, host.transport), ("fs.internal", Some(5080), Transport::Tcp));
        for wrong in [
            "",
            "fs.internal",
            "srv:fs.internal",
            "srv:_sip._sctp.fs.internal",
            "srv:_sip._udp.",
            "srv:_sip._udp.fs.internal;transport=tcp",
            "host:fs.internal",
            "host:fs.internal:0",
            "host:10.0.2.10:5080",
            "host:fs internal:5080",
            "host:fs.internal:5080;lr",
        ] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }
}
