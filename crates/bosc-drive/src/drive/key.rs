//! The keys of files in the bee.

use crate::bee::KeyRange;
use bytes::Bytes;

/// What every file's key in the bee starts with.
pub const FILES_PREFIX: &[u8] = b"files\0";

/// The key of the file `path`.
pub(crate) fn files_key(path: &str) -> Bytes {
    [FILES_PREFIX, path.as_bytes()].concat().into()
}

/// Keys below a folder given without its last slash: between `folder/` and `folder0`, as `0` follows `/`.
pub(super) fn folder_range(folder: &str, after: &str) -> KeyRange {
    KeyRange::all().gt(files_key(&format!("{folder}{after}"))).lt(files_key(&format!("{folder}0")))
}
