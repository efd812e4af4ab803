//! Drive against folder: what to remove, write, and link.

use super::DumpError;
use super::check::{check_link, no_nesting, place};
use super::write::FileWriter;
use crate::diff::{ByteDiff, DiffCount};
use crate::glob::Only;
use crate::scan::executable;
use bosc_drive::BlockSource;
use bosc_drive::blobs::{BlobId, MAX_MAP_BLOCKS, load_map};
use bosc_drive::drive::DriveEntry;
use bosc_format::crypto::{Hash, leaf_hash};
use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Largest block compared by hash, in bytes.
const MAX_BLOCK: u64 = 16 * 1024 * 1024;

/// How to dump.
#[derive(Debug, Clone, Default)]
pub struct DumpOptions {
    /// Files and folders of the drive to look at; empty for all.
    pub only: Vec<String>,
    /// Keep what is in the folder and not in the drive. Without it such files are removed, within `only`.
    pub keep_missing: bool,
    /// Overwrite a folder that is not empty.
    pub force: bool,
    /// Tell what would change, write nothing.
    pub dry_run: bool,
    /// Ask the disk to keep each file before it takes its place.
    pub fsync: bool,
}

/// What to do about a file of the drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteKind {
    /// The folder has no such file.
    Add,
    /// The folder's file differs.
    Change,
    /// The folder's file has the same size; only its bytes can tell.
    Compare,
    /// Only the executable bit differs; no bytes are needed.
    Mode,
}

/// A file or symlink to write.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteAction {
    /// The drive's entry.
    pub entry: DriveEntry,
    /// Where it goes.
    pub path: PathBuf,
    /// What is to do.
    pub kind: WriteKind,
    /// Its size in bytes; 0 for a symlink.
    pub size: u64,
    /// Size of what is on disk now.
    pub old_size: u64,
    /// The text of the symlink, when it is one.
    pub link: Option<String>,
}

impl WriteAction {
    /// The content to read and give to the writer; `None` when no bytes are needed.
    pub fn content(&self) -> Option<BlobId> {
        if self.link.is_some() || self.kind == WriteKind::Mode { None } else { self.entry.value.blob }
    }

    /// The diff of this action, as far as it is known before writing.
    pub fn diff(&self) -> Option<ByteDiff> {
        match self.kind {
            WriteKind::Add => Some(ByteDiff::add(&self.entry.key, self.size)),
            WriteKind::Change => Some(self.changed()),
            WriteKind::Compare => None,
            WriteKind::Mode => Some(ByteDiff::change(&self.entry.key, 0, 0)),
        }
    }

    pub(super) fn changed(&self) -> ByteDiff {
        ByteDiff::change(&self.entry.key, self.old_size, self.size)
    }
}

/// What the writers of a plan share.
#[derive(Debug, Clone)]
pub struct DumpContext {
    pub(super) root: PathBuf,
    pub(super) dry_run: bool,
    pub(super) fsync: bool,
    pub(super) may_remove: bool,
}

/// What to do, in order: removals, then writes, of which symlinks come last.
#[derive(Debug, Clone)]
pub struct DumpPlan {
    /// Shared by the writers.
    pub context: DumpContext,
    /// What the drive does not have, with diffs.
    pub removals: Vec<(PathBuf, ByteDiff)>,
    /// What to write.
    pub writes: Vec<WriteAction>,
    /// Files of the drive looked at; the rest of the count is complete once all is written.
    pub count: DiffCount,
}

