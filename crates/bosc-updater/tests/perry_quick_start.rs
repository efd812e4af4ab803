//! Perry's quick start, line by line, against an HTTPS server on this machine; then what it does not let through.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bosc_updater::http::Roots;
use bosc_updater::perry::{self, Boot, CheckOptions, InitOptions};
use bosc_updater::{ErrorKind, Program};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use support::*;

/// There is one lifecycle a process.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A new build that says that it was started.
const NEW: &[u8] = b"#!/bin/sh\necho started > \"$MARKER\"\n";

struct Bed {
    dir: tempfile::TempDir,
    server: Server,
    manifest: Arc<Mutex<Value>>,
}

impl Bed {
    /// An installed 1.0.0, and a server that offers 1.0.1.
    fn new() -> Self {
        let manifest: Arc<Mutex<Value>> = Arc::default();
        let offered = Arc::clone(&manifest);
        let server = Server::start(Cert::Good, move |r| match r.path.as_str() {
            "/updates/manifest.json" => answer(200, &[], offered.lock().unwrap().to_string()),
            "/app" => serve_file(r, NEW),
            _ => answer(404, &[], ""),
        });
        let bed = Self { dir: tempfile::tempdir().unwrap(), server, manifest };
        std::fs::write(bed.target(), "#!/bin/sh\necho old\n").unwrap();
        bed.offer(Signing::new(7).manifest("1.0.1", &bed.server.url("/app"), NEW));
        bed
    }

    fn offer(&self, manifest: Value) {
        *self.manifest.lock().unwrap() = manifest;
    }

    fn target(&self) -> PathBuf {
        self.dir.path().join("app")
    }

    fn marker(&self) -> PathBuf {
        self.dir.path().join("marker")
    }

    fn sentinel(&self) -> PathBuf {
        self.dir.path().join("state/updater.sentinel")
    }

    /// What a real application leaves at its defaults: where it is, where its state is, and whose certificate the server has.
    fn here(&self, mut options: CheckOptions) -> CheckOptions {
        options.roots = Roots::Only(vec![self.server.ca.clone()]);
        options.target = Some(self.target());
        options.sentinel = Some(self.sentinel());
        options.program = Program::new().env("MARKER", self.marker());
        options
    }

    fn check(&self, version: &str) -> Result<Option<perry::Update>, bosc_updater::UpdateError> {
        let url = self.server.url("/updates/manifest.json");
        perry::check_for_update(self.here(CheckOptions::new(url, Signing::new(7).public(), version)))
    }

    fn init(&self, version: &str) -> Boot {
        let mut options = InitOptions::new(version);
        options.target = Some(self.target());
        options.sentinel = Some(self.sentinel());
        perry::init_updater(&options).unwrap()
    }

    fn installed(&self) -> Vec<u8> {
        std::fs::read(self.target()).unwrap()
    }
}

