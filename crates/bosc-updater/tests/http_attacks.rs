//! Attacks by whoever controls the server, or everything between it and here, but none of the keys.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bosc_updater::http::{HttpOptions, HttpSource};
use bosc_updater::manifest::{Schema, platform_key};
use bosc_updater::source::Source;
use bosc_updater::{ErrorKind, UpdateError};
use semver::Version;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex};
use support::*;

const OLD: Version = Version::new(1, 0, 0);

/// A server under the attacker's control: any manifest, any files.
struct Evil {
    server: Server,
    manifest: Arc<Mutex<String>>,
    file: Arc<Mutex<Vec<u8>>>,
}

impl Evil {
    fn new() -> Self {
        let manifest: Arc<Mutex<String>> = Arc::default();
        let file: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (m, f) = (Arc::clone(&manifest), Arc::clone(&file));
        let server = Server::start(Cert::Good, move |r| match r.path.as_str() {
            "/m.json" => answer(200, &[], m.lock().unwrap().clone()),
            _ => serve_file(r, &f.lock().unwrap()),
        });
        Self { server, manifest, file }
    }

    fn offer(&self, manifest: &Value, file: &[u8]) {
        *self.manifest.lock().unwrap() = manifest.to_string();
        *self.file.lock().unwrap() = file.to_vec();
    }

    /// What signs and where things are.
    fn manifest(&self, signing: &Signing, version: &str, bytes: &[u8]) -> Value {
        signing.manifest(version, &self.server.url("/app"), bytes)
    }

    fn options(&self) -> HttpOptions {
        options(&self.server, &Signing::new(7))
    }

    /// Whether a client would end with something staged; `Ok(None)` is "nothing newer".
    fn attack(&self, o: HttpOptions) -> Result<Option<Vec<u8>>, UpdateError> {
        let dir = tempfile::tempdir().unwrap();
        attack_in(&mut HttpSource::new(o)?, dir.path())
    }

    fn downloads(&self) -> usize {
        self.server.asked("/app")
    }
}

fn attack_in(source: &mut HttpSource, staging: &Path) -> Result<Option<Vec<u8>>, UpdateError> {
    let Some(release) = source.check(&OLD)? else { return Ok(None) };
    let staged = source.fetch(&release, staging, &mut |_| true)?;
    Ok(Some(std::fs::read(staged.path).unwrap()))
}

fn entry(manifest: &mut Value) -> &mut Value {
    &mut manifest["platforms"][platform_key()]
}

#[test]
fn software_signed_by_nobody_is_not_fetched() {
    let evil = Evil::new();
    let mallory = Signing::new(66);
    for signature in [None, Some(""), Some("AAAA"), Some(mallory.v2(b"evil", "9.0.0").as_str())] {
        let mut m = evil.manifest(&mallory, "9.0.0", b"evil");
        match signature {
            Some(s) => entry(&mut m)["signature"] = s.into(),
            None => drop(entry(&mut m).as_object_mut().unwrap().remove("signature")),
        }
        evil.offer(&m, b"evil");
        assert_eq!(evil.attack(evil.options()).unwrap_err().kind(), ErrorKind::Integrity);
    }
    assert_eq!(evil.downloads(), 0, "the signature is checked before a byte is asked for");
}

#[test]
fn bytes_swapped_behind_a_good_manifest_are_not_staged() {
    let evil = Evil::new();
    // Same length, so only the digest tells.
    evil.offer(&evil.manifest(&Signing::new(7), "1.0.1", b"good"), b"evil");
    let e = evil.attack(evil.options()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Integrity);
    assert!(e.to_string().starts_with("updater: SHA-256 mismatch — expected "), "{e}");
}

#[test]
fn a_digest_swap_breaks_the_signature() {
    let evil = Evil::new();
    let mut m = evil.manifest(&Signing::new(7), "1.0.1", b"good");
    entry(&mut m)["sha256"] = sha256(b"evil").into();
    evil.offer(&m, b"evil");
    let e = evil.attack(evil.options()).unwrap_err();
    assert_eq!(e.to_string(), "updater: Ed25519 signature verification failed (schemaVersion 2)");
    assert_eq!(evil.downloads(), 0);
}

#[test]
fn a_version_swap_breaks_the_signature() {
    let evil = Evil::new();
    for version in ["99.0.0", "1.0.2", "1.0.1+x"] {
        let mut m = evil.manifest(&Signing::new(7), "1.0.1", b"good");
        m["version"] = version.into();
        evil.offer(&m, b"good");
        let e = evil.attack(evil.options()).unwrap_err();
        assert_eq!(e.to_string(), "updater: Ed25519 signature verification failed (schemaVersion 2)");
    }
    assert_eq!(evil.downloads(), 0);
}

