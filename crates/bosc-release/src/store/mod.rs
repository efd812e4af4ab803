//! `store check` and `store repair`: is what is here what was stored, and fetching what is not.
//!
//! # Files
//!
//! - `command`: checks, repairs, what is asked of peers and how much is named. `event`: what is told.

pub(crate) mod command;
pub mod event;

use serde::{Deserialize, Serialize};

/// `bosc store check`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreCheck {
    /// Only the cores of this link.
    pub link: Option<String>,
}

/// `bosc store repair`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreRepair {
    /// Only the cores of this link.
    pub link: Option<String>,
    /// Give up when no peer delivers for so long, in milliseconds.
    pub timeout_ms: u64,
}
