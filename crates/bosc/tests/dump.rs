//! `dump` over a folder that holds something: what it may remove, what an empty version does, and what a kill costs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PACKAGE: &str = r#"{"name":"demo","version":"1.0.0"}"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bosc"));
        command
            .current_dir(self.0.path())
            .env("BOSC_STORE", self.at("store"))
            .env("BOSC_BOOTSTRAP", "127.0.0.1:9")
            .args(args)
            .stdin(Stdio::null());
        command
    }

    fn bosc(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The lines of a command that succeeds.
    fn ok(&self, args: &[&str]) -> Vec<Value> {
        let output = self.bosc(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    /// The code, exit code and hint of one that fails.
    fn failed(&self, args: &[&str]) -> (String, i32, String) {
        let output = self.bosc(&[args, &["--json"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let last: Value = serde_json::from_str(text.lines().last().unwrap_or("null")).unwrap();
        let field = |name: &str| last["data"][name].as_str().unwrap_or_default().to_owned();
        (field("code"), output.status.code().unwrap_or(-1), field("hint"))
    }

    fn touch(&self) -> String {
        self.ok(&["touch"]).last().unwrap()["data"]["link"].as_str().unwrap().to_owned()
    }

    /// Stages files as they are given; the link of this version.
    fn stage(&self, link: &str, files: &[(&str, &[u8])]) -> String {
        let folder = self.at("staged");
        let _ = fs::remove_dir_all(&folder);
        write(&folder, files);
        write(&folder, &[("package.json", PACKAGE.as_bytes())]);
        let lines =
            self.ok(&["stage", link, folder.to_str().unwrap(), "--ignore", "package.json", "--purge"]);
        lines.last().unwrap()["data"]["verlink"].as_str().unwrap().to_owned()
    }
}

fn write(folder: &Path, files: &[(&str, &[u8])]) {
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, key: &str, out: &mut BTreeMap<String, Vec<u8>>) {
        for item in fs::read_dir(folder).unwrap() {
            let item = item.unwrap();
            let key = format!("{key}{}", item.file_name().to_str().unwrap());
            if item.file_type().unwrap().is_dir() {
                walk(&item.path(), &format!("{key}/"), out);
            } else {
                out.insert(key, fs::read(item.path()).unwrap());
            }
        }
    }
    let mut out = BTreeMap::new();
    walk(folder, "", &mut out);
    out
}

fn names(folder: &Path) -> Vec<String> {
    contents(folder).into_keys().collect()
}

#[test]
fn an_empty_or_missing_version_touches_nothing() {
    let place = Place::new();
    let (empty, filled, emptied) = (place.touch(), place.touch(), place.touch());
    let key = filled.trim_start_matches("pear://").to_owned();
    place.stage(&filled, &[("a/f", b"1")]);
    place.stage(&emptied, &[("a/f", b"1")]);
    place.stage(&emptied, &[]);
    write(&place.at("d"), &[("mine", b"mine"), ("a/mine", b"mine")]);
    let before = contents(&place.at("d"));
    let (none, first) = (format!("pear://0.0.{key}"), format!("pear://0.1.{key}"));
    let far = format!("pear://0.99.{key}");
    let cases: &[&[&str]] = &[
        &[&empty],
        &[&emptied],
        &[&none],
        &[&first],
        &[&far],
        &[&filled, "--checkout", "0"],
        &[&filled, "--checkout", "1"],
        &[&filled, "--checkout", "99"],
        &[&filled, "--only", "b"],
    ];
    for case in cases {
        let (link, more) = case.split_first().unwrap();
        for how in [&["--force"][..], &["--force", "--no-prune"], &["--force", "--dry-run"], &[]] {
            let args = [&["dump", *link, "d"][..], more, how].concat();
            let (code, exit, hint) = place.failed(&args);
            // Without --force a folder in use is refused as such, unless it is known that nothing would come.
            let used = how.is_empty() && code == "ERR_DIR_NONEMPTY" && exit == 2;
            assert!(used || (code == "ERR_NOT_FOUND" && exit == 3), "{args:?}: {code} {exit}");
            assert!(!hint.is_empty(), "{args:?}");
            assert_eq!(contents(&place.at("d")), before, "{args:?}");
        }
        for to in [&["new"][..], &["-"], &["--list"]] {
            let args = [&["dump", *link][..], to, more].concat();
            let (code, exit, _) = place.failed(&args);
            assert_eq!((code.as_str(), exit), ("ERR_NOT_FOUND", 3), "{args:?}");
            assert!(!place.at("new").exists(), "{args:?}");
        }
    }
    for link in [&empty, &none, &first] {
        let (code, exit, _) = place.failed(&["dump", link, "d"]);
        assert_eq!((code.as_str(), exit), ("ERR_NOT_FOUND", 3), "without --force");
    }
    let (code, exit, _) = place.failed(&["install", &empty, "--to", "apps"]);
    assert_eq!((code.as_str(), exit), ("ERR_NOT_FOUND", 3), "install");
    assert!(!place.at("apps").exists());
}

#[test]
fn nothing_outside_a_path_or_only_is_touched() {
    let place = Place::new();
    let link = place.touch();
    place.stage(&link, &[("a/1", b"1"), ("a/sub/2", b"2"), ("b/3", b"3"), ("top", b"t")]);
    let mine: &[(&str, &[u8])] = &[
        ("a/mine", b"m"),
        ("a/sub/mine", b"m"),
        ("b/mine", b"m"),
        ("c/mine", b"m"),
        ("mine", b"m"),
        ("a/1", b"old"),
        ("b/3", b"old"),
    ];
    let (in_a, file, sub) = (format!("{link}/a"), format!("{link}/a/1"), format!("{link}/a/sub"));
    // What goes and what comes of the folder, for each way to name a part.
    let cases: &[(&[&str], &[&str], &[&str])] = &[
        (&[&in_a], &["a/mine", "a/sub/mine"], &["a/sub/2"]),
        (&[&file], &[], &[]),
        (&[&sub], &["a/sub/mine"], &["a/sub/2"]),
        (&[&link, "--only", "a/sub"], &["a/sub/mine"], &["a/sub/2"]),
        (&[&link, "--only", "a/1"], &[], &[]),
        // `c` is not in the drive: named by mistake, it costs nothing.
        (&[&link, "--only", "a/sub,c"], &["a/sub/mine"], &["a/sub/2"]),
        (&[&in_a, "--only", "a/sub"], &["a/sub/mine"], &["a/sub/2"]),
        (&[&link, "--no-prune"], &[], &["a/sub/2", "top"]),
        (&[&link], &["a/mine", "a/sub/mine", "b/mine", "c/mine", "mine"], &["a/sub/2", "top"]),
    ];
    for (case, gone, came) in cases {
        let folder = place.at("proj");
        let _ = fs::remove_dir_all(&folder);
        write(&folder, mine);
        let mut expected: Vec<String> = names(&folder);
        expected.retain(|n| !gone.contains(&n.as_str()));
        expected.extend(came.iter().map(|n| (*n).to_owned()));
        expected.sort();
        let (link, more) = case.split_first().unwrap();
        let args = [&["dump", *link, "proj", "--force"][..], more].concat();
        let diffs = |lines: Vec<Value>| -> Vec<Value> {
            lines.into_iter().filter(|l| l["tag"] == "byte-diff").map(|l| l["data"].clone()).collect()
        };
        let told = diffs(place.ok(&[&args[..], &["--dry-run"]].concat()));
        assert_eq!(contents(&folder).len(), mine.len(), "{args:?}");
        let done = diffs(place.ok(&args));
        assert_eq!(told, done, "{args:?}");
        assert_eq!(names(&folder), expected, "{args:?}");
        let removed: Vec<&str> =
            done.iter().filter(|d| d["type"] == -1).map(|d| d["message"].as_str().unwrap()).collect();
        assert_eq!(removed, gone.iter().map(|n| format!("/{n}")).collect::<Vec<_>>(), "{args:?}");
    }
}

#[test]
fn a_path_of_only_at_which_the_drive_has_nothing_is_reported() {
    let place = Place::new();
    let link = place.touch();
    place.stage(&link, &[("a/1", b"1"), ("b", b"2"), ("c", b"3")]);
    let of = |lines: &[Value], tag: &str, field: &str| -> Vec<String> {
        let found = lines.iter().filter(|line| line["tag"] == tag);
        found.map(|line| line["data"][field].as_str().unwrap().to_owned()).collect()
    };
    for how in [&["new"][..], &["-"], &["--list"]] {
        let args = [&["dump", &link][..], how, &["--only", "a,b,typo"]].concat();
        let lines = place.ok(&args);
        assert_eq!(of(&lines, "unmatched", "pattern"), ["typo"], "{how:?}");
        let tag = if how == ["new"] { "byte-diff" } else { "file" };
        let field = if how == ["new"] { "message" } else { "key" };
        let mut files = of(&lines, tag, field);
        files.sort();
        assert_eq!(files, ["/a/1", "/b"], "{how:?}");
        let _ = fs::remove_dir_all(place.at("new"));
        let args = [&["dump", &link][..], how, &["--only", "a,b"]].concat();
        assert!(of(&place.ok(&args), "unmatched", "pattern").is_empty(), "{how:?}");
    }
}

#[test]
fn a_length_inside_of_a_batch_is_no_version() {
    let place = Place::new();
    let link = place.touch();
    place.stage(&link, &[("a", b"1"), ("b", b"2"), ("c", b"3")]);
    for length in ["2", "3"] {
        let (code, exit, hint) = place.failed(&["dump", &link, "new", "--checkout", length]);
        assert_eq!((code.as_str(), exit), ("ERR_INVALID_INPUT", 2), "{length}: {hint}");
        assert!(!place.at("new").exists(), "{length}");
    }
    assert_eq!(
        place.ok(&["dump", &link, "-", "--checkout", "4"]).iter().filter(|l| l["tag"] == "file").count(),
        3
    );
}

#[test]
fn what_is_in_the_way_and_outside_is_not_removed() {
    let place = Place::new();
    let link = place.touch();
    place.stage(&link, &[("a/b/f", b"new"), ("x", b"new")]);
    let below = format!("{link}/a/b");
    for (files, args) in [
        // A file where a folder of the way must come, above what was asked for.
        (&[("a", &b"mine"[..])][..], vec!["dump", &below, "proj", "--force"]),
        (&[("a", &b"mine"[..])], vec!["dump", &link, "proj", "--force", "--only", "a/b/f"]),
        (&[("a", &b"mine"[..])], vec!["dump", &link, "proj", "--force", "--no-prune"]),
        // A folder that holds something where a file must come.
        (&[("x/mine", &b"mine"[..])], vec!["dump", &link, "proj", "--force", "--no-prune"]),
    ] {
        let _ = fs::remove_dir_all(place.at("proj"));
        write(&place.at("proj"), files);
        let before = contents(&place.at("proj"));
        for dry in [&["--dry-run"][..], &[]] {
            let (code, exit, _) = place.failed(&[&args[..], dry].concat());
            assert_eq!((code.as_str(), exit), ("ERR_UNWRITABLE", 6), "{args:?}");
            assert_eq!(contents(&place.at("proj")), before, "{args:?}");
        }
    }
    // Both ways, where it may.
    let _ = fs::remove_dir_all(place.at("proj"));
    write(&place.at("proj"), &[("a", b"mine"), ("x/deep/mine", b"mine")]);
    place.ok(&["dump", &link, "proj", "--force"]);
    assert_eq!(names(&place.at("proj")), ["a/b/f", "x"]);
}

/// Killed at many moments, and run again: a file of both versions is the old one or the new one, and nothing that the new
/// version does not have goes before all of it is there.
#[cfg(unix)]
#[test]
fn killed_at_any_moment_it_costs_no_file() {
    let place = Place::new();
    let link = place.touch();
    let noise = |seed: u32, size: usize| -> Vec<u8> {
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 24) as u8
        })
        .take(size)
        .collect()
    };
    let (mut old, mut new): (BTreeMap<String, Vec<u8>>, BTreeMap<String, Vec<u8>>) = Default::default();
    for i in 0..40u32 {
        let name = format!("dir-{}/both-{i}", i % 7);
        old.insert(name.clone(), noise(i, 60_000));
        new.insert(name, noise(i + 1000, 60_000));
        old.insert(format!("dir-{}/old-{i}", i % 7), noise(i + 2000, 2_000));
        new.insert(format!("new-{}/{i}", i % 3), noise(i + 3000, 20_000));
    }
    // A file where a folder must come, and the reverse.
    old.insert("swap".into(), noise(1, 5_000));
    new.insert("swap/inside".into(), noise(2, 5_000));
    old.insert("paws/inside".into(), noise(3, 5_000));
    new.insert("paws".into(), noise(4, 5_000));
    let stage = |files: &BTreeMap<String, Vec<u8>>| {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
        place.stage(&link, &files)
    };
    let (one, two) = (stage(&old), stage(&new));
    let folder = place.at("folder");
    place.ok(&["dump", &one, "folder"]);
    assert_eq!(contents(&folder), old);
    let start = Instant::now();
    place.ok(&["dump", &two, "folder", "--force"]);
    let takes = start.elapsed();
    assert_eq!(contents(&folder), new);
    let (mut killed, mut before_all, mut midway) = (0, 0, 0);
    for round in 0..40u32 {
        place.ok(&["dump", &one, "folder", "--force"]);
        assert_eq!(contents(&folder), old, "round {round}: the old version is there whole");
        let mut child = place
            .command(&["dump", &two, "folder", "--force"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(takes * round / 40 + Duration::from_millis(u64::from(round % 5)));
        let _ = child.kill();
        killed += u32::from(!child.wait().unwrap().success());
        let now = contents(&folder);
        // Temporary names are nobody's file; what was in the way is whole under one of them.
        let found = |name: &str, bytes: &Vec<u8>| now.get(name) == Some(bytes);
        let complete = new.iter().all(|(name, bytes)| found(name, bytes));
        for (name, bytes) in old.iter().filter(|(name, _)| new.contains_key(*name)) {
            assert!(
                found(name, bytes) || found(name, &new[name]),
                "round {round}: {name} is neither old nor new"
            );
        }
        let changed = new.iter().any(|(name, bytes)| found(name, bytes));
        if !complete {
            for (name, bytes) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
                let aside = || now.iter().any(|(n, b)| n.contains(".bosc-") && b == bytes);
                assert!(found(name, bytes) || aside(), "round {round}: {name} went too early");
            }
            before_all += 1;
            midway += u32::from(changed);
        }
    }
    println!(
        "{killed} of 40 were killed, {before_all} before all was in place, {midway} of those midway; one takes {takes:?}"
    );
    assert!(midway > 0, "no kill met it at work");
    place.ok(&["dump", &two, "folder", "--force"]);
    assert_eq!(contents(&folder), new, "nothing is left of any of them");
}

#[test]
fn stores_and_keys_in_the_folder_are_neither_removed_nor_written_over() {
    let place = Place::new();
    let link = place.touch();
    place.stage(&link, &[("f", b"1")]);
    // The folder that holds the store in use.
    let around = place.at(".").to_str().unwrap().to_owned();
    for how in [&["--force"][..], &["--force", "--dry-run"]] {
        let (code, exit, hint) = place.failed(&[&["dump", &link, &around], how].concat());
        assert_eq!((code.as_str(), exit), ("ERR_SECRET", 2), "{hint}");
    }
    assert!(place.at("store/bosc.redb").exists() && place.at("staged").exists() && !place.at("f").exists());
    assert_eq!(place.touch().len(), link.len());
    // Another store, in a folder that is given to be made the same.
    let other = place.at("out/.bosc");
    assert!(place.command(&["touch"]).env("BOSC_STORE", &other).status().unwrap().success());
    let out = place.at("out").to_str().unwrap().to_owned();
    assert_eq!(place.failed(&["dump", &link, &out, "--force"]).0, "ERR_SECRET");
    assert!(other.join("bosc.redb").exists());
    place.ok(&["dump", &link, &out, "--force", "--no-prune"]);
    assert_eq!(fs::read(place.at("out/f")).unwrap(), b"1");
    // A restriction that names nothing does not mean everything.
    for only in ["", ",", " "] {
        assert_eq!(place.failed(&["dump", &link, &out, "--force", "--only", only]).1, 2, "{only:?}");
    }
    assert!(other.join("bosc.redb").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let place = Place::new();
    let link = place.touch();
    place.stage(&link, &[("f", &[7; 100_000])]);
    for args in [&["dump", &link, "-"][..], &["touch"], &["--json", "cores"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = place.command(args).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("not all of the output could be written"),
            "{args:?}"
        );
    }
}
