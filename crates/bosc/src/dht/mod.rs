//! `bosc dht`.

pub(crate) mod args;
