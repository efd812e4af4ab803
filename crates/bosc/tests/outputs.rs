//! Where commands write what the user names, as processes: never into a store, over what they read or over a key; and files of
//! a project that several commands change at once.
#![cfg(unix)]
#![allow(unused_crate_dependencies, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A command that has not ended by then hangs.
const PATIENCE: Duration = Duration::from_secs(120);

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn start(&self, store: &str, args: &[&str], input: Stdio) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bosc"));
        command.current_dir(self.0.path()).args(args).stdin(input);
        command.env("BOSC_STORE", self.at(store)).env("BOSC_BOOTSTRAP", "127.0.0.1:9");
        command.env("BOSC_PASSPHRASE", "long enough").stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn run(&self, args: &[&str]) -> Output {
        ended(self.start("store", args, Stdio::null()))
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Fails with `ERR_EXISTS` and these words.
    fn refused(&self, args: &[&str], words: &str) {
        let output = self.run(&[args, &["--json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains("ERR_EXISTS") && text.contains(words), "{args:?}: {text}");
    }
}

fn ended(mut child: Child) -> Output {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it hangs");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// All names below a folder, and what the files hold.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            found.insert(path, Vec::new());
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

fn deployment(p: &Place) {
    p.file("dep/package.json", r#"{"name":"hello","version":"1.0.0"}"#);
    p.file("dep/by-arch/linux-x64/app/hello", "build");
}

#[test]
fn no_command_writes_into_a_store() {
    let p = Place::new();
    let link = p.ok(&["touch"]);
    p.ok(&["updater", "keygen", "-o", "key.json"]);
    deployment(&p);
    p.file("pear.json", "{}");
    symlink(p.at("store"), p.at("by-link")).unwrap();
    let manifest = ["updater", "manifest", "dep", "-k", "key.json", "--url-base", "https://h/d"];
    for place in ["store", "store/data", "by-link"] {
        let before = tree(&p.at("store"));
        for name in ["bosc.redb", "MARK", "SEQ", "FORMAT", "000001.seg", "new"] {
            let at = format!("{place}/{name}");
            p.refused(&["keys", "backup", &at, "-f"], "Bosc store");
            p.refused(&["keys", "export", &link, "-o", &at, "-f"], "Bosc store");
            p.refused(&["updater", "keygen", "-o", &at], "Bosc store");
            p.refused(&[&manifest[..], &["--out", place, "--manifest-name", name]].concat(), "Bosc store");
            p.refused(&["line", "init", "--file", &at], "Bosc store");
            p.refused(
                &[
                    "build",
                    "--target",
                    &at,
                    "--package",
                    "dep",
                    "--linux-x64-app",
                    "dep/by-arch/linux-x64/app/hello",
                    "-f",
                ],
                "Bosc store",
            );
        }
        p.refused(&["man", place], "Bosc store");
        p.refused(&["mirror", &link, place], "Bosc store");
        p.refused(&["mirror", &link, &format!("{place}/new")], "Bosc store");
        p.refused(&["man", &format!("{place}/new")], "Bosc store");
        p.refused(&["multisig", "keys", "--keys", place, "add", "a", &"11".repeat(32)], "Bosc store");
        let watch = ["watch", "--app", "dep", "--name", "a", "--version", "1.0.0", "--upgrade", &link];
        p.refused(&[&watch[..], &["--dir", place]].concat(), "Bosc store");
        p.refused(&[&watch[..], &["--dir", "w", "--sentinel", &format!("{place}/s")]].concat(), "Bosc store");
        let after = tree(&p.at("store"));
        let names = |tree: &BTreeMap<PathBuf, Vec<u8>>| tree.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&after), names(&before), "{place}");
        for name in ["FORMAT", "MARK"] {
            let path = p.at("store").join(name);
            assert_eq!(after.get(&path), before.get(&path), "{name}");
        }
        p.ok(&["cores"]);
    }
}

#[test]
fn a_manifest_is_written_over_nothing_that_it_is_made_of() {
    let p = Place::new();
    p.ok(&["updater", "keygen", "-o", "key.json"]);
    deployment(&p);
    p.file("dep/CHANGELOG.md", "## 1.0.0\nnotes");
    p.file("notes.txt", "notes");
    symlink("../key.json", {
        fs::create_dir(p.at("out")).unwrap();
        p.at("out/latest.json")
    })
    .unwrap();
    let before = tree(p.0.path());
    let manifest = ["updater", "manifest", "dep", "--notes", "notes.txt", "--url-base", "https://h/d"];
    for (out, name) in [
        (".", "key.json"),
        (".", "notes.txt"),
        ("dep", "package.json"),
        ("dep", "CHANGELOG.md"),
        ("dep/by-arch/linux-x64/app", "hello"),
        ("dep/by-arch/linux-x64/app", "new"),
        ("dep/by-arch", "new"),
        ("out", "latest.json"),
    ] {
        p.refused(&[&manifest[..], &["-k", "key.json", "--out", out, "--manifest-name", name]].concat(), "");
        assert_eq!(tree(p.0.path()), before, "{out}/{name}");
    }
    // The manifest is none of its artifacts.
    let name = "hello-1.0.0-linux-x86_64";
    let output = p.run(&[&manifest[..], &["-k", "key.json", "--manifest-name", name]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(tree(p.0.path()), before);
    // Twice to one place is as good as ever.
    for _ in 0..2 {
        p.ok(&[&manifest[..], &["-k", "key.json", "--out", "good"]].concat());
    }
}

#[test]
fn a_key_is_not_replaced_by_another_kind_of_file() {
    let p = Place::new();
    let link = p.ok(&["touch"]);
    p.ok(&["updater", "keygen", "-o", "key.json"]);
    p.ok(&["keys", "backup", "backup"]);
    p.ok(&["keys", "export", &link, "-o", "export"]);
    let before = tree(p.0.path());
    for args in [
        &["keys", "backup", "key.json", "-f"][..],
        &["keys", "export", &link, "-o", "key.json", "-f"],
        &["keys", "export", &link, "-o", "backup", "-f"],
        &["updater", "keygen", "-o", "export"],
    ] {
        p.refused(args, "is");
    }
    for name in ["key.json", "backup", "export"] {
        assert_eq!(fs::read(p.at(name)).unwrap(), before[&p.at(name)]);
    }
    p.ok(&["keys", "backup", "backup", "-f"]);
    p.ok(&["keys", "export", &link, "-o", "export", "-f"]);
    p.ok(&["updater", "keygen", "-o", "key.json"]);
    assert_eq!(fs::read(p.at("key.json.old")).unwrap(), before[&p.at("key.json")]);
}

#[test]
fn a_pipe_or_socket_is_no_application() {
    let p = Place::new();
    p.file("dep/by-arch/linux-x64/app/hello", "build");
    let link = p.ok(&["touch"]);
    assert!(Command::new("mkfifo").arg(p.at("Hello")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(p.at("Socket")).unwrap();
    symlink("Hello", p.at("Link")).unwrap();
    for (name, is) in [("Hello", "a pipe"), ("Socket", "a socket"), ("Link", "a pipe")] {
        let args = [
            "watch",
            "--json",
            "--app",
            name,
            "--name",
            "Hello",
            "--version",
            "1.0.0",
            "--dir",
            "d",
            "--upgrade",
            &link,
        ];
        let output = p.run(&args);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(&format!("it is {is}, not a file")), "{name}: {text}");
    }
    assert!(fs::symlink_metadata(p.at("Hello")).unwrap().file_type().is_fifo());
    assert!(!p.at("Hello.prev").exists() && !p.at(".Hello.bosc").exists());
}

#[test]
fn lines_that_are_added_at_once_are_all_there() {
    let p = Place::new();
    let links: Vec<String> = (0..6).map(|_| p.ok(&["touch"])).collect();
    let children: Vec<Child> = links
        .iter()
        .enumerate()
        .map(|(i, link)| {
            let (store, name) = (format!("store-{i}"), format!("line-{i}"));
            p.start(&store, &["line", "add", &name, "--kind", "stage", "--link", link], Stdio::null())
        })
        .collect();
    for child in children {
        let output = ended(child);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let text = fs::read_to_string(p.at("bosc.toml")).unwrap();
    for link in &links {
        assert!(text.contains(link), "{link}: {text}");
    }
    // Nothing of the locking stays in the project.
    let names: Vec<_> = fs::read_dir(p.0.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(
        names.iter().all(|n| {
            let n = n.to_string_lossy();
            n == "bosc.toml" || n.starts_with("store")
        }),
        "{names:?}"
    );
}

#[test]
fn a_folder_that_several_stores_publish_at_once_gets_one_link() {
    let p = Place::new();
    p.file("app/package.json", r#"{"name":"hello","version":"1.0.0"}"#);
    let children: Vec<Child> = (0..3)
        .map(|i| {
            p.start(
                &format!("store-{i}"),
                &["publish", "app", "--yes", "--copies", "0", "--json"],
                Stdio::null(),
            )
        })
        .collect();
    let done: Vec<Output> = children.into_iter().map(ended).collect();
    let text = |o: &Output| String::from_utf8_lossy(&o.stdout).into_owned();
    let all: Vec<String> = done.iter().map(text).collect();
    assert_eq!(all.iter().filter(|t| t.contains("\"tag\":\"minted\"")).count(), 1, "{all:#?}");
    // Whoever made it is the one that can release; the others have no key for it.
    let made: Vec<usize> = (0..3).filter(|i| done.get(*i).unwrap().status.code() == Some(8)).collect();
    let [made] = made.as_slice() else { panic!("{all:#?}") };
    for i in 0..3 {
        let again = ended(p.start(
            &format!("store-{i}"),
            &["publish", "app", "--copies", "0", "--json"],
            Stdio::null(),
        ));
        assert_eq!(again.status.success(), i == *made, "{}", text(&again));
    }
}

#[test]
fn a_relative_home_is_none() {
    let p = Place::new();
    fs::create_dir(p.at("abs")).unwrap();
    let run = |home: PathBuf| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bosc"));
        command.current_dir(p.0.path()).args(["cores", "--json"]).env_remove("BOSC_STORE");
        command.env("XDG_DATA_HOME", "data").env("HOME", home).output().unwrap()
    };
    run(p.at("abs"));
    let none = run("home".into());
    let text = String::from_utf8_lossy(&none.stdout).into_owned();
    if cfg!(target_os = "linux") {
        assert!(!none.status.success() && text.contains("no folder for the store is known"), "{text}");
    }
    assert!(!p.at("data").exists() && !p.at("home").exists());
}

#[test]
fn the_newest_flag_says_nothing_of_a_copied_store() {
    let p = Place::new();
    let link = p.ok(&["touch"]);
    p.file("app/package.json", r#"{"name":"hello","version":"1.0.0"}"#);
    p.ok(&["stage", &link, "app"]);
    assert!(
        Command::new("cp").args(["-a", "store", "copy"]).current_dir(p.0.path()).status().unwrap().success()
    );
    p.file("app/package.json", r#"{"name":"hello","version":"1.0.1"}"#);
    let length = |store: &str| {
        let output = ended(p.start(store, &["cores", "--json"], Stdio::null()));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let before = length("copy");
    for flags in [&["--newest"][..], &["--newest", "--truncate", "1"]] {
        let args = [&["stage", &link, "app", "--json"], flags].concat();
        let output = ended(p.start("copy", &args, Stdio::null()));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("\"tag\":\"store-copied\""), "{text}");
        assert!(!output.status.success() && text.contains("--sole-copy"), "{text}");
        assert_eq!(length("copy"), before);
    }
    // The original minds neither.
    p.ok(&["stage", &link, "app"]);
}

#[test]
fn what_a_link_says_beside_its_key_is_refused_where_it_means_nothing() {
    let p = Place::new();
    let link = p.ok(&["touch"]);
    p.file("app/package.json", r#"{"name":"hello","version":"1.0.0"}"#);
    let path = format!("{link}/sub");
    let version = link.replace("pear://", "pear://0.1.");
    let other = p.ok(&["touch"]);
    for args in [
        &["stage", &path, "app"][..],
        &["stage", &version, "app"],
        &["seed", &path],
        &["gc", "cores", &path, "--force", "--dry-run"],
        &["gc", "cores", &version, "--force", "--dry-run"],
        &["install", &path, "--uninstall"],
        &["install", &version, "--uninstall"],
        &["info", &path],
        &["versions", &path],
        &["changelog", &path],
        &["keys", "export", &path, "-o", "k"],
        &["rotate", &version, &other, "--dry-run"],
        &["rotate", &other, &version, "--dry-run"],
        &["rotate", &other, &link, "--target", &version, "--dry-run"],
        &["line", "add", "rc", "--kind", "stage", "--link", &version],
        &["provision", &version, &version, &version, "--dry-run"],
        &["store", "check", &version],
        &["store", "repair", &version],
    ] {
        let output = p.run(&[args, &["--json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!output.status.success() && text.contains("ERR_INVALID_LINK"), "{args:?}: {text}");
    }
}

#[test]
fn a_passphrase_is_the_line_where_the_descriptor_stands_in_any_form() {
    let p = Place::new();
    let link = p.ok(&["touch"]);
    let opens = |file: &str, passphrase: &str| {
        let import = ["keys", "import", file];
        let mut command = Command::new(env!("CARGO_BIN_EXE_bosc"));
        command.current_dir(p.0.path()).args(import).env("BOSC_STORE", p.at(&format!("{file}.store")));
        command.env("BOSC_BOOTSTRAP", "127.0.0.1:9").env("BOSC_PASSPHRASE", passphrase);
        ended(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
            .status
            .code()
    };
    let export = |to: &str, input: Stdio| {
        p.start("store", &["keys", "export", &link, "-o", to, "--passphrase-fd", "0"], input)
    };

    // Whoever writes it may go on.
    let mut child = export("pipe.key", Stdio::piped());
    let mut open = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut open, b"\xef\xbb\xbfun caf\xc3\xa9 noir\nmore").unwrap();
    assert!(ended(child).status.success());
    drop(open);
    assert_eq!(opens("pipe.key", "un cafe\u{301} noir"), Some(0));
    assert_eq!(opens("pipe.key", "un cafe noir"), Some(6));

    // Node starts programs with a socket for their input.
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let child = export("socket.key", std::os::fd::OwnedFd::from(theirs).into());
    std::io::Write::write_all(&mut &ours, b"through a socket\n").unwrap();
    assert!(ended(child).status.success());
    assert_eq!(opens("socket.key", "through a socket"), Some(0));

    // What was read of a file is not read again.
    p.file("lines", "the first line\nthe second line\n");
    let mut lines = fs::File::open(p.at("lines")).unwrap();
    std::io::Read::read_exact(&mut lines, &mut [0; 15]).unwrap();
    assert!(ended(export("file.key", lines.into())).status.success());
    assert_eq!(opens("file.key", "the second line"), Some(0));

    let writer = fs::File::options().append(true).open(p.at("lines")).unwrap();
    assert_eq!(ended(export("none.key", writer.into())).status.code(), Some(2));
    let blanks = ["keys", "export", &link, "-o", "blank.key", "--passphrase-fd", "0"];
    p.file("blanks", "         \n");
    let blank = fs::File::open(p.at("blanks")).unwrap();
    assert_eq!(ended(p.start("store", &blanks, blank.into())).status.code(), Some(2));
}
