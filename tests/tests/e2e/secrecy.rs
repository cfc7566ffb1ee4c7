//! Whatever FreeSWITCH says to a phone or a browser, no header outside tells of the inside.
//!
//! The other tests look at what they see too; these let the members say everything they can.

use std::time::Duration;

use sbc_tests::agent::{Agent, Policy, State};
use sbc_tests::process::{Balance, Browser, FsMember, Live, Page, PublicView, Sbc, Site, alone, until};
use serde_json::json;

/// Requests that the members send to a caller.
const REQUESTS: [&str; 6] = ["INFO", "UPDATE", "NOTIFY", "REFER", "MESSAGE", "OPTIONS"];

fn callee(site: &Site) -> Live {
    let phone = Live::phone(site, "1001");
    phone.act(|agent, _| agent.policy = Policy::Answer { after: Duration::ZERO });
    phone.register();
    phone.wait_until_registered();
    phone
}

fn has_received(agent: &Agent, what: impl Fn(&str) -> bool) -> bool {
    agent.trace().iter().any(|traced| !traced.sent && what(traced.message.method()))
}

/// Calls every number that makes a member talk.
fn hear_everything(caller: &Live) {
    caller.register();
    caller.wait_until_registered();
    let up = ["9170", "9172", "9196"].map(|number| {
        let leg = caller.call(number);
        caller.wait_for(leg, State::Up);
        leg
    });
    // Refused, redirected, unknown.
    for number in ["9486", "9503", "9302", "4444"] {
        let leg = caller.call(number);
        caller.wait_for_end(leg);
    }
    // The member sends the caller to another user, who answers.
    let deflected = caller.call("9171");
    caller.wait_for_end(deflected);
    // The caller sends the member to another number, and is told how that goes.
    caller.act(|agent, now| agent.refer(now, up[2], "sip:9196@example.test"));
    assert_eq!(caller.wait_for_reply(up[2], "REFER"), 202);
    caller.act(|agent, now| agent.subscribe(now, "sip:1001@example.test", "dialog", 60));
    until("a subscription with its first NOTIFY", || {
        let (status, notifies) = caller.act(|agent, _| agent.subscribed());
        status == Some(202) && notifies > 0
    });
    for request in REQUESTS {
        until(request, || caller.act(|agent, _| has_received(agent, |method| method == request)));
    }
}

fn nothing_is_told_to(caller: fn(&Site, &str) -> Live) {
    let _turn = alone();
    let site = Site::new("secrecy");
    let _members = FsMember::pair(&site, &[]);
    let _sbc = Sbc::start(&site, Balance::Aor);
    let (callee, caller) = (callee(&site), caller(&site, "1000"));
    hear_everything(&caller);
    let mut view = PublicView::new(&site);
    for endpoint in [&caller, &callee] {
        endpoint.assert_no_violations();
        endpoint.show_to(&mut view);
    }
    view.assert_nothing_told();
}

#[test]
fn nothing_of_the_inside_is_told_to_a_phone() {
    nothing_is_told_to(Live::phone);
}

#[test]
fn nothing_of_the_inside_is_told_over_a_websocket() {
    nothing_is_told_to(Live::browser);
}

/// A page that has heard INFO, UPDATE and, outside any dialog, NOTIFY. A member sends that NOTIFY to bindings of
/// its own only, so the page is the first whose user is registered where its call arrives.
fn page_that_heard_notify<'b>(browser: &'b Browser, site: &Site, members: &[FsMember]) -> Page<'b> {
    for user in 1002..1020 {
        let user = user.to_string();
        let page = browser.page(site, &user);
        page.call("9170");
        let here = members.iter().any(|member| member.calls_up() > 0 && !member.bindings(&user).is_empty());
        let heard = |method| page.received().iter().any(|text| text.starts_with(method));
        if here {
            until("INFO, UPDATE and NOTIFY", || ["INFO ", "UPDATE ", "NOTIFY "].into_iter().all(heard));
        }
        page.hang_up();
        until("the call is over", || members.iter().all(|member| member.calls_up() == 0));
        if here {
            return page;
        }
    }
    panic!("no user is registered at the member of 9170");
}

#[test]
fn a_browser_follows_the_refer_of_a_member_and_learns_nothing_of_the_inside() {
    let _turn = alone();
    let site = Site::new("secrecy-browser");
    let members = FsMember::pair(&site, &[]);
    let _sbc = Sbc::start(&site, Balance::Aor);
    let callee = callee(&site);
    let browser = Browser::launch(&site);
    let page = page_that_heard_notify(&browser, &site, &members);
    page.run("call", &json!("sip:9171@example.test"));
    let leg = callee.wait_for_call();
    callee.wait_for(leg, State::Up);
    page.wait_for("call", &json!("up"));
    assert_eq!(page.state()["requests"].as_array().and_then(|all| all.last().cloned()), Some(json!("REFER")));
    page.hang_up();
    callee.wait_for_end(leg);
    let mut view = PublicView::new(&site);
    page.show_to(&mut view);
    callee.show_to(&mut view);
    view.assert_nothing_told();
}
