//! `bosc dump`: flags. The request is made in `run.rs`; what people read is in `human.rs` of the crate.

pub(crate) mod args;
