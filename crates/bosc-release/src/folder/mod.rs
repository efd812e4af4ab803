//! A folder that is read: which files it has, which of them are taken, what its package.json says, and whether every
//! system can hold their names. Nothing here writes.
//!
//! # Files
//!
//! - `scan/`: what a folder holds, links, what cannot be read. `glob`: which of it is taken: patterns of flags. `ignore_file`: reads
//!   `.boscignore` (or `.pearignore`), its syntax and size. `pattern`: what both have in common: how many and how long.
//! - `package`: package.json: where it must lie, its size, fields that clients cannot use. `said_version`: the version that a build
//!   says of itself.
//! - `portable_names`: names that some client cannot hold. `diff`: one changed file, as it is reported.

pub mod diff;
pub mod glob;
pub mod ignore_file;
pub mod package;
pub mod pattern;
pub mod portable_names;
pub(crate) mod said_version;
pub mod scan;

/// For tests: a FIFO that nobody writes to.
#[allow(clippy::unwrap_used)]
#[cfg(all(test, target_os = "linux"))]
pub(crate) fn make_fifo(path: &std::path::Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
}
