//! What a real FreeSWITCH writes, with all its habits, passes: the body byte for byte but for the name of its
//! writer, nothing of the inside in any header, every other header as it was.
//!
//! The messages here have its unusual properties. Where `SBC_SHARED` names a directory with
//! `reference/freeswitch-samples`, the messages recorded there are played in the same way.

use std::fs;
use std::path::Path;

use sbc_tests::sim::{CARRIER, EdgeSettings, INSIDE, MEMBERS, WSS, World, answer, replace};
use sbc_tests::ua::message::{Message, Start, address_uri, uri_host, uri_user};

/// A browser, written by hand.
const WIDGET: &str = "192.0.2.31:4031";
const CONTACT: &str = "sip:w1dg3t@r4nd0m.invalid;transport=ws";
/// What FreeSWITCH sees of such a browser's Contact.
const WIDGET_VIA: &str = "SIP/2.0/WSS r4nd0m.invalid;branch=z9hG4bK5551212";

/// Headers that change on their way, each checked by a rule of its own.
const CHANGED: [&str; 16] = [
    "Via",
    "Content-Length",
    "Contact",
    "Route",
    "Record-Route",
    "Path",
    "Max-Forwards",
    "User-Agent",
    "Server",
    "Remote-Party-ID",
    "X-FS-Support",
    "From",
    "To",
    "WWW-Authenticate",
    "Proxy-Authenticate",
    "Authorization",
];
/// Headers that end at the edge.
const STOPPED: [&str; 5] = ["Path", "User-Agent", "Server", "Remote-Party-ID", "X-FS-Support"];

/// A message as FreeSWITCH writes it; `{length}` in its head becomes the length of the body.
fn written(head: &str, body: &str) -> Message {
    let body = body.replace('\n', "\r\n");
    let head = head.trim().replace("{length}", &body.len().to_string()).replace('\n', "\r\n");
    Message::read(format!("{head}\r\n\r\n{body}").as_bytes()).expect("a message")
}

/// sbc with a browser in front of it, and members whose words we speak ourselves.
struct Stage {
    world: World,
    path: String,
}

impl Stage {
    fn new() -> Self {
        let mut world = World::new(1, &EdgeSettings::new(&MEMBERS));
        for member in MEMBERS {
            world.kill(member, false);
        }
        world.connect(WIDGET);
        let mut stage = Self { world, path: String::new() };
        let (member, register) = stage.ask(stage.request("REGISTER", "register", "1 REGISTER", "", ""));
        stage.path = register.get("Path").expect("a Path").to_owned();
        let mut ok = answer(&register, 200, "registrar");
        ok.push("Contact", format!("<{CONTACT}>;expires=300"));
        ok.close(None);
        stage.reply(&member, &ok);
        stage
    }

    /// A request of the browser outside dialogs.
    fn request(&self, method: &str, call_id: &str, cseq: &str, from: &str, to: &str) -> Message {
        let uri = if method == "REGISTER" { "sip:example.test" } else { "sip:9196@example.test" };
        let own =
            |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
        let mut request = Message::request(method, uri);
        request.push("Via", WIDGET_VIA);
        request.push("Max-Forwards", "70");
        request.push("From", own(from, "<sip:1001@example.test>;tag=w"));
        request.push("To", own(to, "<sip:1001@example.test>"));
        request.push("Call-ID", call_id);
        request.push("CSeq", cseq);
        request.push("Contact", format!("<{CONTACT}>"));
        request.close(None);
        request
    }

    fn say(&mut self, from: &str, to: &str, message: &Message) -> Vec<(String, Message)> {
        let text = String::from_utf8(message.to_bytes()).expect("text");
        let sent = self.world.say(from, to, &text, message.call_id());
        sent.into_iter().map(|(to, message)| (to.to_string(), message)).collect()
    }

    /// The browser asks; which member gets it, and what.
    fn ask(&mut self, request: Message) -> (String, Message) {
        let sent = self.say(WIDGET, WSS, &request);
        sent.into_iter().find(|(to, _)| MEMBERS.contains(&to.as_str())).expect("forwarded to a member")
    }

