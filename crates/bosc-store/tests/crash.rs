//! The store on a disk that crashes after every single operation, with everything that was not synced kept, lost
//! or torn; and on a disk that fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bosc_format::crypto::{CoreKey, Hash};
use bosc_format::merkle::Appender;
use bosc_format::proof::{NodeRequest, ProofRequest, UpgradeRequest};
use bosc_store::disk::MemoryDisk;
use bosc_store::{Applied, Core, CreateOptions, Error, ErrorKind, Options, Store};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use support::{Crash, FaultyDisk, RecordingDisk, Rng, crash};

fn options() -> Options {
    let mut o = Options::default();
    // Small, so that segments roll and downloads commit on their own within a short test.
    o.segment_bytes = 3_000;
    o.pending_bytes = 20_000;
    o.page_cache_bytes = 20_000;
    o.database_cache_bytes = 256 * 1024;
    // No commits of another thread: the same play every time.
    o.background = false;
    o
}

/// Fork, length, tree hash, and which blocks are here.
type CoreState = (u64, u64, Hash, Vec<u64>);

/// Everything a store shows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Shown {
    cores: BTreeMap<CoreKey, CoreState>,
    user: Option<Vec<u8>>,
}

fn show(store: &Store) -> Shown {
    let mut cores = BTreeMap::new();
    for info in store.cores().unwrap() {
        let core = store.open_core(&info.key).unwrap();
        let head = core.head();
        let here = (0..head.length).filter(|i| core.has(*i).unwrap()).collect::<Vec<_>>();
        assert_eq!(info.blocks, here.len() as u64);
        let gap = (0..head.length).find(|i| !here.contains(i)).unwrap_or(head.length);
        assert_eq!(core.contiguous_length(), gap);
        if head.length > 0 || head.fork > 0 {
            cores.insert(info.key, (head.fork, head.length, head.tree_hash(), here));
        }
    }
    Shown { cores, user: store.user_data("u").unwrap() }
}

/// Every block that is here must be provable to a stranger.
fn check_proofs(store: &Store) {
    for info in store.cores().unwrap() {
        let core = store.open_core(&info.key).unwrap();
        let length = core.length();
        if length == 0 {
            continue;
        }
        if core.contiguous_length() == length {
            let mut a = Appender::default();
            for i in 0..length {
                a.append_block(&core.block(i).unwrap().unwrap()).unwrap();
            }
            assert_eq!(a.tree_hash(), core.head().tree_hash());
            for node in a.nodes() {
                assert_eq!(core.node(node.index).unwrap(), Some(*node));
            }
            continue;
        }
        let other = Store::memory(Options::default()).unwrap();
        let copy = other.open_core(&info.key).unwrap();
        if core.head().fork != 0 {
            continue;
        }
        let upgrade = Some(UpgradeRequest { start: 0, length });
        let head = core.prove(&ProofRequest { upgrade, manifest: true, ..Default::default() }).unwrap();
        copy.apply(&head.unwrap()).unwrap();
        for index in (0..length).filter(|i| core.has(*i).unwrap()) {
            assert!(core.block(index).unwrap().is_some());
            let block = Some(NodeRequest { index, nodes: copy.missing_nodes(2 * index).unwrap() });
            let proof = core.prove(&ProofRequest { block, ..Default::default() }).unwrap().unwrap();
            assert_eq!(copy.apply(&proof).unwrap(), Applied::Stored { block: Some(index), upgraded: false });
        }
    }
}

/// A core elsewhere, to download from.
fn remote() -> (Store, Core) {
    let store = Store::memory(Options::default()).unwrap();
    store.set_primary_key(&[9; 32]).unwrap();
    let core = store.create_core(CreateOptions::named("remote")).unwrap();
    let mut rng = Rng(77);
    let blocks: Vec<Bytes> = (0..60).map(|i| rng.bytes(20 + i * 3).into()).collect();
    core.append(&blocks).unwrap();
    (store, core)
}

