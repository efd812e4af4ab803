//! `bosc_fuzz::TARGETS`, `dht_wire`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("dht_wire").unwrap()(data));
