//! What is not a file (a FIFO, a socket, a device, a folder) where a command reads a file that the user names: nobody waits
//! for it, nothing endless is read, and the command says what it is.
#![cfg(target_os = "linux")]
#![allow(unused_crate_dependencies, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A command that has not ended by then waits for the file.
const PATIENCE: Duration = Duration::from_secs(60);

struct Place {
    dir: tempfile::TempDir,
    link: String,
}

impl Place {
    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bosc"));
        command.current_dir(self.dir.path()).args(args).stdin(Stdio::null());
        command.env("BOSC_STORE", self.at("store")).env("BOSC_BOOTSTRAP", "127.0.0.1:9");
        command.envs(env.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begun.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!("{args:?} {env:?} waits");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.wait_with_output().unwrap()
    }

    /// A folder in which `name` is a link to `to`, beside a package.json if that is not it.
    fn folder(&self, name: &str, to: &Path) -> String {
        let folder = self.at("folder");
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("package.json"), r#"{"name":"demo","version":"1.0.0"}"#).unwrap();
        let at = folder.join(name);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&at);
        symlink(to, at).unwrap();
        folder.to_str().unwrap().to_owned()
    }
}

#[test]
fn nobody_waits_for_what_is_not_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut place = Place { dir, link: String::new() };
    let touched = place.run(&["touch"], &[]);
    place.link = String::from_utf8(touched.stdout).unwrap().trim().to_owned();
    assert!(place.run(&["updater", "keygen", "-o", "key.json"], &[]).status.success());
    let pair: serde_json::Value = serde_json::from_slice(&fs::read(place.at("key.json")).unwrap()).unwrap();
    let public = pair["public_key"].as_str().unwrap().to_owned();
    assert!(Command::new("mkfifo").arg(place.at("fifo")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(place.at("socket")).unwrap();
    for (path, is) in [
        (place.at("fifo"), "a pipe"),
        (place.at("socket"), "a socket"),
        (PathBuf::from("/dev/zero"), "a device"),
        (place.at("store"), "a folder"),
    ] {
        let file = path.to_str().unwrap();
        let link = place.link.as_str();
        let none: &[(&str, &str)] = &[];
        let pass: &[(&str, &str)] = &[("BOSC_PASSPHRASE", "p"), ("BOSC_NEW_PASSPHRASE", "q")];
        let primary = [("BOSC_PRIMARY_KEY_FILE", file), ("BOSC_PASSPHRASE", "p")];
        let watch = ["watch", "--upgrade", "https://127.0.0.1:9/x", "--public-key", public.as_str()];
        let watch =
            [&watch[..], &["--app", "key.json", "--name", "a", "--version", "1.0.0", "--dir", "w"]].concat();
        let manifest = ["updater", "manifest", "--url-base", "https://h/d", "--out", "out"];
        let mut silent = Vec::new();
        let mut told = |args: &[&str], env: &[(&str, &str)]| {
            let output = place.run(&[args, &["--verbose"]].concat(), env);
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() || !text.contains(&format!("it is {is}, not a file")) {
                silent.push(format!("{args:?} {env:?}: {text}"));
            }
        };
        told(&["touch", "--store", "other"], &primary);
        told(&["keys", "import", file], pass);
        told(&["multisig", "sign", file], pass);
        told(&["multisig", "verify", link, file], none);
        told(&["multisig", "link", "--config", file], none);
        told(&["line", "list", "--file", file], none);
        told(&["line", "add", "a", "--kind", "stage", "--file", file], none);
        told(&["updater", "sign", "-b", file, "-v", "1.0.0", "-k", "key.json"], none);
        told(&["updater", "sign", "-b", "key.json", "-v", "1.0.0", "-k", file], none);
        told(&[&watch[..], &["--ca", file]].concat(), none);
        if is != "a folder" {
            told(&["build", "--package", file], none);
            told(&["multisig", "keys", "import", file], pass);
            told(&["changelog", file], none);
            told(&["updater", "smoke", "--old", file, "--new", "key.json"], none);
            told(
                &[
                    &manifest[..],
                    &[
                        "-k",
                        "key.json",
                        "--notes",
                        file,
                        &place.folder("by-arch/linux-x64/app/demo", Path::new("/bin/sh")),
                    ],
                ]
                .concat(),
                none,
            );
        }
        told(&["stage", link, &place.folder("package.json", &path)], none);
        told(&["stage", link, &place.folder(".boscignore", &path)], none);
        told(&["publish", &place.folder("package.json", &path), "--dry-run"], none);
        told(&["changelog", &place.folder("CHANGELOG.md", &path)], none);
        told(&[&manifest[..], &["-k", file, "folder"]].concat(), none);
        assert!(silent.is_empty(), "{}", silent.join("\n"));
        // What a store left there is not looked at for ever either.
        for name in ["owner.json", "MARK", "OWNER", "SEQ"] {
            let at = place.at("store").join(name);
            let kept = fs::read(&at).ok();
            let _ = fs::remove_file(&at);
            symlink(&path, &at).unwrap();
            place.run(&["cores"], none);
            let _ = fs::remove_file(&at);
            if let Some(bytes) = kept {
                fs::write(&at, bytes).unwrap();
            }
        }
    }
}

/// A file that is written replaces none of them: no device, pipe or socket goes, and nothing is left beside it.
#[test]
fn nothing_special_is_replaced_by_a_file() {
    let mut place = Place { dir: tempfile::tempdir().unwrap(), link: String::new() };
    let touched = place.run(&["touch"], &[]);
    place.link = String::from_utf8(touched.stdout).unwrap().trim().to_owned();
    assert!(place.run(&["updater", "keygen", "-o", "key.json"], &[]).status.success());
    let pair: serde_json::Value = serde_json::from_slice(&fs::read(place.at("key.json")).unwrap()).unwrap();
    let public = pair["public_key"].as_str().unwrap().to_owned();
    fs::create_dir(place.at("to")).unwrap();
    fs::write(place.at("to/app"), "app").unwrap();
    let special = place.at("to/latest.json");
    let at = special.to_str().unwrap();
    let app = place.folder("by-arch/linux-x64/app/demo", Path::new("/bin/sh"));
    let pass: &[(&str, &str)] = &[("BOSC_PASSPHRASE", "long enough")];
    // 1:7 is /dev/full; where no device can be made, pipe and socket still tell.
    let device = |path: &Path| {
        Command::new("mknod").arg(path).args(["c", "1", "7"]).status().is_ok_and(|status| status.success())
    };
    for (kind, is) in [("pipe", "a pipe"), ("socket", "a socket"), ("device", "a device"), ("link", "a pipe")]
    {
        let _ = fs::remove_file(&special);
        let made = match kind {
            "pipe" => Command::new("mkfifo").arg(&special).status().unwrap().success(),
            "socket" => std::os::unix::net::UnixListener::bind(&special).is_ok(),
            "device" => device(&special),
            _ => {
                let _ = Command::new("mkfifo").arg(place.at("behind")).status().unwrap();
                symlink(place.at("behind"), &special).is_ok()
            }
        };
        if !made {
            assert_eq!(kind, "device");
            continue;
        }
        let before = fs::symlink_metadata(&special).unwrap().file_type();
        let names = || fs::read_dir(place.at("to")).unwrap().count();
        let count = names();
        let mut silent = Vec::new();
        let mut told = |args: &[&str]| {
            let output = place.run(&[args, &["--verbose"]].concat(), pass);
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let same = fs::symlink_metadata(&special).is_ok_and(|meta| meta.file_type() == before);
            if output.status.success() || !same || !text.contains(&format!("it is {is}, not a file")) {
                silent.push(format!("{kind} {same} {args:?}: {text}"));
            }
        };
        told(&["keys", "backup", at, "--force"]);
        told(&["keys", "export", &place.link, "--out", at, "--force"]);
        told(&["updater", "keygen", "-o", at]);
        assert_eq!(names(), count, "{kind}");
        told(&["updater", "manifest", "--url-base", "https://h/d", "--out", "to", "-k", "key.json", &app]);
        assert!(silent.is_empty(), "{}", silent.join("\n"));
        let watch = [
            "watch",
            "--upgrade",
            "https://127.0.0.1:9/x",
            "--public-key",
            public.as_str(),
            "--sentinel",
            at,
        ];
        let watch =
            [&watch[..], &["--app", "to/app", "--name", "a", "--version", "1.0.0", "--dir", "w"]].concat();
        let output = place.run(&watch, &[]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(is), "{text}");
    }
    let output = place.run(&["keys", "backup", "/dev/stdout", "--force", "--verbose"], pass);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("a stream of this process"), "{text}");
}
