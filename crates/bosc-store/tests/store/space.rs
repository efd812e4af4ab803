//! Disk space, and what is removed.

use super::*;

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
