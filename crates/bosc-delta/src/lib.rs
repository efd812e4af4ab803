//! Small differences between two versions of a program.
//!
//! It owns the format of patches, and both verbs. It opens no file, and trusts neither side: what a patch makes is proved by
//! whoever asked for it.
//!
//! [`make`] finds what is nearly the same in two files and writes down the rest; [`apply`] makes the new file from the old one
//! and that. Between two builds of a program most bytes that differ are addresses: something grew, and everything behind it
//! moved. So both sides find the references in the *old* file, know where each target went, and expect the moved reference; a
//! patch holds only what this gets wrong. ELF, PE and Mach-O (universal ones too), x86-64 and arm64, Go's tables; any other
//! file by the same matcher. Packages are opened: zip and its kin, gzip, and squashfs that zlib packed are compared inside, where their
//! programs are found, and packed again to the same bytes; programs in archives that do not pack are found where they are.
//!
//! ```
//! # #[cfg(feature = "make")] {
//! use bosc_delta::{MakeOptions, apply, inspect, make};
//!
//! let (old, new) = (b"what was there".repeat(50), b"what is there".repeat(50));
//! let patch = make(&old, &new, &MakeOptions::default())?;
//! assert_eq!(inspect(&patch)?.new_len, new.len() as u64);
//!
//! let mut out = Vec::new();
//! apply(&old[..], &patch, &mut out)?;
//! assert_eq!(out, new);
//! # }
//! # Ok::<(), bosc_delta::Error>(())
//! ```
//!
//! An application that updates itself needs no [`make`]: leave the feature of that name out. No IO here beyond what a caller
//! hands in; no clock, no threads, no randomness, no floating point.
//!
//! # What always holds
//!
//! 1. [`apply`] succeeds only if the result has the hash that the maker's file had. A wrong expectation costs bytes, never
//!    correctness. Who does not trust the maker compares [`Applied::hash`] with what they know.
//! 2. Maker and client expect the same. References come from the bytes of the old file and the tables in the patch alone: a
//!    client reads no header of an executable. The finder is frozen behind its version; recorded patches
//!    (`tests/vectors`) have to apply for ever.
//! 3. The same two files give the same patch on every machine.
//! 4. A patch is never much larger than the new file packed alone: [`make`] falls back to that.
//! 5. Whatever a patch says, [`apply`] reads nothing outside the old file, does not panic, and takes memory only within
//!    bounds that are checked before: copies, corrections, tables, reads of blocks, walks, pieces that are unpacked, places that a
//!    packer looks at, and bytes that are held back. Patches that
//!    [`make`] made of files of 10 to 100 MB took 19 to 61 MiB; one made to take the most that the bounds allow would take some 150 MiB, by the sum of the bounds.
//!
//! # How a patch is read
//!
//! The format is drawn in docs/formats.md of the repository. Header; tables: layouts of both files, ranges that are derived;
//! the script, arithmetic-coded: copies, then how far the expectation holds and what is there instead; the bytes that no copy
//! gives.
//!
//! # Files
//!
//! - `base`, `error`, `inspect`, `hash`: what callers see beside the two verbs: the old file read at positions, what is refused and
//!   the longest file, what a patch says of itself, the hash of files.
//! - `format`: a patch's header and tables, their bounds, and where its parts are. `coder`: the arithmetic coder. `script`: what it
//!   codes: copies, how far the expectation holds, what is there instead. `literals`: the bytes that no copy gives, by models
//!   (LZMA's: `apply/extra`).
//! - `packed`: what is packed inside a file: opened, packed again, and how much of both a patch may ask for. The bytes that zlib and gzip
//!   pack to are made in `packed/deflate/`, with where blocks end in its `blocks`. `common`: how far two texts are alike.
//! - `layout`: addresses and regions of a file in memory. `field`: a reference. `extract`: references found, and how much of the old
//!   file may be read for that. `map`: where bytes went. `walk`: the expectation, the same for both sides, and how many corrections
//!   are kept. `derive`: ranges that are computed, and what is held for them.
//! - `apply`: the new file from a patch, proved by its hash. `make`: a patch from two files: what matches, which packages and
//!   executables are understood, when the file is packed alone instead.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod apply;
mod base;
mod coder;
mod common;
mod derive;
mod error;
mod extract;
mod field;
mod format;
mod hash;
mod inspect;
mod layout;
mod literals;
#[cfg(feature = "make")]
mod make;
mod map;
mod packed;
mod script;
mod walk;

#[cfg(test)]
#[path = "../tests/program/mod.rs"]
mod program;

pub use apply::{Applied, apply};
pub use base::Base;
pub use error::{Error, MAX_FILE};
pub use inspect::{Inspection, inspect};
#[cfg(feature = "make")]
pub use make::{MakeOptions, make};
