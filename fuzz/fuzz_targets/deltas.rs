//! `bosc_fuzz::TARGETS`, `deltas`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("deltas").unwrap()(data));
