//! `bosc_fuzz::TARGETS`, `replicator`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("replicator").unwrap()(data));