/// a.11 number 1: any digest-only signature ever published, under any version.
fn replay(evil: &Evil, version: &str) {
    let m = json!({ "schemaVersion": 1, "version": version, "platforms": { platform_key(): {
        "url": evil.server.url("/app"),
        "sha256": sha256(b"vulnerable"),
        "signature": Signing::new(7).v1(b"vulnerable"),
        "size": 10,
    } } });
    evil.offer(&m, b"vulnerable");
}

#[test]
fn an_old_schema_1_signature_under_a_new_version_is_refused_once_schema_2_was_seen() {
    let evil = Evil::new();
    let dir = tempfile::tempdir().unwrap();
    let mut o = evil.options();
    o.state = Some(dir.path().join("state.json"));
    // Before schema 2 was ever seen the format itself is open to it: that is what Perry's clients take for ever.
    replay(&evil, "99.0.0");
    assert_eq!(evil.attack(o.clone()).unwrap().as_deref(), Some(&b"vulnerable"[..]));
    // One good manifest of schema 2, even one that is not newer, closes it; for this process ...
    let mut source = HttpSource::new(o.clone()).unwrap();
    evil.offer(&evil.manifest(&Signing::new(7), "1.0.0", b"good"), b"good");
    assert_eq!(source.check(&OLD).unwrap(), None);
    replay(&evil, "99.0.0");
    let e = source.check(&OLD).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Refused);
    assert_eq!(source.min_schema(), Schema::V2);
    // ... and for every later one.
    assert_eq!(evil.attack(o.clone()).unwrap_err().kind(), ErrorKind::Refused);
    // A damaged state file is no way back.
    std::fs::write(o.state.as_ref().unwrap(), "{").unwrap();
    assert_eq!(evil.attack(o).unwrap_err().kind(), ErrorKind::Refused);
    // Or from the first start on, by option.
    let mut o = evil.options();
    o.min_schema = Schema::V2;
    assert_eq!(evil.attack(o).unwrap_err().kind(), ErrorKind::Refused);
    // Or by a publisher who never wants it taken again.
    let mut m: Value = serde_json::from_str(&evil.manifest.lock().unwrap()).unwrap();
    m["minSchema"] = 2.into();
    evil.offer(&m, b"vulnerable");
    assert_eq!(evil.attack(evil.options()).unwrap_err().kind(), ErrorKind::Refused);
}

#[test]
fn a_schema_2_manifest_that_nobody_signed_does_not_raise_the_minimum() {
    let evil = Evil::new();
    let dir = tempfile::tempdir().unwrap();
    let mut o = evil.options();
    o.state = Some(dir.path().join("state.json"));
    // Otherwise one lie would keep an application whose publisher signs schema 1 from ever updating again.
    evil.offer(&evil.manifest(&Signing::new(66), "9.0.0", b"evil"), b"evil");
    assert_eq!(evil.attack(o.clone()).unwrap_err().kind(), ErrorKind::Integrity);
    replay(&evil, "1.0.1");
    assert!(evil.attack(o).unwrap().is_some());
}

#[test]
fn a_schema_1_signature_in_a_schema_2_manifest_and_the_reverse_are_wrong() {
    let evil = Evil::new();
    let signing = Signing::new(7);
    let mut m = evil.manifest(&signing, "1.0.1", b"good");
    entry(&mut m)["signature"] = signing.v1(b"good").into();
    evil.offer(&m, b"good");
    let e = evil.attack(evil.options()).unwrap_err();
    assert_eq!(e.to_string(), "updater: Ed25519 signature verification failed (schemaVersion 2)");
    let mut m = evil.manifest(&signing, "1.0.1", b"good");
    m["schemaVersion"] = 1.into();
    evil.offer(&m, b"good");
    let e = evil.attack(evil.options()).unwrap_err();
    assert_eq!(e.to_string(), "updater: Ed25519 signature verification failed (schemaVersion 1)");
    for schema in [json!(0), json!(3), json!("2"), json!(null), json!(2.5), json!([2])] {
        let mut m = evil.manifest(&signing, "1.0.1", b"good");
        m["schemaVersion"] = schema.clone();
        evil.offer(&m, b"good");
        let e = evil.attack(evil.options()).unwrap_err();
        assert!(e.to_string().starts_with("updater: unsupported manifest schemaVersion"), "{schema} {e}");
    }
    assert_eq!(evil.downloads(), 0);
}

