#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::stage::Leaf;
use crate::stage::tests::{MemoryTarget, noise};
use crate::stage::{StageTarget, TargetState};
use bosc_drive::blobs::{BlobId, BlobReader, ContentMap, Placement, load_map};
use bosc_drive::chunker::ChunkBuffer;
use bosc_drive::drive::{Drive, DriveBatch, EntryValue};
use bosc_drive::{BlockSource, MemorySource};
use bosc_format::crypto::leaf_hash;
use bytes::Bytes;
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// How a drive made for a test holds a file.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// Blocks of so many bytes, without a map.
    Plain(usize),
    /// By content, with a map.
    Content,
    /// Blocks of so many bytes, with a map.
    Map(usize),
}

#[derive(Debug, Clone)]
enum Item {
    File(Vec<u8>, Cut, bool),
    Link(String),
    Nothing,
}

fn pieces(content: &[u8], cut: Cut) -> Vec<Bytes> {
    match cut {
        Cut::Plain(n) | Cut::Map(n) => content.chunks(n.max(1)).map(Bytes::copy_from_slice).collect(),
        Cut::Content => {
            let mut buffer = ChunkBuffer::new();
            buffer.buffer().extend_from_slice(content);
            let mut out = Vec::new();
            while let Some(chunk) = buffer.next_chunk() {
                out.push(chunk);
            }
            out.extend(buffer.finish());
            out
        }
    }
}

fn bytes_in(source: &MemorySource) -> u64 {
    (0..source.length()).map(|i| source.block(i).unwrap().len() as u64).sum()
}

fn put(target: &mut MemoryTarget, content: &[u8], cut: Cut) -> BlobId {
    let (blocks, bytes) = (target.blobs.length(), bytes_in(&target.blobs));
    let parts = pieces(content, cut);
    if let Cut::Plain(_) = cut {
        let block_length = parts.len() as u64;
        parts.into_iter().for_each(|p| target.push_blob(p));
        let byte_length = content.len() as u64;
        return BlobId {
            block_offset: blocks,
            byte_offset: bytes,
            block_length,
            byte_length,
            block_map: false,
        };
    }
    let mut map = ContentMap::new(blocks, bytes);
    for part in parts {
        if let Placement::New(_) = map.push(&leaf_hash(&part), part.len() as u64, |_| None) {
            target.push_blob(part);
        }
    }
    let (id, maps) = map.finish().unwrap();
    maps.into_iter().for_each(|m| target.push_blob(m));
    id
}

/// A drive whose versions hold these files, one after the other.
fn drive(versions: &[&BTreeMap<String, Item>]) -> MemoryTarget {
    let mut target = MemoryTarget::default();
    for files in versions {
        let old: Vec<String> = match target.db.length() {
            0 => Vec::new(),
            _ => target.drive().list("/").unwrap().map(|e| e.unwrap().key).collect(),
        };
        let mut puts = Vec::new();
        for (key, item) in *files {
            puts.push((
                key.clone(),
                match item {
                    Item::File(content, cut, x) => EntryValue::file(put(&mut target, content, *cut), *x),
                    Item::Link(to) => EntryValue::symlink(to.clone()),
                    Item::Nothing => EntryValue::default(),
                },
            ));
        }
        let blocks = {
            let mut batch = DriveBatch::new(&target.db);
            old.iter().filter(|k| !files.contains_key(*k)).for_each(|k| assert!(batch.del(k).unwrap()));
            for (key, value) in &puts {
                batch.put(key, value).unwrap();
            }
            batch.into_blocks()
        };
        target.db.extend(blocks);
    }
    target
}

/// A drive's blobs as they are read here, with a note of what was asked for.
struct Tree<'a>(&'a MemoryTarget, RefCell<Vec<u64>>);

