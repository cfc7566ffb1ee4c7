//! Nonces are per member: a request with credentials goes to the member that challenged, however calls are spread.

use std::collections::BTreeMap;

use sbc_tests::agent::State;
use sbc_tests::process::{Balance, Browser, FsMember, Live, PublicView, Sbc, Site, alone};

const CALLS_OF_A_BROWSER: usize = 4;
const CALLS_OF_A_PHONE: usize = 20;

/// How often each Call-ID was challenged, by both members together.
fn challenges(members: &[FsMember]) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (call_id, counts) in members.iter().flat_map(FsMember::invites) {
        *sums.entry(call_id).or_default() += counts["challenged"];
    }
    sums
}

fn no_call_has_more_than_one_407(balance: Balance) {
    let _turn = alone();
    let site = Site::new("credentials");
    let members = FsMember::pair(&site, &[]);
    let _sbc = Sbc::start(&site, balance);

    let browser = Browser::launch(&site);
    let page = browser.page(&site, "1000");
    for _ in 0..CALLS_OF_A_BROWSER {
        page.call("9196");
        page.hang_up();
    }
    assert_eq!(page.most_challenges_of_a_call(), 1);

    let phone = Live::phone(&site, "1001");
    phone.register();
    phone.wait_until_registered();
    for _ in 0..CALLS_OF_A_PHONE {
        let leg = phone.call("9196");
        phone.wait_for(leg, State::Up);
        phone.act(|agent, now| agent.bye(now, leg));
    }
    phone.assert_no_violations();

    let challenges = challenges(&members);
    assert_eq!(challenges.len(), CALLS_OF_A_BROWSER + CALLS_OF_A_PHONE);
    assert!(challenges.values().all(|times| *times == 1), "{challenges:#?}");
    let mut view = PublicView::new(&site);
    page.show_to(&mut view);
    phone.show_to(&mut view);
    view.assert_nothing_told();
}

#[test]
fn one_407_a_call_by_hash_of_call_id() {
    no_call_has_more_than_one_407(Balance::CallId);
}

#[test]
fn one_407_a_call_by_hash_of_aor() {
    no_call_has_more_than_one_407(Balance::Aor);
}

#[test]
fn one_407_a_call_by_round_robin() {
    no_call_has_more_than_one_407(Balance::RoundRobin);
}