    /// A member replies; everything that left because of it.
    fn reply(&mut self, member: &str, response: &Message) -> Vec<(String, Message)> {
        self.say(member, INSIDE, response)
    }

    /// The only message that the browser gets of what a member says.
    fn reaches(&mut self, member: &str, message: &Message, whom: &str) -> Message {
        let mut sent = self.say(member, INSIDE, message);
        sent.retain(|(to, _)| to == whom);
        assert_eq!(sent.len(), 1, "{message:?} reaches {whom} once: {sent:?}");
        sent.remove(0).1
    }
}

/// Play a message of FreeSWITCH in circumstances that fit it.
fn pass(message: &Message) {
    let mut stage = Stage::new();
    match (&message.start, message.method()) {
        (Start::Response { status: 503, .. }, _) => pass_503(&mut stage, message),
        (Start::Response { .. }, _) => pass_response(&mut stage, message),
        (Start::Request { .. }, "REGISTER") => pass_register(&mut stage, message),
        (Start::Request { .. }, "OPTIONS") => pass_ping(&mut stage, message),
        (Start::Request { uri, .. }, "INVITE") if uri.contains(INSIDE) && message.tag("To").is_empty() => {
            pass_gateway(&mut stage, message);
        }
        _ => pass_request(&mut stage, message),
    }
    assert_eq!(stage.world.told, Vec::<String>::new());
}

/// The response, put in the place of an answer to a request of the browser.
fn respond_to(stage: &mut Stage, response: &Message) -> (String, Message) {
    let to = response.get("To").expect("To").split(";tag=").next().expect("an address").to_owned();
    let (cseq, from) = (response.get("CSeq").expect("CSeq"), response.get("From").expect("From"));
    let request = stage.request(response.method(), response.call_id(), cseq, from, &to);
    let (member, forwarded) = stage.ask(request);
    let mut response = response.clone();
    let mut vias = forwarded.list("Via");
    if response.status() == 100 {
        // FreeSWITCH writes the top one alone here.
        vias.truncate(1);
    }
    replace(&mut response, "Via", &vias);
    if response.method() == "REGISTER" && response.get("Contact").is_some() {
        replace(&mut response, "Contact", &[format!("<{CONTACT}>;expires=300")]);
    }
    (member, response)
}

fn pass_response(stage: &mut Stage, recorded: &Message) {
    let (member, response) = respond_to(stage, recorded);
    let seen = stage.reaches(&member, &response, WIDGET);
    assert_eq!(seen.status(), recorded.status());
    assert_eq!(seen.all("Via").collect::<Vec<_>>(), [format!("{WIDGET_VIA};received=192.0.2.31")]);
    if recorded.status() == 100 {
        // It is ours, hop by hop: nothing of theirs is in it.
        assert_eq!(seen.headers.len(), 6, "{seen:?}");
        return;
    }
    for name in ["WWW-Authenticate", "Proxy-Authenticate"] {
        let Some(challenge) = recorded.get(name) else { continue };
        let marked = seen.get(name).expect("the challenge");
        assert!(marked.starts_with(&format!("{challenge}, opaque=\"")), "{marked}");
    }
    if recorded.method() == "REGISTER" {
        let own = seen.uri_of("Contact");
        assert!(own.is_none() || own.as_deref() == Some(CONTACT), "{own:?}");
    } else {
        assert_sealed(recorded, &seen);
    }
    assert_kept(recorded, &seen);
}

/// A member that is full is not the last word: the other one is asked. Only then does the caller hear of it.
fn pass_503(stage: &mut Stage, recorded: &Message) {
    let (first, response) = respond_to(stage, recorded);
    let sent = stage.reply(&first, &response);
    let asked = sent
        .iter()
        .find(|(to, message)| *to != first && message.method() == "INVITE" && message.is_request());
    let (second, forwarded) = asked.unwrap_or_else(|| panic!("the other member is asked: {sent:?}"));
    assert!(sent.iter().all(|(to, _)| to != WIDGET), "the caller hears nothing yet: {sent:?}");
    let mut again = response.clone();
    replace(&mut again, "Via", &forwarded.list("Via"));
    let seen = stage.reaches(second, &again, WIDGET);
    assert!((500..600).contains(&seen.status()), "{seen:?}");
}

