//! Drive against folder: what to write, link, and remove.

use super::actions::{DumpContext, DumpOptions, DumpPlan, WriteAction, WriteKind};
use super::check::{check_link, no_nesting, place};
use super::prune::Search;
use super::request::DumpError;
use super::root::{Root, Way};
use super::scope::Scope;
use crate::folder::diff::DiffCount;
use bosc_drive::BlockSource;
use bosc_drive::blobs::{MAX_MAP_BLOCKS, load_map};
use bosc_drive::drive::DriveEntry;
use bosc_files::{Dir, Meta};
use bosc_format::crypto::{Hash, leaf_hash};
use std::io::{ErrorKind, Read};

/// Largest block compared by hash, in bytes.
const MAX_BLOCK: u64 = 16 * 1024 * 1024;

/// Compares `entries` (all of the drive, or all below [`DumpOptions::below`], in the order of their keys) with the folder
/// `root`.
///
/// `blobs` is asked for block maps only. `leaf` gives the leaf hash of a block of the blobs core where it is known
/// without the block; files of equal size whose leaves are all known are compared by hash here and now, others become
/// [`WriteKind::Compare`].
pub fn plan<S: BlockSource>(
    root: &Root,
    entries: &[DriveEntry],
    blobs: &S,
    leaf: impl Fn(u64) -> Option<Hash>,
    options: &DumpOptions,
) -> Result<DumpPlan, DumpError> {
    let scope = Scope::new(&options.below, &options.only)?.of_drive(&options.only, entries)?;
    let taken: Vec<DriveEntry> = entries.iter().filter(|e| scope.takes(&e.key)).cloned().collect();
    no_nesting(entries)?;
    let missing = missing_maps(&taken, blobs);
    if !missing.is_empty() {
        return Err(DumpError::Missing(missing));
    }
    if !options.force && root.is_used()? {
        return Err(DumpError::NotEmpty(root.shown("")));
    }
    let mut plan = DumpPlan {
        context: DumpContext {
            root: root.clone(),
            dry_run: options.dry_run,
            fsync: options.fsync,
            may_remove: !options.keep_missing,
            scope,
        },
        writes: Vec::new(),
        removals: Vec::new(),
        respelled: Vec::new(),
        count: DiffCount::default(),
    };
    if !options.keep_missing {
        let found = Search::new(root, entries, &plan.context.scope).run()?;
        (plan.removals, plan.respelled) = found;
    }
    let (links, files): (Vec<_>, Vec<_>) = taken.iter().partition(|e| e.value.linkname.is_some());
    for entry in files.into_iter().chain(links) {
        plan.count.files += 1;
        let action = compare(&plan.context, entry, blobs, &leaf)?;
        plan.writes.extend(action);
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

/// What is at a key now, with its folder, and whether it can be replaced by a file or link.
fn look(context: &DumpContext, key: &str) -> Result<Option<(std::sync::Arc<Dir>, Meta)>, DumpError> {
    let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
    let root = &context.root;
    let dir = match root.way(folder)? {
        Way::Open(dir) => dir,
        Way::Missing => return Ok(None),
        Way::Blocked(at) if context.removable().is_some_and(|s| s.takes(&at)) => return Ok(None),
        Way::Blocked(at) => return Err(DumpError::Blocked(root.shown(&at))),
    };
    let io = |e| DumpError::io(&root.shown(key))(e);
    let meta = match dir.metadata(name) {
        Ok(meta) => meta,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io(e)),
    };
    // One that holds a file is moved aside, which needs leave to remove it.
    if meta.is_folder() && !context.may_remove && dir.open_dir(name).and_then(|d| d.has_file()).map_err(io)? {
        return Err(DumpError::Blocked(root.shown(key)));
    }
    Ok(Some((dir, meta)))
}

fn compare<S: BlockSource>(
    context: &DumpContext,
    entry: &DriveEntry,
    blobs: &S,
    leaf: &impl Fn(u64) -> Option<Hash>,
) -> Result<Option<WriteAction>, DumpError> {
    place(&entry.key)?;
    let path = context.root.shown(&entry.key);
    let name = entry.key.rsplit_once('/').map_or(entry.key.as_str(), |(_, name)| name);
    let there = look(context, &entry.key)?;
    let meta = there.as_ref().map(|(_, meta)| *meta);
    let old_size = meta.filter(Meta::is_file).map_or(0, |m| m.len);
    let base = |kind, size, link| WriteAction {
        entry: entry.clone(),
        path: path.clone(),
        kind,
        size,
        old_size,
        link,
    };
    let add_or_change =
        if meta.as_ref().is_none_or(Meta::is_folder) { WriteKind::Add } else { WriteKind::Change };
    if let Some(linkname) = &entry.value.linkname {
        let refuse = |e: super::check::LinkError| DumpError::Unsafe {
            key: entry.key.clone(),
            why: e.why(),
            outside: true,
        };
        let text = check_link(&entry.key, linkname).map_err(refuse)?;
        let same = there.as_ref().filter(|(_, meta)| meta.is_link()).is_some_and(|(dir, _)| {
            dir.read_link(name).is_ok_and(|t| t.to_str().map(|t| t.replace('\\', "/")) == Some(text.clone()))
        });
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
    let Some((dir, meta)) = there.filter(|(_, meta)| meta.is_file()) else {
        return Ok(Some(base(add_or_change, size, None)));
    };
    if meta.len != size {
        return Ok(Some(base(WriteKind::Change, size, None)));
    }
    let known: Option<Vec<(u64, Hash)>> = match &refs {
        Some(refs) => refs.iter().map(|r| Some((r.byte_length, leaf(r.index)?))).collect(),
        // The sizes of plain blocks are known only with the blocks.
        None if size == 0 => Some(Vec::new()),
        None => None,
    };
    let equal = match &known {
        Some(known) => Some(equal_hashes(&dir, name, known)?),
        None => None,
    };
    let mode_differs = meta.executable().is_some_and(|e| e != entry.value.executable);
    Ok(match equal {
        Some(true) if mode_differs => Some(base(WriteKind::Mode, size, None)),
        Some(true) => None,
        Some(false) => Some(base(WriteKind::Change, size, None)),
        None => Some(base(WriteKind::Compare, size, None)),
    })
}

fn equal_hashes(dir: &Dir, name: &str, blocks: &[(u64, Hash)]) -> Result<bool, DumpError> {
    let path = &dir.path().join(name);
    let mut file = match dir.open_file(name) {
        Ok(file) => file,
        // Exchanged since it was looked at.
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => return Ok(false),
        Err(e) => return Err(DumpError::io(path)(e)),
    };
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
