//! `bosc data`: flags. `data dht` is run from `run.rs`, `data multisig` from `multisig/mod.rs`.

pub(crate) mod args;
