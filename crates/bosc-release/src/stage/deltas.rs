//! Deltas beside the builds of a release: from the files that its readers may have to those that they will have.
//!
//! ```text
//! changed build ──┬─ its content before ─────────────┐
//!                 └─ bases of the deltas it had ─────┴─ the newest three ── make ── smaller than the new blocks? ── /by-delta
//! ```
//!
//! # Invariants
//!
//! 1. They become visible in the commit of the release they lead to, never before or after it.
//! 2. They depend on the drive and the folder alone: the same stage gives the same deltas on every machine.
//! 3. A delta leads to the present content of its file: when that changes or goes, all deltas to it go.
//! 4. Nothing rests on them. A base that is not here, or too large, or is not what its delta's name says, has no delta; a
//!    stage does not fail for one.
//! 5. Memory: the base, the file and what `bosc-delta` takes, one at a time, of files up to [`MAX_FILE`]; where the system says that it
//!    has less to give, there is no delta.

use super::compare::Old;
use super::entries::EntryList;
use super::error::StageError;
use super::news::StageNews;
use super::target::{StageTarget, TargetError};
use super::writer::ContentWriter;
use crate::command::Stop;
use crate::delta::{self, NotMade};
use crate::folder::scan::{FileList, FileStat, LocalFile, LocalKind};
use crate::versions::command::said;
use bosc_drive::blobs::BlobId;
use bosc_drive::chunker::ChunkBuffer;
use bosc_drive::deltas::{self, AboutDelta};
use bosc_drive::drive::{DriveEntry, EntryValue};
use bosc_files::open_plain;
use bosc_format::crypto::{hash, leaf_hash};
use bytes::Bytes;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::Read;
use std::sync::Arc;

/// Most bases of one file.
pub(super) const MAX_BASES: usize = 3;

/// Longest file that gets deltas, in bytes.
pub(super) const MAX_FILE: u64 = 512 << 20;

/// Fewer new bytes than this are not worth a delta: its entry, its proof and its round trip cost more.
const WORTH: u64 = 32 << 10;

/// Longest package.json read for the version before, in bytes.
const MAX_PACKAGE: u64 = 1 << 20;

/// A file of a build whose content changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChangedBuild {
    /// Its place in the list of files.
    pub(super) at: usize,
    /// Bytes of it that were not in the drive.
    pub(super) new_bytes: u64,
}

impl ChangedBuild {
    /// Whether a file of this key and size may have deltas.
    pub(super) fn is_one(key: &str, size: u64, new_bytes: u64) -> bool {
        deltas::folder_of(key).is_some() && new_bytes >= WORTH && size <= MAX_FILE
    }
}

/// What a reader of a file may have.
#[derive(Debug, Clone)]
struct Base {
    about: AboutDelta,
    blob: BlobId,
    /// Its hash, if a delta of it was named by one.
    named: Option<[u8; 32]>,
}

/// Deltas of the drive that lead to what one of these files held before.
pub(super) fn stale(entries: &EntryList<'_>, gone: &BTreeSet<&str>) -> Vec<DriveEntry> {
    match gone.is_empty() {
        true => Vec::new(),
        false => entries.select_beside_files(|key| {
            deltas::parse(key).is_some_and(|(file, _)| gone.contains(file.as_str()))
        }),
    }
}

