//! Rot in segments: never served, found, fetched again; and what a store keeps meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bosc_format::merkle::Appender;
use bosc_format::proof::{NodeRequest, ProofRequest, UpgradeRequest};
use bosc_store::disk::MemoryDisk;
use bosc_store::{Applied, Core, CoreChange, CreateOptions, ErrorKind, Options, ReadAhead, Store};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use support::Rng;

type Image = BTreeMap<String, Vec<u8>>;

fn options() -> Options {
    let mut o = Options::default();
    o.segment_bytes = 3000;
    o.database_cache_bytes = 256 << 10;
    o.background = false;
    o
}

fn open(image: &Image) -> Store {
    Store::open_disk(Arc::new(MemoryDisk::from_image(image.clone())), options()).unwrap()
}

fn blocks() -> Vec<Bytes> {
    let mut rng = Rng(3);
    (0..40)
        .map(|_| {
            let len = 1 + rng.below(400) as usize;
            rng.bytes(len).into()
        })
        .collect()
}

/// The folder of a store that writes the core, or of one that fetched it.
fn image(own: bool) -> Image {
    let disk = MemoryDisk::new();
    let store = Store::open_disk(Arc::new(disk.clone()), options()).unwrap();
    if own {
        store.set_primary_key(&[1; 32]).unwrap();
        store.create_core(CreateOptions::named("x")).unwrap().append(&blocks()).unwrap();
    } else {
        let (_keep, source) = whole();
        let core = store.open_core(source.key()).unwrap();
        let upgrade = Some(UpgradeRequest { start: 0, length: source.length() });
        let request = ProofRequest { upgrade, manifest: true, ..ProofRequest::default() };
        core.apply(&source.prove(&request).unwrap().unwrap()).unwrap();
        repair(&core, &source, 0..40);
    }
    drop(store);
    disk.image()
}

fn whole() -> (Store, Core) {
    let store = Store::memory(Options::default()).unwrap();
    store.set_primary_key(&[1; 32]).unwrap();
    let core = store.create_core(CreateOptions::named("x")).unwrap();
    core.append(&blocks()).unwrap();
    (store, core)
}

/// Fetches blocks from a peer that has them.
fn repair(core: &Core, source: &Core, blocks: impl IntoIterator<Item = u64>) {
    for index in blocks {
        let block = Some(NodeRequest { index, nodes: core.missing_nodes(2 * index).unwrap() });
        let proof = source.prove(&ProofRequest { block, ..ProofRequest::default() }).unwrap().unwrap();
        assert_eq!(core.apply(&proof).unwrap(), Applied::Stored { block: Some(index), upgraded: false });
    }
}

/// Checks the whole core in steps of `step` bytes.
fn check(core: &Core, step: u64) -> (Vec<u64>, u64, u64) {
    let (mut at, mut damaged, mut good, mut restored) = (Some(0), Vec::new(), 0, 0);
    while let Some(from) = at {
        let found = core.check_blocks(from, step).unwrap();
        damaged.extend(found.damaged);
        good += found.blocks;
        restored += found.restored;
        assert!(found.next.is_none_or(|next| next > from), "no progress");
        at = found.next;
    }
    (damaged, good, restored)
}

/// A peer may be given a proof with the right block, or none.
fn serves(core: &Core, index: u64) -> Option<Bytes> {
    serves_ahead(core, index, &ReadAhead::default())
}

fn serves_ahead(core: &Core, index: u64, ahead: &ReadAhead) -> Option<Bytes> {
    let block = Some(NodeRequest { index, nodes: 0 });
    let proof = core.prove_ahead(&ProofRequest { block, ..ProofRequest::default() }, ahead).unwrap()?;
    Some(proof.block.unwrap().value)
}

#[derive(Debug, Clone)]
enum Rot {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Remove,
}

