//! `bosc_fuzz::TARGETS`, `store_files`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("store_files").unwrap()(data));
