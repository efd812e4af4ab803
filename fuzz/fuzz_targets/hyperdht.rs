//! `bosc_fuzz::TARGETS`, `hyperdht`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("hyperdht").unwrap()(data));
