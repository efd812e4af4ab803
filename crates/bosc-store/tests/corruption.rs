//! A damaged database file, byte by byte and cut off anywhere: an error or a store that gives right bytes, never a panic,
//! never a hang, never another identity.
//!
//! redb panics on some of these files; the store catches that. Such panics are not printed here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bosc_store::disk::{Disk, MemoryDisk};
use bosc_store::{CreateOptions, Error, ErrorKind, Options, Store};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::Rng;

type Image = BTreeMap<String, Vec<u8>>;

/// Panics inside redb.
static CAUGHT: AtomicUsize = AtomicUsize::new(0);

fn quiet() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.location().is_some_and(|l| l.file().contains("redb-")) {
            CAUGHT.fetch_add(1, Ordering::SeqCst);
        } else {
            before(info);
        }
    }));
}

fn options() -> Options {
    let mut o = Options::default();
    o.segment_bytes = 2000;
    o.database_cache_bytes = 256 << 10;
    o.background = false;
    o
}

fn block(i: u64) -> Bytes {
    vec![i as u8; 30 + i as usize].into()
}

fn image() -> Image {
    let disk = MemoryDisk::new();
    let store = Store::open_disk(Arc::new(disk.clone()), options()).unwrap();
    store.set_primary_key(&[9; 32]).unwrap();
    for name in ["a", "b"] {
        let core = store.create_core(CreateOptions::named(name)).unwrap();
        core.append(&(0..40).map(block).collect::<Vec<_>>()).unwrap();
    }
    drop(store);
    disk.image()
}

#[derive(Debug, Default)]
struct Counts {
    refused: u64,
    failed: u64,
    whole: u64,
    slowest: Duration,
}

/// Opens, reads, writes and checks. What comes out is right or an error of the kinds that damage has.
fn try_all(database: Vec<u8>, whole: &Image, at: &str, counts: &mut Counts) {
    let began = Instant::now();
    let mut image = whole.clone();
    image.insert("bosc.redb".into(), database);
    let disk = MemoryDisk::from_image(image);
    let damage = |e: &Error| {
        let kinds = [
            ErrorKind::Corrupt,
            ErrorKind::NewerVersion,
            ErrorKind::NotFound,
            ErrorKind::Io,
            ErrorKind::Uncertain,
        ];
        assert!(kinds.contains(&e.kind()), "{at}: {e:?}");
    };
    match Store::open_disk(Arc::new(disk.clone()), options()) {
        Err(e) => {
            assert!(matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::NewerVersion), "{at}: {e:?}");
            counts.refused += 1;
        }
        Ok(store) => {
            // A bit of the key itself may be the one that flipped; another key altogether is a new store.
            let key = *store.primary_key();
            let other = key.iter().filter(|b| **b != 9).count();
            assert!(other <= 1, "{at}: another identity");
            let mut fine = other == 0;
            match store.cores() {
                Ok(cores) => {
                    for info in cores.iter().take(4) {
                        let Ok(core) = store.open_core(&info.key) else { continue };
                        for i in 0..core.length().min(41) {
                            match core.block(i) {
                                // Which core it is may have changed with its record; what it holds may not.
                                Ok(found) => fine &= found == Some(block(i)),
                                Err(e) => {
                                    fine = false;
                                    damage(&e);
                                }
                            }
                        }
                    }
                }
                Err(e) => {
                    fine = false;
                    damage(&e);
                }
            }
            for result in [
                store.create_core(CreateOptions::named("c")).and_then(|c| c.append(&[block(1)]).map(|_| ())),
                store.check_database().map(|_| ()),
                store.gc().map(|_| ()),
                store.flush(),
            ] {
                if let Err(e) = result {
                    fine = false;
                    damage(&e);
                }
            }
            if fine {
                counts.whole += 1;
            } else {
                counts.failed += 1;
            }
        }
    }
    counts.slowest = counts.slowest.max(began.elapsed());
}

