//! A store whose files were damaged, or made by somebody else.
//!
//! Damage must end in an error or in a store that gives right bytes, nothing else. redb itself panics on some damaged
//! pages; the store catches that and calls it corruption. `quiet` keeps such panics from being printed, and from
//! ending a fuzzer, which otherwise stops at every panic, caught or not.

use crate::Input;
use bosc_format::proof::{NodeRequest, ProofRequest};
use bosc_store::disk::{Disk, DiskFile, MemoryDisk};
use bosc_store::{CreateOptions, Options, Store};
use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Once};

type Image = BTreeMap<String, Vec<u8>>;

fn options() -> Options {
    let mut o = Options::default();
    o.segment_bytes = 2000;
    o.page_cache_bytes = 64 << 10;
    o.database_cache_bytes = 256 << 10;
    o.background = false;
    o
}

fn block(i: u8) -> Bytes {
    Bytes::from(vec![i; 20 + usize::from(i) * 7])
}

/// A small store: two cores, one with a hole, several segments, user data.
static IMAGE: LazyLock<Image> = LazyLock::new(|| {
    let disk = MemoryDisk::new();
    let store = Store::open_disk(Arc::new(disk.clone()), options()).unwrap();
    store.set_primary_key(&[5; 32]).unwrap();
    for name in ["a", "b"] {
        let core = store.create_core(CreateOptions::named(name)).unwrap();
        core.append(&(0..30).map(block).collect::<Vec<_>>()).unwrap();
        core.set_user_data("k", Some(b"value")).unwrap();
    }
    store.create_core(CreateOptions::named("b")).unwrap().clear(10, 20).unwrap();
    store.set_user_data("u", Some(b"user")).unwrap();
    store.flush().unwrap();
    drop(store);
    disk.image()
});

/// Keeps panics inside redb, which the store catches, from being printed and from ending the process. To see them, set
/// `BOSC_FUZZ_LOUD`.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if std::env::var_os("BOSC_FUZZ_LOUD").is_some() {
            return;
        }
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !info.location().is_some_and(|l| l.file().contains("redb-")) {
                before(info);
            }
        }));
    });
}

/// Uses everything of a store there is to use. Errors are fine; wrong bytes are not.
fn exercise(disk: MemoryDisk) {
    let Ok(store) = Store::open_disk(Arc::new(disk), options()) else { return };
    let _ = store.user_data("u");
    for info in store.cores().unwrap_or_default().into_iter().take(8) {
        let Ok(core) = store.open_core(&info.key) else { continue };
        let _ = (core.manifest(), core.user_data("k"), core.key_pair(), core.bitfield_words(0, 4));
        let head = core.head();
        assert!(head.is_well_formed(), "a head that cannot be");
        for i in (0..head.length.min(40)).chain([head.length, u64::MAX]) {
            let _ = (core.has(i), core.byte_offset(i), core.missing_nodes(i.saturating_mul(2)));
            // A block that comes out is the block its tree has; the tree may have been changed with it, though.
            if let Ok(Some(b)) = core.block(i) {
                let leaf = core.leaf_hash(i).ok().flatten();
                assert_eq!(leaf, Some(bosc_format::crypto::leaf_hash(&b)), "a block that is not the tree's");
            }
            let what = Some(NodeRequest { index: i, nodes: 0 });
            let _ = core.prove(&ProofRequest { block: what, manifest: true, ..ProofRequest::default() });
        }
        let _ = (core.seek(100), core.first_missing(0, u64::MAX), core.upgrade_nodes(0, head.length));
    }
    if let Ok(core) = store.create_core(CreateOptions::named("a")) {
        let _ = core.append(&[block(3)]);
        let _ = core.clear(0, 3);
        let _ = core.truncate(2, core.head().fork.saturating_add(1));
    }
    let _ = store.gc();
    let _ = store.flush();
}

/// Edits of the store's files: each takes a file, a place and bytes; or cuts the file off there.
pub fn files(data: &[u8]) {
    quiet();
    let mut image = IMAGE.clone();
    let names: Vec<String> = image.keys().cloned().collect();
    let mut input = Input::new(data);
    for _ in 0..16 {
        if input.is_empty() {
            break;
        }
        let (op, at) = (input.u8(), input.u32() as usize);
        let Some(file) = names.get(usize::from(op & 15) % names.len()).and_then(|n| image.get_mut(n)) else {
            continue;
        };
        let at = if op & 0x40 != 0 { at % 8192 } else { at } % file.len().max(1);
        if op & 0x80 != 0 {
            file.truncate(at);
        } else {
            let len = usize::from(input.u8());
            for (slot, b) in file.iter_mut().skip(at).zip(input.take(len)) {
                *slot = *b;
            }
        }
    }
    exercise(MemoryDisk::from_image(image));
}

