//! Counting the operations, so that a test can make each of them fail.

#[cfg(feature = "faults")]
pub use bosc_files::{Op, faults};
use std::io;
use std::path::Path;

/// Counts the call, and fails or kills when a test asked for it.
#[cfg(feature = "faults")]
pub(super) fn step(op: Op, path: &Path) -> io::Result<()> {
    faults::step(op, path)
}

#[cfg(not(feature = "faults"))]
#[allow(clippy::unnecessary_wraps)]
pub(super) fn step(_: Op, _: &Path) -> io::Result<()> {
    Ok(())
}

/// The operations that are counted here; what changes a name or makes something is counted where it is done, in `bosc_files`.
#[cfg(not(feature = "faults"))]
#[derive(Clone, Copy)]
pub(super) enum Op {
    Look,
    Read,
    Sync,
    Mode,
    Lock,
}
