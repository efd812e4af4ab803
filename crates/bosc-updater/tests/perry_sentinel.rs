//! Manifest, sentinel and lifecycle: what Perry writes is honoured, what nobody should write does no harm.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use bosc_updater::manifest::{MAX_NOTES_LEN, Manifest, iso_8601};
use bosc_updater::perry::lifecycle::{self, InitOptions, Trial, TrialStart};
use bosc_updater::perry::sentinel::{Sentinel, clear_sentinel, read_sentinel, write_sentinel};
use bosc_updater::perry::{Boot, exiting, mark_healthy};
use bosc_updater::{ErrorKind, UpdateError};
use proptest::prelude::*;
use semver::Version;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// There is one lifecycle a process.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Calls {
    rolled_back: u32,
    healthy: u32,
    closed: u32,
    adopted: Vec<(String, String, u32)>,
}

struct Fake {
    start: TrialStart,
    fails: bool,
    calls: Arc<Mutex<Calls>>,
}

impl Trial for Fake {
    fn started(&mut self) -> Result<TrialStart, UpdateError> {
        Ok(self.start)
    }
    fn adopt(&mut self, new: &Version, old: &Version, starts: u32) -> Result<bool, UpdateError> {
        self.calls.lock().unwrap().adopted.push((new.to_string(), old.to_string(), starts));
        Ok(true)
    }
    fn roll_back(&mut self) -> Result<(), UpdateError> {
        if self.fails {
            return Err(UpdateError::new(ErrorKind::Disk, "no"));
        }
        self.calls.lock().unwrap().rolled_back += 1;
        Ok(())
    }
    fn mark_healthy(&mut self) -> Result<(), UpdateError> {
        self.calls.lock().unwrap().healthy += 1;
        Ok(())
    }
    fn closed(&mut self) -> Result<(), UpdateError> {
        self.calls.lock().unwrap().closed += 1;
        Ok(())
    }
}

struct Bed {
    _dir: tempfile::TempDir,
    target: PathBuf,
    sentinel: PathBuf,
    start: TrialStart,
    fails: bool,
    calls: Arc<Mutex<Calls>>,
    options: InitOptions,
}

impl Bed {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("app");
        let sentinel = dir.path().join("state/my-app/updater.sentinel");
        let mut options = InitOptions::new("1.0.1");
        options.health_check_ms = 0;
        options.sentinel = Some(sentinel.clone());
        Self {
            target,
            sentinel,
            start: TrialStart::Settled { healthy: false },
            fails: false,
            calls: Arc::default(),
            options,
            _dir: dir,
        }
    }

    fn init(&self) -> Result<Boot, UpdateError> {
        let trial = Fake { start: self.start, fails: self.fails, calls: Arc::clone(&self.calls) };
        lifecycle::init_with(&self.options, &self.target, Box::new(trial))
    }

    /// As Perry's client leaves it at install.
    fn perry(&self, count: u32) -> Value {
        json!({
            "prevExePath": format!("{}.prev", self.target.display()),
            "stagedAt": "2026-11-01T00:00:00.000Z",
            "currentVersion": "1.0.0",
            "targetVersion": "1.0.1",
            "restartCount": count,
            "state": "armed",
        })
    }

    fn write(&self, v: &Value) {
        write_sentinel(&self.sentinel, &v.to_string()).unwrap();
    }

    fn text(&self) -> Option<String> {
        read_sentinel(&self.sentinel).unwrap()
    }
}

