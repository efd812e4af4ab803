use super::compose::{Compose, compose, section};
use super::keypair::{KeyPair, SecretSource};
use super::{pack, sign};
use crate::error::ErrorKind;
use crate::event::Event;
use bosc_updater::manifest::Manifest;
use bosc_updater::manifest::verify::{PublicKey, verify_signature, verify_signature_v2};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../bosc-updater/tests/vectors/perry.json")).unwrap()
}

fn seven() -> KeyPair {
    KeyPair::from_seed(&[7; 32])
}

#[test]
fn key_pair_and_envelope_are_perrys_byte_for_byte() {
    let v = vectors();
    assert_eq!(seven().to_json().as_str(), v["kp_json"].as_str().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    std::fs::write(&path, "sign-me").unwrap();
    let signed = sign::sign(&path, "1.2.3", &seven(), None).unwrap();
    let text = serde_json::to_string_pretty(&signed.envelope()).unwrap();
    let sorted: Value = serde_json::from_str(v["sign_envelope_sorted"].as_str().unwrap()).unwrap();
    assert_eq!(serde_json::to_value(signed.envelope()).unwrap(), sorted);
    assert_eq!(text.lines().count(), 8);
    sign::verify(&path, "1.2.3", &signed.signature, &signed.public_key).unwrap();
    assert!(verify_signature_v2(&path, &signed.signature, &signed.public_key, "1.2.3"));
    assert!(!verify_signature(&path, &signed.signature, &signed.public_key), "schema 1 is not signed");
}

#[test]
fn errors_have_perrys_texts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    std::fs::write(&path, "sign-me").unwrap();
    let s = sign::sign(&path, "1.2.3", &seven(), None).unwrap();
    let (sig, key) = (s.signature.as_str(), s.public_key.as_str());
    let verify = |v: &str, s: &str, k: &str| sign::verify(&path, v, s, k).unwrap_err();
    for (error, text) in [
        (verify("", sig, key), "version must be non-empty"),
        (verify("1.2.3", "?", key), "signature is not valid base64"),
        (verify("1.2.3", "AAAA", key), "signature must decode to 64 bytes (got 3)"),
        (verify("1.2.3", sig, "?"), "pubkey is not valid base64"),
        (verify("1.2.3", sig, "AAAA"), "pubkey must decode to 32 bytes (got 3)"),
        (
            verify("1.2.3", sig, "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            "pubkey is not a valid Ed25519 point",
        ),
        (verify("1.2.4", sig, key), "signature verification failed: "),
        (
            sign::sign(&path, "", &seven(), None).unwrap_err(),
            "version must be non-empty (an empty v2 payload would",
        ),
        (sign::sign(&dir.path().join("none"), "1", &seven(), None).unwrap_err(), "failed to open "),
        (
            load(SecretSource::default()),
            "must pass either --secret-key <file> or --secret-key-b64 <inline-base64>",
        ),
        (inline("?"), "secret_key is not valid base64"),
        (inline("AAAA"), "secret key must decode to 32 bytes (got 3)"),
        (
            load(SecretSource { file: Some(dir.path().join("no")), ..SecretSource::default() }),
            "failed to read ",
        ),
        (
            load(SecretSource { file: Some(path.clone()), ..SecretSource::default() }),
            "is not a valid keypair JSON (run `",
        ),
    ] {
        assert!(error.message().contains(text), "{}", error.message());
        assert_eq!(error.kind().exit_code(), 1, "{text}");
    }
    // Both fields must be there; more are ignored.
    for (json, good) in [
        (r#"{"public_key":"x","secret_key":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=","more":1}"#, true),
        (r#"{"secret_key":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="}"#, false),
    ] {
        std::fs::write(&path, json).unwrap();
        let loaded = SecretSource { file: Some(path.clone()), ..SecretSource::default() }.load();
        assert_eq!(loaded.is_ok(), good);
    }
}

fn load(s: SecretSource) -> crate::error::CommandError {
    match s.load() {
        Ok(_) => panic!("it loaded"),
        Err(e) => e,
    }
}

fn inline(text: &str) -> crate::error::CommandError {
    load(SecretSource { inline: Some(Zeroizing::new(text.into())), ..SecretSource::default() })
}

#[test]
fn a_secret_is_in_no_error() {
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("k");
    for text in [
        secret.to_owned(),
        format!("{{\"secret_key\":\"{secret}\""),
        format!("{{\"public_key\":1,\"secret_key\":\"{secret}\"}}"),
    ] {
        std::fs::write(&path, &text).unwrap();
        for e in [inline(&text), load(SecretSource { file: Some(path.clone()), ..SecretSource::default() })] {
            assert!(!format!("{e:?} {:?} {:?}", e.told(), e.causes()).contains("c2VjcmV0"), "{e:?}");
        }
    }
}

#[test]
fn the_key_file_is_private_and_an_old_one_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.json");
    let one = KeyPair::generate().unwrap();
    assert_eq!(one.write(&path).unwrap(), None);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), *one.to_json());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let two = KeyPair::generate().unwrap();
    assert_ne!(one.public_base64(), two.public_base64());
    let old = two.write(&path).unwrap().unwrap();
    assert_eq!(std::fs::read_to_string(&old).unwrap(), *one.to_json());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), *two.to_json());
    let old2 = one.write(&path).unwrap().unwrap();
    assert_ne!(old, old2);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "no temporary file stays");
    assert_eq!(one.write(&dir.path().join("no/key.json")).unwrap_err().kind(), ErrorKind::Failed);
}

