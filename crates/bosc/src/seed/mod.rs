//! `bosc seed`.

pub(crate) mod args;
