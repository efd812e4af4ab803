//! What is well and what is not with a link: findings, and whether a client would update. Pure: the engine gathers
//! [`Facts`], [`judge`] and [`client`] judge them.
//!
//! # Files
//!
//! - `command`: gathers the facts, how long for each. `content`: what the files of a drive say, how many are looked at. `facts`: what
//!   is known of a link.
//! - `judge`: the findings, and those of the link itself: found, written, seeded, signed. `release`: those of what it releases:
//!   package.json, platforms, names, versions that were not raised. `rules`: those of its rules and operators, freshness. `finding`:
//!   one of them.
//! - `nat`: which NAT this machine is behind, and whom holepunching reaches.
//! - `blind`: blind peers that are to keep it. `client`: whether a client would update. `request`: what is asked for. `event`: events, and the result.

mod blind;
mod client;
pub(crate) mod command;
mod content;
pub mod event;
mod facts;
pub(crate) mod finding;
mod judge;
pub mod nat;
mod release;
mod request;
mod rules;
#[cfg(test)]
mod tests;

pub use client::{Client, client};
pub use facts::{BlindPeerSeen, Facts, FilesFound, Platform, Rules, RulesSeen};
pub use finding::{Finding, Level};
pub use judge::judge;
pub use release::is_app;
pub use request::Doctor;
