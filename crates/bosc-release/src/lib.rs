//! The release pipeline as library calls with events.
//!
//! A command is a [`command::Request`]: plain data, so that it can be run here or handed to the process that
//! owns the store. What happens on the way is told as [`command::Event`]s, the `tag` and `data` of Pear's
//! `--json` lines. Nothing in this crate prints.
#![forbid(unsafe_code)]

pub mod build;
pub mod command;
pub mod demo;
pub mod dht;
pub mod diff;
pub mod dump;
pub mod engine;
pub mod error;
pub mod glob;
pub mod lines;
pub mod multisig;
pub mod owner;
pub mod package;
pub mod provision;
pub mod publish;
pub mod rotate;
pub mod scan;
pub mod stage;
pub mod tools;
pub mod updater;