/// Makes the deltas of what changed, of a release with this version, and appends them to the blobs. Gives their entries, by key.
pub(super) fn make<T: StageTarget>(
    content: &mut ContentWriter<'_, T>,
    (files, entries, removed): (&FileList, &EntryList<'_>, &[DriveEntry]),
    changed: &[ChangedBuild],
    (version, stop): (Option<&str>, &Stop),
    on: &mut dyn FnMut(StageNews),
) -> Result<Vec<(String, EntryValue)>, StageError> {
    let mut puts = Vec::new();
    if changed.is_empty() {
        return Ok(puts);
    }
    let before = version_before(content.target, entries)?;
    let known = known(entries);
    for build in changed {
        let Some(file) = files.get(build.at).map(|f| f.to_local(files)) else { continue };
        let was = was(entries, removed, &file.key);
        let bases = bases(was, &known, before.as_deref(), version);
        let LocalKind::File { stat, .. } = &file.kind else { continue };
        if bases.is_empty() || delta::has_memory(delta::memory(stat.size, stat.size)).is_err() {
            continue;
        }
        let Some(new) = read_unchanged(&file, stat).map(Arc::new) else { continue };
        let mut made = BTreeSet::from([hash(&[&new])]);
        for base in bases {
            if stop.is_stopped() {
                return Err(StageError::Stopped);
            }
            let Some(old) = read_blob(content.target, base.blob, MAX_FILE)? else { continue };
            let name = hash(&[&old]);
            if base.named.is_some_and(|named| named != name) || !made.insert(name) {
                continue;
            }
            if !alike(&old, &new) {
                continue;
            }
            let Some(patch) = patch(old, &new, stop)? else { continue };
            let size = patch.len() as u64;
            let Some(key) = deltas::key_of(&file.key, &name).filter(|_| size < build.new_bytes / 4 * 3)
            else {
                continue;
            };
            on(StageNews::Delta {
                key: file.key.clone(),
                from: base.about.from.clone(),
                size,
                whole: build.new_bytes,
            });
            let metadata = AboutDelta { size: Some(size), ..base.about }.to_metadata();
            puts.push((key, EntryValue { metadata, ..append(content, patch.into())? }));
        }
    }
    content.flush(None)?;
    puts.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(puts)
}

/// The version of the release that the drive holds before this one.
fn version_before<T: StageTarget>(target: &T, entries: &EntryList<'_>) -> Result<Option<String>, StageError> {
    let Some(blob) = entries.find("/package.json").and_then(|e| e.value.blob) else { return Ok(None) };
    let Some(text) = read_blob(target, blob, MAX_PACKAGE)? else { return Ok(None) };
    Ok(serde_json::from_slice(&text).ok().and_then(|json| said(&json).version))
}

/// The deltas of the drive, by the file they lead to, from the newest base to the oldest.
fn known(entries: &EntryList<'_>) -> BTreeMap<String, Vec<Base>> {
    let mut out: BTreeMap<String, Vec<Base>> = BTreeMap::new();
    for entry in entries.select_beside_files(deltas::holds) {
        let Some((file, name)) = deltas::parse(&entry.key) else { continue };
        let about = AboutDelta::of_metadata(&entry.value.metadata);
        if let Some(blob) = about.blob {
            out.entry(file).or_default().push(Base { about, blob, named: Some(name) });
        }
    }
    // Content that came later lies further behind.
    out.values_mut().for_each(|bases| bases.sort_by_key(|b| Reverse(b.blob.block_offset)));
    out
}

/// The key and content that a file had before: its own, or those of a file of such a name in its folder that goes with this stage.
fn was(entries: &EntryList<'_>, removed: &[DriveEntry], key: &str) -> Option<(String, BlobId)> {
    if let Some(entry) = entries.find(key) {
        return Some((key.to_owned(), entry.value.blob?));
    }
    let (folder, name) = key.rsplit_once('/')?;
    let alike = removed.iter().filter(|entry| {
        entry.key.rsplit_once('/').is_some_and(|(f, n)| f == folder && deltas::are_alike(n, name))
    });
    let entry = alike.max_by(|a, b| a.key.cmp(&b.key))?;
    Some((entry.key.clone(), entry.value.blob?))
}

/// What a reader of a file with this content before may have, from new to old.
fn bases(
    was: Option<(String, BlobId)>,
    known: &BTreeMap<String, Vec<Base>>,
    before: Option<&str>,
    version: Option<&str>,
) -> Vec<Base> {
    let again = before.is_some() && before == version;
    let Some((key, blob)) = was else { return Vec::new() };
    let present = (!again).then(|| {
        let about = AboutDelta { size: None, from: before.map(str::to_owned), blob: Some(blob) };
        Base { about, blob, named: None }
    });
    // Of a version that was staged more than once, only the last counts.
    let older = known.get(&key).into_iter().flatten();
    let older = older.filter(|b| b.about.from.is_none() || b.about.from.as_deref() != before);
    // Whoever stages a version again and again waits for one of them only.
    let most = if again { 1 } else { MAX_BASES };
    present.into_iter().chain(older.cloned()).take(most).collect()
}

/// Bytes that a sample of a file has, how many samples are looked for, and one in how many has to be in the base.
const SAMPLE: usize = 16;
const SAMPLES: usize = 2048;
const ONE_IN: usize = 32;

/// Whether a file has so much of its base that a patch may be worth its making: of files that have nothing in common, that takes
/// longest. One pass over the base.
fn alike(base: &[u8], file: &[u8]) -> bool {
    let step = (file.len() / SAMPLES).max(SAMPLE);
    // Bytes that are all the same are in every file.
    let wanted: HashSet<&[u8]> = (0..file.len())
        .step_by(step)
        .filter_map(|at| file.get(at..at.checked_add(SAMPLE)?))
        .filter(|sample| sample.iter().any(|b| Some(b) != sample.first()))
        .collect();
    let mut starts = vec![false; 1 << 16];
    let start_of = |window: &[u8]| match window {
        [a, b, ..] => usize::from(u16::from_le_bytes([*a, *b])),
        _ => 0,
    };
    for sample in &wanted {
        if let Some(start) = starts.get_mut(start_of(sample)) {
            *start = true;
        }
    }
    let enough = wanted.len().div_ceil(ONE_IN);
    let mut found = HashSet::new();
    for window in base.windows(SAMPLE) {
        let is_sample = starts.get(start_of(window)).is_some_and(|s| *s) && wanted.contains(window);
        if is_sample && found.insert(window) && found.len() >= enough {
            return true;
        }
    }
    wanted.is_empty()
}

/// A file that is still what it was when it was found.
fn read_unchanged(file: &LocalFile, stat: &FileStat) -> Option<Vec<u8>> {
    let size = usize::try_from(stat.size).ok().filter(|_| stat.size <= MAX_FILE)?;
    let opened = open_plain(&file.path).ok()?;
    let mut bytes = Vec::with_capacity(size.saturating_add(1));
    (&opened).take(stat.size.saturating_add(1)).read_to_end(&mut bytes).ok()?;
    let now = FileStat::new(&opened.metadata().ok()?);
    (bytes.len() == size && now.same_times(stat)).then_some(bytes)
}

/// Content of the committed drive; `None` when it is not here, or longer than `limit`.
fn read_blob<T: StageTarget>(target: &T, blob: BlobId, limit: u64) -> Result<Option<Vec<u8>>, StageError> {
    let entry = DriveEntry { seq: 0, key: String::new(), value: EntryValue::file(blob, false) };
    let Some(old) = Old::load(target, &entry)?.filter(|o| o.size <= limit) else { return Ok(None) };
    let mut out = Vec::with_capacity(usize::try_from(old.size).unwrap_or_default());
    for block in &old.blocks {
        match target.blob_block(block.index) {
            Ok(bytes) => out.extend_from_slice(&bytes),
            Err(TargetError::Missing(_)) => return Ok(None),
            Err(e) => return Err(e.into()),
        }
    }
    Ok(Some(out))
}

/// The patch; `None` when there is none.
fn patch(old: Vec<u8>, new: &Arc<Vec<u8>>, stop: &Stop) -> Result<Option<Vec<u8>>, StageError> {
    match delta::patch(&Arc::new(old), new, stop, &mut |_| {}) {
        Ok(patch) => Ok(Some(patch)),
        Err(NotMade::Stopped) => Err(StageError::Stopped),
        Err(NotMade::Thread(e)) => Err(StageError::Thread(e)),
        Err(NotMade::Failed(_) | NotMade::Lost) => Ok(None),
    }
}

/// Appends a patch to the blobs, cut as any file.
fn append<T: StageTarget>(
    content: &mut ContentWriter<'_, T>,
    patch: Bytes,
) -> Result<EntryValue, StageError> {
    let mut map = content.start();
    let mut chunks = ChunkBuffer::new();
    chunks.buffer().extend_from_slice(&patch);
    while let Some(chunk) = chunks.next_chunk().or_else(|| chunks.finish()) {
        let hash = leaf_hash(&chunk);
        content.place(&mut map, None, chunk, hash, None)?;
    }
    let (id, _) = content.finish(map)?;
    Ok(EntryValue::file(id, false))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn files_are_alike_when_some_of_one_is_in_the_other() {
        let noise = |seed: u64, len: usize| -> Vec<u8> {
            let mut s = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let next = || {
                s ^= s << 13;
                s ^= s >> 7;
                s ^= s << 17;
                (s >> 32) as u8
            };
            std::iter::repeat_with(next).take(len).collect()
        };
        let (a, b) = (noise(1, 300_000), noise(2, 300_000));
        assert!(!alike(&a, &b));
        // Moved by one byte, changed every hundred bytes; a tenth of it at another place; nothing but zeros.
        let mut moved = [&[0][..], &a].concat();
        moved.iter_mut().step_by(100).for_each(|byte| *byte = byte.wrapping_add(1));
        assert!(alike(&a, &moved));
        assert!(alike(&a, &[&b[..], &a[..30_000]].concat()));
        assert!(alike(&a, &[0; 100_000]));
        assert!(!alike(&[], &a) && alike(&a, &[]));
    }
}
