//! The application that an installer works on: where it lies, what it is, and what this process holds of it.

use super::errors::At;
use super::fs;
use super::journal::Journal;
use super::place::{Kept, Place};
use super::types::{Kind, Options};
use crate::error::{ErrorKind, UpdateError};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Room that is left on the disk when a build is copied.
pub(crate) const SPARE: u64 = 16 * 1024 * 1024;

/// The application an installer works on.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) options: Options,
    pub(crate) place: Place,
    pub(crate) kind: Kind,
    /// The trial this process was started in.
    pub(crate) trial: Mutex<Option<u64>>,
    /// Held while this process is on trial: another start meanwhile is no sign of a crash.
    pub(crate) running: Mutex<Option<File>>,
}

impl App {
    /// The journal as it is on the disk.
    pub(crate) fn journal(&self) -> Result<Journal, UpdateError> {
        Journal::read(&self.place.folder, false)
    }

    /// As [`super::Installer::backup`].
    pub(crate) fn backup(&self) -> PathBuf {
        let journal = self.journal().unwrap_or_default();
        let old = journal.flight.as_ref().map(|flight| &flight.old).or(journal.kept.as_ref());
        self.place.kept(Kept::Previous, old.map_or(1, |old| old.slot))
    }

    /// As [`super::Installer::room_for`].
    pub(crate) fn room_for(&self, bytes: u64) -> Result<(), UpdateError> {
        let parent = &self.place.parent;
        let free = fs::available_space(parent).at("ask for the free space of", parent)?;
        let needed = bytes.saturating_add(SPARE);
        if free >= needed {
            return Ok(());
        }
        Err(UpdateError::new(
            ErrorKind::NoSpace,
            format!(
                "the update needs {needed} bytes on the disk of {}, and {free} are free",
                parent.display()
            ),
        )
        .hint("make room on the disk and try again"))
    }

    pub(crate) fn hold(&self, running: File) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    }
}
