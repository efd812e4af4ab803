//! Reading an archive that may be damaged or hostile.

use crate::error::UpdateError;
use crate::install::integrity;
use std::io::Read;

/// Reads up to `limit` bytes and no more: a longer one is an error.
pub(super) fn read_bounded(from: &mut impl Read, limit: u64, what: &str) -> Result<Vec<u8>, UpdateError> {
    let mut bytes = Vec::new();
    from.take(limit + 1).read_to_end(&mut bytes).map_err(damaged)?;
    if bytes.len() as u64 > limit {
        return Err(integrity(format!("{what} is longer than {limit} bytes")));
    }
    Ok(bytes)
}

/// The archive cannot be read.
pub(super) fn damaged(error: std::io::Error) -> UpdateError {
    integrity(format!("the archive is damaged: {error}")).because(error)
}
