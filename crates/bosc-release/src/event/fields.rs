//! How fields are written and read that serde has no word for.

use serde::{Deserialize, Deserializer, Serializer};
use std::path::Path;

/// A path as text. What is not Unicode in it is shown as such rather than refused: it is for people.
pub(crate) fn path<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.display())
}

/// A field that may be missing, or there and null.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}
