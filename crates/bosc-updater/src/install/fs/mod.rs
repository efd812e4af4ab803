//! Every file operation of the installer, one thin function each.
//!
//! What makes, renames and removes goes through [`bosc_files::Dir`]: the folder is opened first, and no name in it is followed. Nothing
//! else in `install`, `health` and `archive` calls `std::fs` (a test reads the sources to see to it), so a test can count the
//! calls, make any of them fail, or kill its own process at any of them: see `bosc_files::faults`.
//!
//! # Files
//!
//! - `names`: makes, renames and removes, by the handle of the folder. `file`: reads and writes. `look`: looks at what is there.
//!   `lock`: locks. `sync`: waits until things are on the disk.
//! - `entry`: owner and permissions of what was looked at, and of nothing put in its place. `give`: sets them. `meta`: what a file
//!   says of itself. `attributes`: capabilities, access lists, extended attributes.
//! - `step`: counts the operations, so that a test can make each fail. `sys`: what differs between systems. `windows`: calls that
//!   only Windows has.

mod attributes;
#[cfg(unix)]
mod entry;
mod file;
mod give;
mod lock;
mod look;
mod meta;
mod names;
mod step;
mod sync;
mod sys;

pub(crate) use attributes::carry_over;
#[cfg(feature = "msix")]
pub(crate) use file::hold;
pub(crate) use file::{create, open};
pub(crate) use give::{give, give_open, set_mode};
pub(crate) use lock::{try_lock, try_lock_since};
pub(crate) use look::{available_space, boot, canonical, identity, link_target, look, names};
pub(crate) use meta::{Metadata, Owner, me, mode_of, owner_of};
#[cfg(any(feature = "_unpack", feature = "msix"))]
pub(crate) use names::make_dir;
pub(crate) use names::{
    exchange, make_link, make_private_dir, remove_dir, remove_file, rename, rename_new, replace,
};
#[cfg(feature = "faults")]
pub use step::{Op, faults};
pub(crate) use sync::{hand_over, sync_all, sync_dir, sync_file};

/// Bytes read or written at once.
pub(crate) const CHUNK: usize = 256 * 1024;
