//! Where entries go: checked, then written.

use super::names;
use super::read::damaged;
use super::types::Limits;
use crate::error::UpdateError;
use crate::install::fs::{self, CHUNK};
use crate::install::tree::{disk_path, link_stays};
use crate::install::{integrity, io_error};
use crate::release::{Entry, EntryKind};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What an archive puts at the top for macOS's own use.
const MACOS_EXTRAS: &str = "__MACOSX";

/// What is known of a name.
struct Known {
    /// As it is written.
    path: String,
    directory: bool,
    /// Only because something lies in it.
    implied: bool,
}

/// Takes entries one after another.
pub(super) struct Sink<'a> {
    root: &'a Path,
    pub(super) limits: Limits,
    bytes: u64,
    /// By folded name.
    known: HashMap<String, Known>,
    entries: Vec<Entry>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(root: &'a Path, limits: Limits) -> Self {
        Self { root, limits, bytes: 0, known: HashMap::new(), entries: Vec::new() }
    }

    pub(super) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    fn at(&self, inner: &str) -> PathBuf {
        disk_path(self.root, inner)
    }

    /// Checks a name and makes the folders it lies in. `None` for what is not part of the build.
    fn admit(&mut self, path: &str, directory: bool) -> Result<Option<String>, UpdateError> {
        let Some(inner) = names::clean(path)? else {
            return if directory {
                Ok(None)
            } else {
                Err(integrity("the archive's root is not a folder".into()))
            };
        };
        if inner.split('/').next() == Some(MACOS_EXTRAS) {
            return Ok(None);
        }
        for (end, _) in inner.match_indices('/') {
            self.folder(inner.get(..end).unwrap_or_default(), true)?;
        }
        if directory {
            self.folder(&inner, false)?;
            return Ok(None);
        }
        self.note(&inner, false, false)?;
        Ok(Some(inner))
    }

    /// Remembers a new name. `false` when it is a folder that is known already.
    fn note(&mut self, inner: &str, directory: bool, implied: bool) -> Result<bool, UpdateError> {
        let key = names::folded(inner);
        if let Some(known) = self.known.get_mut(&key) {
            let refused = |why: &str| Err(integrity(format!("the archive holds {inner:?} {why}")));
            if known.path != inner {
                return refused("and another name that differs in case only");
            }
            return match (known.directory, directory) {
                (true, true) if implied => Ok(false),
                (true, true) if known.implied => {
                    known.implied = false;
                    Ok(false)
                }
                (false, true) if implied => refused("and something below it, although it is not a folder"),
                _ => refused("twice"),
            };
        }
        if self.known.len() >= self.limits.entries {
            return Err(integrity(format!("the archive holds more than {} entries", self.limits.entries)));
        }
        self.known.insert(key, Known { path: inner.to_owned(), directory, implied });
        Ok(true)
    }

    fn folder(&mut self, inner: &str, implied: bool) -> Result<(), UpdateError> {
        if self.note(inner, true, implied)? {
            let at = self.at(inner);
            // A name that the file system takes for another one (Unicode forms) must not open that one.
            if !fs::make_dir(&at).map_err(|e| io_error("make", &at, e))? {
                return Err(integrity(format!(
                    "the archive holds {inner:?} and the same name in other letters"
                )));
            }
            self.entries.push(Entry { path: inner.to_owned(), kind: EntryKind::Directory });
        }
        Ok(())
    }

    /// A folder.
    pub(super) fn directory(&mut self, path: &str) -> Result<(), UpdateError> {
        self.admit(path, true).map(drop)
    }

    /// A link. Nothing is written through it: what would lie below it is refused.
    pub(super) fn link(&mut self, path: &str, target: &str) -> Result<(), UpdateError> {
        let Some(inner) = self.admit(path, false)? else { return Ok(()) };
        if !link_stays(&inner, target) {
            return Err(integrity(format!("the archive's link {inner:?} leaves the build")));
        }
        let at = self.at(&inner);
        fs::make_link(target, &at).map_err(|e| io_error("make the link", &at, e))?;
        self.entries.push(Entry { path: inner, kind: EntryKind::Symlink { target: target.to_owned() } });
        Ok(())
    }

    /// A file, and the bytes it must have.
    pub(super) fn file(
        &mut self,
        path: &str,
        executable: bool,
        size: u64,
        from: &mut impl Read,
    ) -> Result<(), UpdateError> {
        let room = self.limits.bytes.saturating_sub(self.bytes);
        if size > room {
            return Err(self.too_much());
        }
        let Some(inner) = self.admit(path, false)? else {
            // Left out, but what it says of its length is read over by the caller, who counts it too.
            self.bytes += size;
            return Ok(());
        };
        let at = self.at(&inner);
        let mut file = fs::create(&at).map_err(|e| io_error("make", &at, e))?;
        let mut sha = Sha256::new();
        let mut buf = vec![0u8; CHUNK.min(usize::try_from(size).unwrap_or(CHUNK).max(1))];
        let mut got = 0u64;
        loop {
            let n = from.read(&mut buf).map_err(damaged)?;
            let Some(chunk) = buf.get(..n).filter(|chunk| !chunk.is_empty()) else { break };
            got = got.saturating_add(n as u64);
            if got > size {
                return Err(integrity(format!("the archive's {inner:?} is longer than it says")));
            }
            sha.update(chunk);
            file.write(chunk).map_err(|e| io_error("write", &at, e))?;
        }
        if got != size {
            return Err(integrity(format!("the archive's {inner:?} is shorter than it says")));
        }
        file.close(if executable { 0o755 } else { 0o644 }).map_err(|e| io_error("write", &at, e))?;
        self.bytes = self.bytes.saturating_add(size);
        let kind = EntryKind::File { size, sha256: sha.finalize().into(), executable };
        self.entries.push(Entry { path: inner, kind });
        Ok(())
    }

    /// The archive unpacks to more than it may.
    pub(super) fn too_much(&self) -> UpdateError {
        integrity(format!("the archive unpacks to more than {} bytes", self.limits.bytes))
    }
}
