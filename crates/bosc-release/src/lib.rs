//! The release pipeline as library calls with events: from a folder to those who follow a link.
//!
//! It owns what a release is: the features, each in the folder of its command's name (its request and events in the face of
//! the folder, what the engine runs for it in `command`), the [`engine::Engine`] with the open store and its node, and
//! the hand-over of commands to the process that has a store open ([`owner`]).
//! A command is a [`request::Request`], plain data; what happens on the way is told as [`event::Event`]s, what it ends with
//! is an [`event::Output`].
//!
//! It never prints, never reads the command line, never asks a person, and makes JSON of events only for the hand-over. Of
//! the environment it reads, in the process of whoever asks: the user's folders and search path
//! ([`UserPlaces::here`](install::UserPlaces::here): `HOME` or `USERPROFILE`, `XDG_DATA_HOME`, `LOCALAPPDATA`, `PATH`), where
//! signing keys are ([`Keyring::open`](keys::keyring::Keyring::open): the same home, `HYPERCORE_SIGN_KEYS_DIRECTORY`), a
//! manifest's date (`SOURCE_DATE_EPOCH`), the service manager's socket (`NOTIFY_SOCKET`), credentials of the place that a mirror
//! is written to (`BOSC_MIRROR_*`, and those of the clouds), keys that must not be in a release (`secrets/in_use.rs`), and the
//! folder for temporary files.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]
#![forbid(unsafe_code)]

pub mod blind_peer;
pub mod build;
pub mod changelog;
pub mod clock;
pub mod command;
pub mod cores;
pub mod dashboard;
pub mod delta;
pub mod demo;
pub mod dht;
pub mod doctor;
pub mod dump;
pub mod engine;
pub mod error;
pub mod event;
pub mod folder;
pub mod gc;
#[cfg(test)]
mod golden;
pub mod info;
pub mod init;
pub mod install;
pub mod keys;
pub mod line;
mod listening;
pub mod log;
pub mod manifest;
pub mod mirror;
pub mod monitor;
pub mod multisig;
pub mod operator;
pub mod output_file;
pub mod owner;
pub mod policy;
pub mod provision;
pub mod publish;
pub mod relay;
pub mod request;
pub mod rotate;
mod run;
pub mod secrets;
pub mod seed;
pub mod shell_word;
pub mod stage;
pub mod store;
mod toml_fault;
pub mod touch;
mod update_costs;
pub mod versions;
mod wire_path;
