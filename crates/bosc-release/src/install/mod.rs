//! Where an application goes on each system. The rules take the user's folders as [`UserPlaces`], which only
//! [`UserPlaces::here`] reads from the environment, and ask what exists through a closure, so that all three systems' rules
//! are tested on any of them. What `install` does is in `command`.
//!
//! | | application | programs of `bin` |
//! |---|---|---|
//! | macOS | `~/Applications` | `~/.local/bin` |
//! | Linux | the first that exists of `~/Applications`, `~/AppImages`; else `~/.local/bin` (a folder: `~/.local/lib`) | `~/.local/bin` |
//! | Windows | `.msix`: the system's installer; else `%LOCALAPPDATA%\Programs\<app>` | the same folder |
//!
//! Invariant: the last part of every destination is the name of an artifact, which is the application's or a
//! program's name with one of four extensions, which is a plain file name.
//!
//! # Files
//!
//! - Here: where an application goes. `command/`: what `install` does, what it refuses, a kill. `event`: what is told.

pub(crate) mod command;
pub mod event;

use crate::doctor::is_app;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The machine and folders of the user who asked. They are not those of the process that owns the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserPlaces {
    /// `darwin`, `linux` or `win32`.
    pub platform: String,
    /// `x64` or `arm64`.
    pub arch: String,
    /// The user's folder.
    #[serde(with = "crate::wire_path")]
    pub home: PathBuf,
    /// XDG_DATA_HOME, when set.
    #[serde(default, with = "crate::wire_path")]
    pub data_home: Option<PathBuf>,
    /// LOCALAPPDATA, when set.
    #[serde(default, with = "crate::wire_path")]
    pub local_app_data: Option<PathBuf>,
    /// PATH.
    #[serde(default, with = "crate::wire_path")]
    pub path: Vec<PathBuf>,
}

impl UserPlaces {
    /// Of this process.
    pub fn here() -> Self {
        // A relative one would be another folder in each place that the command is run in.
        let var = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let platform = match std::env::consts::OS {
            "macos" => "darwin",
            "windows" => "win32",
            other => other,
        };
        let arch = match std::env::consts::ARCH {
            "x86_64" => "x64",
            "aarch64" => "arm64",
            other => other,
        };
        Self {
            platform: platform.into(),
            arch: arch.into(),
            home: var("HOME").or_else(|| var("USERPROFILE")).unwrap_or_default(),
            data_home: var("XDG_DATA_HOME"),
            local_app_data: var("LOCALAPPDATA"),
            path: std::env::var_os("PATH").map(|p| std::env::split_paths(&p).collect()).unwrap_or_default(),
        }
    }

    /// As in `/by-arch`.
    pub fn host(&self) -> String {
        format!("{}-{}", self.platform, self.arch)
    }

    /// Where desktop files and icons go on Linux.
    pub fn data_dir(&self) -> PathBuf {
        self.data_home.clone().unwrap_or_else(|| self.home.join(".local").join("share"))
    }
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemKind {
    /// The application.
    App,
    /// A program of `bin`.
    Bin,
    /// A package that Windows installs itself.
    Msix,
}

/// Something to install.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallItem {
    /// Its name in `/by-arch/<host>/app`.
    pub name: String,
    /// What it is.
    pub kind: ItemKind,
    /// Whether it is a folder.
    pub folder: bool,
    /// Where it goes.
    #[serde(with = "crate::wire_path")]
    pub dest: PathBuf,
}

/// What the drive says of the application.
#[derive(Debug, Clone, Default)]
pub struct Application<'a> {
    /// `productName`, else `name`.
    pub app: &'a str,
    /// Names in `bin`.
    pub bins: Vec<String>,
    /// Names in its `app` folder, and whether each is a folder.
    pub found: BTreeMap<String, bool>,
}

