//! What the running process is: which program it runs, and for whom.

use crate::install::fs;
use std::path::{Path, PathBuf};

/// Set for a start that is watched: the number of the trial.
pub(crate) const WATCHED: &str = "BOSC_UPDATER_WATCHED";

/// Whether this process was started by a watcher of that trial.
pub(crate) fn is_watched(generation: u64) -> bool {
    std::env::var(WATCHED).is_ok_and(|text| text == generation.to_string())
}

/// Whether this process runs the program at `path`, or one inside it.
pub(crate) fn runs_in(path: &Path) -> bool {
    let exe = std::env::current_exe().ok().map(|exe| fs::canonical(&exe).unwrap_or(exe));
    let path = fs::canonical(path).unwrap_or_else(|_| path.to_owned());
    exe.is_some_and(|exe| exe.starts_with(path))
}

/// The program that this process runs, relative to a folder that holds it.
pub(crate) fn own_place_in(folder: &Path) -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
    let exe = fs::canonical(&exe).unwrap_or(exe);
    let folder = fs::canonical(folder).unwrap_or_else(|_| folder.to_owned());
    exe.strip_prefix(folder).ok().map(Path::to_owned).filter(|path| !path.as_os_str().is_empty())
}
