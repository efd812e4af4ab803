//! The one road for files that are written, replaced, moved and removed.
//!
//! What it is: blocking file work below *handles* of folders. What it owns: the rules by which a place in the file
//! system is trusted, a file is replaced, and a folder is worked in. What it never does: interpret content, follow a
//! link that somebody else put there, open a file that exists when it was to be made, leave a half-written file under
//! its final name.
//!
//! Invariants:
//! 1. **No path is walked twice.** A [`Dir`] is an open folder. Everything below it is reached by one name at a time
//!    (`openat`) and no name is followed when it is a link. A folder that is exchanged for a link meanwhile leads
//!    nowhere; one that is moved away takes with it only what is in it.
//! 2. **The way to a folder** that the user named is walked the same way. Links on it are followed when they belong to
//!    the user or to root, and refused otherwise.
//! 3. **New files** are made with `O_EXCL | O_NOFOLLOW`, new folders with `mkdir`; both have our owner and the mode that
//!    was asked for from their first instant. Temporary names are random.
//! 4. **A replaced file** ([`Replace`]) is the old one or the new one at every instant, and on disk as the stated
//!    [`Durability`] says. Its permissions and owner are those of the file it replaces, or private. A pipe, a socket or a
//!    device in its place is never replaced.
//! 5. **A work folder** ([`Work`]) is made anew, has mode 0700, our owner and a random name, and is locked as long as it is
//!    used. What a killed process left is recognised by all of these together, and removed by the next one; what it had
//!    moved aside goes back to its place first.
//! 6. **A file that is read** by a path is opened by [`open_plain`]: nothing waits for a FIFO or socket, and no device is
//!    opened; what was given open by its number, by [`open_descriptor`]. A test holds all crates to it.
//!
//! Why not `cap-std`: it confines paths with links and `..` to a folder, in eleven crates. Nothing here wants links
//! followed below a folder, and owners, durability and the exchange of two names would have to be written anyway.
//!
//! With the feature `faults` a test makes any call that changes something fail, or ends its process at it: see `faults`.
//!
//! Systems other than Unix have no such handles in the standard library. There a [`Dir`] is a path, links are looked for
//! before each step, and invariant 1 holds as long as nobody else writes to the folder at the same time.
//!
//! # Files
//!
//! - `unix` and `other`: folders ([`Dir`]) by handle, and where there are none. `resolve`: the way to one: whose links are followed,
//!   how many. `tree`: whole ones.
//! - `replace`: a file replaced in one step: owner, mode, what is never replaced, links to it. `small`: a program's small files and
//!   locks (the installer's lock: `bosc-updater/src/install/fs/lock`). `sparse`: zeros that take no room.
//! - `work`: a folder to work in, and what a killed process left of one. `plain`: a file that is read by its path: FIFOs, devices,
//!   standard input. `descriptor`: one that was given open.
//! - `meta`: what a name stands for. `names`: names and whose they are. `windows`: one call of that system.
//! - `op`, `step`, `faults`: calls that a test makes fail. `full`: whether a disk is full. `given`: whose a new file is, made by
//!   root.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]
// Windows: one call, see `windows`.
#![cfg_attr(not(windows), forbid(unsafe_code))]

mod descriptor;
#[cfg(feature = "faults")]
pub mod faults;
mod full;
mod given;
mod meta;
mod names;
mod op;
mod plain;
mod replace;
mod small;
mod sparse;
mod step;
mod tree;
mod work;

#[cfg(unix)]
mod resolve;
#[cfg(unix)]
#[path = "unix.rs"]
mod system;
#[cfg(not(unix))]
#[path = "other.rs"]
mod system;
#[cfg(windows)]
mod windows;

#[cfg(test)]
mod tests;

pub use descriptor::open_descriptor;
pub use full::{is_caused_by_full, is_full};
pub use given::{give_folder_to_owner, give_to_owner};
pub use meta::{Kind, Meta};
pub use names::{random_name, trusted_owner, user};
#[cfg(feature = "faults")]
pub use op::Op;
pub use plain::{open_plain, read_bounded, read_plain, refuse_special};
pub use replace::{Durability, Pending, Replace};
pub use small::{
    FolderLock, lock, lock_folder, make_private_folders, open_private, remove_file, rename_beside,
};
pub use sparse::write_sparsely;
pub use system::Dir;
pub use work::{Found, Work};
