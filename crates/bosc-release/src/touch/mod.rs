//! `touch`: minting a link that this store can write to.
//!
//! # Files
//!
//! - `command`: the link, of a name or a random one. `vanity`: a key with a wanted beginning. `event`: what it ends with.

pub(crate) mod command;
pub mod event;
pub(crate) mod vanity;

use serde::{Deserialize, Serialize};

/// `bosc touch`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// Mint keys until the link starts with this text.
    pub vanity: Option<String>,
    /// The link that the store's primary key and this name make, as `publish --ci` does; a new one where not given.
    #[serde(default)]
    pub named: Option<String>,
    /// The store is the only copy of what it was copied from.
    #[serde(default)]
    pub sole_copy: bool,
}
