//! `bosc stage`.

pub(crate) mod args;
pub(crate) mod human;
