#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::folder::diff::ByteDiff;
use crate::stage::tests::{MemoryTarget, noise};
use crate::stage::{StageOptions, stage};
use bosc_drive::drive::{DriveEntry, EntryValue};
use bosc_drive::{BlockSource, MemorySource};
use bosc_format::crypto::{Hash, leaf_hash};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What a folder holds: content, or the link's target after `-> `, with executable bits.
fn snapshot(root: &Path) -> BTreeMap<String, (Vec<u8>, bool)> {
    fn walk(folder: &Path, key: &str, out: &mut BTreeMap<String, (Vec<u8>, bool)>) {
        for item in fs::read_dir(folder).unwrap() {
            let item = item.unwrap();
            let key = format!("{key}/{}", item.file_name().to_str().unwrap());
            let meta = fs::symlink_metadata(item.path()).unwrap();
            if meta.is_dir() {
                walk(&item.path(), &key, out);
            } else if meta.is_symlink() {
                let to = fs::read_link(item.path()).unwrap();
                out.insert(key, (format!("-> {}", to.display()).into_bytes(), false));
            } else {
                let runs = crate::folder::scan::executable(&meta).unwrap_or(false);
                out.insert(key, (fs::read(item.path()).unwrap(), runs));
            }
        }
    }
    let mut out = BTreeMap::new();
    walk(root, "", &mut out);
    out
}

fn force() -> DumpOptions {
    DumpOptions { force: true, ..DumpOptions::default() }
}

fn leaves(blobs: &MemorySource) -> impl Fn(u64) -> Option<Hash> {
    |i| blobs.block(i).ok().map(|b| leaf_hash(&b))
}

fn run(
    root: &Path,
    target: &MemoryTarget,
    with_leaves: bool,
    options: &DumpOptions,
) -> Result<Vec<ByteDiff>, DumpError> {
    let mut diffs = Vec::new();
    let hash = leaves(&target.blobs);
    let count = dump(
        &Root::open(root)?,
        &target.drive(),
        &target.blobs,
        |i| if with_leaves { hash(i) } else { None },
        options,
        &mut |d| diffs.push(d.clone()),
    )?;
    assert_eq!(count.add + count.change + count.remove, diffs.len() as u64);
    Ok(diffs)
}

fn staged(root: &Path) -> MemoryTarget {
    let mut target = MemoryTarget::default();
    stage(&mut target, root, &StageOptions::default(), &mut |_| {}).unwrap();
    target
}

fn write(root: &Path, name: &str, content: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn lines(diffs: &[ByteDiff]) -> Vec<String> {
    diffs.iter().map(|d| format!("{} {} {:?}", d.type_number(), d.key, d.sizes())).collect()
}

/// A hole at the end of a file is as long as the zeros that it stands for.
#[test]
fn files_that_end_in_zeros_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let sparse = [noise(1, 5000), vec![0; 300_000]].concat();
    write(&from, "sparse", &sparse);
    write(&from, "zeros", &[0; 40_960]);
    let target = staged(&from);
    run(&to, &target, true, &DumpOptions::default()).unwrap();
    assert_eq!(snapshot(&from), snapshot(&to));
    // The same where it is found out while it is compared.
    let mut changed = sparse;
    changed[4999] ^= 1;
    write(&to, "sparse", &changed);
    run(&to, &target, false, &force()).unwrap();
    assert_eq!(snapshot(&from), snapshot(&to));
}

