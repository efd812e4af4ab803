//! `bosc_fuzz::TARGETS`, `entry`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("entry").unwrap()(data));
