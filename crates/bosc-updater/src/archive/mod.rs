//! Builds inside `.tar.gz`, `.tar.zst` and `.zip`.
//!
//! The source has proved the archive's bytes; this makes a build of them. Even so the archive is read as if an enemy had
//! made it: nothing is written outside the folder it is unpacked to, nothing is written through a link, and what it costs
//! is bounded.
//!
//! Refused, each before the entry is written: absolute paths, `..`, drives and streams, names that Windows keeps for
//! itself or cannot hold, an entry twice, two names that differ in case only, an entry below a file or a link, links that
//! leave the build (also by way of other links), hard links, devices, pipes, sparse files, encrypted entries, more
//! entries, bytes or depth than [`Limits`] allow, and more bytes than the archive's own size explains.
//!
//! What the archive holds must be one build: for a file, one file, or the one that [`Wanted::inside`] names; for a folder, one folder, or its contents without the
//! folder around. `__MACOSX` at the top is what macOS's archiver adds, and is left out.

#[cfg(feature = "_unpack")]
mod names;
#[cfg(feature = "_unpack")]
mod sink;
#[cfg(any(feature = "tar-gz", feature = "tar-zst"))]
mod tarball;
#[cfg(feature = "_unpack")]
mod unpack;
#[cfg(feature = "zip")]
mod zipped;
#[cfg(feature = "tar-zst")]
mod zst;

use crate::error::{ErrorKind, UpdateError};
use crate::install::{Kind, fs, tree};
use crate::release::Contents;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What an archive is packed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// tar, packed with gzip.
    TarGz,
    /// tar, packed with Zstandard; its window at most 64 MiB (all levels without `--ultra`, and `--ultra -21`).
    TarZst,
    /// zip, entries stored or deflated.
    Zip,
}

impl Format {
    /// The format that a file name or URL path ends in: `.tar.gz`, `.tgz`, `.tar.zst`, `.tzst`, `.zip`, any case.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        if ends(&[".tar.gz", ".tgz"]) {
            Some(Self::TarGz)
        } else if ends(&[".tar.zst", ".tzst"]) {
            Some(Self::TarZst)
        } else {
            ends(&[".zip"]).then_some(Self::Zip)
        }
    }

    /// The format that a file's first bytes say; `None` for what is none of the three.
    ///
    /// # Errors
    /// What opening or reading it returns.
    pub fn of_file(path: &Path) -> std::io::Result<Option<Self>> {
        let mut head = Vec::with_capacity(4);
        fs::open(path)?.take(4).read_to_end(&mut head)?;
        Ok(match head.as_slice() {
            [0x1f, 0x8b, ..] => Some(Self::TarGz),
            [0x28, 0xb5, 0x2f, 0xfd] => Some(Self::TarZst),
            // Of entries, and of none.
            [b'P', b'K', 3, 4] | [b'P', b'K', 5, 6] => Some(Self::Zip),
            _ => None,
        })
    }

    /// Whether this program was built with it (features `tar-gz`, `tar-zst`, `zip`).
    pub fn is_built_in(self) -> bool {
        match self {
            Self::TarGz => cfg!(feature = "tar-gz"),
            Self::TarZst => cfg!(feature = "tar-zst"),
            Self::Zip => cfg!(feature = "zip"),
        }
    }

    fn refuse(self) -> Result<(), UpdateError> {
        if self.is_built_in() {
            return Ok(());
        }
        let (ending, feature) = match self {
            Self::TarGz => (".tar.gz", "tar-gz"),
            Self::TarZst => (".tar.zst", "tar-zst"),
            Self::Zip => (".zip", "zip"),
        };
        Err(UpdateError::new(
            ErrorKind::Unsupported,
            format!("this program was built without {ending} archives"),
        )
        .hint(format!("release another archive, or build it with the feature `{feature}` of bosc-updater")))
    }
}

/// What unpacking may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files together. Default 8 GiB.
    pub bytes: u64,
    /// Entries. Default 200,000, which is also the most a build may have.
    pub entries: usize,
    /// Bytes for each byte of the archive, above the first 16 MiB. Default 200.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 8 << 30, entries: tree::MAX_ENTRIES, ratio: 200 }
    }
}

#[cfg(feature = "_unpack")]
impl Limits {
    /// Bytes that an archive of this size may become.
    fn bytes_for(&self, archive: u64) -> u64 {
        self.bytes.min(archive.saturating_mul(self.ratio).max(16 << 20))
    }
}

/// A build that came out of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// Where it lies: in the folder it was unpacked to.
    pub path: PathBuf,
    /// What it consists of.
    pub contents: Contents,
}

/// What is looked for in an archive.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// What kind of thing.
    pub kind: Kind,
    /// For a file: its path in the archive, with or without the one folder around everything. Needed when the archive holds more.
    pub inside: Option<&'a str>,
}

/// Unpacks an archive into `into`, a folder that must not exist yet, and finds the build of this kind in it. When it fails
/// the folder is removed again.
///
/// # Errors
/// `Unsupported` when the program was built without the format; `Integrity` for an archive that is damaged, hostile or holds no such build; `NoSpace`, `Permission`, `Disk`; `Input` when
/// `into` exists.
pub fn unpack(
    archive: &Path,
    format: Format,
    kind: Kind,
    into: &Path,
    limits: &Limits,
) -> Result<Unpacked, UpdateError> {
    unpack_wanted(archive, format, Wanted { kind, inside: None }, into, limits)
}

/// [`unpack`] for a build that has a name in the archive.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_wanted(
    archive: &Path,
    format: Format,
    wanted: Wanted<'_>,
    into: &Path,
    limits: &Limits,
) -> Result<Unpacked, UpdateError> {
    format.refuse()?;
    #[cfg(feature = "_unpack")]
    {
        unpack::run(archive, format, wanted, into, limits)
    }
    #[cfg(not(feature = "_unpack"))]
    {
        let _ = (archive, wanted, into, limits);
        Err(UpdateError::new(ErrorKind::Unsupported, "this program was built without archives"))
    }
}

#[cfg(test)]
#[cfg(feature = "archives")]
mod tests;
