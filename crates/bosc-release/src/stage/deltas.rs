//! Deltas beside the builds of a release: from the files that its readers may have to those that they will have.
//!
//! ```text
//! changed build ──┬─ its content before ─────────────┐
//!                 ├─ bases of the deltas it had ─────┴─ the newest three ── make ── smaller than the new blocks? ──┬─ /by-delta
//!                 ├─ deltas it had from what is older: hops, while three patches at most lead from there to it ────┤
//!                 └─ nothing ── does it pack? ── make ── three quarters of the file at most? ──────────────────────┘
//! ```
//!
//! # Invariants
//!
//! 1. They become visible in the commit of the release they lead to, never before or after it.
//! 2. They depend on the drive and the folder alone: the same stage gives the same deltas on every machine.
//! 3. A delta leads to the present content of its file, and a hop to where one starts: when that changes or goes, all go that do not
//!    lead there any more. What a hop needs is in the drive already: no patch is kept twice.
//!    A stage under the version that the drive has already packs nothing whole.
//! 4. Nothing rests on them. A base that is not here, or too large, or is not what its delta's name says, has no delta; a
//!    stage does not fail for one.
//! 5. Memory: the base, the file and what `bosc-delta` takes, one delta and one packed copy at a time, of files up to [`MAX_FILE`]; where the system says that it
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
use bosc_drive::deltas::{self, AboutDelta, Leg, NOTHING, routes};
use bosc_drive::drive::{DriveEntry, EntryValue};
use bosc_files::open_plain;
use bosc_format::crypto::{hash, leaf_hash};
use bytes::Bytes;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::Read;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Most bases of one file.
pub(super) const MAX_BASES: usize = 3;

/// Longest file that gets deltas, in bytes.
pub(super) const MAX_FILE: u64 = 512 << 20;

/// Fewer new bytes than this are not worth a delta: its entry, its proof and its round trip cost more.
const WORTH: u64 = 32 << 10;

/// Shorter files are not packed whole, in bytes: what a first install saves by it is less than what it asks for beside it.
const WORTH_WHOLE: usize = 128 << 10;

/// Packing a file of so many bytes is told beforehand: it takes a second for some 2 MB.
const TAKES_A_WHILE: u64 = 8 << 20;

/// Longest packed file that is kept, in bytes: a client holds it in memory.
const MAX_WHOLE: usize = 64 << 20;

/// Memory that packing takes, in bytes: what LZMA looks back in, and its tables.
const PACKING_TAKES: u64 = 512 << 20;

/// Most hops of a file: with three bases and chains of three, those that the nine releases before need.
const MAX_HOPS: usize = 6;

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
    /// Whether a file of this key and size may have deltas, or a packed copy.
    pub(super) fn is_one(key: &str, size: u64, new_bytes: u64) -> bool {
        let is_large = new_bytes >= WORTH || size >= WORTH_WHOLE as u64;
        deltas::folder_of(key).is_some() && is_large && size <= MAX_FILE
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

/// A patch that the drive has.
#[derive(Debug, Clone)]
struct Had {
    key: String,
    base: [u8; 32],
    /// What it makes; none if that is the file.
    result: Option<[u8; 32]>,
    about: AboutDelta,
    value: EntryValue,
}

/// What was made, and what stays.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Entries, by key.
    pub(super) puts: Vec<(String, EntryValue)>,
    /// Keys of hops that are there and still lead to their file.
    pub(super) kept: BTreeSet<String>,
}

/// Deltas of the drive that were for what one of these files held before, but those that are kept.
pub(super) fn stale(entries: &EntryList<'_>, gone: &BTreeSet<&str>, made: &Made) -> Vec<DriveEntry> {
    match gone.is_empty() {
        true => Vec::new(),
        false => entries.select_beside_files(|key| {
            let of = deltas::file_of(key);
            of.is_some_and(|file| gone.contains(file.as_str())) && !made.kept.contains(key)
        }),
    }
}

