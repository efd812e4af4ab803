//! A disk without room is `ERR_DISK_FULL` in every command that writes, whatever it writes. The disk here is one on which a file
//! may have no byte (`ulimit -f 0`), for which nobody needs to be root; interop/test/full-disk.test.mjs has a real one.
#![cfg(unix)]
#![allow(unused_crate_dependencies, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Runs its arguments so that no file can be written.
const NO_ROOM: &str = "trap '' XFSZ; ulimit -f 0; exec \"$@\"";

struct Place {
    dir: tempfile::TempDir,
    link: String,
}

impl Place {
    fn new() -> Self {
        let mut place = Self { dir: tempfile::tempdir().unwrap(), link: String::new() };
        let app = place.at("app/by-arch/linux-x64/app");
        fs::create_dir_all(&app).unwrap();
        fs::write(app.join("demo"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(app.join("demo"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        place.package("app", "");
        fs::create_dir(place.at("project")).unwrap();
        place.package("project", "");
        place.link = final_of(&place.run("", &["touch"]))["link"].as_str().unwrap().to_owned();
        for args in [
            &["stage", &place.link, "app"] as &[&str],
            &["updater", "keygen", "-o", "key.json"],
            &["keys", "backup", "backup"],
        ] {
            assert!(place.run("", args).status.success(), "{args:?}");
        }
        fs::create_dir(place.at("published")).unwrap();
        place.package("published", &format!(r#","upgrade":"{}""#, place.link));
        place
    }

    fn package(&self, folder: &str, more: &str) {
        let json = format!(r#"{{"name":"demo","version":"1.0.0"{more}}}"#);
        fs::write(self.at(folder).join("package.json"), json).unwrap();
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn command(&self, script: &str, args: &[&str]) -> Command {
        let bosc = Path::new(env!("CARGO_BIN_EXE_bosc"));
        let mut command = Command::new(if script.is_empty() { bosc } else { Path::new("sh") });
        if !script.is_empty() {
            command.args(["-c", script, "sh"]).arg(bosc);
        }
        command.args(args).arg("--json").current_dir(self.dir.path()).stdin(Stdio::null());
        command.env("BOSC_STORE", self.at("store")).env("BOSC_BOOTSTRAP", "127.0.0.1:9");
        command.env("BOSC_PASSPHRASE", "secret words").env("HOME", self.dir.path());
        command
    }

    fn run(&self, script: &str, args: &[&str]) -> Output {
        self.command(script, args).output().unwrap()
    }
}

/// Holds what an error says to that of a full disk.
fn is_full(args: &[&str], line: &Value) {
    let told = &line["data"];
    assert_eq!((&line["tag"], &told["code"]), (&"error".into(), &"ERR_DISK_FULL".into()), "{args:?} {line}");
    assert!(told["hint"].as_str().unwrap().starts_with("free some disk space"), "{args:?} {line}");
}

fn lines(o: &Output) -> Vec<Value> {
    let text = String::from_utf8(o.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn final_of(o: &Output) -> Value {
    lines(o).pop().unwrap()["data"].clone()
}

#[test]
fn every_command_that_writes_a_file_says_so() {
    let place = Place::new();
    let (link, key) = (place.link.as_str(), "kys1e3y38h4n48kwd7datcyy4u6e5ax7fcrs1gpbjh7urg3ffxoy");
    let url = "https://example.org/";
    let demo = "app/by-arch/linux-x64/app/demo";
    for (args, exit) in [
        (&["touch"] as &[&str], 5),
        (&["--store", "new", "touch"], 5),
        (&["stage", link, "app", "--ignore", "nothing"], 5),
        (&["dump", link, "out"], 5),
        (&["install", link, "--to", "installed"], 5),
        (&["build", "--package", "project/package.json", "--target", "built", "--linux-x64-app", demo], 1),
        (&["publish", "project", "--yes", "--copies", "0"], 5),
        (&["publish", "published", "--copies", "0"], 5),
        (&["line", "init"], 5),
        (&["keys", "backup", "backup2"], 5),
        (&["--store", "other", "keys", "import", "backup"], 5),
        (&["multisig", "keys", "--keys", "ring", "add", "b", key], 1),
        (&["updater", "keygen", "-o", "key2.json"], 1),
        (&["updater", "keygen", "-o", "key.json"], 1),
        (&["updater", "manifest", "app", "--url-base", url, "-o", "update", "-k", "key.json"], 1),
        (&["updater", "smoke", "--old", demo, "--new", demo], 1),
        (&["demo"], 1),
        (&["man", "man"], 1),
    ] {
        let o = place.run(NO_ROOM, args);
        let last = lines(&o).pop();
        is_full(args, &last.unwrap_or_else(|| panic!("{args:?} {}", String::from_utf8_lossy(&o.stderr))));
        assert_eq!(o.status.code(), Some(exit), "{args:?}");
    }
    // It tells of it, and goes on.
    let app = place.at(demo);
    let args = ["watch", "--upgrade", link, "--name", "demo", "--version", "1.0.0", "--dir", "data", "--app"];
    let mut watch = place.command(NO_ROOM, &[&args[..], &[app.to_str().unwrap()]].concat());
    let mut child = watch.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    is_full(&args, &serde_json::from_str(&line).unwrap());
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn so_does_every_command_that_prints() {
    let place = Place::new();
    for args in [
        &["touch"] as &[&str],
        &["info", &place.link],
        &["dump", &place.link, "-"],
        &["dump", &place.link, "--list"],
        &["versions", &place.link],
        &["versions"],
        &["cores"],
        &["line", "list"],
        &["updater", "keygen"],
        &["completions", "bash"],
        &["man"],
        &["help"],
        &["help", "errors"],
        &["stage", "--help"],
        &["--version"],
    ] {
        let o = place.run("exec \"$@\" > /dev/full", args);
        let said = String::from_utf8_lossy(&o.stderr);
        assert_eq!(o.status.code(), Some(1), "{args:?} {said}");
        assert!(said.contains("not all of the output could be written"), "{args:?} {said}");
        assert!(said.contains("next: free some disk space"), "{args:?} {said}");
    }
}
