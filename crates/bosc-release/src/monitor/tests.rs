#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::compare;
use super::event::{Compared, Finding, MonitorEvent, Monitored};
use super::file::{MonitorFile, read};
use super::judge::Known;
use super::record::{MAX_RECORD, Record, Seen};
use crate::event::Event;
use crate::golden;
use bosc_follow::CoreName;
use bosc_format::crypto::KeyPair;
use bosc_format::manifest::Manifest;
use bosc_format::merkle::Head;
use bosc_policy::{Signed, Statement};
use bosc_store::{CreateOptions, Options, Store};
use bytes::Bytes;
use std::fs;
use std::path::{Path, PathBuf};

/// A link whose key signs what it is told to.
struct Link {
    manifest: Manifest,
    key: [u8; 32],
    store: Store,
}

impl Link {
    fn new() -> Self {
        let store = Store::memory(Options::default()).unwrap();
        let core = store.create_core(CreateOptions::named("db")).unwrap();
        let manifest = (*core.manifest().unwrap()).clone();
        Self { manifest, key: *core.key(), store }
    }

    /// Heads of one history: of these blocks, one more each time.
    fn heads(&self, blocks: &[&[u8]]) -> Vec<Head> {
        // Another store with the same key: what must never be done.
        let store = Store::memory(Options::default()).unwrap();
        store.set_primary_key(&self.store.primary_key()).unwrap();
        let core = store.create_core(CreateOptions::named("db")).unwrap();
        assert_eq!(*core.key(), self.key);
        blocks.iter().map(|b| (*core.append(&[Bytes::copy_from_slice(b)]).unwrap()).clone()).collect()
    }

    fn known(&self) -> Known {
        Known::new(self.key)
    }

    fn manifest(&self) -> Record {
        Record { time: 1, seen: Seen::Manifest(self.manifest.clone()) }
    }

    fn said(&self, counter: u64, time: u64) -> Signed {
        let statement = Statement { link: self.key, counter, time, newest: None, versions: Vec::new() };
        Signed::new(&statement, &KeyPair::from_seed(&[5; 32])).unwrap()
    }

    /// A file with these records behind the manifest.
    fn file(&self, path: &Path, seen: &[Seen]) {
        let mut known = self.known();
        let (mut file, _) = MonitorFile::begin(path, &self.key, |r| {
            known.take(&r).unwrap();
            Ok(())
        })
        .unwrap();
        file.add(&self.manifest()).unwrap();
        for seen in seen {
            file.add(&Record { time: 2, seen: seen.clone() }).unwrap();
        }
    }
}

fn head(head: &Head) -> Seen {
    Seen::Head(CoreName::Db, head.clone())
}

fn records(path: &Path) -> (Vec<Record>, u64) {
    let mut all = Vec::new();
    let found = read(path, fs::File::open(path).unwrap(), |record| {
        all.push(record);
        Ok(())
    });
    (all, found.unwrap().torn)
}

fn temp() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seen");
    (dir, path)
}

#[test]
fn what_was_recorded_is_read_again_and_a_torn_end_is_dropped() {
    let (link, (_dir, path)) = (Link::new(), temp());
    let heads = link.heads(&[b"a", b"b", b"c"]);
    let seen = [head(&heads[0]), Seen::Statement(link.said(1, 1)), Seen::Operators(vec![([1; 32], 5)])];
    link.file(&path, &seen);
    let (all, torn) = records(&path);
    assert_eq!((all.len(), torn), (4, 0));
    assert_eq!(all.iter().skip(1).map(|r| r.seen.clone()).collect::<Vec<_>>(), seen);
    let whole = fs::read(&path).unwrap();
    let before = {
        let last = all.last().unwrap().encode().len() + 4 + 32;
        whole.len() - last
    };
    // Killed at every byte of the last record.
    for end in before + 1..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        let (left, torn) = records(&path);
        assert_eq!((left.len(), torn), (3, (end - before) as u64), "{end}");
        let (mut file, found) = MonitorFile::begin(&path, &link.key, |_| Ok(())).unwrap();
        assert_eq!(found.torn, torn);
        file.add(all.last().unwrap()).unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), whole, "{end}");
    }
    // Killed with zeros in its place, and before there was a header.
    fs::write(&path, [&whole[..before], &vec![0; whole.len() - before]].concat()).unwrap();
    assert_eq!(records(&path).0.len(), 3);
    for end in 0..73 {
        fs::write(&path, &whole[..end]).unwrap();
        drop(MonitorFile::begin(&path, &link.key, |_| Ok(())).unwrap());
        assert_eq!(fs::read(&path).unwrap(), whole[..73], "{end}");
    }
}

