//! The files that `updater manifest` writes: their names, and how.

use crate::error::CommandError;
use bosc_files::{Durability, Replace};
use std::fs::File;
use std::io;
use std::path::Path;

/// The name of a build's artifact.
pub(super) fn artifact_name(source: &Path, version: &str, platform: &str) -> Result<String, CommandError> {
    let (stem, extension) = name_parts(source)?;
    Ok(format!("{stem}-{}-{platform}{extension}", plain(version)))
}

/// Only characters that mean the same in every URL and file system.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect()
}

/// What the name of a build's artifact begins with, and what it ends with.
pub(super) fn name_parts(source: &Path) -> Result<(String, String), CommandError> {
    let name = source.file_name().and_then(|n| n.to_str()).ok_or_else(|| {
        CommandError::input(format!("{} has a name that is not UTF-8", source.display())).hint("rename it")
    })?;
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, ext)) if !stem.is_empty() && ext.chars().all(|c| c.is_ascii_alphanumeric()) => {
            (stem, format!(".{ext}"))
        }
        _ => (name, String::new()),
    };
    let meta = std::fs::metadata(source).map_err(|e| failed(source, e))?;
    let extension = if meta.is_dir() { ".tar.gz".to_owned() } else { extension };
    Ok((plain(stem), plain(&extension)))
}

/// Writes a file anew in one step, synced.
pub(super) fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    Replace::new(Durability::Disk).follow_links().write_with(path, write)
}

pub(super) fn failed(path: &Path, e: io::Error) -> CommandError {
    CommandError::failed(format!("failed to read or write {}", path.display()))
        .hint("check that it is there and may be read and written")
        .because(e)
}
