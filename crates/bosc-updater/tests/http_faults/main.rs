//! The HTTPS source against a real server with every fault we know.
//!
//! # Files
//!
//! - `download`: one download: lengths, time, errors of a server. `address`: where it may come from.
//! - `resume`: a download that goes on, and what ends that. `staging`: the folder it arrives in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod address;
mod download;
mod resume;
mod staging;
#[path = "../support/mod.rs"]
mod support;

use bosc_updater::http::{HttpSource, Roots};
use bosc_updater::release::{Release, Staged};
use bosc_updater::source::Source;
use bosc_updater::{ErrorKind, UpdateError};
use semver::Version;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::*;

const OLD: Version = Version::new(1, 0, 0);

fn fetch(source: &mut HttpSource, release: &Release, staging: &Path) -> Result<Staged, UpdateError> {
    source.fetch(release, staging, &mut |_| true)
}

/// A server whose manifest offers `bytes` as 1.0.1 at `/app`, and whose `/app` is answered by `app`.
fn site(
    cert: Cert,
    bytes: &[u8],
    app: impl Fn(&Request, u32) -> Answer + Send + Sync + 'static,
) -> (Server, Signing) {
    let port: Arc<Mutex<String>> = Arc::default();
    let at = Arc::clone(&port);
    let bytes = bytes.to_vec();
    let count = AtomicU32::new(0);
    let server = Server::start(cert, move |r| match r.path.as_str() {
        "/m.json" => {
            let url = at.lock().unwrap().clone();
            let manifest = Signing::new(7).manifest("1.0.1", &url, &bytes).to_string();
            serve_file(r, manifest.as_bytes())
        }
        "/app" => app(r, count.fetch_add(1, Ordering::SeqCst)),
        _ => answer(404, &[], ""),
    });
    *port.lock().unwrap() = server.url("/app");
    (server, Signing::new(7))
}

/// Checks and fetches; what was staged and how many bytes bodies of `/app` had.
fn update(server: &Server, signing: &Signing) -> Result<(Vec<u8>, Staged), UpdateError> {
    let dir = tempfile::tempdir().unwrap();
    let mut source = HttpSource::new(options(server, signing))?;
    let release = source.check(&OLD)?.expect("an update");
    let staged = fetch(&mut source, &release, dir.path())?;
    let bytes = std::fs::read(&staged.path).unwrap();
    Ok((bytes, staged))
}