#[test]
fn a_file_that_was_changed_is_not_used() {
    let (link, (_dir, path)) = (Link::new(), temp());
    let heads = link.heads(&[b"a", b"b", b"c"]);
    link.file(&path, &heads.iter().map(head).collect::<Vec<_>>());
    // What is behind the change is longer than a record may be: else it may be what a kill left.
    let (mut file, _) = MonitorFile::begin(&path, &link.key, |_| Ok(())).unwrap();
    let operators: Vec<_> = (0..16).map(|n| ([n; 32], 1)).collect();
    while file_len(&path) < 2 * MAX_RECORD as u64 {
        file.add(&Record { time: 3, seen: Seen::Operators(operators.clone()) }).unwrap();
    }
    drop(file);
    let whole = fs::read(&path).unwrap();
    for at in [3, 20, 60, 80, 120, 300, 1_000] {
        let mut wrong = whole.clone();
        wrong[at] ^= 1;
        fs::write(&path, &wrong).unwrap();
        let e = MonitorFile::begin(&path, &link.key, |_| Ok(())).unwrap_err();
        assert_eq!(e.code(), "ERR_MONITOR", "{at}");
        assert_eq!(fs::read(&path).unwrap(), wrong, "it is left as it is");
    }
    fs::write(&path, &whole).unwrap();
    let e = MonitorFile::begin(&path, &[9; 32], |_| Ok(())).unwrap_err();
    assert_eq!(e.code(), "ERR_INVALID_INPUT");
}

