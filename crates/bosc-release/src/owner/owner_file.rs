//! `owner.json`: where the owner of a store listens, and what it takes to be heard.

use bosc_files::{Durability, Replace};
use serde::{Deserialize, Serialize};
use std::path::Path;

pub(crate) const FILE_NAME: &str = "owner.json";
/// Most bytes of it that are read.
pub(crate) const MAX_FILE: u64 = 64 * 1024;

#[derive(Serialize, Deserialize)]
pub(crate) struct OwnerFile {
    pub(crate) port: u16,
    pub(crate) token: String,
    pub(crate) pid: u32,
    #[serde(default)]
    pub(crate) protocol: u32,
}

/// Writes a file that only its owner can read, in one step. It means nothing to the next process, so it is not synced.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    Replace::new(Durability::Process).private().write(path, bytes)
}

/// Whether the bytes are an `owner.json`: with them anybody could command the store.
pub(crate) fn is_owner_file(bytes: &[u8]) -> bool {
    serde_json::from_slice::<OwnerFile>(bytes).is_ok_and(|f| bosc_format::id::decode(&f.token).is_ok())
}
