//! See the module of the same name in the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sbc_fuzz::streams::run(bytes));