impl BlobTree for Tree<'_> {
    fn length(&self) -> u64 {
        self.0.blobs.length()
    }
    fn leaf(&self, index: u64) -> Result<Leaf, ProvisionError> {
        Ok(self.0.blob_leaf(index)?)
    }
    fn block(&self, index: u64) -> Result<Bytes, ProvisionError> {
        self.1.borrow_mut().push(index);
        Ok(self.0.blob_block(index)?)
    }
    fn fetch_leaves(&self, blocks: Vec<u64>) -> Result<(), ProvisionError> {
        assert!(blocks.windows(2).all(|w| w[0] < w[1]));
        Ok(())
    }
    fn fetch(&self, _: Vec<u64>) -> Result<(), ProvisionError> {
        Ok(())
    }
}

fn tree(target: &MemoryTarget) -> Tree<'_> {
    Tree(target, RefCell::default())
}

fn listed(target: &MemoryTarget) -> DriveTree {
    if target.db.length() == 0 {
        return DriveTree::default();
    }
    let drive = Drive::new(&target.db);
    let entries = drive.list("/").unwrap().map(|e| e.unwrap()).collect();
    let field = |f: &'static str| Some((f, drive.raw(f).unwrap()?.value.unwrap()));
    DriveTree { entries, fields: FIELDS.into_iter().filter_map(field).collect() }
}

/// What a reader sees: kind, executable bit and bytes of each file.
fn content(target: &MemoryTarget) -> BTreeMap<String, (Option<String>, bool, Vec<u8>)> {
    listed(target)
        .entries
        .into_iter()
        .map(|e| {
            let bytes = e.value.blob.map_or(Vec::new(), |id| {
                BlobReader::new(&target.blobs, id).flat_map(|b| b.unwrap()).collect()
            });
            (e.key, (e.value.linkname, e.value.executable, bytes))
        })
        .collect()
}

/// Reads the base while the target is written: here both are one drive.
fn provision(
    source: &MemoryTarget,
    base: &MemoryTarget,
    target: &mut MemoryTarget,
    layout: Layout,
) -> (ProvisionPlan, WriteSummary) {
    let plan = plan(&listed(source), &tree(source), &listed(base), &tree(base)).unwrap();
    let summary = match plan.is_empty() {
        true => WriteSummary::default(),
        false => write(target, &plan, &tree(source), &tree(base), layout, &mut |_, _| {}).unwrap(),
    };
    (plan, summary)
}

fn make(
    source: &MemoryTarget,
    base: &[&BTreeMap<String, Item>],
    layout: Layout,
) -> (MemoryTarget, ProvisionPlan, WriteSummary) {
    let (prefix, mut target) = (drive(base), drive(base));
    let (plan, summary) = provision(source, &prefix, &mut target, layout);
    (target, plan, summary)
}

fn file(content: &[u8], cut: Cut) -> Item {
    Item::File(content.to_vec(), cut, false)
}

fn files(items: &[(&str, Item)]) -> BTreeMap<String, Item> {
    items.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
}

fn state(target: &MemoryTarget) -> TargetState {
    target.state().unwrap()
}