struct Step {
    what: &'static str,
    /// Position in the disk's log behind the step.
    end: usize,
    shown: Shown,
    durable: bool,
}

type Action = Box<dyn Fn(&Store) -> Result<bool, Error>>;

/// The steps of the play. Each tells whether it is durable when it returns.
fn play() -> Vec<(&'static str, Action)> {
    fn core(store: &Store, name: &str) -> Result<Core, Error> {
        store.create_core(CreateOptions::named(name))
    }
    fn fill(seed: u64, n: usize) -> Vec<Bytes> {
        let mut rng = Rng(seed);
        (0..n)
            .map(|_| {
                let len = rng.below(400) as usize;
                rng.bytes(len).into()
            })
            .collect()
    }
    fn download(from: u64, to: u64, step: usize) -> Action {
        Box::new(move |store| {
            let (_keep, source) = remote();
            let core = store.open_core(source.key())?;
            if core.length() == 0 {
                let upgrade = Some(UpgradeRequest { start: 0, length: source.length() });
                let request = ProofRequest { upgrade, manifest: true, ..Default::default() };
                core.apply(&source.prove(&request)?.unwrap())?;
            }
            for index in (from..to).step_by(step) {
                let nodes = core.missing_nodes(2 * index)?;
                let block = Some(NodeRequest { index, nodes });
                let proof = source.prove(&ProofRequest { block, ..Default::default() })?.unwrap();
                core.apply(&proof)?;
            }
            Ok(false)
        })
    }
    vec![
        (
            "append",
            Box::new(|s: &Store| {
                core(s, "a")?.append(&fill(1, 3))?;
                Ok(true)
            }) as Action,
        ),
        ("download one", download(7, 8, 1)),
        ("download two", download(30, 32, 1)),
        (
            "batch",
            Box::new(|s: &Store| {
                let (a, b) = (core(s, "a")?, core(s, "b")?);
                let mut batch = s.batch();
                for (i, block) in fill(2, 30).into_iter().enumerate() {
                    batch.append_block(if i % 3 == 0 { &a } else { &b }, block)?;
                }
                batch.set_user_data(None, "u", Some(b"one"))?;
                batch.commit()?;
                Ok(true)
            }),
        ),
        (
            "dropped batch",
            Box::new(|s: &Store| {
                let mut batch = s.batch();
                for block in fill(3, 20) {
                    batch.append_block(&core(s, "b")?, block)?;
                }
                Ok(false)
            }),
        ),
        (
            "large batch",
            Box::new(|s: &Store| {
                let (a, d) = (core(s, "a")?, core(s, "d")?);
                let mut batch = s.batch();
                for i in 0..600u64 {
                    batch.append_block(&d, i.to_le_bytes().to_vec().into())?;
                }
                batch.append_block(&a, "large".into())?;
                batch.commit()?;
                Ok(true)
            }),
        ),
        (
            "dropped large batch",
            Box::new(|s: &Store| {
                let mut batch = s.batch();
                for i in 0..400u64 {
                    batch.append_block(&core(s, "d")?, i.to_le_bytes().to_vec().into())?;
                }
                Ok(false)
            }),
        ),
        ("download some", download(0, 60, 9)),
        (
            "flush",
            Box::new(|s: &Store| {
                s.flush()?;
                Ok(true)
            }),
        ),
        (
            "truncate",
            Box::new(|s: &Store| {
                let b = core(s, "b")?;
                if b.length() == 20 {
                    b.truncate(7, 3)?;
                }
                Ok(true)
            }),
        ),
        (
            "append after truncate",
            Box::new(|s: &Store| {
                core(s, "b")?.append(&fill(4, 9))?;
                Ok(true)
            }),
        ),
        (
            "clear",
            Box::new(|s: &Store| {
                core(s, "a")?.clear(2, 9)?;
                s.flush()?;
                Ok(true)
            }),
        ),
        (
            "user data",
            Box::new(|s: &Store| {
                s.set_user_data("u", Some(b"two"))?;
                Ok(true)
            }),
        ),
        ("download more", download(1, 50, 4)),
        (
            "third core",
            Box::new(|s: &Store| {
                core(s, "c")?.append(&fill(5, 12))?;
                Ok(true)
            }),
        ),
        (
            "remove",
            Box::new(|s: &Store| {
                let key = *core(s, "c")?.key();
                if s.get_core(&key)?.is_some() {
                    s.remove_core(&key)?;
                }
                Ok(true)
            }),
        ),
        (
            "gc",
            Box::new(|s: &Store| {
                s.gc()?;
                Ok(true)
            }),
        ),
        (
            "append last",
            Box::new(|s: &Store| {
                core(s, "a")?.append(&fill(6, 2))?;
                Ok(true)
            }),
        ),
    ]
}

