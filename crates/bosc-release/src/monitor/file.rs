//! A monitor's file: records that are only ever added, each with a sum over everything before it.
//!
//! ```text
//! header   "boscmoni", version 1, the link's key, sum of these
//! record   length of the body (4 bytes, little endian), body, sum: BLAKE2b-256 of the sum before, the length and the body
//! ```
//!
//! A record of which the end is missing, or that fails its sum with nothing behind it, is one that a kill left: it is dropped, and cut off
//! before the next one is written.

use super::record::{MAX_RECORD, Record};
use crate::error::{CommandError, ErrorKind};
use crate::output_file::{OutputFile, OutputKind};
use bosc_format::crypto::{CoreKey, Hash, hash};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Most bytes of a file.
pub(super) const MAX_FILE: u64 = 1 << 30;
const MAGIC: &[u8; 8] = b"boscmoni";
const VERSION: u8 = 1;
const HEADER: usize = 8 + 1 + 32 + 32;
const SUM: usize = 32;

/// What was found in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// Whose it is; none for a file in which there is nothing yet.
    pub(super) link: Option<CoreKey>,
    /// Bytes of a last record that is not whole.
    pub(super) torn: u64,
    end: u64,
    sum: Hash,
}

/// A file that records are added to. Nobody else adds to it meanwhile.
#[derive(Debug)]
pub(super) struct MonitorFile {
    path: PathBuf,
    file: File,
    end: u64,
    sum: Hash,
}

fn unusable(path: &Path, e: io::Error) -> CommandError {
    let full = bosc_files::is_full(&e);
    let (kind, code) =
        if full { (ErrorKind::Failed, "ERR_DISK_FULL") } else { (ErrorKind::Permission, "ERR_UNREADABLE") };
    let hint = if full { "free some disk space" } else { "check the path and its permissions" };
    CommandError::new(kind, code, format!("cannot use {}", path.display()))
        .because(e)
        .hint(format!("{hint}, then run the command again; what was recorded is kept"))
}

/// What is said of a file that is something else than it should be.
pub(super) fn damaged(path: &Path, why: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Integrity,
        "ERR_MONITOR",
        format!("{} is not a monitor's file that can be used: {why}", path.display()),
    )
    .hint("keep the file as it is and monitor to a new one; compare other monitors' files with `bosc monitor --compare`")
}

/// Reads everything, and hands each record on with the bytes it had. Reads at most [`MAX_FILE`].
pub(super) fn read(
    path: &Path,
    from: impl Read,
    mut each: impl FnMut(Record) -> Result<(), CommandError>,
) -> Result<Found, CommandError> {
    let mut from = BufReader::new(from.take(MAX_FILE));
    let mut fill = |bytes: &mut [u8]| -> Result<usize, CommandError> {
        let mut at = 0;
        while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
            match from.read(rest) {
                Ok(0) => break,
                Ok(n) => at += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(unusable(path, e)),
            }
        }
        Ok(at)
    };
    let mut header = [0; HEADER];
    let got = fill(&mut header)?;
    if got < HEADER {
        let begun = header.get(..got.min(MAGIC.len())).is_some_and(|b| MAGIC.starts_with(b));
        if !begun {
            return Err(damaged(path, "it is something else"));
        }
        return Ok(Found { link: None, torn: got as u64, end: 0, sum: [0; 32] });
    }
    let (head, sum) = header.split_at(HEADER - SUM);
    let link = head.get(9..41).and_then(|key| CoreKey::try_from(key).ok());
    let sum = Hash::try_from(sum).unwrap_or_default();
    match (head.starts_with(MAGIC), head.get(8), link) {
        (true, Some(&VERSION), Some(link)) if hash(&[head]) == sum => {
            let mut found = Found { link: Some(link), torn: 0, end: HEADER as u64, sum };
            loop {
                let mut length = [0; 4];
                let got = fill(&mut length)?;
                let size = u32::from_le_bytes(length) as usize;
                if got == 0 {
                    return Ok(found);
                }
                let fits = got == 4 && (1..=MAX_RECORD).contains(&size);
                let mut body = vec![0; if fits { size + SUM } else { MAX_RECORD + SUM + 1 }];
                let got_body = if got == 4 { fill(&mut body)? } else { 0 };
                let (bytes, sum) = body.split_at(size.min(body.len()));
                let whole = fits && got_body == body.len() && hash(&[&found.sum, &length, bytes]) == *sum;
                if !whole {
                    // The last one, which a kill left: nothing may be behind it.
                    let last = got_body < body.len() || fill(&mut [0])? == 0;
                    if !last {
                        return Err(damaged(path, "a record in it was changed"));
                    }
                    return Ok(Found { torn: (got + got_body) as u64, ..found });
                }
                let record = Record::decode(bytes).map_err(|e| damaged(path, &e.to_string()))?;
                each(record)?;
                found.end = found.end.saturating_add((4 + body.len()) as u64);
                found.sum = Hash::try_from(sum).unwrap_or_default();
            }
        }
        (true, Some(&newer), _) if newer > VERSION => Err(damaged(path, "a newer version of bosc made it")),
        _ => Err(damaged(path, "its beginning was changed")),
    }
}

impl MonitorFile {
    /// Opens a file for a link, or makes it. Every record in it is handed on.
    pub(super) fn begin(
        path: &Path,
        link: &CoreKey,
        each: impl FnMut(Record) -> Result<(), CommandError>,
    ) -> Result<(Self, Found), CommandError> {
        OutputFile::new(path, OutputKind::Plain).check()?;
        let locked = bosc_files::lock(path, Duration::from_millis(200)).map_err(|e| unusable(path, e))?;
        let file = locked.ok_or_else(|| {
            CommandError::new(
                ErrorKind::Failed,
                "ERR_LOCKED",
                format!("another monitor writes {}", path.display()),
            )
            .hint("name another file, or end the other monitor")
        })?;
        let found = read(path, &file, each)?;
        if found.link.is_some_and(|there| there != *link) {
            return Err(CommandError::input(format!("{} is of another link", path.display()))
                .hint("name another file: each is of one link"));
        }
        let mut out = Self { path: path.to_owned(), file, end: found.end, sum: found.sum };
        if found.link.is_none() {
            let head = [&MAGIC[..], &[VERSION], link].concat();
            out.sum = hash(&[&head]);
            let sum = out.sum;
            out.write(&[&head[..], &sum].concat())?;
        }
        Ok((out, found))
    }

    /// Adds a record. It is on the disk when this returns.
    pub(super) fn add(&mut self, record: &Record) -> Result<(), CommandError> {
        let body = record.encode();
        let full =
            body.len() > MAX_RECORD || self.end.saturating_add((body.len() + 4 + SUM) as u64) > MAX_FILE;
        let length = u32::try_from(body.len()).ok().filter(|_| !full).ok_or_else(|| {
            CommandError::failed(format!("{} is full", self.path.display())).hint("go on with a new file")
        })?;
        let length = length.to_le_bytes();
        let sum = hash(&[&self.sum, &length, &body]);
        self.write(&[&length[..], &body, &sum].concat())?;
        self.sum = sum;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let mut write = || {
            // What a kill left behind the last whole record goes first.
            self.file.set_len(self.end)?;
            self.file.seek(SeekFrom::Start(self.end))?;
            self.file.write_all(bytes)?;
            self.file.sync_data()
        };
        write().map_err(|e| unusable(&self.path, e))?;
        self.end = self.end.saturating_add(bytes.len() as u64);
        Ok(())
    }
}
