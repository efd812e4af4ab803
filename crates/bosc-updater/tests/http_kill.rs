//! A download that is killed goes on where it was.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bosc_updater::http::{HttpSource, Roots};
use bosc_updater::source::Source;
use semver::Version;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::*;

const SIZE: usize = 8_000_000;

/// Not a test of its own: the process that is killed.
#[test]
fn child_that_fetches() {
    let Some(dir) = std::env::var_os("BOSC_KILL_TEST_DIR") else { return };
    let dir = std::path::PathBuf::from(dir);
    let mut o = bosc_updater::http::HttpOptions::new(
        std::fs::read_to_string(dir.join("url")).unwrap(),
        Signing::new(7).public(),
    );
    o.roots = Roots::Only(vec![std::fs::read(dir.join("ca.der")).unwrap()]);
    o.platform = bosc_updater::manifest::platform_key();
    let mut source = HttpSource::new(o).unwrap();
    let release = source.check(&Version::new(1, 0, 0)).unwrap().unwrap();
    source.fetch(&release, &dir.join("staging"), &mut |_| true).unwrap();
}

#[test]
fn a_killed_download_is_continued_and_not_begun_anew() {
    let bytes = noise(SIZE);
    let served = bytes.clone();
    let at: Arc<Mutex<String>> = Arc::default();
    let url = Arc::clone(&at);
    let server = Server::start(Cert::Good, move |r| match r.path.as_str() {
        "/m.json" => {
            answer(200, &[], Signing::new(7).manifest("1.0.1", &url.lock().unwrap(), &served).to_string())
        }
        _ => {
            let whole = serve_file(r, &served);
            let Body::Bytes(b) = whole.body.clone() else { unreachable!() };
            // Slow enough to be killed in between.
            Answer { body: Body::Slow { bytes: b, piece: 200_000, wait: Duration::from_millis(10) }, ..whole }
        }
    });
    *at.lock().unwrap() = server.url("/app");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ca.der"), &server.ca).unwrap();
    std::fs::write(dir.path().join("url"), server.url("/m.json")).unwrap();
    let staging = dir.path().join("staging");
    let part = staging.join(format!("http-{}.part", &sha256(&bytes)[..32]));
    let on_disk = || std::fs::metadata(&part).map_or(0, |m| m.len());

    let mut kills = 0;
    for goal in [1_000_000, 3_000_000, 5_000_000] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_that_fetches", "--exact", "--nocapture"])
            .env("BOSC_KILL_TEST_DIR", dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while on_disk() < goal && start.elapsed() < Duration::from_secs(60) {
            assert_eq!(child.try_wait().unwrap(), None, "it ended before it could be killed");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        assert!(on_disk() >= goal);
    }
    let have = on_disk();
    assert!(have < SIZE as u64, "killed in between");
    let mut source = HttpSource::new(options(&server, &Signing::new(7))).unwrap();
    let release = source.check(&Version::new(1, 0, 0)).unwrap().unwrap();
    let mut received = 0;
    let staged = source
        .fetch(&release, &staging, &mut |p| {
            received = p.received;
            true
        })
        .unwrap();
    assert_eq!(std::fs::read(&staged.path).unwrap(), bytes);
    assert_eq!(received, SIZE as u64 - have, "only what was missing came over the network");
    let sent = server.sent.load(Ordering::SeqCst);
    // Each kill loses what was in flight; twice the artifact would mean that it began anew.
    let in_flight = kills * 1_500_000 + 10_000;
    assert!(sent < SIZE as u64 + in_flight, "{sent} bytes were sent for {SIZE}");
}
