//! Where a test may make a call fail, or end the process: nothing at all without the feature `faults`.

use crate::op::Op;
use std::ffi::OsStr;
use std::io;
use std::path::Path;

/// Counts a call on a name in a folder, and fails or kills when a test asked for it.
#[cfg(feature = "faults")]
pub(crate) fn step(op: Op, folder: &Path, name: &OsStr) -> io::Result<()> {
    crate::faults::step(op, &folder.join(name))
}

#[cfg(not(feature = "faults"))]
#[allow(clippy::unnecessary_wraps)]
pub(crate) fn step(_: Op, _: &Path, _: &OsStr) -> io::Result<()> {
    Ok(())
}

/// Whether a test asked for a file system that cannot exchange two names. (Windows is not asked: it has no such call.)
#[cfg(unix)]
pub(crate) fn exchange_forbidden() -> bool {
    #[cfg(feature = "faults")]
    {
        crate::faults::exchange_forbidden()
    }
    #[cfg(not(feature = "faults"))]
    {
        false
    }
}
