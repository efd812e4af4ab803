//! From a proved archive to a build in a folder of its own.

use super::sink::Sink;
use super::types::{Format, Limits, Unpacked, Wanted};
use crate::error::{ErrorKind, UpdateError};
use crate::install::tree::{self, check_contents};
use crate::install::{Kind, fs, integrity, io_error};
use crate::release::{Contents, Entry, EntryKind};
use std::path::Path;

pub(super) fn run(
    archive: &Path,
    format: Format,
    wanted: Wanted<'_>,
    into: &Path,
    limits: &Limits,
) -> Result<Unpacked, UpdateError> {
    if !fs::make_dir(into).map_err(|e| io_error("make", into, e))? {
        return Err(UpdateError::new(ErrorKind::Input, format!("{} exists already", into.display()))
            .hint("unpack into a new folder"));
    }
    let unpacked =
        unpack_into(archive, format, into, limits).and_then(|entries| find_build(entries, wanted, into));
    if unpacked.is_err() {
        let _ = tree::remove(into);
    }
    unpacked
}

fn unpack_into(
    archive: &Path,
    format: Format,
    into: &Path,
    limits: &Limits,
) -> Result<Vec<Entry>, UpdateError> {
    let file = fs::open(archive).map_err(|e| io_error("open", archive, e))?;
    let size = file.size().map_err(|e| io_error("look at", archive, e))?;
    let limits = Limits {
        bytes: limits.bytes_for(size),
        entries: limits.entries.min(tree::MAX_ENTRIES),
        ratio: limits.ratio,
    };
    let mut sink = Sink::new(into, limits);
    match format {
        #[cfg(feature = "tar-gz")]
        Format::TarGz => super::tarball::unpack(flate2::read::MultiGzDecoder::new(file), &mut sink)?,
        #[cfg(feature = "tar-zst")]
        Format::TarZst => super::tarball::unpack(super::zst::Zst::new(file), &mut sink)?,
        #[cfg(feature = "zip")]
        Format::Zip => super::zipped::unpack(file, &mut sink)?,
        #[allow(unreachable_patterns)] // Where all three are built in.
        _ => format.refuse()?,
    }
    Ok(sink.into_entries())
}

/// The build of this kind among what was unpacked.
fn find_build(mut entries: Vec<Entry>, wanted: Wanted<'_>, into: &Path) -> Result<Unpacked, UpdateError> {
    let top = |entry: &&Entry| !entry.path.contains('/');
    let mut tops = entries.iter().filter(top);
    let (first, more) = (tops.next().cloned(), tops.next().is_some());
    let Some(first) = first else { return Err(integrity("the archive is empty".into())) };
    let inner = match (wanted.kind, &first.kind, more) {
        (Kind::File | Kind::Package, ..) => find_file(&entries, wanted.inside)?,
        (_, EntryKind::Directory, false) => first.path,
        (Kind::Bundle, ..) => {
            return Err(integrity("the archive must hold one .app folder, and nothing else".into()));
        }
        (Kind::Directory, ..) => String::new(),
    };
    if inner.is_empty() {
        entries.insert(0, Entry { path: String::new(), kind: EntryKind::Directory });
    } else {
        let below = format!("{inner}/");
        entries.retain_mut(|entry| {
            let rest = if entry.path == inner {
                Some(String::new())
            } else {
                entry.path.strip_prefix(&below).map(str::to_owned)
            };
            rest.map(|rest| entry.path = rest).is_some()
        });
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let contents = Contents { entries };
    check_contents(&contents)?;
    Ok(Unpacked { path: tree::disk_path(into, &inner), contents })
}

/// The one file, or the one of that name.
fn find_file(entries: &[Entry], inside: Option<&str>) -> Result<String, UpdateError> {
    let is_file = |entry: &&Entry| matches!(entry.kind, EntryKind::File { .. });
    let mut others = entries.iter().filter(|e| !matches!(e.kind, EntryKind::Directory));
    if let (Some(Entry { path, kind: EntryKind::File { .. } }), None) = (others.next(), others.next()) {
        return Ok(path.clone());
    }
    let Some(name) = inside.map(|name| name.trim_start_matches("./")) else {
        let files: Vec<&str> = entries.iter().filter(is_file).map(|e| e.path.as_str()).take(8).collect();
        return Err(integrity("the archive must hold one file, and nothing else".into()).hint(format!(
            "say which of its files is the application with `Program::inside` (`--inside`): {}",
            files.join(", ")
        )));
    };
    let without = |path: &str| path.split_once('/').is_some_and(|(_, rest)| rest == name);
    let found = entries.iter().filter(is_file).find(|entry| entry.path == name);
    let mut below = entries.iter().filter(is_file).filter(|entry| without(&entry.path));
    match (found, below.next(), below.next()) {
        (Some(entry), ..) | (None, Some(entry), None) => Ok(entry.path.clone()),
        _ => Err(integrity(format!("the archive holds no file {name:?}"))
            .hint("the publisher has to name the program as the application expects it")),
    }
}