#[cfg(unix)]
#[test]
fn runs_at_the_same_time_lose_no_key_and_there_is_a_key_file_at_every_moment() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.json");
    let first = KeyPair::generate().unwrap();
    first.write(&path).unwrap();
    let mut keys: Vec<String> = vec![first.public_base64()];
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looks = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert!(path.exists(), "a moment without a key file");
            }
        });
        let runs: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let pair = KeyPair::generate().unwrap();
                    assert!(pair.write(&path).unwrap().is_some());
                    pair.public_base64()
                })
            })
            .collect();
        keys.extend(runs.into_iter().map(|run| run.join().unwrap()));
        done.store(true, Ordering::Relaxed);
        looks.join().unwrap();
    });
    let files: Vec<String> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| std::fs::read_to_string(e.unwrap().path()).unwrap())
        .collect();
    assert_eq!(files.len(), keys.len());
    for key in keys {
        assert!(files.iter().any(|file| file.contains(&key)), "{key} is lost");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_fifo_in_the_place_of_a_build_is_refused_and_nobody_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("App.AppImage");
    crate::folder::make_fifo(&fifo);
    super::compose::artifact(&fifo, dir.path(), "1.0.0", "linux-x64").unwrap_err();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was written");
}

fn deployment(dir: &Path) {
    let write = |path: &str, text: &str| {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("package.json", r#"{"name":"my-app","version":"1.2.3"}"#);
    write("CHANGELOG.md", "# Changes\n\n## [1.2.3] - today\n\nBetter.\n\n- a\n\n## 1.2.2\n\nold\n");
    write("by-arch/linux-x64/app/My App.AppImage", "image");
    write("by-arch/win32-x64/app/My App.exe", "exe");
    write("by-arch/darwin-arm64/app/My App.app/Contents/MacOS/My App", "mach");
    write("by-arch/darwin-arm64/app/My App.app/Contents/Info.plist", "plist");
    write("by-arch/darwin-arm64/app/.DS_Store", "x");
    write("by-arch/ios-arm64/app/My App/app.bundle", "bundle");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let app = dir.join("by-arch/darwin-arm64/app/My App.app/Contents");
        std::fs::set_permissions(app.join("MacOS/My App"), PermissionsExt::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink("MacOS/My App", app.join("Current")).unwrap();
    }
}

#[test]
fn a_manifest_is_composed_from_a_deployment_directory() {
    let dir = tempfile::tempdir().unwrap();
    let deploy = dir.path().join("deploy");
    deployment(&deploy);
    let request = Compose {
        dir: deploy.clone(),
        url_base: "https://example.com/releases/".into(),
        min_schema: Some(2),
        manifest_name: "latest.json".into(),
        now: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_793_491_200)),
        ..Compose::default()
    };
    let mut events = Vec::new();
    let composed = compose(&request, &seven(), &mut |event: Event| events.push(event.parts())).unwrap();
    let manifest = serde_json::to_value(&composed).unwrap();
    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["minSchema"], 2);
    assert_eq!(manifest["version"], "1.2.3");
    assert_eq!(manifest["pubDate"], "2026-11-01T00:00:00.000Z");
    assert_eq!(manifest["notes"], "Better.\n\n- a");
    let out = dir.path().join("deploy-update");
    let written: Value = serde_json::from_slice(&std::fs::read(out.join("latest.json")).unwrap()).unwrap();
    assert_eq!(written, manifest);
    let platforms: Vec<&String> = manifest["platforms"].as_object().unwrap().keys().collect();
    assert_eq!(platforms, ["darwin-aarch64", "linux-x86_64", "windows-x86_64"]);
    assert!(
        events.iter().any(|(t, d)| t == "skipping" && d["reason"].as_str().unwrap().contains("ios-arm64"))
    );
    let key = PublicKey::parse(&seven().public_base64()).unwrap();
    for (platform, file) in [
        ("darwin-aarch64", "My-App-1.2.3-darwin-aarch64.tar.gz"),
        ("linux-x86_64", "My-App-1.2.3-linux-x86_64.AppImage"),
        ("windows-x86_64", "My-App-1.2.3-windows-x86_64.exe"),
    ] {
        let parsed = Manifest::parse(manifest.to_string().as_bytes(), platform).unwrap();
        let asset = parsed.asset.clone().unwrap();
        assert_eq!(asset.url.to_string(), format!("https://example.com/releases/{file}"));
        let proof = asset.verify(&parsed, std::slice::from_ref(&key), Some("my-app")).unwrap();
        assert!(proof.bound, "bound to the name in package.json");
        let signature = manifest["platforms"][platform]["signature"].as_str().unwrap();
        assert!(verify_signature_v2(&out.join(file), signature, &seven().public_base64(), "1.2.3"));
        assert_eq!(asset.size, Some(std::fs::metadata(out.join(file)).unwrap().len()));
    }
    // The same directory gives the same bytes.
    let first = std::fs::read(out.join("My-App-1.2.3-darwin-aarch64.tar.gz")).unwrap();
    let again = Compose { out: Some(dir.path().join("again")), ..request.clone() };
    assert_eq!(compose(&again, &seven(), &mut |_: Event| {}).unwrap(), composed);
    assert_eq!(std::fs::read(dir.path().join("again/My-App-1.2.3-darwin-aarch64.tar.gz")).unwrap(), first);
    // And they hold what is in the folder.
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(first.as_slice()));
    let entries: Vec<(String, u32, u64)> = archive
        .entries()
        .unwrap()
        .map(|e| {
            let e = e.unwrap();
            (e.path().unwrap().display().to_string(), e.header().mode().unwrap(), e.header().mtime().unwrap())
        })
        .collect();
    if cfg!(unix) {
        let names: Vec<&str> = entries.iter().map(|(n, ..)| n.as_str()).collect();
        assert_eq!(
            names,
            [
                "My App.app/",
                "My App.app/Contents/",
                "My App.app/Contents/Current",
                "My App.app/Contents/Info.plist",
                "My App.app/Contents/MacOS/",
                "My App.app/Contents/MacOS/My App"
            ]
        );
        assert_eq!(
            entries.iter().map(|(_, m, _)| *m).collect::<Vec<_>>(),
            [0o755, 0o755, 0o777, 0o644, 0o755, 0o755]
        );
    }
    assert!(entries.iter().all(|(.., t)| *t == 0));

    for (what, change) in [
        (
            "URL must use https",
            Box::new(|c: &mut Compose| c.url_base = "http://example.com".into()) as Box<dyn Fn(&mut Compose)>,
        ),
        ("is not a version", Box::new(|c| c.version = Some("v1".into()))),
        ("--min-schema", Box::new(|c| c.min_schema = Some(3))),
        ("holds no desktop build", Box::new(|c| c.dir = c.dir.join("by-arch"))),
        ("query", Box::new(|c| c.url_base = "https://example.com/?a".into())),
    ] {
        let mut changed = Compose { version: Some("1.2.3".into()), ..request.clone() };
        change(&mut changed);
        let e = compose(&changed, &seven(), &mut |_: Event| {}).unwrap_err();
        assert!(e.message().contains(what), "{what}: {}", e.message());
        assert_eq!(e.kind(), ErrorKind::Input);
    }
    std::fs::write(deploy.join("by-arch/linux-x64/app/second"), "x").unwrap();
    let e = compose(&request, &seven(), &mut |_: Event| {}).unwrap_err();
    assert!(e.message().contains("more than one build"));
}

