//! `bosc_fuzz::TARGETS`, `secret_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("secret_stream").unwrap()(data));
