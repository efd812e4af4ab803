//! Names of folders in the store that hold trees for the time of a command.

/// Folder in the store for what a dry run builds.
pub(crate) const DRY_BUILD_FOLDER: &str = "dry-run-build";

/// How folders in the store begin that hold trees on their way from one link to another.
pub(crate) const WORK_FOLDER: &str = "work-";
