#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::manifest::keypair::KeyPair;
use std::fs;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A store, as far as its folder tells.
    fn store(&self) -> PathBuf {
        self.file("store/FORMAT", "bosc-store 1\n");
        fs::create_dir_all(self.at("store/data")).unwrap();
        self.file("store/bosc.redb", "redb");
        self.at("store")
    }
}

fn refused(path: &Path, kind: OutputKind) -> bool {
    match OutputFile::new(path, kind).check() {
        Ok(()) => false,
        Err(e) => {
            assert_eq!((e.code(), e.kind()), ("ERR_EXISTS", ErrorKind::Input), "{e}");
            assert!(!e.hint_text().is_empty());
            true
        }
    }
}

#[test]
fn nothing_is_written_into_a_store() {
    let p = Place::new();
    let store = p.store();
    for name in ["bosc.redb", "MARK", "new", "data/000001.seg", "a/b/c", "x/../new"] {
        assert!(refused(&store.join(name), OutputKind::Backup), "{name}");
        assert!(refused(&store.join(name), OutputKind::Edited), "{name}");
    }
    for folder in [store.clone(), store.join("data"), store.join("not/there")] {
        assert_eq!(
            check_output_folder(&folder, &[]).unwrap_err().code(),
            "ERR_EXISTS",
            "{}",
            folder.display()
        );
    }
    // A damaged one is one, whatever it lost.
    fs::remove_file(store.join("bosc.redb")).unwrap();
    assert!(refused(&store.join("bosc.redb"), OutputKind::Backup));
    p.file("store/bosc.redb", "redb");
    fs::remove_file(store.join("FORMAT")).unwrap();
    assert!(refused(&store.join("FORMAT"), OutputKind::Backup));
    assert!(!refused(&p.at("beside"), OutputKind::Backup));
    check_output_folder(&p.at("beside"), &[]).unwrap();
}

#[cfg(unix)]
#[test]
fn links_are_followed_to_where_the_file_will_lie() {
    use std::os::unix::fs::symlink;
    let p = Place::new();
    let store = p.store();
    symlink("store/new", p.at("into")).unwrap();
    symlink("into", p.at("by-two")).unwrap();
    symlink(store.join("data"), p.at("folder")).unwrap();
    symlink("circle", p.at("circle")).unwrap();
    for name in ["into", "by-two", "folder/new"] {
        assert!(refused(&p.at(name), OutputKind::Plain), "{name}");
    }
    check_output_folder(&p.at("folder"), &[]).unwrap_err();
    let _ = OutputFile::new(&p.at("circle"), OutputKind::Plain).check();

    let input = p.file("input", "text");
    symlink("input", p.at("link")).unwrap();
    fs::hard_link(&input, p.at("name")).unwrap();
    for (path, read) in [("input", "input"), ("link", "input"), ("input", "link"), ("name", "input")] {
        let path = p.at(path);
        let check = |read| OutputFile::new(&path, OutputKind::Plain).apart_from([p.at(read)]).check();
        assert_eq!(check(read).unwrap_err().code(), "ERR_EXISTS");
        check("not there").unwrap();
    }
}

#[test]
fn no_command_writes_over_what_it_reads() {
    let p = Place::new();
    let build = p.file("app/hello/bin", "x");
    let check =
        |path: &str, read: &Path| OutputFile::new(&p.at(path), OutputKind::Plain).apart_from([read]).check();
    check("app/hello/bin", &build).unwrap_err();
    check("app/hello/new", &p.at("app")).unwrap_err();
    check("app/new/er", &p.at("app")).unwrap_err();
    check("app-update/new", &p.at("app")).unwrap();
    check("app/new", &build).unwrap();
}