#[cfg(unix)]
#[test]
fn what_every_client_would_refuse_is_not_packed() {
    use std::os::unix::fs::symlink;
    for (target, depth_two, good) in [
        ("../x", false, false),
        ("/etc/passwd", false, false),
        ("a/../../x", false, false),
        ("../a", true, true),
        ("../../x", true, false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("app");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::write(root.join("a"), "a").unwrap();
        symlink(target, root.join(if depth_two { "sub/link" } else { "link" })).unwrap();
        let mut out = Vec::new();
        assert_eq!(pack::pack(&root, "app", &mut out).is_ok(), good, "{target}");
    }
    let dir = tempfile::tempdir().unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let e = pack::pack(dir.path(), "app", &mut Vec::new()).unwrap_err();
    assert!(e.message().contains("neither file, folder nor link"));
}

#[test]
fn notes_come_from_the_change_log() {
    let log = "intro\n## v2.0.0 (2026)\n\ntwo\n\n### Fixed\nx\n## 1.0.0\none";
    assert_eq!(section(log, "2.0.0").as_deref(), Some("two\n\n### Fixed\nx"));
    assert_eq!(section(log, "1.0.0").as_deref(), Some("one"));
    assert_eq!(section(log, "3.0.0"), None);
}

/// Whatever is in the notes is in the manifest: they are looked at as the builds are, before anything is written.
#[test]
fn notes_are_looked_at_before_anything_is_written() {
    use data_encoding::{BASE64, HEXLOWER};
    let dir = tempfile::tempdir().unwrap();
    let deploy = dir.path().join("deploy");
    deployment(&deploy);
    let key = KeyPair::generate().unwrap();
    let seed = key.signing_key().to_bytes();
    let other = HEXLOWER.encode(&crate::stage::tests::noise(5, 32));
    let long = format!("{}\n{}", "a line of notes\n".repeat(6000), BASE64.encode(&seed));
    let notes = dir.path().join("notes.txt");
    let write = |text: &[u8]| std::fs::write(&notes, text).unwrap();
    let request = |notes: Option<&Path>| Compose {
        dir: deploy.clone(),
        url_base: "https://example.com/".into(),
        manifest_name: "latest.json".into(),
        notes: notes.map(Path::to_owned),
        ..Compose::default()
    };
    let out = dir.path().join("deploy-update");
    let refused = |request: &Compose, code: &str| {
        let e = compose(request, &key, &mut |_: Event| {}).unwrap_err();
        assert_eq!(e.code(), code, "{e}");
        let said = format!("{e:?} {} {}", e.message(), e.hint_text());
        assert!(!said.contains(&BASE64.encode(&seed)) && !said.contains(&other), "{said}");
        assert!(!out.exists(), "nothing is written");
    };
    for text in [
        key.to_json().as_bytes(),
        long.as_bytes(),
        HEXLOWER.encode(&seed).as_bytes(),
        format!("BOSC_PRIMARY_KEY={other}\n").as_bytes(),
    ] {
        write(text);
        refused(&request(Some(&notes)), "ERR_SECRET");
        std::fs::write(deploy.join("CHANGELOG.md"), [b"## 1.2.3\n", text].concat()).unwrap();
        refused(&request(None), "ERR_SECRET");
    }
    write(b"HOME=/root\0PATH=/bin\0");
    refused(&request(Some(&notes)), "ERR_INVALID_INPUT");
    write(format!("BOSC_PRIMARY_KEY={other}\n").as_bytes());
    #[cfg(target_os = "linux")]
    {
        let pipe = dir.path().join("pipe");
        crate::folder::make_fifo(&pipe);
        let e = compose(&request(Some(&pipe)), &key, &mut |_: Event| {}).unwrap_err();
        assert!(e.message().contains("pipe") && !out.exists(), "{e}");
    }
    let mut events = Vec::new();
    let allowed = Compose { allow_key: vec!["notes.txt".into()], ..request(Some(&notes)) };
    compose(&allowed, &key, &mut |event: Event| events.push(event.parts())).unwrap();
    assert!(
        events.iter().any(|(tag, data)| tag == "looks-secret" && data["path"] == "notes.txt"),
        "{events:?}"
    );
}

#[test]
fn a_program_of_another_version_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let deploy = dir.path().join("deploy");
    deployment(&deploy);
    let resources = deploy.join("by-arch/darwin-arm64/app/My App.app/Contents/Resources");
    std::fs::create_dir_all(&resources).unwrap();
    std::fs::write(resources.join("app.asar"), crate::folder::said_version::tests::asar("1.2.2")).unwrap();
    std::fs::write(
        deploy.join("by-arch/win32-x64/app/My App.exe"),
        crate::folder::said_version::tests::exe([1, 2, 3, 0]),
    )
    .unwrap();
    let request = Compose {
        dir: deploy,
        url_base: "https://example.com/releases/".into(),
        manifest_name: "latest.json".into(),
        ..Compose::default()
    };
    let mut events = Vec::new();
    compose(&request, &seven(), &mut |event: Event| events.push(event.parts())).unwrap();
    let told: Vec<_> =
        events.iter().filter(|(tag, _)| tag == "version-mismatch").map(|(_, data)| data).collect();
    let path = "by-arch/darwin-arm64/app/My App.app/Contents/Resources/app.asar";
    assert_eq!(told, [&serde_json::json!({ "path": path, "release": "1.2.3", "running": "1.2.2" })]);
}

