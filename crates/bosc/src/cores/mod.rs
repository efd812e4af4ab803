//! `bosc cores`.

pub(crate) mod args;
pub(crate) mod human;
