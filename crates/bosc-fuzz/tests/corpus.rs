//! Every target on its corpus, on what was found before, and on mutations of both.
//!
//! The mutations depend on the target's name and their number only, so a run repeats the one before. How many there
//! are is bounded by number and by time; `BOSC_FUZZ_RUNS` and `BOSC_FUZZ_SECONDS` (for each target) change the bounds,
//! `BOSC_FUZZ_SEED` gives other mutations. An input that fails is made smaller and written to the folder named in the
//! message; it belongs in `fuzz/regressions/<target>/`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

use bosc_fuzz::{TARGETS, store};
use bosc_testkit::Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Mutations are no longer than this, in bytes.
const MAX_LEN: usize = 64 * 1024;
/// One input takes no longer than this, even unoptimized on a busy machine.
const MAX_TIME: Duration = Duration::from_secs(10);
/// The whole test takes no more memory than this, in KiB.
const MAX_MEMORY: u64 = 1 << 20;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn folder(kind: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(kind).join(target)
}

fn read(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(items) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = items.map(|i| i.unwrap().path()).filter(|p| p.is_file()).collect();
    paths.sort();
    paths.iter().map(|p| std::fs::read(p).unwrap()).collect()
}

/// Values at which numbers change their length, sign or meaning.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0xfc,
    0xfd,
    0xff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    (1 << 53) - 1,
    i64::MAX as u64,
    u64::MAX,
];

fn mutate(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut out = seeds[rng.index(seeds.len())].clone();
    for _ in 0..=rng.below(4) {
        let at = rng.index(out.len() + 1);
        match rng.below(10) {
            0 | 1 if at < out.len() => out[at] ^= 1 << rng.below(8),
            2 if at < out.len() => out[at] = rng.next_u32() as u8,
            3 => out.truncate(at),
            4 => {
                let len = rng.index(24);
                let bytes = rng.bytes(len);
                drop(out.splice(at..at, bytes));
            }
            5 => {
                let end = (at + rng.index(40)).min(out.len());
                drop(out.drain(at..end));
            }
            // The front of one and the rear of another.
            6 => {
                let other = &seeds[rng.index(seeds.len())];
                let from = rng.index(other.len() + 1);
                out.truncate(at);
                out.extend_from_slice(&other[from..]);
            }
            // A piece of itself again.
            7 => {
                let from = rng.index(out.len() + 1);
                let end = (from + rng.index(200)).min(out.len());
                let piece = out[from..end].to_vec();
                drop(out.splice(at..at, piece));
            }
            // An edge value, as a compact integer or raw, over what is there or between.
            _ => {
                let v = EDGES[rng.index(EDGES.len())];
                let mut bytes = match rng.below(4) {
                    0 => vec![v as u8],
                    1 => vec![0xfd],
                    2 => vec![0xfe],
                    _ => vec![0xff],
                };
                let width = match bytes[0] {
                    0xfd => 2,
                    0xfe => 4,
                    0xff => 8,
                    _ => 0,
                };
                bytes.extend_from_slice(&v.to_le_bytes()[..width]);
                let bytes =
                    if rng.chance(0.3) { v.to_le_bytes()[..1 << rng.below(4)].to_vec() } else { bytes };
                let end = if rng.chance(0.7) { (at + bytes.len()).min(out.len()) } else { at };
                drop(out.splice(at..end, bytes));
            }
        }
    }
    out.truncate(MAX_LEN);
    out
}

fn fails(run: fn(&[u8]), input: &[u8]) -> bool {
    let start = Instant::now();
    catch_unwind(AssertUnwindSafe(|| run(input))).is_err() || start.elapsed() > MAX_TIME
}

/// Takes out pieces for as long as it still fails.
fn minimize(run: fn(&[u8]), mut input: Vec<u8>) -> Vec<u8> {
    let end = Instant::now() + Duration::from_secs(20);
    let mut piece = input.len() / 2;
    while piece > 0 && Instant::now() < end {
        let mut at = 0;
        while at < input.len() && Instant::now() < end {
            let mut less = input.clone();
            drop(less.drain(at..(at + piece).min(input.len())));
            if fails(run, &less) {
                input = less;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    input
}

fn check(name: &str, run: fn(&[u8]), input: &[u8], what: &str) -> Result<(), String> {
    if fails(run, input) {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let small = minimize(run, input.to_vec());
        std::panic::set_hook(hook);
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{:016x}", fingerprint(&small)));
        std::fs::write(&path, &small).unwrap();
        return Err(format!("{name}: {what} fails; {} bytes in {}", small.len(), path.display()));
    }
    Ok(())
}

fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3))
}

/// The most memory this process ever had, in KiB.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn every_target_on_its_corpus_and_mutations() {
    let full = std::env::var("BOSC_FULL").is_ok_and(|v| v == "1");
    let runs = setting("BOSC_FUZZ_RUNS", if full { 300_000 } else { 3000 });
    let seconds = setting("BOSC_FUZZ_SECONDS", if full { 60 } else { 0 });
    let only = std::env::var("BOSC_FUZZ_TARGET").ok();
    let limit = if seconds > 0 { Duration::from_secs(seconds) } else { Duration::from_millis(2500) };
    let (mut total, mut slowest) = (0u64, (Duration::ZERO, ""));
    let mut failures = Vec::new();
    for (name, run) in TARGETS {
        if only.as_deref().is_some_and(|o| o != *name) {
            continue;
        }
        let (corpus, found) = (read(&folder("corpus", name)), read(&folder("regressions", name)));
        assert!(!corpus.is_empty(), "{name} has no corpus");
        let start = Instant::now();
        let seeds: Vec<Vec<u8>> = corpus.iter().chain(&found).cloned().collect();
        for (i, input) in seeds.iter().enumerate() {
            failures.extend(check(name, *run, input, &format!("input {i} of corpus and regressions")).err());
        }
        let mut rng = Rng::new(fingerprint(name.as_bytes()) ^ setting("BOSC_FUZZ_SEED", 0));
        let mut done = 0;
        while done < runs && start.elapsed() < limit {
            let input = mutate(&mut rng, &seeds);
            let begun = Instant::now();
            if let Err(e) = check(name, *run, &input, &format!("mutation {done}")) {
                failures.push(e);
                break;
            }
            slowest = slowest.max((begun.elapsed(), *name));
            done += 1;
        }
        total += done + seeds.len() as u64;
        println!(
            "{name:16} {:4} corpus {:3} found before {done:6} mutations {:6.0?}",
            corpus.len(),
            found.len(),
            start.elapsed()
        );
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    println!(
        "{total} inputs; the slowest took {:.0?} ({}); peak memory {:?} KiB",
        slowest.0,
        slowest.1,
        peak()
    );
    assert!(peak().is_none_or(|kib| kib < MAX_MEMORY), "{:?} KiB", peak());
}

#[test]
fn the_harness_can_fail_and_makes_inputs_small() {
    fn bad(data: &[u8]) {
        assert!(!data.windows(2).any(|w| w == [7, 8]));
    }
    let input: Vec<u8> = (0..200).collect();
    assert!(fails(bad, &input) && !fails(bad, &input[..5]));
    assert_eq!(minimize(bad, input), [7, 8]);
}

#[test]
fn the_stores_image_is_whole() {
    assert!(store::image_is_whole());
}

#[test]
fn every_target_has_a_fuzz_binary() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        assert!(root.join("fuzz_targets").join(format!("{name}.rs")).is_file(), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}
