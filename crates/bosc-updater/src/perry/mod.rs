//! Perry's updater by its own names: a program that uses it moves over line by line, and the files that its clients write are read
//! and written here as they are.
//!
//! Nothing else in this crate depends on this module but the client's option for its sentinel; it is built on [`crate::manifest`],
//! [`crate::install`], [`crate::health`] and `crate::http`.
//!
//! | part | what it is |
//! |---|---|
//! | [`check_for_update`], [`Update`], [`init_updater`], [`mark_healthy`] | the wrapper, `@perry/updater` |
//! | [`primitives`] | the low-level calls with their return codes, `perry/updater` |
//! | [`sentinel`], [`lifecycle`] | the file that counts boots of a new build, and what is done with it at start |
//! | [`install`] | staged build in, previous build back, relaunch, with errors that say why |
//! | [`paths`] | where the application, its previous build and the sentinel are |
//!
//! # Its quick start
//!
//! ```no_run
//! use bosc_updater::perry::{self, Boot, CheckOptions, InitOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! if perry::init_updater(&InitOptions::new("1.4.0"))? == Boot::RolledBack {
//!     return Ok(()); // the build before is back; it runs at the next start
//! }
//!
//! let update = perry::check_for_update(CheckOptions::new(
//!     "https://example.com/updates/manifest.json",
//!     "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
//!     "1.4.0",
//! ))?;
//!
//! if let Some(mut update) = update {
//!     update.download(|done, total| println!("{done} of {total}"))?;
//!     update.install_and_relaunch()?;
//!     return Ok(()); // the new build was started
//! }
//!
//! perry::mark_healthy()?; // once the application works
//! # Ok(()) }
//! ```
//!
//! # What differs from the original, with the same bytes on the wire and on the disk
//!
//! - A signature is checked against the digest the manifest claims before anything is downloaded, and the digest against
//!   the bytes afterwards; `size` is a bound, not a remark.
//! - What was not downloaded and proved is not installed, and what was rolled back is not offered again.
//! - A sentinel counts only when the build it speaks of is the one that runs. A crash between arming and installing does
//!   not roll back to an older `.prev`, and another copy of the application does not disturb it.
//! - Leaving the process is not health. [`exiting`] with code 0 is.
//! - Every write is synced, every file is made with mode 0600, every read is bounded.
//!
//! # Files
//!
//! - `update`: check, download, install and relaunch. `lifecycle`: what happens at a start: armed, counted, rolled back, cleared.
//!   `primitives`: the calls with return codes.
//! - `install`: install, roll back, relaunch, in which order around the sentinel. `sentinel`: the file: its keys and bound. `paths`:
//!   where things are.

pub mod install;
pub mod lifecycle;
pub mod paths;
pub mod primitives;
pub mod sentinel;
#[cfg(feature = "http")]
mod update;

pub use lifecycle::{Boot, InitOptions, exiting, init_updater, mark_healthy};
pub use primitives::{
    clear_sentinel, compare_versions, compute_file_sha256, get_backup_path, get_exe_path, get_sentinel_path,
    install_update, perform_rollback, read_sentinel, relaunch, verify_hash, verify_signature,
    verify_signature_v2, write_sentinel,
};
#[cfg(feature = "http")]
pub use update::{CheckOptions, Update, check_for_update};