#[test]
fn every_crash_leaves_a_state_that_was_committed() {
    let disk = RecordingDisk::default();
    let mut steps = Vec::new();
    {
        let store = Store::open_disk(Arc::new(disk.clone()), options()).unwrap();
        store.set_primary_key(&[1; 32]).unwrap();
        steps.push(Step { what: "open", end: disk.position(), shown: show(&store), durable: true });
        for (what, action) in play() {
            let durable = action(&store).unwrap();
            steps.push(Step { what, end: disk.position(), shown: show(&store), durable });
        }
        check_proofs(&store);
    }
    let log = disk.log.lock().unwrap().clone();
    steps.push(Step {
        what: "close",
        end: log.len(),
        shown: steps.last().unwrap().shown.clone(),
        durable: true,
    });
    // The play is no play if the last step shows what the first does.
    assert!(steps.last().unwrap().shown.cores.len() >= 3);
    let mut tried = 0;
    for upto in 0..=log.len() {
        let mut ways = vec![Crash::KeepAll, Crash::LoseAll];
        ways.extend((0..3).map(|i| Crash::Mix(upto as u64 * 31 + i)));
        for how in ways {
            check_crash(&crash(&log, upto, how), &steps, upto, how);
            tried += 1;
        }
    }
    assert!(tried > 1000, "only {tried} crashes");
}

fn check_crash(disk: &MemoryDisk, steps: &[Step], upto: usize, how: Crash) {
    let at = format!("crash after {upto} operations, {how:?}");
    let store = match Store::open_disk(Arc::new(disk.clone()), options()) {
        Ok(store) => store,
        Err(e) => panic!("{at}: {e}"),
    };
    let shown = show(&store);
    if upto < steps[0].end {
        assert_eq!(shown, Shown::default(), "{at}");
    } else {
        assert_eq!(*store.primary_key(), [1; 32], "{at}");
        // The last acknowledged durable step, and the step the crash is in.
        let first = steps.iter().rposition(|s| s.durable && s.end <= upto).unwrap();
        let last = steps.iter().position(|s| s.end >= upto).unwrap();
        let possible = &steps[first..=last];
        // A download that commits part way shows a state between two steps: at least what was before, of the
        // same head.
        let between = possible
            .windows(2)
            .any(|w| w[1].what.starts_with("download") && is_between(&w[0].shown, &shown, &w[1].shown));
        assert!(
            between || possible.iter().any(|s| s.shown == shown),
            "{at}: in step {:?} after {:?}: {shown:?}",
            steps[last].what,
            steps[first].what
        );
    }
    check_proofs(&store);
    // Nothing is left over behind what is committed, and the store works on.
    let stats = store.stats();
    let files: usize = disk.image().iter().filter(|(n, _)| n.ends_with(".seg")).map(|(_, b)| b.len()).sum();
    assert_eq!(files as u64, stats.segment_bytes, "{at}: orphans");
    let core = store.create_core(CreateOptions::named("a")).unwrap();
    let length = core.length();
    core.append(&[Bytes::from_static(b"after the crash")]).unwrap();
    drop((core, store));
    let store = Store::open_disk(Arc::new(disk.clone()), options()).unwrap();
    let core = store.create_core(CreateOptions::named("a")).unwrap();
    assert_eq!(core.block(length).unwrap().as_deref(), Some(&b"after the crash"[..]), "{at}");
}

