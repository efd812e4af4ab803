//! `bosc_fuzz::TARGETS`, `bee`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("bee").unwrap()(data));
