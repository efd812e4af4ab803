//! What a file of keys may replace.

use crate::error::CommandError;
use crate::output_file::{OutputFile, OutputKind};
use std::path::{Path, PathBuf};

/// Refuses what may not be replaced, or not without being asked to. `primary`: the file that the primary key is read from.
///
/// # Errors
/// `ERR_EXISTS`.
pub fn refuse_existing(
    file: &Path,
    force: bool,
    kind: OutputKind,
    primary: Option<PathBuf>,
) -> Result<(), CommandError> {
    OutputFile::new(file, kind).apart_from(primary).check_new(force)
}
