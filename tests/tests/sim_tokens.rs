//! Tokens that are forged, altered, foreign or moved lead nowhere, and are counted.

use std::net::SocketAddr;
use std::time::Duration;

use sbc_core::count::Count;
use sbc_core::flow::Zone;
use sbc_tests::agent::{LegId, Policy, State};
use sbc_tests::sim::{
    BROWSER, CARRIER, Chance, EdgeSettings, INSIDE, MEMBERS, PHONE, PHONES, TRUNK, WSS, World, answer, cast,
    replace,
};
use sbc_tests::ua::message::{Message, uri_user};

/// Somebody without an account.
const STRANGER: &str = "192.0.2.66:5066";
/// An address that nobody but the sender of a message has named.
const CANARY: &str = "192.0.2.99:5099";

/// A call of the phone that is up, as its own messages tell of it.
struct Dialog {
    world: World,
    leg: LegId,
    call_id: String,
    from: String,
    to: String,
    /// Our Contact: what the phone sends its requests to.
    target: String,
}

impl Dialog {
    fn new(settings: &EdgeSettings) -> Self {
        Self::of("sip:9196@example.test", settings)
    }

    fn of(uri: &str, settings: &EdgeSettings) -> Self {
        let mut world = cast(1, settings, 0);
        let leg = world.act(PHONE, |agent, now| agent.call(now, uri));
        world.until_up(PHONE, leg);
        world.run(100);
        let call = world.agent(PHONE).call_of(leg).expect("a call").clone();
        let success = call.first.expect("a 200");
        let part = |name: &str| success.get(name).expect("in every 200").to_owned();
        let target = success.uri_of("Contact").expect("a Contact");
        Self { world, leg, call_id: call.call_id, from: part("From"), to: part("To"), target }
    }

    /// A request inside the dialog, as text; every one is another transaction.
    fn request(&self, method: &str, uri: &str, extra: &str) -> String {
        let branch = self.world.departures.len() + extra.len();
        request(method, uri, &self.from, &self.to, &self.call_id, &format!("{branch}"), extra)
    }

    fn token(&self) -> String {
        uri_user(&self.target)
    }

    fn with_token(&self, token: &str) -> String {
        self.target.replace(&self.token(), token)
    }

    /// Send it from where a stranger sits.
    fn judge(&mut self, text: &str) -> Judged {
        judge(&mut self.world, STRANGER, PHONES, text, &self.call_id)
    }
}

fn request(
    method: &str,
    uri: &str,
    from: &str,
    to: &str,
    call_id: &str,
    branch: &str,
    extra: &str,
) -> String {
    let digest =
        branch.len() * 7919 + uri.bytes().fold(0, |sum: usize, byte| sum.wrapping_mul(31) + byte as usize);
    let contact = match method {
        "REGISTER" => String::new(),
        _ => format!("Contact: <sip:{STRANGER}>\r\n"),
    };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {STRANGER};rport;branch=z9hG4bK{branch}x{digest:x}\r\n\
         Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: 90 {method}\r\n{contact}{extra}\
         Content-Length: 0\r\n\r\n"
    )
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
struct Judged {
    /// The status its sender was told; none: silence.
    status: Option<u16>,
    /// Who else got anything of it.
    others: Vec<SocketAddr>,
    /// What was counted against its sender.
    counted: Vec<Count>,
}

impl Judged {
    fn refused(status: u16, count: Count) -> Self {
        Self { status: Some(status), others: Vec::new(), counted: vec![count] }
    }

    fn dropped(count: Count) -> Self {
        Self { status: None, others: Vec::new(), counted: vec![count] }
    }
}

const EVIDENCE: [Count; 7] = [
    Count::NoRule,
    Count::ForgedToken,
    Count::UnknownKey,
    Count::NoToken,
    Count::StrayAck,
    Count::StrayResponse,
    Count::BadUri,
];

fn judge(world: &mut World, from: &str, to: &str, text: &str, call_id: &str) -> Judged {
    let count = |world: &World| EVIDENCE.map(|count| world.core().counters().get(count));
    let before = count(world);
    let sent = world.say(from, to, text, call_id);
    let sender: SocketAddr = from.parse().unwrap();
    let after = count(world);
    let counted = EVIDENCE.into_iter().zip(before.into_iter().zip(after));
    Judged {
        status: sent.iter().find(|(to, _)| *to == sender).map(|(_, message)| message.status()),
        others: sent.iter().map(|(to, _)| *to).filter(|to| *to != sender).collect(),
        counted: counted
            .flat_map(|(count, (before, after))| std::iter::repeat_n(count, (after - before) as usize))
            .collect(),
    }
}

