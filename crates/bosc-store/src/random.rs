//! Random bytes of the system.

use crate::error::{Error, Result};

/// Fills `out`.
pub(crate) fn random(out: &mut [u8]) -> Result<()> {
    getrandom::fill(out)
        .map_err(|e| Error::io("the system's random source", std::io::Error::other(e.to_string())))
}
