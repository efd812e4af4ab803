//! `bosc_fuzz::TARGETS`, `bee_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("bee_header").unwrap()(data));
