//! `bosc touch`.

pub(crate) mod args;