/// Why nothing can be installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The application's name would be a path.
    #[error("{0:?} is not a file name")]
    Name(String),
    /// Nothing in the drive has the application's or a program's name.
    #[error("there is no {app} for {host}")]
    NotFound {
        /// The application.
        app: String,
        /// The platform.
        host: String,
    },
    /// `--only` names something that is not there.
    #[error("there is nothing called {0:?} to install")]
    Only(String),
    /// No user's folder is known.
    #[error("no folder to install to is known")]
    NoHome,
}

/// Whether a name can be joined to a folder and stays in it, on every system.
pub fn plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.starts_with(['.', '-', ' '])
        && !name.ends_with(['.', ' '])
        && !name
            .chars()
            .any(|c| c.is_control() || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|'))
}

/// What goes where.
pub fn plan(
    app: &Application<'_>,
    only: &[String],
    to: Option<&Path>,
    places: &UserPlaces,
    exists: &dyn Fn(&Path) -> bool,
) -> Result<Vec<InstallItem>, PlanError> {
    let names = std::iter::once(app.app).chain(app.bins.iter().map(String::as_str));
    if let Some(bad) = names.clone().find(|n| !plain_name(n)) {
        return Err(PlanError::Name(bad.chars().take(120).collect()));
    }
    if places.home.as_os_str().is_empty() && to.is_none() {
        return Err(PlanError::NoHome);
    }
    let mut items = Vec::new();
    for (name, folder) in &app.found {
        let kind = if is_app(name, app.app) {
            if name.to_ascii_lowercase().ends_with(".msix") { ItemKind::Msix } else { ItemKind::App }
        } else if app.bins.iter().any(|b| is_app(name, b)) {
            ItemKind::Bin
        } else {
            continue;
        };
        let wanted = only.is_empty() || only.iter().any(|o| o == name || is_app(name, o));
        if wanted {
            let dest = folder_of(kind, *folder, app.app, to, places, exists).join(name);
            items.push(InstallItem { name: name.clone(), kind, folder: *folder, dest });
        }
    }
    if let Some(missing) = only.iter().find(|o| !items.iter().any(|i| i.name == **o || is_app(&i.name, o))) {
        return Err(PlanError::Only(missing.clone()));
    }
    if items.is_empty() {
        return Err(PlanError::NotFound { app: app.app.to_owned(), host: places.host() });
    }
    Ok(items)
}

fn folder_of(
    kind: ItemKind,
    folder: bool,
    app: &str,
    to: Option<&Path>,
    places: &UserPlaces,
    exists: &dyn Fn(&Path) -> bool,
) -> PathBuf {
    if let Some(to) = to {
        return to.to_owned();
    }
    let local = places.home.join(".local");
    match (places.platform.as_str(), kind) {
        ("win32", _) => {
            let base = places.local_app_data.clone();
            let base = base.unwrap_or_else(|| places.home.join("AppData").join("Local"));
            base.join("Programs").join(app)
        }
        (_, ItemKind::Bin) => local.join("bin"),
        ("darwin", _) => places.home.join("Applications"),
        _ => ["Applications", "AppImages"]
            .iter()
            .map(|n| places.home.join(n))
            .find(|p| exists(p))
            .unwrap_or_else(|| local.join(if folder { "lib" } else { "bin" })),
    }
}

