//! The list on the disk: `shipped-<digest>` in the updater's folder. The journal names it, so that a list and the build that it is of
//! change together.

use super::shipped::Shipped;
use crate::error::UpdateError;
use crate::install::errors::At;
use crate::install::fs;
use bosc_files::{Dir, Durability, Replace};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::Path;

const PREFIX: &str = "shipped-";
/// Most bytes of a list: the longest that releases have are a hundred times shorter.
const MAX_BYTES: u64 = 64 << 20;

impl Shipped {
    /// Writes it into the updater's folder. Its name; `None` for one that is longer than is read.
    pub(crate) fn keep(&self, folder: &Path) -> Result<Option<String>, UpdateError> {
        let mut text = Vec::new();
        for path in &self.0 {
            text.extend_from_slice(path.as_bytes());
            text.push(0);
        }
        if text.len() as u64 > MAX_BYTES {
            return Ok(None);
        }
        let digest: [u8; 32] = Sha256::digest(&text).into();
        let name = data_encoding::HEXLOWER.encode(&digest);
        let file = format!("{PREFIX}{name}");
        let at = folder.join(&file);
        if fs::look(&at).at("look at", &at)?.is_none() {
            let dir = Dir::open(folder).at("open", folder)?;
            let how = Replace::new(Durability::Disk).mode(0o644).for_owner_of_folder();
            how.write_in(&dir, &file, &text).at("write", &at)?;
        }
        Ok(Some(name))
    }

    /// Reads the one of that name; `None` when it is not there as it was written.
    pub(crate) fn read(folder: &Path, name: &str) -> Option<Self> {
        if name.len() != 64 || !name.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let bytes = bosc_files::read_plain(&folder.join(format!("{PREFIX}{name}")), MAX_BYTES).ok()?;
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        if data_encoding::HEXLOWER.encode(&digest) != name {
            return None;
        }
        let paths = bytes.split(|b| *b == 0).filter(|path| !path.is_empty());
        paths.map(|path| std::str::from_utf8(path).ok().map(str::to_owned)).collect()
    }

    /// Removes the lists that nothing names any more. One that cannot be removed stays.
    pub(crate) fn sweep(folder: &Path, named: &BTreeSet<&str>) {
        for name in fs::names(folder, 10_000).unwrap_or_default() {
            let Some(list) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
            if list.len() == 64 && !named.contains(list) {
                let _ = fs::remove_file(&folder.join(&name));
            }
        }
    }
}