#[test]
fn the_batch_makes_the_files_of_the_source_and_nothing_else() {
    let big = noise(12345, 20 << 20);
    let v1 = files(&[
        ("/a", file(b"one", Cut::Content)),
        ("/big", file(&big, Cut::Content)),
        ("/gone", file(b"bye", Cut::Plain(2))),
        ("/link", Item::Link("a".into())),
        ("/none", Item::Nothing),
    ]);
    let mut changed = big.clone();
    changed[10485760] ^= 1;
    let v2 = files(&[
        ("/a", file(b"one", Cut::Plain(1))),
        ("/big", file(&changed, Cut::Content)),
        ("/link", Item::Link("big".into())),
        ("/none", file(b"", Cut::Content)),
        ("/run", Item::File(b"#!".to_vec(), Cut::Content, true)),
    ]);
    let source = drive(&[&v1, &v2]);
    let (target, plan, summary) = make(&source, &[&v1], Layout::Dedup);
    let shown: Vec<String> =
        plan.diffs.iter().map(|d| format!("{} {} {:?}", d.type_number(), d.key, d.sizes())).collect();
    assert_eq!(
        shown,
        ["-1 /gone [-3]", "0 /big [-20971520, 20971520]", "0 /link [0, 0]", "1 /run [2]"],
        "cut in another way or no content at all is no difference"
    );
    assert_eq!(content(&target), content(&source));
    // The bit of the vectors: one chunk of 1,201,454 bytes is replaced, and "/run" is new; a map each.
    assert_eq!(summary, WriteSummary { new_bytes: 1201456, new_blocks: 4, shared_bytes: 20971520 - 1201454 });
    assert_eq!(target.db.length(), drive(&[&v1]).db.length() + 4, "one block an operation");
    let (again, _) = provision(&source, &target, &mut MemoryTarget::default(), Layout::Dedup);
    assert!(again.is_empty());

    let (target, _, summary) = make(&source, &[&v1], Layout::Contiguous);
    assert_eq!(content(&target), content(&source));
    assert_eq!(summary.new_bytes, 20971522);
    let (again, _) = provision(&source, &target, &mut MemoryTarget::default(), Layout::Dedup);
    assert!(again.is_empty());
}

#[test]
fn renamed_files_cost_a_map_however_they_were_cut() {
    let content_of = noise(3, 3_000_000);
    for (before, after) in [
        (Cut::Content, Cut::Content),
        (Cut::Plain(65536), Cut::Plain(65536)),
        (Cut::Plain(65536), Cut::Map(65536)),
    ] {
        let v1 = files(&[("/old", file(&content_of, before))]);
        let v2 = files(&[("/new", file(&content_of, after)), ("/too", file(&content_of, after))]);
        let source = drive(&[&v2]);
        let (target, _, summary) = make(&source, &[&v1], Layout::Dedup);
        assert_eq!((summary.new_bytes, summary.new_blocks), (0, 2), "{before:?} {after:?}");
        assert_eq!(content(&target), content(&source));
    }
    // Known blocks are named without being read.
    let v1 = files(&[("/old", file(&content_of, Cut::Content))]);
    let (base, source) = (drive(&[&v1]), drive(&[&files(&[("/new", file(&content_of, Cut::Content))])]));
    let mut target = drive(&[&v1]);
    let plan = plan(&listed(&source), &tree(&source), &listed(&base), &tree(&base)).unwrap();
    let read = tree(&source);
    write(&mut target, &plan, &read, &tree(&base), Layout::Dedup, &mut |_, _| {}).unwrap();
    let map = listed(&source).entries[0].value.blob.unwrap().block_offset;
    assert_eq!(read.1.into_inner(), [map]);
}

/// The same path comes first, then the oldest block of any.
#[test]
fn blocks_of_the_same_path_are_named_first() {
    let part = noise(9, 600_000);
    let v1 = files(&[("/a", file(&part, Cut::Plain(1 << 20))), ("/b", file(&part, Cut::Plain(1 << 20)))]);
    let both = [part.as_slice(), b"tail"].concat();
    let source = drive(&[&files(&[
        ("/a", file(&part, Cut::Content)),
        ("/b", Item::File(part.clone(), Cut::Content, true)),
        ("/c", file(&both, Cut::Map(600_000))),
    ])]);
    let (target, plan, _) = make(&source, &[&v1], Layout::Dedup);
    assert_eq!(plan.diffs.len(), 2);
    let map = |target: &MemoryTarget, key: &str| -> Vec<u64> {
        let id = target.drive().entry(key).unwrap().unwrap().value.blob.unwrap();
        load_map(&target.blobs, &id).unwrap().iter().map(|r| r.index).collect()
    };
    // `both` is cut anew: by content it is one piece, which nobody has.
    assert_eq!(map(&target, "/c"), [2]);
    let twice = [part.as_slice(), part.as_slice()].concat();
    let source = drive(&[&files(&[("/b", file(&twice, Cut::Plain(600_000)))])]);
    let (target, _, _) = make(&source, &[&v1], Layout::Dedup);
    assert_eq!(map(&target, "/b"), [1, 1]);
    assert_eq!(content(&target), content(&source));
}

