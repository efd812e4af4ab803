//! `bosc_fuzz::TARGETS`, `udx_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("udx_header").unwrap()(data));
