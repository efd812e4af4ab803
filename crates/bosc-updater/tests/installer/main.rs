//! What the installer admits, refuses, remembers and recognises.
//!
//! # Files
//!
//! - `admission`: which release is installed. `trial`: starts of a new build, and rollback.
//! - `beside`: what lies beside the application. `files`: files, modes and links of a build.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod admission;
mod beside;
#[path = "../common/mod.rs"]
mod common;
mod files;
mod trial;

use bosc_updater::install::{Admission, Installer, Options, Reason, StartState, Status, contents_of, verify};
use bosc_updater::release::{Entry, EntryKind};
use bosc_updater::{ErrorKind, UpdateError};
use common::{Shape, expected, later, now, release, staged, version, write_build};
use std::fs;
use std::path::{Path, PathBuf};

const DAY: u64 = 86_400;

struct App {
    dir: tempfile::TempDir,
    shape: Shape,
}

impl App {
    fn new(shape: Shape) -> Self {
        let app = Self { dir: tempfile::tempdir().unwrap(), shape };
        write_build(&app.target(), shape, "1.0.0");
        app
    }

    fn target(&self) -> PathBuf {
        self.dir.path().join("App")
    }

    fn prev(&self) -> PathBuf {
        self.dir.path().join("App.prev")
    }

    fn journal(&self) -> PathBuf {
        self.dir.path().join(".App.bosc/journal.json")
    }

    /// An installer of the code that runs as this version.
    fn as_version(&self, running: &str) -> Installer {
        Installer::open(Options::new(self.target(), version(running))).unwrap()
    }

    fn stage(&self, new: &str) -> PathBuf {
        let path = self.dir.path().join(format!("staged-{new}"));
        write_build(&path, self.shape, new);
        path
    }

    fn install(&self, running: &str, new: &str, at: u64) -> Result<(), UpdateError> {
        let staged = staged(&self.stage(new), new);
        let done = self.as_version(running).install(&staged, later(at)).map(drop);
        let _ = fs::remove_file(&staged.path);
        let _ = fs::remove_dir_all(&staged.path);
        done
    }

    fn holds(&self, path: &Path, what: &str) {
        verify(path, &expected(self.shape, what))
            .unwrap_or_else(|e| panic!("{what} is not at {}: {e}", path.display()));
    }
}

fn kind<T: std::fmt::Debug>(result: Result<T, UpdateError>) -> ErrorKind {
    let e = result.unwrap_err();
    assert!(e.next_step().is_some(), "{e} says nothing of what to do");
    e.kind()
}

/// Out of the way and not deleted: a file system under emulation gives the next file the number of the one before.
fn aside(path: &Path) {
    fs::rename(path, path.with_extension("aside")).unwrap();
}
