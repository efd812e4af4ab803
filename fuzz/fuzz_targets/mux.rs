//! `bosc_fuzz::TARGETS`, `mux`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("mux").unwrap()(data));