#[cfg(unix)]
#[test]
fn a_staged_folder_comes_back() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    write(&from, "a/big", &noise(1, 3_000_000));
    write(&from, "run", b"#!/bin/sh\n");
    write(&from, "empty", b"");
    fs::set_permissions(from.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("../run", from.join("a/link")).unwrap();
    symlink("a", from.join("folder")).unwrap();
    let target = staged(&from);
    assert_eq!(run(&to, &target, true, &DumpOptions::default()).unwrap().len(), 5);
    assert_eq!(snapshot(&from), snapshot(&to));
    assert!(matches!(run(&to, &target, true, &DumpOptions::default()), Err(DumpError::NotEmpty(_))));

    // Unchanged files are not touched, whether leaves are known or not.
    let inode = fs::metadata(to.join("a/big")).unwrap().ino();
    for with_leaves in [true, false] {
        assert!(run(&to, &target, with_leaves, &force()).unwrap().is_empty());
    }
    assert_eq!(fs::metadata(to.join("a/big")).unwrap().ino(), inode);

    // Every kind of difference, first only told, then mended.
    let damage = || {
        let mut big = noise(1, 3_000_000);
        big[2_999_999] ^= 1;
        write(&to, "a/big", &big);
        fs::set_permissions(to.join("run"), fs::Permissions::from_mode(0o644)).unwrap();
        write(&to, "empty", b"no");
        let _ = fs::remove_file(to.join("folder"));
        symlink("elsewhere", to.join("folder")).unwrap();
        write(&to, "extra/deep/file", b"123");
        let _ = fs::remove_file(to.join("a/link"));
        fs::create_dir_all(to.join("a/link/in the/way")).unwrap();
    };
    for with_leaves in [true, false] {
        damage();
        let broken = snapshot(&to);
        let dry = DumpOptions { dry_run: true, ..force() };
        let told = run(&to, &target, with_leaves, &dry).unwrap();
        assert_eq!(snapshot(&to), broken);
        let diffs = run(&to, &target, with_leaves, &force()).unwrap();
        assert_eq!(told, diffs);
        assert_eq!(
            lines(&diffs),
            [
                "0 /a/big [-3000000, 3000000]",
                "0 /empty [-2, 0]",
                "0 /run [0, 0]",
                "1 /a/link [0]",
                "0 /folder [0, 0]",
                "-1 /extra/deep/file [-3]",
            ]
        );
        assert_eq!(snapshot(&from), snapshot(&to));
        assert!(!to.join("extra").exists());
    }
}

#[test]
fn only_and_keeping_limit_what_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    for name in ["a/1", "a/2", "b/1"] {
        write(&from, name, name.as_bytes());
    }
    let target = staged(&from);
    write(&to, "a/extra", b"x");
    write(&to, "b/extra", b"x");
    let only = DumpOptions { only: vec!["a".into()], ..force() };
    assert_eq!(
        lines(&run(&to, &target, true, &only).unwrap()),
        ["1 /a/1 [3]", "1 /a/2 [3]", "-1 /a/extra [-1]"]
    );
    assert!(to.join("b/extra").exists() && !to.join("b/1").exists());
    let keep = DumpOptions { keep_missing: true, fsync: true, ..force() };
    assert_eq!(lines(&run(&to, &target, true, &keep).unwrap()), ["1 /b/1 [3]"]);
    assert!(to.join("b/extra").exists());
    // A file where a folder must be.
    fs::remove_dir_all(to.join("b")).unwrap();
    write(&to, "b", b"file");
    assert!(matches!(run(&to, &target, true, &keep), Err(DumpError::Blocked(_))));
    assert_eq!(lines(&run(&to, &target, true, &force()).unwrap()), ["1 /b/1 [3]", "-1 /b [-4]"]);
}

fn drive_of(entries: &[(&str, EntryValue)]) -> MemoryTarget {
    use bosc_drive::bee::{Batch, Header};
    let mut target = MemoryTarget::default();
    let mut batch = Batch::new(&target.db, Header::drive());
    for (key, value) in entries {
        // Straight into the bee, past all checks of names.
        batch.put(format!("files\0{key}").into_bytes(), Some(value.encode().into())).unwrap();
    }
    let blocks = batch.into_blocks();
    target.db.extend(blocks);
    target
}

#[test]
fn hostile_drives_are_refused_before_anything_is_written() {
    let file = EntryValue::default();
    let link = |to: &str| EntryValue::symlink(to);
    for entries in [
        vec![("/../x", file.clone())],
        vec![("/a/../../x", file.clone())],
        vec![("//x", file.clone())],
        vec![("/a\\..\\x", file.clone())],
        vec![("/a", link("/tmp")), ("/a/b", file.clone())],
        vec![("/a", file.clone()), ("/a/b", file.clone())],
        vec![("/a", link("../x"))],
        vec![("/a/b", link("../../x"))],
        vec![("/a/b", link("c/../../../x"))],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("to");
        let target = drive_of(&entries);
        let result = run(&to, &target, true, &DumpOptions::default());
        assert!(matches!(result, Err(DumpError::Unsafe { .. })), "{entries:?}: {result:?}");
        assert!(!to.exists() && !dir.path().join("x").exists());
    }
}

