//! Builds on disk: reading, comparing, copying, syncing and removing them.

use super::errors::{At, integrity, io_error};
use super::fs::Owner;
use super::fs::{self, CHUNK};
use crate::error::UpdateError;
use crate::release::{Contents, Entry, EntryKind};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Entries that a build may have.
pub const MAX_ENTRIES: usize = 200_000;
/// Folders inside each other that a build may have.
pub const MAX_DEPTH: usize = 64;
/// Bytes of a path inside a build.
pub const MAX_PATH: usize = 4096;

/// Bytes that are read of an installed build to recognise it again; above that its identity has to do.
const MAX_KNOWN: u64 = 4 << 30;

/// Whether a path inside a build is one: parts joined by `/`, none of them empty, `.` or `..`, no drive, no zero byte.
pub(crate) fn is_inner_path(path: &str) -> bool {
    path.len() <= MAX_PATH
        && path.split('/').count() <= MAX_DEPTH
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !path.contains('\0')
        && !(cfg!(windows) && path.contains(['\\', ':']))
}

/// Whether a link at `path` that points at `target` stays inside the build.
pub(crate) fn link_stays(path: &str, target: &str) -> bool {
    target.len() <= MAX_PATH && bosc_names::check_link(path, target, bosc_names::Target::Archive).is_ok()
}

/// The disk's path of an entry.
pub(crate) fn disk_path(root: &Path, inner: &str) -> PathBuf {
    if inner.is_empty() {
        root.to_owned()
    } else {
        inner.split('/').fold(root.to_owned(), |at, part| at.join(part))
    }
}

/// What lies on a disk, before its bytes are read.
struct Found {
    inner: String,
    kind: FoundKind,
}

enum FoundKind {
    Directory,
    File { size: u64, executable: bool },
    Symlink { target: String },
}

fn executable(mode: u32) -> bool {
    mode & 0o111 != 0
}

/// Everything under `root`, sorted by path. Refuses what a build cannot hold.
fn walk(root: &Path) -> Result<Vec<Found>, UpdateError> {
    let mut found = Vec::new();
    let mut open = vec![String::new()];
    while let Some(inner) = open.pop() {
        let path = disk_path(root, &inner);
        let meta = fs::look(&path).at("look at", &path)?;
        let Some(meta) = meta else { return Err(integrity(format!("{} is missing", path.display()))) };
        let kind = if meta.is_dir() {
            let names = fs::names(&path, MAX_ENTRIES).at("list", &path)?;
            for name in names {
                let Some(name) = name.to_str() else {
                    return Err(integrity(format!("{} holds a name that is not UTF-8", path.display())));
                };
                let below = if inner.is_empty() { name.to_owned() } else { format!("{inner}/{name}") };
                if !is_inner_path(&below) {
                    return Err(integrity(format!("{below:?} is not a path that a build can hold")));
                }
                open.push(below);
            }
            FoundKind::Directory
        } else if meta.is_file() {
            FoundKind::File { size: meta.len(), executable: executable(fs::mode_of(&meta)) }
        } else if meta.file_type().is_symlink() {
            let target = fs::link_target(&path).at("read the link", &path)?;
            let target =
                target.to_str().map(|t| if cfg!(windows) { t.replace('\\', "/") } else { t.to_owned() });
            match target {
                Some(target) if link_stays(&inner, &target) && !inner.is_empty() => {
                    FoundKind::Symlink { target }
                }
                _ => return Err(integrity(format!("the link {} leaves the build", path.display()))),
            }
        } else {
            return Err(integrity(format!("{} is neither file, folder nor link", path.display())));
        };
        found.push(Found { inner, kind });
        if found.len() + open.len() > MAX_ENTRIES {
            return Err(integrity(format!("{} holds more than {MAX_ENTRIES} entries", root.display())));
        }
    }
    found.sort_by(|a, b| a.inner.cmp(&b.inner));
    Ok(found)
}

