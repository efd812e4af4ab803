//! Builds to install.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bosc_updater::install::contents_of;
use bosc_updater::release::{Contents, Release, ReleaseId, Staged};
use semver::Version;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub fn version(text: &str) -> Version {
    text.parse().unwrap()
}

pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}

pub fn later(seconds: u64) -> SystemTime {
    now() + Duration::from_secs(seconds)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    File,
    Folder,
}

impl Shape {
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Folder => "folder",
        }
    }
}

/// Writes a build of a version.
pub fn write_build(path: &Path, shape: Shape, version: &str) {
    match shape {
        Shape::File => program(path, version),
        Shape::Folder => {
            fs::create_dir_all(path.join("bin")).unwrap();
            fs::create_dir_all(path.join("share/empty")).unwrap();
            program(&path.join("bin/app"), version);
            fs::write(path.join("share/notes.txt"), format!("notes of {version}")).unwrap();
            fs::write(path.join(format!("only-in-{version}")), version).unwrap();
            #[cfg(unix)]
            std::os::unix::fs::symlink("bin/app", path.join("app")).unwrap();
        }
    }
}

fn program(path: &Path, version: &str) {
    fs::write(path, format!("program {version} {}", "x".repeat(3000))).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

pub fn release(version_text: &str) -> Release {
    let mut id = [0u8; 32];
    let text = version_text.as_bytes();
    id[..text.len()].copy_from_slice(text);
    Release {
        version: version(version_text),
        id: ReleaseId(id),
        origin: "https://example.test/app".into(),
        notes: None,
        size: None,
    }
}

/// Describes what was staged.
pub fn staged(path: &Path, version: &str) -> Staged {
    Staged { release: release(version), path: path.to_owned(), contents: contents_of(path).unwrap() }
}

/// What a build of this version consists of.
pub fn expected(shape: Shape, version: &str) -> Contents {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("build");
    write_build(&path, shape, version);
    contents_of(&path).unwrap()
}

/// A folder for a test; in memory where the system has such a place, as the crash matrix syncs a lot.
pub fn folder() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    if cfg!(target_os = "linux") && memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}
