//! What `init` tells on the way, and what it ends with.

use super::found::Tool;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What happens during `init`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum InitEvent {
    /// What the folder is.
    Found {
        /// The folder.
        #[serde(serialize_with = "crate::event::fields::path")]
        dir: PathBuf,
        /// The tool that makes its builds.
        tool: Tool,
        /// The file that says name and version, in the folder.
        package: Option<String>,
        /// The application.
        name: Option<String>,
        /// Its version.
        version: Option<String>,
        /// The link it updates from.
        upgrade: Option<String>,
        /// Its builds.
        builds: Vec<BuildFound>,
    },
    /// A file that is written, or on a dry run would be.
    Writes(FileChanged),
    /// Something that is left as it is, and why.
    Kept {
        /// The file, in the folder.
        file: String,
        /// Why.
        why: String,
    },
}

/// Where the build for a platform is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildFound {
    /// Its platform.
    pub platform: String,
    /// Relative to the folder; `{version}` stands for the version.
    pub path: String,
    /// Whether it is there now.
    pub there: bool,
}

/// A file that `init` writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChanged {
    /// The file, in the folder.
    pub file: String,
    /// What happens to it.
    pub change: ChangeKind,
    /// The lines of a unified diff.
    pub diff: Vec<String>,
}

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It is new.
    Create,
    /// Something is put into it; the rest keeps its bytes.
    Edit,
    /// It was something else.
    Replace,
}

/// What `init` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InitDone {
    /// The folder.
    #[serde(serialize_with = "crate::event::fields::path")]
    pub dir: PathBuf,
    /// The application.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its link; none on a dry run that would make one.
    pub link: Option<String>,
    /// Files that were written, or on a dry run would be.
    pub files: Vec<String>,
    /// Nothing was written: it was to be shown only.
    pub dry_run: bool,
    /// What to type next, in order.
    pub next: Vec<String>,
}

#[cfg(test)]
mod tests;
