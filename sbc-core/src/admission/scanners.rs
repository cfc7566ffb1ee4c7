//! Signatures of programs that look for servers to abuse. They get no answer: silence ends the scan soonest.

use aho_corasick::AhoCorasick;

use crate::config::Signature;
use crate::wire::{HeaderName, HeaderPattern, Message};

/// What such programs call themselves in User-Agent, and some in the names they call under.
const BUILT_IN: [&str; 17] = [
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sip-scan",
    "sipscan",
    "sipcli",
    "sundayddr",
    "pplsip",
    "vaxsipuseragent",
    "vaxipuseragent",
    "siparmyknife",
    "sivus",
    "smap 0.",
    "iwar",
    "gulp",
    "csipsimple-scan",
    "elite 1.0",
];

/// Where they are looked for.
const HEADERS: [HeaderName; 3] = [HeaderName::UserAgent, HeaderName::From, HeaderName::To];

/// All signatures, ready to be looked for.
#[derive(Debug, Default)]
pub struct Scanners {
    built_in: Option<AhoCorasick>,
    own: Vec<(Option<HeaderPattern>, AhoCorasick)>,
}

impl Scanners {
    /// The built-in list, and those of the configuration.
    pub fn new(own: &[Signature]) -> Self {
        let finder = |texts: &[&str]| AhoCorasick::builder().ascii_case_insensitive(true).build(texts).ok();
        let own = own.iter().filter_map(|one| Some((one.header.clone(), finder(&[&one.contains])?)));
        Self { built_in: finder(&BUILT_IN), own: own.collect() }
    }

    /// Whether a request bears a signature.
    pub fn know(&self, request: &Message<'_>) -> bool {
        let known = self
            .built_in
            .as_ref()
            .is_some_and(|finder| HEADERS.iter().any(|name| finder.is_match(request.value(*name))));
        known
            || self.own.iter().any(|(pattern, finder)| {
                request.headers().any(|header| {
                    pattern.as_ref().is_none_or(|one| one.matches(&header)) && finder.is_match(header.value)
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Framing, Index, Limits};

    fn knows(own: &[Signature], lines: &str) -> bool {
        let text = format!("OPTIONS sip:100@192.0.2.1 SIP/2.0\r\n{lines}\r\n\r\n");
        let mut index = Index::new();
        index.parse(text.as_bytes(), Framing::Datagram, &Limits::default()).expect("a message");
        Scanners::new(own).know(&Message::new(text.as_bytes(), &index))
    }

    #[test]
    fn scanners_are_known_by_agent_and_by_name() {
        for line in [
            "User-Agent: friendly-scanner",
            "USER-AGENT:Friendly-Scanner/0.3",
            "From: \"sipvicious\" <sip:100@1.1.1.1>;tag=1",
            "f: \"sipvicious\"<sip:100@1.1.1.1>;tag=1",
            "User-Agent: VaxSIPUserAgent/3.1",
            "User-Agent: pplsip",
        ] {
            assert!(knows(&[], line), "{line}");
        }
    }

    #[test]
    fn honest_agents_are_not() {
        for agent in
            ["JsSIP 3.10.1", "Zoiper v2.10", "FreeSWITCH-mod_sofia/1.10", "Yealink SIP-T46S", "sipp", ""]
        {
            assert!(!knows(&[], &format!("User-Agent: {agent}")), "{agent}");
        }
    }

    #[test]
    fn operators_add_their_own_to_any_header() {
        let own = [Signature { header: HeaderPattern::parse("Subject"), contains: "buy now".into() }];
        assert!(knows(&own, "s: please BUY NOW"));
        assert!(!knows(&own, "Organization: buy now"));
        let own = [Signature { header: None, ..own[0].clone() }];
        assert!(knows(&own, "Organization: buy now"));
    }
}
