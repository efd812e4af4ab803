//! What moving a drive cannot do without, alone, in CPU seconds of one thread for 256 MiB in blocks of 64 KiB: hashing,
//! opening what was sealed, writing to a file. A download that takes no more than their sum would be perfect.
//!
//! `cargo run --release -p bosc-node --example parts [DIR]`; the file is made in DIR (or the temporary folder).

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

use bosc_format::crypto::{leaf_hash, leaf_hashes};
use bosc_wire::secret_stream::cipher::{OVERHEAD, StreamCipherState};
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

const BLOCK: usize = 64 << 10;
const BLOCKS: usize = 4096;

/// CPU time of this thread, system calls included, where Linux tells it; elsewhere the time that passed.
fn clock() -> Duration {
    static BEGIN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|s| s.split_ascii_whitespace().next()?.parse().ok())
        .map_or_else(|| BEGIN.elapsed(), Duration::from_nanos)
}

/// The best of three.
fn report(what: &str, mut f: impl FnMut()) {
    let took = (0..3)
        .map(|_| {
            let start = clock();
            f();
            clock() - start
        })
        .min()
        .unwrap_or_default();
    let rate = (BLOCK * BLOCKS) as f64 / 1e9 / took.as_secs_f64();
    println!("{what:<34} {:>6.3} s  {rate:>5.2} GB/s", took.as_secs_f64());
}

fn main() {
    let dir = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let blocks: Vec<Vec<u8>> = (0..64u8).map(|i| vec![i; BLOCK]).collect();
    let refs: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();

    report("hash one by one", || {
        for i in 0..BLOCKS {
            black_box(leaf_hash(refs[i % refs.len()]));
        }
    });
    for group in [2, 4, 8, 16, 64] {
        report(&format!("hash in groups of {group}"), || {
            for i in 0..BLOCKS / group {
                let at = i * group % refs.len();
                black_box(leaf_hashes(&refs[at..at + group]));
            }
        });
    }

    let seal = StreamCipherState::new(&[1; 32], &[2; 24]);
    let mut sealed = vec![7; BLOCK + OVERHEAD];
    assert!(seal.clone().seal(0, &mut sealed));
    report("open in place", || {
        for _ in 0..BLOCKS {
            // Opening takes as long whether or not what comes out is right.
            let _ = black_box(seal.clone().open(black_box(&mut sealed)));
        }
    });
    report("copy in memory", || {
        let mut to = vec![0; BLOCK];
        for i in 0..BLOCKS {
            to.copy_from_slice(refs[i % refs.len()]);
            black_box(&mut to);
        }
    });
    let path = dir.join(format!("bosc-parts-{}", std::process::id()));
    report("write to a new file", || {
        let mut file = std::fs::File::create(&path).unwrap();
        for i in 0..BLOCKS {
            file.write_all(refs[i % refs.len()]).unwrap();
        }
    });
    std::fs::remove_file(&path).unwrap();
}
