//! What `install` tells on the way, and what it ends with.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What happens during `install`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum InstallEvent {
    /// The application is looked for.
    Installing {
        /// The link.
        link: String,
        /// The platform.
        host: String,
    },
    /// Something that is installed.
    App(Box<Installing>),
    /// The application is installed; something beside it is not.
    Warning {
        /// What it is about.
        #[serde(serialize_with = "crate::event::fields::path")]
        file: PathBuf,
        /// What happened.
        message: String,
    },
    /// A folder with programs that is not in PATH.
    Path {
        /// The folder.
        #[serde(serialize_with = "crate::event::fields::path")]
        dir: PathBuf,
    },
    /// A file or folder that was taken away.
    Removed {
        /// What.
        #[serde(serialize_with = "crate::event::fields::path")]
        file: PathBuf,
    },
}

/// Something that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installing {
    /// The application.
    pub app: String,
    /// Its artifact, or a program of it.
    pub name: String,
    /// The version.
    pub version: Option<String>,
    /// The link it will follow.
    pub upgrade: Option<String>,
    /// What it is installed from.
    pub verlink: String,
    /// The drive's key.
    pub key: String,
    /// Where it is written first.
    #[serde(serialize_with = "crate::event::maybe_path")]
    pub tmp: Option<PathBuf>,
    /// Where it goes.
    #[serde(serialize_with = "crate::event::fields::path")]
    pub dest: PathBuf,
}

/// What `install` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// It was installed now.
    pub installed: bool,
    /// It was installed before.
    pub exists: bool,
    /// The application.
    pub app: String,
    /// Its version.
    pub version: Option<String>,
    /// What was installed.
    #[serde(serialize_with = "crate::event::paths")]
    pub paths: Vec<PathBuf>,
    /// The drive's link.
    pub link: String,
}

/// What `install --uninstall` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uninstalled {
    /// It is gone.
    pub uninstalled: bool,
    /// The application.
    pub app: String,
    /// What was taken away.
    #[serde(serialize_with = "crate::event::paths")]
    pub removed: Vec<PathBuf>,
}
