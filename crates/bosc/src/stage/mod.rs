//! `bosc stage`: flags, what people read. The request is made in `run.rs`.

pub(crate) mod args;
pub(crate) mod human;
