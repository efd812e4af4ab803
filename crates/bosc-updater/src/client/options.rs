//! What an updater is made from.

use super::builder::UpdateSource;
use crate::error::{ErrorKind, UpdateError};
use crate::files;
use crate::health::Program;
use crate::install::HealthPolicy;
use bosc_files::read_bounded;
use semver::Version;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How an application updates itself, as a builder collected it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The application's data folder of this user; the updater keeps what it downloads below `bosc-updater` in it.
    pub(crate) dir: Option<PathBuf>,
    /// What is replaced.
    pub(crate) app: Option<PathBuf>,
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
            UpdateError::new(ErrorKind::Input, "no folder for the application's data is known")
                .hint("name one with `UpdaterBuilder::data_folder`")
        })?;
        Ok(dir.join("bosc-updater"))
    }
}

/// The folder in which applications of this name keep this user's data, as Pear has it: in `$XDG_CONFIG_HOME` or `~/.config`, in
/// `~/Library/Application Support`, in `%LOCALAPPDATA%`. `None` where the environment names none.
pub fn data_folder(name: &str) -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
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

/// What holds the running program: the AppImage it was started from, the `.app` around it, or the executable itself.
/// `None` when that is no installed application: a build folder (as under `cargo run`), an interpreter. [`why_no_app`] says why.
pub fn this_app() -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
    if no_app(&exe).is_some() {
        return None;
    }
    // A program that an AppImage started (a terminal, say) has these variables too, and is not in that image.
    if cfg!(target_os = "linux")
        && let Some(image) = std::env::var_os("APPIMAGE").filter(|v| !v.is_empty())
        && let Some(mounted) = std::env::var_os("APPDIR").filter(|v| !v.is_empty())
        && let (Ok(exe), Ok(mounted)) = (exe.canonicalize(), Path::new(&mounted).canonicalize())
        && exe.starts_with(mounted)
    {
        return Some(image.into());
    }
    let bundle = exe.ancestors().find(|p| p.extension().is_some_and(|e| e == "app")).map(Path::to_owned);
    Some(bundle.filter(|_| cfg!(target_os = "macos")).unwrap_or(exe))
}

/// Why [`this_app`] names none, in one sentence; `None` when it names one.
pub fn why_no_app() -> Option<String> {
    match std::env::current_exe() {
        Ok(exe) => no_app(&exe),
        Err(e) => Some(format!("the path of this program is not known: {e}")),
    }
}

/// Programs that run others' code: an update must not replace them.
const INTERPRETERS: [&str; 18] = [
    "bash",
    "bun",
    "dash",
    "deno",
    "dotnet",
    "electron",
    "java",
    "javaw",
    "lua",
    "node",
    "nodejs",
    "perl",
    "php",
    "powershell",
    "pwsh",
    "python",
    "ruby",
    "sh",
];

fn no_app(exe: &Path) -> Option<String> {
    // Cargo keeps its own files beside what it builds, wherever that folder is.
    let is_build =
        |folder: &Path| folder.join(".fingerprint").is_dir() || folder.join(".cargo-lock").is_file();
    if exe.ancestors().skip(1).take(3).any(is_build) {
        return Some(format!("{} lies in a build folder: it is not an installed application", exe.display()));
    }
    let stem = exe.file_stem().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let plain = stem.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').trim_end_matches(['w', '-']);
    if [stem.as_str(), plain].iter().any(|name| INTERPRETERS.contains(name)) {
        return Some(format!("{} runs other programs: it is not the application", exe.display()));
    }
    None
}

/// The folder for this user's data of the updater, made for nobody else, and the name of this device in it.
pub(crate) fn device(folder: &Path) -> Result<[u8; 16], UpdateError> {
    let failed = |e: std::io::Error| {
        UpdateError::new(ErrorKind::Disk, format!("the folder {} cannot be used", folder.display()))
            .hint("give the updater a folder that this user may write to")
            .because(e)
    };
    bosc_files::make_private_folders(folder).map_err(failed)?;
    let path = folder.join("device");
    for _ in 0..2 {
        if let Ok(Some(known)) = read_bounded(&path, 16)
            && let Ok(id) = known.as_slice().try_into()
        {
            return Ok(id);
        }
        files::state().write(&path, &random()).map_err(failed)?;
    }
    let id = read_bounded(&path, 16).map_err(failed)?.unwrap_or_default();
    Ok(id.as_slice().try_into().unwrap_or_default())
}

/// Not secret, only different on every device: what the standard library seeds its hash maps with.
pub(crate) fn random() -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    let mut id = [0; 16];
    for (half, n) in id.chunks_mut(8).zip(0u64..) {
        half.copy_from_slice(&RandomState::new().hash_one((n, std::process::id())).to_le_bytes());
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_build_folder_nor_an_interpreter_is_an_application() {
        let temp = tempfile::tempdir().unwrap();
        let debug = temp.path().join("target/debug");
        std::fs::create_dir_all(debug.join(".fingerprint")).unwrap();
        for inside in ["demo", "deps/demo-1", "examples/demo"] {
            assert!(no_app(&debug.join(inside)).unwrap().contains("build folder"), "{inside}");
        }
        for name in ["python3.12", "python", "pythonw.exe", "node", "Node.exe", "ruby3.2", "java"] {
            assert!(no_app(&Path::new("/usr/bin").join(name)).unwrap().contains("other programs"), "{name}");
        }
        for name in ["/opt/target/demo", "/usr/bin/nodepad", "/usr/bin/rubyist", "/home/me/Demo.AppImage"] {
            assert_eq!(no_app(Path::new(name)), None, "{name}");
        }
        // This test, as every program that cargo runs.
        assert_eq!(this_app(), None);
        assert!(why_no_app().is_some());
    }

    #[test]
    fn a_device_keeps_its_name() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("a/b");
        let id = device(&folder).unwrap();
        assert_ne!(id, [0; 16]);
        assert_eq!(device(&folder).unwrap(), id);
        assert_ne!(device(&temp.path().join("c")).unwrap(), id);
        // A damaged file is replaced.
        std::fs::write(folder.join("device"), b"xx").unwrap();
        let new = device(&folder).unwrap();
        assert_eq!(device(&folder).unwrap(), new);
    }
}
