//! Measures a store on a real disk: `cargo run --release -p bosc-store --example bench -- <empty directory>`.
//! Figures depend on the machine; compare them with the copy of the same data in the same run.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use bosc_format::crypto::leaf_hash;
use bosc_format::proof::{NodeRequest, ProofRequest, UpgradeRequest};
use bosc_store::{CreateOptions, Options, Store};
use bytes::Bytes;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

fn time<T>(what: &str, f: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let out = f();
    let took = start.elapsed();
    println!("{what:<58} {:>9.1} ms   peak {:>5.1} MiB", took.as_secs_f64() * 1e3, peak());
    (out, took)
}

/// Peak resident memory of this process, in MiB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

fn noise(path: &Path, bytes: usize) {
    let mut file = std::fs::File::create(path).unwrap();
    let mut x = 0x9e37_79b9_7f4a_7c15u64;
    let mut chunk = vec![0u8; MIB];
    for _ in 0..bytes / MIB {
        for b in chunk.chunks_exact_mut(8) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            b.copy_from_slice(&x.to_le_bytes());
        }
        file.write_all(&chunk).unwrap();
    }
    file.sync_all().unwrap();
}

fn read_blocks(path: &Path, size: usize, mut f: impl FnMut(Bytes)) {
    let mut file = std::fs::File::open(path).unwrap();
    loop {
        let mut block = vec![0; size];
        let mut n = 0;
        while n < size {
            match file.read(&mut block[n..]).unwrap() {
                0 => break,
                k => n += k,
            }
        }
        if n == 0 {
            return;
        }
        block.truncate(n);
        f(block.into());
    }
}

