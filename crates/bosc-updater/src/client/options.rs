//! What an updater is made from.

use crate::error::{ErrorKind, UpdateError};
use crate::install::HealthPolicy;
use semver::Version;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How an application updates itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UpdaterOptions {
    /// The application's data folder of this user; the updater keeps what it downloads below `bosc-updater` in it.
    pub dir: PathBuf,
    /// What is replaced: an executable, an AppImage, a folder or a `.app`. `None` while developing: nothing is looked
    /// for then.
    pub app: Option<PathBuf>,
    /// The application's name in a drive, with its extension (`Demo`, `Demo.app`, `Demo.AppImage`).
    pub name: String,
    /// The version that runs.
    pub version: Version,
    /// Where updates come from: a `pear://` link, or the `https://` URL of a manifest.
    pub upgrade: String,
    /// Whether to look for updates. Rollback works without it, too.
    pub updates: bool,
    /// Longest random delay before a release that was found while running is fetched. Default: an hour.
    pub delay: Duration,
    /// How often a manifest is asked for. Default: an hour. Links tell by themselves.
    pub poll: Duration,
    /// DHT nodes to start from, as `host:port`; empty for the public ones.
    pub bootstrap: Vec<String>,
    /// Ed25519 public keys, in base64, of which one must have signed a manifest. Links carry their own. Give the next
    /// key here a release before the old one goes.
    pub public_keys: Vec<String>,
    /// The application's name as its manifests are bound to it (`bosc updater manifest --app`). With it, a release of
    /// another application that was signed with the same key is refused.
    pub manifest_app: Option<String>,
    /// Certificates (DER) of the authorities that may vouch for a server, in the place of the built-in list of the
    /// well-known ones: a company's own, or a test's. See [`crate::http::Roots::certificates`] for PEM.
    pub certificates: Vec<Vec<u8>>,
    /// Perry's sentinel ([`crate::perry::get_sentinel_path`]), for an application whose build before or after this one
    /// has Perry's updater: an update that its client made is taken over, with its starts; and what is installed here is
    /// announced in it. `None`: no build has.
    pub sentinel: Option<PathBuf>,
    /// Lets other users find this one and fetch from it. Off by default: then it does not announce itself; peers that it
    /// is connected to for its own downloads may still ask it for blocks.
    pub seed_back: bool,
    /// How a new build proves itself.
    pub health: HealthPolicy,
}

impl UpdaterOptions {
    /// The usual options. `app` is [`this_app`] when the program runs installed.
    pub fn new(
        dir: impl Into<PathBuf>,
        app: Option<PathBuf>,
        name: impl Into<String>,
        version: Version,
        upgrade: impl Into<String>,
    ) -> Self {
        Self {
            dir: dir.into(),
            app,
            name: name.into(),
            version,
            upgrade: upgrade.into(),
            updates: true,
            delay: Duration::from_secs(3600),
            poll: Duration::from_secs(3600),
            bootstrap: Vec::new(),
            public_keys: Vec::new(),
            manifest_app: None,
            certificates: Vec::new(),
            sentinel: None,
            seed_back: false,
            health: HealthPolicy::default(),
        }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.join("bosc-updater")
    }
}

/// What holds the running program: the AppImage it was started from, the `.app` around it, or the executable itself.
/// `None` when the system does not say.
pub fn this_app() -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
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

/// The folder for this user's data of the updater, made for nobody else, and the name of this device in it.
pub(crate) fn device(folder: &Path) -> Result<[u8; 16], UpdateError> {
    let failed = |e: std::io::Error| {
        UpdateError::new(ErrorKind::Disk, format!("the folder {} cannot be used", folder.display()))
            .hint("give the updater a folder that this user may write to")
            .because(e)
    };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(failed)?;
    let path = folder.join("device");
    for _ in 0..2 {
        if let Ok(known) = std::fs::read(&path)
            && let Ok(id) = known.as_slice().try_into()
        {
            return Ok(id);
        }
        let id = random();
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(failed)?;
        std::io::Write::write_all(&mut file, &id).map_err(failed)?;
    }
    std::fs::read(&path).map_err(failed).map(|id| id.as_slice().try_into().unwrap_or_default())
}

/// Not secret, only different on every device: what the standard library seeds its hash maps with.
fn random() -> [u8; 16] {
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
