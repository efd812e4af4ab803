//! The cache of `--ci` (once called its mirror, as its events and error code still are): a folder that holds a link's blocks between two runs of `publish --ci`, for runners that keep nothing.
//!
//! Two kinds, told apart by what is in the folder:
//! * a **store** that another runner left (it has a file `FORMAT`);
//! * a **dump**, made when the folder is new or empty:
//!
//! ```text
//! LOCK                    locked while a publish works with the cache
//! <core key>.<fork>       the core's blocks: u32 little endian length and bytes, one after the other
//! <core key>.head         {"format":1,"fork","length","bytes","treeHash","signature"}
//! ```
//!
//! Blocks are appended and synced, then the head is replaced in one step. What a crash leaves behind `bytes` is cut off
//! by the next writer.
//!
//! Invariants:
//! * Nothing is believed: a head counts when its signature is the link's, and what is here is of its history. Both are
//!   looked at also when nothing is to be taken ([`Cache::restore`]), since a cache vouches for the newest version.
//! * Nothing is written over another history, nor behind blocks that are missing.
//! * What [`Cache::save`] wrote is on disk, its names included, when it returns.
//! * New folders and files can be read by their owner only: a core's key is the link, and that is the right to read.

use crate::error::{CommandError, ErrorKind};
use bosc_files::{Dir, Durability, Replace};
use bosc_format::crypto::Hash;
use bosc_format::id;
use bosc_format::manifest::{MAX_SIGNATURE, Verifier};
use bosc_store::{Core, CreateOptions, MAX_BLOCK_SIZE, Options, Store};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Largest head file read, in bytes.
const MAX_HEAD: u64 = 2 * MAX_SIGNATURE as u64 + 4096;
/// The format of dumps.
const FORMAT: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DumpHead {
    format: u32,
    fork: u64,
    length: u64,
    /// Bytes of the file with the blocks.
    bytes: u64,
    tree_hash: String,
    /// In hex.
    signature: String,
}

/// What a cache says of a core.
struct Held {
    fork: u64,
    length: u64,
    tree_hash: Hash,
    signature: Vec<u8>,
}

/// What a cache gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// Blocks taken over.
    pub taken: u64,
    /// How long the core is in the cache, proved; 0 when it has nothing of the core's fork.
    pub length: u64,
}

/// An open cache. Nobody else works with it until it is dropped.
#[derive(Debug)]
pub struct Cache {
    dir: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Store(Box<Store>),
    Dump {
        /// The folder itself: names in it are not followed when they are links.
        folder: Dir,
        /// Keeps its lock.
        _lock: File,
    },
}