#[test]
fn patches_from_earlier_artifacts_stand_beside_the_new_one() {
    let temp = tempfile::tempdir().unwrap();
    let (dir, out) = (temp.path().join("dep"), temp.path().join("www"));
    let program = |release: u32| -> Vec<u8> {
        let line = |n: u32| format!("{n} {}\n", n.wrapping_mul(2_654_435_761));
        let mut text: String = (0..20_000).map(line).collect();
        text.insert_str(1000, &format!("release {release}"));
        text.into_bytes()
    };
    let release = |number: u32, from: &[std::path::PathBuf]| {
        let app = dir.join("by-arch/linux-x64/app");
        std::fs::create_dir_all(dir.join("by-arch/darwin-arm64/app/Hello.app")).unwrap();
        std::fs::create_dir_all(&app).unwrap();
        std::fs::write(dir.join("by-arch/darwin-arm64/app/Hello.app/x"), "x").unwrap();
        std::fs::write(app.join("hello"), program(number)).unwrap();
        std::fs::write(dir.join("package.json"), format!(r#"{{"name":"hello","version":"1.{number}.0"}}"#))
            .unwrap();
        let c = Compose {
            dir: dir.clone(),
            out: Some(out.clone()),
            url_base: "https://example.org/hello".into(),
            manifest_name: "latest.json".into(),
            delta_from: from.to_vec(),
            ..Compose::default()
        };
        let mut told = Vec::new();
        let composed = compose(&c, &seven(), &mut |event: Event| told.push(event.parts()));
        (composed, told.into_iter().filter(|(tag, _)| tag.contains("delta")).collect::<Vec<_>>())
    };
    for number in 0..5 {
        // Of those in the folder, the newest three; none of the first.
        let (composed, told) = release(number, std::slice::from_ref(&out));
        let deltas = &composed.unwrap().platforms["linux-x86_64"].deltas;
        let from: Vec<String> = deltas.iter().map(|d| d.from.clone()).collect();
        let want: Vec<String> = (0..number).rev().take(3).map(|n| format!("1.{n}.0")).collect();
        assert_eq!(from, want);
        // Of a folder's archive there are none, and that is said.
        assert_eq!(told.iter().filter(|(tag, _)| tag == "no-delta").count(), 1, "{told:?}");
        for (delta, n) in deltas.iter().zip((0..number).rev()) {
            let file = out.join(delta.url.strip_prefix("https://example.org/hello/").unwrap());
            let patch = std::fs::read(file).unwrap();
            assert_eq!(patch.len() as u64, delta.size);
            assert!(delta.size < 2000, "{delta:?}");
            let mut made = Vec::new();
            bosc_delta::apply(&program(n)[..], &patch, &mut made).unwrap();
            assert_eq!(made, program(number));
        }
    }
    // A client reads them; one that knows nothing of them reads the rest.
    let text = std::fs::read(out.join("latest.json")).unwrap();
    let manifest = Manifest::parse(&text, "linux-x86_64").unwrap();
    assert_eq!(manifest.asset.unwrap().deltas.len(), 3);
    let json: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(json["platforms"]["darwin-aarch64"].get("deltas"), None);
    // What is not named as an artifact of it is a mistake; a later one is no base.
    let other = temp.path().join("other");
    std::fs::write(&other, "x").unwrap();
    let (composed, _) = release(5, &[other]);
    let e = composed.unwrap_err();
    assert!(e.kind() == ErrorKind::Input && e.hint_text().contains("hello-VERSION-linux-x86_64"), "{e}");
    let (composed, _) = release(1, &[out.join("hello-1.4.0-linux-x86_64")]);
    assert_eq!(composed.unwrap().platforms["linux-x86_64"].deltas, vec![]);
}
