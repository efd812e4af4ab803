//! Keeps this application up to date, with Bosc. Made by `bosc init`; yours to change.
//!
//! 1. In Cargo.toml, below `[dependencies]` (not on crates.io yet):
//!
//!        bosc-updater = { git = "https://github.com/bosc-project/bosc", features = ["p2p"] }
//!
//! 2. In `main`, before anything that can fail, when the application works, and at the end:
//!
//!        mod updates;
//!        let Some(updater) = updates::start() else { return };
//!        updater.mark_healthy();
//!        updates::quit(updater);

use bosc_updater::{Started, UpdateSource, Updater, package_version};

/// Where releases come from.
const LINK: &str = "@LINK@";

/// Looks for updates from now on, in the background. `None`: this version did not work and the one before it was started; end.
pub fn start() -> Option<Updater> {
    match Updater::builder("@NAME@", package_version!(), UpdateSource::pear(LINK)).start() {
        Started::Running(updater) => Some(updater),
        Started::RolledBack(failed) => {
            if let Err(e) = failed.restart() {
                eprintln!("{e}");
            }
            None
        }
    }
}

/// Puts an update that is ready in place. The application has ended but for this.
pub fn quit(updater: Updater) {
    if let Err(e) = updater.quit() {
        eprintln!("{e}");
    }
}
