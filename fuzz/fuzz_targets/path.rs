//! `bosc_fuzz::TARGETS`, `path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("path").unwrap()(data));
