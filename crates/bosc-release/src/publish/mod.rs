//! `publish`: the simple path from a folder to the people who follow a link.
//!
//! # Steps
//!
//! ```text
//! link known? --no--> minted and written to package.json; the end: builds have to name it
//!   |                 (--ci) made from primary key and name, written to package.json
//!   v
//! built (when artifacts are given) --> (--ci, shared keys) run lock taken, newest head learned and proved
//!   --> version checked --> staged --> (--ci) cache written --> seeded until enough others hold it
//!   --> (--ci) snapshot written
//! ```
//!
//! Killed anywhere, the same command run again goes on: a minted link that was not written down has nothing in it, a
//! build and a stage happen whole or not at all, and what was staged shows as "nothing changed" and is only seeded.
//!
//! # Invariants
//!
//! 1. What goes out has a higher version than what the link holds, or is the same, byte for byte. Clients take nothing
//!    else.
//! 2. With `--ci`, and with a key that other machines have, a head is signed only on top of the newest one: every peer
//!    that could be found was asked, none is ahead, all blocks up to that head are here, it is not below the snapshot,
//!    and a peer (or a cache) *proved* by a signature that its history of both cores is the one here. Lengths alone
//!    prove nothing: two heads of one length are two histories, and no follower survives that.
//! 3. Two runs that can reach each other never sign at one moment: the run lock is held from before the newest head is
//!    learned until the release is out.
//! 4. With a cache no peer sees a head before the cache has it: whatever happens to the runner, the next one goes on.
//! 5. A head that a peer may have seen is in the snapshot when the command ends, kept or not.
//! 6. `package.json` (or what it is made of) is changed by one value and keeps its bytes otherwise.
//!
//! # Files
//!
//! - Here: how many others have to hold a release, and how long is waited for them.
//! - `command`: `bosc publish` on the engine: what is refused before a link is minted, artifacts built, a release that only this
//!   runner has. `ci`: what `--ci` adds: when the newest head is known, who vouches, what is never signed. `own_files`: what that
//!   keeps is not published. `snapshot`: the file that a repository keeps of how long a link was. `cache`: the folder that a runner
//!   keeps: its format, heads that are not believed, a crash.
//! - `project_file`: what `bosc.toml` says of a project. `package_edit`: the link in package.json, tauri.conf.json, Cargo.toml or
//!   pyproject.toml, every other byte as it was. `event`: what is reported.

pub mod cache;
pub(crate) mod ci;
pub(crate) mod command;
pub(crate) mod event;
mod own_files;
pub mod package_edit;
pub mod project_file;
pub mod snapshot;

pub use event::{CiEvent, PublishEvent, Published, Voucher};

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How many other peers have to hold a release before `publish` ends, when nothing else is said: one, such as the seeder of
/// somebody who works alone.
pub const COPIES: usize = 1;
/// The same where it must outlive this machine: with `--ci`, and for the last release that `rotate` makes.
pub const KEPT_COPIES: usize = 2;
/// How long `publish` seeds after a peer last came or fetched something, when nothing is said of copies and time, in
/// milliseconds.
pub const STALL_MS: u64 = 30_000;
/// How long `publish` seeds at most when nothing else is said: ten minutes, in milliseconds.
pub const WAIT_MS: u64 = 600_000;
/// How long `--ci` looks for peers that hold the link, when nothing else is said, in milliseconds.
pub const WAIT_PEERS_MS: u64 = 60_000;

/// `bosc publish`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    /// The store is the only copy of what it was copied from.
    #[serde(default)]
    pub sole_copy: bool,
    /// The folder with `package.json`: the deployment directory, or with artifacts the project. Absolute.
    #[serde(with = "crate::wire_path")]
    pub dir: PathBuf,
    /// Make a link when `package.json` has none, and write it there.
    pub mint: bool,
    /// Per-OS builds: platform (`linux-x64`) and absolute path. With any, a deployment directory is made of them.
    #[serde(default, with = "crate::wire_path")]
    pub artifacts: Vec<(String, PathBuf)>,
    /// Where the deployment directory goes; absolute. `None`: `<name>-<version>` in `dir`.
    #[serde(default, with = "crate::wire_path")]
    pub target: Option<PathBuf>,
    /// Replace an existing deployment directory.
    pub force_build: bool,
    /// The file that says name, version and link of the artifacts; absolute. `None`: the one that is found in `dir`.
    #[serde(default, with = "crate::wire_path")]
    pub package: Option<PathBuf>,
    /// Artifacts are called as the application is, whatever their files are called.
    #[serde(default)]
    pub rename: bool,
    /// Only tell what would change.
    pub dry_run: bool,
    /// Patterns to leave out.
    pub ignore: Vec<String>,
    /// Files and folders that look secret and may be published.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Files and folders that may be published although a secret key is written out in them.
    #[serde(default)]
    pub allow_key: Vec<String>,
    /// Seed until so many peers hold a full copy; 0 does not seed.
    pub copies: usize,
    /// Seed at most so long, in milliseconds.
    pub wait_ms: u64,
    /// Also no longer than so after a peer last came or fetched something, in milliseconds; 0: however long that is.
    #[serde(default)]
    pub stall_ms: u64,
    /// Also tell who is connected and how the network is, for a table that is drawn in place.
    #[serde(default)]
    pub tables: bool,
    /// Publish from a machine that has only the primary key.
    pub ci: Option<Ci>,
}

/// `bosc publish --ci`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ci {
    /// Names the key pair: the drive is the core `db` in this namespace, as in npm `pear-ci`.
    pub name: String,
    /// The link that primary key and name make, so that a store with another primary key is noticed.
    pub link: String,
    /// How long to look for peers that hold the link, in milliseconds.
    pub wait_peers_ms: u64,
    /// A folder with the link's blocks; see [`cache`]. Absolute.
    #[serde(rename = "mirror", default, with = "crate::wire_path")]
    pub cache: Option<PathBuf>,
    /// The file that tells how long the link was after the last release; see [`snapshot`]. Absolute.
    #[serde(default, with = "crate::wire_path")]
    pub snapshot: Option<PathBuf>,
    /// The link has no release yet, and whoever asks is sure of it.
    pub first: bool,
}
