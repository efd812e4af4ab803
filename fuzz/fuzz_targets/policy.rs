//! `bosc_fuzz::TARGETS`, `policy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("policy").unwrap()(data));
