//! Perry's sentinel around the client, for an application whose build before or after this one has Perry's updater.
//!
//! The journal decides; the sentinel is what the other side reads and writes. What Perry's client installed is taken over
//! into the journal at the first start, with its count of starts. What we install is announced by an armed sentinel; a new
//! build that removes it while the old one is still kept says, in Perry's words, that it is healthy.

use crate::error::UpdateError;
use crate::install::{Installed, Installer, Options, Status};
use crate::perry::install::apply;
use crate::perry::lifecycle::{is_about, is_other_version, versions};
use crate::perry::sentinel::{Sentinel, clear_text, read_sentinel};
use crate::release::Staged;
use semver::Version;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Installs; with the sentinel armed around it where there is one.
pub(super) fn put_in_place(
    installer: &Installer,
    staged: &Staged,
    sentinel: Option<&Path>,
) -> Result<Installed, UpdateError> {
    match sentinel {
        Some(path) => apply(installer, staged, path),
        None => installer.install(staged, SystemTime::now()),
    }
}

/// Takes over what Perry's client installed. To be called before [`Installer::started`] counts this start.
pub(super) fn before_start(path: &Path, installer: &Installer) -> Result<(), UpdateError> {
    let Some(text) = read_sentinel(path)? else { return Ok(()) };
    let running = installer.options().version.to_string();
    let useless = match Sentinel::parse(&text) {
        None => Some("malformed sentinel"),
        Some(s) if !s.is_armed() || !is_about(&s, installer.target()) => None,
        Some(s) if is_other_version(&s, &running) => Some("stale sentinel"),
        Some(s) => {
            let (new, old) = versions(&s, &running);
            installer.adopt(&new, &old, s.restart_count().unwrap_or(0), SystemTime::now())?;
            // It was healthy before, and only the file was left.
            matches!(installer.status()?, Status::Settled { .. }).then_some("markHealthy")
        }
    };
    match useless {
        Some(context) => clear_text(path, &text, context).map(drop),
        None => Ok(()),
    }
}

/// Removes a sentinel that is about this application: its trial is over.
pub(super) fn over(path: &Path, installer: &Installer) -> Result<(), UpdateError> {
    let Some(text) = read_sentinel(path)? else { return Ok(()) };
    match Sentinel::parse(&text) {
        Some(s) if s.is_armed() && is_about(&s, installer.target()) => {
            clear_text(path, &text, "markHealthy").map(drop)
        }
        _ => Ok(()),
    }
}

/// Hears a new build that says in Perry's words that it is healthy.
pub(super) struct Listener {
    path: PathBuf,
    generation: String,
    new: Version,
    heard: bool,
}

impl Listener {
    /// Nothing when no sentinel was armed for the build on trial.
    pub(super) fn new(path: &Path, installer: &Installer) -> Result<Option<Self>, UpdateError> {
        let Status::Trial { new, .. } = installer.status()? else { return Ok(None) };
        let sentinel = read_sentinel(path)?.and_then(|text| Sentinel::parse(&text));
        let generation = sentinel.filter(Sentinel::is_armed).and_then(|s| s.generation().map(str::to_owned));
        Ok(generation.map(|generation| Self {
            path: path.to_owned(),
            generation,
            new: new.version,
            heard: false,
        }))
    }

    /// Looks now.
    pub(super) fn look(&mut self, installer: &Installer) {
        if self.heard {
            return;
        }
        let Ok(text) = read_sentinel(&self.path) else { return };
        let there = text.and_then(|t| Sentinel::parse(&t));
        let armed = there.is_some_and(|s| s.generation() == Some(self.generation.as_str()));
        // Perry's client removes it, too, after it has put the old build back: then that is not kept any more.
        if armed || std::fs::symlink_metadata(installer.backup()).is_err() {
            return;
        }
        let mut options = Options::new(installer.target(), self.new.clone());
        options.health = installer.options().health;
        self.heard =
            Installer::open(options).and_then(|i| i.mark_healthy(SystemTime::now())).unwrap_or_default();
    }
}
