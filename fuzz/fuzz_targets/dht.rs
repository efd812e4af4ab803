//! `bosc_fuzz::TARGETS`, `dht`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("dht").unwrap()(data));