/// SHA-256 of a file and how many bytes it had. Reads at most one byte more than `limit`.
fn digest(path: &Path, limit: u64) -> Result<(u64, [u8; 32]), UpdateError> {
    let mut file = fs::open(path).at("open", path)?;
    let mut sha = Sha256::new();
    let mut size = 0u64;
    let mut buf = vec![0u8; CHUNK];
    loop {
        let n = file.read(&mut buf).at("read", path)?;
        if n == 0 {
            return Ok((size, sha.finalize().into()));
        }
        sha.update(buf.get(..n).unwrap_or_default());
        size = size.saturating_add(n as u64);
        if size > limit {
            return Ok((size, sha.finalize().into()));
        }
    }
}

/// Reads a build and says what it consists of.
///
/// # Errors
/// `Integrity` for things a build cannot hold (devices, links that leave it, names that are not UTF-8, more than
/// [`MAX_ENTRIES`] entries), `Disk`.
pub fn contents_of(path: &Path) -> Result<Contents, UpdateError> {
    read_all(path, walk(path)?)
}

/// The fingerprint of an installed build; `None` for one that cannot be read in full, holds what no release can, or has
/// more than [`MAX_KNOWN`] bytes: people keep things beside programs.
pub(crate) fn known_fingerprint(path: &Path) -> Option<[u8; 32]> {
    let found = walk(path).ok()?;
    let bytes = found.iter().fold(0u64, |sum, found| match found.kind {
        FoundKind::File { size, .. } => sum.saturating_add(size),
        _ => sum,
    });
    if bytes > MAX_KNOWN {
        return None;
    }
    read_all(path, found).ok().map(|contents| fingerprint(&contents))
}

fn read_all(path: &Path, found: Vec<Found>) -> Result<Contents, UpdateError> {
    let mut entries = Vec::new();
    for Found { inner, kind } in found {
        let kind = match kind {
            FoundKind::Directory => EntryKind::Directory,
            FoundKind::Symlink { target } => EntryKind::Symlink { target },
            FoundKind::File { executable, .. } => {
                let (size, sha256) = digest(&disk_path(path, &inner), u64::MAX)?;
                EntryKind::File { size, sha256, executable }
            }
        };
        entries.push(Entry { path: inner, kind });
    }
    Ok(Contents { entries })
}

/// Compares a build on disk with what it must be, every byte; nothing may be missing and nothing may be more. Whether a
/// build that is one file may be executed is not compared: the installer makes it so.
///
/// # Errors
/// `Integrity` with the first difference, `Disk`.
pub fn verify(path: &Path, contents: &Contents) -> Result<(), UpdateError> {
    check_contents(contents)?;
    let expected: BTreeMap<&str, &EntryKind> =
        contents.entries.iter().map(|e| (e.path.as_str(), &e.kind)).collect();
    let found = walk(path)?;
    for Found { inner, .. } in &found {
        if !expected.contains_key(inner.as_str()) {
            return Err(integrity(format!("{inner:?} is not part of the release")));
        }
    }
    let found: BTreeMap<&str, &FoundKind> = found.iter().map(|f| (f.inner.as_str(), &f.kind)).collect();
    for (inner, kind) in expected {
        let matches = match (kind, found.get(inner)) {
            (EntryKind::Directory, Some(FoundKind::Directory)) => true,
            (EntryKind::Symlink { target }, Some(FoundKind::Symlink { target: there })) => target == there,
            (
                EntryKind::File { size, sha256, executable },
                Some(FoundKind::File { size: there, executable: bit }),
            ) => {
                size == there
                    && (executable == bit || inner.is_empty() || cfg!(not(unix)))
                    && digest(&disk_path(path, inner), *size)? == (*size, *sha256)
            }
            (_, None) => return Err(integrity(format!("{inner:?} of the release is missing"))),
            _ => false,
        };
        if !matches {
            return Err(integrity(format!("{inner:?} does not match the verified release")));
        }
    }
    Ok(())
}

