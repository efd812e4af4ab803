//! Keys of the rows that callers name: cores with a name, and bytes of their own.

use crate::error::{Error, Result};
use crate::record::KeySource;

/// Longest name and user data, in bytes.
pub(crate) const MAX_NAME: usize = 1024;
const MAX_USER_DATA: usize = 16 << 20;

/// A caller's own bytes: key in the table and value, `None` to remove.
pub(crate) type UserChange = (Vec<u8>, Option<Vec<u8>>);

/// Key of a named core's row in the table of names.
pub(crate) fn name_key(source: &KeySource) -> Option<Vec<u8>> {
    match source {
        KeySource::Name { namespace, name } => Some(name_row(namespace, name)),
        _ => None,
    }
}

pub(crate) fn name_row(namespace: &[u8; 32], name: &[u8]) -> Vec<u8> {
    [namespace.as_slice(), name].concat()
}

/// Key of a row of user data; checks sizes.
pub(crate) fn user_row(core: u32, name: &str, value: Option<&[u8]>) -> Result<Vec<u8>> {
    if name.len() > MAX_NAME || value.is_some_and(|v| v.len() > MAX_USER_DATA) {
        return Err(Error::Argument("user data is over its bound (names 1 KiB, values 16 MiB)"));
    }
    Ok([&core.to_be_bytes(), name.as_bytes()].concat())
}
