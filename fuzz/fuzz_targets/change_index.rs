//! `bosc_fuzz::TARGETS`, `change_index`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("change_index").unwrap()(data));
