//! What a P2P source is made from.

use crate::error::UpdateError;
pub use crate::source::Where;
use bosc_follow::Stop;
use bosc_follow::mirror::Carrier;
use semver::Version;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Fails with `NoSpace` unless so many bytes more fit on the file system of a folder.
pub type Room = Arc<dyn Fn(&Path, u64) -> Result<(), UpdateError> + Send + Sync>;

/// A mirror by the address that a link's policy gives. What it refuses is not used.
pub type NamedMirror = Arc<dyn Fn(&str) -> Result<Arc<dyn Carrier>, UpdateError> + Send + Sync>;

/// How a `pear://` link is followed.
#[derive(Clone)]
#[non_exhaustive]
pub struct P2pOptions {
    /// The link. A version in it is the oldest one that is taken, a hash the history it must continue.
    pub link: String,
    /// Folder for what is downloaded; made when missing, for this user alone. One process at a time.
    pub dir: PathBuf,
    /// Name of the application in the drive, with its extension: `/by-arch/<platform>/app/<name>`. Without one, the
    /// platform's usual extensions are tried too.
    pub name: String,
    /// Builds on this disk whose bytes need not be fetched: the installed one first, then older ones.
    pub builds: Vec<PathBuf>,
    /// The installed version: with it, a store that holds that build whole is not compared with the build again.
    pub version: Option<Version>,
    /// DHT nodes to start from, as `host:port`; empty for the public ones.
    pub bootstrap: Vec<String>,
    /// Public keys of blind relays to go through where no direct way to a peer is found.
    pub relay: Vec<String>,
    /// Find peers in the local network as well, and be found there with `seed_back`.
    pub lan: bool,
    /// Mirrors of the drive, asked at the same time as peers; see [`super::mirror`].
    pub mirrors: Vec<Arc<dyn Carrier>>,
    /// Makes the mirrors that the link's policy names, at most 16 with `mirrors`. Without it they are not used.
    pub named_mirror: Option<NamedMirror>,
    /// Lets others find this peer and fetch from it.
    pub seed_back: bool,
    /// The platform as the drive names it, such as `linux-x64`.
    pub platform: String,
    /// How long nobody may deliver before a call gives up. What was downloaded is kept.
    pub patience: Duration,
    /// Asked before anything large is written; the disk is not asked without it.
    pub room: Option<Room>,
    /// What is installed, for the rules of the link (`/release.json`). Without it a check's version is what is installed, and nothing
    /// is kept beside it.
    pub standing: Option<Where>,
    /// Names this device. Who is in a rollout follows from it, here: it is never sent. Without it the store's own secret does.
    pub device: Option<[u8; 16]>,
    /// Ends a running check with `Cancelled`. While a release is fetched it has the progress reported at once, and its receiver
    /// decides.
    pub stop: Stop,
}

impl fmt::Debug for P2pOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("P2pOptions")
            .field("link", &self.link)
            .field("dir", &self.dir)
            .field("name", &self.name)
            .field("builds", &self.builds)
            .field("seed_back", &self.seed_back)
            .field("platform", &self.platform)
            .finish_non_exhaustive()
    }
}

impl P2pOptions {
    /// The usual options for a link, a folder of the application's data and a name.
    pub fn new(link: impl Into<String>, dir: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        Self {
            link: link.into(),
            dir: dir.into(),
            name: name.into(),
            builds: Vec::new(),
            version: None,
            bootstrap: Vec::new(),
            relay: Vec::new(),
            lan: false,
            mirrors: Vec::new(),
            named_mirror: None,
            seed_back: false,
            platform: host(),
            patience: Duration::from_secs(60),
            room: None,
            standing: None,
            device: None,
            stop: Stop::new(),
        }
    }
}

/// This platform as drives name it: `linux-x64`, `darwin-arm64`, `win32-x64` and so on.
pub fn host() -> String {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        "x86" => "ia32",
        other => other,
    };
    format!("{os}-{arch}")
}

/// Names the application may have in the drive: as given, then with the platform's extensions.
pub(super) fn candidates(name: &str, platform: &str) -> Vec<String> {
    let extensions: &[&str] = match platform.split('-').next() {
        Some("darwin") => &[".app"],
        Some("win32") => &[".exe", ".msix"],
        Some("linux") => &[".AppImage"],
        _ => &[],
    };
    let mut out = vec![name.to_owned()];
    let has = |e: &str| name.to_ascii_lowercase().ends_with(&e.to_ascii_lowercase());
    if !extensions.iter().any(|e| has(e)) {
        out.extend(extensions.iter().map(|e| format!("{name}{e}")));
    }
    out
}