#[test]
fn the_result_does_not_depend_on_how_the_source_is_cut() {
    let (old, new) = (noise(1, 4 << 20), [b"x".as_slice(), &noise(1, 4 << 20)].concat());
    let v1 = files(&[("/f", file(&old, Cut::Content)), ("/g", file(&old[..1 << 20], Cut::Content))]);
    let states: Vec<TargetState> = [Cut::Content, Cut::Plain(65536), Cut::Map(1000), Cut::Plain(8 << 20)]
        .into_iter()
        .map(|cut| {
            let source = drive(&[&files(&[("/f", file(&new, cut)), ("/h", file(&old[7..], cut))])]);
            let (target, _, _) = make(&source, &[&v1], Layout::Dedup);
            assert_eq!(content(&target), content(&source));
            state(&target)
        })
        .collect();
    assert!(states.windows(2).all(|w| w[0] == w[1]));
}

#[test]
fn contiguous_files_keep_the_blocks_of_the_source() {
    let big = noise(8, 3 << 20);
    let source = drive(&[&files(&[("/b", file(&big, Cut::Content)), ("/a", file(&big, Cut::Plain(65536)))])]);
    let (target, _, _) = make(&source, &[], Layout::Contiguous);
    let expected: Vec<usize> =
        pieces(&big, Cut::Plain(65536)).iter().chain(&pieces(&big, Cut::Content)).map(Bytes::len).collect();
    let sizes: Vec<usize> =
        (0..target.blobs.length()).map(|i| target.blobs.block(i).unwrap().len()).collect();
    assert_eq!(sizes, expected);
    let entries = listed(&target).entries;
    assert!(entries.iter().all(|e| !e.value.blob.unwrap().block_map));
    assert_eq!(content(&target), content(&source));
}

#[test]
fn fields_are_carried_in_both_layouts() {
    let with = |files: &BTreeMap<String, Item>, fields: &[(&str, &str)]| {
        let mut target = drive(&[files]);
        let blocks = {
            let mut batch = DriveBatch::new(&target.db);
            for (key, value) in fields {
                batch.put_raw(key, (*value).to_owned()).unwrap();
            }
            batch.into_blocks()
        };
        target.db.extend(blocks);
        target
    };
    let v = files(&[("/a", file(b"1", Cut::Content))]);
    let source = with(&v, &[("manifest", "{\"a\":1}"), ("metadata", "[1, 2]"), ("other", "9")]);
    let base = [("metadata", "[1,2]"), ("platformVersion", "3")];
    for layout in [Layout::Dedup, Layout::Contiguous] {
        let (prefix, mut target) = (with(&v, &base), with(&v, &base));
        let (plan, _) = provision(&source, &prefix, &mut target, layout);
        let changes: Vec<_> = plan.fields.iter().map(|f| (f.field, f.value.as_deref())).collect();
        assert_eq!(changes, [("manifest", Some(&b"{\"a\":1}"[..])), ("platformVersion", None)]);
        assert!(plan.diffs.is_empty());
        assert_eq!(target.db.length(), prefix.db.length() + 2);
        let (again, _) = provision(&source, &target, &mut MemoryTarget::default(), layout);
        assert!(again.is_empty(), "{layout:?}");
        assert!(target.drive().raw("other").unwrap().is_none());
    }
}

#[test]
fn what_is_the_same_but_for_its_bit_gets_a_new_entry_only() {
    let v1 = files(&[("/a", Item::File(b"same".to_vec(), Cut::Plain(3), false))]);
    let source = drive(&[&files(&[("/a", Item::File(b"same".to_vec(), Cut::Content, true))])]);
    let (target, plan, summary) = make(&source, &[&v1], Layout::Contiguous);
    assert_eq!((plan.diffs[0].removed, plan.diffs[0].added), (0, 0));
    assert_eq!(summary, WriteSummary::default());
    assert_eq!(content(&target), content(&source));
}

