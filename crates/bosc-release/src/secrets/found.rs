//! A secret that was found, and how it is told.

use super::kinds::Secret;
use std::path::PathBuf;

/// A secret in a folder that is to leave this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is {}; nothing was written", path.display(), secret.what())]
pub struct SecretFound {
    /// The file.
    pub path: PathBuf,
    /// What it is.
    pub secret: Secret,
}
