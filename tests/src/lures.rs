//! What somebody outside writes who wants sbc to send to an address of his choice, or the pool to believe what only sbc
//! may say: an address in every place and every spelling, a trust header in every disguise.

/// Places where an address can stand, one at a time. `{at}` is a host with its port, `{host}` the host alone.
const PLACES: &[Place] = &[
    // Request-URIs.
    Place::Uri("sip:9200@{at}"),
    Place::Uri("sip:{at};lr"),
    Place::Uri("sips:9200@{at}"),
    Place::Uri("sip:9200@{host}"),
    Place::Uri("sip:9200@{at};transport=tcp"),
    Place::Uri("sip:9200@example.test;maddr={host}"),
    Place::Uri("sip:9200@example.test:{port};maddr={host}"),
    Place::Uri("sip:9200@example.test;received={at};rport={port}"),
    Place::Uri("sip:9200@example.test;lr;ob;gr={at}"),
    Place::Uri("sip:9200@{at}@example.test"),
    Place::Uri("sip:x@example.test@{at}"),
    Place::Uri("sip:{at}@example.test"),
    Place::Uri("sip:9200:{at}@example.test"),
    Place::Uri("sip:9200@example.test?Route=%3Csip%3A{at}%3Blr%3E"),
    Place::Uri("sip:9200@example.test?Via=SIP/2.0/UDP%20{at}&Contact=sip:{at}"),
    Place::Uri("sip:9200@example.test;fs_path=sip:{at}"),
    Place::Uri("sip:9200%00@{at}"),
    Place::Uri("sip:9200@\u{200b}{at}"),
    Place::Uri("sip:9200@example.test\u{200b}@{at}"),
    Place::Uri("tel:+4930123;phone-context={host}"),
    Place::Uri("//{at}/9200"),
    // Top Via values, as far as their branch.
    Place::Via("SIP/2.0/{T} {at};"),
    Place::Via("SIP/2.0/{T} {host} : {port};rport;"),
    Place::Via("SIP/2.0/{T} {own};maddr={host};rport={port};"),
    Place::Via("SIP/2.0/{T} {own};received={host};rport={port};"),
    Place::Via("SIP/2.0/{T} {own};received={host};rport;"),
    Place::Via("SIP/2.0/TCP {at};alias;"),
    // Headers.
    Place::Header("Route: <sip:{at};lr>\r\n"),
    Place::Header("Route: <sip:{at};lr;transport=tcp>\r\n"),
    Place::Header("Route: <sip:{edge};lr>, <sip:{at};lr>\r\n"),
    Place::Header("Route: <sip:{edge};lr>\r\nROUTE:\r\n <sip:{at};lr>\r\n"),
    Place::Header("Route: <sip:{edge};lr;maddr={host}>\r\n"),
    Place::Header("Route: <sip:token@{at};lr;received={at}>\r\n"),
    Place::Header("Route: \"<sip:{edge};lr>\" <sip:{at}>\r\n"),
    Place::Header("Record-Route: <sip:{at};lr>\r\n"),
    Place::Header("Path: <sip:{at};lr>\r\nSupported: path\r\n"),
    Place::Header("Service-Route: <sip:{at};lr>\r\n"),
    Place::Header("Contact: <sip:somebody@{at}>;expires=300\r\n"),
    Place::Header("m: <sip:somebody@{at};transport=tcp>\r\n"),
    Place::Header("Contact: <sip:somebody@{edge};maddr={host}>\r\n"),
    Place::Header("Contact: <sip:somebody@{own};received={at}>\r\n"),
    Place::Header("Contact: <sip:{own}?Route=%3Csip:{at}%3E>\r\n"),
    Place::Header("Refer-To: <sip:9200@{at}>\r\n"),
    Place::Header("r: <sip:9200@example.test?Route=%3Csip:{at};lr%3E&X-AUTH-IP={host}>\r\n"),
    Place::Header("Refer-To: <sip:9200@{at}?Replaces=a%40{host}%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n"),
    Place::Header("Referred-By: <sip:boss@{at}>\r\n"),
    Place::Header("Replaces: a@{at};to-tag=1;from-tag=2\r\n"),
    Place::Header("Target-Dialog: a@{at};remote-tag=1;local-tag=2\r\n"),
    Place::Header("Join: a@{at};to-tag=1;from-tag=2\r\n"),
    Place::Header("Reply-To: <sip:{at}>\r\n"),
    Place::Header("Call-Info: <http://{at}/>;purpose=icon\r\n"),
    Place::Header("Alert-Info: <http://{at}/ring.wav>\r\n"),
    Place::Header("Error-Info: <sip:{at}>\r\n"),
    Place::Header("In-Reply-To: a@{at}\r\n"),
    Place::Header("Subscription-State: active;server={at}\r\n"),
    Place::Header("P-Served-User: <sip:{at}>\r\nP-Associated-URI: <sip:{at}>\r\n"),
    Place::Header(
        "Authorization: Digest username=\"1004\", realm=\"{at}\", nonce=\"n\", uri=\"sip:{at}\", response=\"0\"\r\n",
    ),
    Place::Header("Via: SIP/2.0/UDP {at};branch=z9hG4bKbelow\r\n"),
    Place::Header("v: SIP/2.0/UDP {own};maddr={host};branch=z9hG4bKbelow\r\n"),
    // Who calls whom.
    Place::From("<sip:1004@{at}>"),
    Place::From("\"<sip:{at}>\" <sip:1004@example.test;maddr={host}>"),
    Place::To("<sip:1004@{at}>"),
    Place::To("<sip:1004@example.test;maddr={host}>"),
];

