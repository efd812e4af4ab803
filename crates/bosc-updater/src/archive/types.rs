//! The formats of archives, what unpacking one may cost, and what comes out.

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

    /// The format that a file's first bytes say; `None` for any other.
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

    pub(super) fn refuse(self) -> Result<(), UpdateError> {
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
    pub(super) fn bytes_for(&self, archive: u64) -> u64 {
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
