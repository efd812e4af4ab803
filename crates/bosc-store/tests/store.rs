//! The store as its users see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bosc_format::crypto::{KeyPair, leaf_hash};
use bosc_format::manifest::{Manifest, Verifier, assemble};
use bosc_format::proof::{NodeRequest, ProofRequest, UpgradeRequest};
use bosc_store::disk::MemoryDisk;
use bosc_store::{Applied, CoreChange, CreateOptions, ErrorKind, Options, Store};
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use support::Rng;

fn memory() -> Store {
    Store::memory(Options::default()).unwrap()
}

fn on(disk: &MemoryDisk) -> Store {
    Store::open_disk(Arc::new(disk.clone()), Options::default()).unwrap()
}

fn blocks(seed: u64, n: usize, max: u64) -> Vec<Bytes> {
    let mut rng = Rng(seed);
    (0..n)
        .map(|_| {
            let len = rng.below(max) as usize;
            rng.bytes(len).into()
        })
        .collect()
}

/// Moves blocks `which` of `from` to `to` as peers would.
fn replicate(from: &bosc_store::Core, to: &bosc_store::Core, which: impl IntoIterator<Item = u64>) {
    if to.length() < from.length() {
        let start = to.length();
        let upgrade = Some(UpgradeRequest { start, length: from.length() - start });
        let request = ProofRequest { upgrade, manifest: true, ..ProofRequest::default() };
        let proof = from.prove(&request).unwrap().unwrap();
        assert_eq!(to.apply(&proof).unwrap(), Applied::Stored { block: None, upgraded: true });
    }
    for index in which {
        let nodes = to.missing_nodes(2 * index).unwrap();
        let request = ProofRequest { block: Some(NodeRequest { index, nodes }), ..ProofRequest::default() };
        let proof = from.prove(&request).unwrap().unwrap();
        assert_eq!(to.apply(&proof).unwrap(), Applied::Stored { block: Some(index), upgraded: false });
    }
}

#[test]
fn appended_blocks_are_read_back_now_and_after_reopening() {
    let disk = MemoryDisk::new();
    let data = blocks(1, 300, 2000);
    let (key, head) = {
        let store = on(&disk);
        let core = store.create_core(CreateOptions::named("db")).unwrap();
        core.append(&data[..1]).unwrap();
        core.append(&data[1..7]).unwrap();
        let head = core.append(&data[7..]).unwrap();
        assert_eq!(head.length, 300);
        assert_eq!(head.byte_length, data.iter().map(|b| b.len() as u64).sum::<u64>());
        (*core.key(), head)
    };
    let store = on(&disk);
    let core = store.get_core(&key).unwrap().unwrap();
    assert_eq!(core.head(), head);
    assert!(Verifier::new(&key, core.manifest().as_deref()).unwrap().verify(&head));
    assert_eq!(core.contiguous_length(), 300);
    let mut offset = 0;
    for (i, b) in data.iter().enumerate() {
        let i = i as u64;
        assert_eq!(core.block(i).unwrap().as_ref(), Some(b), "block {i}");
        assert_eq!(core.leaf_hash(i).unwrap(), Some(leaf_hash(b)));
        assert_eq!(core.byte_offset(i).unwrap(), offset);
        offset += b.len() as u64;
    }
    assert_eq!(core.block(300).unwrap(), None);
    assert!(core.writable());
    // The same name is the same core, and its key pair the same.
    assert_eq!(store.create_core(CreateOptions::named("db")).unwrap().key(), &key);
    assert_eq!(core.key_pair().unwrap().public(), store.create_key_pair("db").public());
}