fn main() {
    let dir = std::env::args().nth(1).expect("a directory");
    let dir = Path::new(&dir);
    std::fs::create_dir_all(dir).unwrap();
    let data = dir.join("data.bin");
    noise(&data, 256 * MIB);

    let (_, copy) = time("copy 256 MiB, sync, hash (what staging has to do anyway)", || {
        let to = dir.join("copy.bin");
        std::fs::copy(&data, &to).unwrap();
        std::fs::File::open(&to).unwrap().sync_all().unwrap();
        let mut sum = 0u8;
        read_blocks(&data, 64 << 10, |b| sum ^= leaf_hash(&b)[0]);
        std::fs::remove_file(&to).unwrap();
        sum
    });

    let path = dir.join("store");
    let store = Store::open(&path, Options::default()).unwrap();
    let blobs = store.create_core(CreateOptions::named("blobs")).unwrap();
    let (_, stage) = time("stage 256 MiB in blocks of 64 KiB", || {
        let mut batch = store.batch();
        read_blocks(&data, 64 << 10, |b| {
            batch.append_block(&blobs, b).unwrap();
        });
        batch.commit().unwrap();
    });
    println!("  ratio to the copy: {:.2}", stage.as_secs_f64() / copy.as_secs_f64());

    let db = store.create_core(CreateOptions::named("db")).unwrap();
    time("5,000 blocks of 250 bytes in one batch", || {
        let mut batch = store.batch();
        for i in 0..5000u32 {
            batch.append_block(&db, i.to_le_bytes().repeat(62).into()).unwrap();
        }
        batch.commit().unwrap();
    });
    time("200 durable appends of one block of 250 bytes", || {
        for i in 0..200u32 {
            db.append(&[i.to_le_bytes().repeat(62).into()]).unwrap();
        }
    });
    time("read 4,096 blocks of 64 KiB, checked", || {
        (0..4096).for_each(|i| assert!(blobs.block(i).unwrap().is_some()));
    });

    // What serving a block costs, and how much of that is comparing it with its hash.
    let bytes: Vec<Bytes> = (0..64).map(|i| blobs.block(i).unwrap().unwrap()).collect();
    let (_, hashing) = time("  of that: hash 4,096 blocks of 64 KiB", || {
        for block in bytes.iter().cycle().take(4096) {
            std::hint::black_box(leaf_hash(block));
        }
    });
    let (_, serving) = time("prove 4,096 blocks of 64 KiB", || {
        for index in 0..4096 {
            let block = Some(NodeRequest { index, nodes: 0 });
            assert!(blobs.prove(&ProofRequest { block, ..ProofRequest::default() }).unwrap().is_some());
        }
    });
    println!("  verifying is {:.0} % of it", 100.0 * hashing.as_secs_f64() / serving.as_secs_f64());
    time("check 4,096 blocks of 64 KiB", || {
        let found = blobs.check_blocks(0, u64::MAX).unwrap();
        assert_eq!((found.blocks, found.damaged_count), (4096, 0));
    });
    time("check the database", || assert!(store.check_database().unwrap()));

    let far = Store::open(dir.join("far"), Options::default()).unwrap();
    let replica = far.open_core(blobs.key()).unwrap();
    let upgrade = Some(UpgradeRequest { start: 0, length: 4096 });
    let request = ProofRequest { upgrade, manifest: true, ..ProofRequest::default() };
    replica.apply(&blobs.prove(&request).unwrap().unwrap()).unwrap();
    let fetch = |i: u64| {
        let block = Some(NodeRequest { index: i, nodes: replica.missing_nodes(2 * i).unwrap() });
        let proof = blobs.prove(&ProofRequest { block, ..ProofRequest::default() }).unwrap().unwrap();
        replica.apply(&proof).unwrap();
    };
    time("prove and apply 4,096 blocks of 64 KiB, then flush", || {
        (0..4096).for_each(fetch);
        far.flush().unwrap();
    });
    let replica = far.open_core(db.key()).unwrap();
    let upgrade = Some(UpgradeRequest { start: 0, length: db.length() });
    let request = ProofRequest { upgrade, manifest: true, ..ProofRequest::default() };
    replica.apply(&db.prove(&request).unwrap().unwrap()).unwrap();
    time("prove and apply 5,200 blocks of 250 bytes, then flush", || {
        for i in 0..db.length() {
            let block = Some(NodeRequest { index: i, nodes: replica.missing_nodes(2 * i).unwrap() });
            let proof = db.prove(&ProofRequest { block, ..ProofRequest::default() }).unwrap().unwrap();
            replica.apply(&proof).unwrap();
        }
        far.flush().unwrap();
    });

    time("1,000,000 blocks of 100 bytes in one batch", || {
        let many = store.create_core(CreateOptions::named("many")).unwrap();
        let mut batch = store.batch();
        for i in 0..1_000_000u32 {
            batch.append_block(&many, i.to_le_bytes().repeat(25).into()).unwrap();
        }
        batch.commit().unwrap();
    });
    drop((blobs, db, store));
    let (store, _) =
        time("open the store, a million blocks in it", || Store::open(&path, Options::default()).unwrap());
    let (many, _) = time("open a core, read its last block", || {
        let many = store.create_core(CreateOptions::named("many")).unwrap();
        assert!(many.block(999_999).unwrap().is_some());
        many
    });
    time("100,000 lookups (has) at random", || {
        let mut x = 1u64;
        for _ in 0..100_000 {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1);
            assert!(many.has((x >> 33) % 1_000_000).unwrap());
        }
    });
    time("10,000 proofs of blocks at random", || {
        let mut x = 1u64;
        for _ in 0..10_000 {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1);
            let block = Some(NodeRequest { index: (x >> 33) % 1_000_000, nodes: 18 });
            let _ = many.prove(&ProofRequest { block, ..ProofRequest::default() });
        }
    });
    let size = |name: &str| std::fs::metadata(path.join(name)).map_or(0, |m| m.len()) as usize / MIB;
    println!("database {} MiB", size("bosc.redb"));
    drop((many, store));
    std::fs::remove_dir_all(dir).unwrap();
}
