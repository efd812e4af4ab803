//! The primary key, when it comes in an encrypted file.

use super::passphrase::passphrase_from_environment;
use bosc_release::error::CommandError;
use bosc_release::keys::backup;
use std::io::Read;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Names the file with an encrypted primary key.
const KEY_FILE: &str = "BOSC_PRIMARY_KEY_FILE";

/// The file that BOSC_PRIMARY_KEY_FILE names.
pub(super) fn key_file() -> Option<PathBuf> {
    std::env::var_os(KEY_FILE).filter(|v| !v.is_empty()).map(PathBuf::from)
}

/// The primary key in the file that BOSC_PRIMARY_KEY_FILE names, decrypted with BOSC_PASSPHRASE.
pub(crate) fn encrypted_primary_key() -> Result<Option<Zeroizing<[u8; 32]>>, CommandError> {
    let Some(path) = key_file() else { return Ok(None) };
    let unusable = |why: &str| {
        CommandError::input(format!("the file of {KEY_FILE} cannot be used: {why}"))
            .hint("write one with `bosc keys backup FILE`, and set BOSC_PASSPHRASE to its passphrase")
    };
    let mut text = String::new();
    bosc_files::open_plain(&path)
        .and_then(|f| f.take(backup::MAX_FILE as u64 + 1).read_to_string(&mut text))
        .map_err(|e| unusable("it cannot be read").because(e))?;
    let passphrase = passphrase_from_environment()?.ok_or_else(|| unusable("BOSC_PASSPHRASE is not set"))?;
    let contents = backup::open(&text, passphrase.expose()).map_err(|e| unusable(&e.to_string()))?;
    let primary =
        contents.primary.as_ref().ok_or_else(|| unusable("it holds the key of one link, no backup"))?;
    bosc_format::id::decode(&primary.0)
        .map(|k| Some(Zeroizing::new(k)))
        .map_err(|_| unusable("its primary key is not valid"))
}
