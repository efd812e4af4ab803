//! A mirror: a folder that holds a link's blocks between two runs of `publish --ci`, for runners that keep nothing.
//!
//! Two kinds, told apart by what is in the folder:
//! * a **store** that another runner left (it has a file `FORMAT`);
//! * a **dump**, made when the folder is new or empty:
//!
//! ```text
//! LOCK                    locked while a publish works with the mirror
//! <core key>.<fork>       the core's blocks: u32 little endian length and bytes, one after the other
//! <core key>.head         {"format":1,"fork","length","bytes","treeHash","signature"}
//! ```
//!
//! Blocks are appended and synced, then the head is replaced in one step. What a crash leaves behind `bytes` is cut off
//! by the next writer.
//!
//! Invariants:
//! * Nothing is believed: a head counts when its signature is the link's, and what is here is of its history. Both are
//!   looked at also when nothing is to be taken ([`Mirror::restore`]), since a mirror vouches for the newest version.
//! * Nothing is written over another history, nor behind blocks that are missing.
//! * What [`Mirror::save`] wrote is on disk, its names included, when it returns.
//! * New folders and files can be read by their owner only: a core's key is the link, and that is the right to read.

use super::snapshot::{Readers, replace_file, sync_parent};
use crate::error::{CommandError, ErrorKind};
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

/// What a mirror says of a core.
struct Held {
    fork: u64,
    length: u64,
    tree_hash: Hash,
    signature: Vec<u8>,
}

/// What a mirror gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// Blocks taken over.
    pub taken: u64,
    /// How long the core is in the mirror, proved; 0 when it has nothing of the core's fork.
    pub length: u64,
}

/// An open mirror. Nobody else works with it until it is dropped.
#[derive(Debug)]
pub struct Mirror {
    dir: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Store(Box<Store>),
    Dump {
        /// Keeps its lock.
        _lock: File,
    },
}