/// REGISTER as it should arrive at FreeSWITCH: the recorded one shows a Path where ours must be.
fn pass_register(stage: &mut Stage, recorded: &Message) {
    let mut request = recorded.clone();
    replace(&mut request, "Path", &[]);
    replace(&mut request, "Via", &[WIDGET_VIA.replace("5551212", "register2")]);
    let (_, seen) = stage.ask(request.clone());
    let path: Vec<_> = seen.all("Path").collect();
    assert_eq!(path.len(), 1);
    assert!(path[0].starts_with("<sip:") && path[0].ends_with(&format!("@{INSIDE};lr>")), "{path:?}");
    let values = |message: &Message, name: &str| message.all(name).map(str::to_owned).collect::<Vec<_>>();
    for name in ["From", "To", "Contact", "Authorization", "Supported", "Expires", "Call-ID", "CSeq"] {
        assert_eq!(values(&seen, name), values(&request, name), "{name}");
    }
    assert_eq!((seen.uri(), seen.get("X-AUTH-IP")), (recorded.uri(), Some("192.0.2.31")));
}

/// Pings are answered here.
fn pass_ping(stage: &mut Stage, recorded: &Message) {
    let sent = stage.reply(MEMBERS[0], recorded);
    assert_eq!(sent.len(), 1, "nobody else is asked: {sent:?}");
    assert_eq!((sent[0].0.as_str(), sent[0].1.status()), (MEMBERS[0], 200));
    assert_eq!(sent[0].1.get("Call-ID"), recorded.get("Call-ID"));
}

fn pass_gateway(stage: &mut Stage, recorded: &Message) {
    let mut invite = recorded.clone();
    if let Start::Request { uri, .. } = &mut invite.start {
        *uri = format!("sip:+{}@{INSIDE}", uri_user(uri).trim_start_matches('+'));
    }
    let seen = stage.reaches(MEMBERS[0], &invite, CARRIER);
    assert_eq!(seen.uri(), format!("sip:{}@{CARRIER}", uri_user(invite.uri())));
    assert_sealed(recorded, &seen);
    assert_kept(recorded, &seen);
    assert_eq!(seen.list("Via").len(), 1);
}

/// A request for the browser: along its Path, or along the Record-Route of a call it made.
fn pass_request(stage: &mut Stage, recorded: &Message) {
    let mut request = recorded.clone();
    let routes = recorded.list("Route");
    let is_of_own_call = !recorded.tag("To").is_empty() && routes.len() != 1;
    if is_of_own_call {
        let to = recorded.get("From").expect("From").split(";tag=").next().expect("an address").to_owned();
        let from = recorded.get("To").expect("To");
        let call = stage.request("INVITE", recorded.call_id(), "1 INVITE", from, &to);
        let (_, invite) = stage.ask(call);
        let route = invite.get("Record-Route").expect("ours").to_owned();
        let rest = routes.iter().skip(1).cloned();
        replace(&mut request, "Route", &std::iter::once(route).chain(rest).collect::<Vec<_>>());
    } else {
        replace(&mut request, "Route", std::slice::from_ref(&stage.path));
    }
    if let Start::Request { uri, .. } = &mut request.start {
        *uri = CONTACT.to_owned();
    }
    let seen = stage.reaches(MEMBERS[0], &request, WIDGET);
    assert_eq!((seen.uri(), seen.method()), (CONTACT, recorded.method()));
    let via = seen.list("Via");
    assert!(via.len() == 1 && via[0].starts_with(&format!("SIP/2.0/WSS {WSS};branch=z9hG4bK")), "{via:?}");
    // What stands below our Route is data for the next hop.
    assert_eq!(seen.list("Route"), routes.into_iter().skip(1).collect::<Vec<_>>());
    assert_sealed(recorded, &seen);
    assert_kept(recorded, &seen);
    if recorded.method() != "ACK" {
        answered(stage, &request, &seen);
    }
}