#[test]
fn an_older_signed_manifest_is_no_update() {
    let evil = Evil::new();
    for version in ["0.9.0", "1.0.0", "1.0.0-rc.1"] {
        evil.offer(&evil.manifest(&Signing::new(7), version, b"old"), b"old");
        assert_eq!(evil.attack(evil.options()).unwrap(), None, "{version}");
    }
    // Newer than what is installed, older than what was seen: a freeze, or a publisher who withdrew a release. By option
    // it is refused.
    let dir = tempfile::tempdir().unwrap();
    let mut o = evil.options();
    o.state = Some(dir.path().join("state.json"));
    evil.offer(&evil.manifest(&Signing::new(7), "1.0.5", b"five"), b"five");
    assert!(HttpSource::new(o.clone()).unwrap().check(&OLD).unwrap().is_some());
    evil.offer(&evil.manifest(&Signing::new(7), "1.0.4", b"four"), b"four");
    assert!(HttpSource::new(o.clone()).unwrap().check(&OLD).unwrap().is_some());
    o.never_below_seen = true;
    assert_eq!(HttpSource::new(o).unwrap().check(&OLD).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(evil.downloads(), 0);
}

#[test]
fn another_platforms_entry_is_told_apart() {
    let evil = Evil::new();
    let signing = Signing::new(7);
    let other = if platform_key().starts_with("windows") { "linux-x86_64" } else { "windows-x86_64" };
    let mut program = vec![0; 128];
    if other.starts_with("windows") {
        program[..2].copy_from_slice(b"MZ");
        program[60] = 64;
        program[64..68].copy_from_slice(b"PE\0\0");
        program[68..70].copy_from_slice(&0x8664_u16.to_le_bytes());
    } else {
        program[..6].copy_from_slice(b"\x7fELF\x02\x01");
        program[18] = 0x3e;
    }
    // Signed without a binding, as Perry does: the program itself says what it is for.
    evil.offer(&evil.manifest(&signing, "1.0.1", &program), &program);
    let e = evil.attack(evil.options()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Integrity);
    assert!(e.to_string().contains(&format!("is a program for {other}")), "{e}");
    // Signed with one: the other platform's signature does not fit, before anything is fetched.
    let before = evil.downloads();
    let mut m = evil.manifest(&signing, "1.0.1", &program);
    entry(&mut m)["boscSignature"] = signing.bound(&program, "my-app", other, "1.0.1").into();
    evil.offer(&m, &program);
    let mut o = evil.options();
    o.app = Some("my-app".into());
    let e = evil.attack(o).unwrap_err();
    assert!(e.to_string().contains("is not signed for my-app"), "{e}");
    assert_eq!(evil.downloads(), before);
    // No entry for this platform is no update.
    let mut m = evil.manifest(&signing, "1.0.1", b"good");
    let taken = m["platforms"].as_object_mut().unwrap().remove(&platform_key()).unwrap();
    m["platforms"][other] = taken;
    evil.offer(&m, b"good");
    assert_eq!(evil.attack(evil.options()).unwrap(), None);
}

#[test]
fn another_application_of_the_same_publisher_is_told_apart() {
    let evil = Evil::new();
    let signing = Signing::new(7);
    let dir = tempfile::tempdir().unwrap();
    let bound = |app: &str, version: &str, bytes: &[u8]| {
        let mut m = evil.manifest(&signing, version, bytes);
        entry(&mut m)["boscSignature"] = signing.bound(bytes, app, &platform_key(), version).into();
        m
    };
    let mut o = evil.options();
    o.app = Some("my-app".into());
    o.state = Some(dir.path().join("state.json"));
    evil.offer(&bound("my-app", "1.0.1", b"mine"), b"mine");
    assert_eq!(evil.attack(o.clone()).unwrap().as_deref(), Some(&b"mine"[..]));
    evil.offer(&bound("other-app", "1.0.2", b"other"), b"other");
    assert_eq!(evil.attack(o.clone()).unwrap_err().kind(), ErrorKind::Integrity);
    // Leaving the binding out does not help once one was seen, nor when it is demanded.
    evil.offer(&evil.manifest(&signing, "1.0.2", b"other"), b"other");
    assert_eq!(evil.attack(o.clone()).unwrap_err().kind(), ErrorKind::Refused);
    o.state = None;
    assert!(evil.attack(o.clone()).unwrap().is_some(), "nothing was seen and nothing demanded");
    o.require_bound = true;
    assert_eq!(evil.attack(o.clone()).unwrap_err().kind(), ErrorKind::Refused);
    // The size is bound too.
    let mut m = bound("my-app", "1.0.2", b"mine");
    entry(&mut m)["size"] = 5.into();
    evil.offer(&m, b"mine");
    assert_eq!(evil.attack(o).unwrap_err().kind(), ErrorKind::Integrity);
}

#[test]
fn endless_data_fills_neither_memory_nor_disk() {
    // The size is not signed: what the manifest claims is bounded by the option, and so is a manifest without a size.
    let bytes = b"good";
    for size in [Some(json!(1_u64 << 50)), None] {
        let (at, named) = (Arc::new(Mutex::new(String::new())), size.clone());
        let url = Arc::clone(&at);
        let server = Server::start(Cert::Good, move |r| {
            if r.path == "/m.json" {
                let mut m = Signing::new(7).manifest("1.0.1", &url.lock().unwrap(), bytes);
                match &named {
                    Some(n) => entry(&mut m)["size"] = n.clone(),
                    None => drop(entry(&mut m).as_object_mut().unwrap().remove("size")),
                }
                answer(200, &[], m.to_string())
            } else {
                Answer { status: 200, headers: vec![], body: Body::Endless }
            }
        });
        *at.lock().unwrap() = server.url("/app");
        let mut o = options(&server, &Signing::new(7));
        o.max_artifact = 1_000_000;
        let dir = tempfile::tempdir().unwrap();
        let result = attack_in(&mut HttpSource::new(o).unwrap(), dir.path());
        // What says that it is too large is not even asked for.
        let (kind, asked) = if size.is_some() { (ErrorKind::Refused, 0) } else { (ErrorKind::Integrity, 1) };
        assert_eq!((result.unwrap_err().kind(), server.asked("/app")), (kind, asked));
        let left: u64 =
            std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
        assert!(left < 1000, "{left}");
        assert!(server.sent.load(std::sync::atomic::Ordering::SeqCst) < 20_000_000);
    }
}

#[test]
fn data_of_unknown_length_stops_where_the_room_does() {
    let at = Arc::new(Mutex::new(String::new()));
    let url = Arc::clone(&at);
    let server = Server::start(Cert::Good, move |r| {
        if r.path == "/m.json" {
            let mut m = Signing::new(7).manifest("1.0.1", &url.lock().unwrap(), b"good");
            entry(&mut m).as_object_mut().unwrap().remove("size");
            answer(200, &[], m.to_string())
        } else {
            Answer { status: 200, headers: vec![], body: Body::Endless }
        }
    });
    *at.lock().unwrap() = server.url("/app");
    let mut o = options(&server, &Signing::new(7));
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    o.room = Some(Arc::new(move |_| {
        let mut asked = count.lock().unwrap();
        *asked += 1;
        if *asked > 2 { Err(UpdateError::new(ErrorKind::NoSpace, "no room")) } else { Ok(()) }
    }));
    let dir = tempfile::tempdir().unwrap();
    let result = attack_in(&mut HttpSource::new(o).unwrap(), dir.path());
    assert_eq!(result.unwrap_err().kind(), ErrorKind::NoSpace);
    let left: u64 =
        std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert!(left < 1000, "{left}");
}

#[test]
fn a_size_of_the_wrong_type_or_out_of_range_is_refused() {
    let evil = Evil::new();
    for size in [json!(-1), json!(1.5), json!("4"), json!(1e300), json!(u64::MAX), json!([4]), json!(true)] {
        let mut m = evil.manifest(&Signing::new(7), "1.0.1", b"good");
        entry(&mut m)["size"] = size.clone();
        evil.offer(&m, b"good");
        assert_eq!(evil.attack(evil.options()).unwrap_err().kind(), ErrorKind::Integrity, "{size}");
    }
}

#[test]
fn either_of_two_keys_signs_and_a_third_does_not() {
    let evil = Evil::new();
    let mut o = evil.options();
    o.public_keys.push(Signing::new(8).public());
    for (byte, good) in [(7, true), (8, true), (9, false)] {
        evil.offer(&evil.manifest(&Signing::new(byte), "1.0.1", b"good"), b"good");
        assert_eq!(evil.attack(o.clone()).is_ok(), good, "{byte}");
    }
    o.public_keys.clear();
    assert_eq!(HttpSource::new(o).unwrap_err().kind(), ErrorKind::Input);
}

#[test]
fn a_release_that_is_not_offered_any_more_is_not_fetched() {
    let evil = Evil::new();
    let dir = tempfile::tempdir().unwrap();
    evil.offer(&evil.manifest(&Signing::new(7), "1.0.1", b"good"), b"good");
    let release = HttpSource::new(evil.options()).unwrap().check(&OLD).unwrap().unwrap();
    // Another process fetches what this one found ...
    let mut source = HttpSource::new(evil.options()).unwrap();
    source.fetch(&release, dir.path(), &mut |_| true).unwrap();
    // ... but not something else under its name, nor the same under another.
    for (version, bytes) in [("1.0.2", &b"other"[..]), ("1.0.1", b"other"), ("1.0.2", b"good")] {
        evil.offer(&evil.manifest(&Signing::new(7), version, bytes), bytes);
        let mut source = HttpSource::new(evil.options()).unwrap();
        let e = source.fetch(&release, dir.path(), &mut |_| true).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Refused, "{version}");
    }
}

