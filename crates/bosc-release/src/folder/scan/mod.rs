//! What a folder holds: files, executable bits and symlinks, in the order of their drive keys.
//!
//! Symlinks that stay in the folder become symlinks of the drive. Those that leave it are followed, and what they lead
//! to is taken as if it lay in the folder; one that leads nowhere is skipped and reported, as are sockets and devices.
//! What the links of a followed folder become is told in `links`.
//! A link of another user that leaves the folder may lead only to what is his: see `folder/scan/foreign.rs`.
//! Whatever cannot be read is an error that names it: a file left out silently would be deleted from the drive.
//!
//! The order depends on nothing but the names, so two machines stage the same folder in the same order.
//!
//! # Files
//!
//! - `links`: links of a folder that was reached through one, and how many are followed. `foreign`: links of another user. `errors`:
//!   what could not be read.
//! - `walk`: the walk. `list`: what it found, in little memory. `followed`: a folder that was reached through a link. `types`: what
//!   is found, how deep, and why it cannot be.

pub(crate) mod errors;
mod followed;
mod foreign;
pub(crate) mod links;
mod list;
mod types;
mod walk;

pub(crate) use foreign::{check_named, open_named};
pub(crate) use list::{FileList, ListedFile, ListedKind};
pub use types::{FileStat, FolderId, LocalFile, LocalKind, Scan, ScanError, Skipped};
pub(crate) use types::{executable, folder_id};
pub use walk::scan;
pub(crate) use walk::scan_list;