/// Whether a description of a build is one that can be installed: bounds, paths, links, every folder before what is in it.
pub(crate) fn check_contents(contents: &Contents) -> Result<(), UpdateError> {
    let entries = &contents.entries;
    let wrong = |what: &str, path: &str| integrity(format!("the release lists {path:?}, {what}"));
    if entries.len() > MAX_ENTRIES {
        return Err(integrity(format!("the release lists more than {MAX_ENTRIES} entries")));
    }
    match entries.first() {
        Some(root) if root.path.is_empty() && !matches!(root.kind, EntryKind::Symlink { .. }) => {}
        _ => return Err(integrity("the release does not list its root first".into())),
    }
    let mut seen: BTreeMap<&str, &EntryKind> = BTreeMap::new();
    for entry in entries {
        let path = entry.path.as_str();
        if seen.insert(path, &entry.kind).is_some() {
            return Err(wrong("twice", path));
        }
        if path.is_empty() {
            continue;
        }
        if !is_inner_path(path) {
            return Err(wrong("which is not a path inside a build", path));
        }
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        if !matches!(seen.get(parent), Some(EntryKind::Directory)) {
            return Err(wrong("whose folder it does not list first", path));
        }
        if let EntryKind::Symlink { target } = &entry.kind
            && !link_stays(path, target)
        {
            return Err(wrong("a link that leaves the build", path));
        }
    }
    Ok(())
}

/// One number for a whole build: the same for the same paths, bytes and links. Permissions are left out, some file
/// systems do not keep them.
pub(crate) fn fingerprint(contents: &Contents) -> [u8; 32] {
    let mut sha = Sha256::new();
    let mut text = |s: &str| {
        sha.update((s.len() as u64).to_le_bytes());
        sha.update(s.as_bytes());
    };
    let mut entries: Vec<&Entry> = contents.entries.iter().collect();
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    for entry in entries {
        text(&entry.path);
        match &entry.kind {
            EntryKind::Directory => text("folder"),
            EntryKind::Symlink { target } => {
                text("link");
                text(target);
            }
            EntryKind::File { size, sha256, .. } => {
                text(&format!("file {size}"));
                text(&data_encoding::HEXLOWER.encode(sha256));
            }
        }
    }
    sha.finalize().into()
}

/// Files from which one wait for the whole file system is shorter than one for each.
const MANY: usize = 64;

/// Lines of what could not be kept.
const MAX_LOST: usize = 32;

/// Gives every entry the owner, the permissions and the attributes it is to have as the successor of `before`, whose build lies at
/// `old`, and waits until all of it is on the disk. What is of another kind than listed is not touched: permissions would go through a
/// link. A line for each file of which something could not be kept.
pub(crate) fn settle(
    path: &Path,
    contents: &Contents,
    before: Owner,
    old: Option<&Path>,
) -> Result<Vec<String>, UpdateError> {
    let entries = &contents.entries;
    let lost = set_owners(path, contents, before, old)?;
    if entries.len() >= MANY && fs::sync_all(path).at("sync", path)? {
        return Ok(lost);
    }
    for entry in entries.iter().rev() {
        let at = disk_path(path, &entry.path);
        match entry.kind {
            EntryKind::Symlink { .. } => {}
            EntryKind::Directory => fs::sync_dir(&at).at("sync", &at)?,
            // The folder it is in is synced in full after it.
            EntryKind::File { .. } if !entry.path.is_empty() => fs::hand_over(&at).at("sync", &at)?,
            EntryKind::File { .. } => fs::sync_file(&at).at("sync", &at)?,
        }
    }
    Ok(lost)
}