impl Mirror {
    /// Opens the mirror in `dir`, making a dump when there is nothing.
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
            make_dir(dir).map_err(|e| io(dir, e))?;
            let lock = open_file(&dir.join("LOCK")).map_err(|e| io(dir, e))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => return Err(locked(dir)),
                Err(std::fs::TryLockError::Error(e)) => return Err(io(dir, e)),
            }
            Kind::Dump { _lock: lock }
        };
        Ok(Self { dir: dir.to_owned(), kind })
    }

    /// What the mirror says it has of a core. Not proved.
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
            Kind::Dump { .. } => {
                let Some(head) = self.dump_head(core)?.filter(|h| h.length > 0) else { return Ok(None) };
                let signature = data_encoding::HEXLOWER
                    .decode(head.signature.as_bytes())
                    .map_err(|e| invalid(&self.dir, "a signature in it is no hex").because(e))?;
                let tree_hash = id::decode(&head.tree_hash)
                    .map_err(|e| invalid(&self.dir, "a tree hash in it is none").because(e))?;
                Ok(Some(Held { fork: head.fork, length: head.length, tree_hash, signature }))
            }
        }
    }

    /// Checks that the mirror's head is signed by the core's key and of the core's history. The core is as long.
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

    /// Lengthens `core` to what the mirror has, if that is more, and proves what the mirror has in any case. The core is
    /// in another store, with its manifest known.
    ///
    /// # Errors
    /// `ERR_INVALID_MIRROR` when blocks or signature are not the core's, `ERR_FORKED` when the mirror holds another
    /// history than the core; nothing has changed then.
    pub fn restore(&self, store: &Store, core: &Core) -> Result<Restored, CommandError> {
        let Some(held) = self.held(core)? else { return Ok(Restored::default()) };
        let (fork, length) = (held.fork, held.length);
        let here = core.head();
        if here.fork > fork {
            // It says nothing about the newer fork. A store as mirror could not take that one up either.
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
            Kind::Store(mirror) => {
                let theirs = mirror
                    .get_core(core.key())
                    .map_err(|e| self.store_failed(e))?
                    .ok_or_else(|| self.gone())?;
                for index in from..length {
                    let block =
                        theirs.block(index).map_err(|e| self.store_failed(e))?.ok_or_else(|| self.gone())?;
                    batch.append_block(core, block).map_err(|e| self.store_failed(e))?;
                }
            }
            Kind::Dump { .. } => {
                let head = self.dump_head(core)?.ok_or_else(|| self.gone())?;
                let path = self.blocks_path(core, head.fork);
                let file = File::open(&path).map_err(|e| io(&path, e))?;
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

    /// Has the mirror hold what `core` holds. Durable on return; how many blocks were written.
    ///
    /// # Errors
    /// When blocks are missing here, or the mirror cannot be written.
    pub fn save(&self, core: &Core) -> Result<u64, CommandError> {
        match &self.kind {
            Kind::Store(store) => self.save_store(store, core),
            Kind::Dump { .. } => self.save_dump(core),
        }
    }

    fn save_store(&self, mirror: &Store, core: &Core) -> Result<u64, CommandError> {
        let failed = |e| self.store_failed(e);
        let manifest = core.manifest().ok_or_else(|| self.gone())?;
        let theirs =
            mirror.create_core(CreateOptions::new().manifest((*manifest).clone())).map_err(failed)?;
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
        let mut batch = mirror.batch();
        for index in there.length..head.length {
            let block = core.block(index).map_err(failed)?.ok_or_else(|| self.gone())?;
            batch.append_block(&theirs, block).map_err(failed)?;
        }
        batch.set_signature(&theirs, head.signature.clone()).map_err(failed)?;
        batch.commit().map_err(failed)?;
        Ok(head.length - there.length)
    }

    fn save_dump(&self, core: &Core) -> Result<u64, CommandError> {
        let head = core.head();
        let mut start = (0, 0);
        if let Some(old) = self.dump_head(core)?.filter(|h| h.fork == head.fork) {
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
        let path = self.blocks_path(core, head.fork);
        let failed = |e| io(&path, e);
        let mut file = open_file(&path).map_err(failed)?;
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
        sync_parent(&path).map_err(failed)?;
        let made = DumpHead {
            format: FORMAT,
            fork: head.fork,
            length: head.length,
            bytes,
            tree_hash: id::encode(&head.tree_hash()),
            signature: data_encoding::HEXLOWER.encode(&head.signature),
        };
        let text = serde_json::to_vec(&made).unwrap_or_default();
        replace_file(&self.head_path(core), &text, Readers::Owner).map_err(failed)?;
        if head.fork > 0 {
            self.drop_forks(core, head.fork);
        }
        Ok(head.length - start.0)
    }

    /// Files of forks that are over. Only space is lost when one stays.
    fn drop_forks(&self, core: &Core, fork: u64) {
        let prefix = format!("{}.", id::encode(core.key()));
        let Ok(items) = std::fs::read_dir(&self.dir) else { return };
        for item in items.flatten() {
            let name = item.file_name();
            let old = name.to_str().and_then(|n| n.strip_prefix(&prefix)).and_then(|n| n.parse::<u64>().ok());
            if old.is_some_and(|old| old < fork) {
                let _ = std::fs::remove_file(item.path());
            }
        }
    }

    fn dump_head(&self, core: &Core) -> Result<Option<DumpHead>, CommandError> {
        let path = self.head_path(core);
        let file = match File::open(&path) {
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

    fn head_path(&self, core: &Core) -> PathBuf {
        self.dir.join(format!("{}.head", id::encode(core.key())))
    }

    fn blocks_path(&self, core: &Core, fork: u64) -> PathBuf {
        self.dir.join(format!("{}.{fork}", id::encode(core.key())))
    }

    fn other_fork(&self) -> CommandError {
        invalid(&self.dir, "it is at another fork than the link")
            .hint("give a new folder with `--mirror DIR`")
    }

    fn gone(&self) -> CommandError {
        invalid(&self.dir, "blocks are missing")
    }

    fn store_failed(&self, e: bosc_store::Error) -> CommandError {
        CommandError::new(
            ErrorKind::Store,
            "ERR_STORE",
            format!("copying between the store and the mirror {} failed", self.dir.display()),
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

/// Makes a folder that only its owner can read; one that exists stays as it is.
fn make_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Opens a file for writing; a new one can be read by its owner only.
fn open_file(path: &Path) -> std::io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn forked() -> CommandError {
    CommandError::new(
        ErrorKind::Integrity,
        "ERR_FORKED",
        "the mirror holds another history of the link than this store",
    )
    .hint(
        "see which of the two followers have (`bosc info <link>` on another machine), and publish from that one: \
         with a new store (`--store DIR`) from the mirror, or with a new `--mirror DIR` from this store",
    )
}

fn locked(dir: &Path) -> CommandError {
    CommandError::new(
        ErrorKind::Store,
        "ERR_LOCKED",
        format!("another process works with the mirror {}", dir.display()),
    )
    .hint("wait for it to end; the mirror must be another folder than the store")
}

fn invalid(dir: &Path, what: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Integrity,
        "ERR_INVALID_MIRROR",
        format!("the mirror {} cannot be used: {what}", dir.display()),
    )
    .hint("leave --mirror out and publish while a seeder is online, or give the mirror of another run")
}

fn io(path: &Path, e: std::io::Error) -> CommandError {
    let (code, hint) = match e.kind() {
        std::io::ErrorKind::StorageFull => {
            ("ERR_DISK_FULL", "free some space and run the command again; nothing that was stored is lost")
        }
        _ => ("ERR_UNREADABLE", "check the mirror's folder, its disk and its permissions"),
    };
    CommandError::new(ErrorKind::Store, code, format!("the mirror's {} cannot be used", path.display()))
        .because(e)
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bosc_format::crypto::KeyPair;

    fn pair() -> KeyPair {
        KeyPair::from_seed(&[5; 32])
    }

    fn writer(store: &Store, blocks: u8) -> Core {
        let core = store.create_core(CreateOptions::with_key_pair(pair())).unwrap();
        for i in core.length()..u64::from(blocks) {
            core.append(&[vec![i as u8; 100 * i as usize].into()]).unwrap();
        }
        core
    }

    fn memory() -> Store {
        Store::memory(Options::default()).unwrap()
    }

    fn dump_with(dir: &Path, blocks: u8) {
        let store = memory();
        Mirror::open(dir).unwrap().save(&writer(&store, blocks)).unwrap();
    }

    #[test]
    fn a_new_store_goes_on_where_the_mirror_was_left() {
        let dir = tempfile::tempdir().unwrap();
        for (round, blocks) in [3u8, 3, 9].into_iter().enumerate() {
            let store = memory();
            let core = store.create_core(CreateOptions::with_key_pair(pair())).unwrap();
            let mirror = Mirror::open(dir.path()).unwrap();
            let had = [0, 3, 3][round];
            assert_eq!(mirror.restore(&store, &core).unwrap(), Restored { taken: had, length: had });
            assert_eq!(core.length(), had);
            writer(&store, blocks);
            assert_eq!(mirror.save(&core).unwrap(), u64::from(blocks) - had);
            assert_eq!(mirror.restore(&store, &core).unwrap().length, u64::from(blocks));
        }
        let (a, b) = (memory(), memory());
        let core = b.create_core(CreateOptions::with_key_pair(pair())).unwrap();
        Mirror::open(dir.path()).unwrap().restore(&b, &core).unwrap();
        assert_eq!(core.head(), writer(&a, 9).head(), "the very head, signature and all");
    }

    #[test]
    fn a_store_that_a_runner_left_is_a_mirror_and_is_brought_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        writer(&Store::open(dir.path(), Options::default()).unwrap(), 4);
        let store = memory();
        let core = store.create_core(CreateOptions::with_key_pair(pair())).unwrap();
        let mirror = Mirror::open(dir.path()).unwrap();
        assert_eq!(Mirror::open(dir.path()).unwrap_err().code(), "ERR_LOCKED");
        assert_eq!(mirror.restore(&store, &core).unwrap().taken, 4);
        writer(&store, 6);
        assert_eq!(mirror.save(&core).unwrap(), 2);
        drop(mirror);
        assert_eq!(writer(&Store::open(dir.path(), Options::default()).unwrap(), 0).head(), core.head());
    }

    #[test]
    fn forks_are_carried_over() {
        let dir = tempfile::tempdir().unwrap();
        dump_with(dir.path(), 5);
        let store = memory();
        let core = writer(&store, 5);
        core.truncate(2, 1).unwrap();
        core.append(&["other".into()]).unwrap();
        let mirror = Mirror::open(dir.path()).unwrap();
        mirror.save(&core).unwrap();
        let again = memory();
        let back = again.create_core(CreateOptions::with_key_pair(pair())).unwrap();
        mirror.restore(&again, &back).unwrap();
        assert_eq!(back.head(), core.head());
        let forks = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(forks, 3, "LOCK, one head, one file of blocks");
        // A store that is still at the old fork does not take the mirror's place.
        assert!(mirror.restore(&memory(), &writer(&memory(), 5)).is_err());
    }

    #[test]
    fn another_history_is_not_written_over_the_mirror() {
        let dir = tempfile::tempdir().unwrap();
        dump_with(dir.path(), 3);
        let store = memory();
        let core = store.create_core(CreateOptions::with_key_pair(pair())).unwrap();
        for _ in 0..4 {
            core.append(&["mine".into()]).unwrap();
        }
        let mirror = Mirror::open(dir.path()).unwrap();
        assert_eq!(mirror.save(&core).unwrap_err().code(), "ERR_FORKED");
    }

    #[test]
    fn nothing_in_it_is_believed_and_what_a_crash_left_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        dump_with(dir.path(), 5);
        let key = id::encode(writer(&memory(), 0).key());
        let (blocks, head) = (dir.path().join(format!("{key}.0")), dir.path().join(format!("{key}.head")));
        let (good, good_head) = (std::fs::read(&blocks).unwrap(), std::fs::read_to_string(&head).unwrap());
        let restore = || {
            let store = memory();
            let core = store.create_core(CreateOptions::with_key_pair(pair())).unwrap();
            let result = Mirror::open(dir.path()).unwrap().restore(&store, &core);
            (result, core.length())
        };
        let mut bad = good.clone();
        *bad.last_mut().unwrap() ^= 1;
        for (b, h) in [
            (bad, good_head.clone()),
            (good[..good.len() - 1].to_vec(), good_head.clone()),
            ([&[255; 4][..], &good].concat(), good_head.clone()),
            (good.clone(), good_head.replace("\"length\":5", "\"length\":4")),
            (good.clone(), good_head.replace("\"length\":5", "\"length\":18446744073709551615")),
            (good.clone(), good_head.replace("\"fork\":0", "\"fork\":7")),
            (good.clone(), "{".into()),
        ] {
            std::fs::write(&blocks, &b).unwrap();
            std::fs::write(&head, &h).unwrap();
            let (result, length) = restore();
            assert!(result.is_err() && length == 0, "{h}");
        }
        std::fs::write(&blocks, [&good[..], b"left by a crash"].concat()).unwrap();
        std::fs::write(&head, &good_head).unwrap();
        assert_eq!(restore().0.unwrap().taken, 5);
        dump_with(dir.path(), 6);
        assert_eq!(restore().0.unwrap().taken, 6);
    }

    fn other(store: &Store, blocks: u64) -> Core {
        let core = store.create_core(CreateOptions::with_key_pair(pair())).unwrap();
        for _ in 0..blocks {
            core.append(&["mine".into()]).unwrap();
        }
        core
    }

    #[test]
    fn it_vouches_only_for_a_head_that_is_signed_and_of_our_history() {
        let dir = tempfile::tempdir().unwrap();
        dump_with(dir.path(), 3);
        let store = memory();
        let core = writer(&store, 5);
        let before = core.head();
        let restore = |core: &Core| Mirror::open(dir.path()).unwrap().restore(&store, core);
        assert_eq!(restore(&core).unwrap(), Restored { taken: 0, length: 3 });
        // Another history of the same length, and of a longer one.
        for blocks in [3, 5] {
            let there = memory();
            let mirror = Mirror::open(dir.path()).unwrap();
            assert_eq!(mirror.restore(&there, &other(&there, blocks)).unwrap_err().code(), "ERR_FORKED");
        }
        let file = dir.path().join(format!("{}.head", id::encode(core.key())));
        let good = std::fs::read_to_string(&file).unwrap();
        let head: DumpHead = serde_json::from_str(&good).unwrap();
        let with = |h: &DumpHead| std::fs::write(&file, serde_json::to_vec(h).unwrap()).unwrap();
        let hash = |n| id::encode(&core.head_at(n).unwrap().tree_hash());
        for bad in [
            DumpHead { length: 1, signature: "zz".into(), ..head.clone() },
            DumpHead { signature: "00".repeat(head.signature.len() / 2), ..head.clone() },
            DumpHead { length: 1, tree_hash: hash(1), ..head.clone() },
            DumpHead { tree_hash: "no hash".into(), ..head.clone() },
        ] {
            with(&bad);
            assert_eq!(restore(&core).unwrap_err().code(), "ERR_INVALID_MIRROR", "{bad:?}");
        }
        with(&DumpHead { tree_hash: hash(2), ..head });
        assert_eq!(restore(&core).unwrap_err().code(), "ERR_FORKED");
        assert_eq!(core.head(), before);
    }

    #[test]
    fn a_store_as_mirror_is_compared_and_must_be_whole() {
        let dir = tempfile::tempdir().unwrap();
        writer(&Store::open(dir.path(), Options::default()).unwrap(), 4);
        for blocks in [3, 4, 6] {
            let store = memory();
            let core = other(&store, blocks);
            let mirror = Mirror::open(dir.path()).unwrap();
            if blocks >= 4 {
                assert_eq!(mirror.restore(&store, &core).unwrap_err().code(), "ERR_FORKED");
            }
            assert_eq!(mirror.save(&core).unwrap_err().code(), "ERR_FORKED", "{blocks}");
        }
        let store = memory();
        let core = writer(&store, 4);
        let mirror = Mirror::open(dir.path()).unwrap();
        assert_eq!(mirror.restore(&store, &core).unwrap(), Restored { taken: 0, length: 4 });
        assert_eq!(mirror.save(&core).unwrap(), 0);
        drop(mirror);
        // One that lacks blocks can neither vouch nor be continued.
        let there = Store::open(dir.path(), Options::default()).unwrap();
        there.get_core(core.key()).unwrap().unwrap().clear(1, 2).unwrap();
        drop(there);
        let mirror = Mirror::open(dir.path()).unwrap();
        assert_eq!(mirror.restore(&store, &core).unwrap_err().code(), "ERR_INVALID_MIRROR");
        writer(&store, 6);
        assert_eq!(mirror.save(&core).unwrap_err().code(), "ERR_INVALID_MIRROR");
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mirror = dir.path().join("new/mirror");
        dump_with(&mirror, 2);
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&mirror), 0o700);
        for item in std::fs::read_dir(&mirror).unwrap() {
            let path = item.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}
