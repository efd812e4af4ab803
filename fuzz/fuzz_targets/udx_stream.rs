//! `bosc_fuzz::TARGETS`, `udx_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("udx_stream").unwrap()(data));
