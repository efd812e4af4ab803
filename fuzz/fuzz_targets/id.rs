//! `bosc_fuzz::TARGETS`, `id`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("id").unwrap()(data));