#[test]
fn what_lies_in_the_staging_folder_is_proved_again() {
    let evil = Evil::new();
    let dir = tempfile::tempdir().unwrap();
    evil.offer(&evil.manifest(&Signing::new(7), "1.0.1", b"good"), b"good");
    let stem = format!("http-{}", &sha256(b"good")[..32]);
    for (name, bytes) in
        [("part", &b"evil"[..]), ("part", b"ev"), ("part", b"evil and more"), ("build", b"evil")]
    {
        std::fs::write(dir.path().join(format!("{stem}.{name}")), bytes).unwrap();
        let before = evil.server.requests().len();
        let mut o = evil.options();
        o.room = Some(Arc::new(|_| Ok(())));
        let got = attack_in(&mut HttpSource::new(o).unwrap(), dir.path()).unwrap();
        assert_eq!(got.as_deref(), Some(&b"good"[..]), "{name}");
        let ranges = evil.server.requests()[before..].iter().filter(|r| r.header("range").is_some()).count();
        assert_eq!(ranges > 0, bytes == b"ev", "only what may be the start of it is gone on with");
        std::fs::remove_file(dir.path().join(format!("{stem}.build"))).unwrap();
    }
}

#[test]
fn a_withheld_release_is_taken_as_soon_as_it_is_shown() {
    // Who controls the server can hide what is new. It cannot make that last: nothing is remembered that keeps a later,
    // honest answer from being taken, and meanwhile nothing changes here.
    let evil = Evil::new();
    let dir = tempfile::tempdir().unwrap();
    let mut o = evil.options();
    o.state = Some(dir.path().join("state.json"));
    o.never_below_seen = true;
    let mut source = HttpSource::new(o).unwrap();
    for manifest in
        [evil.manifest(&Signing::new(7), "1.0.0", b"old"), evil.manifest(&Signing::new(9), "99.0.0", b"x")]
    {
        evil.offer(&manifest, b"old");
        assert_eq!(attack_in(&mut source, dir.path()).unwrap_or(None), None);
    }
    *evil.manifest.lock().unwrap() = "<html>down for maintenance</html>".into();
    assert_eq!(attack_in(&mut source, dir.path()).unwrap_err().kind(), ErrorKind::Network);
    evil.offer(&evil.manifest(&Signing::new(7), "1.0.1", b"good"), b"good");
    assert_eq!(attack_in(&mut source, dir.path()).unwrap().as_deref(), Some(&b"good"[..]));
}

