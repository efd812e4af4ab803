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
//! What the archive holds must be one build: for a file, one file; for a folder, one folder, or its contents without the
//! folder around. `__MACOSX` at the top is what macOS's archiver adds, and is left out.

mod names;
mod sink;
mod tarball;
mod zipped;

use crate::error::{ErrorKind, UpdateError};
use crate::install::tree::{self, check_contents};
use crate::install::{Kind, fs, integrity, io_error};
use crate::release::{Contents, Entry, EntryKind};
use sink::Sink;
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

/// Unpacks an archive into `into`, a folder that must not exist yet, and finds the build of this kind in it. When it fails
/// the folder is removed again.
///
/// # Errors
/// `Integrity` for an archive that is damaged, hostile or holds no such build; `NoSpace`, `Permission`, `Disk`; `Input` when
/// `into` exists.
pub fn unpack(
    archive: &Path,
    format: Format,
    kind: Kind,
    into: &Path,
    limits: &Limits,
) -> Result<Unpacked, UpdateError> {
    if !fs::make_dir(into).map_err(|e| io_error("make", into, e))? {
        return Err(UpdateError::new(ErrorKind::Input, format!("{} exists already", into.display()))
            .hint("Unpack into a new folder."));
    }
    let unpacked =
        unpack_into(archive, format, into, limits).and_then(|entries| find_build(entries, kind, into));
    if unpacked.is_err() {
        let _ = tree::remove(into);
    }
    unpacked
}

fn unpack_into(
    archive: &Path,
    format: Format,
    into: &Path,
    limits: &Limits,
) -> Result<Vec<Entry>, UpdateError> {
    let file = fs::open(archive).map_err(|e| io_error("open", archive, e))?;
    let size = file.size().map_err(|e| io_error("look at", archive, e))?;
    let limits = Limits {
        bytes: limits.bytes_for(size),
        entries: limits.entries.min(tree::MAX_ENTRIES),
        ratio: limits.ratio,
    };
    let mut sink = Sink::new(into, limits);
    match format {
        Format::TarGz => tarball::unpack(flate2::read::MultiGzDecoder::new(file), &mut sink)?,
        Format::TarZst => tarball::unpack(tarball::Zst::new(file), &mut sink)?,
        Format::Zip => zipped::unpack(file, &mut sink)?,
    }
    Ok(sink.into_entries())
}

/// The build of this kind among what was unpacked.
fn find_build(mut entries: Vec<Entry>, kind: Kind, into: &Path) -> Result<Unpacked, UpdateError> {
    let top = |entry: &&Entry| !entry.path.contains('/');
    let mut tops = entries.iter().filter(top);
    let (first, more) = (tops.next().cloned(), tops.next().is_some());
    let Some(first) = first else { return Err(integrity("the archive is empty".into())) };
    let inner = match (kind, &first.kind, more) {
        (Kind::File, ..) => {
            let mut files = entries.iter().filter(|e| !matches!(e.kind, EntryKind::Directory));
            match (files.next(), files.next()) {
                (Some(Entry { path, kind: EntryKind::File { .. } }), None) => path.clone(),
                _ => return Err(integrity("the archive must hold one file, and nothing else".into())),
            }
        }
        (_, EntryKind::Directory, false) => first.path,
        (Kind::Bundle, ..) => {
            return Err(integrity("the archive must hold one .app folder, and nothing else".into()));
        }
        (Kind::Directory, ..) => String::new(),
    };
    if inner.is_empty() {
        entries.insert(0, Entry { path: String::new(), kind: EntryKind::Directory });
    } else {
        let below = format!("{inner}/");
        entries.retain_mut(|entry| {
            let rest = if entry.path == inner {
                Some(String::new())
            } else {
                entry.path.strip_prefix(&below).map(str::to_owned)
            };
            rest.map(|rest| entry.path = rest).is_some()
        });
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let contents = Contents { entries };
    check_contents(&contents)?;
    Ok(Unpacked { path: tree::disk_path(into, &inner), contents })
}

/// Reads up to `limit` bytes and no more: a longer one is an error.
fn read_bounded(from: &mut impl Read, limit: u64, what: &str) -> Result<Vec<u8>, UpdateError> {
    let mut bytes = Vec::new();
    from.take(limit + 1).read_to_end(&mut bytes).map_err(damaged)?;
    if bytes.len() as u64 > limit {
        return Err(integrity(format!("{what} is longer than {limit} bytes")));
    }
    Ok(bytes)
}

/// The archive cannot be read.
fn damaged(error: std::io::Error) -> UpdateError {
    integrity(format!("the archive is damaged: {error}")).because(error)
}

#[cfg(test)]
mod tests;
