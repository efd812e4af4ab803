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
}
