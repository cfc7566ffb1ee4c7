//! What the outside may see: no address, port, name or version of the pool in any header.

use super::Site;

/// What the members say of themselves; names of headers count as well.
const SOFTWARE: [&str; 5] = ["freeswitch", "sofia", "1.11.2", "x-fs-", "x-asterisk"];
/// Headers whose text a peer hashes, so that nobody on the way can change it (RFC 7616 §3.4).
const SIGNED: [&str; 2] = ["authorization:", "proxy-authorization:"];

/// A judge of the messages that one site's outside receives.
#[derive(Debug)]
pub struct PublicView {
    secrets: Vec<String>,
    ports: Vec<String>,
    judged: usize,
    leaks: Vec<String>,
}

impl PublicView {
    /// Knows the site's secrets.
    pub fn new(site: &Site) -> Self {
        let hosts = site.secret_hosts().map(|host| host.to_string());
        Self {
            secrets: hosts.chain(SOFTWARE.map(str::to_owned)).collect(),
            ports: site.secret_ports().map(|port| port.to_string()).collect(),
            judged: 0,
            leaks: Vec::new(),
        }
    }

    /// Judges one message received outside; bodies (SDP names the media server itself) are not looked at.
    pub fn judge(&mut self, message: &[u8]) {
        let end = message.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(message.len());
        let head = String::from_utf8_lossy(message.get(..end).unwrap_or_default()).to_lowercase();
        self.judged += 1;
        for line in head.lines().filter(|line| !SIGNED.iter().any(|name| line.starts_with(name))) {
            let secret = self.secrets.iter().find(|secret| line.contains(secret.as_str()));
            let port = self.ports.iter().find(|port| names_port(line, port));
            if let Some(secret) = secret.or(port) {
                self.leaks.push(format!("{secret:?} in {line:?}"));
            }
        }
    }

    /// Judges many.
    pub fn judge_all<M: AsRef<[u8]>>(&mut self, messages: impl IntoIterator<Item = M>) {
        for message in messages {
            self.judge(message.as_ref());
        }
    }

    /// Says that there was something to judge, and nothing to complain about.
    ///
    /// # Panics
    /// When a header told of the inside, or there was no message at all.
    #[track_caller]
    pub fn assert_nothing_told(&self) {
        assert!(self.judged > 0, "no message was judged");
        assert!(self.leaks.is_empty(), "{} of {} headers: {:#?}", self.leaks.len(), self.judged, self.leaks);
    }
}

/// True for `:PORT` or `=PORT`, not as a part of something else or as a user.
fn names_port(line: &str, port: &str) -> bool {
    line.match_indices(port).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + port.len()..).and_then(|text| text.chars().next());
        matches!(before, Some(':' | '='))
            && !after.is_some_and(|next| next == '@' || next.is_ascii_alphanumeric())
    })
}

/// The messages in a log of SIPp's `-trace_msg`: those received, or those sent.
pub(super) fn split_messages(log: &[u8], sent: bool) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(log);
    let records = text.split("-----------------------------------------------");
    let words = if sent { "message sent" } else { "message received" };
    let wanted = records.filter_map(|record| {
        let (head, message) = record.split_once("\n\n")?;
        head.contains(words).then(|| message.as_bytes().to_vec())
    });
    wanted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_ports_and_software_are_found_in_headers_and_not_in_bodies() {
        let site = Site::new("public-view");
        let (member, port) = (site.members[0], site.members[0].port());
        let told = |header: &str| {
            let mut view = PublicView::new(&site);
            view.judge(format!("SIP/2.0 200 OK\r\n{header}\r\n\r\no=FreeSWITCH {member}").as_bytes());
            !view.leaks.is_empty()
        };
        assert!(told(&format!("Contact: <sip:9196@{member}>")));
        assert!(told(&format!("Contact: <sip:9196@192.0.2.1:{port};transport=udp>")));
        assert!(told("User-Agent: FreeSWITCH-mod_sofia/1.11.2"));
        assert!(told("X-FS-Support: update_display"));
        assert!(!told(&format!("Contact: <sip:{port}@192.0.2.1:5060>")));
        assert!(!told("Call-ID: 4711"));
    }

    #[test]
    fn messages_are_read_from_a_log() {
        let log = b"----------------------------------------------- 2026-01-01 00:00:00\n\
            UDP message sent (3 bytes):\n\nOPTIONS sip:a SIP/2.0\r\n\r\n\
            ----------------------------------------------- 2026-01-01 00:00:01\n\
            UDP message received [3] bytes :\n\nSIP/2.0 200 OK\r\n\r\n";
        assert_eq!(split_messages(log, false), [b"SIP/2.0 200 OK\r\n\r\n"]);
        let sent = split_messages(log, true);
        assert!(sent.len() == 1 && sent[0].starts_with(b"OPTIONS sip:a SIP/2.0\r\n"), "{sent:?}");
    }
}
