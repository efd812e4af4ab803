//! Why a stage failed.

use super::target::TargetError;
use crate::folder::pattern::GlobError;
use crate::folder::portable_names::NameReport;
use crate::folder::scan::ScanError;
use crate::secrets::{Found, SecretFound};
use std::path::PathBuf;
use thiserror::Error;

/// Why a stage failed. Nothing was written to the drive.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StageError {
    /// A pattern cannot be used.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// The folder holds what must not be published.
    #[error(transparent)]
    Secret(#[from] SecretFound),
    /// The folder holds what looks secret, and that was asked not to be.
    #[error("{} files or folders look secret", .0.len())]
    Suspects(Vec<Found>),
    /// The folder holds names that clients refuse.
    #[error("clients refuse {} of the names", .0.refused.len())]
    Names(NameReport),
    /// The ignore file cannot be used.
    #[error("cannot use {}: {error}", path.display())]
    IgnoreFile {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The folder could not be listed.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// A file could not be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file was written to while it was read.
    #[error("{} changed while it was read; stage again", path.display())]
    Unstable {
        /// The file.
        path: PathBuf,
    },
    /// The drive holds something invalid, or a part of it is not on this machine.
    #[error("the drive: {0}")]
    Drive(#[from] bosc_drive::Error),
    /// The store failed.
    #[error("the store: {0}")]
    Target(#[from] TargetError),
    /// It was stopped.
    #[error("stopped; nothing was written")]
    Stopped,
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}
