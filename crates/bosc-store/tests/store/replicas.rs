//! Cores that come from peers.

use super::*;
use bosc_store::ReadAhead;
use bosc_store::disk::Disk;

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

/// Whether two are the same piece of memory.
fn same(a: &Bytes, b: &Bytes) -> bool {
    a.as_ptr() == b.as_ptr()
}

#[test]
fn a_large_block_that_somebody_has_is_not_read_again() {
    let store = memory();
    let core = store.create_core(CreateOptions::named("x")).unwrap();
    let large: Vec<Bytes> = (1..4u8).map(|n| vec![n; 200 << 10].into()).collect();
    core.append(&large).unwrap();
    let mut ahead = ReadAhead::default();
    let mut served = |index, max| {
        core.read_more(&mut ahead, &[index, index + 1], max);
        let what = ProofRequest { block: Some(NodeRequest { index, nodes: 0 }), ..ProofRequest::default() };
        let proof = core.prove_ahead(&what, &ahead).unwrap();
        let held = (ahead.holds(index), ahead.holds(index + 1));
        ahead.rest();
        (proof.map(|p| p.block.unwrap().value), held)
    };
    let (first, held) = served(0, 1000);
    assert_eq!(held, (true, false), "the first, whatever its size");
    let first = first.unwrap();
    let (again, _) = served(0, 1000);
    assert!(same(&first, &again.unwrap()) && first == large[0]);
    let (second, held) = served(1, 1 << 20);
    assert_eq!((second.as_ref(), held), (Some(&large[1]), (true, true)));
    assert!(same(&first, &served(0, 1 << 20).0.unwrap()));
    core.clear(0, 1).unwrap();
    assert_eq!(served(0, 1 << 20).0, None, "it was given up, though somebody has it");
    core.truncate(1, 1).unwrap();
    core.append(&large[2..]).unwrap();
    assert_eq!(served(1, 1 << 20).0.unwrap(), large[2], "another one is there now");
}

#[test]
fn what_comes_for_a_reader_is_read_from_memory_once() {
    let disk = MemoryDisk::new();
    let (a, b) = (memory(), on(&disk));
    let source = a.create_core(CreateOptions::named("x")).unwrap();
    let large: Vec<Bytes> = (0..12u8).map(|n| vec![n; 1 << 20].into()).collect();
    source.append(&large).unwrap();
    let replica = b.open_core(source.key()).unwrap();
    let reader = replica.read_as_it_comes();
    replicate(&source, &replica, 0..10);
    // Whatever rots on the disk: what came for the reader is in memory.
    for (name, mut bytes) in disk.image() {
        if name.ends_with(".seg") {
            bytes.fill(7);
            disk.open(&name, false).unwrap().unwrap().write_at(0, &bytes).unwrap();
        }
    }
    assert_eq!(replica.blocks(&[1, 2, 3], 2 << 20).unwrap(), large[1..3], "as many as are asked for");
    assert_eq!(replica.blocks(&[3], 0).unwrap(), large[3..4], "at least one");
    for gone in [1, 8] {
        assert_eq!(
            replica.blocks(&[gone], 9).unwrap_err().kind(),
            ErrorKind::Corrupt,
            "{gone} is on the disk"
        );
    }
    replicate(&source, &replica, 10..11);
    assert_eq!(replica.blocks(&[0], 9).unwrap(), large[..1]);
    replica.clear(10, 11).unwrap();
    assert_eq!(replica.blocks(&[10], 9).unwrap(), Vec::<Bytes>::new(), "given up meanwhile");
    drop(reader);
    assert_eq!(replica.blocks(&[4], 9).unwrap_err().kind(), ErrorKind::Corrupt, "nobody reads as it comes");
}
