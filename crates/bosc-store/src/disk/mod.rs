//! The few file operations a store needs, as a trait, so that the same store runs on a directory, in memory and
//! on a disk that crashes or fills up in a test. Everything goes through it: the segments of block bytes and
//! the database's own file.
//!
//! What an implementation promises:
//! * `write_at`, `set_len`, creation and removal may be lost in a crash, in any order and in part, until the
//!   `sync` of that file (for its bytes and length) or `sync_dirs` (for creation and removal) returned.
//! * After `sync` returned, what was written before it is read back after a crash.
//!
//! # Files
//!
//! - `traits`: the operations. `file`: a directory of the file system: modes, the owner's lock. `memory`: files in memory. `place`:
//!   what tells a folder from others: machine, numbers of its files, mark.

mod file;
mod memory;
mod place;
mod traits;

pub use file::DirDisk;
pub use memory::MemoryDisk;
pub use place::Place;
pub(crate) use place::{FileId, MARK, Mark, read_mark, same_file};
pub(crate) use traits::DatabaseFile;
pub use traits::{Disk, DiskFile};
