//! Where the application, its previous build and the sentinel are.
//!
//! The rules are Perry's, with two repairs: an empty `XDG_STATE_HOME` counts as not set (there it gives a path relative to
//! wherever the program was started), and a `PERRY_APP_ID` that would leave the folder (`..`, a separator) is not taken.

use crate::error::{ErrorKind, UpdateError};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

/// The conventions of an operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Os {
    /// macOS and iOS.
    Mac,
    /// Windows.
    Windows,
    /// All others.
    Unix,
}

impl Os {
    /// The one this build is for.
    pub const HERE: Self = if cfg!(target_vendor = "apple") {
        Self::Mac
    } else if cfg!(windows) {
        Self::Windows
    } else {
        Self::Unix
    };
}

/// Reads environment variables; tests bring their own.
pub type Env<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Perry's `getExePath`: what an update replaces. `$APPIMAGE` as it is if set, else this executable with links resolved; on
/// macOS the nearest folder above it that ends in `.app`.
///
/// # Errors
/// `Disk` when the system does not tell.
pub fn get_exe_path() -> Result<PathBuf, UpdateError> {
    let exe = std::env::current_exe().map_err(|e| {
        UpdateError::new(ErrorKind::Disk, "the path of this program is not known")
            .hint("start the application by its full path")
            .because(e)
    })?;
    let resolved = exe.canonicalize().unwrap_or(exe);
    Ok(exe_path_of(&environment, Os::HERE, resolved))
}

/// [`get_exe_path`] for any system; `exe` is the resolved executable.
pub fn exe_path_of(env: &Env<'_>, os: Os, exe: PathBuf) -> PathBuf {
    if let Some(image) = env("APPIMAGE").filter(|v| !v.is_empty()) {
        return image.into();
    }
    if os == Os::Mac
        && let Some(app) = exe.ancestors().skip(1).find(|p| p.extension() == Some(OsStr::new("app")))
    {
        return app.to_owned();
    }
    exe
}

/// Perry's `getBackupPath`: [`get_exe_path`] with `.prev` behind.
///
/// # Errors
/// As [`get_exe_path`].
pub fn get_backup_path() -> Result<PathBuf, UpdateError> {
    Ok(backup_path(&get_exe_path()?))
}

/// Where the previous build of `target` is kept: `<target>.prev`.
pub fn backup_path(target: &Path) -> PathBuf {
    suffixed(target, ".prev")
}

/// Where a new build of `target` waits: `<target>.staged`.
pub fn staged_path(target: &Path) -> PathBuf {
    suffixed(target, ".staged")
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Perry's `getSentinelPath`: `<state folder>/<application>/updater.sentinel`.
///
/// The folder is `$HOME/Library/Application Support`, `%LOCALAPPDATA%` (else `%APPDATA%`, else `C:\Temp`), or
/// `$XDG_STATE_HOME` (else `$HOME/.local/state`, else `/tmp/.local/state`); the application `$PERRY_APP_ID`, else the stem
/// of the executable's name, else `perry-app`.
pub fn get_sentinel_path() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    sentinel_path_of(&environment, Os::HERE, &exe)
}

/// [`get_sentinel_path`] for any system; `exe` is the executable.
pub fn sentinel_path_of(env: &Env<'_>, os: Os, exe: &Path) -> PathBuf {
    let var = |name: &str| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let folder = match os {
        Os::Mac => var("HOME").unwrap_or_else(|| "/tmp".into()).join("Library/Application Support"),
        Os::Windows => var("LOCALAPPDATA").or_else(|| var("APPDATA")).unwrap_or_else(|| "C:\\Temp".into()),
        Os::Unix => var("XDG_STATE_HOME")
            .unwrap_or_else(|| var("HOME").unwrap_or_else(|| "/tmp".into()).join(".local/state")),
    };
    let app = env("PERRY_APP_ID")
        .filter(|id| is_one_name(id))
        .or_else(|| exe.file_stem().map(OsStr::to_owned))
        .unwrap_or_else(|| "perry-app".into());
    folder.join(app).join("updater.sentinel")
}

