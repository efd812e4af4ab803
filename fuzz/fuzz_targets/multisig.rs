//! `bosc_fuzz::TARGETS`, `multisig`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("multisig").unwrap()(data));
