//! `bosc_fuzz::TARGETS`, `glob`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("glob").unwrap()(data));
