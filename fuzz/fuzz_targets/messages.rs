//! `bosc_fuzz::TARGETS`, `messages`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bosc_fuzz::target("messages").unwrap()(data));