/// The browser's answer finds its way back, with the Vias that FreeSWITCH wrote.
fn answered(stage: &mut Stage, request: &Message, seen: &Message) {
    let mut ok = answer(seen, 200, "w1");
    ok.push("Contact", format!("<{CONTACT}>"));
    ok.close(None);
    let sent = stage.say(WIDGET, WSS, &ok);
    let (_, back) = sent.iter().find(|(to, _)| to == MEMBERS[0]).expect("the answer at the member");
    let (own, stamped) = (request.list("Via"), back.list("Via"));
    assert_eq!(own.len(), stamped.len());
    let branch = request.top_via().expect("a Via").0;
    assert!(stamped[0].contains(&format!("branch={branch}")), "{stamped:?}");
    assert_eq!(back.top_via().map(|via| via.1), request.top_via().map(|via| via.1));
}

/// The Contact is ours, and only a token.
fn assert_sealed(before: &Message, after: &Message) {
    let (Some(own), Some(contact)) = (before.uri_of("Contact"), after.uri_of("Contact")) else {
        assert_eq!(before.get("Contact"), after.get("Contact"));
        return;
    };
    assert_eq!(uri_host(&contact), "198.51.100.7", "{contact}");
    assert!(uri_user(&contact).len() > 40 && !contact.contains(&uri_host(&own)), "{contact}");
}

/// Byte for byte, but for the name that a session description gives its writer (RFC 8866 §5.2 and §5.3).
fn assert_same_body(before: &str, after: &str) {
    let unnamed = |body: &str| body.replace("o=FreeSWITCH ", "o=- ").replace("s=FreeSWITCH\r\n", "s=-\r\n");
    assert_eq!(unnamed(after), unnamed(before));
}

/// Everything else is as it was.
fn assert_kept(before: &Message, after: &Message) {
    assert_same_body(&before.body, &after.body);
    assert_eq!(after.number("Content-Length"), Some(after.body.len() as u64));
    for name in STOPPED {
        assert_eq!(after.get(name), None, "{name} ends here");
    }
    assert_eq!(after.get("Record-Route"), None);
    for name in ["From", "To"] {
        assert_eq!(after.tag(name), before.tag(name), "the tag of {name}");
        let user = |message: &Message| message.get(name).and_then(address_uri).map(|uri| uri_user(&uri));
        if user(before).as_deref() != Some("mod_sofia") {
            assert_eq!(user(after), user(before), "the user of {name}");
        }
    }
    let others = |message: &Message| -> Vec<(String, String)> {
        let is_kept = |name: &str| !CHANGED.iter().any(|changed| changed.eq_ignore_ascii_case(name));
        message.headers.iter().filter(|(name, _)| is_kept(name)).cloned().collect()
    };
    assert_eq!(others(after), others(before));
}

const AUDIO: &str = "v=0\no=FreeSWITCH 1700000001 1700000002 IN IP4 10.0.2.10\ns=FreeSWITCH\nc=IN IP4 10.0.2.10\n\
                     t=0 0\nm=audio 20000 RTP/AVP 8 101\na=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\n";

/// An offer or answer as long as those of browsers.
fn webrtc(candidates: usize) -> String {
    let head = "v=0\no=FreeSWITCH 1 2 IN IP4 10.0.2.10\ns=FreeSWITCH\nc=IN IP4 10.0.2.10\nt=0 0\n\
                a=msid-semantic: WMS Zq\nm=audio 20002 UDP/TLS/RTP/SAVPF 96\na=rtpmap:96 opus/48000/2\n\
                a=fingerprint:sha-256 00:11:22\na=setup:actpass\na=rtcp-mux\na=ice-ufrag:u\na=ice-pwd:p\n";
    let candidate =
        |number| format!("a=candidate:{number} 1 udp 2130706431 10.0.2.10 20002 typ host generation 0\n");
    head.to_owned() + &(0..candidates).map(candidate).collect::<String>()
}

