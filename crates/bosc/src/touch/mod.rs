//! `bosc touch`: flags. The request is made in `run.rs`.

pub(crate) mod args;
