//! What [`Installer`](super::super::Installer) asks of the installer of packages, so that an application which came in one is updated
//! by the same calls as every other.

use super::super::package::Found;
use super::{Held, MsixInstaller, MsixOptions, System};
use crate::error::{ErrorKind, UpdateError};
use crate::install::app::SPARE;
use crate::install::errors::At;
use crate::install::journal::Journal;
use crate::install::{Options, fs};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

impl Found {
    /// The installer of this application's packages.
    pub(in crate::install) fn installer(&self, options: &Options) -> Result<MsixInstaller, UpdateError> {
        let made = |local: &Path| MsixOptions {
            folder: self.folder(local),
            version: options.version.clone(),
            health: options.health,
            patience: options.patience,
            back_off: options.back_off,
        };
        #[cfg(feature = "faults")]
        if let Some((local, runner)) = super::stand_in::get() {
            return MsixInstaller::with(made(&local), std::slice::from_ref(&local), runner);
        }
        let local = std::env::var_os("LOCALAPPDATA").filter(|v| !v.is_empty()).map(PathBuf::from);
        let local = local.ok_or_else(|| {
            UpdateError::new(
                ErrorKind::Input,
                "Windows does not report this user's data folder (LOCALAPPDATA)",
            )
            .hint("start the application from the Start menu")
        })?;
        MsixInstaller::with(made(&local), std::slice::from_ref(&local), Box::new(System))
    }
}

impl MsixInstaller {
    pub(in crate::install) fn folder(&self) -> &Path {
        &self.options.folder
    }

    pub(in crate::install) fn journal(&self) -> Result<Journal, UpdateError> {
        Journal::read(&self.options.folder, false)
    }

    /// Where the package of the running version is kept.
    pub(in crate::install) fn running_package(&self) -> Option<PathBuf> {
        let journal = self.journal().ok()?;
        let pieces = journal.flight.iter().flat_map(|f| [&f.new, &f.old]).chain(&journal.current);
        let contents = pieces.into_iter().find(|p| p.version == self.options.version)?.contents?;
        Some(self.package(&contents))
    }

    /// Where the package is kept that would be returned to.
    pub(in crate::install) fn package_before(&self) -> Option<PathBuf> {
        let journal = self.journal().ok()?;
        let old = journal.flight.as_ref().map(|f| &f.old).or(journal.kept.as_ref())?;
        Some(self.package(&old.contents?))
    }

    pub(in crate::install) fn room_for(&self, bytes: u64) -> Result<(), UpdateError> {
        let folder = self.staging()?;
        let free = fs::available_space(&folder).at("ask for the free space of", &folder)?;
        // Twice: Windows keeps a copy of its own.
        let needed = bytes.saturating_mul(2).saturating_add(SPARE);
        if free >= needed {
            return Ok(());
        }
        Err(UpdateError::new(
            ErrorKind::NoSpace,
            format!(
                "the package needs {needed} bytes on the disk of {}, and {free} are free",
                folder.display()
            ),
        )
        .hint("make room on the disk and try again"))
    }

    /// Whether the running version is on trial. Its starts count, and no time.
    pub(in crate::install) fn is_on_trial(&self, now: SystemTime) -> Result<bool, UpdateError> {
        Ok(self.enter(now)?.is_on_trial())
    }

    pub(in crate::install) fn raise_schema(&self, schema: u32, now: SystemTime) -> Result<(), UpdateError> {
        let mut held: Held<'_> = self.enter(now)?;
        if held.journal.schema >= schema {
            return Ok(());
        }
        held.journal.schema = schema;
        held.write()
    }
}
