//! One signing key: its name, its bytes, and what is wrong with them.

use crate::error::{CommandError, ErrorKind};
use crate::keys::signing_key::{EncryptedKey, SigningKeyError};
use bosc_format::id;

/// Longest key name.
const NAME_MAX: usize = 128;

/// Checks a key's name.
///
/// # Errors
/// Names that are not plain file names.
pub fn check_name(name: &str) -> Result<(), CommandError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(plain) {
        return Err(CommandError::input(
            "Key name must contain only letters, numbers, hyphens, or underscores",
        )
        .hint("choose a name like `default` or `release-2026`"));
    }
    Ok(())
}

/// A key file that cannot be used, with what to do about it.
pub fn key_error(e: SigningKeyError, name: &str) -> CommandError {
    use SigningKeyError as E;
    let (kind, code, hint) = match e {
        E::Decrypt => {
            (ErrorKind::Permission, "ERR_PERMISSION_REQUIRED", "check the passphrase and try again")
        }
        E::Memory(_) => {
            (ErrorKind::Failed, "ERR_OPERATION_FAILED", "close other programs, or sign on another machine")
        }
        E::Randomness => {
            (ErrorKind::Failed, "ERR_OPERATION_FAILED", "check that the system's random source works")
        }
        E::UnknownVersion(_) => {
            (ErrorKind::Input, "ERR_INVALID_INPUT", "update Bosc, or export the key with what made it")
        }
        _ => (
            ErrorKind::Input,
            "ERR_INVALID_INPUT",
            "restore the key file from a backup; do not trust this one",
        ),
    };
    CommandError::new(kind, code, format!("{e} (key {name:?})")).hint(hint)
}

/// An encrypted key as bytes or z-base-32.
pub(crate) fn private_from(bytes: &[u8]) -> Result<EncryptedKey, SigningKeyError> {
    match as_text(bytes).and_then(|t| id::decode_bytes(t).ok()) {
        Some(decoded) => EncryptedKey::decode(&decoded),
        None => EncryptedKey::decode(bytes),
    }
}

pub(super) fn as_text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().map(str::trim).filter(|t| t.is_ascii() && !t.is_empty())
}
