//! tar. The entries come from the `tar` crate as they stand; long names are put together here, where they are bounded.

use super::read::{damaged, read_bounded};
use super::sink::Sink;
use crate::error::UpdateError;
use crate::install::integrity;
use crate::install::tree::MAX_PATH;
use std::io::{self, Read};
use tar::{Archive, EntryType, PaxExtensions};

/// Bytes of one set of extended attributes.
const MAX_PAX: u64 = 64 * 1024;

/// What the entries before an entry say about it.
#[derive(Default)]
struct Ahead {
    path: Option<String>,
    link: Option<String>,
}

pub(super) fn unpack(from: impl Read, sink: &mut Sink<'_>) -> Result<(), UpdateError> {
    // Headers are bytes as well: an archive of nothing but headers ends here.
    let headers = (sink.limits.entries as u64).saturating_mul(4096);
    let mut archive = Archive::new(Bounded { from, left: sink.limits.bytes.saturating_add(headers) });
    let mut ahead = Ahead::default();
    for entry in archive.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        let size = entry.header().entry_size().map_err(damaged)?;
        match kind {
            EntryType::GNULongName => {
                ahead.path = Some(text(read_bounded(&mut entry, MAX_PATH as u64 + 1, "a name")?)?);
            }
            EntryType::GNULongLink => {
                ahead.link = Some(text(read_bounded(&mut entry, MAX_PATH as u64 + 1, "a link")?)?);
            }
            EntryType::XHeader => {
                let pax = read_bounded(&mut entry, MAX_PAX, "an entry's attributes")?;
                extended(&pax, size_of_next(&pax)?, &mut ahead)?;
            }
            EntryType::XGlobalHeader => {
                let pax = read_bounded(&mut entry, MAX_PAX, "the archive's attributes")?;
                // Comments (git writes one) are fine; a name for every entry is not.
                extended(&pax, size_of_next(&pax)?, &mut Ahead::default())?;
            }
            _ => {
                let said = std::mem::take(&mut ahead);
                let path = match said.path {
                    Some(path) => path,
                    None => text(entry.header().path_bytes().into_owned())?,
                };
                let mode = entry.header().mode().map_err(damaged)?;
                match kind {
                    EntryType::Directory => sink.directory(&path)?,
                    EntryType::Regular | EntryType::Continuous if path.ends_with('/') => {
                        sink.directory(&path)?
                    }
                    EntryType::Regular | EntryType::Continuous => {
                        sink.file(&path, mode & 0o111 != 0, size, &mut entry)?;
                    }
                    EntryType::Symlink => {
                        let target = match said.link {
                            Some(target) => target,
                            None => text(entry.header().link_name_bytes().unwrap_or_default().into_owned())?,
                        };
                        sink.link(&path, &target)?;
                    }
                    EntryType::Link => return Err(refused(&path, "a hard link")),
                    EntryType::Char | EntryType::Block => return Err(refused(&path, "a device")),
                    EntryType::Fifo => return Err(refused(&path, "a pipe")),
                    EntryType::GNUSparse => return Err(refused(&path, "a sparse file")),
                    _ => return Err(refused(&path, "of a kind that no build holds")),
                }
            }
        }
    }
    // What follows the end is only padding, but the checksum after it has to be right.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(damaged)?;
    Ok(())
}

fn refused(path: &str, what: &str) -> UpdateError {
    let path: String = path.chars().take(80).collect();
    integrity(format!("the archive holds {path:?}, {what}"))
}

/// A name as text, without what it is padded with.
fn text(mut bytes: Vec<u8>) -> Result<String, UpdateError> {
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    String::from_utf8(bytes).map_err(|_| integrity("the archive holds a name that is not UTF-8".into()))
}

/// Takes a path and a link out of extended attributes, and refuses what would make this reader see another archive than
/// others do.
fn extended(pax: &[u8], size: bool, ahead: &mut Ahead) -> Result<(), UpdateError> {
    if size {
        return Err(integrity("the archive holds a file whose length is not in its header".into()));
    }
    for attribute in PaxExtensions::new(pax) {
        let attribute = attribute.map_err(damaged)?;
        let value = || text(attribute.value_bytes().to_vec());
        match attribute.key_bytes() {
            b"path" => ahead.path = Some(value()?),
            b"linkpath" => ahead.link = Some(value()?),
            key if key.starts_with(b"GNU.sparse") => {
                return Err(integrity("the archive holds a sparse file".into()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn size_of_next(pax: &[u8]) -> Result<bool, UpdateError> {
    for attribute in PaxExtensions::new(pax) {
        if attribute.map_err(damaged)?.key_bytes() == b"size" {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Fails when more comes than may.
struct Bounded<R> {
    from: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        self.left = self
            .left
            .checked_sub(n as u64)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it unpacks to more than it may"))?;
        Ok(n)
    }
}
