//! From an HTTPS server to the application's path and back, with Perry's sentinel around it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bosc_updater::ErrorKind;
use bosc_updater::http::{HttpOptions, HttpSource};
use bosc_updater::install::{Installer, Kind, Options, Status};
use bosc_updater::perry::install::{apply, install_update, perform_rollback};
use bosc_updater::perry::sentinel::{Sentinel, read_sentinel, write_sentinel};
use bosc_updater::perry::{Boot, InitOptions, init_updater, mark_healthy};
use bosc_updater::release::Staged;
use bosc_updater::source::Source;
use semver::Version;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use support::*;

/// There is one lifecycle a process.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const OLD: Version = Version::new(1, 0, 0);
const NEW: Version = Version::new(1, 0, 1);

struct Bed {
    dir: tempfile::TempDir,
    target: PathBuf,
    sentinel: PathBuf,
    server: Server,
}

impl Bed {
    /// An installed 1.0.0 and a server with 1.0.1 under this name.
    fn new(name: &str, artifact: &[u8]) -> Self {
        let at: Arc<Mutex<String>> = Arc::default();
        let (url, bytes) = (Arc::clone(&at), artifact.to_vec());
        let server = Server::start(Cert::Good, move |r| match r.path.as_str() {
            "/m.json" => {
                answer(200, &[], Signing::new(7).manifest("1.0.1", &url.lock().unwrap(), &bytes).to_string())
            }
            _ => serve_file(r, &bytes),
        });
        *at.lock().unwrap() = server.url(&format!("/{name}"));
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("app");
        let sentinel = dir.path().join("state/updater.sentinel");
        Self { dir, target, sentinel, server }
    }

    fn installer(&self, version: &Version) -> Installer {
        Installer::open(Options::new(&self.target, version.clone())).unwrap()
    }

    fn fetch(&self, installer: &Installer) -> Staged {
        let mut o: HttpOptions = options(&self.server, &Signing::new(7));
        o.kind = installer.kind();
        let room = self.installer(&OLD);
        o.room = Some(Arc::new(move |n| room.room_for(n)));
        let mut source = HttpSource::new(o).unwrap();
        let release = source.check(&OLD).unwrap().unwrap();
        source.fetch(&release, &installer.staging().unwrap(), &mut |_| true).unwrap()
    }

    fn boot(&self, version: &Version) -> Boot {
        let mut o = InitOptions::new(version.to_string());
        o.health_check_ms = 0;
        o.target = Some(self.target.clone());
        o.sentinel = Some(self.sentinel.clone());
        init_updater(&o).unwrap()
    }
}

fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    use std::io::Write;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (path, text) in files {
        writer.start_file(*path, zip::write::SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn tar_gz(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o755);
        builder.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

#[test]
fn a_file_is_updated_and_rolled_back() {
    let _alone = alone();
    let bed = Bed::new("app-1.0.1", b"#!/bin/sh\necho new\n");
    std::fs::write(&bed.target, "#!/bin/sh\necho old\n").unwrap();
    let installer = bed.installer(&OLD);
    assert_eq!(bed.boot(&OLD), Boot::Idle);
    let staged = bed.fetch(&installer);
    apply(&installer, &staged, &bed.sentinel).unwrap();
    assert_eq!(std::fs::read_to_string(&bed.target).unwrap(), "#!/bin/sh\necho new\n");
    let s = Sentinel::parse(&read_sentinel(&bed.sentinel).unwrap().unwrap()).unwrap();
    assert_eq!((s.target_version(), s.restart_count()), (Some("1.0.1"), Some(0)));
    let target = bed.target.canonicalize().unwrap();
    assert_eq!(s.previous().unwrap(), format!("{}.prev", target.display()));
    // The new build starts, is not healthy, starts again: rolled back, journal and sentinel agree.
    assert_eq!(bed.boot(&NEW), Boot::Watching { boots: 1 });
    assert_eq!(bed.boot(&NEW), Boot::RolledBack);
    assert_eq!(std::fs::read_to_string(&bed.target).unwrap(), "#!/bin/sh\necho old\n");
    assert_eq!(read_sentinel(&bed.sentinel).unwrap(), None);
    assert!(matches!(installer.status().unwrap(), Status::Settled { .. }));
    // It is remembered: the same release is not put in again.
    let e = installer.install(&bed.fetch(&installer), SystemTime::now()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Refused);
}

#[test]
fn a_healthy_build_stays() {
    let _alone = alone();
    let bed = Bed::new("app-1.0.1", b"new");
    std::fs::write(&bed.target, "old").unwrap();
    let installer = bed.installer(&OLD);
    apply(&installer, &bed.fetch(&installer), &bed.sentinel).unwrap();
    assert_eq!(bed.boot(&NEW), Boot::Watching { boots: 1 });
    mark_healthy().unwrap();
    assert_eq!(read_sentinel(&bed.sentinel).unwrap(), None);
    for _ in 0..3 {
        assert_eq!(bed.boot(&NEW), Boot::Idle);
    }
    assert_eq!(std::fs::read(&bed.target).unwrap(), b"new");
    assert_eq!(bed.installer(&NEW).floor().unwrap().version, Some(NEW));
}

#[test]
fn a_folder_comes_in_an_archive() {
    let _alone = alone();
    let archive = tar_gz(&[("App/bin/app", "new"), ("App/data/x", "1")]);
    let bed = Bed::new("app-1.0.1.tar.gz", &archive);
    std::fs::create_dir_all(bed.target.join("bin")).unwrap();
    std::fs::write(bed.target.join("bin/app"), "old").unwrap();
    let installer = bed.installer(&OLD);
    assert_eq!(installer.kind(), Kind::Directory);
    let staged = bed.fetch(&installer);
    apply(&installer, &staged, &bed.sentinel).unwrap();
    assert_eq!(std::fs::read(bed.target.join("bin/app")).unwrap(), b"new");
    assert_eq!(std::fs::read(bed.target.join("data/x")).unwrap(), b"1");
    assert_eq!(bed.boot(&NEW), Boot::Watching { boots: 1 });
    assert_eq!(bed.boot(&NEW), Boot::RolledBack);
    assert_eq!(std::fs::read(bed.target.join("bin/app")).unwrap(), b"old");
}

/// An address says nothing: servers that decide by a query have names like `download`.
#[test]
fn what_an_artifact_is_its_bytes_say() {
    let fetch = |bed: &Bed, inside: Option<&str>| {
        let installer = bed.installer(&OLD);
        let mut o = options(&bed.server, &Signing::new(7));
        o.kind = installer.kind();
        o.installed = Some(bed.target.clone());
        o.inside = inside.map(str::to_owned);
        let mut source = HttpSource::new(o).unwrap();
        let release = source.check(&OLD).unwrap().unwrap();
        let staged = source.fetch(&release, &installer.staging().unwrap(), &mut |_| true)?;
        Ok::<_, bosc_updater::UpdateError>(if staged.path.is_dir() {
            std::fs::read(staged.path.join("bin/app")).unwrap()
        } else {
            std::fs::read(&staged.path).unwrap()
        })
    };
    // A folder.
    for archive in [tar_gz(&[("App/bin/app", "new")]), zip(&[("App/bin/app", "new")])] {
        for name in ["download?id=5", "app.tar.gz", "app.zip", "app.tar.zst"] {
            let bed = Bed::new(name, &archive);
            std::fs::create_dir(&bed.target).unwrap();
            assert_eq!(fetch(&bed, None).unwrap(), b"new", "{name}");
        }
    }
    // One program, alone and beside others.
    let file = |name: &str, artifact: &[u8], installed: &[u8]| {
        let bed = Bed::new(name, artifact);
        std::fs::write(&bed.target, installed).unwrap();
        bed
    };
    let alone = tar_gz(&[("app-1.0.1/app", "new")]);
    assert_eq!(fetch(&file("download", &alone, b"old"), None).unwrap(), b"new");
    let with_readme =
        tar_gz(&[("app-1.0.1/README", "read"), ("app-1.0.1/app", "new"), ("app-1.0.1/doc/app", "x")]);
    let bed = file("download", &with_readme, b"old");
    let e = fetch(&bed, None).unwrap_err();
    assert!(e.next_step().unwrap().contains("app-1.0.1/app"), "{:?}", e.next_step());
    assert_eq!(fetch(&bed, Some("app-1.0.1/app")).unwrap(), b"new");
    assert_eq!(fetch(&bed, Some("app")).unwrap(), b"new", "the folder's name changes with every version");
    assert_eq!(fetch(&bed, Some("other")).unwrap_err().kind(), ErrorKind::Integrity);
    assert_eq!(
        fetch(&bed, Some("app-1.0.1")).unwrap_err().kind(),
        ErrorKind::Integrity,
        "a folder is no program"
    );
    // What is called an archive and is none is the program.
    assert_eq!(fetch(&file("app.zip", b"new", b"old"), None).unwrap(), b"new");
    // A program that is a zip itself stays one; packed once more it is unpacked once.
    let jar = zip(&[("Main.class", "new"), ("META-INF/MANIFEST.MF", "x")]);
    let installed = zip(&[("Main.class", "old"), ("META-INF/MANIFEST.MF", "x")]);
    assert_eq!(fetch(&file("app.jar", &jar, &installed), None).unwrap(), jar);
    let packed = tar_gz(&[("app.jar", "PK\u{3}\u{4}new")]);
    assert_eq!(fetch(&file("x", &packed, &installed), None).unwrap(), b"PK\x03\x04new");
}

#[test]
fn a_hostile_archive_writes_nothing_outside() {
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    // `append_data` refuses such names, so the header is written by hand.
    header.as_mut_bytes()[..14].copy_from_slice(b"../../evil.txt");
    header.set_cksum();
    let mut builder =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    builder.append(&header, &b"evil"[..]).unwrap();
    let archive = builder.into_inner().unwrap().finish().unwrap();
    let bed = Bed::new("app.tar.gz", &archive);
    std::fs::create_dir(&bed.target).unwrap();
    let installer = bed.installer(&OLD);
    let mut o = options(&bed.server, &Signing::new(7));
    o.kind = Kind::Directory;
    let mut source = HttpSource::new(o).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    let e = source.fetch(&release, &installer.staging().unwrap(), &mut |_| true).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Integrity);
    let found = |dir: &Path| walk(dir).iter().any(|p| p.ends_with("evil.txt"));
    assert!(!found(bed.dir.path()) && !bed.dir.path().parent().unwrap().join("evil.txt").exists());
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        all.push(entry.path());
        if entry.file_type().unwrap().is_dir() {
            all.extend(walk(&entry.path()));
        }
    }
    all
}

