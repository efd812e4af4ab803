//! `bosc_fuzz::TARGETS`, `codec`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("codec").unwrap()(data));
