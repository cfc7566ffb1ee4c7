//! Many calls over UDP, from SIPp to two SIPp members.

use std::time::Duration;

use sbc_tests::process::{Balance, Caller, PublicView, Sbc, SippMember, Site, alone, until};

const CALLS: u32 = 500;
const RATE: u32 = 100;

#[test]
fn five_hundred_calls_at_a_hundred_a_second_all_succeed_over_both_members() {
    let _turn = alone();
    let site = Site::new("load");
    let members = SippMember::pair(&site);
    let sbc = Sbc::start(&site, Balance::CallId);
    let mut caller = Caller::start(&site, CALLS, RATE, Duration::from_secs(1));
    let outcome = caller.finish();
    let all = u64::from(CALLS);
    assert_eq!((outcome.begun, outcome.answered), (all, all), "{outcome:?}");
    assert_eq!((outcome.failed, outcome.unexpected, outcome.orphaned), (0, 0, 0), "{outcome:?}");
    // No call was set up twice, and neither member was idle.
    until("the members have counted every call once", || {
        members.iter().map(SippMember::calls).sum::<u64>() == all
    });
    let fewest = members.iter().map(SippMember::calls).min();
    assert!(fewest > Some(all / 10), "one member had only {fewest:?}");
    sbc.wait_for_no_calls();
    let mut view = PublicView::new(&site);
    view.judge_all(caller.received());
    view.assert_nothing_told();
}

#[test]
fn no_new_call_fails_when_a_member_is_killed_in_the_middle() {
    let _turn = alone();
    let site = Site::new("load-kill");
    let mut members = SippMember::pair(&site);
    let _sbc = Sbc::start(&site, Balance::CallId);
    let length = Duration::from_secs(1);
    let mut caller = Caller::start(&site, CALLS, RATE, length);
    until("calls are up", || caller.answered() >= u64::from(RATE));
    members[1].kill();
    let outcome = caller.finish();
    let all = u64::from(CALLS);
    assert_eq!((outcome.begun, outcome.answered), (all, all), "every call was answered: {outcome:?}");
    assert_eq!((outcome.failed, outcome.unexpected), (0, 0), "{outcome:?}");
    // Only calls that were up on the dead member then can have lost it.
    let most_up = u64::from(RATE) * (length.as_secs() + 1);
    assert!(outcome.orphaned <= most_up, "{outcome:?}");
    let mut view = PublicView::new(&site);
    view.judge_all(caller.received());
    view.assert_nothing_told();
}
