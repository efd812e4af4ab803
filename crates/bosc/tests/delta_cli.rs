//! `bosc delta` as a process: what it writes, what it refuses, what a kill leaves.
#![cfg(unix)]
#![allow(unused_crate_dependencies, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

struct Place(tempfile::TempDir);

impl Place {
    /// Two versions of a program, `old` and `new`.
    fn new(lines: u32) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let line = |n: u32| format!("{n} {}\n", n.wrapping_mul(2_654_435_761));
        let old: String = (0..lines).map(line).collect();
        fs::write(place.at("old"), &old).unwrap();
        fs::write(place.at("new"), old.replace("\n77", "\nwhat is new 77")).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(env!("CARGO_BIN_EXE_bosc"));
        c.current_dir(self.0.path()).arg("delta").args(args).stdin(Stdio::null());
        c.stdout(Stdio::piped()).stderr(Stdio::piped());
        c
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The data of its last line, which is a result.
    fn ok(&self, args: &[&str]) -> Value {
        let lines = self.lines(args);
        let last = lines.last().unwrap();
        assert_eq!(last["tag"], "final", "{last}");
        last["data"].clone()
    }

    fn lines(&self, args: &[&str]) -> Vec<Value> {
        let output = self.run(&[args, &["--json"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    /// Its error: exit code and code. Nothing was written to `out`.
    fn refused(&self, args: &[&str], out: &str) -> (u64, String) {
        let there = fs::read(self.at(out)).ok();
        let lines = self.lines(args);
        let error = lines.last().unwrap();
        assert_eq!(error["tag"], "error", "{error}");
        assert!(!error["data"]["hint"].as_str().unwrap().is_empty());
        assert_eq!(fs::read(self.at(out)).ok(), there, "{out}");
        (error["data"]["exit"].as_u64().unwrap(), error["data"]["code"].as_str().unwrap().to_owned())
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_patch_is_made_inspected_and_applied() {
    let p = Place::new(20_000);
    fs::set_permissions(p.at("old"), fs::Permissions::from_mode(0o755)).unwrap();
    let made = p.ok(&["make", "old", "new", "patch"]);
    let size = fs::metadata(p.at("patch")).unwrap().len();
    assert_eq!(made["bytes"], size);
    assert!(size < 3000, "{size}");
    let said = p.ok(&["inspect", "patch"]);
    assert_eq!(said["newBytes"], fs::metadata(p.at("new")).unwrap().len());
    assert_eq!(said["oldBytes"], fs::metadata(p.at("old")).unwrap().len());
    let applied = p.ok(&["apply", "old", "patch", "again"]);
    assert_eq!(applied["blake2b"], said["newBlake2b"]);
    assert_eq!(fs::read(p.at("again")).unwrap(), fs::read(p.at("new")).unwrap());
    assert_eq!(
        fs::metadata(p.at("again")).unwrap().permissions().mode() & 0o111,
        0o111,
        "a program stays one"
    );
    // The same for people: data on stdout, talk on stderr.
    let output = p.run(&["apply", "old", "patch", "again", "--force"]);
    assert!(text(&output.stdout).starts_with("BLAKE2b-256 ") && text(&output.stderr).contains("Wrote "));
    let output = p.run(&["make", "old", "new", "patch", "-f"]);
    assert_eq!(text(&output.stdout), "");
    assert!(text(&output.stderr).contains("of memory") && text(&output.stderr).contains("% of the new file"));
    assert!(text(&p.run(&["inspect", "patch"]).stdout).contains("old file "));
    assert_eq!(p.names(), ["again", "new", "old", "patch"]);
}

#[test]
fn what_is_wrong_has_a_kind_and_nothing_is_written() {
    let p = Place::new(5_000);
    p.ok(&["make", "old", "new", "patch"]);
    fs::write(p.at("other"), "other").unwrap();
    let patch = fs::read(p.at("patch")).unwrap();
    fs::write(p.at("short"), &patch[..patch.len() - 5]).unwrap();
    let mut newer = patch.clone();
    newer[7] = 99;
    fs::write(p.at("newer"), newer).unwrap();
    let code = |exit, code: &str| (exit, code.to_owned());
    assert_eq!(p.refused(&["apply", "other", "patch", "out"], "out"), code(2, "ERR_OTHER_BASE"));
    assert_eq!(p.refused(&["apply", "old", "other", "out"], "out"), code(2, "ERR_INVALID_PATCH"));
    assert_eq!(p.refused(&["apply", "old", "newer", "out"], "out"), code(2, "ERR_INVALID_PATCH"));
    assert_eq!(p.refused(&["apply", "old", "short", "out"], "out"), code(7, "ERR_INVALID_PATCH"));
    assert_eq!(p.refused(&["inspect", "other"], "out"), code(2, "ERR_INVALID_PATCH"));
    assert_eq!(p.refused(&["apply", "none", "patch", "out"], "out"), code(3, "ERR_NOT_FOUND"));
    assert_eq!(p.refused(&["make", "old", "none", "out"], "out"), code(3, "ERR_NOT_FOUND"));
    // Never over what is read, whatever it is called.
    std::os::unix::fs::symlink(p.at("old"), p.at("link")).unwrap();
    for (args, out) in [
        (["make", "old", "new", "old"], "old"),
        (["make", "old", "new", "link"], "old"),
        (["apply", "old", "patch", "old"], "old"),
        (["apply", "old", "patch", "patch"], "patch"),
    ] {
        assert_eq!(p.refused(&args, out), code(2, "ERR_EXISTS"), "{args:?}");
    }
    // Not with --force either; and without it over nothing that is there, a link to nothing among it.
    fs::write(p.at("there"), "something else").unwrap();
    std::os::unix::fs::symlink("nothing", p.at("dangling")).unwrap();
    for out in ["there", "dangling"] {
        for args in [["make", "old", "new", out], ["apply", "old", "patch", out]] {
            assert_eq!(p.refused(&args, out), code(2, "ERR_EXISTS"), "{args:?}");
        }
    }
    assert!(!p.at("nothing").exists());
    for args in [["make", "old", "new", "old", "--force"], ["apply", "old", "patch", "patch", "--force"]] {
        assert_eq!(p.refused(&args, args[3]), code(2, "ERR_EXISTS"), "{args:?}");
    }
    for args in [["make", "old", "new", "there", "--force"], ["apply", "old", "patch", "there", "--force"]] {
        p.ok(&args);
        assert_ne!(fs::read(p.at("there")).unwrap(), b"something else");
    }
    // Whatever is damaged in a patch, there is its file or none.
    for at in (0..patch.len()).step_by(patch.len() / 20) {
        let mut bad = patch.clone();
        bad[at] ^= 4;
        fs::write(p.at("bad"), bad).unwrap();
        let output = p.run(&["apply", "old", "bad", "out"]);
        assert_eq!(output.status.success(), p.at("out").exists(), "byte {at}");
        assert!(!p.at("out").exists() || fs::read(p.at("out")).unwrap() == fs::read(p.at("new")).unwrap());
        let _ = fs::remove_file(p.at("out"));
    }
}

#[test]
fn a_bench_says_what_each_way_costs() {
    let p = Place::new(20_000);
    let lines = p.lines(&["bench", "old", "new"]);
    let tried: Vec<&Value> = lines.iter().filter(|l| l["tag"] == "tried").map(|l| &l["data"]).collect();
    let bytes = |by: &str| tried.iter().find(|t| t["by"] == by).map(|t| t["bytes"].as_u64().unwrap());
    let (file, ours) = (bytes("file").unwrap(), bytes("bosc delta").unwrap());
    assert_eq!(file, fs::metadata(p.at("new")).unwrap().len());
    assert!(ours < 3000);
    // What is installed of the others says something in between.
    for by in ["xz -9e", "zstd -19", "zstd -19 --patch-from", "bsdiff"] {
        assert!(bytes(by).is_none_or(|n| n > 0 && n < file), "{by}: {tried:?}");
    }
    assert_eq!(lines.last().unwrap()["data"]["bytes"], ours);
    let table = text(&p.run(&["bench", "old", "new"]).stdout);
    assert!(table.contains("bosc delta ") && table.contains("with the old file"), "{table}");
    assert_eq!(p.names(), ["new", "old"]);
}

#[test]
fn a_kill_leaves_the_old_file_or_the_new_one() {
    let p = Place::new(200_000);
    p.ok(&["make", "old", "new", "patch"]);
    let (patch, new) = (fs::read(p.at("patch")).unwrap(), fs::read(p.at("new")).unwrap());
    for (args, out, whole) in [
        (["make", "old", "new", "out", "--force"], "out", &patch),
        (["apply", "old", "patch", "out", "--force"], "out", &new),
    ] {
        let begun = std::time::Instant::now();
        fs::write(p.at(out), "before").unwrap();
        assert!(p.run(&args).status.success());
        let took = begun.elapsed();
        for part in 1..12 {
            fs::write(p.at(out), "before").unwrap();
            let mut child = p.command(&args).spawn().unwrap();
            std::thread::sleep(took * part / 12);
            child.kill().unwrap();
            child.wait().unwrap();
            let there = fs::read(p.at(out)).unwrap();
            assert!(there == b"before" || there == *whole, "{args:?}: {} bytes", there.len());
        }
    }
    // What a kill leaves beside it is hidden.
    assert_eq!(p.names().iter().filter(|n| !n.starts_with('.')).count(), 4, "{:?}", p.names());
}

#[test]
fn ctrl_c_ends_it() {
    let p = Place::new(2_000_000);
    let mut child = p.command(&["make", "old", "new", "patch"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("Making the patch"), "{line}");
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    let ended = child.wait().unwrap();
    // It may have been faster.
    assert!(ended.code() == Some(130) || (ended.success() && p.at("patch").exists()), "{ended:?}");
    assert_eq!(p.at("patch").exists(), ended.success());
}
