//! Every state a store's folder can be in when it is opened, and what nobody may remove from it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bosc_store::disk::MemoryDisk;
use bosc_store::{CreateOptions, Error, ErrorKind, Options, Store};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use support::Rng;

type Image = BTreeMap<String, Vec<u8>>;

const KEY: [u8; 32] = [7; 32];

fn options() -> Options {
    let mut o = Options::default();
    o.segment_bytes = 2000;
    o.database_cache_bytes = 256 << 10;
    o.background = false;
    o
}

fn open(disk: &MemoryDisk) -> Result<Store, Error> {
    Store::open_disk(Arc::new(disk.clone()), options())
}

fn block(i: u64) -> Bytes {
    vec![i as u8; 50 + i as usize].into()
}

/// A store with 60 blocks in several segments.
fn image() -> Image {
    let disk = MemoryDisk::new();
    let store = open(&disk).unwrap();
    store.set_primary_key(&KEY).unwrap();
    let core = store.create_core(CreateOptions::named("x")).unwrap();
    core.append(&(0..60).map(block).collect::<Vec<_>>()).unwrap();
    drop((core, store));
    let image = disk.image();
    assert!(image.contains_key("data/000002.seg"));
    image
}

/// The image without the names that begin with one of `without`.
fn less(image: &Image, without: &[&str]) -> Image {
    image
        .iter()
        .filter(|(n, _)| !without.iter().any(|w| n.starts_with(w)))
        .map(|(n, b)| (n.clone(), b.clone()))
        .collect()
}

/// What a store can be given in place of its database.
fn databases(whole: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    // A fresh database of redb's, as another program would have made it.
    let strange = {
        let file = tempfile::NamedTempFile::new().unwrap();
        drop(redb::Database::create(file.path()).unwrap());
        std::fs::read(file.path()).unwrap()
    };
    let mut beheaded = whole.to_vec();
    beheaded[..9].fill(0);
    let mut garbage = whole.to_vec();
    garbage[..4096].fill(b'x');
    vec![
        ("whole", Some(whole.to_vec())),
        ("missing", None),
        ("empty", Some(Vec::new())),
        ("one zero", Some(vec![0])),
        ("zeros", Some(vec![0; 8192])),
        ("without its beginning", Some(beheaded)),
        ("garbage", Some(garbage)),
        ("a line of text", Some(b"hello\n".to_vec())),
        ("without tables", Some(strange)),
        ("cut off", Some(whole[..whole.len() / 2].to_vec())),
    ]
}

/// All combinations of the files of a store, each present, missing or damaged.
#[test]
fn every_state_of_the_folder_is_a_store_or_new_or_damaged_and_nothing_is_lost() {
    let whole = image();
    let mut seen = BTreeMap::new();
    for format in [Some(&b"bosc-store 1\n"[..]), None, Some(b""), Some(b"bosc-st"), Some(b"\0\0\0\0")] {
        for seq in [true, false] {
            for segments in [true, false] {
                for (what, database) in databases(&whole["bosc.redb"]) {
                    let mut image = less(&whole, &["FORMAT", "bosc.redb"]);
                    if let Some(format) = format {
                        image.insert("FORMAT".into(), format.to_vec());
                    }
                    if !seq {
                        image = less(&image, &["SEQ"]);
                    }
                    if !segments {
                        image = less(&image, &["data/"]);
                    }
                    if let Some(database) = &database {
                        image.insert("bosc.redb".into(), database.clone());
                    }
                    let at = format!("FORMAT {format:?}, SEQ {seq}, segments {segments}, database {what}");
                    let evidence = format.is_some() || seq || segments;
                    let expected = match what {
                        "whole" => "store",
                        "missing" | "empty" | "one zero" | "zeros" | "without its beginning" if !evidence => {
                            "new"
                        }
                        // redb's own fresh file with nothing beside it: its making was cut short before the tables.
                        "without tables" if !evidence => "new",
                        _ => "damaged",
                    };
                    *seen.entry(expected).or_insert(0) += 1;
                    check(&image, expected, segments, &at);
                }
            }
        }
    }
    assert_eq!(seen.values().sum::<i32>(), 200, "{seen:?}");
    assert!(seen["new"] >= 6 && seen["store"] == 20, "{seen:?}");
}

