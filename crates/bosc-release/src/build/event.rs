//! What `build` tells on the way, and what it ends with.

use super::package::PackageKind;
use crate::folder::portable_names::BadName;
use crate::secrets::check::LooksSecret;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What happens during `build`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum BuildEvent {
    /// A name that some system cannot hold.
    BadName(BadName),
    /// Something that looks like a secret.
    LooksSecret(LooksSecret),
    /// A build says that it is another version than the release.
    VersionMismatch {
        /// The file that says so, in the folder.
        path: String,
        /// The release's version.
        release: String,
        /// The build's.
        running: String,
    },
    /// All checks passed.
    Building {
        /// The application.
        name: String,
        /// Its version.
        version: String,
        /// The deployment directory.
        #[serde(serialize_with = "crate::event::fields::path")]
        target: PathBuf,
        /// The file its package was read from.
        #[serde(serialize_with = "crate::event::fields::path")]
        package: PathBuf,
        /// What kind of file that is.
        from: PackageKind,
    },
    /// A file that comes along.
    Carried {
        /// The file in the deployment directory.
        #[serde(serialize_with = "crate::event::fields::path")]
        file: PathBuf,
        /// Where it came from.
        #[serde(serialize_with = "crate::event::fields::path")]
        origin: PathBuf,
    },
    /// Something of an artifact that is left out.
    Skipped {
        /// Its path.
        #[serde(serialize_with = "crate::event::fields::path")]
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Something that will not work for those who get it.
    Warning {
        /// The file in the deployment directory.
        file: String,
        /// What is wrong.
        message: String,
    },
    /// An artifact that is in place.
    Executable {
        /// The file in the deployment directory.
        #[serde(serialize_with = "crate::event::fields::path")]
        file: PathBuf,
        /// Where it came from.
        #[serde(serialize_with = "crate::event::fields::path")]
        origin: PathBuf,
    },
}

/// What `build` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// The deployment directory.
    #[serde(serialize_with = "crate::event::fields::path")]
    pub target: PathBuf,
    /// The application.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How many artifacts it has.
    pub executables: usize,
    /// The platforms they are for.
    pub platforms: Vec<String>,
    /// Files in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

#[cfg(test)]
mod tests;
