//! `bosc_fuzz::TARGETS`, `statement`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("statement").unwrap()(data));