#[test]
fn invalid_sources_are_refused_before_anything_is_written() {
    let check = |value: EntryValue, key: &str| {
        let mut source = MemoryTarget::default();
        source.push_blob(&b"block"[..]);
        let blocks = {
            let mut batch = DriveBatch::new(&source.db);
            batch.put_raw(&format!("files\0{key}"), value.encode()).unwrap();
            batch.into_blocks()
        };
        source.db.extend(blocks);
        plan(&listed(&source), &tree(&source), &DriveTree::default(), &tree(&MemoryTarget::default()))
    };
    let id = BlobId { block_offset: 0, byte_offset: 0, block_length: 1, byte_length: 5, block_map: false };
    assert!(check(EntryValue::file(id, false), "/ok").is_ok());
    for bad in [
        BlobId { block_length: 2, ..id },
        BlobId { block_offset: 1, ..id },
        BlobId { block_length: u64::MAX >> 12, ..id },
        BlobId { byte_length: 6, ..id },
        BlobId { block_map: true, ..id },
    ] {
        assert!(check(EntryValue::file(bad, false), "/bad").is_err(), "{bad:?}");
    }
    for key in ["/a/../b", "/a//b", "x", "/a\\b"] {
        assert!(
            matches!(check(EntryValue::file(id, false), key), Err(ProvisionError::Name(_)) | Ok(_)),
            "{key}"
        );
    }
    assert!(matches!(check(EntryValue::file(id, false), "//a"), Err(ProvisionError::Name(_))));
}

fn cut() -> impl Strategy<Value = Cut> {
    prop_oneof![(1usize..40).prop_map(Cut::Plain), (8usize..40).prop_map(Cut::Map), Just(Cut::Content)]
}

fn item() -> impl Strategy<Value = Item> {
    let content = prop_oneof![
        (0usize..120, 0u8..3)
            .prop_map(|(n, b)| (0..n).map(|i| (i as u8 / 16).wrapping_add(b)).collect::<Vec<u8>>()),
    ];
    prop_oneof![
        6 => (content, cut(), any::<bool>()).prop_map(|(c, cut, x)| Item::File(c, cut, x)),
        1 => "[a-c]".prop_map(Item::Link),
        1 => Just(Item::Nothing),
    ]
}

fn version() -> impl Strategy<Value = BTreeMap<String, Item>> {
    prop::collection::btree_map(
        "/[a-e](/[x-z])?".prop_filter("no file is a folder", |k| k.len() != 2 || k < &"/c".to_owned()),
        item(),
        0..8,
    )
}

proptest! {
    #[test]
    fn any_source_on_any_base(base in prop::collection::vec(version(), 0..3), source in prop::collection::vec(version(), 1..3)) {
        let base: Vec<_> = base.iter().collect();
        let source: Vec<_> = source.iter().collect();
        let source = drive(&source);
        for layout in [Layout::Dedup, Layout::Contiguous] {
            let (target, plan, summary) = make(&source, &base, layout);
            prop_assert_eq!(content(&target), content(&source));
            // The prefix stays as it was.
            let prefix = drive(&base);
            for i in 0..prefix.db.length() {
                prop_assert_eq!(prefix.db.block(i).unwrap(), target.db.block(i).unwrap());
            }
            for i in 0..prefix.blobs.length() {
                prop_assert_eq!(prefix.blobs.block(i).unwrap(), target.blobs.block(i).unwrap());
            }
            prop_assert_eq!(target.blobs.length() - prefix.blobs.length(), summary.new_blocks);
            let (again, _, _) = make(&source, &base, layout);
            prop_assert_eq!(state(&again), state(&target));
            let (more, _) = provision(&source, &target, &mut MemoryTarget::default(), layout);
            prop_assert!(more.is_empty(), "{:?} after {:?}", more, plan);
        }
    }
}