/// The tokens that only the pool is told, from one more call of the phone: Record-Route and Via branch.
fn pool_side_tokens(world: &mut World) -> [(&'static str, String); 2] {
    world.departures.clear();
    let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:9196@example.test"));
    world.until_up(PHONE, leg);
    let invite = world
        .departures
        .iter()
        .filter(|departure| departure.zone == Zone::Pool)
        .map(|departure| departure.message())
        .find(|message| message.is_request() && message.method() == "INVITE")
        .expect("an INVITE to the pool");
    world.act(PHONE, |agent, now| agent.bye(now, leg));
    world.run(1_000);
    let branch = invite.top_via().expect("a Via").0;
    let branch = branch.strip_prefix("z9hG4bK").expect("a branch").to_owned();
    [("Record-Route", uri_user(&invite.uri_of("Record-Route").expect("ours"))), ("branch", branch)]
}

/// The token of the phone's Path.
fn path_token(world: &mut World) -> String {
    world.departures.clear();
    world.register(PHONE);
    let messages = world.departures.iter().map(|departure| departure.message());
    let path = messages.filter_map(|message| message.uri_of("Path")).next().expect("a REGISTER with Path");
    uri_user(&path)
}

/// One character of every class a token may hold, and of some that it may not.
const CLASSES: [char; 8] = ['Q', 'q', '7', '-', '_', '.', '~', '!'];

/// Every position of a token with a character of every class in it.
fn alterations(token: &str) -> impl Iterator<Item = String> {
    (0..token.len()).flat_map(move |at| {
        let others = CLASSES.into_iter().filter(move |class| !token[at..].starts_with(*class));
        others.map(move |class| format!("{}{class}{}", &token[..at], &token[at + 1..]))
    })
}

#[test]
fn an_altered_contact_leads_nowhere() {
    let mut dialog = Dialog::new(&EdgeSettings::new(&MEMBERS));
    let token = dialog.token();
    let mut forged = 0;
    for altered in alterations(&token) {
        let text = dialog.request("BYE", &dialog.with_token(&altered), "");
        let judged = dialog.judge(&text);
        forged += usize::from(judged.counted == [Count::ForgedToken]);
        let as_owed = [
            // The version or the alphabet: no token at all. The key id: a key we do not have.
            Judged::refused(481, Count::NoToken),
            Judged::refused(481, Count::UnknownKey),
            Judged::refused(403, Count::ForgedToken),
        ];
        assert!(as_owed.contains(&judged), "{altered}: {judged:?}");
    }
    assert!(forged > token.len() * 4, "most are evidence: {forged}");
    // The call knows nothing of it.
    assert_eq!(dialog.world.state(PHONE, dialog.leg), State::Up);
    let leg = dialog.leg;
    dialog.world.act(PHONE, |agent, now| agent.bye(now, leg));
    dialog.world.until_ended(PHONE, leg);
    dialog.world.assert_quiet();
}

#[test]
fn a_token_that_is_cut_or_grown_leads_nowhere() {
    let mut dialog = Dialog::new(&EdgeSettings::new(&MEMBERS));
    let token = dialog.token();
    let grown = ["A", "AAAA", "=", "%41"].map(|tail| format!("{token}{tail}"));
    let cut = (1..token.len()).map(|length| token[..length].to_owned());
    let doubled = [token.repeat(2), token.repeat(8)];
    for wrong in cut.chain(grown).chain(doubled) {
        let text = dialog.request("BYE", &dialog.with_token(&wrong), "");
        let judged = dialog.judge(&text);
        assert_eq!(judged.others, Vec::<SocketAddr>::new(), "{wrong}");
        assert!(matches!(judged.status, Some(403 | 481)), "{wrong}: {judged:?}");
        assert_eq!(judged.counted.len(), 1, "{wrong}: {judged:?}");
    }
}

#[test]
fn a_token_made_up_under_our_key_is_forged() {
    let mut dialog = Dialog::new(&EdgeSettings::new(&MEMBERS));
    let head = dialog.token()[..4].to_owned();
    let mut chance = Chance::new(7);
    for _ in 0..200 {
        let letters = b"ABCXYZabcxyz0123456789-_";
        // A multiple of four characters, so that it is well-formed base64.
        let length = 4 * (8 + chance.below(20));
        let tail: String = (0..length).map(|_| char::from(letters[chance.below(24) as usize])).collect();
        let text = dialog.request("BYE", &dialog.with_token(&format!("{head}{tail}")), "");
        assert_eq!(dialog.judge(&text), Judged::refused(403, Count::ForgedToken));
    }
}

#[test]
fn an_ack_with_a_wrong_token_meets_silence() {
    let mut dialog = Dialog::new(&EdgeSettings::new(&MEMBERS));
    let mut altered = dialog.token();
    altered.replace_range(40..41, if &altered[40..41] == "A" { "B" } else { "A" });
    let text = dialog.request("ACK", &dialog.with_token(&altered), "");
    assert_eq!(dialog.judge(&text), Judged::dropped(Count::ForgedToken));
    let text = dialog.request("ACK", "sip:9196@198.51.100.7:5060", "");
    assert_eq!(dialog.judge(&text), Judged::dropped(Count::StrayAck));
}

#[test]
fn a_token_of_another_key_is_unknown_and_no_evidence() {
    let foreign = Dialog::new(&EdgeSettings { keys: vec![[8; 32]], ..EdgeSettings::new(&MEMBERS) });
    let mut dialog = Dialog::new(&EdgeSettings::new(&MEMBERS));
    let text = foreign.request("BYE", &foreign.target, "");
    let judged = judge(&mut dialog.world, STRANGER, PHONES, &text, &foreign.call_id);
    assert_eq!(judged, Judged::refused(481, Count::UnknownKey));
}

#[test]
fn a_token_moved_to_another_call_is_forged() {
    let mut dialog = Dialog::new(&EdgeSettings::new(&MEMBERS));
    for method in ["BYE", "INVITE", "UPDATE", "REFER", "INFO", "OPTIONS", "MESSAGE", "CANCELLED"] {
        let extra = if method == "REFER" { "Refer-To: <sip:1002@example.test>\r\n" } else { "" };
        let text = request(method, &dialog.target, &dialog.from, &dialog.to, "another", "moved", extra);
        let judged = judge(&mut dialog.world, STRANGER, PHONES, &text, "another");
        assert_eq!(judged, Judged::refused(403, Count::ForgedToken), "{method}");
    }
}

#[test]
fn outside_its_dialog_a_token_is_no_way_past_the_rules() {
    let mut dialog = Dialog::new(&EdgeSettings::new(&MEMBERS));
    let to = "<sip:9196@example.test>";
    for call_id in [dialog.call_id.clone(), "another".to_owned()] {
        let text = request("INVITE", &dialog.target, &dialog.from, to, &call_id, "out", "");
        let judged = judge(&mut dialog.world, STRANGER, PHONES, &text, &call_id);
        assert_eq!(judged, Judged::refused(403, Count::ForgedToken));
    }
    // It leads to a call that it replaces, and to no other.
    let replaces = "Replaces: another;to-tag=a;from-tag=b\r\n";
    let text = request("INVITE", &dialog.target, &dialog.from, to, "third", "out", replaces);
    let judged = judge(&mut dialog.world, STRANGER, PHONES, &text, "third");
    assert_eq!(judged, Judged::refused(403, Count::ForgedToken));
}

#[test]
fn a_token_of_another_kind_names_nobody() {
    let mut dialog = Dialog::new(&EdgeSettings::new(&MEMBERS));
    let path = path_token(&mut dialog.world);
    let kinds = pool_side_tokens(&mut dialog.world).into_iter().chain([("Path", path)]);
    for (kind, token) in kinds {
        let text = dialog.request("BYE", &dialog.with_token(&token), "");
        assert_eq!(dialog.judge(&text), Judged::refused(481, Count::NoToken), "{kind} as Request-URI");
        let text = dialog.request("ACK", &dialog.with_token(&token), "");
        assert_eq!(dialog.judge(&text), Judged::dropped(Count::StrayAck), "{kind} as Request-URI of an ACK");
    }
}

#[test]
fn a_route_from_outside_opens_nothing() {
    let mut dialog = Dialog::new(&EdgeSettings::new(&MEMBERS));
    let path = path_token(&mut dialog.world);
    let [(_, record_route), _] = pool_side_tokens(&mut dialog.world);
    let ours = "sip:9196@198.51.100.7:5060";
    for token in [&path, &record_route] {
        // Even a true one, leaked from the inside, is not looked at.
        let extra = format!("Route: <sip:{token}@198.51.100.7:5060;lr>\r\n");
        let text = dialog.request("BYE", ours, &extra);
        assert_eq!(dialog.judge(&text), Judged::refused(481, Count::NoToken));
        for at in [4, 20, token.len() - 5] {
            let other = if &token[at..=at] == "A" { "B" } else { "A" };
            let altered = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            for host in ["198.51.100.7:5060", "10.0.1.5:5070", CANARY] {
                let extra = format!("Route: <sip:{altered}@{host};lr>\r\n");
                for method in ["BYE", "INVITE"] {
                    let text = dialog.request(method, ours, &extra);
                    assert_eq!(dialog.judge(&text), Judged::refused(403, Count::ForgedToken), "{extra}");
                }
                let text = dialog.request("ACK", ours, &extra);
                assert_eq!(dialog.judge(&text), Judged::dropped(Count::ForgedToken), "{extra}");
            }
        }
    }
    assert!(!dialog.world.destinations.contains(&CANARY.parse().unwrap()));
}

#[test]
fn a_refer_to_with_a_wrong_token_is_refused() {
    let mut dialog = Dialog::new(&EdgeSettings::new(&MEMBERS));
    let token = dialog.token();
    let other = if &token[50..51] == "A" { "B" } else { "A" };
    let altered = dialog.with_token(&format!("{}{other}{}", &token[..50], &token[51..]));
    // Ours for this call, but it is to replace another one.
    let moved = format!("{}?Replaces=another%3Bto-tag%3Da%3Bfrom-tag%3Db", dialog.target);
    for refer_to in [altered, moved] {
        let text = dialog.request("REFER", &dialog.target, &format!("Refer-To: <{refer_to}>\r\n"));
        assert_eq!(dialog.judge(&text), Judged::refused(403, Count::ForgedToken), "{refer_to}");
    }
}

#[test]
fn a_wrong_opaque_leads_to_the_pool_by_its_rules_alone() {
    let mut world = cast(1, &EdgeSettings::new(&MEMBERS), 0);
    let challenges = world.departures.iter().map(|departure| departure.message());
    let opaque = challenges
        .filter_map(|message| message.get("WWW-Authenticate").map(str::to_owned))
        .find_map(|challenge| Some(challenge.split_once("opaque=\"")?.1.split_once('"')?.0.to_owned()))
        .expect("a challenge with opaque");
    for (at, wrong) in alterations(&opaque).enumerate().step_by(3) {
        let credentials = format!(
            "Authorization: Digest username=\"1003\", realm=\"example.test\", nonce=\"n\", \
             uri=\"sip:example.test\", response=\"0\", opaque=\"{wrong}\"\r\n"
        );
        let call_id = format!("opaque-{at}");
        let who = "<sip:1003@example.test>";
        let from = format!("{who};tag=1");
        let text = request("REGISTER", "sip:example.test", &from, who, &call_id, &call_id, &credentials);
        for (to, _) in world.say(STRANGER, PHONES, &text, &call_id) {
            let to = to.to_string();
            assert!(to == STRANGER || MEMBERS.contains(&to.as_str()), "{wrong} led to {to}");
        }
    }
    assert!(world.core().counters().get(Count::ForgedToken) > 30, "it is evidence, all the same");
}

#[test]
fn a_key_in_rotation_opens_and_a_retired_one_does_not() {
    let settings = |keys: &[u8]| EdgeSettings {
        keys: keys.iter().map(|key| [*key; 32]).collect(),
        ..EdgeSettings::new(&MEMBERS)
    };
    let mut dialog = Dialog::new(&settings(&[1]));
    dialog.world.restart_with(&settings(&[2, 1]));
    assert!(dialog.world.act(PHONE, |agent, now| agent.hold(now, dialog.leg)));
    dialog.world.run(2_000);
    let reply = dialog.world.agent(PHONE).call_of(dialog.leg).and_then(|call| call.reply("INVITE"));
    assert_eq!(reply, Some(200), "the older of two keys still opens");
    dialog.world.restart_with(&settings(&[3, 2]));
    let text = dialog.request("BYE", &dialog.target, "");
    assert_eq!(dialog.judge(&text), Judged::refused(481, Count::UnknownKey));
    // Path is sealed with a key of its own: the phone is still reached.
    dialog.world.connect(BROWSER);
    dialog.world.register(BROWSER);
    dialog.world.agent(PHONE).policy = Policy::Answer { after: Duration::from_millis(100) };
    let leg = dialog.world.act(BROWSER, |agent, now| agent.call(now, "sip:1003@example.test"));
    dialog.world.until_up(BROWSER, leg);
}

/// An INVITE of the pool rings at the phone: our branch, and the message as the phone got it.
fn ringing() -> (World, Message) {
    let mut world = cast(1, &EdgeSettings::new(&MEMBERS), 0);
    world.departures.clear();
    world.act(BROWSER, |agent, now| agent.call(now, "sip:1003@example.test"));
    world.run(200);
    let phone = PHONE.parse().unwrap();
    let invite =
        world.departures.iter().find(|departure| departure.to == phone).expect("an INVITE").message();
    (world, invite)
}

fn with_branch(response: &Message, branch: &str) -> String {
    let mut response = response.clone();
    let own = response.top_via().expect("a Via").0;
    let via = response.get("Via").expect("a Via").replace(&own, branch);
    replace(&mut response, "Via", &[via]);
    String::from_utf8(response.to_bytes()).unwrap()
}

#[test]
fn a_response_with_a_wrong_branch_is_dropped_wherever_it_comes_in() {
    let (mut world, invite) = ringing();
    let mut response = answer(&invite, 200, "stranger");
    response.push("Contact", format!("<sip:{CANARY}>"));
    response.close(None);
    let call_id = invite.call_id().to_owned();
    let branch = invite.top_via().unwrap().0;
    let sealed = branch.strip_prefix("z9hG4bK").unwrap().to_owned();
    let altered = alterations(&sealed).step_by(3).map(|token| format!("z9hG4bK{token}"));
    let others =
        ["z9hG4bK", "", "z9hG4bK.probe.0000000000000000.1", "1", &branch[..branch.len() - 4], &sealed];
    world.connect("192.0.2.67:4067");
    for wrong in altered.chain(others.map(str::to_owned)) {
        let text = with_branch(&response, &wrong);
        for (from, to) in [(STRANGER, PHONES), (PHONE, PHONES), ("192.0.2.67:4067", WSS), (CARRIER, TRUNK)] {
            let judged = judge(&mut world, from, to, &text, &call_id);
            assert_eq!(judged.others, Vec::<SocketAddr>::new(), "{wrong:?} from {from}");
            assert_eq!(judged.status, None, "{wrong:?} from {from}");
        }
    }
    assert!(world.core().counters().get(Count::StrayResponse) > 100);
    assert!(!world.destinations.contains(&CANARY.parse().unwrap()));
}

#[test]
fn a_branch_moved_to_another_call_is_dropped_with_and_without_its_transaction() {
    let (mut world, invite) = ringing();
    let mut moved = answer(&invite, 200, "stranger");
    replace(&mut moved, "Call-ID", &["another".to_owned()]);
    moved.close(None);
    let moved = String::from_utf8(moved.to_bytes()).unwrap();
    assert_eq!(judge(&mut world, PHONE, PHONES, &moved, "another"), Judged::dropped(Count::StrayResponse));
    world.restart();
    assert_eq!(judge(&mut world, PHONE, PHONES, &moved, "another"), Judged::dropped(Count::StrayResponse));
}

#[test]
fn a_branch_that_is_no_token_of_a_branch_is_dropped() {
    let (mut world, invite) = ringing();
    let mut response = answer(&invite, 200, "stranger");
    response.close(None);
    let path = path_token(&mut world);
    let contact = uri_user(&invite.uri_of("Contact").expect("a Contact of ours"));
    for token in [path, contact] {
        let text = with_branch(&response, &format!("z9hG4bK{token}"));
        let judged = judge(&mut world, PHONE, PHONES, &text, invite.call_id());
        assert_eq!(judged, Judged::dropped(Count::StrayResponse));
    }
}

#[test]
fn a_call_whose_contact_names_another_address_stays_on_its_flow() {
    // 9184 sends a re-INVITE to the new remote target one second after it answered, 9200 hangs up.
    for number in ["9184", "9200"] {
        let mut dialog = Dialog::of(&format!("sip:{number}@example.test"), &EdgeSettings::new(&MEMBERS));
        let extra = format!("Contact: <sip:1003@{CANARY}>\r\nRecord-Route: <sip:{CANARY};lr>\r\n");
        let text = dialog.request("UPDATE", &dialog.target, &extra);
        dialog.world.inject(PHONE, PHONES, text.as_bytes());
        dialog.world.run(30_000);
        assert!(!dialog.world.destinations.contains(&CANARY.parse().unwrap()), "{number}");
    }
}

#[test]
fn a_forged_token_inside_leads_nowhere_either() {
    let mut dialog = Dialog::new(&EdgeSettings::new(&MEMBERS));
    let [(_, token), _] = pool_side_tokens(&mut dialog.world);
    let other = if &token[30..31] == "A" { "B" } else { "A" };
    let altered = format!("{}{other}{}", &token[..30], &token[31..]);
    let extra = format!("Route: <sip:{altered}@{INSIDE};lr>\r\n");
    let text = dialog.request("BYE", "sip:1003@192.0.2.99:5099", &extra);
    let judged = judge(&mut dialog.world, MEMBERS[0], INSIDE, &text, &dialog.call_id.clone());
    assert_eq!(judged, Judged::refused(403, Count::ForgedToken));
    assert!(!dialog.world.destinations.contains(&CANARY.parse().unwrap()));
}
