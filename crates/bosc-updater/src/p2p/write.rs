//! Writing a build out of the core into the staging folder, and saying what it consists of.
//!
//! Every block is checked against the tree as it is read, and the SHA-256 of each file is made of the very bytes that
//! are written. The files are not synced here: the installer reads all of them again, and syncs, before anything is
//! swapped.

use super::fetching::Fetching;
use super::plan::Plan;
use crate::error::{ErrorKind, UpdateError};
use crate::release::{Contents, Entry, EntryKind};
use bosc_drive::blobs::BlobReader;
use bosc_follow::{CoreSource, Fetch, FollowedCore};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

pub(super) fn io(path: &Path) -> impl Fn(std::io::Error) -> UpdateError + '_ {
    move |e| {
        let (kind, hint) = match e.kind() {
            _ if bosc_files::is_full(&e) => {
                (ErrorKind::NoSpace, "free some disk space; what was downloaded is kept")
            }
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                (ErrorKind::Permission, "let this user write to the folder of the application")
            }
            _ => (ErrorKind::Disk, "check the disk and the folder's permissions"),
        };
        UpdateError::new(kind, format!("{} cannot be written", path.display())).hint(hint).because(e)
    }
}

/// The name of the folder in staging for one release.
pub(super) fn folder_of(staging: &Path, id: &[u8; 32]) -> PathBuf {
    let hex: String = id.iter().take(16).map(|b| format!("{b:02x}")).collect();
    staging.join(format!("p2p-{hex}"))
}

/// Removes what earlier releases left in staging.
pub(super) fn clean(staging: &Path, keep: &Path) {
    let Ok(items) = fs::read_dir(staging) else { return };
    for item in items.flatten() {
        let ours = item.file_name().to_str().is_some_and(|n| {
            n.strip_prefix("p2p-").is_some_and(|h| h.len() == 32 && h.bytes().all(|b| b.is_ascii_hexdigit()))
        });
        if ours && item.path() != keep {
            let _ = fs::remove_dir_all(item.path());
        }
    }
}

/// Writes the build into a new folder of its own. What an interrupted call left there is removed first.
pub(super) fn write(
    fetching: &mut Fetching<'_, '_>,
    (blobs, source): (&FollowedCore, &CoreSource),
    plan: &Plan,
    folder: &Path,
) -> Result<(PathBuf, Contents), UpdateError> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(folder)(e)),
        _ => {}
    }
    folder.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| make_dir(folder)).map_err(io(folder))?;
    let root = folder.join(&plan.name);
    let mut entries = Vec::with_capacity(plan.files.len() + plan.links.len() + plan.folders.len() + 1);
    if !plan.single {
        make_dir(&root).map_err(io(&root))?;
        entries.push(Entry { path: String::new(), kind: EntryKind::Directory });
    }
    for rel in &plan.folders {
        let path = place(&root, rel);
        make_dir(&path).map_err(io(&path))?;
        entries.push(Entry { path: rel.clone(), kind: EntryKind::Directory });
    }
    for file in &plan.files {
        let path = place(&root, &file.rel);
        let mut out = create(&path, file.executable).map_err(io(&path))?;
        let mut hasher = Sha256::new();
        let mut size = 0u64;
        if let Some(id) = file.blob {
            let mut reader = BlobReader::new(source.clone(), id);
            // A block that turns out damaged on this disk is fetched again.
            while let Some(part) = fetching.of(blobs).next(&mut reader)? {
                hasher.update(&part);
                bosc_files::write_sparsely(&mut out, size, &part).map_err(io(&path))?;
                size = size.saturating_add(part.len() as u64);
                fetching.tell()?;
            }
            // It may end in a hole.
            out.set_len(size).map_err(io(&path))?;
        }
        let kind = EntryKind::File { size, sha256: hasher.finalize().into(), executable: file.executable };
        entries.push(Entry { path: file.rel.clone(), kind });
    }
    // Last, so that no file is ever written through a link.
    for (rel, target) in &plan.links {
        let path = place(&root, rel);
        symlink(target, &path).map_err(io(&path))?;
        entries.push(Entry { path: rel.clone(), kind: EntryKind::Symlink { target: target.clone() } });
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((root, Contents { entries }))
}

fn place(root: &Path, rel: &str) -> PathBuf {
    rel.split('/').filter(|p| !p.is_empty()).fold(root.to_owned(), |path, part| path.join(part))
}

fn create(path: &Path, executable: bool) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if executable { 0o755 } else { 0o644 });
    #[cfg(not(unix))]
    let _ = executable;
    let file = options.open(path)?;
    bosc_files::give_to_owner(&file, path.parent().unwrap_or(path));
    Ok(file)
}

/// The staging folder's owner goes on with what root fetched.
fn make_dir(path: &Path) -> std::io::Result<()> {
    fs::create_dir(path)?;
    bosc_files::give_folder_to_owner(path);
    Ok(())
}

#[cfg(unix)]
fn symlink(target: &str, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn symlink(target: &str, path: &Path) -> std::io::Result<()> {
    let native = target.replace('/', "\\");
    let leads_to = path.parent().map(|p| p.join(&native));
    if leads_to.is_some_and(|p| p.is_dir()) {
        std::os::windows::fs::symlink_dir(native, path)
    } else {
        std::os::windows::fs::symlink_file(native, path)
    }
}

#[cfg(not(any(unix, windows)))]
fn symlink(_target: &str, _path: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
