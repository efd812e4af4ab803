//! `bosc updater` as a process: files, output and exit codes of the original.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const SEED: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const SIGNATURE: &str =
    "oR7oXBzq2orTIoET0JkFRZYTMyVg7NlQtN3ZK7r+Rwc160AqDgc0bfXRe/9vanegchlEn7sUYGRUfqUF8plpCA==";
const PUBLIC: &str = "6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=";

fn bosc(dir: &Path, args: &[&str], env: Option<&str>) -> Output {
    let mut c = Command::new(env!("CARGO_BIN_EXE_bosc"));
    c.current_dir(dir).arg("updater").args(args).stdin(Stdio::null()).env_remove("BOSC_UPDATER_SECRET_KEY");
    if let Some(seed) = env {
        c.env("BOSC_UPDATER_SECRET_KEY", seed);
    }
    c.output().unwrap()
}

fn out(o: &Output) -> String {
    String::from_utf8(o.stdout.clone()).unwrap()
}

fn err(o: &Output) -> String {
    String::from_utf8(o.stderr.clone()).unwrap()
}

#[test]
fn keygen_sign_verify() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("a"), "sign-me").unwrap();
    let o = bosc(dir, &["keygen", "--output", "key.json"], None);
    assert_eq!((o.status.code(), out(&o)), (Some(0), String::new()));
    assert!(err(&o).contains("wrote keypair to key.json"));
    let text = std::fs::read_to_string(dir.join("key.json")).unwrap();
    assert!(text.starts_with("{\n  \"public_key\": \"") && text.ends_with("\"\n}"), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(dir.join("key.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let pair: Value = serde_json::from_str(&text).unwrap();
    let o = bosc(dir, &["sign", "-b", "a", "-v", "1.2.3", "-k", "key.json"], None);
    assert_eq!(o.status.code(), Some(0), "{}", err(&o));
    let envelope: Value = serde_json::from_str(&out(&o)).unwrap();
    assert_eq!(envelope["publicKey"], pair["public_key"]);
    let (s, k) = (envelope["signature"].as_str().unwrap(), pair["public_key"].as_str().unwrap());
    let o = bosc(dir, &["verify", "-b", "a", "-v", "1.2.3", "-s", s, "-k", k], None);
    assert_eq!((o.status.code(), out(&o).as_str()), (Some(0), "OK\n"));
    for (args, text) in [
        (["verify", "-b", "a", "-v", "1.2.4", "-s", s, "-k", k], "signature verification failed"),
        (["verify", "-b", "a", "-v", "", "-s", s, "-k", k], "version must be non-empty"),
        (["verify", "-b", "none", "-v", "1.2.3", "-s", s, "-k", k], "failed to open none"),
    ] {
        let o = bosc(dir, &args, None);
        assert_eq!(o.status.code(), Some(1));
        assert!(err(&o).contains(text) && err(&o).contains("next: "), "{}", err(&o));
    }
    // To stdout, with a warning.
    let o = bosc(dir, &["keygen"], None);
    let pair: Value = serde_json::from_str(&out(&o)).unwrap();
    assert_eq!(pair.as_object().unwrap().len(), 2);
    assert!(err(&o).contains("warning"));
}

#[test]
fn the_secret_comes_from_where_it_is_said_to() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("a"), "sign-me").unwrap();
    let sign = ["sign", "--binary", "a", "--version", "1.2.3"];
    let with = |more: &[&str], env| bosc(dir, &[&sign[..], more].concat(), env);
    let good = |o: &Output| {
        let v: Value = serde_json::from_str(&out(o)).unwrap_or_else(|_| panic!("{}", err(o)));
        assert_eq!(v["signature"], SIGNATURE);
        assert_eq!(v["publicKey"], PUBLIC);
        assert_eq!((v["schemaVersion"].as_u64(), v["size"].as_u64()), (Some(2), Some(7)));
        assert!(!err(o).contains(SEED));
    };
    let o = with(&["--secret-key-b64", SEED], None);
    good(&o);
    assert!(err(&o).contains("warning"), "on the command line it is accepted, not praised");
    let o = with(&[], Some(SEED));
    good(&o);
    assert_eq!(err(&o), "");
    #[cfg(unix)]
    for content in [SEED.to_owned(), format!("{{\"public_key\":\"x\",\"secret_key\":\"{SEED}\"}}")] {
        std::fs::write(dir.join("key"), content).unwrap();
        let script = format!(
            "exec '{}' updater {} --secret-key-fd 3 3< key",
            env!("CARGO_BIN_EXE_bosc"),
            sign.join(" ")
        );
        let o = Command::new("sh").arg("-c").arg(script).current_dir(dir).output().unwrap();
        good(&o);
        assert_eq!(err(&o), "");
        let file = std::fs::File::open(dir.join("key")).unwrap();
        let o = Command::new(env!("CARGO_BIN_EXE_bosc"))
            .current_dir(dir)
            .arg("updater")
            .args(sign)
            .args(["--secret-key-fd", "0"])
            .stdin(file)
            .output()
            .unwrap();
        good(&o);
    }
    let o = with(&[], None);
    assert_eq!(o.status.code(), Some(1));
    assert!(err(&o).contains("must pass either --secret-key <file> or --secret-key-b64 <inline-base64>"));
    let o = with(&["--secret-key", "k", "--secret-key-b64", SEED], None);
    assert_eq!(o.status.code(), Some(2), "both: a usage error");
    let o = with(&["--secret-key-b64", "AAAA"], None);
    assert_eq!(o.status.code(), Some(1));
    assert_eq!(bosc(dir, &["sign", "-b", "a"], None).status.code(), Some(2));
}

#[test]
fn a_manifest_from_a_deployment_directory() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let app = dir.join("deploy/by-arch/linux-x64/app");
    std::fs::create_dir_all(&app).unwrap();
    std::fs::write(app.join("My.AppImage"), "image").unwrap();
    std::fs::write(dir.join("deploy/package.json"), r#"{"name":"my","version":"2.0.0"}"#).unwrap();
    let args = ["manifest", "deploy", "--url-base", "https://example.com/x", "--min-schema", "2"];
    let o = bosc(dir, &args, Some(SEED));
    assert_eq!(o.status.code(), Some(0), "{}", err(&o));
    let manifest: Value = serde_json::from_str(&out(&o)).unwrap();
    let entry = &manifest["platforms"]["linux-x86_64"];
    assert_eq!(entry["url"], "https://example.com/x/My-2.0.0-linux-x86_64.AppImage");
    assert!(dir.join("deploy-update/latest.json").exists());
    let file = "deploy-update/My-2.0.0-linux-x86_64.AppImage";
    let o = bosc(
        dir,
        &["verify", "-b", file, "-v", "2.0.0", "-s", entry["signature"].as_str().unwrap(), "-k", PUBLIC],
        None,
    );
    assert_eq!(o.status.code(), Some(0), "{}", err(&o));
    // As lines of JSON.
    let o = bosc(dir, &[&args[..], &["--json"]].concat(), Some(SEED));
    let lines: Vec<Value> = out(&o).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let tags: Vec<&str> = lines.iter().map(|l| l["tag"].as_str().unwrap()).collect();
    assert_eq!(tags, ["artifact", "manifest", "final"]);
    assert!(lines.iter().all(|l| l["cmd"] == "updater"));
    let o = bosc(dir, &["manifest", "deploy", "--url-base", "http://example.com"], Some(SEED));
    assert_eq!(o.status.code(), Some(2));
}