fn wait_for(path: &Path) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !path.exists() {
        assert!(Instant::now() < deadline, "{} did not come", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_quick_start_line_by_line() {
    let _alone = alone();
    let bed = Bed::new();

    // initUpdater();
    assert_eq!(bed.init("1.0.0"), Boot::Idle);

    // const update = await checkForUpdate({ manifestUrl, publicKey, currentVersion });
    let update = perry::check_for_update(bed.here(CheckOptions::new(
        bed.server.url("/updates/manifest.json"),
        Signing::new(7).public(),
        "1.0.0",
    )))
    .unwrap();

    // if (update) {
    let Some(mut update) = update else { panic!("1.0.1 is not offered") };
    assert_eq!(update.version().to_string(), "1.0.1");
    assert_eq!(update.target_path(), bed.target().canonicalize().unwrap());
    assert_eq!(update.staged_path(), None);

    // await update.download((done, total) => ...);
    let mut seen = Vec::new();
    update.download(|done, total| seen.push((done, total))).unwrap();
    assert_eq!(*seen.last().unwrap(), (NEW.len() as u64, NEW.len() as u64));
    assert!(update.staged_path().unwrap().exists());
    assert_ne!(bed.installed(), NEW, "nothing is installed yet");

    // await update.installAndRelaunch();
    let pid = update.install_and_relaunch().unwrap();
    assert!(pid > 0);
    wait_for(&bed.marker());
    assert_eq!(bed.installed(), NEW);
    let armed: Value = serde_json::from_str(&perry::read_sentinel(bed.sentinel())).unwrap();
    assert_eq!((&armed["targetVersion"], &armed["state"]), (&"1.0.1".into(), &"armed".into()));

    // In the new build: initUpdater(); markHealthy();
    assert_eq!(bed.init("1.0.1"), Boot::Watching { boots: 1 });
    perry::mark_healthy().unwrap();
    assert_eq!(perry::read_sentinel(bed.sentinel()), "");
    assert!(bed.check("1.0.1").unwrap().is_none(), "nothing newer");
    assert_eq!(bed.init("1.0.1"), Boot::Idle);
}

#[test]
fn what_was_rolled_back_is_not_offered_again() {
    let _alone = alone();
    let bed = Bed::new();
    let mut update = bed.check("1.0.0").unwrap().unwrap();
    update.download(|_, _| ()).unwrap();
    update.install_and_relaunch().unwrap();
    wait_for(&bed.marker());
    assert_eq!(bed.init("1.0.1"), Boot::Watching { boots: 1 });
    assert_eq!(bed.init("1.0.1"), Boot::RolledBack);
    assert_eq!(bed.installed(), b"#!/bin/sh\necho old\n");
    assert!(bed.check("1.0.0").unwrap().is_none(), "Perry offers it again");
    bed.offer(Signing::new(7).manifest("1.0.2", &bed.server.url("/app"), NEW));
    assert!(bed.check("1.0.0").unwrap().is_none(), "the same bytes under another version");
    bed.offer(Signing::new(7).manifest("1.0.2", &bed.server.url("/app"), b"repaired"));
    assert_eq!(bed.check("1.0.0").unwrap().unwrap().version().to_string(), "1.0.2");
}

#[test]
fn what_was_not_downloaded_and_proved_is_not_installed() {
    let _alone = alone();
    let bed = Bed::new();
    // Perry installs whatever lies at this path.
    std::fs::write(bed.dir.path().join("app.staged"), "evil").unwrap();
    let mut update = bed.check("1.0.0").unwrap().unwrap();
    let e = update.install_and_relaunch().unwrap_err();
    assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::Refused, "updater: install failed"));
    // Other bytes than were signed, after a download that failed.
    bed.offer(Signing::new(7).manifest(
        "1.0.1",
        &bed.server.url("/app"),
        b"something else of 36 bytes length !!",
    ));
    let mut update = bed.check("1.0.0").unwrap().unwrap();
    let e = update.download(|_, _| ()).unwrap_err();
    assert!(e.kind() == ErrorKind::Integrity, "{e}");
    assert_eq!(update.install_and_relaunch().unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(bed.installed(), b"#!/bin/sh\necho old\n");
    assert!(!bed.sentinel().exists());
}

#[test]
fn the_texts_are_perrys() {
    let _alone = alone();
    let bed = Bed::new();
    let text = |url: &str, key: &str, version: &str| {
        let options = bed.here(CheckOptions::new(url, key, version));
        perry::check_for_update(options).err().map(|e| e.to_string()).unwrap_or_default()
    };
    let (url, key) = (bed.server.url("/updates/manifest.json"), Signing::new(7).public());
    assert_eq!(text(&url, &key, "v1.0.0"), "updater: invalid version string");
    let other = Signing::new(8).public();
    assert_eq!(
        text(&url, &other, "1.0.0"),
        "updater: Ed25519 signature verification failed (schemaVersion 2)"
    );
    assert!(
        text("http://example.com/m", &key, "1.0.0").starts_with("updater: manifest URL must use https://")
    );
    assert_eq!(text("nonsense", &key, "1.0.0"), "updater: manifest URL is not a valid URL: nonsense");
    assert_eq!(text(&bed.server.url("/none"), &key, "1.0.0"), "updater: manifest fetch failed: 404");
    let mut manifest = bed.manifest.lock().unwrap().clone();
    manifest["schemaVersion"] = 3.into();
    bed.offer(manifest);
    assert_eq!(text(&url, &key, "1.0.0"), "updater: unsupported manifest schemaVersion 3");
    // An entry for another platform only is no update.
    let mut manifest = Signing::new(7).manifest("1.0.1", &bed.server.url("/app"), NEW);
    manifest["platforms"] = serde_json::json!({ "plan9-mips": {} });
    bed.offer(manifest);
    assert!(bed.check("1.0.0").unwrap().is_none());
}
