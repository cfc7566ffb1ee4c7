//! Nothing of the inside is seen outside: pool addresses, software names, agents.
//!
//! Via, Contact, Record-Route and Path are never passed on as they are; this room takes care of
//! every other header, by one rule: a pool address in it becomes the served domain, and the name of
//! the software behind us a word that says nothing.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use aho_corasick::AhoCorasick;

use crate::config::Config;
use crate::flow::Zone;

/// Finds the addresses that must not be seen.
pub(crate) struct Hidden {
    addresses: Vec<InsideAddress>,
    finder: Option<AhoCorasick>,
}

/// An address of the inside.
struct InsideAddress {
    ip: IpAddr,
    /// `Some`: the outside is told this address too (one machine is both), so only these ports tell
    /// of the inside.
    only_ports: Option<Vec<u16>>,
}

impl Hidden {
    /// The addresses of `config`, and those of members that were in it. Whom another node has told of an address of its own
    /// may tell it to us.
    pub(crate) fn new(config: &Config, former: &[SocketAddr]) -> Self {
        let mut inside = inside_sockets(config);
        inside.extend(former);
        inside.extend(config.headers.hide.iter().map(|ip| SocketAddr::new(*ip, 0)));
        let outside: Vec<IpAddr> = config
            .listeners
            .iter()
            .filter(|listener| listener.zone != Zone::Pool)
            .flat_map(|listener| [listener.advertise.ip(), Some(listener.bind.ip())])
            .flatten()
            .collect();
        let mut ips: Vec<IpAddr> = inside.iter().map(SocketAddr::ip).collect();
        ips.sort();
        ips.dedup();
        let ports = |ip: IpAddr| inside.iter().filter(|one| one.ip() == ip).map(SocketAddr::port).collect();
        let address = |ip| InsideAddress { ip, only_ports: outside.contains(&ip).then(|| ports(ip)) };
        Self::of(ips.into_iter().map(address).collect())
    }

    fn of(addresses: Vec<InsideAddress>) -> Self {
        let names = SOFTWARE.iter().map(|(name, _)| (*name).to_owned());
        let texts = addresses.iter().map(|address| address.ip.to_string()).chain(names);
        let finder = AhoCorasick::builder().ascii_case_insensitive(true).build(texts).ok();
        Self { finder, addresses }
    }

    /// Names only.
    #[cfg(test)]
    pub(crate) fn of_software() -> Self {
        Self::of(Vec::new())
    }

    /// Whether this is an address of the inside.
    pub(crate) fn has(&self, ip: IpAddr, port: Option<u16>) -> bool {
        self.addresses.iter().any(|address| address.ip == ip.to_canonical() && address.tells(port))
    }

    /// What must not be seen next in `text`, at or after `from`.
    pub(crate) fn next(&self, text: &[u8], from: usize) -> Option<Found> {
        let finder = self.finder.as_ref()?;
        let mut at = from;
        while let Some(found) = finder.find(text.get(at..)?) {
            let (start, end) = (at + found.start(), at + found.end());
            let pattern = found.pattern().as_usize();
            let Some(address) = self.addresses.get(pattern) else {
                let word = SOFTWARE.get(pattern - self.addresses.len()).map_or("", |(_, word)| *word);
                return Some(Found { range: start..end, word: Some(word) });
            };
            if is_whole(text, start, end) {
                let (range, port) = with_brackets_and_port(text, start, end);
                if address.tells(port) {
                    return Some(Found { range, word: None });
                }
            }
            at = start + 1;
        }
        None
    }
}

/// Something that must not be seen.
pub(crate) struct Found {
    pub(crate) range: Range<usize>,
    /// What to write instead; `None`: it is an address, and the served domain takes its place.
    pub(crate) word: Option<&'static str>,
}

/// Names of the software behind us, and what takes their place (as a user name, too).
const SOFTWARE: [(&str, &str); 2] = [("mod_sofia", "anonymous"), ("freeswitch", "server")];

impl InsideAddress {
    fn tells(&self, port: Option<u16>) -> bool {
        match &self.only_ports {
            None => true,
            Some(ports) => port.is_some_and(|port| ports.contains(&port)),
        }
    }
}

fn inside_sockets(config: &Config) -> Vec<SocketAddr> {
    let mut inside = Vec::new();
    for listener in config.listeners.iter().filter(|listener| listener.zone == Zone::Pool) {
        inside.extend(listener.advertise.ip().map(|ip| SocketAddr::new(ip, listener.advertise.port)));
        inside.push(listener.bind);
        inside.extend(&listener.worker_ports);
    }
    for pool in config.pools.iter().filter(|pool| pool.zone == Zone::Pool) {
        inside.extend(pool.members.iter().map(|member| member.address));
    }
    inside.retain(|socket| !socket.ip().is_unspecified());
    inside
}