fn is_between(before: &Shown, now: &Shown, after: &Shown) -> bool {
    now.user == before.user
        && now.cores.keys().eq(after.cores.keys())
        && now.cores.iter().all(|(key, n)| {
            let a = &after.cores[key];
            let head = (n.0, n.1, n.2) == (a.0, a.1, a.2);
            let had = before.cores.get(key).map(|b| b.3.clone()).unwrap_or_default();
            head && had.iter().all(|i| n.3.contains(i)) && n.3.iter().all(|i| a.3.contains(i))
        })
}

/// Runs the play on a disk that fails `times` times from operation `from` of each step on; repeats the step until
/// it succeeds.
fn play_with_faults(from: u64, times: u64, full: bool, reads: bool) -> u64 {
    let disk = FaultyDisk::default();
    let faults = disk.faults.clone();
    let calm = {
        let store = Store::memory(options()).unwrap();
        store.set_primary_key(&[1; 32]).unwrap();
        for (_, action) in play() {
            action(&store).unwrap();
        }
        show(&store)
    };
    let store = Store::open_disk(Arc::new(disk.clone()), options()).unwrap();
    store.set_primary_key(&[1; 32]).unwrap();
    faults.reads.store(reads, std::sync::atomic::Ordering::SeqCst);
    let mut failures = 0;
    let mut uncertain = 0;
    for (what, action) in play() {
        let before = show(&store);
        faults.arm(from, times, full);
        let mut rounds = 0;
        while let Err(e) = action(&store) {
            failures += 1;
            rounds += 1;
            let kinds: &[ErrorKind] =
                if full { &[ErrorKind::Full] } else { &[ErrorKind::Io, ErrorKind::Uncertain] };
            assert!(kinds.contains(&e.kind()), "{what}: {e:?}");
            assert!(rounds < 8, "{what} does not get over it: {e}");
            if rounds > 3 || full || e.kind() == ErrorKind::Uncertain {
                faults.heal();
                store.flush().unwrap();
                let now = show(&store);
                if e.kind() == ErrorKind::Uncertain && now != before {
                    // It happened. That it happened whole is seen at the end.
                    uncertain += 1;
                    break;
                }
                let ok = now == before || what.starts_with("download") || what == "remove";
                assert!(ok, "{what} failed and changed something");
            }
        }
        faults.heal();
    }
    assert_eq!(show(&store), calm, "after faults from {from}, {times} times");
    check_proofs(&store);
    drop(store);
    let store = Store::open_disk(Arc::new(disk.disk.clone()), options()).unwrap();
    assert_eq!(show(&store), calm);
    check_proofs(&store);
    assert!(uncertain <= failures);
    failures
}

#[test]
fn a_full_disk_loses_nothing_and_a_later_try_works() {
    let mut failures = 0;
    for from in 0..40 {
        failures += play_with_faults(from, u64::MAX, true, false);
    }
    assert!(failures > 100);
}

#[test]
fn a_device_that_fails_now_and_then_loses_nothing() {
    let mut failures = 0;
    for from in 0..40 {
        failures += play_with_faults(from, 1, false, false);
        failures += play_with_faults(from, 3, false, false);
    }
    assert!(failures > 100);
}

#[test]
fn a_device_that_cannot_even_be_read_for_a_while_loses_nothing() {
    for from in 0..40 {
        play_with_faults(from, 5, false, true);
    }
    for from in 0..10 {
        play_with_faults(from, 1000, false, true);
    }
}
