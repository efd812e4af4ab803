//! `bosc_fuzz::TARGETS`, `noise`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("noise").unwrap()(data));
