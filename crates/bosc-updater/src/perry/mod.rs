//! Perry's updater, format by format: what its clients and servers write is read here, and the other way round.
//!
//! Nothing in here touches a network. [`crate::http`] fetches; this module decides.
//!
//! | part | what it is |
//! |---|---|
//! | [`manifest`] | the JSON a server offers, versions 1 and 2 |
//! | [`verify`] | SHA-256, Ed25519 over the digest (1) or digest and version (2), and our binding to application and platform |
//! | [`cli_manifest`] | the newer, wholly signed manifest of a command-line tool |
//! | [`sentinel`], [`lifecycle`] | the file that counts boots of a new build, and what is done with it at start |
//! | [`install`] | staged build in, previous build back, relaunch |
//! | [`paths`], [`url`], [`version`] | where things are, what may be fetched, what is newer |
//!
//! # What differs from the original, with the same bytes on the wire and on the disk
//!
//! - A signature is checked against the digest the manifest claims before anything is downloaded, and the digest against
//!   the bytes afterwards; `size` is a bound, not a remark.
//! - A sentinel counts only when the build it speaks of is the one that runs. A crash between arming and installing does
//!   not roll back to an older `.prev`, and another copy of the application does not disturb it.
//! - Leaving the process is not health. [`lifecycle::exiting`] with code 0 is.
//! - Every write is synced, every file is made with mode 0600, every read is bounded.

pub mod cli_manifest;
pub mod install;
pub mod lifecycle;
pub mod manifest;
pub mod paths;
pub mod sentinel;
pub mod url;
pub mod verify;
pub mod version;

pub use cli_manifest::CliManifest;
pub use install::{install_update, perform_rollback, relaunch};
pub use lifecycle::{Boot, InitOptions, exiting, init_updater, mark_healthy};
pub use manifest::{Asset, Manifest};
pub use paths::{get_backup_path, get_exe_path, get_sentinel_path};
pub use sentinel::{Sentinel, clear_sentinel, read_sentinel, write_sentinel};
pub use verify::{compute_file_sha256, verify_hash, verify_signature, verify_signature_v2};
pub use version::compare_versions;
