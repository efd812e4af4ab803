//! `bosc_fuzz::TARGETS`, `store_rows`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("store_rows").unwrap()(data));