impl Cache {
    /// Opens the cache in `dir`, making a dump when there is nothing.
    ///
    /// # Errors
    /// `ERR_LOCKED` while another process has it, `ERR_UNREADABLE`, `ERR_INVALID_MIRROR` for a folder with other things.
    pub fn open(dir: &Path) -> Result<Self, CommandError> {
        let kind = if dir.join("FORMAT").is_file() {
            let store = Store::open(dir, Options::default()).map_err(|e| match e {
                bosc_store::Error::Locked { .. } => locked(dir),
                e => invalid(dir, "its store cannot be opened").because(e),
            })?;
            Kind::Store(Box::new(store))
        } else {
            // A new one can be read by its owner only.
            let folder = Dir::create(dir, 0o700).map_err(|e| io(dir, e))?;
            let lock = folder.open_or_create("LOCK", 0o600).map_err(|e| io(dir, e))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => return Err(locked(dir)),
                Err(std::fs::TryLockError::Error(e)) => return Err(io(dir, e)),
            }
            Kind::Dump { folder, _lock: lock }
        };
        Ok(Self { dir: dir.to_owned(), kind })
    }

    /// What the cache says it has of a core. Not proved.
    fn held(&self, core: &Core) -> Result<Option<Held>, CommandError> {
        match &self.kind {
            Kind::Store(store) => {
                let Some(found) = store.get_core(core.key()).map_err(|e| self.store_failed(e))? else {
                    return Ok(None);
                };
                let head = found.head();
                if head.length == 0 {
                    return Ok(None);
                }
                // Only what is there without a gap can be taken over.
                if found.contiguous_length() < head.length {
                    return Err(self.gone());
                }
                Ok(Some(Held {
                    fork: head.fork,
                    length: head.length,
                    tree_hash: head.tree_hash(),
                    signature: head.signature.clone(),
                }))
            }
            Kind::Dump { folder, .. } => {
                let Some(head) = self.dump_head(folder, core)?.filter(|h| h.length > 0) else {
                    return Ok(None);
                };
                let signature = data_encoding::HEXLOWER
                    .decode(head.signature.as_bytes())
                    .map_err(|e| invalid(&self.dir, "a signature in it is not valid hex").because(e))?;
                let tree_hash = id::decode(&head.tree_hash)
                    .map_err(|e| invalid(&self.dir, "a tree hash in it is not valid hex").because(e))?;
                Ok(Some(Held { fork: head.fork, length: head.length, tree_hash, signature }))
            }
        }
    }

    /// Checks that the cache's head is signed by the core's key and of the core's history. The core is as long.
    fn check(&self, core: &Core, held: &Held) -> Result<(), CommandError> {
        let mut ours = core.head_at(held.length).map_err(|e| self.store_failed(e))?;
        if ours.tree_hash() != held.tree_hash {
            return Err(forked());
        }
        ours.signature.clone_from(&held.signature);
        let manifest = core.manifest();
        let signed = Verifier::new(core.key(), manifest.as_deref()).is_ok_and(|v| v.verify(&ours));
        if signed { Ok(()) } else { Err(invalid(&self.dir, "a signature in it is not the link's")) }
    }

    /// Lengthens `core` to what the cache has, if that is more, and proves what the cache has in any case. The core is
    /// in another store, with its manifest known.
    ///
    /// # Errors
    /// `ERR_INVALID_MIRROR` when blocks or signature are not the core's, `ERR_FORKED` when the cache holds another
    /// history than the core; nothing has changed then.
    pub fn restore(&self, store: &Store, core: &Core) -> Result<Restored, CommandError> {
        let Some(held) = self.held(core)? else { return Ok(Restored::default()) };
        let (fork, length) = (held.fork, held.length);
        let here = core.head();
        if here.fork > fork {
            // It says nothing about the newer fork. A store as cache could not take that one up either.
            return match &self.kind {
                Kind::Dump { .. } => Ok(Restored::default()),
                Kind::Store(_) => Err(self.other_fork()),
            };
        }
        if here.fork == fork && here.length >= length {
            self.check(core, &held)?;
            return Ok(Restored { taken: 0, length });
        }
        if here.fork != fork {
            if here.length > 0 {
                return Err(invalid(&self.dir, "it is at another fork than the store")
                    .hint("run it with a new store: `--store DIR`"));
            }
            core.truncate(0, fork).map_err(|e| self.store_failed(e))?;
        }
        let from = core.length();
        let mut batch = store.batch();
        match &self.kind {
            Kind::Store(cache) => {
                let theirs = cache
                    .get_core(core.key())
                    .map_err(|e| self.store_failed(e))?
                    .ok_or_else(|| self.gone())?;
                for index in from..length {
                    let block =
                        theirs.block(index).map_err(|e| self.store_failed(e))?.ok_or_else(|| self.gone())?;
                    batch.append_block(core, block).map_err(|e| self.store_failed(e))?;
                }
            }
            Kind::Dump { folder, .. } => {
                let head = self.dump_head(folder, core)?.ok_or_else(|| self.gone())?;
                let name = blocks_name(core, head.fork);
                let file = folder.open_file(&name).map_err(|e| io(&self.dir.join(&name), e))?;
                let mut blocks = Blocks { reader: BufReader::with_capacity(1 << 16, file.take(head.bytes)) };
                for index in 0..length {
                    let block = blocks
                        .next()
                        .map_err(|e| invalid(&self.dir, "it ends before its last block").because(e))?;
                    if index >= from {
                        batch.append_block(core, block).map_err(|e| self.store_failed(e))?;
                    }
                }
            }
        }
        batch.set_signature(core, held.signature).map_err(|e| self.store_failed(e))?;
        batch.commit().map_err(|e| match e {
            e @ (bosc_store::Error::Invalid(_) | bosc_store::Error::NotWritable) => {
                invalid(&self.dir, "its blocks are not what the link's key signed").because(e)
            }
            e => self.store_failed(e),
        })?;
        Ok(Restored { taken: length - from, length })
    }

    /// Has the cache hold what `core` holds. Durable on return; how many blocks were written.
    ///
    /// # Errors
    /// When blocks are missing here, or the cache cannot be written.
    pub fn save(&self, core: &Core) -> Result<u64, CommandError> {
        match &self.kind {
            Kind::Store(store) => self.save_store(store, core),
            Kind::Dump { folder, .. } => self.save_dump(folder, core),
        }
    }

    fn save_store(&self, cache: &Store, core: &Core) -> Result<u64, CommandError> {
        let failed = |e| self.store_failed(e);
        let manifest = core.manifest().ok_or_else(|| self.gone())?;
        let theirs = cache.create_core(CreateOptions::new().manifest((*manifest).clone())).map_err(failed)?;
        let (head, there) = (core.head(), theirs.head());
        if there.fork != head.fork {
            return Err(self.other_fork());
        }
        if theirs.contiguous_length() < there.length {
            return Err(self.gone());
        }
        let both = there.length.min(head.length);
        let at = |core: &Core| core.head_at(both).map(|h| h.tree_hash()).map_err(failed);
        if at(&theirs)? != at(core)? {
            return Err(forked());
        }
        if there.length >= head.length {
            return Ok(0);
        }
        let mut batch = cache.batch();
        for index in there.length..head.length {
            let block = core.block(index).map_err(failed)?.ok_or_else(|| self.gone())?;
            batch.append_block(&theirs, block).map_err(failed)?;
        }
        batch.set_signature(&theirs, head.signature.clone()).map_err(failed)?;
        batch.commit().map_err(failed)?;
        Ok(head.length - there.length)
    }

    fn save_dump(&self, folder: &Dir, core: &Core) -> Result<u64, CommandError> {
        let head = core.head();
        let mut start = (0, 0);
        if let Some(old) = self.dump_head(folder, core)?.filter(|h| h.fork == head.fork) {
            let same = old.length <= head.length
                && core.head_at(old.length).is_ok_and(|h| id::encode(&h.tree_hash()) == old.tree_hash);
            if !same {
                return Err(forked());
            }
            if old.length == head.length {
                return Ok(0);
            }
            start = (old.length, old.bytes);
        }
        let name = blocks_name(core, head.fork);
        let path = self.dir.join(&name);
        let failed = |e| io(&path, e);
        let mut file = folder.open_or_create(&name, 0o600).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() < start.1 {
            return Err(invalid(&self.dir, "it ends before its last block"));
        }
        file.set_len(start.1).map_err(failed)?;
        file.seek(SeekFrom::Start(start.1)).map_err(failed)?;
        let mut bytes = start.1;
        let mut out = BufWriter::with_capacity(1 << 18, file);
        for index in start.0..head.length {
            let block = core.block(index).map_err(|e| self.store_failed(e))?.ok_or_else(|| self.gone())?;
            let size = u32::try_from(block.len()).map_err(|_| self.gone())?;
            out.write_all(&size.to_le_bytes()).and_then(|()| out.write_all(&block)).map_err(failed)?;
            bytes += 4 + u64::from(size);
        }
        let file = out.into_inner().map_err(|e| failed(e.into_error()))?;
        file.sync_all().map_err(failed)?;
        folder.sync().map_err(failed)?;
        let made = DumpHead {
            format: FORMAT,
            fork: head.fork,
            length: head.length,
            bytes,
            tree_hash: id::encode(&head.tree_hash()),
            signature: data_encoding::HEXLOWER.encode(&head.signature),
        };
        let text = serde_json::to_vec(&made).unwrap_or_default();
        let mut new =
            Replace::new(Durability::Disk).private().begin(folder, head_name(core)).map_err(failed)?;
        new.file().write_all(&text).and_then(|()| new.commit()).map_err(failed)?;
        if head.fork > 0 {
            drop_forks(folder, core, head.fork);
        }
        Ok(head.length - start.0)
    }

    fn dump_head(&self, folder: &Dir, core: &Core) -> Result<Option<DumpHead>, CommandError> {
        let path = self.dir.join(head_name(core));
        let file = match folder.open_file(head_name(core)) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io(&path, e)),
        };
        let mut text = Vec::new();
        file.take(MAX_HEAD).read_to_end(&mut text).map_err(|e| io(&path, e))?;
        let head: DumpHead = serde_json::from_slice(&text)
            .map_err(|e| invalid(&self.dir, "a head in it cannot be read").because(e))?;
        if head.format != FORMAT {
            return Err(invalid(&self.dir, "it was written by a newer version").hint("update Bosc"));
        }
        Ok(Some(head))
    }

    fn other_fork(&self) -> CommandError {
        invalid(&self.dir, "it is at another fork than the link").hint("give a new folder with `--cache DIR`")
    }

    fn gone(&self) -> CommandError {
        invalid(&self.dir, "blocks are missing")
    }

    fn store_failed(&self, e: bosc_store::Error) -> CommandError {
        CommandError::new(
            ErrorKind::Store,
            "ERR_STORE",
            format!("copying between the store and the cache {} failed", self.dir.display()),
        )
        .because(e)
        .hint("check both disks and run the command again")
    }
}

