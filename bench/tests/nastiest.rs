//! The nastiest messages are refused by a bound with a name.
#![forbid(unsafe_code)]

use sbc_bench::{Judging, nastiest};

#[test]
fn every_one_is_refused_by_a_named_bound() {
    let mut judging = Judging::default();
    let reasons = nastiest().into_iter().map(|(name, message)| {
        let refusal = judging.run(&message).unwrap_or_else(|| panic!("{name} passes"));
        (name, refusal.count.reason())
    });
    let expected = [
        ("800 Via values", "via_count"),
        ("2,500 headers", "header_count"),
        ("30,000 parameters", "head_length"),
        ("deep multipart", "body_parts"),
        ("a header of 50 KiB", "header_length"),
        ("quotes that never close", "header_count"),
    ];
    assert_eq!(reasons.collect::<Vec<_>>(), expected);
}
