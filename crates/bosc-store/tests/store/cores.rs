//! Cores that are written here.

use super::*;

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
