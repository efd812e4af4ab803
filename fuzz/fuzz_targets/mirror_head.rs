//! `bosc_fuzz::TARGETS`, `mirror_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("mirror_head").unwrap()(data));