fn check(image: &Image, expected: &str, segments: bool, at: &str) {
    let disk = MemoryDisk::from_image(image.clone());
    let opened = open(&disk);
    match expected {
        "damaged" => {
            let e = opened.map(|_| ()).expect_err(at);
            assert_eq!(e.kind(), ErrorKind::Corrupt, "{at}: {e}");
            assert!(e.to_string().contains("bosc.redb"), "{at}: it does not say what: {e}");
            // redb marks a file it opens; nothing else may differ.
            assert_eq!(
                less(&disk.image(), &["bosc.redb"]),
                less(image, &["bosc.redb"]),
                "{at}: something was changed"
            );
            if !image.get("bosc.redb").is_some_and(|b| b.starts_with(b"redb")) {
                assert_eq!(disk.image().get("bosc.redb"), image.get("bosc.redb"), "{at}");
            }
        }
        "new" => {
            let store = opened.expect(at);
            assert_ne!(*store.primary_key(), KEY, "{at}");
            let key = store.primary_key();
            drop(store);
            assert_eq!(
                *open(&disk).expect(at).primary_key(),
                *key,
                "{at}: another key at the second opening"
            );
        }
        _ => {
            let store = opened.expect(at);
            assert_eq!(*store.primary_key(), KEY, "{at}");
            let core = store.create_core(CreateOptions::named("x")).unwrap();
            for i in 0..60 {
                match core.block(i) {
                    Ok(found) => assert_eq!(found, segments.then(|| block(i)), "{at}"),
                    Err(e) => assert!(!segments && e.kind() == ErrorKind::Corrupt, "{at}: {e}"),
                }
            }
            // It works on, whatever is missing.
            core.append(&[block(60)]).expect(at);
            assert_eq!(core.block(60).unwrap(), Some(block(60)), "{at}");
            drop((core, store));
            let core = open(&disk).expect(at).create_core(CreateOptions::named("x")).unwrap();
            assert_eq!(core.block(60).unwrap(), Some(block(60)), "{at}");
            assert_eq!(core.length(), 61);
            if segments {
                assert_eq!(core.contiguous_length(), 61, "{at}");
            }
        }
    }
}

#[test]
fn a_folder_of_files_and_an_emptied_database_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    {
        let core =
            Store::open(dir.path(), options()).unwrap().create_core(CreateOptions::named("x")).unwrap();
        core.append(&[block(1)]).unwrap();
    }
    let segment = dir.path().join("data/000001.seg");
    let before = std::fs::read(&segment).unwrap();
    for gone in [false, true] {
        if gone {
            std::fs::remove_file(dir.path().join("bosc.redb")).unwrap();
        } else {
            std::fs::write(dir.path().join("bosc.redb"), b"").unwrap();
        }
        for _ in 0..2 {
            let e = Store::open(dir.path(), options()).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Corrupt);
            assert!(e.to_string().contains("bosc.redb") && e.to_string().contains("with blocks"), "{e}");
            assert_eq!(std::fs::read(&segment).unwrap(), before);
        }
        assert_eq!(dir.path().join("bosc.redb").exists(), !gone);
    }
}