#[test]
fn a_folder_application_takes_no_bare_file() {
    let bed = Bed::new("app-1.0.1", b"new");
    let mut o = options(&bed.server, &Signing::new(7));
    o.kind = Kind::Bundle;
    let mut source = HttpSource::new(o).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    let e = source.fetch(&release, bed.dir.path(), &mut |_| true).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Integrity);
    assert!(e.to_string().contains("is not an archive"), "{e}");
}

#[test]
fn what_was_swapped_after_it_was_proved_is_not_installed() {
    let bed = Bed::new("app-1.0.1", b"good");
    std::fs::write(&bed.target, "old").unwrap();
    let installer = bed.installer(&OLD);
    let staged = bed.fetch(&installer);
    std::fs::write(&staged.path, "evil").unwrap();
    let e = apply(&installer, &staged, &bed.sentinel).unwrap_err();
    assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::Integrity, "updater: install failed"));
    assert_eq!(std::fs::read(&bed.target).unwrap(), b"old");
    assert_eq!(read_sentinel(&bed.sentinel).unwrap(), None, "the sentinel is withdrawn");
}

#[test]
fn an_update_by_perrys_client_is_honoured() {
    let _alone = alone();
    // What its install leaves: two renames and an armed sentinel.
    let bed = Bed::new("app", b"x");
    std::fs::write(bed.dir.path().join("app.prev"), "old").unwrap();
    std::fs::write(&bed.target, "new").unwrap();
    let sentinel = json!({
        "prevExePath": format!("{}.prev", bed.target.display()),
        "stagedAt": "2026-11-01T00:00:00.000Z", "currentVersion": "1.0.0", "targetVersion": "1.0.1",
        "restartCount": 0, "state": "armed", "generation": "mvx2-1-a",
    });
    write_sentinel(&bed.sentinel, &sentinel.to_string()).unwrap();
    assert_eq!(bed.boot(&NEW), Boot::Watching { boots: 1 });
    assert_eq!(bed.boot(&NEW), Boot::RolledBack);
    assert_eq!(std::fs::read(&bed.target).unwrap(), b"old");
    assert_eq!(read_sentinel(&bed.sentinel).unwrap(), None);
    assert_eq!(bed.boot(&OLD), Boot::Idle);
}

#[test]
fn a_stale_prev_of_an_older_update_is_not_gone_back_to() {
    let _alone = alone();
    // a.11 number 8: armed for 1.0.1, killed before the install; `.prev` is 0.9.0.
    let bed = Bed::new("app", b"x");
    std::fs::write(&bed.target, "1.0.0").unwrap();
    std::fs::write(bed.dir.path().join("app.prev"), "0.9.0").unwrap();
    bosc_updater::perry::lifecycle::arm(&bed.sentinel, &bed.target, "1.0.0", "1.0.1").unwrap();
    for _ in 0..4 {
        assert_eq!(bed.boot(&OLD), Boot::Idle);
    }
    assert_eq!(std::fs::read(&bed.target).unwrap(), b"1.0.0");
}

#[test]
fn perrys_three_calls_work_alone() {
    let bed = Bed::new("app-1.0.1", b"new");
    std::fs::write(&bed.target, "old").unwrap();
    let staged = bed.fetch(&bed.installer(&OLD));
    install_update(&staged, &bed.target, &OLD).unwrap();
    assert_eq!(std::fs::read(&bed.target).unwrap(), b"new");
    assert!(bed.dir.path().join("app.prev").exists());
    perform_rollback(&bed.target, &NEW).unwrap();
    assert_eq!(std::fs::read(&bed.target).unwrap(), b"old");
    assert_eq!(perform_rollback(&bed.target, &OLD).unwrap_err().kind(), ErrorKind::Refused);
}
