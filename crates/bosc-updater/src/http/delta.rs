//! The artifact from a patch and a file of this disk, where that takes fewer bytes.
//!
//! ```text
//! deltas of the entry ─▶ its base on this disk? ─▶ worth it? ─▶ the patch, downloaded as an artifact is
//!                                                                   │ apply: bounded, hashed as it is written
//!                                      .build ◀── digest as signed ─┤
//!                  the plain way, in the same fetch ◀── anything else
//! ```
//!
//! # Invariants
//!
//! 1. What is made has the digest of the entry, which is signed, or is removed. Nothing rests on the entry of a delta, nor on its patch.
//! 2. It is decided from sizes, before a byte of a patch is asked for. A patch has at most three quarters of what is missing and
//!    comes over the network once: together with the plain way, the artifact costs less than twice its bytes.
//! 3. Memory: the patch, up to [`MAX_PATCH`], and what `bosc_delta::apply` takes. Disk: the old file, the new one and the patch.
//! 4. A fetch fails for nothing in here but a cancellation. A killed one goes on with the patch where it was.

use super::agent::{Http, cancelled};
use super::download::Download;
use super::options::HttpOptions;
use super::staging::{Files, is_file};
use crate::base_file::BaseFile;
use crate::error::{ErrorKind, UpdateError};
use crate::manifest::verify::Digest32;
use crate::manifest::{Asset, AssetDelta};
use crate::source::{OnProgress, Progress};
use bosc_files::{Durability, read_bounded};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Write};

/// Longest patch taken, in bytes.
const MAX_PATCH: u64 = 64 << 20;
/// What a patch costs beside its bytes: a request, a round trip.
const OVERHEAD: u64 = 16 << 10;
/// Bytes after which a running apply asks whether it is wanted.
const LOOK: u64 = 1 << 20;

/// Makes [`Files::build`] of a patch, if that can be and is worth it. Bytes received for it, whatever came of it.
pub(super) fn bring(
    http: Http<'_>,
    options: &HttpOptions,
    asset: &Asset,
    files: &Files,
    on_progress: &mut OnProgress<'_>,
) -> Result<u64, UpdateError> {
    let Some(size) = asset.size.filter(|_| !is_file(&files.build())) else { return Ok(0) };
    // What a kill left.
    let _ = std::fs::remove_file(files.made());
    let here = std::fs::symlink_metadata(files.part()).map_or(0, |m| m.len());
    let mut received = 0;
    let mut tell = |now: Progress| {
        received = now.received.max(received);
        on_progress(Progress { bytes: here.min(size), total: Some(size), received, peers: now.peers })
    };
    let Some((base, delta)) = choose(options, asset, size.saturating_sub(here), &mut tell)? else {
        return Ok(0);
    };
    if options.room.as_ref().is_some_and(|room| room(size.saturating_add(delta.size)).is_err()) {
        return Ok(0);
    }
    let patch = Asset {
        url: delta.url.clone(),
        sha256: delta.sha256,
        size: Some(delta.size),
        bound: None,
        deltas: Vec::new(),
        ..asset.clone()
    };
    let of_patch = files.beside(&patch);
    let came = Download::new(http, options, &patch, &of_patch, &mut tell).once().run();
    let made = match came {
        Ok(_) => make(asset, (&base, &of_patch), (files, size), &mut tell),
        Err(e) => Err(e),
    };
    match made {
        Err(e) if e.kind() == ErrorKind::Cancelled => Err(e),
        // Whatever is wrong, the plain way has nothing to do with it.
        _ => Ok(received),
    }
}

/// The smallest delta whose base is on this disk, of those that are worth it.
fn choose<'a>(
    options: &HttpOptions,
    asset: &'a Asset,
    missing: u64,
    tell: &mut OnProgress<'_>,
) -> Result<Option<(BaseFile, &'a AssetDelta)>, UpdateError> {
    let most = (missing / 4 * 3).saturating_sub(OVERHEAD).min(MAX_PATCH);
    let worth = |d: &&AssetDelta| d.size <= most;
    let mut best: Option<(BaseFile, &AssetDelta)> = None;
    if !asset.deltas.iter().any(|d| worth(&d)) {
        return Ok(None);
    }
    for path in &options.bases {
        let mut hasher = Sha256::new();
        let opened = BaseFile::measured(path, |part| {
            hasher.update(part);
            if tell(Progress::default()) { Ok(()) } else { Err(cancelled()) }
        })?;
        let (Some(base), digest) = (opened, Digest32::from(hasher.finalize())) else { continue };
        let found =
            asset.deltas.iter().filter(worth).filter(|d| d.base_sha256 == digest).min_by_key(|d| d.size);
        if let Some(delta) = found.filter(|d| best.as_ref().is_none_or(|(_, b)| d.size < b.size)) {
            best = Some((base, delta));
        }
    }
    Ok(best)
}

/// Makes the artifact of the base and the patch that was downloaded.
fn make(
    asset: &Asset,
    (base, of_patch): (&BaseFile, &Files),
    (files, size): (&Files, u64),
    tell: &mut OnProgress<'_>,
) -> Result<(), UpdateError> {
    let bad = |what: &'static str| UpdateError::new(ErrorKind::Integrity, what);
    let patch = read_bounded(&of_patch.build(), MAX_PATCH).ok().flatten();
    let patch = patch.ok_or(bad("the patch cannot be read"))?;
    if bosc_delta::inspect(&patch).ok().map(|said| said.new_len) != Some(size) {
        return Err(bad("the patch is for another file"));
    }
    let path = files.made();
    let file = bosc_files::open_private(&path).map_err(|e| bad("no file can be made").because(e))?;
    let mut out = Made { file, hasher: Sha256::new(), left: size, asked: size, tell, stopped: false };
    // Whatever is there in spite of the removal.
    let begun = out.file.set_len(0);
    let applied = begun.is_ok() && bosc_delta::apply(base, &patch, &mut out).is_ok();
    let Made { file, hasher, left, stopped, .. } = out;
    let proved = applied && left == 0 && Digest32::from(hasher.finalize()) == asset.sha256;
    let build = files.build();
    let whole = proved && file.sync_all().is_ok();
    // Windows renames no open file.
    drop(file);
    let name = build.file_name().unwrap_or_default();
    let done = whole && bosc_files::rename_beside(&path, name, Durability::Disk).is_ok();
    // What is not needed any more.
    for path in if done { [files.part(), files.meta()] } else { [path.clone(), path] } {
        let _ = std::fs::remove_file(path);
    }
    match (done, stopped) {
        (true, _) => Ok(()),
        (false, true) => Err(cancelled()),
        (false, false) => Err(bad("the patch does not make the artifact")),
    }
}

/// What is made: no longer than it may be, hashed, and asking now and then whether it is wanted.
struct Made<'a, 'b> {
    file: File,
    hasher: Sha256,
    left: u64,
    /// What was left when it was last asked.
    asked: u64,
    tell: &'a mut OnProgress<'b>,
    stopped: bool,
}

impl Write for Made<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(bytes.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.left = left;
        if self.asked - left >= LOOK {
            self.asked = left;
            if !(self.tell)(Progress::default()) {
                self.stopped = true;
                return Err(io::Error::other("cancelled"));
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