#[derive(Debug)]
struct Backend(Arc<dyn DiskFile>);

impl redb::StorageBackend for Backend {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read_at(offset, out)
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        self.0.sync()
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.0.write_at(offset, data)
    }
}

// The tables of the store, as `bosc-store` defines them.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const CORES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("cores");
const PAGES: TableDefinition<'_, &[u8; 13], &[u8]> = TableDefinition::new("pages");
const SEGMENTS: TableDefinition<'_, u32, (u64, u64)> = TableDefinition::new("segments");

/// Rows of the tables whose values are the store's own encodings.
struct Rows {
    meta: Vec<(String, Vec<u8>)>,
    cores: Vec<(u32, Vec<u8>)>,
    pages: Vec<([u8; 13], Vec<u8>)>,
}

fn open(disk: &MemoryDisk) -> Database {
    let file = disk.open("bosc.redb", false).unwrap().unwrap();
    redb::Builder::new().set_cache_size(256 << 10).create_with_backend(Backend(file)).unwrap()
}

static ROWS: LazyLock<Rows> = LazyLock::new(|| {
    let db = open(&MemoryDisk::from_image(IMAGE.clone()));
    let txn = db.begin_read().unwrap();
    let (meta, cores, pages) =
        (txn.open_table(META).unwrap(), txn.open_table(CORES).unwrap(), txn.open_table(PAGES).unwrap());
    let rows = Rows {
        meta: meta
            .iter()
            .unwrap()
            .map(|r| r.unwrap())
            .map(|(k, v)| (k.value().into(), v.value().into()))
            .collect(),
        cores: cores
            .iter()
            .unwrap()
            .map(|r| r.unwrap())
            .map(|(k, v)| (k.value(), v.value().into()))
            .collect(),
        pages: pages
            .iter()
            .unwrap()
            .map(|r| r.unwrap())
            .map(|(k, v)| (*k.value(), v.value().into()))
            .collect(),
    };
    assert!(!rows.meta.is_empty() && rows.cores.len() == 2 && !rows.pages.is_empty());
    rows
});

/// Every value the store's own encoding is in, for the corpus: as steps of [`rows`].
pub fn row_values() -> Vec<(u8, Vec<u8>)> {
    let r = &*ROWS;
    let number = |table: u8, i: usize| table | (i as u8 & 31) << 3;
    let meta = r.meta.iter().enumerate().map(|(i, (_, v))| (number(0, i), v.clone()));
    let cores = r.cores.iter().enumerate().map(|(i, (_, v))| (number(1, i), v.clone()));
    let pages = r.pages.iter().enumerate().map(|(i, (_, v))| (number(2, i), v.clone()));
    meta.chain(cores).chain(pages).collect()
}

/// Rows of the database replaced by whatever bytes (one a step), in a database that is whole: record and page
/// decoders see them, no checksum of redb's does. The low three bits of a step's first byte choose the table, the
/// others the row.
pub fn rows(data: &[u8]) {
    quiet();
    let disk = MemoryDisk::from_image(IMAGE.clone());
    let db = open(&disk);
    let txn = db.begin_write().unwrap();
    {
        let mut meta = txn.open_table(META).unwrap();
        let mut cores = txn.open_table(CORES).unwrap();
        let mut pages = txn.open_table(PAGES).unwrap();
        let mut segments = txn.open_table(SEGMENTS).unwrap();
        let mut input = Input::new(data);
        for _ in 0..8 {
            let Some((op, value)) = input.step() else { break };
            let i = usize::from(op >> 3);
            match op & 7 {
                0 => {
                    let (key, _) = &ROWS.meta[i % ROWS.meta.len()];
                    meta.insert(key.as_str(), value).unwrap();
                }
                1 => drop(cores.insert(ROWS.cores[i % ROWS.cores.len()].0, value).unwrap()),
                2 | 3 => drop(pages.insert(&ROWS.pages[i % ROWS.pages.len()].0, value).unwrap()),
                4 => {
                    let mut v = Input::new(value);
                    drop(segments.insert(i as u32, (v.u64(), v.u64())).unwrap());
                }
                5 => drop(pages.remove(&ROWS.pages[i % ROWS.pages.len()].0).unwrap()),
                6 => drop(cores.remove(ROWS.cores[i % ROWS.cores.len()].0).unwrap()),
                _ => drop(cores.insert(u32::MAX - i as u32, value).unwrap()),
            }
        }
    }
    txn.commit().unwrap();
    drop(db);
    exercise(disk);
}

/// Whether the untouched image opens: otherwise the targets above would test nothing.
pub fn image_is_whole() -> bool {
    match Store::open_disk(Arc::new(MemoryDisk::from_image(IMAGE.clone())), options()) {
        Ok(store) => store.cores().is_ok_and(|c| c.len() == 2),
        Err(_) => false,
    }
}
