//! zip. Entries are read one by one from the central directory, which keeps names that come twice, and each is compared
//! with the header before its bytes.

use super::read::{damaged, read_bounded};
use super::sink::Sink;
use crate::error::UpdateError;
use crate::install::integrity;
use crate::install::tree::MAX_PATH;
use std::io::{Read, Seek};
use zip::read::{Config, ZipReadOptions};
use zip::result::ZipError;

/// Bits of a Unix mode that say what a thing is.
const TYPE: u32 = 0o170_000;
const FILE: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

pub(super) fn unpack(from: impl Read + Seek, sink: &mut Sink<'_>) -> Result<(), UpdateError> {
    let mut archive = zip::unstable::read::ZipIterable::try_new(from, Config::default())
        .map_err(broken)?
        .enforce_header_consistency(true);
    if archive.len() > sink.limits.entries {
        return Err(integrity(format!("the archive holds more than {} entries", sink.limits.entries)));
    }
    let files = archive.files().map_err(broken)?;
    while let Some(entry) = files.next() {
        let entry = entry.map_err(broken)?;
        let path = std::str::from_utf8(entry.name_raw())
            .map_err(|_| integrity("the archive holds a name that is not UTF-8".into()))?
            .to_owned();
        if entry.encrypted() {
            return Err(integrity(format!("the archive's {path:?} is encrypted")));
        }
        let mode = entry.unix_mode();
        let (folder, size) = (entry.is_dir(), entry.size());
        let mut file = entry.with_reader(files.reader_mut(), ZipReadOptions::new()).map_err(broken)?;
        match mode.map(|mode| mode & TYPE) {
            None | Some(0 | FILE | FOLDER) if folder => {
                if size != 0 {
                    return Err(integrity(format!("the archive's folder {path:?} has bytes")));
                }
                sink.directory(&path)?;
            }
            // Without a mode nobody says that it may be executed; a build that is one file may be in any case.
            None | Some(0 | FILE) => sink.file(&path, mode.unwrap_or(0) & 0o111 != 0, size, &mut file)?,
            Some(LINK) if !folder => {
                let target = read_bounded(&mut file, MAX_PATH as u64, "a link")?;
                let target = String::from_utf8(target)
                    .map_err(|_| integrity("the archive holds a link that is not UTF-8".into()))?;
                sink.link(&path, &target)?;
            }
            _ => return Err(integrity(format!("the archive holds {path:?}, of a kind that no build holds"))),
        }
    }
    Ok(())
}

fn broken(error: ZipError) -> UpdateError {
    match error {
        ZipError::Io(e) => damaged(e),
        other => integrity(format!("the archive is damaged: {other}")).because(other),
    }
}
