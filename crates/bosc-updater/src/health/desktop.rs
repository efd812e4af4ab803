//! The environment that the desktop gave, out of that of a program in an AppImage.
//!
//! An AppImage's own start script puts its folders into the paths of its program (`LD_LIBRARY_PATH`, `PATH`, `XDG_DATA_DIRS`,
//! `PYTHONHOME`, `QT_PLUGIN_PATH`, …). A program that is started from there must not look in them: they are of the old build, and
//! they are gone when that has ended.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What an AppImage's runtime tells the program inside it. The next one must hear it from its own runtime.
const APPIMAGE: [&str; 4] = ["APPIMAGE", "APPDIR", "ARGV0", "OWD"];

/// The folder that an AppImage's content was mounted at.
fn mounted(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = PathBuf::from(variable("APPDIR").filter(|v| !v.is_empty())?);
    // Something other than the root, which everything is below.
    (folder.is_absolute() && folder.components().count() > 1).then_some(folder)
}

/// What is to be changed in an environment: names, and their new values or none.
pub(super) fn changes(all: impl Iterator<Item = (OsString, OsString)>) -> Vec<(OsString, Option<OsString>)> {
    let all: Vec<_> = all.collect();
    let of = |name: &str| all.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
    let mount = mounted(&of);
    let mut out = Vec::new();
    for (name, value) in &all {
        if APPIMAGE.iter().any(|ours| name == ours) {
            out.push((name.clone(), None));
        } else if let Some(cleaned) = mount.as_deref().and_then(|mount| without(name, value, mount)) {
            out.push((name.clone(), Some(cleaned).filter(|value| !value.is_empty())));
        }
    }
    out
}

/// A list of paths without those below `mount`; `None` when there are none.
fn without(name: &OsStr, value: &OsStr, mount: &Path) -> Option<OsString> {
    // The loader takes spaces, too.
    let spaces = name == "LD_PRELOAD";
    let parts: Vec<PathBuf> = if spaces {
        let text = value.to_str()?;
        text.split([' ', ':']).map(PathBuf::from).collect()
    } else {
        std::env::split_paths(value).collect()
    };
    // A list of paths, and no address with a colon in it.
    let is_path = |part: &Path| part.is_absolute() || part.as_os_str().is_empty() || part.starts_with(".");
    if !parts.iter().all(|part| is_path(part)) || !parts.iter().any(|part| part.starts_with(mount)) {
        return None;
    }
    // An empty part comes of what was put before nothing, and means the current folder.
    let kept = parts.iter().filter(|part| !part.starts_with(mount) && !part.as_os_str().is_empty());
    std::env::join_paths(kept).ok()
}

/// The folder to start in: not one that goes with the mount.
pub(super) fn folder(wanted: Option<&Path>, variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let mount = mounted(variable);
    match (wanted, mount) {
        (wanted, Some(mount)) => {
            let there = wanted.map(Path::to_owned).or_else(|| std::env::current_dir().ok())?;
            if !there.starts_with(&mount) {
                return wanted.map(Path::to_owned);
            }
            // Where the person started the old one.
            let before =
                variable("OWD").map(PathBuf::from).filter(|owd| owd.is_dir() && !owd.starts_with(&mount));
            Some(before.unwrap_or_else(|| PathBuf::from("/")))
        }
        (wanted, None) => wanted.map(Path::to_owned),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const ALL: [(&str, &str); 17] = [
        ("APPIMAGE", "/home/me/Demo.AppImage"),
        ("APPDIR", "/tmp/.mount_Demo1"),
        ("ARGV0", "Demo"),
        ("OWD", "/"),
        ("LD_LIBRARY_PATH", "/tmp/.mount_Demo1/usr/lib:/tmp/.mount_Demo1/lib:"),
        ("PATH", "/tmp/.mount_Demo1/usr/bin:/usr/bin:/bin"),
        ("XDG_DATA_DIRS", "/tmp/.mount_Demo1/usr/share:/usr/local/share:/usr/share"),
        ("PYTHONHOME", "/tmp/.mount_Demo1/usr"),
        ("LD_PRELOAD", "/tmp/.mount_Demo1/a.so /usr/lib/b.so"),
        ("GI_TYPELIB_PATH", "/tmp/.mount_Demo1/lib::/usr/lib"),
        ("QT_PLUGIN_PATH", "/tmp/.mount_Demo1"),
        ("OTHER", "/tmp/.mount_Demo12/usr"),
        ("HOME", "/home/me"),
        ("MANPATH", "/usr/man::/opt/man"),
        ("TEXT", "it is at /tmp/.mount_Demo1/usr"),
        ("LINK", "pear:/tmp/.mount_Demo1/x"),
        ("EMPTY", ""),
    ];

    fn all() -> impl Iterator<Item = (OsString, OsString)> {
        ALL.iter().map(|(name, value)| (name.into(), value.into()))
    }

    #[test]
    fn a_program_from_an_appimage_gets_the_desktops_environment() {
        let mut changes = changes(all());
        changes.sort();
        let want = [
            ("APPDIR", None),
            ("APPIMAGE", None),
            ("ARGV0", None),
            ("GI_TYPELIB_PATH", Some("/usr/lib")),
            ("LD_LIBRARY_PATH", None),
            ("LD_PRELOAD", Some("/usr/lib/b.so")),
            ("OWD", None),
            ("PATH", Some("/usr/bin:/bin")),
            ("PYTHONHOME", None),
            ("QT_PLUGIN_PATH", None),
            ("XDG_DATA_DIRS", Some("/usr/local/share:/usr/share")),
        ];
        let want: Vec<(OsString, Option<OsString>)> =
            want.iter().map(|(name, value)| (name.into(), value.map(OsString::from))).collect();
        assert_eq!(changes, want);
        // Elsewhere nothing is touched.
        let others = || {
            all().filter(|(name, _)| {
                name != "APPDIR" && name != "APPIMAGE" && name != "ARGV0" && name != "OWD"
            })
        };
        assert_eq!(super::changes(others()), []);
        for root in ["/", "", "relative"] {
            let odd = others().chain([("APPDIR".into(), root.into())]);
            assert_eq!(super::changes(odd), [("APPDIR".into(), None)], "{root:?}");
        }
    }

    #[test]
    fn it_does_not_start_in_a_folder_that_goes() {
        let of = |name: &str| ALL.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value));
        assert_eq!(folder(Some(Path::new("/tmp/.mount_Demo1/usr")), &of), Some(PathBuf::from("/")));
        assert_eq!(folder(Some(Path::new("/home")), &of), Some(PathBuf::from("/home")));
        assert_eq!(folder(Some(Path::new("/home")), &|_| None), Some(PathBuf::from("/home")));
        assert_eq!(folder(None, &|_| None), None);
        let mount = tempfile::tempdir().unwrap();
        let (mount, here) = (mount.path(), std::env::current_dir().unwrap());
        for (wanted, mount, owd, starts) in [
            (Some(mount), mount, Path::new("/usr"), "/usr"),
            // One that is gone, one that will be.
            (Some(mount), mount, Path::new("/usr/gone"), "/"),
            (Some(mount), mount, mount, "/"),
            // Where this process is, when nothing else is wanted.
            (None, &here, Path::new("/usr"), "/usr"),
        ] {
            let of = |name: &str| match name {
                "APPDIR" => Some(mount.into()),
                "OWD" => Some(owd.into()),
                _ => None,
            };
            assert_eq!(folder(wanted, &of), Some(PathBuf::from(starts)), "{wanted:?} {}", owd.display());
        }
    }
}