#[cfg(unix)]
#[test]
fn links_on_disk_are_not_walked_through() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let (from, to, outside) = (dir.path().join("from"), dir.path().join("to"), dir.path().join("outside"));
    write(&from, "a/f", b"new");
    write(&outside, "f", b"old");
    let target = staged(&from);
    fs::create_dir(&to).unwrap();
    symlink(&outside, to.join("a")).unwrap();
    let keep = DumpOptions { keep_missing: true, ..force() };
    assert!(matches!(run(&to, &target, true, &keep), Err(DumpError::Blocked(_))));
    assert_eq!(fs::read(outside.join("f")).unwrap(), b"old");
    run(&to, &target, true, &force()).unwrap();
    assert_eq!(fs::read(outside.join("f")).unwrap(), b"old");
    assert_eq!(fs::read(to.join("a/f")).unwrap(), b"new");
    assert!(!fs::symlink_metadata(to.join("a")).unwrap().is_symlink());
    // A link in place of a file is replaced, not written through.
    fs::remove_file(to.join("a/f")).unwrap();
    symlink(outside.join("f"), to.join("a/f")).unwrap();
    run(&to, &target, true, &keep).unwrap();
    assert_eq!(fs::read(outside.join("f")).unwrap(), b"old");
    assert_eq!(fs::read(to.join("a/f")).unwrap(), b"new");
}

/// Until everything is in place nothing is gone, and what came meanwhile stays.
#[test]
fn what_is_in_the_way_is_kept_until_all_is_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    for name in ["a/b/new", "file"] {
        write(&from, name, b"new");
    }
    write(&to, "a", b"old a");
    write(&to, "file/deep/old", b"old file");
    write(&to, "extra", b"old extra");
    let target = staged(&from);
    let entries: Vec<DriveEntry> = target.drive().list("/").unwrap().map(|e| e.unwrap()).collect();
    let mut plan = plan(&Root::open(&to).unwrap(), &entries, &target.blobs, |_| None, &force()).unwrap();
    for action in &plan.writes {
        let mut writer = plan.open(action).unwrap();
        writer.push(b"new").unwrap();
        writer.finish().unwrap();
        let held: Vec<Vec<u8>> = snapshot(&to).into_values().map(|(bytes, _)| bytes).collect();
        for old in [b"old a".to_vec(), b"old file".to_vec(), b"old extra".to_vec()] {
            assert!(held.contains(&old), "{action:?}");
        }
    }
    // A file that came into the folder that was in the way is nobody's to remove.
    let aside = |name: &str| name.starts_with(".bosc-") && name.ends_with(".old");
    let names = |root: &Path| -> Vec<String> {
        fs::read_dir(root).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    };
    let folder = names(&to).into_iter().find(|n| aside(n) && to.join(n).is_dir()).unwrap();
    write(&to, &format!("{folder}/deep/late"), b"late");
    let mut told = Vec::new();
    assert!(matches!(plan.prune(&mut |d| told.push(d.clone())), Err(DumpError::Io { .. })));
    assert_eq!(lines(&told), ["-1 /a [-5]", "-1 /extra [-9]", "-1 /file/deep/old [-8]"]);
    assert_eq!(fs::read(to.join(&folder).join("deep/late")).unwrap(), b"late");
    fs::remove_dir_all(to.join(folder)).unwrap();
    assert_eq!(snapshot(&from), snapshot(&to));
}

