//! `bosc_fuzz::TARGETS`, `proof`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("proof").unwrap()(data));