/// Makes the deltas of what changed, of a release with this version, and appends them to the blobs.
pub(super) fn make<T: StageTarget>(
    content: &mut ContentWriter<'_, T>,
    (files, entries, removed): (&FileList, &EntryList<'_>, &[DriveEntry]),
    changed: &[ChangedBuild],
    (version, no_packed, stop): (Option<&str>, bool, &Stop),
    on: &mut dyn FnMut(StageNews),
) -> Result<Made, StageError> {
    let mut out = Made::default();
    if changed.is_empty() {
        return Ok(out);
    }
    let before = version_before(content.target, entries)?;
    let packs = !no_packed && (version.is_none() || before.as_deref() != version);
    let had = had(entries);
    for build in changed {
        let Some(file) = files.get(build.at).map(|f| f.to_local(files)) else { continue };
        let LocalKind::File { stat, .. } = &file.kind else { continue };
        let was = was(entries, removed, &file.key);
        let had = was.as_ref().and_then(|(key, _)| had.get(key)).map_or(&[][..], Vec::as_slice);
        let bases = match build.new_bytes >= WORTH {
            true => bases(was, had, before.as_deref(), version),
            false => Vec::new(),
        };
        let takes = delta::memory(stat.size, stat.size).saturating_add(PACKING_TAKES);
        if delta::has_memory(takes).is_err() {
            continue;
        }
        let Some(new) = read_unchanged(&file, stat).map(Arc::new) else { continue };
        // Who stages one version again and again waits for no copy that nobody installs.
        let packing = if packs { Packing::begin(&new, stop)? } else { None };
        if packing.is_some() && stat.size >= TAKES_A_WHILE {
            on(StageNews::Packing { key: file.key.clone(), size: stat.size });
        }
        let mut seen = BTreeSet::from([hash(&[&new]), NOTHING]);
        let (mut present, mut legs) = (None, Vec::new());
        for base in bases {
            if stop.is_stopped() {
                return Err(StageError::Stopped);
            }
            let Some(old) = read_blob(content.target, base.blob, MAX_FILE)? else { continue };
            let name = hash(&[&old]);
            if base.named.is_some_and(|named| named != name) || !seen.insert(name) {
                continue;
            }
            if base.named.is_none() {
                present = Some(name);
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
            out.puts.push((key, EntryValue { metadata, ..append(content, patch.into())? }));
            legs.push(Leg { base: name, result: None, size, patch: None });
        }
        hops(&file.key, had, present, legs, &mut out);
        let Some(packed) = packing.map(Packing::end).transpose()?.flatten() else { continue };
        let (size, Some(key)) = (packed.len() as u64, deltas::key_of(&file.key, &NOTHING)) else { continue };
        if packed.len() <= new.len() / 4 * 3 && packed.len() <= MAX_WHOLE {
            on(StageNews::Packed { key: file.key.clone(), size, whole: stat.size });
            let metadata = AboutDelta { size: Some(size), ..AboutDelta::default() }.to_metadata();
            out.puts.push((key, EntryValue { metadata, ..append(content, packed.into())? }));
        }
    }
    content.flush(None)?;
    out.puts.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(out)
}

/// Keeps of what a file had the patches that lead, with others, from where no delta starts to where one does.
fn hops<'h>(
    file: &str,
    had: &'h [Had],
    present: Option<[u8; 32]>,
    mut legs: Vec<Leg<Option<&'h Had>>>,
    out: &mut Made,
) {
    let reached: BTreeSet<[u8; 32]> = legs.iter().map(|leg| leg.base).collect();
    let mut older: Vec<Leg<Option<&Had>>> = had
        .iter()
        .filter(|had| had.base != NOTHING && !reached.contains(&had.base))
        .filter_map(|had| {
            // What led to the content before leads to one of several now.
            let result = Some(had.result.or(present)?);
            Some(Leg { base: had.base, result, size: had.about.size?, patch: Some(had) })
        })
        .collect();
    older.sort_by_key(|leg| {
        let blob = leg.patch.and_then(|had| had.about.blob);
        (Reverse(blob.map(|b| b.block_offset)), leg.base)
    });
    older.truncate(MAX_HOPS);
    legs.extend(older);
    let ways = routes(&legs);
    let used: BTreeSet<usize> = ways.into_values().flat_map(|(_, at)| at).collect();
    for leg in used.into_iter().filter_map(|at| legs.get(at)) {
        let (Some(had), Some(result)) = (leg.patch, leg.result) else { continue };
        match deltas::hop_key_of(file, &leg.base, &result) {
            Some(key) if key == had.key => drop(out.kept.insert(key)),
            Some(key) => out.puts.push((key, had.value.clone())),
            None => {}
        }
    }
}

/// A file that is packed whole, while its deltas are made.
struct Packing(JoinHandle<Result<Option<Vec<u8>>, StageError>>);

impl Packing {
    fn begin(new: &Arc<Vec<u8>>, stop: &Stop) -> Result<Option<Self>, StageError> {
        if new.len() < WORTH_WHOLE || !packs(new) {
            return Ok(None);
        }
        let (new, stop) = (Arc::clone(new), stop.clone());
        let work = move || patch(Vec::new(), &new, &stop);
        let thread = std::thread::Builder::new().name("pack".into()).spawn(work);
        Ok(Some(Self(thread.map_err(StageError::Thread)?)))
    }

    fn end(self) -> Result<Option<Vec<u8>>, StageError> {
        self.0.join().unwrap_or(Ok(None))
    }
}

/// Whether it is worth trying to pack a file: in samples of it, bytes are not all as frequent as in one that is packed. Packing takes
/// a third of a second for a megabyte, this takes nothing.
fn packs(file: &[u8]) -> bool {
    let mut counts = [0u64; 256];
    let step = (file.len() / (64 << 10)).max(1);
    let mut seen = 0u64;
    for byte in file.iter().step_by(step) {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
            seen += 1;
        }
    }
    // Of equally frequent bytes, the sum of the squares is a 256th of the square of all.
    let squares: u64 = counts.iter().map(|c| c * c).sum();
    squares.saturating_mul(256) > seen.saturating_mul(seen) / 4 * 5
}