/// Compares `entries` (all of the drive, or of a part of it, in the order of their keys) with the folder `root`.
///
/// `blobs` is asked for block maps only. `leaf` gives the leaf hash of a block of the blobs core where it is known
/// without the block; files of equal size whose leaves are all known are compared by hash here and now, others become
/// [`WriteKind::Compare`].
pub fn plan<S: BlockSource>(
    root: &Path,
    entries: &[DriveEntry],
    blobs: &S,
    leaf: impl Fn(u64) -> Option<Hash>,
    options: &DumpOptions,
) -> Result<DumpPlan, DumpError> {
    let root = std::path::absolute(root).map_err(DumpError::io(root))?;
    let only = Only::new(&options.only)?;
    let taken: Vec<DriveEntry> = entries.iter().filter(|e| only.takes(&e.key)).cloned().collect();
    no_nesting(entries)?;
    let missing = missing_maps(&taken, blobs);
    if !missing.is_empty() {
        return Err(DumpError::Missing(missing));
    }
    let exists = match fs::read_dir(&root) {
        Ok(mut items) => {
            if !options.force && items.next().is_some() {
                return Err(DumpError::NotEmpty(root));
            }
            true
        }
        Err(e) if e.kind() == ErrorKind::NotFound => false,
        Err(e) => return Err(DumpError::io(&root)(e)),
    };
    let mut plan = DumpPlan {
        context: DumpContext {
            root: root.clone(),
            dry_run: options.dry_run,
            fsync: options.fsync,
            may_remove: !options.keep_missing,
        },
        removals: Vec::new(),
        writes: Vec::new(),
        count: DiffCount::default(),
    };
    if exists && !options.keep_missing {
        let keys: HashSet<&str> = entries.iter().map(|e| e.key.as_str()).collect();
        find_removals(&root, "", &keys, &only, &mut plan.removals)?;
        plan.removals.sort_by(|a, b| a.1.key.cmp(&b.1.key));
    }
    let (links, files): (Vec<_>, Vec<_>) = taken.iter().partition(|e| e.value.linkname.is_some());
    for entry in files.into_iter().chain(links) {
        plan.count.files += 1;
        plan.writes.extend(compare(&root, entry, blobs, &leaf)?);
    }
    Ok(plan)
}

fn missing_maps<S: BlockSource>(entries: &[DriveEntry], blobs: &S) -> Vec<u64> {
    let maps = entries.iter().filter_map(|e| e.value.blob).filter(|b| b.block_map);
    let blocks = maps.flat_map(|b| {
        let end = b.block_offset.saturating_add(b.block_length.min(MAX_MAP_BLOCKS)).min(blobs.length());
        b.block_offset..end
    });
    let mut out: Vec<u64> = blocks.filter(|&i| !blobs.has(i)).collect();
    out.sort_unstable();
    out.dedup();
    out
}

/// Files below a folder that the drive does not have. Symlinks are not followed.
fn find_removals(
    folder: &Path,
    key: &str,
    keys: &HashSet<&str>,
    only: &Only,
    out: &mut Vec<(PathBuf, ByteDiff)>,
) -> Result<(), DumpError> {
    for item in fs::read_dir(folder).map_err(DumpError::io(folder))? {
        let item = item.map_err(DumpError::io(folder))?;
        let path = item.path();
        let key = format!("{key}/{}", item.file_name().to_string_lossy());
        let known = item.file_name().to_str().is_some() && keys.contains(key.as_str());
        let meta = fs::symlink_metadata(&path).map_err(DumpError::io(&path))?;
        if meta.is_dir() {
            // A folder where the drive has a file is emptied; it goes when the file is written.
            if only.may_take_below(&key) {
                find_removals(&path, &key, keys, only, out)?;
            }
        } else if !known && only.takes(&key) {
            let size = if meta.is_file() { meta.len() } else { 0 };
            out.push((path, ByteDiff::remove(key, size)));
        }
    }
    Ok(())
}

fn metadata(path: &Path) -> Result<Option<Metadata>, DumpError> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(meta)),
        // A file where a folder should be says "not a directory".
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(DumpError::io(path)(e)),
    }
}

