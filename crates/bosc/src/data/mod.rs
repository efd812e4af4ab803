//! `bosc data`.

pub(crate) mod args;