#[test]
fn key_pairs_are_those_of_corestore() {
    let store = memory();
    store.set_primary_key(&[7; 32]).unwrap();
    let named = bosc_format::corestore::key_pair(&[7; 32], &[0; 32], b"db");
    assert_eq!(store.create_key_pair("db").public(), named.public());
    let core = store.create_core(CreateOptions::named("db")).unwrap();
    assert_eq!(*core.key(), Manifest::single(named.public()).key());
    core.append(&["x".into()]).unwrap();
    assert_eq!(store.set_primary_key(&[8; 32]).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(*store.primary_key(), [7; 32]);
    assert!(!format!("{store:?}").contains("7, 7, 7"));
}

#[test]
fn random_and_given_key_pairs_are_kept() {
    let disk = MemoryDisk::new();
    let (a, b, c) = {
        let store = on(&disk);
        let a = store.create_core(CreateOptions::new()).unwrap();
        let pair = KeyPair::from_seed(&[3; 32]);
        let b = store.create_core(CreateOptions::with_key_pair(pair.clone())).unwrap();
        let c = store.create_core(CreateOptions::with_key_pair(pair.clone()).compat()).unwrap();
        assert_eq!(c.key(), &pair.public());
        for core in [&a, &b, &c] {
            core.append(&["1".into()]).unwrap();
        }
        (*a.key(), *b.key(), *c.key())
    };
    let store = on(&disk);
    assert_eq!(store.cores().unwrap().iter().map(|c| c.key).collect::<Vec<_>>(), [a, b, c]);
    for key in [a, b, c] {
        let core = store.get_core(&key).unwrap().unwrap();
        let head = core.append(&["2".into()]).unwrap();
        assert!(Verifier::new(&key, core.manifest().as_deref()).unwrap().verify(&head));
        assert_eq!(store.get_by_discovery_key(core.discovery_key()).unwrap().unwrap().key(), &key);
    }
}

#[test]
fn a_batch_moves_several_cores_in_one_step_or_not_at_all() {
    let disk = MemoryDisk::new();
    let store = on(&disk);
    let db = store.create_core(CreateOptions::named("db")).unwrap();
    let blobs = store.create_core(CreateOptions::named("blobs")).unwrap();
    let data = blocks(2, 200, 5000);
    {
        let mut dropped = store.batch();
        for b in &data {
            dropped.append_block(&blobs, b.clone()).unwrap();
        }
    }
    assert_eq!(store.stats().segment_bytes, 0, "what was dropped left bytes behind");
    assert_eq!(blobs.length(), 0);

    let mut batch = store.batch();
    for (i, b) in data.iter().enumerate() {
        assert_eq!(batch.append_block(&blobs, b.clone()).unwrap(), i as u64);
        if i % 3 == 0 {
            batch.append_hashed(&db, b.clone(), leaf_hash(b)).unwrap();
        }
    }
    batch.set_user_data(Some(&db), "index", Some(b"v1")).unwrap();
    assert_eq!(batch.length(&blobs), 200);
    assert_eq!(batch.block(&blobs, 5).unwrap().as_ref(), Some(&data[5]));
    assert_eq!((blobs.length(), db.length()), (0, 0));
    assert_eq!(blobs.block(5).unwrap(), None);
    assert_eq!(db.user_data("index").unwrap(), None);
    batch.commit().unwrap();
    assert_eq!((blobs.length(), db.length()), (200, 67));
    assert_eq!(db.user_data("index").unwrap().as_deref(), Some(&b"v1"[..]));
    assert!(batch.is_empty());
    batch.append_block(&db, "more".into()).unwrap();
    batch.commit().unwrap();
    assert_eq!(db.length(), 68);

    // Of two batches on one core, the second fails and changes nothing.
    let (mut one, mut two) = (store.batch(), store.batch());
    one.append_block(&db, "one".into()).unwrap();
    two.append_block(&db, "two".into()).unwrap();
    two.append_block(&blobs, "two".into()).unwrap();
    one.commit().unwrap();
    assert_eq!(two.commit().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!((blobs.length(), db.length()), (200, 69));
    drop((one, two, batch, db, blobs, store));
    let store = on(&disk);
    let lengths: Vec<_> = store.cores().unwrap().iter().map(|c| c.length).collect();
    assert_eq!(lengths, [69, 200]);
    let stats = store.stats();
    assert_eq!(stats.segment_bytes, stats.live_bytes);
}

#[test]
fn a_core_without_its_key_is_not_writable_and_takes_a_quorums_signature() {
    let store = memory();
    let pairs: Vec<_> = (1..4u8).map(|i| KeyPair::from_seed(&[i; 32])).collect();
    let keys: Vec<_> = pairs.iter().map(KeyPair::public).collect();
    let manifest = Manifest::multisig(&keys, 2, "test");
    let core = store.open_core(&manifest.key()).unwrap();
    core.set_manifest(manifest.clone()).unwrap();
    assert!(!core.writable());
    assert_eq!(core.append(&["x".into()]).unwrap_err().kind(), ErrorKind::NotWritable);
    assert_eq!(
        core.set_manifest(Manifest::single([1; 32])).unwrap_err().kind(),
        ErrorKind::Invalid,
        "a foreign manifest"
    );

    let data = [Bytes::from("a"), Bytes::from("b")];
    let mut batch = store.batch();
    for b in &data {
        batch.append_block(&core, b.clone()).unwrap();
    }
    let head = batch.head(&core);
    drop(batch);
    let verifier = Verifier::new(core.key(), Some(&manifest)).unwrap();
    let sign = |pairs: &[KeyPair]| {
        let parts: Vec<_> = pairs.iter().map(|p| verifier.sign_partial(&head, p).unwrap()).collect();
        assemble(&parts)
    };
    assert_eq!(core.append_signed(&data, sign(&pairs[..1])).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(core.length(), 0);
    core.append_signed(&data, sign(&pairs[..2])).unwrap();
    assert_eq!(core.block(1).unwrap().as_ref(), Some(&data[1]));
    // A signature of an earlier head does not fit a later one.
    assert_eq!(core.append_signed(&data, sign(&pairs[..2])).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_replica_takes_blocks_in_any_order_and_proves_them_on() {
    let (a, b, c) = (memory(), memory(), memory());
    let source = a.create_core(CreateOptions::named("x")).unwrap();
    let data = blocks(3, 500, 300);
    source.append(&data).unwrap();
    let disk = MemoryDisk::new();
    let order = {
        let mut rng = Rng(4);
        let mut order: Vec<u64> = (0..500).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, rng.below(i as u64 + 1) as usize);
        }
        order
    };
    {
        let store = on(&disk);
        let replica = store.open_core(source.key()).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let into = seen.clone();
        let subscription = replica.subscribe(Box::new(move |c| into.lock().unwrap().push(c)));
        replicate(&source, &replica, order[..250].iter().copied());
        assert_eq!(replica.info().blocks, 250);
        drop(subscription);
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        assert!(seen.contains(&CoreChange::Append { from: 0, length: 500 }));
        assert!(seen.contains(&CoreChange::Manifest));
        assert_eq!(seen.len(), 252);
        assert!(store.stats().pending_bytes > 0, "downloads are not synced one by one");
        store.flush().unwrap();
        assert_eq!(store.stats().pending_bytes, 0);
    }
    let store = on(&disk);
    let replica = store.open_core(source.key()).unwrap();
    assert_eq!(replica.head(), source.head());
    for i in 0..500u64 {
        assert_eq!(replica.has(i).unwrap(), order[..250].contains(&i));
        let words = replica.bitfield_words(i / 32 * 32, 1).unwrap();
        assert_eq!(words[0] >> (i % 32) & 1 == 1, order[..250].contains(&i));
    }
    replicate(&source, &replica, order[250..].iter().copied());
    assert_eq!(replica.contiguous_length(), 500);
    assert_eq!(replica.first_missing(0, 500).unwrap(), None);
    // A third one takes all from the second.
    let third = c.open_core(source.key()).unwrap();
    replicate(&replica, &third, 0..500);
    for (i, b) in data.iter().enumerate() {
        assert_eq!(third.block(i as u64).unwrap().as_ref(), Some(b));
    }
    // It goes on when the source grows.
    source.append(&data[..7]).unwrap();
    replicate(&source, &third, 500..507);
    assert_eq!(third.contiguous_length(), 507);
    drop(b);
}

#[test]
fn a_wrong_proof_stores_nothing_and_a_late_one_blames_nobody() {
    let (a, b) = (memory(), memory());
    let source = a.create_core(CreateOptions::named("x")).unwrap();
    source.append(&blocks(5, 20, 100)).unwrap();
    let replica = b.open_core(source.key()).unwrap();
    let request = ProofRequest {
        block: Some(NodeRequest { index: 3, nodes: 0 }),
        upgrade: Some(UpgradeRequest { start: 0, length: 20 }),
        manifest: true,
        ..ProofRequest::default()
    };
    let good = source.prove(&request).unwrap().unwrap();
    let mut bad = good.clone();
    bad.block.as_mut().unwrap().value = Bytes::from("evil");
    assert_eq!(replica.apply(&bad).unwrap_err().kind(), ErrorKind::Invalid);
    let mut unsigned = good.clone();
    unsigned.upgrade.as_mut().unwrap().signature[5] ^= 1;
    assert_eq!(replica.apply(&unsigned).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!((replica.length(), replica.info().blocks), (0, 0));
    assert!(b.cores().unwrap().is_empty(), "a core nothing is stored of has no record");
    replica.apply(&good).unwrap();
    assert!(replica.has(3).unwrap());
    assert!(matches!(replica.apply(&good).unwrap(), Applied::Stale(_)));
    // The same block again is fine and takes no more space.
    let used = b.stats().segment_bytes;
    let again = ProofRequest {
        block: Some(NodeRequest { index: 3, nodes: replica.missing_nodes(6).unwrap() }),
        ..ProofRequest::default()
    };
    replica.apply(&source.prove(&again).unwrap().unwrap()).unwrap();
    assert_eq!(b.stats().segment_bytes, used);
}

#[test]
fn truncating_and_growing_again_leaves_nothing_of_the_old_tree() {
    for (old, kept, new) in
        [(10, 3, 4), (100, 64, 40), (100, 63, 3), (700, 1, 900), (33, 0, 5), (600, 599, 1), (64, 32, 32)]
    {
        let disk = MemoryDisk::new();
        let store = on(&disk);
        let core = store.create_core(CreateOptions::named("x")).unwrap();
        let first = blocks(6, old, 50);
        let second = blocks(7, new, 50);
        core.append(&first).unwrap();
        assert_eq!(core.truncate(kept as u64, 0).unwrap_err().kind(), ErrorKind::Argument);
        let head = core.truncate(kept as u64, 4).unwrap();
        assert_eq!((head.length, head.fork), (kept as u64, 4));
        for i in kept..old {
            assert!(!core.has(i as u64).unwrap());
            assert_eq!(core.block(i as u64).unwrap(), None);
        }
        core.append(&second).unwrap();
        drop(core);
        drop(store);
        let store = on(&disk);
        let core = store.create_core(CreateOptions::named("x")).unwrap();
        let all = [&first[..kept], &second[..]].concat();
        assert_eq!(core.length(), all.len() as u64);
        // A fresh core with the same blocks has the same tree, node by node.
        let other = memory();
        let fresh = other.create_core(CreateOptions::named("x")).unwrap();
        fresh.append(&all).unwrap();
        for index in 0..2 * (old + new) as u64 {
            assert_eq!(core.node(index).unwrap(), fresh.node(index).unwrap(), "node {index}");
        }
        for (i, b) in all.iter().enumerate() {
            assert_eq!(core.block(i as u64).unwrap().as_ref(), Some(b));
        }
        assert_eq!(store.stats().live_bytes, core.head().byte_length);
    }
}

/// What is read for peers before they are answered counts only as far as it is still here then.
#[test]
fn what_was_read_ahead_is_served_as_long_as_it_is_here() {
    let store = memory();
    let core = store.create_core(CreateOptions::named("x")).unwrap();
    core.append(&blocks(3, 200, 60)).unwrap();
    let all: Vec<u64> = (0..200).collect();
    let request =
        |index| ProofRequest { block: Some(NodeRequest { index, nodes: 0 }), ..ProofRequest::default() };
    let ahead = core.read_ahead(&all, 1 << 20);
    assert!(ahead.holds(0) && ahead.holds(63) && !ahead.holds(64), "so many at a time");
    let served = |index| core.prove_ahead(&request(index), &ahead).map(|proof| proof.is_some());
    assert!(served(5).unwrap() && served(6).unwrap());
    core.clear(5, 6).unwrap();
    assert!(!served(5).unwrap() && served(6).unwrap(), "it was given up meanwhile");
    assert!(!core.read_ahead(&[5, 6], 1 << 20).holds(5));
    assert!(core.read_ahead(&[6, 5], 1 << 20).holds(6));
    store.remove_core(core.key()).unwrap();
    assert_eq!(served(6).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(core.read_ahead(&[6], 1 << 20).is_empty());
}

#[test]
fn a_reorg_keeps_what_both_trees_share() {
    for (shared, old, new) in [(0u64, 20, 30), (5, 20, 30), (17, 40, 3), (64, 3, 80), (33, 1, 1), (8, 0, 5)] {
        let (a, b) = (memory(), memory());
        let source = a.create_core(CreateOptions::named("x")).unwrap();
        let common = blocks(8, shared as usize, 60);
        source.append(&[common.clone(), blocks(9, old, 60)].concat()).unwrap();
        let replica = b.open_core(source.key()).unwrap();
        replicate(&source, &replica, 0..source.length());
        source.truncate(shared, 1).unwrap();
        let after = blocks(10, new, 60);
        source.append(&after).unwrap();

        let request = ProofRequest {
            upgrade: Some(UpgradeRequest { start: 0, length: source.length() }),
            ..ProofRequest::default()
        };
        let proof = source.prove(&request).unwrap().unwrap();
        assert!(matches!(replica.apply(&proof).unwrap(), Applied::Stale(_)));
        let mut reorg = replica.begin_reorg(&proof).unwrap();
        let mut rounds = 0;
        while let Some(want) = reorg.want() {
            rounds += 1;
            assert!(rounds < 40);
            let index = want.start.min(source.length() - 1) * 2;
            let hash = Some(NodeRequest { index, nodes: want.nodes });
            let proof = source.prove(&ProofRequest { hash, ..ProofRequest::default() }).unwrap().unwrap();
            reorg.update(&proof).unwrap();
        }
        let late = reorg.clone();
        let head = reorg.apply().unwrap();
        assert_eq!(head, source.head());
        // One that was begun before the core changed has nothing to stand on any more.
        assert_eq!(late.apply().unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(replica.head(), head);
        for i in 0..shared {
            assert_eq!(replica.block(i).unwrap().as_ref(), Some(&common[i as usize]), "shared block {i}");
        }
        for i in shared..source.length() {
            assert!(!replica.has(i).unwrap(), "block {i} is of the old fork");
        }
        replicate(&source, &replica, shared..source.length());
        for (i, b) in common.iter().chain(&after).enumerate() {
            assert_eq!(replica.block(i as u64).unwrap().as_ref(), Some(b));
        }
        assert_eq!(b.stats().live_bytes, source.head().byte_length);
    }
}

#[test]
fn cleared_blocks_give_their_space_back() {
    let disk = MemoryDisk::new();
    let mut options = Options::default();
    options.segment_bytes = 10_000;
    let store = Store::open_disk(Arc::new(disk.clone()), options.clone()).unwrap();
    let core = store.create_core(CreateOptions::named("x")).unwrap();
    let other = store.create_core(CreateOptions::named("y")).unwrap();
    let data: Vec<Bytes> = (0..100u8).map(|i| vec![i; 1000].into()).collect();
    for b in &data {
        core.append(std::slice::from_ref(b)).unwrap();
        other.append(&[Bytes::from_static(b"keep me")]).unwrap();
    }
    let files = || disk.image().keys().filter(|n| n.ends_with(".seg")).count();
    let before = files();
    assert!(before >= 10);
    assert_eq!(core.clear(10, 90).unwrap(), 80);
    assert_eq!(core.clear(10, 90).unwrap(), 0);
    assert_eq!(core.contiguous_length(), 10);
    assert_eq!(core.info().blocks, 20);
    assert_eq!(core.block(50).unwrap(), None);
    assert!(core.leaf_hash(50).unwrap().is_some(), "the tree stays");
    let collected = store.gc().unwrap();
    assert!(collected.freed_bytes > 60_000, "{collected:?}");
    assert!(files() < before / 2, "{} of {before} segments left", files());
    drop((core, other, store));
    let store = Store::open_disk(Arc::new(disk.clone()), options).unwrap();
    let core = store.create_core(CreateOptions::named("x")).unwrap();
    for i in (0..10).chain(90..100u64) {
        assert_eq!(core.block(i).unwrap().as_ref(), Some(&data[i as usize]));
    }
    let other = store.create_core(CreateOptions::named("y")).unwrap();
    for i in 0..100 {
        assert_eq!(other.block(i).unwrap().as_deref(), Some(&b"keep me"[..]));
    }
    // Everything cleared: no segment is left.
    core.clear(0, 100).unwrap();
    store.remove_core(&{ *other.key() }).unwrap();
    store.gc().unwrap();
    assert_eq!(store.stats().live_bytes, 0);
    drop((core, other, store));
    let store = on(&disk);
    store.flush().unwrap();
    assert_eq!(store.stats().segment_bytes, 0);
    assert_eq!(files(), 0);
}

#[test]
fn a_removed_core_is_gone_and_can_be_made_again() {
    let disk = MemoryDisk::new();
    let store = on(&disk);
    let core = store.create_core(CreateOptions::named("x")).unwrap();
    core.append(&blocks(11, 100, 100)).unwrap();
    core.set_user_data("k", Some(b"v")).unwrap();
    let key = *core.key();
    store.remove_core(&key).unwrap();
    assert_eq!(core.append(&["x".into()]).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(store.get_core(&key).unwrap().is_none());
    assert_eq!(store.remove_core(&key).unwrap_err().kind(), ErrorKind::NotFound);
    let again = store.create_core(CreateOptions::named("x")).unwrap();
    assert_eq!((again.length(), again.user_data("k").unwrap()), (0, None));
    again.append(&["new".into()]).unwrap();
    drop((core, again, store));
    let store = on(&disk);
    assert_eq!(store.cores().unwrap().len(), 1);
    assert_eq!(store.get_core(&key).unwrap().unwrap().block(0).unwrap().as_deref(), Some(&b"new"[..]));
}

#[test]
fn damage_on_disk_is_found_not_served() {
    let disk = MemoryDisk::new();
    {
        let core = on(&disk).create_core(CreateOptions::named("x")).unwrap();
        core.append(&[vec![1; 1000].into(), vec![2; 1000].into()]).unwrap();
    }
    let mut image = disk.image();
    image.get_mut("data/000001.seg").unwrap()[1500] ^= 1;
    let core = on(&MemoryDisk::from_image(image.clone())).create_core(CreateOptions::named("x")).unwrap();
    assert!(core.block(0).is_ok());
    assert_eq!(core.block(1).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(core.block(1).unwrap(), None, "what was found damaged is not here any more");
    assert!(!core.has(1).unwrap());
    image.get_mut("data/000001.seg").unwrap().truncate(1200);
    let core = on(&MemoryDisk::from_image(image.clone())).create_core(CreateOptions::named("x")).unwrap();
    assert_eq!(core.block(1).unwrap_err().kind(), ErrorKind::Corrupt);
    image.remove("data/000001.seg");
    let core = on(&MemoryDisk::from_image(image.clone())).create_core(CreateOptions::named("x")).unwrap();
    assert_eq!(core.block(0).unwrap_err().kind(), ErrorKind::Corrupt);
    // A database that is none: the store says so and does not make a new one over it.
    image.get_mut("bosc.redb").unwrap()[..16].fill(0);
    let open = |image| Store::open_disk(Arc::new(MemoryDisk::from_image(image)), Options::default());
    assert_eq!(open(image.clone()).unwrap_err().kind(), ErrorKind::Corrupt);
    // A newer format is left alone.
    image.insert("FORMAT".into(), b"bosc-store 2\n".to_vec());
    assert_eq!(open(image).unwrap_err().kind(), ErrorKind::NewerVersion);
}

#[test]
fn threads_append_stage_download_and_read_at_once() {
    let remote = memory();
    let source = remote.create_core(CreateOptions::named("far")).unwrap();
    let far = blocks(12, 400, 3000);
    source.append(&far).unwrap();
    let mut options = Options::default();
    options.pending_bytes = 100_000;
    options.page_cache_bytes = 50_000;
    options.segment_bytes = 100_000;
    let disk = MemoryDisk::new();
    let store = Store::open_disk(Arc::new(disk.clone()), options).unwrap();
    let near = store.create_core(CreateOptions::named("near")).unwrap();
    let staged = store.create_core(CreateOptions::named("staged")).unwrap();
    let replica = store.open_core(source.key()).unwrap();
    replicate(&source, &replica, []);
    std::thread::scope(|s| {
        for t in 0..2u64 {
            let (near, replica, source) = (near.clone(), replica.clone(), source.clone());
            s.spawn(move || {
                for i in 0..100u64 {
                    near.append(&[vec![t as u8; i as usize].into()]).unwrap();
                }
            });
            s.spawn(move || replicate(&source, &replica, (0..400).filter(|i| i % 2 == t)));
        }
        s.spawn(|| {
            for _ in 0..10 {
                let mut batch = store.batch();
                for i in 0..50u8 {
                    batch.append_block(&staged, vec![i; 700].into()).unwrap();
                }
                batch.commit().unwrap();
            }
        });
        s.spawn(|| {
            for i in 0..2000u64 {
                for core in [&near, &staged, &replica] {
                    let at = i % (core.length() + 1);
                    if core.has(at).unwrap() {
                        assert!(core.block(at).unwrap().is_some());
                    }
                }
            }
        });
        s.spawn(|| {
            for _ in 0..20 {
                store.flush().unwrap();
            }
        });
    });
    let check = |store: &Store| {
        let (near, staged) = (
            store.create_core(CreateOptions::named("near")).unwrap(),
            store.create_core(CreateOptions::named("staged")).unwrap(),
        );
        let replica = store.open_core(source.key()).unwrap();
        assert_eq!((near.length(), staged.length(), replica.contiguous_length()), (200, 500, 400));
        for (core, length) in [(&near, 200), (&staged, 500), (&replica, 400)] {
            for i in 0..length {
                assert!(core.block(i).unwrap().is_some());
            }
        }
    };
    check(&store);
    drop((near, staged, replica, store));
    check(&on(&disk));
}

#[test]
fn a_batch_larger_than_memory_puts_pages_aside_and_leaves_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.pending_bytes = 50_000;
    let block = |i: u64| Bytes::from(i.to_le_bytes().repeat(1 + i as usize % 5));
    {
        let store = Store::open(dir.path(), options.clone()).unwrap();
        let core = store.create_core(CreateOptions::named("x")).unwrap();
        core.append(&(0..37).map(block).collect::<Vec<_>>()).unwrap();
        let mut batch = store.batch();
        for i in 37..20_000 {
            batch.append_block(&core, block(i)).unwrap();
        }
        assert_eq!(batch.block(&core, 100).unwrap(), Some(block(100)));
        // Blocks come and go meanwhile.
        core.clear(30, 33).unwrap();
        assert_eq!((core.length(), core.block(100).unwrap()), (37, None));
        batch.commit().unwrap();
        assert_eq!(core.contiguous_length(), 30);
        assert_eq!(core.info().blocks, 19_997);
        let mut dropped = store.batch();
        for i in 0..5000 {
            dropped.append_block(&core, block(i)).unwrap();
        }
        drop(dropped);
        core.append(&[block(20_000)]).unwrap();
    }
    let store = Store::open(dir.path(), options).unwrap();
    let core = store.create_core(CreateOptions::named("x")).unwrap();
    let mut appender = bosc_format::merkle::Appender::default();
    for i in 0..20_001 {
        let kept = !(30..33).contains(&i);
        assert_eq!(core.block(i).unwrap(), kept.then(|| block(i)), "block {i}");
        appender.append_block(&block(i)).unwrap();
    }
    assert_eq!(core.head().tree_hash(), appender.tree_hash());
    for node in appender.nodes() {
        assert_eq!(core.node(node.index).unwrap(), Some(*node));
    }
    drop((core, store));
    // Page rows start with the core's number, big endian: none but core 1 may be left.
    let db = redb::Database::open(dir.path().join("bosc.redb")).unwrap();
    let txn = redb::ReadableDatabase::begin_read(&db).unwrap();
    let pages = txn.open_table(redb::TableDefinition::<&[u8; 13], &[u8]>::new("pages")).unwrap();
    assert!(
        redb::ReadableTable::iter(&pages).unwrap().all(|row| row.unwrap().0.value()[..4] == [0, 0, 0, 1])
    );
}

#[test]
fn staging_goes_on_after_the_disk_was_full() {
    let disk = support::FaultyDisk::default();
    let store = Store::open_disk(Arc::new(disk.clone()), Options::default()).unwrap();
    let core = store.create_core(CreateOptions::named("x")).unwrap();
    // Some are gathered, some written at once.
    let data = blocks(20, 100, 40_000);
    let mut batch = store.batch();
    let mut refused = 0;
    for (i, b) in data.iter().enumerate() {
        disk.faults.arm(0, u64::MAX, true);
        let result = batch.append_block(&core, b.clone());
        disk.faults.heal();
        match result {
            Ok(index) => assert_eq!(index, i as u64),
            Err(e) => {
                refused += 1;
                assert_eq!(e.kind(), ErrorKind::Full);
                assert_eq!(batch.append_block(&core, b.clone()).unwrap(), i as u64);
            }
        }
        for j in (0..=i).step_by(7) {
            assert_eq!(batch.block(&core, j as u64).unwrap().as_ref(), Some(&data[j]), "block {j} after {i}");
        }
    }
    assert!((30..100).contains(&refused), "{refused} refused");
    disk.faults.arm(0, u64::MAX, false);
    assert!(batch.commit().is_err());
    disk.faults.heal();
    store.flush().unwrap();
    match batch.commit() {
        Ok(()) => {}
        // The commit's fate was unknown; it is settled now.
        Err(e) => assert_eq!(e.kind(), ErrorKind::Conflict),
    }
    if core.length() == 0 {
        core.append(&data).unwrap();
    }
    for (i, b) in data.iter().enumerate() {
        assert_eq!(core.block(i as u64).unwrap().as_ref(), Some(b));
    }
    let stats = store.stats();
    assert_eq!(stats.live_bytes, core.head().byte_length);
}

#[test]
fn huge_lengths_cost_nothing() {
    // A head may claim any length: nothing may walk through it.
    let (a, b) = (memory(), memory());
    let pair = KeyPair::from_seed(&[5; 32]);
    let manifest = Manifest::single(pair.public());
    let verifier = Verifier::new(&manifest.key(), Some(&manifest)).unwrap();
    let root = bosc_format::merkle::Node { index: (1 << 50) - 1, size: 1 << 50, hash: [7; 32] };
    let mut head = bosc_format::merkle::Head {
        length: 1 << 50,
        byte_length: 1 << 50,
        roots: vec![root],
        ..Default::default()
    };
    head.signature = verifier.sign(&head, &pair).unwrap();
    let proof = bosc_format::proof::Proof {
        upgrade: Some(bosc_format::proof::UpgradeProof {
            start: 0,
            length: 1 << 50,
            nodes: vec![root],
            additional_nodes: vec![],
            signature: head.signature.clone(),
        }),
        manifest: Some(manifest.clone()),
        ..Default::default()
    };
    for store in [&a, &b] {
        let core = store.open_core(&manifest.key()).unwrap();
        core.apply(&proof).unwrap();
        assert_eq!(core.length(), 1 << 50);
        assert_eq!(core.first_missing(0, u64::MAX).unwrap(), Some(0));
        assert_eq!(core.bitfield_words(1 << 49, 1000).unwrap(), vec![0; 1000]);
        assert!(core.bitfield_words(0, 1 << 20).is_err());
        assert!(!core.has(1 << 49).unwrap());
        assert!(core.byte_offset(12345).is_err());
        core.seek(12345).unwrap();
        core.missing_nodes(2 << 40).unwrap();
        assert_eq!(core.clear(0, u64::MAX).unwrap(), 0);
        store.gc().unwrap();
        store.remove_core(&manifest.key()).unwrap();
    }
}