/// A response of FreeSWITCH to an INVITE; `more` stands before Content-Length, `after` behind it.
fn to_invite(status: &str, more: &str, after: &str, body: &str) -> Message {
    let head = format!(
        "SIP/2.0 {status}\nVia: replaced\nFrom: \"A\" <sip:1001@example.test>;tag=a1\n\
         To: <sip:9196@example.test>;tag=b2FS\nCall-ID: from-widget\nCSeq: 7 INVITE\n{more}\
         User-Agent: FreeSWITCH-mod_sofia/1.11.2-release~64bit\nAccept: application/sdp\n\
         Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\nSupported: timer, path, replaces\nAllow-Events: talk, hold\n\
         Content-Length: {{length}}\n{after}"
    );
    written(&head.replace("Via: replaced", "Via: SIP/2.0/UDP 10.0.1.5:5070;branch=z9hG4bKx"), body)
}

const PARTY: &str = "Remote-Party-ID: \"9196\" <sip:9196@example.test>;party=calling;privacy=off;screen=no";
const MEMBER_CONTACT: &str = "Contact: <sip:9196@10.0.2.10:5080;transport=udp>\n";
const SDP: &str = "Content-Type: application/sdp\nContent-Disposition: session\n";

/// A request of FreeSWITCH; `more` stands before Content-Length, `after` behind it.
fn of_pool(method: &str, route: &str, to_tag: &str, more: &str, after: &str, body: &str) -> Message {
    let head = format!(
        "{method} {CONTACT} SIP/2.0\nVia: SIP/2.0/UDP 10.0.2.10:5080;rport;branch=z9hG4bKFSbranch1\n{route}\
         Max-Forwards: 69\nFrom: \"caller\" <sip:1002@example.test>;tag=FStag\nTo: <{CONTACT}>{to_tag}\n\
         Call-ID: 11111111-2222-1240-7b8c-000000000001\nCSeq: 123028505 {method}\n{more}\
         Supported: timer, path, replaces\nContent-Length: {{length}}\n{after}"
    );
    written(&head, body)
}

const AGENT: &str = "Contact: <sip:mod_sofia@10.0.2.10:5080>\nUser-Agent: FreeSWITCH-mod_sofia/1.11.2\n";
const PATH_ROUTE: &str = "Route: <sip:path@10.0.1.5:5070;lr>\n";

#[test]
fn an_answer_keeps_what_stands_after_its_content_length() {
    let more = format!("{MEMBER_CONTACT}Session-Expires: 1800;refresher=uas\n{SDP}");
    pass(&to_invite("200 OK", &more, &format!("{PARTY}\nX-Queue: support"), AUDIO));
}

#[test]
fn ringing_and_early_media_pass() {
    pass(&to_invite("180 Ringing", MEMBER_CONTACT, PARTY, ""));
    pass(&to_invite("183 Session Progress", &format!("{MEMBER_CONTACT}{SDP}"), PARTY, AUDIO));
}

#[test]
fn trying_is_ours() {
    pass(&to_invite("100 Trying", "", "", ""));
}

#[test]
fn challenges_pass_with_a_mark_of_their_member() {
    let digest = "Digest realm=\"example.test\", nonce=\"11-22-33\", algorithm=MD5, qop=\"auth\"\n";
    pass(&to_invite("407 Proxy Authentication Required", &format!("Proxy-Authenticate: {digest}"), "", ""));
    let challenge = to_invite("401 Unauthorized", &format!("WWW-Authenticate: {digest}"), "", "");
    let text = String::from_utf8(challenge.to_bytes()).unwrap();
    pass(&Message::read(text.replace("7 INVITE", "7 REGISTER").as_bytes()).unwrap());
}

