//! `bosc_fuzz::TARGETS`, `proof_request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("proof_request").unwrap()(data));
