//! The client of an application that updates itself.
//!
//! # Parts
//!
//! - [`source`]: where releases come from. A source finds a [`Release`], fetches it into a staging folder and proves it
//!   against the key it was made with, down to the last byte. `http` and `p2p` are the two there are.
//! - [`release`]: what passes from a source to the installer: [`Staged`], a folder entry together with its proven
//!   [`Contents`].
//! - [`install`]: puts a staged build in the place of the installed one, atomically, and back.
//! - [`health`]: starts builds and watches a new one until it is healthy.
//! - `archive`: builds inside `.tar.gz`, `.tar.zst` and `.zip` (feature `archives`).
//! - [`perry`]: the formats and the lifecycle of Perry's updater, without a network.
//! - `client`: the policy in between: when to look, what is newer, what was taken back before.
//!
//! # Invariants
//!
//! 1. Nothing is installed whose bytes do not equal its [`Contents`] at the moment of the install.
//! 2. At every instant the application's path holds one whole build, old or new.
//! 3. A build that does not become healthy is replaced by the one before it and not offered again.
//! 4. No downgrade: not below the installed version, the newest healthy version, or a manifest schema seen before.

#[cfg(feature = "archives")]
pub mod archive;
pub mod client;
pub mod error;
pub mod health;
#[cfg(feature = "http")]
pub mod http;
pub mod install;
#[cfg(feature = "p2p")]
pub mod p2p;
pub mod perry;
pub mod release;
pub mod source;

pub use error::{ErrorKind, UpdateError};
pub use release::{Contents, Entry, EntryKind, Release, ReleaseId, Staged};
pub use source::{Progress, Source};