/// How an address of the machine itself, of its link or of its metadata can be written, and what only looks like one.
pub const SPELLINGS: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "127.0.0.1.",
    "127.000.000.001",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "LocalHost.localdomain",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[::1%25lo]",
    "::1",
    "0.0.0.0",
    "0",
    "[::]",
    "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1",
    "\u{ff11}27.0.0.1",
    "127\u{3002}0.0.1",
    "169.254.169.254",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "10.0.2.10",
];

/// Methods of requests that begin something, or pretend to go on with it.
pub const METHODS: &[&str] =
    &["INVITE", "REGISTER", "SUBSCRIBE", "MESSAGE", "OPTIONS", "NOTIFY", "REFER", "BYE", "PUBLISH"];

/// Headers by which the pool learns what it is to believe.
pub const TRUSTED: &[&str] = &[
    "X-AUTH-IP",
    "X-AUTH-PORT",
    "X-AUTH-Token",
    "X-FS-Support",
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Remote-Party-ID",
    "Privacy",
    "History-Info",
    "Diversion",
    "Identity",
    "Path",
];

/// The name of no header that anybody sends: where it stands at the beginning of a line, somebody has made that line.
pub const INJECTED: &str = "X-Injected";

enum Place {
    Uri(&'static str),
    Via(&'static str),
    Header(&'static str),
    From(&'static str),
    To(&'static str),
}

/// How many places there are.
pub const fn places() -> usize {
    PLACES.len()
}

/// Who writes, and where to.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The transport, as Via names it.
    pub transport: &'a str,
    /// The sender's own address, as Via and Contact name it.
    pub own: &'a str,
    /// The address of sbc that it sends to.
    pub edge: &'a str,
}

/// A dialog that stands: its requests have to look like this.
#[derive(Debug, Clone)]
pub struct Dialog {
    /// The Contact of the other side.
    pub target: String,
    /// From, with its tag.
    pub from: String,
    /// To, with its tag.
    pub to: String,
    /// The Call-ID.
    pub call_id: String,
}

/// A request with an address of the writer's choice in one place.
pub fn lure(sender: &Sender<'_>, method: &str, place: usize, host: &str, port: u16, number: usize) -> String {
    let fill = |text: &str| {
        text.replace("{at}", &format!("{host}:{port}"))
            .replace("{host}", host)
            .replace("{port}", &port.to_string())
            .replace("{own}", sender.own)
            .replace("{edge}", sender.edge)
            .replace("{T}", sender.transport)
    };
    let mut parts = Parts::usual(sender, method, number);
    match PLACES.get(place) {
        Some(Place::Uri(uri)) => parts.uri = fill(uri),
        Some(Place::Via(via)) => parts.via = fill(via),
        Some(Place::Header(lines)) => parts.add(&fill(lines)),
        Some(Place::From(from)) => parts.from = format!("{};tag=1", fill(from)),
        Some(Place::To(to)) => parts.to = fill(to),
        None => {}
    }
    parts.text()
}

/// The same inside a dialog, where the place is a header. `None` where it is another one.
pub fn lure_inside(
    sender: &Sender<'_>,
    dialog: &Dialog,
    method: &str,
    place: usize,
    host: &str,
    port: u16,
    number: usize,
) -> Option<String> {
    matches!(PLACES.get(place), Some(Place::Header(_) | Place::Via(_))).then_some(())?;
    let text = lure(sender, method, place, host, port, number);
    let lines = text.split("\r\n").map(|line| match line.split_once(": ") {
        Some(("From", _)) => format!("From: {}", dialog.from),
        Some(("To", _)) => format!("To: {}", dialog.to),
        Some(("Call-ID", _)) => format!("Call-ID: {}", dialog.call_id),
        Some(("CSeq", _)) => format!("CSeq: {} {method}", number + 2),
        None if line.starts_with(method) => format!("{method} {} SIP/2.0", dialog.target),
        _ => line.to_owned(),
    });
    Some(lines.collect::<Vec<_>>().join("\r\n"))
}

/// Requests that claim what only sbc may say, or break out of the value they are written in.
pub fn claims(sender: &Sender<'_>, first: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut Parts)| {
        let number = first + all.len();
        let mut parts = Parts::usual(sender, METHODS.get(number % 5).copied().unwrap_or("INVITE"), number);
        change(&mut parts);
        all.push(parts.text());
    };
    for name in TRUSTED {
        for line in disguises(name) {
            add(&|parts| parts.add(&line));
        }
        // After the end of the headers, as far as Content-Length knows, and beyond it.
        add(&|parts| parts.body = format!("{name}: <sip:boss@10.0.2.10>\r\n\r\n"));
        add(&|parts| parts.tail = format!("{name}: <sip:boss@10.0.2.10>\r\n\r\n"));
        add(&|parts| {
            parts.add("Content-Type: multipart/mixed;boundary=b\r\n");
            parts.body =
                format!("--b\r\n{name}: 10.0.2.10\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n");
        });
    }
    for end in [
        "%0d%0a", "%0D%0A", "%0a", "%0d", "\\\r\n", "\\\n", "\\\r", "\r", "\n", "\r\n\t", "\0\r\n\0",
        "\u{2028}", "\u{85}",
    ] {
        let line = format!("{end}{INJECTED}: 1{end}X-AUTH-IP: 10.0.2.10{end}");
        let inside = line.replace(": ", ":%20");
        add(&|parts| parts.uri = format!("sip:9200{inside}@example.test"));
        add(&|parts| parts.uri = format!("sip:9200@example.test;x={inside}"));
        add(&|parts| parts.uri = format!("sip:9200@example.test;x=\"{line}\""));
        add(&|parts| parts.from = format!("\"Boss{line}\" <sip:1004@example.test>;tag=1"));
        add(&|parts| parts.from = format!("<sip:1004{inside}@example.test>;tag=1"));
        add(&|parts| parts.from = format!("<sip:1004@example.test>;tag=1{inside}"));
        add(&|parts| parts.to = format!("\"Boss{line}\" <sip:1004@example.test;x={inside}>"));
        add(&|parts| parts.add(&format!("Contact: \"{line}\" <sip:1004@{};x={inside}>\r\n", sender.own)));
        add(&|parts| parts.add(&format!("Subject: hello{line}\r\n")));
        add(&|parts| parts.add(&format!("User-Agent: phone{line}\r\n")));
        add(&|parts| parts.call_id = format!("{}{inside}", parts.call_id));
        add(&|parts| parts.via = format!("SIP/2.0/{} {};x=\"{line}\";", sender.transport, sender.own));
        add(&|parts| parts.add(&format!("Refer-To: <sip:9200@example.test?X-AUTH-IP={inside}>\r\n")));
    }
    all
}

/// A header as a cautious, as a sly and as a broken sender writes it.
fn disguises(name: &str) -> Vec<String> {
    let value = "<sip:boss@10.0.2.10>";
    let swapped: String = name
        .chars()
        .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    let mut lines = vec![
        format!("{name}: {value}\r\n"),
        format!("{}:{value}\r\n", name.to_lowercase()),
        format!("{swapped}:{value}\r\n"),
        format!("{name} : {value}\r\n"),
        format!("{name}\t \t:{value}\r\n"),
        format!("{name}:\r\n {value}\r\n"),
        format!("{name}\r\n : {value}\r\n"),
        format!("{name}: {value}\r\n{name}: {value}\r\n{swapped}: {value}\r\n"),
        format!("{name}: {value}, {value}\r\n"),
        format!("{name}:\r\n"),
        format!("\0{name}: {value}\r\n"),
        format!("{name}\0: {value}\r\n"),
        format!("\u{b}{name}: {value}\r\n"),
        format!("\u{a0}{name}: {value}\r\n"),
        format!("\u{feff}{name}: {value}\r\n"),
        format!("Subject: a\r{name}: {value}\r\n"),
        format!("Subject: a\n{name}: {value}\r\n"),
        format!("Subject: a\r\n {name}: {value}\r\n"),
        format!("Subject: a\r\r\n{name}: {value}\r\n"),
        format!("Subject: a\\\r\n{name}: {value}\r\n"),
        format!("Subject: \"a\r\n{name}: {value}\r\nOrganization: b\"\r\n"),
        format!("Subject: a%0d%0a{name}: {value}\r\n"),
        format!("Subject: a\r\nNo colon here\r\n{name}: {value}\r\n"),
        format!(": {name}\r\n{name}: {value}\r\n"),
    ];
    if name == "Identity" {
        lines.extend(["y: x;info=<a:b>\r\n", "Y : x;info=<a:b>\r\n"].map(str::to_owned));
    }
    lines
}

struct Parts {
    method: String,
    uri: String,
    /// As far as its branch.
    via: String,
    from: String,
    to: String,
    call_id: String,
    lines: String,
    body: String,
    /// What follows the body.
    tail: String,
    number: usize,
    contact: String,
}

impl Parts {
    fn usual(sender: &Sender<'_>, method: &str, number: usize) -> Self {
        let is_register = method == "REGISTER";
        Self {
            method: method.into(),
            uri: if is_register { "sip:example.test" } else { "sip:9200@example.test" }.into(),
            via: format!("SIP/2.0/{} {};rport;", sender.transport, sender.own),
            from: "<sip:1004@example.test>;tag=1".into(),
            to: if is_register { "<sip:1004@example.test>" } else { "<sip:9200@example.test>" }.into(),
            call_id: format!("lure-{number}"),
            lines: String::new(),
            body: String::new(),
            tail: String::new(),
            number,
            contact: format!("Contact: <sip:1004@{}>\r\n", sender.own),
        }
    }

    fn add(&mut self, lines: &str) {
        if ["Contact:", "m:"].iter().any(|name| lines.starts_with(name)) {
            self.contact.clear();
        }
        self.lines.push_str(lines);
    }

    fn text(&self) -> String {
        let Self { method, uri, via, from, to, call_id, lines, body, tail, number, contact } = self;
        let has = |name: &str| lines.contains(name);
        let needed = match method.as_str() {
            "SUBSCRIBE" => "Event: presence\r\n",
            "NOTIFY" if has("Subscription-State") => "Event: presence\r\n",
            "NOTIFY" => "Event: presence\r\nSubscription-State: active\r\n",
            "PUBLISH" => "Event: presence\r\n",
            "REFER" if !has("Refer-To: ") && !has("r: ") => "Refer-To: <sip:9201@example.test>\r\n",
            _ => "",
        };
        let kind = if body.is_empty() || has("Content-Type") { "" } else { "Content-Type: text/plain\r\n" };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: {via}branch=z9hG4bKlure{number}\r\nMax-Forwards: 9\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n{lines}{contact}{needed}{kind}\
             Content-Length: {}\r\n\r\n{body}{tail}",
            body.len()
        )
    }
}

/// Names of header lines as the most careless reader finds them: any CR or LF ends a line, blanks and control characters
/// around a name are nothing. Lines that begin with a blank go on with the one before.
pub fn careless_names(message: &[u8]) -> Vec<String> {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(message.len());
    let head = String::from_utf8_lossy(message.get(..end).unwrap_or_default());
    let lines = head.split(['\r', '\n']).skip(1).filter(|line| !line.starts_with([' ', '\t']));
    let is_nothing = |c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}';
    let name =
        |line: &str| line.split_once(':').map(|(name, _)| name.trim_matches(is_nothing).to_lowercase());
    lines.filter_map(name).collect()
}

/// What a member must not find in a request from outside: a line that somebody made, or a trust header that is not sbc's
/// own `X-AUTH-IP` and `X-AUTH-PORT`.
pub fn believed_in_vain(message: &[u8]) -> Vec<String> {
    let names = careless_names(message);
    let of = |wanted: &str| names.iter().filter(|name| name.eq_ignore_ascii_case(wanted)).count();
    let allowed = |name: &str| if name == "X-AUTH-IP" || name == "X-AUTH-PORT" { 1 } else { 0 };
    // sbc puts a Path of its own into what registers.
    let allowed =
        |name: &str| allowed(name) + usize::from(name == "Path" && message.starts_with(b"REGISTER "));
    let listed = TRUSTED.iter().chain([&INJECTED, &"y"]).filter(|name| of(name) > allowed(name));
    listed.map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_careless_reader_believes_most_claims_as_they_are_written() {
        let sender = Sender { transport: "UDP", own: "192.0.2.1:5060", edge: "198.51.100.7:5060" };
        let claims = claims(&sender, 0);
        let believed = claims.iter().filter(|text| !believed_in_vain(text.as_bytes()).is_empty()).count();
        assert!(believed * 2 > claims.len(), "{believed} of {}", claims.len());
        let usual = lure(&sender, "INVITE", usize::MAX, "", 0, 1);
        assert_eq!(believed_in_vain(usual.as_bytes()), Vec::<String>::new());
    }
}
