//! `bosc_fuzz::TARGETS`, `manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("manifest").unwrap()(data));
