//! What the kernel drops unread, and what it lets pass, at real sockets.

use std::collections::BTreeSet;

use sbc_udp::{Options, ReceiveBatch, Rule, Socket, Unread, WHOLE};

const LOOPBACKS: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];
const SENT: usize = 1000;

/// Those that say hello, but not to a friend.
fn hello(passes: u32) -> Rule {
    let except = vec![b"my friend".to_vec(), b"dear".to_vec()];
    Rule { begins: b"Hello, ".to_vec(), except, passes }
}

struct Pair {
    from: Socket,
    to: Socket,
    batch: ReceiveBatch,
}

impl Pair {
    fn new(address: &str) -> Self {
        let socket = || Socket::bind(address.parse().unwrap(), &Options::default()).unwrap();
        Self { from: socket(), to: socket(), batch: ReceiveBatch::new() }
    }

    fn send(&self, text: &str) {
        self.from.send_to(self.to.local_addr(), text.as_bytes()).unwrap();
    }

    /// What is there: over loopback a datagram is, once it was sent.
    fn received(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while self.to.recv_batch(&mut self.batch).is_ok() {
            let texts = self.batch.datagrams().map(|datagram| String::from_utf8_lossy(datagram.bytes).into());
            all.extend(texts);
        }
        all
    }

    fn unread(&self) -> u64 {
        Unread::look().of(&self.to)
    }
}

#[test]
fn what_no_rule_speaks_of_passes_and_what_none_lets_pass_does_not() {
    for address in LOOPBACKS {
        let mut pair = Pair::new(address);
        pair.to.sift(&[hello(0), Rule { begins: b"Hi".to_vec(), except: Vec::new(), passes: 0 }]).unwrap();
        let passing = [
            "Hello, my friend",
            "Hello, my friend of many years",
            "Hello, dear stranger",
            "Hello  everybody who is here",
            "hello, whoever listens",
            "Goodbye, and thank you",
            "Say hello, Hello, Hi",
            "Hello, you",
            "Hi",
            "",
        ];
        let dropped = ["Hello, my enemies", "Hello, my friens", "Hello, deaf people", "Hi, how do you do?"];
        for text in passing.into_iter().chain(dropped) {
            pair.send(text);
        }
        assert_eq!(pair.received(), passing);
        assert_eq!(pair.unread(), dropped.len() as u64);
    }
}

#[test]
fn a_share_passes_by_chance() {
    let mut pair = Pair::new(LOOPBACKS[0]);
    pair.to.sift(&[hello(WHOLE / 4)]).unwrap();
    for number in 0..SENT {
        pair.send(&format!("Hello, number {number}"));
        pair.send(&format!("Hello, my friend {number}"));
    }
    let received = pair.received();
    let (friends, others): (Vec<_>, Vec<_>) = received.iter().partition(|text| text.contains("friend"));
    assert_eq!(friends.len(), SENT);
    // Ten standard deviations: chance fails this less often than the machine does.
    assert!((113..=387).contains(&others.len()), "{} of {SENT}", others.len());
    let distinct: BTreeSet<_> = others.iter().collect();
    assert_eq!(distinct.len(), others.len());
    assert_eq!(pair.unread(), (SENT - others.len()) as u64);
}

#[test]
fn later_rules_stand_in_place_of_earlier_ones_and_none_let_everything_pass() {
    for address in LOOPBACKS {
        let mut pair = Pair::new(address);
        for (rules, passes) in [
            (vec![], true),
            (vec![hello(0)], false),
            (vec![hello(WHOLE)], true),
            (vec![hello(1), hello(0)], false),
            (vec![], true),
            (vec![], true),
        ] {
            pair.to.sift(&rules).unwrap();
            pair.send("Hello, whoever you are");
            assert_eq!(!pair.received().is_empty(), passes, "{rules:?}");
        }
    }
}

#[test]
fn a_program_that_the_kernel_does_not_take_leaves_the_one_before() {
    let mut pair = Pair::new(LOOPBACKS[0]);
    pair.to.sift(&[hello(0)]).unwrap();
    let far = Rule { begins: vec![b'x'; 100_000], except: Vec::new(), passes: 0 };
    assert!(pair.to.sift(&[far]).is_err());
    pair.send("Hello, whoever you are");
    assert_eq!(pair.received(), [""; 0]);
}

#[test]
fn many_exceptions_are_no_trouble() {
    let mut pair = Pair::new(LOOPBACKS[0]);
    let except: Vec<Vec<u8>> = (100..200).map(|number| format!("{number}").into_bytes()).collect();
    pair.to.sift(&[Rule { begins: b"Hello, ".to_vec(), except, passes: 0 }]).unwrap();
    for number in [100, 199, 200] {
        pair.send(&format!("Hello, {number}"));
    }
    assert_eq!(pair.received(), ["Hello, 100", "Hello, 199"]);
}

#[test]
fn what_finds_no_room_counts_as_unread_too() {
    for address in LOOPBACKS {
        let pair = Pair::new(address);
        let text = "x".repeat(60_000);
        let mut tries = 0;
        while pair.unread() == 0 {
            pair.send(&text);
            tries += 1;
            assert!(tries < SENT, "there is no end to the buffer");
        }
    }
}