#[test]
fn a_sentinel_of_perrys_is_counted_and_rolled_back() {
    let _alone = alone();
    let bed = Bed::new();
    assert_eq!(bed.init().unwrap(), Boot::Idle);
    assert!(!bed.sentinel.parent().unwrap().exists(), "nothing is made on disk without need");
    bed.write(&bed.perry(0));
    assert_eq!(bed.init().unwrap(), Boot::Watching { boots: 1 });
    let v: Value = serde_json::from_str(&bed.text().unwrap()).unwrap();
    assert_eq!(v["restartCount"], 1);
    assert_eq!(v["generation"].as_str().unwrap().split('-').count(), 3, "a name was added");
    // Not healthy: the second boot rolls it back, at the default threshold of 2.
    assert_eq!(bed.init().unwrap(), Boot::RolledBack);
    assert_eq!((bed.calls.lock().unwrap().rolled_back, bed.text()), (1, None));
    let adopted = bed.calls.lock().unwrap().adopted.clone();
    let told = |n| ("1.0.1".to_owned(), "1.0.0".to_owned(), n);
    assert_eq!(adopted, [told(1), told(2)], "the installer takes over what it did not install");
    assert_eq!(bed.init().unwrap(), Boot::Idle);
}

#[test]
fn a_sentinel_of_ours_reads_as_perrys() {
    let now = UNIX_EPOCH + Duration::from_millis(1_793_491_200_123);
    let s = Sentinel::armed(Path::new("/opt/app.prev"), "1.0.0", "1.0.1", now);
    let json = s.to_json();
    let want = r#"{"prevExePath":"/opt/app.prev","stagedAt":"2026-11-01T00:00:00.123Z","currentVersion":"1.0.0","targetVersion":"1.0.1","restartCount":0,"state":"armed","generation":""#;
    assert!(json.starts_with(want), "{json}");
    assert_eq!(Sentinel::parse(&json).unwrap(), s);
    let generation = s.generation().unwrap();
    assert!(generation.starts_with("mvx2cqrf-"), "{generation}: milliseconds in base 36");
    assert!(generation.split('-').all(|p| !p.is_empty() && p.chars().all(|c| c.is_ascii_alphanumeric())));
    let other = Sentinel::armed(Path::new("/opt/app.prev"), "1.0.0", "1.0.1", now);
    assert_ne!(other.generation(), s.generation());
}

#[test]
fn unknown_fields_and_the_order_survive_a_boot() {
    let _alone = alone();
    let bed = Bed::new();
    let text = r#"{"state":"armed","zeta":{"a":[1]},"restartCount":0,"targetVersion":"1.0.1","alpha":null}"#;
    write_sentinel(&bed.sentinel, text).unwrap();
    assert_eq!(bed.init().unwrap(), Boot::Watching { boots: 1 });
    let now = bed.text().unwrap();
    let want = r#"{"state":"armed","zeta":{"a":[1]},"restartCount":1,"targetVersion":"1.0.1","alpha":null,"generation":""#;
    assert!(now.starts_with(want), "{now}");
    lifecycle::invalidate();
}

#[test]
fn the_threshold_is_perrys_and_one_counts_as_two() {
    let _alone = alone();
    for (threshold, boots) in [(0, 1), (1, 1), (2, 1), (3, 2), (5, 4)] {
        let mut bed = Bed::new();
        bed.options.crash_loop_threshold = threshold;
        bed.write(&bed.perry(0));
        for n in 1..=boots {
            assert_eq!(bed.init().unwrap(), Boot::Watching { boots: n }, "{threshold}");
        }
        assert_eq!(bed.init().unwrap(), Boot::RolledBack, "{threshold}");
    }
    let mut bed = Bed::new();
    bed.options.auto_rollback = false;
    bed.write(&bed.perry(5));
    assert_eq!(bed.init().unwrap(), Boot::Idle);
    assert!(bed.text().is_some(), "switched off, it is left alone");
}

#[test]
fn a_failed_roll_back_keeps_the_sentinel() {
    let _alone = alone();
    let mut bed = Bed::new();
    bed.fails = true;
    bed.write(&bed.perry(1));
    let before = bed.text();
    let e = bed.init().unwrap_err();
    assert_eq!(e.to_string(), "updater: rollback failed; sentinel retained for recovery");
    assert_eq!(bed.text(), before);
    bed.fails = false;
    assert_eq!(bed.init().unwrap(), Boot::RolledBack, "the next start tries again");
}

