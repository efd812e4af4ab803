//! Names that are used below a folder, and whose they are.

use std::ffi::OsStr;
use std::io;

/// The user of this process: the one that new files belong to. 0 where the system has no such numbers.
pub fn user() -> u32 {
    #[cfg(unix)]
    {
        rustix::process::geteuid().as_raw()
    }
    #[cfg(not(unix))]
    {
        0
    }
}

/// Whether a link of this owner may be followed: the user's own and root's.
pub fn trusted_owner(uid: u32) -> bool {
    uid == 0 || uid == user()
}

/// `<prefix><16 hex characters><suffix>`, which nobody can guess.
///
/// # Errors
/// When the system gives no randomness.
pub fn random_name(prefix: &str, suffix: &str) -> io::Result<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(format!("{prefix}{:016x}{suffix}", u64::from_le_bytes(random)))
}

/// Whether `name` is one of [`random_name`].
pub(crate) fn is_random(name: &OsStr, prefix: &str, suffix: &str) -> bool {
    name.to_str()
        .and_then(|n| n.strip_prefix(prefix)?.strip_suffix(suffix))
        .is_some_and(|n| n.len() == 16 && n.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
}

/// One name of a folder: neither a path, nor the folder itself or the one above.
pub(crate) fn one(name: &OsStr) -> io::Result<&OsStr> {
    let bytes = name.as_encoded_bytes();
    let separates = |b: &u8| matches!(b, b'/' | 0) || (cfg!(windows) && matches!(b, b'\\' | b':'));
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.iter().any(separates) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not one name in a folder"));
    }
    Ok(name)
}