fn rots() -> impl Strategy<Value = Vec<(prop::sample::Index, Rot)>> {
    let index = any::<prop::sample::Index>;
    let rot = prop_oneof![
        6 => (index(), 0..8u8).prop_map(|(at, bit)| Rot::Flip(at, bit)),
        1 => index().prop_map(Rot::Cut),
        1 => Just(Rot::Remove),
    ];
    prop::collection::vec((index(), rot), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Bytes of any segment changed, cut off or gone: no wrong byte gets out by any way; the check finds exactly what is
    /// wrong; a peer mends it; what was signed stays.
    #[test]
    fn rot_is_never_served_is_found_and_is_mended(
        rots in rots(), own: bool, step in 1..5000u64, way in 0..4u8, reopen: bool,
    ) {
        let mut image = image(own);
        let names: Vec<String> = image.keys().filter(|n| n.ends_with(".seg")).cloned().collect();
        for (which, rot) in &rots {
            let name = which.get(&names);
            let Some(bytes) = image.get_mut(name).filter(|b| !b.is_empty()) else { continue };
            match rot {
                Rot::Flip(at, bit) => {
                    let at = at.index(bytes.len());
                    bytes[at] ^= 1 << bit;
                }
                Rot::Cut(at) => bytes.truncate(at.index(bytes.len())),
                Rot::Remove => {
                    image.remove(name);
                }
            }
        }
        let right = blocks();
        let disk = MemoryDisk::from_image(image.clone());
        let mut store = Store::open_disk(Arc::new(disk.clone()), options()).unwrap();
        let (_keep, source) = whole();
        let mut core = store.open_core(source.key()).unwrap();
        let head = core.head();
        let told = Arc::new(Mutex::new(Vec::new()));
        let listen = |core: &Core| {
            let told = told.clone();
            core.subscribe(Box::new(move |change| {
                if let CoreChange::Damaged { start, end } = change {
                    told.lock().unwrap().extend(start..end);
                }
            }))
        };
        let subscription = listen(&core);
        let mut gone = Vec::new();
        let mut ahead = ReadAhead::default();
        let mut at = 0;
        while at < 40 {
            let group: Vec<u64> = (at..40).take(7).collect();
            if way == 3 && !ahead.holds(at) {
                ahead = core.read_ahead(&group, 1500);
            }
            let got = match way {
                0 => Ok(serves(&core, at).into_iter().collect()),
                1 => core.block(at).map(Vec::from_iter),
                2 => core.blocks(&group, 1500),
                _ => Ok(serves_ahead(&core, at, &ahead).into_iter().collect()),
            };
            match got {
                Ok(some) if !some.is_empty() => {
                    for block in some {
                        prop_assert_eq!(&block, &right[at as usize]);
                        at += 1;
                    }
                    continue;
                }
                Ok(_) => prop_assert!(way == 0 || way == 3, "nobody has looked yet"),
                Err(e) => prop_assert_eq!(e.kind(), ErrorKind::Corrupt),
            }
            gone.push(at);
            at += 1;
        }
        prop_assert_eq!(told.lock().unwrap().clone(), gone.clone());
        drop(subscription);
        if reopen {
            drop((core, store));
            store = Store::open_disk(Arc::new(disk.clone()), options()).unwrap();
            core = store.open_core(source.key()).unwrap();
        }
        prop_assert_eq!(core.damaged_blocks(100).unwrap(), gone.clone());
        for i in 0..40 {
            prop_assert_eq!(core.has(i).unwrap(), !gone.contains(&i));
            prop_assert_eq!(core.block(i).unwrap().is_none(), gone.contains(&i));
            prop_assert_eq!(serves(&core, i).is_none(), gone.contains(&i));
        }
        prop_assert_eq!(core.info().blocks, 40 - gone.len() as u64);
        let (damaged, good, restored) = check(&core, step);
        prop_assert_eq!(&damaged, &gone);
        prop_assert_eq!((good, restored), (40 - gone.len() as u64, 0));
        prop_assert_eq!(core.head(), head.clone());
        // Another store that only checks finds the same.
        let other = open(&image);
        let (found, ..) = check(&other.open_core(source.key()).unwrap(), step);
        prop_assert_eq!(&found, &gone);
        // Packing the store does not lose what is right, or fail.
        store.gc().unwrap();
        repair(&core, &source, gone.iter().copied());
        prop_assert_eq!(core.damage().mended, gone.len() as u64);
        prop_assert_eq!(core.contiguous_length(), 40);
        prop_assert_eq!(core.info().block_bytes, core.head().byte_length);
        drop((core, store));
        let store = Store::open_disk(Arc::new(disk), options()).unwrap();
        let core = store.open_core(source.key()).unwrap();
        prop_assert_eq!(check(&core, step), (Vec::new(), 40, 0));
        let mut appender = Appender::default();
        for (i, b) in right.iter().enumerate() {
            prop_assert_eq!(core.block(i as u64).unwrap(), Some(b.clone()));
            appender.append_block(b).unwrap();
        }
        prop_assert_eq!(appender.tree_hash(), head.tree_hash());
        prop_assert_eq!(core.head(), head);
        prop_assert_eq!(store.stats().live_bytes, core.head().byte_length);
    }
}

/// Bytes of all segments, one after the other.
#[test]
fn a_flip_anywhere_is_found() {
    let whole = image(true);
    let key = *self::whole().1.key();
    for name in whole.keys().filter(|n| n.ends_with(".seg")) {
        for at in (0..whole[name].len()).step_by(5) {
            let mut image = whole.clone();
            image.get_mut(name).unwrap()[at] ^= 1 << (at % 8);
            let store = open(&image);
            let core = store.open_core(&key).unwrap();
            let (damaged, good, _) = check(&core, 1 << 20);
            assert_eq!((damaged.len(), good), (1, 39), "{name} at {at}");
            assert_eq!(serves(&core, damaged[0]), None);
        }
    }
}

#[test]
fn bytes_that_come_back_are_blocks_again() {
    let whole = image(true);
    let key = *self::whole().1.key();
    let mut image = whole.clone();
    let lost = image.remove("data/000002.seg").unwrap();
    let disk = MemoryDisk::from_image(image);
    let missing = {
        let store = Store::open_disk(Arc::new(disk.clone()), options()).unwrap();
        let core = store.open_core(&key).unwrap();
        let (damaged, ..) = check(&core, 1000);
        assert!(damaged.len() > 5);
        // It is written to meanwhile, and packed.
        let core = store.create_core(CreateOptions::named("x")).unwrap();
        core.append(&[Bytes::from_static(b"more")]).unwrap();
        store.gc().unwrap();
        damaged
    };
    // The file is found and put back.
    let mut image = disk.image();
    assert!(!image.contains_key("data/000002.seg"));
    image.insert("data/000002.seg".into(), lost);
    let store = open(&image);
    let core = store.open_core(&key).unwrap();
    assert_eq!(core.damaged_blocks(1000).unwrap(), missing);
    assert_eq!(core.count_damaged().unwrap(), missing.len() as u64);
    let (damaged, good, restored) = check(&core, 1000);
    assert_eq!((damaged, good, restored), (Vec::new(), 41, missing.len() as u64));
    assert_eq!(core.contiguous_length(), 41);
    for (i, b) in blocks().iter().enumerate() {
        assert_eq!(core.block(i as u64).unwrap().as_ref(), Some(b));
    }
}

#[test]
fn a_device_that_cannot_read_is_not_rot() {
    let disk = support::FaultyDisk { disk: MemoryDisk::from_image(image(true)), ..Default::default() };
    let store = Store::open_disk(Arc::new(disk.clone()), options()).unwrap();
    let core = store.open_core(whole().1.key()).unwrap();
    // Everything of the database is in memory by now.
    check(&core, 1 << 20);
    disk.faults.reads.store(true, std::sync::atomic::Ordering::SeqCst);
    disk.faults.arm(0, u64::MAX, false);
    assert_eq!(core.block(3).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(serves(&core, 3), None);
    disk.faults.heal();
    assert!(core.has(3).unwrap());
    assert_eq!(core.damage(), Default::default());
    assert_eq!(core.block(3).unwrap(), Some(blocks()[3].clone()));
}

/// Whoever checks in steps can stop between them, whatever is wrong with the blocks.
#[test]
fn a_step_of_a_check_ends_whatever_the_blocks_are_like() {
    let mut image = image(true);
    for (_, bytes) in image.iter_mut().filter(|(name, _)| name.ends_with(".seg")) {
        bytes.fill(0);
    }
    let disk = support::FaultyDisk { disk: MemoryDisk::from_image(image), ..Default::default() };
    let store = Store::open_disk(Arc::new(disk.clone()), options()).unwrap();
    let core = store.open_core(whole().1.key()).unwrap();
    for known in [false, true] {
        let step = core.check_blocks(0, 5 * 4096).unwrap();
        assert_eq!((step.next, step.damaged_count), (Some(5), 5), "known before: {known}");
    }
    check(&core, 1 << 20);
    disk.faults.reads.store(true, std::sync::atomic::Ordering::SeqCst);
    disk.faults.arm(0, u64::MAX, false);
    let step = core.check_blocks(0, 5 * 4096).unwrap();
    assert_eq!((step.next, step.unreadable), (Some(5), vec![0, 1, 2, 3, 4]));
    let step = core.check_blocks(0, u64::MAX).unwrap();
    assert_eq!((step.next, step.unreadable.len()), (Some(16), 16));
}

#[test]
fn truncation_and_clearing_count_damaged_blocks_right() {
    let mut image = image(true);
    image.get_mut("data/000001.seg").unwrap().fill(0);
    let store = open(&image);
    let core = store.create_core(CreateOptions::named("x")).unwrap();
    let (damaged, good, _) = check(&core, 1 << 20);
    assert_eq!(damaged.len() as u64 + good, 40);
    // Of the damaged ones some are cleared, some cut off; nothing is counted twice.
    assert_eq!(core.clear(0, 2).unwrap(), 0);
    assert_eq!(core.damaged_blocks(100).unwrap(), damaged[2..]);
    core.truncate(4, 1).unwrap();
    assert_eq!(core.damaged_blocks(100).unwrap(), [2, 3]);
    assert_eq!((core.info().blocks, core.info().block_bytes), (0, 0));
    core.append(&[Bytes::from_static(b"new")]).unwrap();
    assert_eq!((core.info().blocks, core.info().block_bytes), (1, 3));
    core.clear(0, 5).unwrap();
    store.gc().unwrap();
    assert_eq!(store.stats().live_bytes, 0);
}

#[test]
fn what_was_read_ahead_is_not_served_once_the_core_has_another_block_there() {
    let (_keep, core) = whole();
    let ahead = core.read_ahead(&(0..40).collect::<Vec<_>>(), 1 << 20);
    assert!(ahead.holds(39));
    let block = core.block(12).unwrap().unwrap();
    assert_eq!(serves_ahead(&core, 12, &ahead), Some(block));
    core.truncate(10, 1).unwrap();
    let others: Vec<Bytes> = (0..30u8).map(|i| vec![i; 100].into()).collect();
    core.append(&others).unwrap();
    assert_eq!(serves_ahead(&core, 12, &ahead), Some(others[2].clone()));
}

#[test]
fn a_group_is_what_fits_and_is_here() {
    let (_keep, core) = whole();
    let all: Vec<u64> = (0..40).collect();
    let right = blocks();
    assert_eq!(core.blocks(&[], 1000).unwrap(), Vec::<Bytes>::new());
    assert_eq!(core.blocks(&all, usize::MAX).unwrap(), right);
    assert_eq!(core.blocks(&all, 0).unwrap(), right[..1], "at least one");
    let two = right[0].len() + right[1].len();
    assert_eq!(core.blocks(&all, two).unwrap(), right[..2]);
    assert_eq!(core.blocks(&[7, 3, 99, 4], usize::MAX).unwrap(), [right[7].clone(), right[3].clone()]);
    core.clear(5, 6).unwrap();
    assert_eq!(core.blocks(&all, usize::MAX).unwrap(), right[..5]);
    assert_eq!(core.blocks(&all[5..], usize::MAX).unwrap(), Vec::<Bytes>::new(), "the first is not here");
}
