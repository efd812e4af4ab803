//! `gc`: giving disk space back.
//!
//! # Files
//!
//! - `command`: what of a link, of downloads, of the stage index and of the store goes, and what never does. `event`: what is told.

pub(crate) mod command;
pub mod event;

use serde::{Deserialize, Serialize};

/// What `bosc gc` gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GcWhat {
    /// The blocks of one link's drive.
    Cores,
    /// Blocks of drives that are not here whole and cannot be written here.
    Downloads,
    /// What `stage` remembers of unchanged files.
    StageIndex,
    /// Space in the store that nothing uses.
    Store,
}

/// `bosc gc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gc {
    /// What to collect.
    pub what: GcWhat,
    /// The link, for [`GcWhat::Cores`].
    pub link: Option<String>,
    /// Tell what would go, remove nothing.
    pub dry_run: bool,
    /// Also the only copy of a link that this store writes, one that an installed application came from, or one that is damaged.
    pub force: bool,
}
