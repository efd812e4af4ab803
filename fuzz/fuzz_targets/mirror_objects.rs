//! `bosc_fuzz::TARGETS`, `mirror_objects`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("mirror_objects").unwrap()(data));
