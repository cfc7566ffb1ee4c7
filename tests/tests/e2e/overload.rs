//! Ten times the calls that one processor manages: a small version of what `make load` does at full size.

use sbc_tests::load::overload_shortly;
use sbc_tests::process::alone;

#[test]
fn most_of_what_is_too_much_is_never_read_and_everything_is_again_once_the_load_has_gone() {
    let _turn = alone();
    let (overloaded, unread, after) = overload_shortly(10);
    // How much exactly is what the full size looks at, on a machine that does nothing else.
    assert!(overloaded.goodput() >= 25, "{overloaded}");
    assert!(overloaded.beyond.refused > 0, "{overloaded}");
    assert!(unread > overloaded.beyond.refused, "{unread} unread\n{overloaded}");
    assert!(after.answered > 0, "{after:?}");
}