#[test]
fn the_200_to_a_registration_lists_the_browser_as_it_registered() {
    let more = format!("Contact: <{CONTACT}>;expires=300\nDate: Fri, 20 Nov 2026 08:49:54 GMT\n");
    let ok = String::from_utf8(to_invite("200 OK", &more, "", "").to_bytes()).unwrap();
    pass(&Message::read(ok.replace("7 INVITE", "7 REGISTER").as_bytes()).unwrap());
}

#[test]
fn a_registration_gets_a_path_and_keeps_its_credentials() {
    let head = format!(
        "REGISTER sip:example.test SIP/2.0\nVia: SIP/2.0/UDP 10.0.1.5:5070;branch=z9hG4bKx;rport\n\
         Max-Forwards: 70\nFrom: <sip:1001@example.test>;tag=r\nTo: <sip:1001@example.test>\nCall-ID: again\n\
         CSeq: 2 REGISTER\nContact: <{CONTACT}>\nPath: <sip:path@10.0.1.5:5070;lr>\nSupported: path, outbound\n\
         Authorization: Digest username=\"1001\", realm=\"example.test\", nonce=\"11-22\", uri=\"sip:example.test\", \
         response=\"00112233445566778899aabbccddeeff\", algorithm=MD5, cnonce=\"c\", qop=auth, nc=00000001\n\
         Expires: 300\nContent-Length: 0"
    );
    pass(&written(&head, ""));
}

#[test]
fn a_full_member_is_passed_over() {
    pass(&to_invite("503 Maximum Calls In Progress", "Retry-After: 300\n", "", ""));
}

#[test]
fn a_session_interval_too_small_reaches_the_caller() {
    pass(&to_invite("422 Session Interval Too Small", "", "Min-SE: 90", ""));
}

#[test]
fn a_busy_callee_behind_the_pool_reaches_the_caller() {
    let reason = "Max-Forwards: 70\nReason: Q.850;cause=17;text=\"USER_BUSY\"\n";
    pass(&to_invite("486 Busy Here", reason, PARTY, ""));
}

#[test]
fn an_invite_whose_to_is_the_contact_follows_its_path() {
    let more = format!("{AGENT}Session-Expires: 1800;refresher=uac\nMin-SE: 90\n{SDP}");
    let after = "X-FS-Support: update_display,send_info\nRemote-Party-ID: <sip:1002@10.0.2.10>;party=calling";
    pass(&of_pool("INVITE", PATH_ROUTE, "", &more, after, AUDIO));
}

#[test]
fn bodies_of_browser_size_pass() {
    for candidates in [2, 20, 120] {
        let body = webrtc(candidates);
        pass(&of_pool("INVITE", PATH_ROUTE, "", &format!("{AGENT}{SDP}"), "X-FS-Support: send_info", &body));
        pass(&to_invite("200 OK", &format!("{MEMBER_CONTACT}{SDP}"), PARTY, &body));
    }
}

#[test]
fn ack_and_bye_follow_a_path() {
    pass(&of_pool("ACK", PATH_ROUTE, ";tag=w1", "Contact: <sip:mod_sofia@10.0.2.10:5080>\n", "", ""));
    let reason = "User-Agent: FreeSWITCH\nReason: Q.850;cause=16;text=\"NORMAL_CLEARING\"\n";
    pass(&of_pool("BYE", PATH_ROUTE, ";tag=w1", reason, "", ""));
}

#[test]
fn a_bye_with_two_routes_keeps_the_one_that_is_not_ours() {
    let routes = "Route: <sip:rr@10.0.1.5:5070;lr>\nRoute: <sip:rr1@203.0.113.5:443;transport=ws;lr>\n";
    pass(&of_pool("BYE", routes, ";tag=w1", "Reason: Q.850;cause=16;text=\"NORMAL_CLEARING\"\n", "", ""));
}

#[test]
fn a_bye_at_shutdown_says_why() {
    pass(&of_pool("BYE", "", ";tag=w1", "Reason: SIP;cause=701;text=\"SYSTEM_SHUTDOWN\"\n", "", ""));
}