#[test]
fn health_clears_it_once_and_only_its_own() {
    let _alone = alone();
    let bed = Bed::new();
    mark_healthy().unwrap();
    bed.write(&bed.perry(0));
    let _ = bed.init().unwrap();
    mark_healthy().unwrap();
    assert_eq!(bed.text(), None);
    mark_healthy().unwrap();
    // A new install in the meantime: the old lifecycle has no say over it.
    bed.write(&bed.perry(0));
    let _ = bed.init().unwrap();
    let newer = Sentinel::armed(&bed.target.with_extension("prev"), "1.0.1", "1.0.2", UNIX_EPOCH).to_json();
    write_sentinel(&bed.sentinel, &newer).unwrap();
    mark_healthy().unwrap();
    assert_eq!(bed.text(), Some(newer));
}

#[test]
fn an_install_makes_old_timers_and_hooks_powerless() {
    let _alone = alone();
    let mut bed = Bed::new();
    bed.options.health_check_ms = 50;
    bed.write(&bed.perry(0));
    let _ = bed.init().unwrap();
    let generation = lifecycle::arm(&bed.sentinel, &bed.target, "1.0.1", "1.0.2").unwrap();
    std::thread::sleep(Duration::from_millis(150));
    mark_healthy().unwrap();
    exiting(0).unwrap();
    let v = Sentinel::parse(&bed.text().unwrap()).unwrap();
    assert_eq!(
        (v.generation(), v.target_version(), v.restart_count()),
        (Some(&*generation), Some("1.0.2"), Some(0))
    );
    lifecycle::disarm(&bed.sentinel, "another").unwrap();
    assert!(bed.text().is_some());
    lifecycle::disarm(&bed.sentinel, &generation).unwrap();
    assert_eq!(bed.text(), None);
}

#[test]
fn time_is_health() {
    let _alone = alone();
    let mut bed = Bed::new();
    bed.start = TrialStart::Trial { start: 1 };
    bed.options.health_check_ms = 30;
    bed.write(&bed.perry(0));
    assert_eq!(bed.init().unwrap(), Boot::Watching { boots: 1 });
    let start = Instant::now();
    while bed.text().is_some() && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(bed.text(), None);
    assert_eq!(bed.calls.lock().unwrap().healthy, 1, "the installer was told too");
}

#[test]
fn leaving_with_an_error_is_not_health() {
    let _alone = alone();
    for code in [1, 101, -1, 137] {
        let mut bed = Bed::new();
        bed.options.health_check_ms = 40;
        bed.write(&bed.perry(0));
        let _ = bed.init().unwrap();
        exiting(code).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        assert!(bed.text().is_some(), "{code}");
        assert_eq!(bed.init().unwrap(), Boot::RolledBack, "{code}");
    }
    let mut bed = Bed::new();
    bed.start = TrialStart::Trial { start: 1 };
    bed.write(&bed.perry(0));
    let _ = bed.init().unwrap();
    exiting(0).unwrap();
    assert_eq!(bed.text(), None);
    let calls = bed.calls.lock().unwrap();
    assert_eq!((calls.closed, calls.healthy), (1, 0));
}

#[test]
fn a_sentinel_about_another_version_or_copy_is_not_counted() {
    let _alone = alone();
    // Killed after arming, before the install: 1.0.0 still runs and has an older `.prev` beside it.
    let mut bed = Bed::new();
    bed.options.running_version = "1.0.0".into();
    bed.write(&bed.perry(1));
    assert_eq!(bed.init().unwrap(), Boot::Idle);
    assert_eq!((bed.calls.lock().unwrap().rolled_back, bed.text()), (0, None));
    // Another copy of the application, with the same id.
    let bed = Bed::new();
    let mut v = bed.perry(1);
    v["prevExePath"] = "/elsewhere/app.prev".into();
    bed.write(&v);
    assert_eq!(bed.init().unwrap(), Boot::Idle);
    assert_eq!(bed.text(), Some(v.to_string()));
    // Another state.
    for state in [json!("installing"), json!(null), json!(5), json!("ARMED")] {
        let mut v = bed.perry(1);
        v["state"] = state;
        bed.write(&v);
        assert_eq!(bed.init().unwrap(), Boot::Idle);
        assert_eq!(bed.text(), Some(v.to_string()));
    }
}