/// A database from a backup does not know what was written since. None of that is removed, however often the store is
/// opened, written to and packed.
#[test]
fn what_an_older_database_does_not_name_stays() {
    for how in 0..3 {
        let disk = MemoryDisk::new();
        let store = open(&disk).unwrap();
        store.set_primary_key(&KEY).unwrap();
        let core = store.create_core(CreateOptions::named("x")).unwrap();
        core.append(&(0..10).map(block).collect::<Vec<_>>()).unwrap();
        drop((core, store));
        let backup = disk.image();
        let store = open(&disk).unwrap();
        let core = store.create_core(CreateOptions::named("x")).unwrap();
        core.append(&(10..80).map(block).collect::<Vec<_>>()).unwrap();
        drop((core, store));
        let newest = disk.image();
        assert!(
            newest.len() > backup.len() && newest["data/000001.seg"].len() > backup["data/000001.seg"].len()
        );

        let mut image = newest.clone();
        image.insert("bosc.redb".into(), backup["bosc.redb"].clone());
        match how {
            // Only the database was put back.
            0 => {}
            // And the segments it knows; those it does not know are still there.
            1 => {
                image.insert("data/000001.seg".into(), backup["data/000001.seg"].clone());
            }
            // One slot of the number of the last commit is damaged: the other still tells.
            _ => image.get_mut("SEQ").unwrap()[512] ^= 1,
        }
        let disk = MemoryDisk::from_image(image.clone());
        for round in 0..3 {
            let store = open(&disk).unwrap();
            let core = store.create_core(CreateOptions::named("x")).unwrap();
            assert_eq!(core.length(), 10 + round);
            core.append(&[Bytes::from_static(b"after the backup")]).unwrap();
            core.clear(0, 2).unwrap();
            store.gc().unwrap();
            for i in 2..10 {
                assert_eq!(core.block(i).unwrap(), Some(block(i)));
            }
            drop((core, store));
            let now = disk.image();
            for (name, bytes) in image.iter().filter(|(n, _)| n.ends_with(".seg")) {
                // What was put back as the database knows it is written on.
                let same = now.get(name).is_some_and(|now| {
                    if how == 1 && name.ends_with("1.seg") { now.starts_with(bytes) } else { now == bytes }
                });
                assert!(same, "{name} in round {round}, way {how}");
            }
        }
        // The whole backup of the folder, put back, is no older database: it is all there was.
        let disk = MemoryDisk::from_image(newest);
        let core = open(&disk).unwrap().create_core(CreateOptions::named("x")).unwrap();
        assert_eq!(core.contiguous_length(), 80);
    }
}

/// Segments are cut and removed only on the word of a database whose checksums are right: a length that rotted in it
/// costs no block.
#[test]
fn rot_in_the_database_removes_nothing() {
    let whole = image();
    let lens: Image =
        whole.iter().filter(|(n, _)| n.ends_with(".seg")).map(|(n, b)| (n.clone(), b.clone())).collect();
    let mut rng = Rng(5);
    let (mut opened, mut refused) = (0, 0);
    for _ in 0..400 {
        let mut image = whole.clone();
        let database = image.get_mut("bosc.redb").unwrap();
        let at = rng.below(database.len() as u64) as usize;
        // Pages in use are not all zeros.
        let Some(at) = (at..database.len()).find(|i| database[*i] != 0) else { continue };
        database[at] ^= 1 << rng.below(8);
        let disk = MemoryDisk::from_image(image);
        match open(&disk) {
            Ok(store) => {
                opened += 1;
                drop(store);
            }
            Err(e) => {
                refused += 1;
                assert!(matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::NewerVersion), "{e:?}");
            }
        }
        let now = disk.image();
        for (name, bytes) in &lens {
            assert_eq!(now.get(name), Some(bytes), "{name} after a flip at {at}");
        }
    }
    assert!(opened > 200 && opened + refused > 350, "{opened} opened, {refused} refused");
    // The end of a segment, in all pages it was ever in, is lower: redb reads that without a word.
    let mut image = whole.clone();
    let len = (whole["data/000001.seg"].len() as u64).to_le_bytes();
    let database = image.get_mut("bosc.redb").unwrap();
    let row = [len, len].concat();
    let places: Vec<usize> = (0..database.len() - 16).filter(|i| database[*i..*i + 16] == row).collect();
    assert!(!places.is_empty());
    for at in places {
        database[at..at + 8].copy_from_slice(&100u64.to_le_bytes());
    }
    let disk = MemoryDisk::from_image(image);
    let store = open(&disk).unwrap();
    assert_eq!(
        store.stats().segment_bytes,
        whole_bytes(&lens) - u64::from_le_bytes(len) + 100,
        "the play is no play"
    );
    let core = store.create_core(CreateOptions::named("x")).unwrap();
    core.append(&[block(60)]).unwrap();
    for i in 0..61 {
        assert_eq!(core.block(i).unwrap(), Some(block(i)));
    }
    let now = disk.image();
    for (name, bytes) in &lens {
        assert!(now[name].starts_with(bytes), "{name} was cut");
    }
}

fn whole_bytes(segments: &Image) -> u64 {
    segments.values().map(|b| b.len() as u64).sum()
}
