//! What an [`super::HttpSource`] is made with.

use super::identity::{ClientCertificate, Header};
use super::proxy::Proxies;
use super::roots::Roots;
use crate::error::UpdateError;
use crate::install::Kind;
use crate::manifest::{Schema, platform_key};
use crate::source::Where;
use semver::Version;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Whether so many bytes more fit; `NoSpace` if not. [`crate::install::Installer::room_for`] is one.
pub type Room = Arc<dyn Fn(u64) -> Result<(), UpdateError> + Send + Sync>;

/// What an [`super::HttpSource`] is made with. [`HttpOptions::new`] has good values for everything.
#[derive(Clone)]
pub struct HttpOptions {
    /// URL of the manifest. `{{current_version}}`, `{{target}}` (`linux`, `darwin`, `windows`) and `{{arch}}` (`x86_64`, …) in it are
    /// replaced, for servers that decide by who asks; such a server answers 204 when there is nothing.
    pub manifest_url: String,
    /// Other URLs of the same manifest, asked in this order when the ones before give none that can be used.
    pub mirrors: Vec<String>,
    /// The version that runs, for `{{current_version}}` [default: what the check is asked to go beyond].
    pub current: Option<Version>,
    /// Keys of which one must have signed, Base64. Give the next key here a release before the old one goes.
    pub public_keys: Vec<String>,
    /// Platform key of the manifest's entry [default: this build's].
    pub platform: String,
    /// The application's name as `bosc updater manifest --app` signed it. With it a release of another application, or for
    /// another platform, signed with the same key, is recognised wherever the publisher binds releases to a name.
    pub app: Option<String>,
    /// Refuse releases that are not bound to [`HttpOptions::app`] from the first one on. Without it they are refused once a
    /// bound one was seen and there is a state file.
    pub require_bound: bool,
    /// The oldest signature format that is taken. Raised to 2 for good once a good one of format 2 was seen.
    pub min_schema: Schema,
    /// Refuse a version older than the newest one whose signature was seen to be good, even if it is newer than what is
    /// installed. Off, because a publisher may withdraw a release by offering the one before it.
    pub never_below_seen: bool,
    /// File in which what was seen is remembered between runs. Without it, it is remembered as long as the source lives.
    pub state: Option<PathBuf>,
    /// What is installed, for the rules of a manifest. Without it a check's version is what is installed, and nothing is kept beside it.
    pub standing: Option<Where>,
    /// Names this device. Who is in a rollout follows from it, here: it is never sent. Without it each source is another device.
    pub device: Option<[u8; 16]>,
    /// What the application is: a directory or bundle comes in an archive.
    pub kind: Kind,
    /// For an application that is one file, the name of that file in an archive that holds more (a README, say). The folder around
    /// everything, if there is one, may be left out.
    pub inside: Option<String>,
    /// What is installed, so that an artifact of its kind is not unpacked for an archive (a `.jar` is a zip as well).
    pub installed: Option<PathBuf>,
    /// Builds on this disk that a delta may start from: what is installed, the one before it. Only those that are one file, and lie
    /// there as the artifact is.
    pub bases: Vec<PathBuf>,
    /// Whose certificates servers may have.
    pub roots: Roots,
    /// Through which proxies they are reached.
    pub proxies: Proxies,
    /// Headers, each for one server.
    pub headers: Vec<Header>,
    /// A certificate for the server of this URL.
    pub client_certificate: Option<(String, ClientCertificate)>,
    /// Most bytes of an artifact in a second [default: as many as come].
    pub max_rate: Option<u64>,
    /// Time to find the host, connect and shake hands. Default 15 s.
    pub connect_timeout: Duration,
    /// Longest time between two bytes. Default 30 s.
    pub idle_timeout: Duration,
    /// An answer that brings less than 1 KiB a second (less than half of [`HttpOptions::max_rate`], where that is lower) for so long is
    /// given up; after [`HttpOptions::tries`] of them the download is, until the next check. Default 60 s.
    pub slow_after: Duration,
    /// Longest time for the manifest, retries included. Default 60 s.
    pub manifest_timeout: Duration,
    /// Longest time for the artifact, retries included; what was received stays for the next try. Default 6 h.
    pub total_timeout: Duration,
    /// Largest artifact that is fetched, whatever the manifest says. Default 4 GiB.
    pub max_artifact: u64,
    /// Redirects that are followed for one request. Default 5.
    pub max_redirects: u32,
    /// How often something is tried that makes no progress. Default 4.
    pub tries: u32,
    /// First wait before the next try; it doubles up to 60 s. Default 500 ms.
    pub back_off: Duration,
    /// Whether the artifact fits on the disk.
    pub room: Option<Room>,
    /// What the application calls itself to servers.
    pub user_agent: String,
    /// While this is set, a check that begins ends at once as `Cancelled`; so does one that runs when
    /// [`super::CancelHandle::cancel`] is called after it was set.
    pub interrupt: Option<Arc<AtomicBool>>,
}

impl HttpOptions {
    /// Options for a manifest and the Base64 of one public key.
    pub fn new(manifest_url: impl Into<String>, public_key: impl Into<String>) -> Self {
        Self {
            manifest_url: manifest_url.into(),
            mirrors: Vec::new(),
            current: None,
            public_keys: vec![public_key.into()],
            platform: platform_key(),
            app: None,
            require_bound: false,
            min_schema: Schema::V1,
            never_below_seen: false,
            state: None,
            standing: None,
            device: None,
            kind: Kind::File,
            inside: None,
            installed: None,
            bases: Vec::new(),
            roots: Roots::System,
            proxies: Proxies::from_environment(),
            headers: Vec::new(),
            client_certificate: None,
            max_rate: None,
            connect_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(30),
            slow_after: Duration::from_secs(60),
            manifest_timeout: Duration::from_secs(60),
            total_timeout: Duration::from_secs(6 * 3600),
            max_artifact: 4 << 30,
            max_redirects: 5,
            tries: 4,
            back_off: Duration::from_millis(500),
            room: None,
            user_agent: concat!("bosc-updater/", env!("CARGO_PKG_VERSION")).to_owned(),
            interrupt: None,
        }
    }
}

impl HttpOptions {
    /// Every address of the manifest, in the order in which they are asked.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.manifest_url).chain(&self.mirrors)
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("manifest_url", &crate::manifest::url::shown(&self.manifest_url))
            .field("public_keys", &self.public_keys)
            .field("platform", &self.platform)
            .field("app", &self.app)
            .field("min_schema", &self.min_schema)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
