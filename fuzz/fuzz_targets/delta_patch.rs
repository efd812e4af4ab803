//! `bosc_fuzz::TARGETS`, `delta_patch`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("delta_patch").unwrap()(data));
