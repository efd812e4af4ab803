//! What arguments mean: paths, durations, the folder of the store.

use crate::global::Global;
use bosc_release::error::CommandError;
use std::path::{Path, PathBuf};

/// Seconds of a flag as milliseconds.
pub(crate) fn seconds(s: f64) -> Result<u64, CommandError> {
    if s.is_finite() && (0.0..=86_400.0 * 365.0).contains(&s) {
        Ok((s * 1000.0) as u64)
    } else {
        Err(CommandError::input("a time is a number of seconds, from 0 to a year")
            .hint("give it as in `--timeout 30`; --timeout, --wait, --wait-peers and --cooldown take it"))
    }
}

pub(crate) fn absolute(path: &Path) -> Result<PathBuf, CommandError> {
    std::path::absolute(path)
        .map_err(|e| CommandError::input(format!("not a path: {}", path.display())).because(e))
}

/// The store's folder: `--store`, or `bosc` in the platform's data folder.
pub(crate) fn store_dir(g: &Global) -> Result<PathBuf, CommandError> {
    if let Some(dir) = &g.store {
        return absolute(dir);
    }
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = if cfg!(windows) {
        var("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        var("HOME").map(|h| h.join("Library/Application Support"))
    } else {
        var("XDG_DATA_HOME").or_else(|| var("HOME").map(|h| h.join(".local/share")))
    };
    base.map(|b| b.join("bosc")).ok_or_else(|| {
        CommandError::input("no folder for the store is known")
            .hint("name one with `--store DIR` or BOSC_STORE")
    })
}
