//! The three calls of the wrapper: check, download, install and relaunch.
//!
//! ```text
//! check_for_update ──▶ nothing newer for this platform, or held back after a rollback: None
//!                 └──▶ Update ── download ──▶ downloaded and proved ── install_and_relaunch ──▶ end this process
//! ```

use super::install::apply_and_relaunch;
use super::lifecycle;
use super::paths::{get_exe_path, get_sentinel_path};
use crate::error::{ErrorKind, UpdateError};
use crate::health::Program;
use crate::http::{HttpOptions, HttpSource, Roots};
use crate::install::{Admission, Installer, Options};
use crate::manifest::version::parse_version;
use crate::release::{Release, Staged};
use crate::source::Source;
use semver::Version;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// What [`check_for_update`] is given: Perry's three, and what has a default here.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CheckOptions {
    /// `manifestUrl`: https, or http on this machine.
    pub manifest_url: String,
    /// `publicKey`: Base64 of 32 bytes.
    pub public_key: String,
    /// `currentVersion`: the version that runs, as SemVer without a leading `v`.
    pub current_version: String,
    /// The name that the publisher binds releases to (`bosc updater manifest --app`); with it a release of another application that
    /// was signed with the same key is refused.
    pub app: Option<String>,
    /// Whose certificates the server may have.
    pub roots: Roots,
    /// What an update replaces [default: [`super::get_exe_path`]].
    pub target: Option<PathBuf>,
    /// Where the sentinel is [default: [`super::get_sentinel_path`]]. What was seen of servers is remembered beside it, in
    /// `https.json`: a server is not followed back to the older signature format.
    pub sentinel: Option<PathBuf>,
    /// How the new build is started.
    pub program: Program,
}

impl CheckOptions {
    /// Perry's three, and the defaults.
    pub fn new(
        manifest_url: impl Into<String>,
        public_key: impl Into<String>,
        current_version: impl Into<String>,
    ) -> Self {
        Self {
            manifest_url: manifest_url.into(),
            public_key: public_key.into(),
            current_version: current_version.into(),
            app: None,
            roots: Roots::Bundled,
            target: None,
            sentinel: None,
            program: Program::default(),
        }
    }
}

/// Perry's `checkForUpdate`: fetches the manifest and says what it offers this platform. `None` when that is nothing newer, and when
/// it was rolled back here before and its time is not over.
///
/// # Errors
/// With Perry's texts: `updater: manifest fetch failed: …`, `updater: unsupported manifest schemaVersion …`, `updater: invalid
/// version string`, `updater: manifest URL must use https:// …`, and `updater: Ed25519 signature verification failed …`, which
/// Perry says only after the download. `Unsupported` on iOS and Android.
pub fn check_for_update(options: CheckOptions) -> Result<Option<Update>, UpdateError> {
    let running = parse_version(&options.current_version).ok_or_else(|| {
        UpdateError::new(ErrorKind::Input, "updater: invalid version string")
            .hint("give the version of this build as SemVer without a leading v")
    })?;
    let target = options.target.map_or_else(get_exe_path, Ok)?;
    let sentinel = options.sentinel.unwrap_or_else(get_sentinel_path);
    let installer = Arc::new(Installer::open(Options::new(target, running.clone()))?);
    let mut http = HttpOptions::new(options.manifest_url, options.public_key);
    http.require_bound = options.app.is_some();
    http.app = options.app;
    http.roots = options.roots;
    http.kind = installer.kind();
    http.state = Some(sentinel.with_file_name("https.json"));
    let room = Arc::clone(&installer);
    http.room = Some(Arc::new(move |bytes| room.room_for(bytes)));
    let mut source = HttpSource::new(http)?;
    let Some(release) = source.check(&running)? else { return Ok(None) };
    match installer.admit(&release, SystemTime::now())? {
        Admission::Admitted | Admission::OnTrial => {}
        Admission::NotNewer | Admission::BelowFloor(_) | Admission::Rejected { .. } => return Ok(None),
    }
    Ok(Some(Update { source, installer, release, sentinel, program: options.program, staged: None }))
}

/// An update that a server offers: what `checkForUpdate` gives back.
#[derive(Debug)]
pub struct Update {
    source: HttpSource,
    installer: Arc<Installer>,
    release: Release,
    sentinel: PathBuf,
    program: Program,
    staged: Option<Staged>,
}

impl Update {
    /// Its version.
    pub fn version(&self) -> &Version {
        &self.release.version
    }

    /// Release notes, Markdown.
    pub fn notes(&self) -> Option<&str> {
        self.release.notes.as_deref()
    }

    /// Where its artifact is.
    pub fn url(&self) -> &str {
        &self.release.origin
    }

    /// Bytes of the artifact, where the manifest says.
    pub fn size(&self) -> Option<u64> {
        self.release.size
    }

    /// `targetPath`: what it replaces.
    pub fn target_path(&self) -> &Path {
        self.installer.target()
    }

    /// `stagedPath`: where the new build lies, once it is downloaded and proved.
    pub fn staged_path(&self) -> Option<&Path> {
        self.staged.as_ref().map(|staged| staged.path.as_path())
    }

    /// Perry's `download`: fetches the artifact and proves it. `on_progress` gets the bytes that are here and of all there will
    /// be (0 while nobody says how many). Goes on where an interrupted call ended.
    ///
    /// # Errors
    /// `updater: download failed: …`, `updater: SHA-256 mismatch …`, `updater: Ed25519 signature verification failed …`; nothing is
    /// installed afterwards.
    pub fn download(&mut self, mut on_progress: impl FnMut(u64, u64) + Send) -> Result<(), UpdateError> {
        self.staged = None;
        let staging = self.installer.staging()?;
        let staged = self.source.fetch(&self.release, &staging, &mut |progress| {
            on_progress(progress.bytes, progress.total.unwrap_or(0));
            true
        })?;
        self.staged = Some(staged);
        Ok(())
    }

    /// Perry's `installAndRelaunch`: arms the sentinel, puts the downloaded build in the application's place and starts it. End this
    /// process when it returns; Perry ends it itself. The process id of the new build.
    ///
    /// # Errors
    /// `updater: failed to write sentinel` and `updater: install failed`, the old build in place; `updater: relaunch failed
    /// (install committed; restart manually)`. Without a download that succeeded, `Refused`: Perry installs whatever lies there.
    pub fn install_and_relaunch(&mut self) -> Result<u32, UpdateError> {
        let staged = self.staged.take().ok_or_else(|| {
            UpdateError::new(ErrorKind::Refused, "updater: install failed")
                .because("the update was not downloaded")
                .hint("call download first, and look at what it returns")
        })?;
        lifecycle::invalidate();
        apply_and_relaunch(&self.installer, &staged, &self.sentinel, &self.program).inspect_err(|_| {
            // The old build is in place, and what was staged is there for another attempt.
            if staged.path.exists() {
                self.staged = Some(staged.clone());
            }
        })
    }
}
