//! What is asked for.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `bosc stage`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The link to stage to, without a version.
    pub link: String,
    /// The folder to stage; absolute.
    #[serde(with = "crate::wire_path")]
    pub dir: PathBuf,
    /// Only tell what would change.
    pub dry_run: bool,
    /// Patterns to leave out, added to `pear.stage.ignore`.
    pub ignore: Vec<String>,
    /// Prefixes to restrict to, added to `pear.stage.only`.
    pub only: Vec<String>,
    /// Remove staged files that are ignored now.
    pub purge: bool,
    /// First cut the drive back to this length.
    pub truncate: Option<u64>,
    /// Do not ask peers for a newer version of a link whose key other machines have as well.
    #[serde(default)]
    pub newest: bool,
    /// The store is the only copy of what it was copied from.
    #[serde(default)]
    pub sole_copy: bool,
    /// Take the folder without a package.json, or with one that clients cannot use.
    #[serde(default)]
    pub skip_package: bool,
    /// Files and folders that look secret and may be staged.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Files and folders that may be staged although a secret key is written out in them.
    #[serde(default)]
    pub allow_key: Vec<String>,
    /// Fail when anything else looks secret.
    #[serde(default)]
    pub no_suspects: bool,
    /// Make no deltas from the releases before.
    #[serde(default)]
    pub no_deltas: bool,
    /// Keep no packed copies of large files.
    #[serde(default)]
    pub no_packed: bool,
}
