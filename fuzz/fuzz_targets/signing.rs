//! `bosc_fuzz::TARGETS`, `signing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("signing").unwrap()(data));