#[test]
fn a_new_key_is_not_held_to_what_a_stolen_one_signed() {
    let evil = Evil::new();
    let dir = tempfile::tempdir().unwrap();
    let mut o = evil.options();
    o.state = Some(dir.path().join("state.json"));
    o.never_below_seen = true;
    // The thief signs a version far ahead; it was seen, whether or not it was installed.
    evil.offer(&evil.manifest(&Signing::new(7), "99.0.0", b"evil"), b"evil");
    assert!(HttpSource::new(o.clone()).unwrap().check(&OLD).unwrap().is_some());
    evil.offer(&evil.manifest(&Signing::new(7), "1.0.1", b"good"), b"good");
    assert_eq!(HttpSource::new(o.clone()).unwrap().check(&OLD).unwrap_err().kind(), ErrorKind::Refused);
    // The next build, installed by hand, has another key.
    o.public_keys = vec![Signing::new(8).public()];
    evil.offer(&evil.manifest(&Signing::new(8), "1.0.1", b"good"), b"good");
    assert!(HttpSource::new(o.clone()).unwrap().check(&OLD).unwrap().is_some());
    evil.offer(&evil.manifest(&Signing::new(8), "1.0.0", b"good"), b"good");
    assert!(HttpSource::new(o).unwrap().check(&OLD).unwrap().is_none());
}