#[test]
fn a_key_is_replaced_by_its_own_kind_only() {
    use OutputKind as K;
    let p = Place::new();
    let pair = p.file("pair.json", &KeyPair::from_seed(&[7; 32]).to_json());
    let body = "kdf: scrypt 17 8 1\n";
    let text = |kind: &str, link: &str| {
        let (salt, nonce) =
            (bosc_format::id::encode_bytes(&[1; 32]), bosc_format::id::encode_bytes(&[2; 24]));
        format!("bosc-key-file 1\nkind: {kind}\n{link}{body}salt: {salt}\nnonce: {nonce}\ndata: {salt}\n")
    };
    let key = bosc_format::id::encode(&[3; 32]);
    let link = p.file("a.bosc-key", &text("link", &format!("link: pear://0.1.{key}\n")));
    let backup = p.file("store.bosc-key", &text("backup", ""));
    let pem = p.file("id", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAA\n");
    let manifest = p.file("latest.json", r#"{"version":"1.0.0","platforms":{}}"#);
    let plain = p.file("notes", "text");
    for (path, by) in [
        (&pair, &[K::UpdaterKey][..]),
        (&link, &[K::LinkKey, K::Backup]),
        (&backup, &[K::Backup]),
        (&pem, &[K::Artifact]),
        (
            &manifest,
            &[K::Plain, K::LinkKey, K::Backup, K::SigningKey, K::UpdaterKey, K::Artifact, K::Manifest],
        ),
        (&plain, &[K::Plain, K::LinkKey, K::Backup, K::SigningKey, K::UpdaterKey, K::Artifact, K::Manifest]),
    ] {
        let all = [K::Plain, K::LinkKey, K::Backup, K::SigningKey, K::UpdaterKey, K::Artifact, K::Manifest];
        for kind in all {
            assert_eq!(refused(path, kind), !by.contains(&kind), "{} by {kind:?}", path.display());
        }
        assert!(!refused(path, K::Edited), "what is there stays in it");
    }
}

/// What writes a file is in a file that asks, or is known to write where no user says.
#[test]
fn whoever_writes_where_the_user_says_asks() {
    const WRITES: [&str; 6] =
        ["Replace::new(", "fs::write(", "File::create", "write_shared(", "files::create(", "files::replace("];
    const ALLOWED: [(&str, &str); 21] = [
        ("bosc-release/src/dashboard/adoption.rs", "in the store"),
        ("bosc-release/src/dump/write.rs", "`secrets::keep` asked, for all files at once"),
        ("bosc-release/src/demo/clients.rs", "a folder for temporary files"),
        ("bosc-release/src/demo/control.rs", "a folder for temporary files"),
        ("bosc-release/src/demo/files.rs", "a folder for temporary files"),
        ("bosc-release/src/demo/updates.rs", "a folder for temporary files"),
        ("bosc-release/src/install/command/desktop.rs", "in the user's folder of menu entries"),
        ("bosc-release/src/install/command/receipt.rs", "in the store"),
        ("bosc-release/src/keys/files.rs", "the keyring and the record asked"),
        ("bosc-release/src/line/file.rs", "`line/command` asked"),
        ("bosc-release/src/manifest/artifact.rs", "`manifest/compose` asked"),
        ("bosc-release/src/mirror/target/folder.rs", "`mirror/target` asked"),
        ("bosc-release/src/operator/book.rs", "in the store"),
        ("bosc-release/src/owner/owner_file.rs", "in the store"),
        ("bosc-release/src/publish/cache.rs", "`publish/command` asked"),
        ("bosc-release/src/publish/snapshot.rs", "`publish/command` asked"),
        ("bosc-release/src/stage/command.rs", "in the store"),
        ("bosc-release/src/stage/from_drive.rs", "in the store"),
        ("bosc-release/src/stage/index.rs", "in the store"),
        ("bosc/src/help/docs_blocks.rs", "a test"),
        ("bosc/src/updater/smoke/mod.rs", "a folder for temporary files"),
    ];
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut todo = vec![crates.join("bosc/src"), crates.join("bosc-release/src")];
    let mut found = Vec::new();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let name = path.strip_prefix(crates).unwrap().to_string_lossy().replace('\\', "/");
        if !name.ends_with(".rs") || name.ends_with("tests.rs") || name.ends_with("_tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let tests = ["#[cfg(test)]\n", "#[cfg(all(test", "#[cfg(all(unix, test"];
        let end = tests.iter().filter_map(|mark| text.find(mark)).min().unwrap_or(text.len());
        let code = &text[..end];
        // Tests that come first are followed by no code.
        let writes =
            code.lines().any(|l| !l.trim_start().starts_with("//") && WRITES.iter().any(|w| l.contains(w)));
        let asks = ["OutputFile::new(", "check_output_folder(", "refuse_existing("]
            .iter()
            .any(|ask| code.contains(ask));
        let allowed = ALLOWED.iter().any(|(file, _)| *file == name);
        assert!(!writes || asks || allowed, "{name} writes a file and does not ask crate::output_file");
        assert!(!(allowed && asks), "{name} asks");
        if writes && allowed {
            found.push(name);
        }
    }
    for (file, _) in ALLOWED {
        assert!(found.iter().any(|f| f == file), "{file} is allowed to write and does not");
    }
}
