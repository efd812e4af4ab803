//! A large artifact costs no memory: fetched, verified and installed in blocks.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bosc_updater::http::{HttpOptions, HttpSource, Roots};
use bosc_updater::install::{Installer, Options};
use bosc_updater::perry::install::install_update;
use bosc_updater::source::Source;
use semver::Version;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use support::*;

const SIZE: usize = 150 << 20;

/// Largest memory of this process so far, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Not a test of its own: the process that is measured.
#[test]
fn child_that_installs() {
    let Some(dir) = std::env::var_os("BOSC_MEMORY_TEST_DIR") else { return };
    let dir = PathBuf::from(dir);
    let before = peak();
    let old = Version::new(1, 0, 0);
    let mut o = HttpOptions::new(std::fs::read_to_string(dir.join("url")).unwrap(), Signing::new(7).public());
    o.roots = Roots::Only(vec![std::fs::read(dir.join("ca.der")).unwrap()]);
    let installer = Installer::open(Options::new(dir.join("app"), old.clone())).unwrap();
    let mut source = HttpSource::new(o).unwrap();
    let release = source.check(&old).unwrap().unwrap();
    let start = Instant::now();
    let staged = source.fetch(&release, &installer.staging().unwrap(), &mut |_| true).unwrap();
    let (fetched, fetch_time) = (peak(), start.elapsed());
    let start = Instant::now();
    install_update(&staged, &dir.join("app"), &old).unwrap();
    println!(
        "peak KiB: start {before}, fetched and verified {fetched} in {fetch_time:?}, installed {} in {:?}",
        peak(),
        start.elapsed()
    );
    assert!(peak() - before < 32 * 1024, "more than 32 MiB for an artifact of 150 MiB");
}

#[test]
fn an_artifact_of_150_mib_takes_less_than_32_mib_of_memory() {
    let bytes = Arc::new(noise(SIZE));
    let at: Arc<Mutex<String>> = Arc::default();
    let (url, served) = (Arc::clone(&at), Arc::clone(&bytes));
    let server = Server::start(Cert::Good, move |r| match r.path.as_str() {
        "/m.json" => {
            answer(200, &[], Signing::new(7).manifest("1.0.1", &url.lock().unwrap(), &served).to_string())
        }
        _ => answer(200, &[], served.as_slice()),
    });
    *at.lock().unwrap() = server.url("/app");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ca.der"), &server.ca).unwrap();
    std::fs::write(dir.path().join("url"), server.url("/m.json")).unwrap();
    std::fs::write(dir.path().join("app"), "old").unwrap();
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["child_that_installs", "--exact", "--nocapture"])
        .env("BOSC_MEMORY_TEST_DIR", dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    println!("{text}");
    assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
    assert!(text.contains("peak KiB"));
    assert_eq!(std::fs::metadata(dir.path().join("app")).unwrap().len(), SIZE as u64);
}
