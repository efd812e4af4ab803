#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::proto::{Level, encode_node};
use super::*;
use crate::{BlockSource, Error, MemorySource};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;

const VECTORS: &str = include_str!("../../../../interop/vectors/drive.json");

/// The generator the vectors were made with.
struct Lcg(u32);

impl Lcg {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1664525).wrapping_add(1013904223);
        (self.0 >> 8) % n
    }
}

fn digest<B: AsRef<[u8]>>(blocks: impl IntoIterator<Item = B>) -> String {
    let mut all = Vec::new();
    for b in blocks {
        all.extend_from_slice(&(b.as_ref().len() as u32).to_le_bytes());
        all.extend_from_slice(b.as_ref());
    }
    data_encoding::HEXLOWER.encode(&bosc_format::crypto::hash(&[&all]))
}

fn number(v: &Value) -> u64 {
    v.as_u64().unwrap()
}

/// Runs a case's operations; checks every batch against what hyperbee appended.
fn replay(case: &Value) -> MemorySource {
    let mut core = MemorySource::new();
    let mut rnd = Lcg(number(&case["seed"]) as u32);
    let (keys, size, dels) = (number(&case["keys"]), number(&case["size"]), number(&case["dels"]));
    for (i, expected) in case["batches"].as_array().unwrap().iter().enumerate() {
        let mut batch = Batch::new(&core, Header::plain());
        for _ in 0..1 + rnd.below(size as u32) {
            let key = format!("key/{}", rnd.below(keys as u32));
            if u64::from(rnd.below(100)) < dels {
                batch.del(key).unwrap();
            } else {
                batch.put(key, Some(format!("v{}", rnd.below(1000)).into())).unwrap();
            }
        }
        let blocks = batch.into_blocks();
        assert_eq!(core.length() + blocks.len() as u64, number(&expected["length"]), "length of batch {i}");
        assert_eq!(digest(&blocks), expected["hash"].as_str().unwrap(), "blocks of batch {i}");
        core.extend(blocks);
    }
    core
}

fn range_of(v: &Value) -> KeyRange {
    let mut range = KeyRange::all();
    let key = |name: &str| v[name].as_str().map(|s| Bytes::copy_from_slice(s.as_bytes()));
    if let Some(k) = key("gt") {
        range = range.gt(k);
    }
    if let Some(k) = key("gte") {
        range = range.gte(k);
    }
    if let Some(k) = key("lt") {
        range = range.lt(k);
    }
    if let Some(k) = key("lte") {
        range = range.lte(k);
    }
    if v["reverse"] == true {
        range = range.reverse();
    }
    if let Some(n) = v["limit"].as_u64() {
        range = range.limit(n);
    }
    range
}

fn text(b: &[u8]) -> String {
    String::from_utf8(b.to_vec()).unwrap()
}

fn check_case(i: usize) {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let case = &vectors["bee"][i];
    let core = replay(case);
    for d in case["diffs"].as_array().unwrap() {
        let lines: Vec<String> = Bee::checkout(&core, number(&d["new"]))
            .diff(number(&d["old"]), KeyRange::all())
            .map(|c| {
                let c = c.unwrap();
                let sign = match (&c.new, &c.old) {
                    (Some(_), Some(_)) => '~',
                    (Some(_), None) => '+',
                    _ => '-',
                };
                let seq = |e: &Option<Entry>| e.as_ref().map_or(0, |e| e.seq);
                let key = text(&c.new.as_ref().or(c.old.as_ref()).unwrap().key);
                format!("{sign}{key}:{}:{}", seq(&c.new), seq(&c.old))
            })
            .collect();
        assert_eq!(lines.len() as u64, number(&d["count"]));
        assert_eq!(digest(&lines), d["hash"].as_str().unwrap(), "diff {d}");
    }
    for r in case["ranges"].as_array().unwrap() {
        let lines: Vec<String> = Bee::checkout(&core, number(&r["version"]))
            .range(range_of(r))
            .map(|e| e.unwrap())
            .map(|e| format!("{}={}@{}", text(&e.key), text(e.value.as_ref().unwrap()), e.seq))
            .collect();
        assert_eq!(lines.len() as u64, number(&r["count"]), "{r}");
        assert_eq!(digest(&lines), r["hash"].as_str().unwrap(), "range {r}");
    }
}