#[test]
fn a_damaged_database_is_an_error_and_no_panic() {
    quiet();
    let whole = image();
    let good = &whole["bosc.redb"];
    let mut counts = Counts::default();
    let mut tried = 0;
    let mut rng = Rng(11);
    // The header: every byte, twice.
    for at in 0..320 {
        for bits in [1u8 << (at % 8), 0xff] {
            let mut bytes = good.clone();
            bytes[at] ^= bits;
            try_all(bytes, &whole, &format!("{bits:#x} at {at}"), &mut counts);
            tried += 1;
        }
    }
    // Pages in use.
    let used: Vec<usize> = (320..good.len()).filter(|i| good[*i] != 0).collect();
    for _ in 0..600 {
        let at = used[rng.below(used.len() as u64) as usize];
        let mut bytes = good.clone();
        let mut what = format!("at {at}");
        match rng.below(4) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = 0xff,
            2 => {
                // A sector of nothing, or of something else.
                let start = at / 512 * 512;
                let end = (start + 512).min(bytes.len());
                bytes[start..end].fill(0);
                what.push_str(" a sector of zeros");
            }
            _ => {
                let start = at / 512 * 512;
                let end = (start + 512).min(bytes.len());
                let noise = rng.bytes(end - start);
                bytes[start..end].copy_from_slice(&noise);
                what.push_str(" a sector of noise");
            }
        }
        try_all(bytes, &whole, &what, &mut counts);
        tried += 1;
    }
    // Cut off, and grown.
    for i in 0..60 {
        let at = if i < 20 { i * 37 } else { rng.below(good.len() as u64) as usize };
        try_all(good[..at].to_vec(), &whole, &format!("cut off at {at}"), &mut counts);
        tried += 1;
    }
    for more in [1, 511, 4096, 1 << 20] {
        let mut bytes = good.clone();
        bytes.resize(good.len() + more, 0);
        try_all(bytes, &whole, &format!("{more} more"), &mut counts);
        tried += 1;
    }
    println!(
        "{tried} damaged databases: {counts:?}, {} panics of redb caught",
        CAUGHT.load(Ordering::SeqCst)
    );
    assert_eq!(counts.refused + counts.failed + counts.whole, tried);
    assert!(counts.refused > 100 && counts.failed > 20, "{counts:?}");
}

/// redb mends a database by going back to the commit before. A running store does not go on with newer heads then.
#[test]
fn a_running_store_does_not_go_on_with_a_database_that_went_back() {
    quiet();
    let whole = image();
    let (mut went_back, mut mended, mut fine, mut beyond) = (0, 0, 0, 0);
    for page in 0..whole["bosc.redb"].len() / 4096 {
        let disk = MemoryDisk::from_image(whole.clone());
        let at = format!("page {page}");
        let store = Store::open_disk(Arc::new(disk.clone()), options()).unwrap();
        let core = store.create_core(CreateOptions::named("running")).unwrap();
        for i in 0..3 {
            core.append(&[block(i)]).unwrap();
        }
        let file = disk.open("bosc.redb", false).unwrap().unwrap();
        let place = page as u64 * 4096 + 40;
        let mut byte = [0];
        file.read_at(place, &mut byte).unwrap();
        file.write_at(place, &[byte[0] ^ 0xff]).unwrap();
        let checked = store.check_database();
        let told_back = checked.as_ref().is_err_and(|e| e.to_string().contains("lost its last commit"));
        if told_back {
            went_back += 1;
            for refused in [
                core.append(&[block(3)]).map(|_| ()),
                store.cores().map(|_| ()),
                store.check_database().map(|_| ()),
                store.gc().map(|_| ()),
                store.set_user_data("x", Some(b"y")),
            ] {
                let e = refused.unwrap_err();
                assert!(e.to_string().contains("opened again"), "{at}: {e}");
            }
        }
        drop((core, store));
        let Ok(store) = Store::open_disk(Arc::new(disk), options()) else {
            assert!(checked.is_err(), "{at}: it was told to be right");
            beyond += 1;
            continue;
        };
        let core = store.create_core(CreateOptions::named("running")).unwrap();
        match checked {
            // What was told to go on holds what it had.
            Ok(whole) => {
                assert_eq!(core.length(), 3, "{at}");
                if whole { fine += 1 } else { mended += 1 }
            }
            Err(_) if told_back => {
                assert!(core.length() < 3, "{at}");
                core.append(&[block(core.length())]).unwrap();
            }
            Err(_) => beyond += 1,
        }
    }
    println!("{went_back} went back, {mended} mended, {fine} fine, {beyond} beyond mending");
    assert!(went_back > 0 && fine > 0);
}
