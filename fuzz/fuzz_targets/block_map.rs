//! `bosc_fuzz::TARGETS`, `block_map`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("block_map").unwrap()(data));
