//! `bosc_fuzz::TARGETS`, `seen`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("seen").unwrap()(data));