/// `bosc install`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Install {
    /// The link.
    pub link: String,
    /// Take away what was installed from the link.
    pub uninstall: bool,
    /// Only these of the programs in `bin`.
    pub only: Vec<String>,
    /// Where to install; made when missing. Absolute.
    #[serde(default, with = "crate::wire_path")]
    pub to: Option<PathBuf>,
    /// The folders of the user who asked.
    pub places: UserPlaces,
    /// Give up when no peer delivers for so long, in milliseconds.
    pub timeout_ms: u64,
    /// Mirrors to read from beside peers: URLs, or absolute paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn places(platform: &str) -> UserPlaces {
        UserPlaces {
            platform: platform.into(),
            arch: "x64".into(),
            home: "/home/u".into(),
            local_app_data: Some("/lad".into()),
            ..UserPlaces::default()
        }
    }

    fn app(found: &[(&str, bool)]) -> Application<'static> {
        Application {
            app: "Demo App",
            bins: vec!["ctl".into()],
            found: found.iter().map(|(n, f)| ((*n).to_owned(), *f)).collect(),
        }
    }

    #[test]
    fn each_system_has_its_places() {
        let there = |have: &'static [&'static str]| move |p: &Path| have.iter().any(|h| Path::new(h) == p);
        for (platform, found, have, dest) in [
            ("linux", ("Demo App.AppImage", false), &[][..], "/home/u/.local/bin/Demo App.AppImage"),
            (
                "linux",
                ("Demo App.AppImage", false),
                &["/home/u/AppImages"][..],
                "/home/u/AppImages/Demo App.AppImage",
            ),
            (
                "linux",
                ("Demo App.AppImage", false),
                &["/home/u/Applications", "/home/u/AppImages"][..],
                "/home/u/Applications/Demo App.AppImage",
            ),
            ("linux", ("Demo App", true), &[][..], "/home/u/.local/lib/Demo App"),
            ("linux", ("ctl", false), &["/home/u/Applications"][..], "/home/u/.local/bin/ctl"),
            ("darwin", ("Demo App.app", true), &[][..], "/home/u/Applications/Demo App.app"),
            ("darwin", ("ctl", false), &[][..], "/home/u/.local/bin/ctl"),
            ("win32", ("Demo App.exe", false), &[][..], "/lad/Programs/Demo App/Demo App.exe"),
            ("win32", ("ctl.exe", false), &[][..], "/lad/Programs/Demo App/ctl.exe"),
            ("win32", ("Demo App.msix", false), &[][..], "/lad/Programs/Demo App/Demo App.msix"),
        ] {
            let items = plan(&app(&[found]), &[], None, &places(platform), &there(have)).unwrap();
            assert_eq!(items.first().unwrap().dest, Path::new(dest), "{platform} {found:?}");
            let to = plan(&app(&[found]), &[], Some(Path::new("/x")), &places(platform), &|_| false).unwrap();
            assert_eq!(to.first().unwrap().dest, Path::new("/x").join(found.0));
        }
    }

    #[test]
    fn only_what_belongs_to_the_application_is_taken() {
        let found = [("Demo App.AppImage", false), ("ctl", false), ("other", false), ("..", true)];
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|s| (*s).to_owned()).collect();
            plan(&app(&found), &only, None, &places("linux"), &|_| false)
                .map(|i| i.into_iter().map(|i| i.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap(), ["Demo App.AppImage", "ctl"]);
        assert_eq!(names(&["ctl"]).unwrap(), ["ctl"]);
        assert_eq!(names(&["Demo App"]).unwrap(), ["Demo App.AppImage"]);
        assert_eq!(names(&["other"]), Err(PlanError::Only("other".into())));
        let none = plan(&app(&[("other", false)]), &[], None, &places("linux"), &|_| false);
        assert!(matches!(none, Err(PlanError::NotFound { .. })));
    }

    #[test]
    fn names_that_are_paths_are_refused() {
        for bad in
            ["..", ".", "a/b", "a\\b", "", "/etc", "C:x", ".hidden", "a\nb", "-rf", "a ", &"x".repeat(300)]
        {
            assert!(!plain_name(bad), "{bad:?}");
            let hostile = Application { app: bad, ..app(&[("x", false)]) };
            let refused = plan(&hostile, &[], None, &places("linux"), &|_| false);
            assert!(matches!(refused, Err(PlanError::Name(_))), "{bad:?}");
        }
        let hostile = Application { bins: vec!["../x".into()], ..app(&[("x", false)]) };
        assert!(matches!(plan(&hostile, &[], None, &places("linux"), &|_| false), Err(PlanError::Name(_))));
        let homeless = UserPlaces { home: PathBuf::new(), ..places("linux") };
        assert_eq!(plan(&app(&[("ctl", false)]), &[], None, &homeless, &|_| false), Err(PlanError::NoHome));
    }
}
