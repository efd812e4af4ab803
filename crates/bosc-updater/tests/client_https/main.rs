//! The facade over an HTTPS server: it is the client that links have, with what only a server can do.
//!
//! # Files
//!
//! - `releases`: which releases are offered. `calls`: checks, downloads, answers and events.
//! - `ends`: what is in place and what stays when the application ends. `perry`: beside Perry's client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod calls;
mod ends;
mod perry;
mod releases;
#[path = "../support/mod.rs"]
mod support;

use bosc_updater::{ErrorKind, Event, Events, PublicKey, Started, UpdateSource, Updater, UpdaterBuilder};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::*;

/// A server whose manifest can be changed, and an application of version 1.0.0.
struct Bed {
    dir: tempfile::TempDir,
    server: Server,
    manifest: Arc<Mutex<Option<String>>>,
}

impl Bed {
    fn new() -> Self {
        let manifest: Arc<Mutex<Option<String>>> = Arc::default();
        let offered = Arc::clone(&manifest);
        let server = Server::start(Cert::Good, move |r| match (r.path.as_str(), &*offered.lock().unwrap()) {
            ("/m.json" | "/m.json?channel=beta", Some(text)) => answer(200, &[], text.clone()),
            // Accepts the request and says nothing.
            ("/m.json", None) => {
                Answer { body: Body::Stall { declared: 100, sent: Vec::new() }, ..answer(200, &[], "") }
            }
            // Half of it, and then nothing for ten seconds.
            ("/slow", _) => {
                Answer { body: Body::Stall { declared: 9, sent: b"new".to_vec() }, ..answer(200, &[], "") }
            }
            ("/other", _) => serve_file(r, b"other build"),
            _ => serve_file(r, b"new build"),
        });
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("App"), "old build").unwrap();
        Self { dir, server, manifest }
    }

    fn app(&self) -> PathBuf {
        self.dir.path().join("App")
    }

    fn offer(&self, manifest: &Value) {
        *self.manifest.lock().unwrap() = Some(manifest.to_string());
    }

    fn manifest(&self, version: &str) -> Value {
        Signing::new(7).manifest(version, &self.server.url("/app"), b"new build")
    }

    fn source(&self, path: &str) -> UpdateSource {
        let key = PublicKey::base64(Signing::new(7).public());
        UpdateSource::https(self.server.url(path), key).certificates([self.server.ca.clone()])
    }

    fn builder(&self, user: &str, version: &str, source: UpdateSource) -> UpdaterBuilder {
        Updater::builder("App", version.parse().unwrap(), source)
            .app(self.app())
            .data_folder(self.dir.path().join(user))
            .delay(Duration::ZERO)
    }

    fn options(&self, user: &str) -> UpdaterBuilder {
        self.builder(user, "1.0.0", self.source("/m.json"))
    }
}

fn start(builder: UpdaterBuilder) -> (Updater, Events) {
    let Started::Running(updater) = builder.start() else { panic!("it was rolled back") };
    let events = updater.events();
    (updater, events)
}

fn until<T>(events: &Events, mut take: impl FnMut(Event) -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(40);
    while Instant::now() < deadline {
        if let Some(found) = events.recv_timeout(Duration::from_secs(1)).and_then(&mut take) {
            return found;
        }
    }
    panic!("it did not come");
}

fn updated(event: Event) -> Option<String> {
    match event {
        Event::Updated(update) => Some(update.version().to_string()),
        Event::Error(e) => panic!("{e:?}"),
        _ => None,
    }
}

fn error(event: Event) -> Option<ErrorKind> {
    match event {
        Event::Error(e) => Some(e.kind()),
        Event::Updated(update) => panic!("{update:?} was fetched"),
        _ => None,
    }
}

/// What Perry's client leaves after an install of 1.0.1.
fn perrys_install(bed: &Bed) -> (UpdaterBuilder, PathBuf) {
    std::fs::write(bed.dir.path().join("App.prev"), "old build").unwrap();
    std::fs::write(bed.app(), "new build").unwrap();
    let sentinel = serde_json::json!({
        "prevExePath": format!("{}.prev", bed.app().display()), "stagedAt": "2026-11-01T00:00:00.000Z",
        "currentVersion": "1.0.0", "targetVersion": "1.0.1", "restartCount": 0, "state": "armed",
        "generation": "mvx2-1-a",
    });
    let path = bed.dir.path().join("updater.sentinel");
    std::fs::write(&path, sentinel.to_string()).unwrap();
    (bed.builder("me", "1.0.1", bed.source("/m.json")).updates(false).perry_sentinel(&path), path)
}

fn folder_has_anything(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut d| d.next().is_some())
}

fn available(event: Event) -> Option<bosc_updater::Update> {
    match event {
        Event::Available(update) => Some(update),
        Event::Error(e) => panic!("{e:?}"),
        _ => None,
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
