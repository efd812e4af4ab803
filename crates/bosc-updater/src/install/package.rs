//! Applications that came in an MSIX package, and releases that come as one: how they differ from files.
//!
//! Windows keeps a packaged application in `…\WindowsApps\<full name>\`, and its data in
//! `%LOCALAPPDATA%\Packages\<family name>\LocalState`, which it shows every program under the same path. The full name is
//! `<name>_<version>_<architecture>_<resources>_<publisher>`, the family name `<name>_<publisher>`.

use crate::error::{ErrorKind, UpdateError};
use crate::release::Staged;
use std::path::{Path, PathBuf};

/// Whether a release comes as an MSIX package: by the name it was staged under, or the one it has at its origin.
pub(crate) fn is_package(staged: &Staged) -> bool {
    let origin = staged.release.origin.split(['?', '#']).next().unwrap_or_default();
    staged.path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("msix"))
        || origin.rsplit('/').next().is_some_and(|name| name.to_ascii_lowercase().ends_with(".msix"))
}

/// A package in place of a program would be a file that nothing can start.
pub(super) fn refuse_as_file(staged: &Staged) -> Result<(), UpdateError> {
    if !is_package(staged) {
        return Ok(());
    }
    Err(if cfg!(windows) {
        UpdateError::new(ErrorKind::Unsupported, "an MSIX package cannot replace a file")
            .hint("release the program as an .exe: this copy of it was not installed from a package")
    } else {
        unsupported()
    })
}

pub(super) fn unsupported() -> UpdateError {
    UpdateError::new(ErrorKind::Unsupported, "the release is an MSIX package, which only Windows can install")
        .hint("release a build for this platform: an executable, an AppImage, a folder or a .app")
}

/// The package that a program came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Names the application's packages of every version.
    pub(super) family: String,
}

/// The package that the program at a path came in; `None` for every other one, and elsewhere than on Windows.
pub(super) fn of(target: &Path) -> Option<Found> {
    if !cfg!(windows) && !stands_in() {
        return None;
    }
    let in_apps = |folder: &&Path| {
        let above = folder.parent().and_then(Path::file_name);
        above.is_some_and(|name| name.eq_ignore_ascii_case("WindowsApps"))
    };
    let folder = target.ancestors().skip(1).find(in_apps)?;
    family_of(folder.file_name()?.to_str()?).map(|family| Found { family })
}

fn family_of(full: &str) -> Option<String> {
    let parts: Vec<&str> = full.split('_').collect();
    let [name, version, _architecture, _resources, publisher] = parts.as_slice() else { return None };
    let number = |part: &str| part.parse::<u16>().is_ok();
    let good = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
        && version.split('.').count() == 4
        && version.split('.').all(number)
        && publisher.len() == 13
        && publisher.bytes().all(|b| b.is_ascii_alphanumeric());
    good.then(|| format!("{name}_{publisher}"))
}

/// Whether a test plays Windows.
fn stands_in() -> bool {
    #[cfg(all(feature = "faults", feature = "msix"))]
    {
        super::msix::stand_in::is_set()
    }
    #[cfg(not(all(feature = "faults", feature = "msix")))]
    {
        false
    }
}

impl Found {
    /// This program was built without packages.
    #[cfg(not(feature = "msix"))]
    pub(super) fn refuse(&self) -> UpdateError {
        UpdateError::new(
            ErrorKind::Unsupported,
            format!("the application came in the MSIX package {}, and was built without them", self.family),
        )
        .hint("build it with the feature `msix` of bosc-updater")
    }

    /// Where the updater of the application keeps its files: in `local`, the folder of `%LOCALAPPDATA%`.
    #[cfg_attr(not(feature = "msix"), allow(dead_code))]
    pub(super) fn folder(&self, local: &Path) -> PathBuf {
        local.join("Packages").join(&self.family).join("LocalState").join("bosc-updater")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_known_by_its_full_name() {
        let good = "Example.Demo_1.2.3.0_x64__8wekyb3d8bbwe";
        assert_eq!(family_of(good).as_deref(), Some("Example.Demo_8wekyb3d8bbwe"));
        for bad in [
            "",
            "Demo",
            "Example.Demo_8wekyb3d8bbwe",
            "Example.Demo_1.2.3_x64__8wekyb3d8bbwe",
            "Example.Demo_1.2.3.x_x64__8wekyb3d8bbwe",
            "Example.Demo_1.2.3.0_x64__8wekyb3d8bbw",
            "Example.Demo_1.2.3.0_x64_8wekyb3d8bbwe",
            "Exa mple_1.2.3.0_x64__8wekyb3d8bbwe",
            "_1.2.3.0_x64__8wekyb3d8bbwe",
            "Example.Demo_1.2.3.0_x64__8wekyb3d8bb..",
        ] {
            assert_eq!(family_of(bad), None, "{bad}");
        }
        // An alias lies there too, and is not a package.
        assert_eq!(of(Path::new("/x/Microsoft/WindowsApps/demo.exe")), None);
    }
}
