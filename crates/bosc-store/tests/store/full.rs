//! A disk that is full to the last byte, and what is kept so that removing still works.

use super::*;
use bosc_store::disk::{Disk, DiskFile};
use bosc_store::{Core, Error};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

/// What is allocated at once, as file systems do it.
const UNIT: u64 = 4096;

/// A disk of a size. A file takes what was written of it, not its length.
#[derive(Debug, Clone)]
struct SmallDisk {
    files: MemoryDisk,
    space: Arc<Mutex<Space>>,
}

#[derive(Debug)]
struct Space {
    size: u64,
    /// Units of each file that were written.
    used: BTreeMap<String, BTreeSet<u64>>,
}

impl Space {
    fn free(&self) -> u64 {
        let used: usize = self.used.values().map(BTreeSet::len).sum();
        (self.size / UNIT).saturating_sub(used as u64)
    }
}

impl SmallDisk {
    fn new(size: u64) -> Self {
        let space = Space { size, used: BTreeMap::new() };
        Self { files: MemoryDisk::new(), space: Arc::new(Mutex::new(space)) }
    }

    /// Another program writes until there is no room.
    fn fill(&self) {
        let mut space = self.space.lock().unwrap();
        space.size = space.size.saturating_sub(space.free() * UNIT);
    }

    fn free(&self) -> u64 {
        self.space.lock().unwrap().free() * UNIT
    }
}

impl Disk for SmallDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Option<Arc<dyn DiskFile>>> {
        let Some(file) = self.files.open(name, create)? else { return Ok(None) };
        Ok(Some(Arc::new(SmallFile { name: name.to_owned(), file, space: self.space.clone() })))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.files.list(folder)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.space.lock().unwrap().used.remove(name);
        self.files.remove(name)
    }

    fn sync_dirs(&self) -> io::Result<()> {
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path(name)
    }
}

#[derive(Debug)]
struct SmallFile {
    name: String,
    file: Arc<dyn DiskFile>,
    space: Arc<Mutex<Space>>,
}

impl DiskFile for SmallFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut space = self.space.lock().unwrap();
        for unit in offset / UNIT..(offset + data.len() as u64).div_ceil(UNIT) {
            let room = space.free() > 0;
            let used = space.used.entry(self.name.clone()).or_default();
            if !used.contains(&unit) {
                if !room {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                used.insert(unit);
            }
        }
        self.file.write_at(offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut space = self.space.lock().unwrap();
        space.used.entry(self.name.clone()).or_default().retain(|unit| *unit < len.div_ceil(UNIT));
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

fn options(keep_reserve: bool) -> Options {
    let mut options = Options::default();
    options.keep_reserve = keep_reserve;
    options.background = false;
    options.segment_bytes = 1 << 20;
    options
}

/// A store with a core of 40 MB on a disk that is then filled.
fn full(keep_reserve: bool) -> (SmallDisk, Store, Core) {
    let disk = SmallDisk::new(64 << 20);
    let store = Store::open_disk(Arc::new(disk.clone()), options(keep_reserve)).unwrap();
    let core = store.create_core(CreateOptions::named("a")).unwrap();
    for n in 0..10u8 {
        let blocks: Vec<_> = (0..1000u32).map(|i| Bytes::from(vec![n ^ i as u8; 4000])).collect();
        core.append(&blocks).unwrap();
    }
    drop(store);
    let store = Store::open_disk(Arc::new(disk.clone()), options(keep_reserve)).unwrap();
    let core = store.get_core(core.key()).unwrap().unwrap();
    disk.fill();
    // Nothing can be written, and what the database has of its own is used up.
    for n in 0..10_000u32 {
        if let Err(e) = core.append(&[Bytes::from(n.to_le_bytes().to_vec())]) {
            assert_eq!(e.kind(), ErrorKind::Full, "{e}");
            return (disk, store, core);
        }
    }
    panic!("the disk is not full");
}

#[test]
fn blocks_can_be_removed_from_a_disk_that_is_full() {
    let (disk, store, core) = full(true);
    let length = core.head().length;
    assert_eq!(core.clear(0, length).unwrap(), length);
    assert!(disk.free() > 30 << 20, "{} bytes are free", disk.free());
    assert!(disk.files.open("RESERVE", false).unwrap().is_none(), "nothing was spent");
    core.append(&[Bytes::from_static(b"again")]).unwrap();
    store.gc().unwrap();
    assert_eq!(disk.files.open("RESERVE", false).unwrap().unwrap().len().unwrap(), 2 << 20);
    assert_eq!(core.block(length).unwrap().as_deref(), Some(&b"again"[..]));
}

/// Why there is a reserve.
#[test]
fn without_a_reserve_nothing_can_be_removed() {
    let (_, _, core) = full(false);
    assert!(matches!(core.clear(0, core.head().length), Err(Error::Full { .. })));
}

#[test]
fn what_cannot_be_packed_on_a_full_disk_stays_for_another_time() {
    let (disk, store, core) = full(true);
    // No segment is empty, all are sparse.
    for at in (0..core.head().length).step_by(200) {
        core.clear(at, at + 180).unwrap();
    }
    disk.fill();
    assert_eq!(store.gc().unwrap_err().kind(), ErrorKind::Full);
    assert!(core.block(199).unwrap().is_some());
    disk.space.lock().unwrap().size += 16 << 20;
    assert!(store.gc().unwrap().freed_bytes > 1 << 20);
    assert!(core.block(199).unwrap().is_some());
}

#[test]
fn without_room_there_is_no_part_of_a_reserve() {
    let disk = SmallDisk::new(3 << 20);
    let open = |reserve| Store::open_disk(Arc::new(disk.clone()), options(reserve));
    let core = open(false).unwrap().create_core(CreateOptions::named("a")).unwrap();
    core.append(&[Bytes::from(vec![1; 1 << 20])]).unwrap();
    drop(core);
    let store = open(true).unwrap();
    assert!(disk.files.open("RESERVE", false).unwrap().is_none());
    store.create_core(CreateOptions::named("b")).unwrap();
}
