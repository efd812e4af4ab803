//! A store written by version 1 of the format must open for ever.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bosc_format::crypto::KeyPair;
use bosc_format::proof::{NodeRequest, ProofRequest, UpgradeRequest};
use bosc_store::disk::{Disk, MemoryDisk};
use bosc_store::{CreateOptions, Options, Store};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

fn block(i: u64) -> Bytes {
    vec![i as u8; 5 + i as usize * 3].into()
}

/// A core elsewhere, of which the fixture has a part.
fn remote() -> Store {
    let store = Store::memory(Options::default()).unwrap();
    store.set_primary_key(&[2; 32]).unwrap();
    store.create_core(CreateOptions::named("remote")).unwrap().append(&[1, 2, 3, 4, 5].map(block)).unwrap();
    store
}

/// Writes the fixture. Run by hand, once for each version of the format:
/// `cargo test -p bosc-store --test format -- --ignored`.
#[test]
#[ignore = "writes the fixture"]
fn write_fixture() {
    let disk = MemoryDisk::new();
    {
        let store = Store::open_disk(Arc::new(disk.clone()), Options::default()).unwrap();
        store.set_primary_key(&[1; 32]).unwrap();
        let db = store.create_core(CreateOptions::named("db")).unwrap();
        db.append(&(0..40).map(block).collect::<Vec<_>>()).unwrap();
        db.truncate(33, 2).unwrap();
        db.append(&[block(33)]).unwrap();
        db.clear(3, 5).unwrap();
        db.set_user_data("note", Some(b"kept")).unwrap();
        let pair = KeyPair::from_seed(&[3; 32]);
        store.create_core(CreateOptions::with_key_pair(pair).compat()).unwrap().append(&[block(1)]).unwrap();
        let far = remote().create_core(CreateOptions::named("remote")).unwrap();
        let replica = store.open_core(far.key()).unwrap();
        let request = ProofRequest {
            block: Some(NodeRequest { index: 3, nodes: 0 }),
            upgrade: Some(UpgradeRequest { start: 0, length: 5 }),
            manifest: true,
            ..ProofRequest::default()
        };
        replica.apply(&far.prove(&request).unwrap().unwrap()).unwrap();
        store.set_user_data("store", Some(b"wide")).unwrap();
        // A small file.
        store.gc().unwrap();
    }
    for (name, bytes) in disk.image() {
        let path = folder().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_store_of_format_1_opens_and_goes_on() {
    let mut image = BTreeMap::new();
    for name in ["FORMAT", "bosc.redb", "data/000001.seg"] {
        image.insert(name.to_owned(), std::fs::read(folder().join(name)).unwrap());
    }
    let disk = MemoryDisk::from_image(image);
    assert!(disk.open("FORMAT", false).unwrap().is_some());
    let store = Store::open_disk(Arc::new(disk), Options::default()).unwrap();
    assert_eq!(*store.primary_key(), [1; 32]);
    assert_eq!(store.cores().unwrap().len(), 3);
    assert_eq!(store.user_data("store").unwrap().as_deref(), Some(&b"wide"[..]));

    let db = store.create_core(CreateOptions::named("db")).unwrap();
    let head = db.head();
    assert_eq!((head.fork, head.length), (2, 34));
    assert!(bosc_format::manifest::verify_head(db.key(), db.manifest().as_deref(), &head));
    for i in 0..34 {
        let kept = (!(3..5).contains(&i)).then(|| block(i));
        assert_eq!(db.block(i).unwrap(), kept, "block {i}");
    }
    assert_eq!((db.contiguous_length(), db.info().blocks), (3, 32));
    assert_eq!(db.user_data("note").unwrap().as_deref(), Some(&b"kept"[..]));
    assert_eq!(db.append(&[block(34)]).unwrap().length, 35);

    let pair = KeyPair::from_seed(&[3; 32]);
    let compat = store.get_core(&pair.public()).unwrap().unwrap();
    assert!(compat.writable());
    assert_eq!(compat.append(&[block(2)]).unwrap().length, 2);

    let far = remote().create_core(CreateOptions::named("remote")).unwrap();
    let replica = store.get_core(far.key()).unwrap().unwrap();
    assert_eq!(replica.head(), far.head());
    assert!(!replica.writable());
    assert_eq!(replica.block(3).unwrap(), Some(block(4)));
    for index in [0, 1, 2, 4u64] {
        let nodes = replica.missing_nodes(2 * index).unwrap();
        let block = Some(NodeRequest { index, nodes });
        let proof = far.prove(&ProofRequest { block, ..ProofRequest::default() }).unwrap().unwrap();
        replica.apply(&proof).unwrap();
    }
    assert_eq!(replica.contiguous_length(), 5);
}