#[test]
fn small_batches_are_byte_for_byte_those_of_hyperbee() {
    check_case(0);
    check_case(3);
    check_case(4);
}

#[test]
fn large_batches_are_byte_for_byte_those_of_hyperbee() {
    check_case(1);
    check_case(2);
    check_case(5);
}

/// A core of which nothing is here until it is fetched; remembers what was fetched.
struct Remote {
    all: MemorySource,
    here: RefCell<HashSet<u64>>,
}

impl Remote {
    fn new(all: MemorySource) -> Self {
        Self { all, here: RefCell::default() }
    }
    fn fetch(&self, e: Error, wanted: Vec<u64>) {
        let index = e.missing().unwrap_or_else(|| panic!("{e}"));
        assert!(self.here.borrow_mut().insert(index), "asked twice for {index}");
        self.here.borrow_mut().extend(wanted);
    }
}

impl BlockSource for Remote {
    fn length(&self) -> u64 {
        self.all.length()
    }
    fn block(&self, index: u64) -> Result<Bytes, crate::SourceError> {
        if !self.here.borrow().contains(&index) {
            return Err(crate::SourceError::Missing(index));
        }
        self.all.block(index)
    }
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;
type Op = (u16, Option<u8>);

fn apply(core: &mut MemorySource, model: &mut Model, ops: &[Op]) {
    let mut batch = Batch::new(&*core, Header::plain());
    for (key, value) in ops {
        let key = key.to_be_bytes().to_vec();
        match value {
            Some(v) => {
                batch.put(key.clone(), Some(vec![*v].into())).unwrap();
                model.insert(key, vec![*v]);
            }
            None => {
                assert_eq!(batch.del(key.clone()).unwrap(), model.remove(&key).is_some());
            }
        }
    }
    let blocks = batch.into_blocks();
    core.extend(blocks);
}

/// The last operation merges the leaves into a root that stands in the block before, without the key it deletes.
#[test]
fn a_root_of_later_inside_a_batch_is_no_version() {
    let (mut core, mut model) = (MemorySource::new(), Model::new());
    let mut ops: Vec<Op> = [0, 8, 1, 2, 3, 98, 97, 4, 5].map(|key| (key, Some(0))).to_vec();
    ops.push((97, None));
    apply(&mut core, &mut model, &ops);
    let ends: Vec<u64> = Bee::new(&core)
        .versions()
        .map(|step| step.unwrap())
        .filter(|step| step.ends_batch)
        .map(|step| step.entry.entry.seq + 1)
        .collect();
    assert_eq!(ends, [11]);
}

fn pair(e: Entry) -> (Vec<u8>, Vec<u8>) {
    (e.key.to_vec(), e.value.unwrap().to_vec())
}

fn batches() -> impl Strategy<Value = Vec<Vec<Op>>> {
    let op = (0u16..120, prop::option::weighted(0.6, any::<u8>()));
    prop::collection::vec(prop::collection::vec(op, 0..60), 1..12)
}

fn bound() -> impl Strategy<Value = Bound<Bytes>> {
    let key = (0u16..125).prop_map(|k| Bytes::copy_from_slice(&k.to_be_bytes()));
    prop_oneof![Just(Bound::Unbounded), key.clone().prop_map(Bound::Included), key.prop_map(Bound::Excluded)]
}

fn in_range(range: &KeyRange, model: &Model) -> Vec<(Vec<u8>, Vec<u8>)> {
    let after = |k: &[u8]| match &range.start {
        Bound::Unbounded => true,
        Bound::Included(b) => k >= b,
        Bound::Excluded(b) => k > b,
    };
    let before = |k: &[u8]| match &range.end {
        Bound::Unbounded => true,
        Bound::Included(b) => k <= b,
        Bound::Excluded(b) => k < b,
    };
    let mut out: Vec<_> =
        model.iter().filter(|(k, _)| after(k) && before(k)).map(|(k, v)| (k.clone(), v.clone())).collect();
    if range.reverse {
        out.reverse();
    }
    out.truncate(range.limit.unwrap_or(u64::MAX) as usize);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_bee_is_an_ordered_map(
        ops in batches(),
        start in bound(),
        end in bound(),
        reverse: bool,
        limit in prop::option::of(0u64..30),
    ) {
        let mut core = MemorySource::new();
        let mut versions: Vec<(u64, Model)> = vec![(1, Model::new())];
        for batch in &ops {
            let mut model = versions.last().unwrap().1.clone();
            apply(&mut core, &mut model, batch);
            versions.push((core.length().max(1), model));
        }
        let range = KeyRange { start, end, reverse, limit };
        for (version, model) in &versions {
            let bee = Bee::checkout(&core, *version);
            let got: Vec<_> = bee.range(range.clone()).map(|e| pair(e.unwrap())).collect();
            prop_assert_eq!(got, in_range(&range, model));
            for k in (0u16..120).step_by(7) {
                let got = bee.get(&k.to_be_bytes()).unwrap().map(|e| pair(e).1);
                prop_assert_eq!(got.as_ref(), model.get(k.to_be_bytes().as_slice()));
            }
        }
        // Diffs between the last version and every other.
        let (last, new) = versions.last().unwrap();
        let range = KeyRange { reverse: false, limit: None, ..range };
        for (version, old) in &versions {
            let (new, old) = (in_range(&range, new), in_range(&range, old));
            let (new, old): (Model, Model) = (new.into_iter().collect(), old.into_iter().collect());
            let mut seen = HashSet::new();
            for change in Bee::checkout(&core, *last).diff(*version, range.clone()) {
                let change = change.unwrap();
                let key = change.new.as_ref().or(change.old.as_ref()).unwrap().key.to_vec();
                prop_assert_eq!(change.new.map(|e| pair(e).1), new.get(&key).cloned());
                prop_assert_eq!(change.old.map(|e| pair(e).1), old.get(&key).cloned());
                seen.insert(key);
            }
            for key in new.keys().chain(old.keys()) {
                prop_assert!(seen.contains(key) || new.get(key) == old.get(key), "{key:?} not in the diff");
            }
        }
    }

    #[test]
    fn walks_over_a_remote_core_resume_where_they_stopped(ops in batches(), reverse: bool, ahead in 0usize..20) {
        let mut core = MemorySource::new();
        let mut model = Model::new();
        let mut middle = (1, Model::new());
        for (i, batch) in ops.iter().enumerate() {
            apply(&mut core, &mut model, batch);
            if i == ops.len() / 2 {
                middle = (core.length().max(1), model.clone());
            }
        }
        let remote = Remote::new(core.clone());
        let range = KeyRange { reverse, ..KeyRange::all() };
        let mut walk = Bee::new(&remote).range(range.clone());
        let mut got = Vec::new();
        while let Some(item) = walk.next() {
            match item {
                Ok(e) => got.push(pair(e)),
                Err(e) => remote.fetch(e, walk.wanted(ahead)),
            }
        }
        prop_assert_eq!(got, in_range(&range, &model));

        let remote = Remote::new(core.clone());
        let mut walk = Bee::new(&remote).diff(middle.0, KeyRange::all());
        let mut got = Vec::new();
        while let Some(item) = walk.next() {
            match item {
                Ok(e) => got.push(e),
                Err(e) => remote.fetch(e, walk.wanted(ahead)),
            }
        }
        let expected: Vec<_> =
            Bee::new(&core).diff(middle.0, KeyRange::all()).map(|c| c.unwrap()).collect();
        prop_assert_eq!(got, expected);

        let remote = Remote::new(core.clone());
        for k in (0u16..120).step_by(11) {
            let mut lookup = Bee::new(&remote).lookup(k.to_be_bytes().to_vec());
            let got = loop {
                match lookup.poll() {
                    Ok(e) => break e,
                    Err(e) => remote.fetch(e, lookup.wanted()),
                }
            };
            prop_assert_eq!(got.map(|e| pair(e).1), model.get(k.to_be_bytes().as_slice()).cloned());
        }

        // A batch whose operations stop and are called again writes the same blocks.
        let ops: Vec<Op> = ops.iter().rev().flatten().copied().collect();
        let (mut local, remote) = (Batch::new(&core, Header::plain()), Remote::new(core.clone()));
        let mut far = Batch::new(&remote, Header::plain());
        for (key, value) in ops {
            let key = key.to_be_bytes().to_vec();
            loop {
                let done = match value {
                    Some(v) => far.put(key.clone(), Some(vec![v].into())).map(drop),
                    None => far.del(key.clone()).map(drop),
                };
                match done {
                    Ok(()) => break,
                    Err(e) => remote.fetch(e, vec![]),
                }
            }
            match value {
                Some(v) => local.put(key, Some(vec![v].into())).map(drop).unwrap(),
                None => local.del(key).map(drop).unwrap(),
            }
        }
        prop_assert_eq!(far.into_blocks(), local.into_blocks());
    }

    /// The ends of batches and nothing else, though blocks inside batches carry nodes that look like roots.
    #[test]
    fn versions_are_the_ends_of_batches(ops in batches(), ahead in 0usize..20) {
        let mut core = MemorySource::new();
        let mut model = Model::new();
        let mut ends = Vec::new();
        for batch in &ops {
            let before = core.length();
            apply(&mut core, &mut model, batch);
            if core.length() > before {
                ends.push(core.length());
            }
        }
        // A first batch of operations that did nothing writes the header alone.
        ends.retain(|e| *e > 1);
        let remote = Remote::new(core.clone());
        let mut walk = Bee::new(&remote).versions();
        let (mut got, mut steps) = (Vec::new(), 0);
        while let Some(item) = walk.next() {
            match item {
                Ok(step) => {
                    steps += 1;
                    got.extend(step.ends_batch.then(|| step.entry.entry.seq + 1));
                }
                Err(e) => remote.fetch(e, walk.wanted(ahead)),
            }
        }
        prop_assert_eq!(steps, core.length().saturating_sub(1));
        prop_assert_eq!(got, ends);
    }

    /// Blocks damaged at random: everything ends, with an error or without, in bounded work.
    #[test]
    fn damaged_cores_are_errors_not_loops(
        ops in batches(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let mut core = MemorySource::new();
        let mut model = Model::new();
        for batch in &ops {
            apply(&mut core, &mut model, batch);
        }
        prop_assume!(core.length() > 1);
        for (block, byte, value) in damage {
            let i = 1 + block.index(core.length() as usize - 1);
            let mut bytes = core.block(i as u64).unwrap().to_vec();
            let at = byte.index(bytes.len());
            bytes[at] = value;
            core.set(i, bytes);
        }
        exhaust(&core);
    }

    #[test]
    fn random_bytes_are_errors_not_panics(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..20)) {
        let core: MemorySource = blocks.into_iter().collect();
        exhaust(&core);
        let _ = Bee::new(&core).header();
    }
}

/// Calls everything; counts what walks yield.
fn exhaust(core: &MemorySource) {
    let most = core.length() as usize + 2;
    for version in [core.length(), core.length() / 2, core.length() + 3] {
        let bee = Bee::checkout(core, version);
        let missing = |e: &Error| e.missing().is_some();
        let take = |n: usize| assert!(n <= most * 2, "yielded {n}");
        take(bee.range(KeyRange::all()).take_while(|e| !e.as_ref().is_err_and(missing)).count());
        take(bee.range(KeyRange::all().reverse()).take_while(|e| !e.as_ref().is_err_and(missing)).count());
        take(bee.diff(2, KeyRange::all()).take_while(|e| !e.as_ref().is_err_and(missing)).count());
        take(bee.versions().take_while(|e| !e.as_ref().is_err_and(missing)).count());
        take(bee.history(0).take_while(|e| !e.as_ref().is_err_and(missing)).count());
        for k in [0u16, 3, 119] {
            let _ = bee.get(&k.to_be_bytes());
        }
    }
    let mut batch = Batch::new(core, Header::plain());
    for k in 0u16..20 {
        let _ = batch.put(k.to_be_bytes().to_vec(), None);
        let _ = batch.del((k * 3).to_be_bytes().to_vec());
    }
    let _ = batch.into_blocks();
}

fn node(key: &str, keys: &[u64], children: &[(u64, u64)]) -> Vec<u8> {
    let level = Level { keys: keys.to_vec(), children: children.to_vec() };
    encode_node(key.as_bytes(), Some(b"v"), &[level])
}

#[test]
fn a_node_that_is_its_own_child_is_an_error() {
    let core: MemorySource =
        [Header::plain().encode(), node("m", &[1], &[(1, 0), (1, 0)])].into_iter().collect();
    exhaust(&core);
    let bee = Bee::new(&core);
    assert!(matches!(bee.get(b"a"), Err(Error::Malformed { .. })));
    assert!(matches!(bee.range(KeyRange::all()).next(), Some(Err(Error::Malformed { .. }))));
    let mut batch = Batch::new(&core, Header::plain());
    assert!(matches!(batch.put("a", None), Err(Error::Malformed { .. })));
    assert!(matches!(batch.del("m"), Err(Error::Malformed { .. })));
}

/// Every level names the level below nine times: 9^30 places in 30 blocks, in two versions that differ everywhere.
#[test]
fn a_tree_that_shares_nodes_is_an_error_after_bounded_work() {
    let mut core = MemorySource::new();
    core.push(Header::plain().encode());
    core.push(node("k", &[1], &[]));
    core.push(node("k", &[1], &[]));
    for i in 0..28u64 {
        for side in [0, 1] {
            let below = 1 + i * 2 + side;
            core.push(node("k", &[1; 8], &[(below, 0); 9]));
        }
    }
    let length = core.length();
    let bee = Bee::checkout(&core, length);
    assert!(bee.diff(length - 1, KeyRange::all()).any(|c| c.is_err()));
    assert!(bee.range(KeyRange::all()).any(|e| e.is_err()));
    exhaust(&core);
}

#[test]
fn the_inside_of_a_batch_is_no_version() {
    let mut core = MemorySource::new();
    let mut model = Model::new();
    apply(&mut core, &mut model, &[(1, Some(1)), (2, Some(2)), (3, Some(3))]);
    assert!(matches!(Bee::checkout(&core, 3).get(b"x"), Err(Error::NotAVersion(3))));
    assert_eq!(Bee::checkout(&core, 4).range(KeyRange::all()).count(), 3);
    assert_eq!(Bee::checkout(&core, 1).range(KeyRange::all()).count(), 0);
    let history: Vec<_> = Bee::new(&core).history(0).map(|h| h.unwrap().deleted).collect();
    assert_eq!(history, [false; 3]);
    apply(&mut core, &mut model, &[(2, None)]);
    assert!(Bee::new(&core).history(4).next().unwrap().unwrap().deleted);
}

#[test]
fn prefixes_become_ranges() {
    let range = KeyRange::prefix(b"a\xff");
    assert_eq!(range.end, Bound::Excluded(Bytes::from_static(b"b")));
    assert_eq!(KeyRange::prefix(b"\xff").end, Bound::Unbounded);
    assert_eq!(KeyRange::prefix(b"").end, Bound::Unbounded);
}

#[test]
fn keys_that_are_too_long_are_refused() {
    let core = MemorySource::new();
    let mut batch = Batch::new(&core, Header::plain());
    assert!(matches!(batch.put(vec![0; MAX_KEY_LEN + 1], None), Err(Error::TooLarge(_))));
    batch.put(vec![0; MAX_KEY_LEN], None).unwrap();
}
