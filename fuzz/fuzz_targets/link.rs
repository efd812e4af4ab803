//! `bosc_fuzz::TARGETS`, `link`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("link").unwrap()(data));
