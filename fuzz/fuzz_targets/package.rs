//! `bosc_fuzz::TARGETS`, `package`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("package").unwrap()(data));
