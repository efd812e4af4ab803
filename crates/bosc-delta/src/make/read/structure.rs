//! What is known of a file from its headers.

use crate::derive::Derived;
use crate::layout::Layout;

/// What is known of a file.
#[derive(Debug, Default)]
pub(in crate::make) struct Structure {
    pub(in crate::make) layout: Layout,
    /// Ranges that follow from the rest, and whether they do so in this file.
    pub(in crate::make) derived: Vec<(Derived, bool)>,
    /// Places that hold nothing but will hold an address: position and target.
    pub(in crate::make) filled: Vec<(u64, u64)>,
    /// Names of sections and their addresses.
    pub(in crate::make) names: Vec<(String, u64)>,
}
