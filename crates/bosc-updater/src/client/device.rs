//! This user's folder for the updater, and the name of this device in it.

use crate::error::{ErrorKind, UpdateError};
use crate::files;
use bosc_files::read_bounded;
use std::path::Path;

/// The folder for this user's data of the updater, made for nobody else, and the name of this device in it.
pub(crate) fn device(folder: &Path) -> Result<[u8; 16], UpdateError> {
    let failed = |e: std::io::Error| {
        UpdateError::new(ErrorKind::Disk, format!("the folder {} cannot be used", folder.display()))
            .hint("give the updater a folder that this user may write to")
            .because(e)
    };
    bosc_files::make_private_folders(folder).map_err(failed)?;
    let path = folder.join("device");
    for _ in 0..2 {
        if let Ok(Some(known)) = read_bounded(&path, 16)
            && let Ok(id) = known.as_slice().try_into()
        {
            return Ok(id);
        }
        files::state().write(&path, &random()).map_err(failed)?;
    }
    let id = read_bounded(&path, 16).map_err(failed)?.unwrap_or_default();
    Ok(id.as_slice().try_into().unwrap_or_default())
}

/// Not secret, only different on every device: what the standard library seeds its hash maps with.
pub(crate) fn random() -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    let mut id = [0; 16];
    for (half, n) in id.chunks_mut(8).zip(0u64..) {
        half.copy_from_slice(&RandomState::new().hash_one((n, std::process::id())).to_le_bytes());
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_keeps_its_name() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("a/b");
        let id = device(&folder).unwrap();
        assert_ne!(id, [0; 16]);
        assert_eq!(device(&folder).unwrap(), id);
        assert_ne!(device(&temp.path().join("c")).unwrap(), id);
        // A damaged file is replaced.
        std::fs::write(folder.join("device"), b"xx").unwrap();
        let new = device(&folder).unwrap();
        assert_eq!(device(&folder).unwrap(), new);
    }
}