/// Whether a folder on the way to `path` is a symlink: what lies behind is not ours.
fn behind_link(root: &Path, path: &Path) -> Result<bool, DumpError> {
    let above = path.ancestors().skip(1).take_while(|p| *p != root);
    for folder in above {
        if metadata(folder)?.is_some_and(|m| m.is_symlink()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn compare<S: BlockSource>(
    root: &Path,
    entry: &DriveEntry,
    blobs: &S,
    leaf: &impl Fn(u64) -> Option<Hash>,
) -> Result<Option<WriteAction>, DumpError> {
    let path = place(root, &entry.key)?;
    let meta = if behind_link(root, &path)? { None } else { metadata(&path)? };
    let old_size = meta.as_ref().filter(|m| m.is_file()).map_or(0, Metadata::len);
    let base = |kind, size, link| WriteAction {
        entry: entry.clone(),
        path: path.clone(),
        kind,
        size,
        old_size,
        link,
    };
    let add_or_change =
        if meta.as_ref().is_none_or(Metadata::is_dir) { WriteKind::Add } else { WriteKind::Change };
    if let Some(linkname) = &entry.value.linkname {
        let refuse = |e: super::LinkError| DumpError::Unsafe { key: entry.key.clone(), why: e.0 };
        let text = check_link(&entry.key, linkname).map_err(refuse)?;
        let same = meta.as_ref().is_some_and(Metadata::is_symlink)
            && fs::read_link(&path)
                .is_ok_and(|t| t.to_str().map(|t| t.replace('\\', "/")) == Some(text.clone()));
        return Ok((!same).then(|| base(add_or_change, 0, Some(text))));
    }
    let refs = match &entry.value.blob {
        Some(id) if id.block_map => Some(load_map(blobs, id)?),
        _ => None,
    };
    let size = match (&refs, &entry.value.blob) {
        (Some(refs), _) => refs.iter().fold(0u64, |n, r| n.saturating_add(r.byte_length)),
        (None, Some(id)) => id.byte_length,
        (None, None) => 0,
    };
    let Some(meta) = meta.filter(Metadata::is_file) else { return Ok(Some(base(add_or_change, size, None))) };
    if meta.len() != size {
        return Ok(Some(base(WriteKind::Change, size, None)));
    }
    let known: Option<Vec<(u64, Hash)>> = match &refs {
        Some(refs) => refs.iter().map(|r| Some((r.byte_length, leaf(r.index)?))).collect(),
        // The sizes of plain blocks are known only with the blocks.
        None if size == 0 => Some(Vec::new()),
        None => None,
    };
    let equal = match &known {
        Some(known) => Some(equal_hashes(&path, known)?),
        None => None,
    };
    let mode_differs = executable(&meta).is_some_and(|e| e != entry.value.executable);
    Ok(match equal {
        Some(true) if mode_differs => Some(base(WriteKind::Mode, size, None)),
        Some(true) => None,
        Some(false) => Some(base(WriteKind::Change, size, None)),
        None => Some(base(WriteKind::Compare, size, None)),
    })
}

fn equal_hashes(path: &Path, blocks: &[(u64, Hash)]) -> Result<bool, DumpError> {
    let mut file = File::open(path).map_err(DumpError::io(path))?;
    let mut buffer = Vec::new();
    for (size, hash) in blocks {
        if *size > MAX_BLOCK {
            return Ok(false);
        }
        buffer.clear();
        let n = file.by_ref().take(*size).read_to_end(&mut buffer).map_err(DumpError::io(path))?;
        if n as u64 != *size || leaf_hash(&buffer) != *hash {
            return Ok(false);
        }
    }
    Ok(true)
}

impl DumpPlan {
    /// Removes what the drive does not have, and folders that become empty; calls `on` for each file.
    pub fn remove(&mut self, on: &mut dyn FnMut(&ByteDiff)) -> Result<(), DumpError> {
        for (path, diff) in &self.removals {
            on(diff);
            self.count.count(diff);
            if self.context.dry_run {
                continue;
            }
            fs::remove_file(path).map_err(DumpError::io(path))?;
            let mut folder = path.parent();
            while let Some(above) = folder.filter(|f| *f != self.context.root) {
                // Fails when something is left in it, which is how far this goes.
                if fs::remove_dir(above).is_err() {
                    break;
                }
                folder = above.parent();
            }
        }
        Ok(())
    }

    /// A writer for one of the actions.
    pub fn open(&self, action: &WriteAction) -> Result<FileWriter, DumpError> {
        FileWriter::open(&self.context, action)
    }
}