/// 10.0.0.1 is not part of 110.0.0.15.
fn is_whole(text: &[u8], start: usize, end: usize) -> bool {
    let part = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let is_escaped = start.checked_sub(3).and_then(|at| text.get(at)) == Some(&b'%');
    let before = start.checked_sub(1).and_then(|at| text.get(at)).filter(|_| !is_escaped);
    let after = text.get(end);
    let goes_on = after.is_some_and(u8::is_ascii_digit)
        || (after == Some(&b'.') && text.get(end + 1).is_some_and(u8::is_ascii_digit));
    !before.is_some_and(part) && !goes_on
}

fn with_brackets_and_port(text: &[u8], start: usize, end: usize) -> (Range<usize>, Option<u16>) {
    let bracketed = start > 0 && text.get(start - 1) == Some(&b'[') && text.get(end) == Some(&b']');
    let (start, end) = if bracketed { (start - 1, end + 1) } else { (start, end) };
    let rest = text.get(end..).unwrap_or(b"");
    let is_escaped = rest.get(..3).is_some_and(|three| three.eq_ignore_ascii_case(b"%3a"));
    let colon = if is_escaped { 3 } else { usize::from(rest.starts_with(b":")) };
    let digits = rest.iter().skip(colon).take_while(|byte| byte.is_ascii_digit()).count();
    if colon == 0 || digits == 0 {
        return (start..end, None);
    }
    let port = rest.get(colon..colon + digits).and_then(|port| std::str::from_utf8(port).ok()?.parse().ok());
    (start..end + colon + digits, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(addresses: &[&str]) -> Hidden {
        let inside = |text: &&str| InsideAddress { ip: text.parse().unwrap(), only_ports: None };
        Hidden::of(addresses.iter().map(inside).collect())
    }

    fn found<'t>(hidden: &Hidden, text: &'t str) -> Vec<&'t str> {
        let (mut from, mut all) = (0, Vec::new());
        while let Some(next) = hidden.next(text.as_bytes(), from) {
            from = next.range.end;
            all.push(&text[next.range]);
        }
        all
    }

    #[test]
    fn addresses_are_found_with_their_port() {
        let hidden = hidden(&["10.0.2.10", "2001:db8::1"]);
        assert_eq!(found(&hidden, "<sip:a@10.0.2.10:5080>;x"), ["10.0.2.10:5080"]);
        assert_eq!(found(&hidden, "<sip:a@10.0.2.10>, <sip:10.0.2.10:1>"), ["10.0.2.10", "10.0.2.10:1"]);
        assert_eq!(found(&hidden, "<sip:a@[2001:DB8::1]:5060>"), ["[2001:DB8::1]:5060"]);
    }

    #[test]
    fn a_longer_number_is_another_address() {
        let hidden = hidden(&["10.0.2.1"]);
        for text in ["10.0.2.10", "110.0.2.1", "10.0.2.1.5", "4.10.0.2.1"] {
            assert!(found(&hidden, text).is_empty(), "{text}");
        }
        assert_eq!(found(&hidden, "10.0.2.1."), ["10.0.2.1"]);
        assert_eq!(found(&hidden, "10.0.2.10 10.0.2.1"), ["10.0.2.1"]);
    }

    #[test]
    fn escaped_addresses_are_found() {
        let hidden = hidden(&["10.0.2.1"]);
        assert_eq!(found(&hidden, "sip%3Aa%4010.0.2.1%3A5080%3Bx"), ["10.0.2.1%3A5080"]);
    }

    #[test]
    fn software_is_not_named() {
        let hidden = hidden(&[]);
        assert_eq!(found(&hidden, "\"FreeSWITCH\" <sip:mod_sofia@example.com>"), ["FreeSWITCH", "mod_sofia"]);
    }

    #[test]
    fn where_one_machine_is_both_only_the_inner_ports_tell() {
        let ip = "127.0.0.1".parse().unwrap();
        let hidden = Hidden::of(vec![InsideAddress { ip, only_ports: Some(vec![5080]) }]);
        assert_eq!(
            found(&hidden, "<sip:a@127.0.0.1:5080> <sip:127.0.0.1:5060> 127.0.0.1"),
            ["127.0.0.1:5080"]
        );
        assert!(hidden.has(ip, Some(5080)) && !hidden.has(ip, Some(5060)) && !hidden.has(ip, None));
    }
}
