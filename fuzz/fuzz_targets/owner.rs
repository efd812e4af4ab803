//! `bosc_fuzz::TARGETS`, `owner`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("owner").unwrap()(data));
