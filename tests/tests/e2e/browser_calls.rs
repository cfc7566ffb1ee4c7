//! JsSIP in headless Chromium over wss with the self-signed certificate, and two members with nonces of their own.

use sbc_tests::process::{Balance, Browser, FsMember, Page, PublicView, Sbc, Site, alone, until};
use serde_json::json;

/// REGISTERs after the first one.
const REFRESHES: usize = 10;

fn bindings(members: &[FsMember], user: &str) -> usize {
    members.iter().map(|member| member.bindings(user).len()).sum()
}

fn no_calls_left(members: &[FsMember]) {
    until("the members have no call left", || members.iter().all(|member| member.calls_up() == 0));
}

/// Waits for a call to come in, and takes it.
#[track_caller]
fn take_call(page: &Page<'_>) {
    page.wait_for("call", &json!("incoming"));
    page.run("answer", &json!(null));
    page.wait_for("call", &json!("up"));
}

#[test]
fn ten_refreshes_keep_one_binding_at_one_member() {
    let _turn = alone();
    let site = Site::new("browser-refresh");
    let members = FsMember::pair(&site, &[]);
    let _sbc = Sbc::start(&site, Balance::CallId);
    let browser = Browser::launch(&site);
    let page = browser.page(&site, "1000");
    for done in 1..=REFRESHES {
        page.run("refresh", &json!(null));
        until("the refresh is answered", || page.responses(200, "REGISTER").len() == done + 1);
        assert_eq!(bindings(&members, "1000"), 1);
    }
    let mut view = PublicView::new(&site);
    page.show_to(&mut view);
    view.assert_nothing_told();
}

#[test]
fn a_browser_calls_out_holds_and_either_side_hangs_up() {
    let _turn = alone();
    let site = Site::new("browser-out");
    let members = FsMember::pair(&site, &[]);
    let sbc = Sbc::start(&site, Balance::CallId);
    let browser = Browser::launch(&site);
    let page = browser.page(&site, "1000");

    page.call("9196");
    page.reoffer("hold");
    page.wait_for("held", &json!(true));
    page.reoffer("unhold");
    page.wait_for("held", &json!(false));
    page.hang_up();
    no_calls_left(&members);

    // The member hangs up a second after the answer.
    page.call("9200");
    page.wait_for("call", &json!("ended"));
    assert!(page.state()["cause"].as_str().is_some_and(|cause| cause.starts_with("remote")));
    no_calls_left(&members);
    sbc.wait_for_no_calls();

    assert!(page.most_challenges_of_a_call() <= 1);
    let mut view = PublicView::new(&site);
    page.show_to(&mut view);
    view.assert_nothing_told();
}

#[test]
fn a_browser_is_called_and_either_side_hangs_up() {
    let _turn = alone();
    let site = Site::new("browser-in");
    let members = FsMember::pair(&site, &[]);
    // Both users of a call have to be known to the member that it reaches.
    let sbc = Sbc::start(&site, Balance::Aor);
    let browser = Browser::launch(&site);
    let callee = browser.page(&site, "1000");
    let caller = browser.page(&site, "1001");
    for caller_hangs_up in [true, false] {
        caller.run("call", &json!("sip:1000@example.test"));
        take_call(&callee);
        caller.wait_for("call", &json!("up"));
        let (first, second) = if caller_hangs_up { (&caller, &callee) } else { (&callee, &caller) };
        first.hang_up();
        second.wait_for("call", &json!("ended"));
        no_calls_left(&members);
    }
    sbc.wait_for_no_calls();
    let mut view = PublicView::new(&site);
    callee.show_to(&mut view);
    caller.show_to(&mut view);
    view.assert_nothing_told();
}