#[test]
fn the_installers_word_counts_too() {
    let _alone = alone();
    // Taken back by the installer: the sentinel goes with it.
    let mut bed = Bed::new();
    bed.start = TrialStart::RolledBack;
    bed.write(&bed.perry(0));
    assert_eq!(bed.init().unwrap(), Boot::RolledBack);
    assert_eq!((bed.calls.lock().unwrap().rolled_back, bed.text()), (0, None));
    // Healthy by the journal, killed before the sentinel was cleared: a healthy build is not rolled back.
    bed.start = TrialStart::Settled { healthy: true };
    bed.write(&bed.perry(1));
    assert_eq!(bed.init().unwrap(), Boot::Idle);
    assert_eq!((bed.calls.lock().unwrap().rolled_back, bed.text()), (0, None));
    // On trial without a sentinel.
    bed.start = TrialStart::Trial { start: 1 };
    assert_eq!(bed.init().unwrap(), Boot::Watching { boots: 1 });
    mark_healthy().unwrap();
    assert_eq!(bed.calls.lock().unwrap().healthy, 1);
}

#[test]
fn malformed_sentinels_are_cleared() {
    let _alone = alone();
    for text in [
        "",
        "{",
        "[]",
        "null",
        "5",
        "\"armed\"",
        r#"{"state":"armed","restartCount":"1"}"#,
        r#"{"state":"armed","restartCount":-1}"#,
        r#"{"state":"armed","restartCount":1.5}"#,
        r#"{"state":"armed","restartCount":1e99}"#,
        r#"{"state":"armed"} x"#,
    ] {
        let bed = Bed::new();
        write_sentinel(&bed.sentinel, text).unwrap();
        assert_eq!(bed.init().unwrap(), Boot::Idle, "{text}");
        assert_eq!((bed.calls.lock().unwrap().rolled_back, bed.text()), (0, None), "{text}");
    }
    // Larger than any sentinel, not UTF-8.
    let bed = Bed::new();
    let big = format!(r#"{{"state":"armed","x":"{}"}}"#, "a".repeat(70_000));
    write_sentinel(&bed.sentinel, &big).unwrap();
    assert_eq!(bed.init().unwrap(), Boot::Idle);
    std::fs::write(&bed.sentinel, b"\xff\xfe{}").unwrap();
    assert_eq!(bed.init().unwrap(), Boot::Idle);
    // Missing fields, as far as Perry's client leaves them out.
    write_sentinel(&bed.sentinel, r#"{"state":"armed"}"#).unwrap();
    assert_eq!(bed.init().unwrap(), Boot::Watching { boots: 1 });
    lifecycle::invalidate();
}

#[test]
fn the_file_is_private_and_written_in_one_step() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/updater.sentinel");
    assert_eq!(read_sentinel(&path).unwrap(), None);
    clear_sentinel(&path, "x").unwrap();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    // What a killed writer left does not stand in the way, and a link there is not followed.
    #[cfg(unix)]
    {
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, path.with_extension("sentinel.tmp")).unwrap();
        write_sentinel(&path, "{}").unwrap();
        assert_eq!(std::fs::read(victim).unwrap(), b"precious");
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    write_sentinel(&path, "{}").unwrap();
    assert_eq!(read_sentinel(&path).unwrap().as_deref(), Some("{}"));
    assert!(!path.with_extension("sentinel.tmp").exists());
    clear_sentinel(&path, "x").unwrap();
    clear_sentinel(&path, "x").unwrap();
    assert_eq!(read_sentinel(&path).unwrap(), None);
    let e = write_sentinel(&dir.path().join("victim/x/s"), "{}").err().map(|e| e.to_string());
    if cfg!(unix) {
        assert_eq!(e.as_deref(), Some("updater: failed to write sentinel"));
    }
}

#[test]
fn dates_are_as_javascript_writes_them() {
    for (ms, want) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
        (4_102_444_800_001, "2100-01-01T00:00:00.001Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
    ] {
        assert_eq!(iso_8601(UNIX_EPOCH + Duration::from_millis(ms)), want);
    }
}

const PLATFORM: &str = "linux-x86_64";

fn manifest() -> Value {
    json!({
        "schemaVersion": 2, "version": "1.0.1", "pubDate": "x", "notes": "n",
        "platforms": { PLATFORM: {
            "url": "https://example.com/a", "sha256": "0".repeat(64), "size": 5,
            "signature": data_encoding::BASE64.encode(&[1; 64]),
        }, "other": 5 },
        "future": { "deep": [1, 2, 3] },
    })
}

fn parse(v: &Value) -> Result<Manifest, UpdateError> {
    Manifest::parse(v.to_string().as_bytes(), PLATFORM)
}

#[test]
fn every_field_of_a_manifest_missing_or_wrong() {
    let m = parse(&manifest()).unwrap();
    assert_eq!(m.asset.unwrap().size, Some(5));
    assert!(Manifest::parse(manifest().to_string().as_bytes(), "darwin-aarch64").unwrap().asset.is_none());
    let wrong = [json!(null), json!(true), json!(5), json!([]), json!({}), json!(""), json!("\u{0}")];
    for field in ["schemaVersion", "version"] {
        let mut v = manifest();
        v.as_object_mut().unwrap().remove(field);
        assert!(parse(&v).is_err(), "{field} missing");
        for w in &wrong {
            let mut v = manifest();
            v[field] = w.clone();
            assert!(parse(&v).is_err(), "{field} {w}");
        }
    }
    for field in ["pubDate", "notes", "future", "minSchema"] {
        for w in &wrong {
            let mut v = manifest();
            v[field] = w.clone();
            assert!(parse(&v).is_ok(), "{field} {w}");
        }
    }
    for field in ["url", "sha256", "signature"] {
        let mut v = manifest();
        v["platforms"][PLATFORM].as_object_mut().unwrap().remove(field);
        assert!(parse(&v).is_err(), "{field} missing");
        for w in &wrong {
            let mut v = manifest();
            v["platforms"][PLATFORM][field] = w.clone();
            assert!(parse(&v).is_err(), "{field} {w}");
        }
    }
    for (w, good) in
        [(json!(null), true), (json!(5.0), true), (json!(0), true), (json!("5"), false), (json!({}), false)]
    {
        let mut v = manifest();
        v["platforms"][PLATFORM]["size"] = w.clone();
        assert_eq!(parse(&v).is_ok(), good, "size {w}");
    }
    for (w, good) in [(json!(null), true), (json!(5), false), (json!([]), false), (json!("x"), false)] {
        let mut v = manifest();
        v["platforms"][PLATFORM] = w.clone();
        assert_eq!(parse(&v).is_ok(), good, "entry {w}");
    }
    for w in [json!(null), json!(5), json!([]), json!("x")] {
        let mut v = manifest();
        v["platforms"] = w.clone();
        assert!(parse(&v).is_err(), "platforms {w}");
    }
    let mut v = manifest();
    v["platforms"] = json!({});
    assert!(parse(&v).unwrap().asset.is_none());
}

#[test]
fn hostile_manifests_are_bounded() {
    let long = "é".repeat(MAX_NOTES_LEN);
    let mut v = manifest();
    v["notes"] = long.into();
    let notes = parse(&v).unwrap().notes.unwrap();
    assert!(notes.len() <= MAX_NOTES_LEN && notes.chars().all(|c| c == 'é'));
    let mut v = manifest();
    v["version"] = format!("1.0.1-{}", "a".repeat(300)).into();
    assert!(parse(&v).unwrap_err().to_string().contains("invalid version string"));
    let mut v = manifest();
    v["pad"] = "x".repeat(1 << 20).into();
    assert!(parse(&v).unwrap_err().to_string().contains("larger than"));
    // Depth, width, duplicates, trailing bytes.
    for (text, good) in [
        ("[".repeat(200_000), false),
        (format!(r#"{{"x":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000)), false),
        (format!("{} x", manifest()), false),
        (format!("{}{}", manifest(), manifest()), false),
        (format!("\u{feff}{}", manifest()), true),
        (format!("  {}\n", manifest()), true),
    ] {
        assert_eq!(
            Manifest::parse(text.as_bytes(), PLATFORM).is_ok(),
            good,
            "{}",
            &text[..20.min(text.len())]
        );
    }
    // The last of two equal names counts, as in JavaScript: nobody else may read another manifest than we do.
    let twice = manifest().to_string().replacen('{', r#"{"version":"9.9.9","#, 1);
    assert_eq!(Manifest::parse(twice.as_bytes(), PLATFORM).unwrap().version.to_string(), "1.0.1");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|f| json!(f)),
        ".{0,20}".prop_map(Value::from),
        Just(json!("1.0.1")),
        Just(json!("https://example.com/a")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map("[a-zA-Z]{0,8}", inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_in_any_field_of_a_manifest(path in 0_usize..10, value in any_json()) {
        let mut v = manifest();
        let fields = ["/schemaVersion", "/version", "/pubDate", "/notes", "/platforms", "/platforms/linux-x86_64",
            "/platforms/linux-x86_64/url", "/platforms/linux-x86_64/sha256", "/platforms/linux-x86_64/signature",
            "/platforms/linux-x86_64/size"];
        *v.pointer_mut(fields[path]).unwrap() = value;
        if let Ok(m) = parse(&v) {
            prop_assert!(m.notes.is_none_or(|n| n.len() <= MAX_NOTES_LEN));
            prop_assert!(m.asset.is_none_or(|a| a.url.to_string().starts_with("http")));
        }
    }

    #[test]
    fn any_bytes_as_a_manifest(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Manifest::parse(&bytes, PLATFORM);
    }

    #[test]
    fn any_value_in_any_field_of_a_sentinel(path in 0_usize..7, value in any_json()) {
        let fields = ["prevExePath", "stagedAt", "currentVersion", "targetVersion", "restartCount", "state", "generation"];
        let mut v = json!({"prevExePath":"p","stagedAt":"s","currentVersion":"1.0.0","targetVersion":"1.0.1",
            "restartCount":0,"state":"armed","generation":"g"});
        v[fields[path]] = value;
        if let Some(mut s) = Sentinel::parse(&v.to_string()) {
            let before = s.restart_count().unwrap();
            s.bump(UNIX_EPOCH);
            prop_assert_eq!(s.restart_count(), Some(before + 1));
            prop_assert!(s.generation().is_some());
            // Floats in fields nobody reads may lose their last digit; what counts may not change.
            let again = Sentinel::parse(&s.to_json()).unwrap();
            prop_assert_eq!(again.restart_count(), s.restart_count());
            prop_assert_eq!(again.generation(), s.generation());
            prop_assert_eq!(again.previous(), s.previous());
            prop_assert_eq!(again.is_armed(), s.is_armed());
        }
    }

    #[test]
    fn any_text_as_a_sentinel(text in ".{0,200}") {
        let _ = Sentinel::parse(&text);
    }
}

/// A fifo in the sentinel's place would keep whoever opens it waiting; a folder cannot be read.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_no_sentinel() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("updater.sentinel");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(read_sentinel(&path).unwrap(), None);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(read_sentinel(&path).unwrap(), None);
    std::fs::remove_dir(&path).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert_eq!(read_sentinel(&path).unwrap(), None);
}
