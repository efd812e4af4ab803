#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use crate::command::Stop;
use crate::engine::{Engine, EngineConfig};
use crate::event::Event;
use crate::folder::glob::{Ignore, Only};
use crate::folder::scan::{Scan, scan};
use crate::keys::signing_key::{KdfLimits, SigningKey};
use crate::keys::{backup, transfer};
use crate::manifest::keypair::KeyPair;
use crate::stage::tests::{MemoryTarget, noise};
use crate::stage::{StageError, StageNews, StageOptions, StageSummary, stage};
use crate::touch::Touch;
use bosc_format::id;
use data_encoding::{BASE64, BASE64URL, BASE64URL_NOPAD, HEXLOWER};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A closed store with a link in it.
fn store(dir: &Path) {
    let config = EngineConfig {
        store: dir.to_owned(),
        bootstrap: Vec::new(),
        relay: Vec::new(),
        primary_key: Some([7; 32]),
        ..EngineConfig::default()
    };
    let engine = Engine::open(&config).unwrap();
    let touch = crate::request::Request::Touch(Touch::default());
    engine.execute_request(&touch, &mut |_: Event| {}, &Stop::new()).unwrap();
    engine.close();
    drop(engine);
    fs::create_dir_all(dir.join("data")).unwrap();
    fs::write(dir.join("data/000001.seg"), noise(3, 100_000)).unwrap();
}

pub(super) fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

pub(super) fn all_of(root: &Path) -> Scan {
    scan(root, &Ignore::default(), &Only::default()).unwrap()
}

pub(super) fn signing_key() -> crate::keys::signing_key::EncryptedKey {
    let limits = KdfLimits { ops: 32_768, mem: 1 << 20 };
    SigningKey::generate().unwrap().encrypt_with(b"secret", limits, [1; 32]).unwrap()
}

