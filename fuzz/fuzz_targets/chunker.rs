//! `bosc_fuzz::TARGETS`, `chunker`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("chunker").unwrap()(data));