/// Reads blocks one after the other.
struct Blocks<R> {
    reader: R,
}

impl<R: Read> Blocks<R> {
    fn next(&mut self) -> std::io::Result<Bytes> {
        let mut size = [0; 4];
        self.reader.read_exact(&mut size)?;
        let size = u32::from_le_bytes(size) as usize;
        if size > MAX_BLOCK_SIZE {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a block over 64 MiB"));
        }
        let mut block = Vec::new();
        // Grows with what is there, not with what is claimed.
        (&mut self.reader).take(size as u64).read_to_end(&mut block)?;
        if block.len() != size {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(block.into())
    }
}

fn head_name(core: &Core) -> String {
    format!("{}.head", id::encode(core.key()))
}

fn blocks_name(core: &Core, fork: u64) -> String {
    format!("{}.{fork}", id::encode(core.key()))
}

/// Files of forks that are over. Only space is lost when one stays.
fn drop_forks(folder: &Dir, core: &Core, fork: u64) {
    let prefix = format!("{}.", id::encode(core.key()));
    for name in folder.list().unwrap_or_default() {
        let old = name.to_str().and_then(|n| n.strip_prefix(&prefix)).and_then(|n| n.parse::<u64>().ok());
        if old.is_some_and(|old| old < fork) {
            let _ = folder.remove_file(&name);
        }
    }
}

fn forked() -> CommandError {
    CommandError::new(
        ErrorKind::Integrity,
        "ERR_FORKED",
        "the cache holds another history of the link than this store",
    )
    .hint(
        "see which of the two followers have (`bosc info <link>` on another machine), and publish from that one: \
         with a new store (`--store DIR`) from the cache, or with a new `--cache DIR` from this store",
    )
}

fn locked(dir: &Path) -> CommandError {
    CommandError::new(
        ErrorKind::Store,
        "ERR_LOCKED",
        format!("another process is using the cache {}", dir.display()),
    )
    .hint("wait for it to end; the cache must be another folder than the store")
}

fn invalid(dir: &Path, what: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Integrity,
        "ERR_INVALID_MIRROR",
        format!("the cache {} cannot be used: {what}", dir.display()),
    )
    .hint("leave --cache out and publish while a seeder is online, or give the cache of another run")
}

fn io(path: &Path, e: std::io::Error) -> CommandError {
    let message = format!("the cache's {} cannot be used", path.display());
    CommandError::new(ErrorKind::Store, "ERR_UNREADABLE", message)
        .because(e)
        .hint("check the cache's folder, its disk and its permissions")
}

#[cfg(test)]
mod tests;