/// Every kind of secret, under names that tell nothing.
fn secrets(store: &Path) -> Vec<(&'static str, Vec<u8>, Secret)> {
    let key = signing_key();
    let bytes = key.encode();
    let owner = format!(r#"{{"port":4000,"token":"{}","pid":7}}"#, id::encode(&[9; 32]));
    let backup = backup::seal(&backup::Contents { primary: None, links: Vec::new() }, None, "x").unwrap();
    let pair = KeyPair::generate().unwrap().to_json().to_string();
    let seed: [u8; 32] = noise(9, 32).try_into().unwrap();
    let whole = [&seed[..], &bosc_format::crypto::KeyPair::from_seed(&seed).public()].concat();
    let compact: serde_json::Value = serde_json::from_str(&pair).unwrap();
    let keygen = format!(
        r#"{{"cmd":"updater","tag":"keygen","data":{{"publicKey":{},"secretKey":{}}}}}"#,
        compact["public_key"], compact["secret_key"]
    );
    let other = KeyPair::generate().unwrap().to_json().to_string();
    let carried = transfer::to_text("default", &key).unwrap();
    vec![
        ("database", fs::read(store.join("bosc.redb")).unwrap(), Secret::Database),
        ("format", fs::read(store.join("FORMAT")).unwrap(), Secret::StoreFile),
        ("owner", owner.into_bytes(), Secret::Owner),
        ("backup", backup.clone().into_bytes(), Secret::KeyFile),
        (
            "backup-with-mark",
            format!("\u{feff}\r\n{}", backup.replace('\n', "\r\n")).into_bytes(),
            Secret::KeyFile,
        ),
        ("signing", bytes.clone(), Secret::SigningKey),
        ("signing-v0", bytes[1..154].to_vec(), Secret::SigningKey),
        ("signing-text", format!("{}\n", id::encode_bytes(&bytes)).into_bytes(), Secret::SigningKey),
        ("signing-carried", transfer::to_text("default", &key).unwrap().into_bytes(), Secret::SigningKey),
        ("updates", pair.into_bytes(), Secret::UpdaterKey),
        ("updates-compact", format!("\n{compact}").into_bytes(), Secret::UpdaterKey),
        ("bare", format!("{}\n", BASE64.encode(&whole)).into_bytes(), Secret::BareKey),
        ("bare-bytes", whole.clone(), Secret::BareKey),
        ("bare-z32", id::encode_bytes(&whole).into_bytes(), Secret::BareKey),
        ("bare-hex", HEXLOWER.encode(&whole).into_bytes(), Secret::BareKey),
        ("bare-url", BASE64URL.encode(&whole).into_bytes(), Secret::BareKey),
        ("bare-url-open", BASE64URL_NOPAD.encode(&whole).into_bytes(), Secret::BareKey),
        (
            // Our tables stand behind what is read at once.
            "large-database",
            [&b"redb\x1a\x0a\xa9\x0d\x0a"[..], &noise(5, (1 << 20) + 50), b"cores meta names pages segments"]
                .concat(),
            Secret::Database,
        ),
        ("keygen-output", keygen.clone().into_bytes(), Secret::UpdaterKey),
        ("nested", format!(r#"{{"ci":{{"updates":[{compact}]}},"a":1}}"#).into_bytes(), Secret::UpdaterKey),
        ("two", format!("{compact}\n{other}\n").into_bytes(), Secret::UpdaterKey),
        ("comment-before", format!("# do not lose\n{compact}\n").into_bytes(), Secret::UpdaterKey),
        ("comment-after", format!("{compact}\n// the end\n").into_bytes(), Secret::UpdaterKey),
        ("utf16", utf16(&keygen, true), Secret::UpdaterKey),
        ("utf16-pair", utf16(&format!("\u{feff}{compact}"), true), Secret::UpdaterKey),
        ("utf16-big", utf16(&format!("\u{feff}{compact}"), false), Secret::UpdaterKey),
        ("utf16-backup", utf16(&format!("\u{feff}{backup}"), true), Secret::KeyFile),
        ("backup-behind", format!("# mine\n{backup}").into_bytes(), Secret::KeyFile),
        ("backup-in-json", serde_json::json!({ "file": backup }).to_string().into_bytes(), Secret::KeyFile),
        (
            "export-json",
            serde_json::json!({ "tag": "export", "data": { "name": "default", "key": carried } })
                .to_string()
                .into_bytes(),
            Secret::SigningKey,
        ),
        (
            "get-secret",
            format!("Public key  {}\nSecret key  {}\n", id::encode(&[5; 32]), id::encode_bytes(&bytes))
                .into_bytes(),
            Secret::SigningKey,
        ),
        (
            "device",
            b"x=1\ndevice/platform=linux\ndevice/inode=7\ndevice/created=1\n".to_vec(),
            Secret::Corestore,
        ),
    ]
}

pub(super) fn utf16(text: &str, little: bool) -> Vec<u8> {
    text.encode_utf16().flat_map(|u| if little { u.to_le_bytes() } else { u.to_be_bytes() }).collect()
}

/// What is like a secret and is none.
fn harmless() -> Vec<(&'static str, Vec<u8>)> {
    let key = signing_key();
    vec![
        ("public", id::encode_bytes(key.public_key().unwrap()).into_bytes()),
        ("port.json", br#"{"port":4000,"token":"abc","pid":7}"#.to_vec()),
        ("keys.json", br#"{"public_key":"abc","secret_key":"abc"}"#.to_vec()),
        ("text", b"bosc-store is a folder\n".to_vec()),
        ("redb", [b"redb\x1a\x0a\xa9\x0d\x0a".to_vec(), noise(5, 50_000)].concat()),
        (
            "device-file.js",
            b"s += 'device/platform=' + PLATFORM + nl\ns += 'device/inode=' + st.ino + nl\n".to_vec(),
        ),
        ("app.sha256", HEXLOWER.encode(&noise(4, 32)).into_bytes()),
        ("update.pub", BASE64.encode(&noise(4, 32)).into_bytes()),
        ("two-hashes", BASE64.encode(&noise(4, 64)).into_bytes()),
        (
            "ci.md",
            format!("BOSC_PRIMARY_KEY={}\nand BOSC_PRIMARY_KEY: ${{x}}\n", "01".repeat(32)).into_bytes(),
        ),
        (
            "keys.txt",
            format!("{}\n{}\nsecret\n", BASE64.encode(&noise(4, 32)), BASE64.encode(&noise(5, 32)))
                .into_bytes(),
        ),
        ("lock.json", format!(r#"{{"integrity":"sha512-{}"}}"#, BASE64.encode(&noise(4, 64))).into_bytes()),
        (
            "help.md",
            b"Use `bosc updater sign --secret-key-b64 <KEY>` and ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"
                .to_vec(),
        ),
        ("wide.txt", utf16("\u{feff}a text of Windows\r\n", true)),
        (
            "carry.md",
            b"A file begins with `bosc-key-file 1`, then `kdf: scrypt 17 8 1` and `data: ...`\n".to_vec(),
        ),
        ("noise", noise(1, 186)),
        ("long", noise(2, 300_000)),
        ("empty", Vec::new()),
        (
            "code.js",
            b"const MARK = '-----BEGIN PRIVATE KEY-----'\nif (text.includes(MARK)) throw Error()\n".to_vec(),
        ),
        (
            "cert.pem",
            b"-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ\n-----END CERTIFICATE-----\n".to_vec(),
        ),
        (".npmrc", b"registry=https://r.example/\n//r.example/:_authToken=${NPM_TOKEN}\n".to_vec()),
    ]
}

pub(super) fn run(
    root: &Path,
    options: &StageOptions,
) -> (Result<StageSummary, StageError>, Vec<StageNews>, MemoryTarget) {
    let (mut target, mut events) = (MemoryTarget::default(), Vec::new());
    let result = stage(&mut target, root, options, &mut |e| events.push(e));
    (result, events, target)
}

#[test]
fn secrets_are_known_by_content_whatever_their_name() {
    let dir = tempfile::tempdir().unwrap();
    store(&dir.path().join("s"));
    for (name, content, secret) in secrets(&dir.path().join("s")) {
        for dry_run in [false, true] {
            let root = dir.path().join(name);
            let path = root.join("assets").join(format!("{name}.bin"));
            write(&path, &content);
            write(&root.join("a"), "plain");
            let (result, _, target) = run(&root, &StageOptions { dry_run, ..StageOptions::default() });
            match result {
                Err(StageError::Secret(found)) => {
                    assert_eq!((found.path, found.secret), (path.clone(), secret), "{name}")
                }
                other => panic!("{name}: {other:?}"),
            }
            assert_eq!(bosc_drive::BlockSource::length(&target.db), 0, "{name}");
            let error = check_files(&root, &all_of(&root), &StorePlaces::default(), &KeysInUse::default())
                .unwrap_err();
            assert_eq!(error.code(), "ERR_SECRET");
            assert!(
                error.message().contains(&format!("{name}.bin")) && !error.hint_text().is_empty(),
                "{error}"
            );
        }
    }
    let root = dir.path().join("harmless");
    harmless().iter().for_each(|(name, content)| write(&root.join(name), content));
    let (result, events, _) = run(&root, &StageOptions::default());
    assert_eq!(result.unwrap().suspects, []);
    assert!(!events.iter().any(|e| matches!(e, StageNews::Suspect(_))));
}

/// Texts in which a key of ours is given its value.
fn with_key_in_text() -> [(&'static str, String); 5] {
    let key = noise(4, 32);
    [
        ("ci/release.sh", format!("#!/bin/sh\nexport BOSC_PRIMARY_KEY='{}'\n", HEXLOWER.encode(&key))),
        ("ci.yml", format!("env:\n  BOSC_UPDATER_SECRET_KEY: {}\n", BASE64.encode(&key))),
        ("sign.sh", format!("bosc updater sign --secret-key-b64 {} x\n", BASE64.encode(&key))),
        // The first one is an example.
        (
            "two.sh",
            format!("# BOSC_PRIMARY_KEY={}\nBOSC_PRIMARY_KEY={}\n", "01".repeat(32), HEXLOWER.encode(&key)),
        ),
        // Its name alone says less.
        (".env", format!("BOSC_PRIMARY_KEY={}\n", HEXLOWER.encode(&key))),
    ]
}

#[test]
fn a_key_in_a_text_goes_only_by_the_name_of_its_file() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in with_key_in_text() {
        let root = dir.path().join("one").join(name.replace('/', "-"));
        write(&root.join("a"), "plain");
        write(&root.join(name), text);
        let now = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        let index = Some(dir.path().join("index"));
        let options = |allow: &[&str], allow_key: &[&str]| StageOptions {
            allow: allow.iter().map(|a| (*a).to_owned()).collect(),
            allow_key: allow_key.iter().map(|a| (*a).to_owned()).collect(),
            index: index.clone(),
            now: Some(now),
            ..StageOptions::default()
        };
        for dry_run in [true, false] {
            // What merely looks secret is allowed by another flag.
            for options in [options(&[], &[]), options(&[name], &[]), options(&[], &["a"])] {
                let (result, _, target) = run(&root, &StageOptions { dry_run, ..options });
                let error = crate::error::CommandError::from(result.unwrap_err());
                assert_eq!(error.code(), "ERR_SECRET", "{error}");
                assert!(error.message().contains(name), "{error}");
                assert!(error.hint_text().contains(&format!("--allow-key {name}")), "{}", error.hint_text());
                assert_eq!(bosc_drive::BlockSource::length(&target.db), 0, "{name}");
            }
        }
        // It goes, is reported, and is asked about again when it is not read.
        let mut target = MemoryTarget::default();
        let mut staged = |options: &StageOptions| {
            let done = stage(&mut target, &root, options, &mut |_| {});
            done.map(|s| (s.read, s.suspects.iter().map(|f| f.key.clone()).collect::<Vec<_>>()))
        };
        let all = vec![format!("/{name}")];
        // Nor does that flag allow what its name says.
        let ci = StageOptions { no_suspects: true, ..options(&[name], &[name]) };
        assert_eq!(staged(&ci).unwrap(), (2, all.clone()));
        assert_eq!(staged(&options(&[], &[name])).unwrap(), (0, all));
        assert!(matches!(staged(&options(&[], &[])), Err(StageError::Suspects(_))));
        // Commands that are given no such name report it; what is there is not removed.
        let found =
            check_files(&root, &all_of(&root), &StorePlaces::default(), &KeysInUse::default()).unwrap();
        assert_eq!(found.iter().map(|f| f.suspect).collect::<Vec<_>>(), [Suspect::KeyInText]);
        let kept = keep(&dir.path().join("none"), &[], &KeysInUse::default(), [root.join(name)].into_iter())
            .unwrap_err();
        assert_eq!(kept.code(), "ERR_SECRET");
    }
}

#[test]
fn the_primary_key_of_an_old_corestore_is_known_by_what_is_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("app");
    write(&root.join("a/primary-key"), noise(3, 32));
    assert!(run(&root, &StageOptions::default()).0.is_ok(), "32 bytes alone may be anything");
    write(&root.join("a/cores/x"), "x");
    match run(&root, &StageOptions::default()).0 {
        Err(StageError::Secret(found)) => {
            assert_eq!((found.path, found.secret), (root.join("a/primary-key"), Secret::Corestore));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_second_stage_of_a_file_that_became_a_secret_is_refused_and_the_first_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let (root, index) = (dir.path().join("app"), dir.path().join("index"));
    let key =
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
    write(&root.join("key.txt"), key);
    write(&root.join("other"), noise(8, 9000));
    let now = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    let options = StageOptions { index: Some(index), now: Some(now), ..StageOptions::default() };
    let mut target = MemoryTarget::default();
    let mut suspects = || {
        let summary = stage(&mut target, &root, &options, &mut |_| {});
        summary.map(|s| (s.read, s.suspects.iter().map(|f| f.key.clone()).collect::<Vec<_>>()))
    };
    assert_eq!(suspects().unwrap(), (2, vec!["/key.txt".to_owned()]));
    // Not read again, and told again.
    assert_eq!(suspects().unwrap(), (0, vec!["/key.txt".to_owned()]));
    let owner = format!(r#"{{"port":1,"token":"{}","pid":7}}"#, id::encode(&[9; 32]));
    write(&root.join("key.txt"), owner);
    assert!(matches!(suspects(), Err(StageError::Secret(_))));
}

#[test]
fn the_store_in_use_is_refused_below_the_folder_as_the_folder_and_around_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("app");
    write(&root.join("a"), "plain");
    let own = root.join(".bosc");
    store(&own);
    let options =
        StageOptions { store: Some(own.clone()), store_work: vec!["work".into()], ..StageOptions::default() };
    let refused = |root: &Path, options: &StageOptions| match run(root, options).0 {
        Err(StageError::Secret(found)) => (found.path, found.secret),
        other => panic!("{}: {other:?}", root.display()),
    };
    assert_eq!(refused(&root, &options), (root.join(".bosc/bosc.redb"), Secret::OwnStore));
    assert_eq!(refused(&own, &options).1, Secret::OwnStore);
    assert_eq!(refused(&own.join("data"), &options).1, Secret::OwnStore);
    write(&own.join("mine/x"), "x");
    assert_eq!(refused(&own.join("mine"), &options), (own.join("mine"), Secret::OwnStore));
    write(&own.join("work/x"), "x");
    run(&own.join("work"), &options).0.unwrap();
    // Left out, it is no matter.
    let ignore = StageOptions { ignore: vec![".bosc".into()], ..options.clone() };
    run(&root, &ignore).0.unwrap();
    // Without its tell-tale files it is still the store in use, and a store.
    let ignore = vec![
        "bosc.redb".into(),
        ".bosc/bosc.redb".into(),
        ".bosc/FORMAT".into(),
        ".bosc/OWNER".into(),
        ".bosc/LOCK".into(),
    ];
    let partly = StageOptions { ignore, ..options.clone() };
    assert_eq!(refused(&root, &partly).1, Secret::OwnStore);
    let other = StageOptions { store: None, ..partly.clone() };
    assert_eq!(refused(&root, &other), (root.join(".bosc/data/000001.seg"), Secret::StoreFile));
}

#[cfg(unix)]
#[test]
fn the_store_in_use_is_known_through_hard_links_and_symlinks() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("own");
    store(&own);
    let options = StageOptions { store: Some(own.clone()), ..StageOptions::default() };
    type Make = fn(&Path, &Path);
    let ways: [(&str, Make); 4] = [
        ("hard", |own, at| fs::hard_link(own.join("data/000001.seg"), at).unwrap()),
        ("soft", |own, at| std::os::unix::fs::symlink(own.join("data/000001.seg"), at).unwrap()),
        ("folder", |own, at| std::os::unix::fs::symlink(own.join("data"), at).unwrap()),
        ("store", |own, at| std::os::unix::fs::symlink(own, at).unwrap()),
    ];
    for (name, make) in ways {
        let root = dir.path().join(name);
        write(&root.join("a"), "plain");
        make(&own, &root.join("b"));
        match run(&root, &options).0 {
            Err(StageError::Secret(found)) => {
                assert_eq!(found.secret, Secret::OwnStore, "{name}");
                assert!(found.path.starts_with(root.join("b")), "{name}: {found}");
            }
            other => panic!("{name}: {other:?}"),
        }
        let places = StorePlaces::of_store(&own, &[]);
        let error = check_files(&root, &all_of(&root), &places, &KeysInUse::default()).unwrap_err();
        assert!(error.message().contains("part of the store in use"), "{name}: {error}");
    }
}

#[test]
fn what_looks_secret_is_told_before_anything_is_committed_and_can_be_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("app");
    let pem = b"subject=x\n-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n\r\nMIIB\n";
    let json = br#"{"private_key":"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n"}"#;
    write(&root.join("a.js"), "plain");
    write(&root.join("cert/server.key"), pem);
    write(&root.join("account.json"), json);
    write(&root.join(".env"), "TOKEN=x\n");
    write(&root.join(".npmrc"), "//registry.npmjs.org/:_authToken=npm_abc\n");
    write(&root.join(".git/config"), "[core]\n");
    write(&root.join(".git/objects/aa/bb"), "x");
    write(&root.join("id_ed25519"), "x");
    write(&root.join("d/data/000001.seg"), "x");
    write(
        &root.join("e/blob"),
        [&b"m\x0a\x00\x01"[..], b"\x0a\x08hyperbee\x12\x00", &noise(6, 900)].concat(),
    );
    write(&root.join("f/docker.json"), r#"{"auths":{"ghcr.io":{"auth":"dXNlcjpwYXNz"}}}"#);
    write(&root.join("g/primary"), HEXLOWER.encode(&noise(4, 32)));
    write(&root.join("h/config"), "kind: Config\nusers:\n- user:\n    token: abc\n");
    write(&root.join("i/.yarnrc.yml"), "npmAuthToken: abc\n");
    write(&root.join("i/putty"), "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n");
    // As `minisign -G` and `tauri signer generate` write them. Public keys and signatures are shorter.
    let minisign = |comment: &str, bytes: usize| {
        format!("untrusted comment: {comment}\nRW{}\n", BASE64.encode(&noise(5, bytes)))
    };
    let secret = minisign("rsign encrypted secret key", 156);
    write(&root.join("k/minisign.key"), &secret);
    write(&root.join("k/tauri.key"), BASE64.encode(secret.as_bytes()));
    write(&root.join("k/minisign.pub"), minisign("minisign public key 0123", 40));
    write(&root.join("k/app.sig"), minisign("signature from rsign secret key", 72));
    write(&root.join("k/age.txt"), format!("# public key: age1x\nAGE-SECRET-KEY-1{}\n", "Q".repeat(58)));
    write(&root.join("i/token"), "ghp_16C7e42F292c6912E7710c838347Ae178B4a\n");
    let seed: [u8; 32] = noise(9, 32).try_into().unwrap();
    let public = bosc_format::crypto::KeyPair::from_seed(&seed).public();
    let vectors = format!(r#"[{{"seed":"{}","pk":"{}"}}]"#, HEXLOWER.encode(&seed), HEXLOWER.encode(&public));
    write(&root.join("j/vectors.json"), vectors);
    let expected = [
        ("/.env", Suspect::Environment),
        ("/.git", Suspect::History),
        ("/.npmrc", Suspect::RegistryToken),
        ("/account.json", Suspect::PrivateKey),
        ("/cert/server.key", Suspect::PrivateKey),
        ("/d/data/000001.seg", Suspect::Segment),
        ("/e/blob", Suspect::Segment),
        ("/f/docker.json", Suspect::Credentials),
        ("/g/primary", Suspect::BareKey),
        ("/h/config", Suspect::Credentials),
        ("/i/.yarnrc.yml", Suspect::RegistryToken),
        ("/i/putty", Suspect::PrivateKey),
        ("/i/token", Suspect::Credentials),
        ("/id_ed25519", Suspect::SshKey),
        ("/j/vectors.json", Suspect::BareKey),
        ("/k/age.txt", Suspect::PrivateKey),
        ("/k/minisign.key", Suspect::PrivateKey),
        ("/k/tauri.key", Suspect::PrivateKey),
    ];
    let shown = |found: &[Found]| found.iter().map(|f| (f.key.clone(), f.suspect)).collect::<Vec<_>>();
    let expected: Vec<_> = expected.iter().map(|(k, s)| ((*k).to_owned(), *s)).collect();
    for dry_run in [true, false] {
        let (result, events, _) = run(&root, &StageOptions { dry_run, ..StageOptions::default() });
        assert_eq!(shown(&result.unwrap().suspects), expected);
        let told = events.iter().filter(|e| matches!(e, StageNews::Suspect(_))).count();
        assert_eq!(told, expected.len());
        let (result, _, target) =
            run(&root, &StageOptions { dry_run, no_suspects: true, ..StageOptions::default() });
        assert!(matches!(result, Err(StageError::Suspects(found)) if found.len() >= 4));
        assert_eq!(bosc_drive::BlockSource::length(&target.db), 0);
    }
    let allow = [
        ".env",
        ".git",
        ".npmrc",
        "account.json",
        "cert",
        "d",
        "e",
        "f",
        "g",
        "h",
        "i",
        "id_ed25519",
        "j",
        "k",
        "typo",
    ]
    .map(str::to_owned)
    .to_vec();
    let (result, events, _) =
        run(&root, &StageOptions { no_suspects: true, allow, ..StageOptions::default() });
    assert_eq!(result.unwrap().suspects, []);
    assert!(events.contains(&StageNews::Unmatched { list: "allow", pattern: "typo".into() }), "{events:?}");
    let error = refused(&[Found { key: "/.env".into(), suspect: Suspect::Environment }]);
    assert_eq!(error.code(), "ERR_LOOKS_SECRET");
    assert!(error.hint_text().contains("--allow .env"));
}

#[test]
fn numbers_of_suspects_stay() {
    for suspect in Suspect::ALL {
        assert_eq!(Suspect::from_number(suspect.number()), Some(suspect));
    }
    assert_eq!((Suspect::from_number(0), Suspect::from_number(99)), (None, None));
    assert_eq!(Suspect::PrivateKey.number(), 1);
}

#[test]
fn a_folder_stands_for_what_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["x/.git/a", "x/.git/b/c", "x/d", "y/.git/a"] {
        write(&dir.path().join(name), "x");
    }
    let found = find_suspects(all_of(dir.path()).files.iter(), &BTreeMap::new(), &Allow::default());
    let keys: Vec<&str> = found.iter().map(|f| f.key.as_str()).collect();
    assert_eq!(keys, ["/x/.git", "/y/.git"]);
}