fn file_len(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

#[test]
fn one_history_is_no_finding_and_two_are() {
    let link = Link::new();
    let ours = link.heads(&[b"a", b"b", b"c", b"d", b"e"]);
    let theirs = link.heads(&[b"a", b"b", b"x", b"y", b"z"]);
    let mut known = link.known();
    let mut take = |seen: Seen| known.take(&Record { time: 1, seen });
    assert_eq!(take(Seen::Manifest(link.manifest.clone())), Ok(vec![]));
    for h in &ours {
        assert_eq!(take(head(h)), Ok(vec![]), "{}", h.length);
    }
    // What both histories have is no contradiction; what only one has is.
    assert_eq!(take(head(&theirs[1])), Ok(vec![]));
    assert!(matches!(&take(head(&theirs[3])).unwrap()[..], [Finding::Fork { lengths: [4, 4], .. }]));
    // Signed by nobody who may.
    let forged = Head { signature: vec![1; 66], ..ours[4].clone() };
    assert!(take(head(&forged)).is_err());
    let other = Link::new();
    assert!(take(head(&other.heads(&[b"q"])[0])).is_err());
    assert!(take(Seen::Manifest(other.manifest)).is_err());
}

#[test]
fn a_statement_contradicts_another_under_one_counter_alone() {
    let link = Link::new();
    let mut known = link.known();
    let mut take = |signed: Signed| {
        let seen = Seen::Statement(signed);
        let had = known.has(&seen);
        (had, known.take(&Record { time: 1, seen }).unwrap().len())
    };
    assert_eq!(take(link.said(1, 1)), (false, 0));
    assert_eq!(take(link.said(1, 1)), (true, 0));
    assert_eq!(take(link.said(2, 1)), (false, 0));
    assert_eq!(take(link.said(1, 1)), (true, 0));
    assert_eq!(take(link.said(2, 9)), (false, 1));
}

#[test]
fn two_files_are_compared() {
    let (link, dir) = (Link::new(), tempfile::tempdir().unwrap());
    let ours = link.heads(&[b"a", b"b", b"c", b"d", b"e"]);
    let theirs = link.heads(&[b"a", b"b", b"x", b"y", b"z"]);
    let at = |name: &str| dir.path().join(name);
    link.file(&at("ours"), &ours.iter().map(head).collect::<Vec<_>>());
    link.file(&at("late"), &[head(&ours[4])]);
    link.file(&at("theirs"), &[head(&theirs[3]), Seen::Statement(link.said(1, 1))]);
    link.file(&at("said"), &[head(&theirs[3]), Seen::Statement(link.said(1, 2))]);
    Link::new().file(&at("other"), &[]);
    let mut told = Vec::new();
    let mut of = |a: &str, b: &str| {
        told.clear();
        let done = compare(&at(a), &at(b), &mut |event: Event| told.push(event));
        (done.map(|d| d.heads).map_err(|e| e.code().to_owned()), told.len())
    };
    assert_eq!(of("ours", "late"), (Ok([5, 1]), 0));
    assert_eq!(of("late", "ours"), (Ok([1, 5]), 0));
    let split = (Err("ERR_MONITOR".to_owned()), 1);
    assert_eq!(of("ours", "theirs"), split);
    assert_eq!(of("theirs", "late"), split, "lengths that differ have roots in common");
    assert_eq!(of("theirs", "said"), split);
    assert_eq!(of("ours", "other").0, Err("ERR_INVALID_INPUT".to_owned()));
    assert!(of("ours", "none").0.is_err());
}

#[test]
fn what_is_told_has_the_names_that_others_read() {
    use MonitorEvent as E;
    let finding = |f: Finding| E::Finding(Box::new(f));
    golden::events(vec![
        (
            E::Monitoring { link: "l".into(), file: "f".into(), heads: 1, statements: 2 },
            "monitoring",
            r#"{"link":"l","file":"f","heads":1,"statements":2}"#,
        ),
        (E::Torn { file: "f".into(), bytes: 1 }, "torn", r#"{"file":"f","bytes":1}"#),
        (
            E::Head { core: "db".into(), fork: 0, length: 1, hash: "h".into() },
            "head",
            r#"{"core":"db","fork":0,"length":1,"hash":"h"}"#,
        ),
        (
            E::Said(Box::new(crate::log::event::StatementSeen {
                operator: "k".into(),
                name: None,
                counter: 1,
                time: 2,
                newest: None,
                versions: Vec::new(),
            })),
            "said",
            r#"{"operator":"k","name":null,"counter":1,"time":2,"newest":null,"versions":[]}"#,
        ),
        (E::Unanswered, "unanswered", "null"),
        (
            finding(Finding::Contradiction { operator: "k".into(), counter: 1 }),
            "finding",
            r#"{"kind":"contradiction","operator":"k","counter":1}"#,
        ),
        (
            finding(Finding::Fork {
                core: "db".into(),
                fork: 0,
                lengths: [1, 2],
                hashes: ["a".into(), "b".into()],
            }),
            "finding",
            r#"{"kind":"fork","core":"db","fork":0,"lengths":[1,2],"hashes":["a","b"]}"#,
        ),
        (
            finding(Finding::CutBack { core: "db".into(), forks: [0, 1], lengths: [2, 3] }),
            "finding",
            r#"{"kind":"cut-back","core":"db","forks":[0,1],"lengths":[2,3]}"#,
        ),
        (
            finding(Finding::Signers { length: 1, before: vec!["a".into()], now: vec!["b".into()] }),
            "finding",
            r#"{"kind":"signers","length":1,"before":["a"],"now":["b"]}"#,
        ),
        (
            finding(Finding::Operators { before: vec!["a".into()], now: vec!["b".into()] }),
            "finding",
            r#"{"kind":"operators","before":["a"],"now":["b"]}"#,
        ),
        (
            finding(Finding::OtherHead { operator: "k".into(), length: 1, hashes: ["a".into(), "b".into()] }),
            "finding",
            r#"{"kind":"other-head","operator":"k","length":1,"hashes":["a","b"]}"#,
        ),
    ]);
    golden::texts(vec![(
        Monitored { link: "l".into(), file: "f".into(), heads: 1, statements: 2 },
        r#"{"link":"l","file":"f","heads":1,"statements":2}"#,
    )]);
    golden::texts(vec![(
        Compared { link: "l".into(), key: "k".into(), heads: [1, 2], statements: [3, 4] },
        r#"{"link":"l","key":"k","heads":[1,2],"statements":[3,4]}"#,
    )]);
}