#[test]
fn an_unfinished_file_leaves_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    write(&from, "f", b"new content");
    write(&to, "f", b"old");
    let target = staged(&from);
    let entries: Vec<DriveEntry> = target.drive().list("/").unwrap().map(|e| e.unwrap()).collect();
    let plan = plan(&Root::open(&to).unwrap(), &entries, &target.blobs, |_| None, &force()).unwrap();
    let mut writer = plan.open(&plan.writes[0]).unwrap();
    writer.push(b"new ").unwrap();
    drop(writer);
    let mut writer = plan.open(&plan.writes[0]).unwrap();
    writer.push(b"new ").unwrap();
    assert!(matches!(writer.finish(), Err(DumpError::Size { expected: 11, got: 4, .. })));
    let mut writer = plan.open(&plan.writes[0]).unwrap();
    assert!(matches!(writer.push(b"more than it may be"), Err(DumpError::Size { .. })));
    drop(writer);
    assert_eq!(snapshot(&to).into_iter().collect::<Vec<_>>(), [("/f".to_owned(), (b"old".to_vec(), false))]);
}

#[test]
fn block_maps_that_are_not_here_are_asked_for_all_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    write(&from, "a", b"1");
    write(&from, "b", b"2");
    let mut target = staged(&from);
    let entries: Vec<DriveEntry> = target.drive().list("/").unwrap().map(|e| e.unwrap()).collect();
    let maps: Vec<u64> = entries.iter().map(|e| e.value.blob.unwrap().block_offset).collect();
    for i in 0..target.blobs.length() {
        target.blobs.clear(i as usize);
    }
    match plan(
        &Root::open(&dir.path().join("to")).unwrap(),
        &entries,
        &target.blobs,
        |_| None,
        &DumpOptions::default(),
    ) {
        Err(DumpError::Missing(missing)) => assert_eq!(missing, maps),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever was in the folder before, it becomes the drive.
    #[test]
    fn dump_makes_the_folder_the_drive(
        wanted in prop::collection::btree_map("[a-c](/[a-c]){0,2}", 0usize..5, 0..8),
        present in prop::collection::btree_map("[a-c](/[a-c]){0,2}", 0usize..5, 0..8),
        with_leaves: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for (root, tree) in [(&from, &wanted), (&to, &present)] {
            fs::create_dir(root).unwrap();
            for (name, size) in tree {
                if !tree.keys().any(|o| o.starts_with(&format!("{name}/"))) {
                    write(root, name, &noise(*size as u32, *size));
                }
            }
        }
        let target = staged(&from);
        if snapshot(&from).is_empty() {
            let before = snapshot(&to);
            prop_assert!(matches!(run(&to, &target, with_leaves, &force()), Err(DumpError::Empty)));
            prop_assert_eq!(snapshot(&to), before);
            return Ok(());
        }
        let dry = DumpOptions { dry_run: true, ..force() };
        let told = run(&to, &target, with_leaves, &dry).unwrap();
        prop_assert_eq!(told, run(&to, &target, with_leaves, &force()).unwrap());
        prop_assert_eq!(snapshot(&from), snapshot(&to));
        prop_assert!(run(&to, &target, with_leaves, &force()).unwrap().is_empty());
    }

    #[test]
    fn random_entries_write_nothing_outside(
        keys in prop::collection::vec(("[a/.\\\\]{0,8}", prop::option::of("[a/.]{0,8}")), 1..6),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("x/to");
        fs::create_dir(dir.path().join("x")).unwrap();
        let mut entries: Vec<(&str, EntryValue)> = keys
            .iter()
            .map(|(k, l)| (k.as_str(), l.as_ref().map_or(EntryValue::default(), EntryValue::symlink)))
            .collect();
        entries.sort_by(|a, b| a.0.cmp(b.0));
        let target = drive_of(&entries);
        let _ = run(&to, &target, true, &DumpOptions::default());
        let outside: Vec<_> = fs::read_dir(dir.path().join("x")).unwrap().map(|e| e.unwrap().file_name()).collect();
        prop_assert!(outside.iter().all(|n| n == "to"), "{outside:?}");
        if to.exists() {
            for (key, (content, _)) in snapshot(&to) {
                let Some(link) = content.strip_prefix(b"-> ") else { continue };
                let at = to.join(key.trim_start_matches('/'));
                let goes = at.parent().unwrap().join(std::str::from_utf8(link).unwrap());
                if let Ok(real) = goes.canonicalize() {
                    prop_assert!(real.starts_with(to.canonicalize().unwrap()), "{key} leads to {real:?}");
                }
            }
        }
    }
}