fn set_owners(
    path: &Path,
    contents: &Contents,
    before: Owner,
    old: Option<&Path>,
) -> Result<Vec<String>, UpdateError> {
    let mut lost = Vec::new();
    for entry in contents.entries.iter().rev() {
        let at = disk_path(path, &entry.path);
        let found = fs::look(&at).at("look at", &at)?;
        let other = || integrity(format!("{:?} of the release is missing or of another kind", entry.path));
        let found = found.ok_or_else(other)?;
        let program = match entry.kind {
            EntryKind::Symlink { .. } if found.file_type().is_symlink() => false,
            EntryKind::Directory if found.is_dir() => true,
            EntryKind::File { executable, .. } if found.is_file() => executable || entry.path.is_empty(),
            _ => return Err(other()),
        };
        let was = old.map(|root| disk_path(root, &entry.path));
        // What cannot be looked at has nothing to be kept.
        let known = was.as_deref().and_then(|was| fs::look(was).ok().flatten());
        let bits = before.succeed(&at, &found, program, known.as_ref())?;
        let mut gone: Vec<String> = bits.map(str::to_owned).into_iter().collect();
        if let (Some(was), Some(known)) = (&was, &known)
            && known.file_type() == found.file_type()
            && !found.file_type().is_symlink()
        {
            gone.extend(fs::carry_over(was, &at).at("set the attributes of", &at)?);
            // An access list brings the old entry's bits along.
            let now = fs::look(&at).at("look at", &at)?.map_or(0, |now| fs::mode_of(&now));
            let run =
                if found.is_file() && program && !executable(now) { (now & 0o444) >> 2 | 0o100 } else { 0 };
            let mode = now & !0o002 | run;
            if mode != now {
                fs::set_mode(&at, &found, mode).at("set the permissions of", &at)?;
            }
        }
        if !gone.is_empty() && lost.len() < MAX_LOST {
            let name = if entry.path.is_empty() { "the application" } else { &entry.path };
            lost.push(format!("{name}: {}", gone.join(", ")));
        }
    }
    lost.reverse();
    Ok(lost)
}

/// Whether every entry that is there is this user's own, so that nobody else can write to it.
pub(crate) fn is_ours(path: &Path, contents: &Contents, before: Owner) -> Result<bool, UpdateError> {
    for entry in &contents.entries {
        let at = disk_path(path, &entry.path);
        if let Some(found) = fs::look(&at).at("look at", &at)?
            && !before.trusts(fs::owner_of(&found).0)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Copies a build, entry by entry as `contents` lists them. `to` must not exist.
pub(crate) fn copy(from: &Path, to: &Path, contents: &Contents) -> Result<(), UpdateError> {
    for entry in &contents.entries {
        let (source, target) = (disk_path(from, &entry.path), disk_path(to, &entry.path));
        match &entry.kind {
            EntryKind::Directory => {
                fs::make_private_dir(&target).at("make", &target)?;
            }
            EntryKind::Symlink { target: points_at } => {
                fs::make_link(points_at, &target).at("make the link", &target)?;
            }
            EntryKind::File { size, executable, .. } => {
                let mode = if *executable || entry.path.is_empty() { 0o755 } else { 0o644 };
                copy_file(&source, &target, *size, mode)?;
            }
        }
    }
    Ok(())
}

/// Copies one file of at most `limit` bytes and waits until it is on the disk.
pub(crate) fn copy_file(from: &Path, to: &Path, limit: u64, mode: u32) -> Result<(), UpdateError> {
    let mut reader = fs::open(from).at("open", from)?;
    let mut writer = fs::create(to).at("make", to)?;
    let mut buf = vec![0u8; CHUNK];
    let mut size = 0u64;
    loop {
        let n = reader.read(&mut buf).at("read", from)?;
        if n == 0 {
            return writer.finish(mode).at("write", to);
        }
        size = size.saturating_add(n as u64);
        if size > limit {
            return Err(integrity(format!("{} is longer than it was", from.display())));
        }
        writer.write(buf.get(..n).unwrap_or_default()).at("write", to)?;
    }
}

/// Removes whatever is at a path, links not followed. Nothing there is fine.
pub(crate) fn remove(path: &Path) -> Result<(), UpdateError> {
    let mut open = vec![(path.to_owned(), false)];
    while let Some((at, emptied)) = open.pop() {
        let Some(meta) = fs::look(&at).at("look at", &at)? else { continue };
        if !meta.is_dir() {
            fs::remove_file(&at).at("remove", &at)?;
        } else if emptied {
            fs::remove_dir(&at).at("remove", &at)?;
        } else {
            // A folder that does not let its owner in or write, as a build may have made one.
            // Root needs no permission.
            if fs::me() != 0 && fs::mode_of(&meta) & 0o700 != 0o700 {
                fs::set_mode(&at, &meta, 0o700).at("set the permissions of", &at)?;
            }
            let names = fs::names(&at, usize::MAX).map_err(|e| io_error("list", &at, e))?;
            open.push((at.clone(), true));
            open.extend(names.into_iter().map(|name| (at.join(name), false)));
        }
    }
    Ok(())
}
