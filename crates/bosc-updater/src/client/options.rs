//! What an updater is made from.

use super::update_source::UpdateSource;
use crate::error::{ErrorKind, UpdateError};
use crate::health::Program;
use crate::install::HealthPolicy;
use semver::Version;
use std::path::PathBuf;
use std::time::Duration;

/// How an application updates itself, as a builder collected it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The application's data folder of this user; the updater keeps what it downloads below `bosc-updater` in it.
    pub(crate) dir: Option<PathBuf>,
    /// What is replaced.
    pub(crate) app: Option<PathBuf>,
    /// Why what was named is not replaced.
    pub(crate) not_installed: Option<String>,
    /// The application's name in a drive, with its extension.
    pub(crate) name: String,
    /// The version that runs.
    pub(crate) version: Version,
    /// Where updates come from.
    pub(crate) source: UpdateSource,
    /// Whether to do anything about updates but to roll back.
    pub(crate) updates: bool,
    pub(crate) auto_check: bool,
    pub(crate) auto_download: bool,
    pub(crate) apply_on_quit: bool,
    /// Longest random delay before a release that was found while running is fetched.
    pub(crate) delay: Duration,
    /// How often a manifest is asked for. Links tell by themselves.
    pub(crate) poll: Duration,
    /// Perry's sentinel.
    pub(crate) sentinel: Option<PathBuf>,
    pub(crate) health: HealthPolicy,
    pub(crate) allow_downgrade: bool,
    /// Whether the build before a healthy one is kept.
    pub(crate) keep_previous: bool,
    /// How the application is started again; as this process was when `None`.
    pub(crate) program: Option<Program>,
}

impl Settings {
    /// Where the updater keeps its files.
    ///
    /// # Errors
    /// `Input` when no folder for this user's data is known.
    pub(crate) fn folder(&self) -> Result<PathBuf, UpdateError> {
        let dir = self.dir.clone().or_else(|| data_folder(&self.name)).ok_or_else(|| {
            UpdateError::new(ErrorKind::Input, "there is no known folder for the application's data")
                .hint("name one with `UpdaterBuilder::data_folder`")
        })?;
        Ok(dir.join("bosc-updater"))
    }
}

/// The folder in which applications of this name keep this user's data, as Pear has it: in `$XDG_CONFIG_HOME` or `~/.config`, in
/// `~/Library/Application Support`, in `%LOCALAPPDATA%`. `None` where the environment names none; a relative path is none.
pub fn data_folder(name: &str) -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = if cfg!(windows) {
        var("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        var("HOME").map(|h| h.join("Library/Application Support"))
    } else {
        var("XDG_CONFIG_HOME").or_else(|| var("HOME").map(|h| h.join(".config")))
    };
    let stem =
        [".AppImage", ".app", ".exe", ".msix"].iter().find_map(|e| name.strip_suffix(e)).unwrap_or(name);
    base.map(|base| base.join(stem))
}

/// For [`crate::package_version!`]: what Cargo says is the version of a package.
#[doc(hidden)]
pub fn cargo_version(text: &str) -> Version {
    // Cargo refuses a manifest whose version is none.
    text.parse().unwrap_or(Version::new(0, 0, 0))
}
