//! Packs a folder into `.tar.gz`, the same bytes for the same folder on every machine.
//!
//! Entries are sorted, owners and times are zero, modes are 0755 or 0644. Links stay links; one that would leave the folder
//! is refused here, because every client would refuse it.

use crate::error::CommandError;
use bosc_files::open_plain;
use bosc_names::{Target, check_link};
use flate2::{Compression, GzBuilder};
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::path::{Component, Path};
use tar::{Builder, EntryType, Header};

/// Most entries of a folder that is packed.
const MAX_ENTRIES: usize = 200_000;
/// Deepest folder that is packed.
const MAX_DEPTH: usize = 64;

/// Writes `folder` as `name/...` to `out`.
///
/// # Errors
/// `Input` for what cannot be in a release: devices, links that leave the folder, names that are not UTF-8, too many
/// entries; `Failed` when a file cannot be read or `out` not written.
pub fn pack(folder: &Path, name: &str, out: &mut dyn Write) -> Result<(), CommandError> {
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(out, Compression::new(9));
    let mut builder = Builder::new(gzip);
    let mut count = 0;
    add(&mut builder, folder, name, 0, &mut count)?;
    let gzip = builder.into_inner().map_err(|e| failed(folder, e))?;
    gzip.finish().map_err(|e| failed(folder, e))?;
    Ok(())
}

fn add<W: Write>(
    builder: &mut Builder<W>,
    path: &Path,
    name: &str,
    depth: usize,
    count: &mut usize,
) -> Result<(), CommandError> {
    *count += 1;
    if *count > MAX_ENTRIES || depth > MAX_DEPTH {
        return Err(wrong(
            path,
            &format!("more than {MAX_ENTRIES} entries, or {MAX_DEPTH} folders in each other"),
        ));
    }
    let meta = std::fs::symlink_metadata(path).map_err(|e| failed(path, e))?;
    let kind = meta.file_type();
    if kind.is_dir() {
        let mut header = header(EntryType::Directory, 0, 0o755);
        builder.append_data(&mut header, format!("{name}/"), io::empty()).map_err(|e| failed(path, e))?;
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path).map_err(|e| failed(path, e))? {
            let entry = entry.map_err(|e| failed(path, e))?;
            let file_name = entry.file_name();
            let text = file_name.to_str().ok_or_else(|| wrong(&entry.path(), "a name that is not UTF-8"))?;
            if text != ".DS_Store" {
                names.push(text.to_owned());
            }
            if names.len() > MAX_ENTRIES {
                return Err(wrong(path, &format!("more than {MAX_ENTRIES} entries")));
            }
        }
        names.sort_unstable();
        for n in names {
            add(builder, &path.join(&n), &format!("{name}/{n}"), depth + 1, count)?;
        }
        Ok(())
    } else if kind.is_file() {
        let file = open_plain(path).map_err(|e| failed(path, e))?;
        let mut header = header(EntryType::Regular, meta.len(), mode(&meta));
        // No more than the header says, should the file grow meanwhile; less is an error of `append_data`'s padding.
        let mut exact = Exact { file, left: meta.len() };
        builder.append_data(&mut header, name, &mut exact).map_err(|e| failed(path, e))?;
        if exact.left > 0 {
            return Err(wrong(path, "a file that changed while it was read"));
        }
        Ok(())
    } else if kind.is_symlink() {
        let target = std::fs::read_link(path).map_err(|e| failed(path, e))?;
        let text = target
            .to_str()
            .ok_or_else(|| wrong(path, "a link to a name that is not UTF-8"))?
            .replace('\\', "/");
        if leaves(&target, depth)
            || name.split_once('/').is_some_and(|(_, n)| check_link(n, &text, Target::Archive).is_err())
        {
            return Err(wrong(path, "a link that leaves it"));
        }
        let mut header = header(EntryType::Symlink, 0, 0o777);
        builder.append_link(&mut header, name, text).map_err(|e| failed(path, e))
    } else {
        Err(wrong(path, "something that is neither file, folder nor link"))
    }
}

/// Whether a link in a folder `depth` - 1 below the root leads out of it.
fn leaves(target: &Path, depth: usize) -> bool {
    let mut level = depth.saturating_sub(1);
    for part in target.components() {
        match part {
            Component::Normal(_) => level += 1,
            Component::CurDir => {}
            Component::ParentDir if level > 0 => level -= 1,
            _ => return true,
        }
    }
    false
}

fn header(kind: EntryType, size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

#[cfg(unix)]
fn mode(meta: &Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    if meta.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 }
}

/// Windows does not tell what may be executed: everything may.
#[cfg(not(unix))]
fn mode(_: &Metadata) -> u32 {
    0o755
}

struct Exact {
    file: File,
    left: u64,
}

impl io::Read for Exact {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let max = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        let n = self.file.read(out.get_mut(..max).unwrap_or_default())?;
        self.left -= n as u64;
        Ok(n)
    }
}

fn wrong(path: &Path, what: &str) -> CommandError {
    CommandError::input(format!("{} holds what cannot be released: {what}", path.display()))
        .hint("take it out of the build, then run the command again")
}

fn failed(path: &Path, e: io::Error) -> CommandError {
    CommandError::failed(format!("failed to pack {}", path.display()))
        .hint("check that everything in it may be read")
        .because(e)
}
