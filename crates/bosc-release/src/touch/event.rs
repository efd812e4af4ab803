//! `touch`: what it ends with.

use serde::{Deserialize, Serialize};

/// A new link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// Its key, z-base-32.
    pub key: String,
    /// It.
    pub link: String,
    /// The name its key pair is made from.
    pub name: String,
    /// Other machines have the primary key too: what they released is asked for before anything is written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}
