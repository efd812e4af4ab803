//! `bosc demo`.

pub(crate) mod args;
