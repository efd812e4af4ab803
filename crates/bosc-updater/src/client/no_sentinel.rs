//! Without the feature `perry` no builder takes a sentinel: nothing here is ever given one.

use crate::error::UpdateError;
use crate::install::{Installed, Installer};
use crate::release::Staged;
use std::path::Path;
use std::time::SystemTime;

pub(super) fn put_in_place(
    installer: &Installer,
    staged: &Staged,
    _: Option<&Path>,
) -> Result<Installed, UpdateError> {
    installer.install(staged, SystemTime::now())
}

#[allow(clippy::unnecessary_wraps)]
pub(super) fn before_start(_: &Path, _: &Installer) -> Result<(), UpdateError> {
    Ok(())
}

#[allow(clippy::unnecessary_wraps)]
pub(super) fn over(_: &Path, _: &Installer) -> Result<(), UpdateError> {
    Ok(())
}

pub(super) struct Listener;

impl Listener {
    #[allow(clippy::unnecessary_wraps)]
    pub(super) fn new(_: &Path, _: &Installer) -> Result<Option<Self>, UpdateError> {
        Ok(None)
    }

    pub(super) fn look(&mut self, _: &Installer) {}
}