fn is_one_name(id: &OsStr) -> bool {
    let mut parts = Path::new(id).components();
    let one = matches!(parts.next(), Some(Component::Normal(n)) if n == id) && parts.next().is_none();
    one && !id.to_string_lossy().contains(['/', '\\', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(vars: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        move |name| vars.iter().find(|(k, _)| *k == name).map(|(_, v)| OsString::from(v))
    }

    #[test]
    fn the_sentinel_is_where_perry_has_it() {
        let exe = Path::new("/opt/x/my-app.bin");
        let at = |os, vars: &[(&str, &str)]| sentinel_path_of(&env(vars), os, exe);
        let is = |got: PathBuf, want: &str| assert_eq!(got, Path::new(want));
        is(at(Os::Unix, &[("HOME", "/h")]), "/h/.local/state/my-app/updater.sentinel");
        is(at(Os::Unix, &[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]), "/s/my-app/updater.sentinel");
        is(
            at(Os::Unix, &[("HOME", "/h"), ("XDG_STATE_HOME", "")]),
            "/h/.local/state/my-app/updater.sentinel",
        );
        is(at(Os::Unix, &[]), "/tmp/.local/state/my-app/updater.sentinel");
        is(at(Os::Unix, &[("PERRY_APP_ID", "id"), ("HOME", "/h")]), "/h/.local/state/id/updater.sentinel");
        is(at(Os::Unix, &[("PERRY_APP_ID", ""), ("HOME", "/h")]), "/h/.local/state/my-app/updater.sentinel");
        is(at(Os::Mac, &[("HOME", "/h")]), "/h/Library/Application Support/my-app/updater.sentinel");
        is(at(Os::Mac, &[]), "/tmp/Library/Application Support/my-app/updater.sentinel");
        let windows = at(Os::Windows, &[("APPDATA", "A")]);
        assert_eq!(windows, Path::new("A").join("my-app").join("updater.sentinel"));
        let windows = at(Os::Windows, &[("APPDATA", "A"), ("LOCALAPPDATA", "L")]);
        assert_eq!(windows, Path::new("L").join("my-app").join("updater.sentinel"));
        assert!(at(Os::Windows, &[]).starts_with("C:\\Temp"));
        let none = sentinel_path_of(&env(&[]), Os::Unix, Path::new(""));
        is(none, "/tmp/.local/state/perry-app/updater.sentinel");
    }

    #[test]
    fn an_app_id_cannot_leave_the_folder() {
        for id in ["..", ".", "a/b", "/etc", "a\\b", "c:", "a/"] {
            let got = sentinel_path_of(
                &env(&[("PERRY_APP_ID", id), ("HOME", "/h")]),
                Os::Unix,
                Path::new("/x/app"),
            );
            assert_eq!(got, Path::new("/h/.local/state/app/updater.sentinel"), "{id}");
        }
    }

    #[test]
    fn what_is_replaced_is_what_perry_replaces() {
        let exe = || PathBuf::from("/Applications/My.app/Contents/MacOS/My");
        assert_eq!(exe_path_of(&env(&[]), Os::Mac, exe()), Path::new("/Applications/My.app"));
        assert_eq!(exe_path_of(&env(&[]), Os::Unix, exe()), exe());
        let nested = PathBuf::from("/A.app/Contents/Frameworks/H.app/Contents/MacOS/H");
        assert_eq!(exe_path_of(&env(&[]), Os::Mac, nested), Path::new("/A.app/Contents/Frameworks/H.app"));
        for os in [Os::Mac, Os::Unix, Os::Windows] {
            let got = exe_path_of(&env(&[("APPIMAGE", "/home/x/My.AppImage")]), os, exe());
            assert_eq!(got, Path::new("/home/x/My.AppImage"));
        }
        assert_eq!(exe_path_of(&env(&[("APPIMAGE", "")]), Os::Unix, exe()), exe());
        assert_eq!(backup_path(Path::new("/x/App.app")), Path::new("/x/App.app.prev"));
        assert_eq!(staged_path(Path::new("/x/App.app")), Path::new("/x/App.app.staged"));
    }
}
