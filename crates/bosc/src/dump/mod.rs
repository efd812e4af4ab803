//! `bosc dump`.

pub(crate) mod args;