#[test]
fn a_session_refresh_reaches_the_caller() {
    let more = format!("{MEMBER_CONTACT}Session-Expires: 90;refresher=uac\nMin-SE: 90\n{SDP}");
    pass(&of_pool("INVITE", "", ";tag=w1", &more, "", AUDIO));
}

#[test]
fn notifications_pass_without_the_record_route_they_carry() {
    let record = format!("{PATH_ROUTE}Record-Route: <sip:path@10.0.1.5:5070;lr>\n");
    let more =
        format!("{AGENT}Event: dialog\nSubscription-State: active;expires=60\nContent-Type: text/xml\n");
    pass(&of_pool("NOTIFY", &record, ";tag=s1", &more, "", "<?xml version=\"1.0\"?>\n<state/>\n"));
    let check = format!("{AGENT}Event: check-sync\nSubscription-State: terminated;reason=noresource\n");
    pass(&of_pool("NOTIFY", PATH_ROUTE, "", &check, "", ""));
}

#[test]
fn a_gateway_call_leaves_as_ours() {
    let head = format!(
        "INVITE sip:+49301234@{INSIDE} SIP/2.0\nVia: SIP/2.0/UDP 10.0.2.10:5080;rport;branch=z9hG4bKFSgw\n\
         Max-Forwards: 69\nFrom: \"caller\" <sip:1002@10.0.2.10>;tag=FSgw\nTo: <sip:+49301234@{INSIDE}>\n\
         Call-ID: gateway\nCSeq: 123028505 INVITE\n\
         Contact: <sip:gw+carrier@10.0.2.10:5080;transport=udp;gw=carrier>\n\
         User-Agent: FreeSWITCH-mod_sofia/1.11.2\nSupported: timer, path, replaces\n{SDP}\
         Content-Length: {{length}}\nX-FS-Support: update_display,send_info\n\
         Remote-Party-ID: \"caller\" <sip:1002@10.0.2.10>;party=calling;screen=yes;privacy=off"
    );
    pass(&written(&head, AUDIO));
}

#[test]
fn a_ping_is_answered_here() {
    let head = format!(
        "OPTIONS sip:1003@{INSIDE} SIP/2.0\nVia: SIP/2.0/UDP 10.0.2.10:5080;rport;branch=z9hG4bKping\n\
         Max-Forwards: 70\nFrom: <sip:mod_sofia@10.0.2.10:5080>;tag=p\nTo: <sip:1003@example.test>\n\
         Call-ID: 4cb1-34e6_register\nCSeq: 123028078 OPTIONS\n{AGENT}Content-Length: 0"
    );
    pass(&written(&head, ""));
}

/// A message recorded on loopback, with the addresses of the simulation in its head.
fn relocated(recorded: &str) -> Message {
    let (head, body) = recorded.split_once("\r\n\r\n").expect("a head");
    let mut head = head.to_owned();
    for port in ["5080", "5081"] {
        head = head.replace(&format!("127.0.0.1:{port}"), MEMBERS[0]);
    }
    while let Some(at) = head.find("127.0.0.1:") {
        let digits = head[at + 10..].bytes().take_while(u8::is_ascii_digit).count();
        head.replace_range(at..at + 10 + digits, INSIDE);
    }
    let head = head.replace("127.0.0.1", "10.0.2.10");
    Message::read(format!("{head}\r\n\r\n{body}").as_bytes()).expect("a recorded message")
}

#[test]
fn recorded_messages_pass_where_there_are_any() {
    let Ok(shared) = std::env::var("SBC_SHARED") else { return };
    let directory = Path::new(&shared).join("reference/freeswitch-samples");
    let mut paths: Vec<_> =
        fs::read_dir(&directory).expect("recorded messages").map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in &paths {
        eprintln!("{}", path.display());
        pass(&relocated(&fs::read_to_string(path).expect("a text")));
    }
    println!("{} recorded messages passed", paths.len());
    assert!(!paths.is_empty());
}
