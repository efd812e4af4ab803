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
//!
//! # Files
//!
//! - `unpack`: from a proved archive to a build: one file, one folder, the one inside. `types`: formats, limits of entries, bytes and
//!   depth, what comes out. `names`: which names an entry may have. `sink`: checks entries (twice, below a link, out of the build),
//!   then writes them.
//! - `tarball`, `zipped`: the two containers: long names, kinds of entries, headers that differ. `zst`: Zstandard as a stream, its
//!   memory. `read`: reading bytes that may be damaged or hostile.

#[cfg(feature = "_unpack")]
mod names;
#[cfg(feature = "_unpack")]
mod read;
#[cfg(feature = "_unpack")]
mod sink;
#[cfg(any(feature = "tar-gz", feature = "tar-zst"))]
mod tarball;
mod types;
#[cfg(feature = "_unpack")]
mod unpack;
#[cfg(feature = "zip")]
mod zipped;
#[cfg(feature = "tar-zst")]
mod zst;

pub use types::{Format, Limits, Unpacked, Wanted};

#[cfg(not(feature = "_unpack"))]
use crate::error::ErrorKind;
use crate::error::UpdateError;
use crate::install::Kind;
use std::path::Path;

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
