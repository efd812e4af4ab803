//! A folder that was reached through a symlink, and paths seen from it.

use super::types::ScanError;
use std::path::{Path, PathBuf};

/// A folder reached through a symlink.
#[derive(Debug)]
pub(super) struct FollowedFolder {
    /// Where it lies.
    pub(super) real: PathBuf,
    /// Its key, without a slash at its end.
    pub(super) key: String,
}

impl FollowedFolder {
    pub(super) fn new(path: &Path, key: &str) -> Result<Self, ScanError> {
        let real =
            std::fs::canonicalize(path).map_err(|error| ScanError::Io { path: path.to_owned(), error })?;
        Ok(Self { real, key: key.to_owned() })
    }
}

/// The path from the folder of `key` to the key `to`.
pub(super) fn relative(key: &str, to: &str) -> String {
    let parts =
        |key: &'_ str| key.split('/').filter(|p| !p.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (mut from, to) = (parts(key), parts(to));
    from.pop();
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let ups = from.iter().skip(common).map(|_| "..");
    let text = ups.chain(to.iter().skip(common).map(String::as_str)).collect::<Vec<_>>().join("/");
    if text.is_empty() { ".".into() } else { text }
}

/// A path below a folder as a key.
pub(super) fn as_key(above: &str, rest: &Path) -> Option<String> {
    rest.components()
        .try_fold(above.to_owned(), |key, part| Some(format!("{key}/{}", part.as_os_str().to_str()?)))
}