/// The version of the release that the drive holds before this one.
fn version_before<T: StageTarget>(target: &T, entries: &EntryList<'_>) -> Result<Option<String>, StageError> {
    let Some(blob) = entries.find("/package.json").and_then(|e| e.value.blob) else { return Ok(None) };
    let Some(text) = read_blob(target, blob, MAX_PACKAGE)? else { return Ok(None) };
    Ok(serde_json::from_slice(&text).ok().and_then(|json| said(&json).version))
}

/// The patches of the drive, by the file they are for, from the newest base to the oldest.
fn had(entries: &EntryList<'_>) -> BTreeMap<String, Vec<Had>> {
    let mut out: BTreeMap<String, Vec<Had>> = BTreeMap::new();
    for entry in entries.select_beside_files(deltas::holds) {
        let (file, base, result) = match (deltas::parse(&entry.key), deltas::parse_hop(&entry.key)) {
            (Some((file, base)), _) => (file, base, None),
            (_, Some((file, base, result))) => (file, base, Some(result)),
            _ => continue,
        };
        let about = AboutDelta::of_metadata(&entry.value.metadata);
        out.entry(file).or_default().push(Had { key: entry.key, base, result, about, value: entry.value });
    }
    // Content that came later lies further behind.
    out.values_mut().for_each(|had| had.sort_by_key(|h| Reverse(h.about.blob.map(|b| b.block_offset))));
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
    had: &[Had],
    before: Option<&str>,
    version: Option<&str>,
) -> Vec<Base> {
    let again = before.is_some() && before == version;
    let Some((_, blob)) = was else { return Vec::new() };
    let present = (!again).then(|| {
        let about = AboutDelta { size: None, from: before.map(str::to_owned), blob: Some(blob) };
        Base { about, blob, named: None }
    });
    let older = had.iter().filter(|had| had.result.is_none());
    let older = older.filter_map(|had| {
        let blob = had.about.blob?;
        Some(Base { about: had.about.clone(), blob, named: Some(had.base) })
    });
    // Of a version that was staged more than once, only the last counts.
    let older = older.filter(|b| b.about.from.is_none() || b.about.from.as_deref() != before);
    // Whoever stages a version again and again waits for one of them only.
    let most = if again { 1 } else { MAX_BASES };
    present.into_iter().chain(older).take(most).collect()
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
