//! `bosc dht`: flags. It is run from `run.rs`; what people read is in `human.rs` of the crate.

pub(crate) mod args;
