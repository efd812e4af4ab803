//! `cores`: the cores that a store keeps.
//!
//! # Files
//!
//! - `command`: what is listed. `event`: what is told of a core.

pub(crate) mod command;
pub mod event;

use serde::{Deserialize, Serialize};

/// `bosc cores`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cores {
    /// Also cores of which nothing is here from the start on.
    pub all: bool,
}
