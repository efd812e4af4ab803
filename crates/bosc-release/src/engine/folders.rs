//! Names in the store: of folders that hold trees for the time of a command, and of marks that stay.

/// Folder in the store for what a dry run builds.
pub(crate) const DRY_BUILD_FOLDER: &str = "dry-run-build";

/// An empty file: the store's primary key is on other machines too (`keys backup --shared`).
pub(crate) const SHARED_PRIMARY: &str = "SHARED";

/// How folders in the store begin that hold trees on their way from one link to another.
pub(crate) const WORK_FOLDER: &str = "work-";
