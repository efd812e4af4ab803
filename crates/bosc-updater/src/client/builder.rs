//! What an updater is made from: required values first, each of its own type, then what may differ from the defaults.

use super::options::{Settings, this_app};
use super::start::Started;
use super::{Updater, source};
use crate::error::UpdateError;
use crate::health::Program;
use crate::install::{HealthPolicy, Installer, Options};
use semver::Version;
use std::path::PathBuf;
use std::time::Duration;

/// An Ed25519 public key that may sign a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(pub(crate) String);

impl PublicKey {
    /// A key as `bosc updater keygen` prints it: 32 bytes in base64. What is none is told by
    /// [`UpdaterBuilder::validate`], and by an event once the updater runs.
    pub fn base64(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Where updates come from, and whom to believe.
#[derive(Debug, Clone)]
pub struct UpdateSource {
    pub(crate) upgrade: String,
    pub(crate) public_keys: Vec<PublicKey>,
    pub(crate) manifest_app: Option<String>,
    pub(crate) certificates: Vec<Vec<u8>>,
    #[cfg(feature = "http")]
    pub(crate) https: Https,
    pub(crate) bootstrap: Vec<String>,
    pub(crate) seed_back: bool,
}

/// What only servers are asked with.
#[cfg(feature = "http")]
#[derive(Clone, Default)]
pub(crate) struct Https {
    pub(crate) mirrors: Vec<String>,
    pub(crate) also_trusted: Vec<Vec<u8>>,
    /// The server it is for (that of the manifest when `None`), name and value.
    pub(crate) headers: Vec<(Option<String>, String, String)>,
    pub(crate) client: Option<crate::http::ClientCertificate>,
    pub(crate) proxy: Option<String>,
    pub(crate) max_rate: Option<u64>,
}

/// Tokens and passwords are not shown.
#[cfg(feature = "http")]
impl std::fmt::Debug for Https {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Https").field("mirrors", &self.mirrors).finish_non_exhaustive()
    }
}

impl UpdateSource {
    /// A `pear://` link. The link is the key. Needs the feature `p2p`.
    pub fn pear(link: impl Into<String>) -> Self {
        Self::of(link.into(), Vec::new())
    }

    /// The `https://` URL of a manifest, and the key that signs it. Needs the feature `http`. `{{current_version}}`, `{{target}}`
    /// (`linux`, `darwin`, `windows`) and `{{arch}}` (`x86_64`, `aarch64`, …) in it are replaced, for a server that decides by who asks;
    /// it answers 204 when there is nothing newer.
    pub fn https(manifest: impl Into<String>, key: PublicKey) -> Self {
        Self::of(manifest.into(), vec![key])
    }

    /// A link or a URL, as a setting or a flag gives it; a link needs no keys.
    pub fn from_upgrade(upgrade: impl Into<String>, keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Self::of(upgrade.into(), keys.into_iter().collect())
    }

    fn of(upgrade: String, public_keys: Vec<PublicKey>) -> Self {
        Self {
            upgrade,
            public_keys,
            manifest_app: None,
            certificates: Vec::new(),
            #[cfg(feature = "http")]
            https: Https::default(),
            bootstrap: Vec::new(),
            seed_back: false,
        }
    }

    /// HTTPS: another key that may sign instead. Give the next key a release before the old one goes.
    #[must_use]
    pub fn or_key(mut self, key: PublicKey) -> Self {
        self.public_keys.push(key);
        self
    }

    /// HTTPS: the application's name as its manifests are bound to it (`bosc updater manifest --app`). With it, a release of another
    /// application that was signed with the same key is refused.
    #[must_use]
    pub fn bound_to(mut self, manifest_app: impl Into<String>) -> Self {
        self.manifest_app = Some(manifest_app.into());
        self
    }

    /// HTTPS: the authorities (DER) that may vouch for the server, in the place of the built-in list of the well-known ones and the
    /// system's: for an application that knows its one server, or a test. See [`crate::http::Roots::certificates`] for PEM.
    #[must_use]
    pub fn certificates(mut self, der: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.certificates = der.into_iter().collect();
        self
    }

    /// HTTPS: more authorities (DER) that may vouch for the server, beside the built-in list and the system's.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn add_certificates(mut self, der: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.https.also_trusted.extend(der);
        self
    }

    /// HTTPS: another URL of the same manifest. They are asked in the order in which they were given, until one gives a manifest that
    /// can be used.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn or_from(mut self, manifest: impl Into<String>) -> Self {
        self.https.mirrors.push(manifest.into());
        self
    }

    /// HTTPS: a header for every request to the server of the first manifest URL. No other server gets it: none that a redirect, the
    /// manifest or [`UpdateSource::or_from`] names; see [`UpdateSource::header_for`].
    #[cfg(feature = "http")]
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.https.headers.push((None, name.into(), value.into()));
        self
    }

    /// HTTPS: a header for every request to the server of this URL: its scheme, host and port.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn header_for(
        mut self,
        server: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.https.headers.push((Some(server.into()), name.into(), value.into()));
        self
    }

    /// HTTPS: [`UpdateSource::header`] `Authorization: Bearer <token>`.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn bearer_token(self, token: impl std::fmt::Display) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// HTTPS: the certificate by which the server of the first manifest URL, and no other, knows this client.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn client_certificate(mut self, certificate: crate::http::ClientCertificate) -> Self {
        self.https.client = Some(certificate);
        self
    }

    /// HTTPS: the proxy, in the place of those that the environment names; see [`crate::http::Proxies::through`]. An empty text: none.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn proxy(mut self, proxy: impl Into<String>) -> Self {
        self.https.proxy = Some(proxy.into());
        self
    }

    /// HTTPS: most bytes of an artifact in a second, at least 1 KiB. Default: as many as come.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn limit_rate(mut self, bytes_per_second: u64) -> Self {
        self.https.max_rate = Some(bytes_per_second);
        self
    }

    /// Links: DHT nodes to start from, as `host:port`, in the place of the public ones.
    #[must_use]
    pub fn bootstrap(mut self, nodes: impl IntoIterator<Item = String>) -> Self {
        self.bootstrap = nodes.into_iter().collect();
        self
    }

    /// Links: lets other users find this one and fetch from it. Off by default: then it does not announce itself; peers that it is
    /// connected to for its own downloads may still ask it for blocks.
    #[must_use]
    pub fn seed_back(mut self, on: bool) -> Self {
        self.seed_back = on;
        self
    }
}

/// Makes an [`Updater`]; see [`Updater::builder`]. Every setting has the default that its method names.
#[derive(Debug, Clone)]
#[must_use = "nothing happens before `start`"]
pub struct UpdaterBuilder {
    pub(super) settings: Settings,
}

impl UpdaterBuilder {
    pub(super) fn new(name: String, installed: Version, source: UpdateSource) -> Self {
        Self {
            settings: Settings {
                dir: None,
                app: this_app(),
                name,
                version: installed,
                source,
                updates: true,
                auto_check: true,
                auto_download: true,
                apply_on_quit: true,
                delay: Duration::from_secs(3600),
                poll: Duration::from_secs(3600),
                sentinel: None,
                health: HealthPolicy::default(),
                allow_downgrade: false,
                keep_previous: true,
                program: None,
            },
        }
    }

    /// What is replaced: an executable, an AppImage, a folder or a `.app`. Default: what holds the running program
    /// ([`crate::client::this_app`]); nothing while it lies in a build folder.
    pub fn app(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.app = Some(path.into());
        self
    }

    /// No application: nothing is looked for. As under `cargo run`.
    pub fn no_app(mut self) -> Self {
        self.settings.app = None;
        self
    }

    /// The folder of this user's data for this application; what is downloaded is kept below `bosc-updater` in it. Default:
    /// [`crate::client::data_folder`] of the name.
    pub fn data_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.settings.dir = Some(folder.into());
        self
    }

    /// Whether to look for updates without being asked: at the start, when a link tells of news, every
    /// [`UpdaterBuilder::check_every`] for a manifest. Default: yes.
    pub fn check_automatically(mut self, on: bool) -> Self {
        self.settings.auto_check = on;
        self
    }

    /// Whether to download what was found without being asked. Default: yes. When not, [`crate::Event::Available`] tells of it, and
    /// [`Update::download`](crate::Update::download) brings it.
    pub fn download_automatically(mut self, on: bool) -> Self {
        self.settings.auto_download = on;
        self
    }

    /// Whether [`Updater::quit`] puts a downloaded update in place. Default: yes.
    pub fn apply_on_quit(mut self, on: bool) -> Self {
        self.settings.apply_on_quit = on;
        self
    }

    /// `false` switches updates off: nothing is looked for, also when asked. Rolling back works all the same. Default: on.
    pub fn updates(mut self, on: bool) -> Self {
        self.settings.updates = on;
        self
    }

    /// Longest random delay before a release that appeared while the application runs is downloaded, so that not everybody comes at once.
    /// Drawn once for each release and device. Default: an hour.
    pub fn delay(mut self, longest: Duration) -> Self {
        self.settings.delay = longest;
        self
    }

    /// How often a manifest is asked for, at least 10 s. Default: an hour. Links tell by themselves.
    pub fn check_every(mut self, interval: Duration) -> Self {
        self.settings.poll = interval;
        self
    }

    /// How a new build proves itself. Default: it has 60 s to call [`Updater::mark_healthy`].
    pub fn health(mut self, policy: HealthPolicy) -> Self {
        self.settings.health = policy;
        self
    }

    /// Whether the build before the installed one is kept as `<application>.prev` once the new one has said that it is healthy. When
    /// not, there is no way back from a healthy build; until then it is kept in any case. Default: yes.
    pub fn keep_previous(mut self, on: bool) -> Self {
        self.settings.keep_previous = on;
        self
    }

    /// How the application is started again. Default: [`Program::default`], as this process was. For an application that is one file,
    /// [`Program::inside`] says which file of an archive it is, when the archive holds more than one.
    pub fn program(mut self, program: Program) -> Self {
        self.settings.program = Some(program);
        self
    }

    /// Takes a version below the installed one, because a person asked for it: to come back from a beta channel, say. Until one was
    /// applied; the next start is without it. Never below what the same source was seen to offer. Default: no.
    pub fn allow_downgrade(mut self, on: bool) -> Self {
        self.settings.allow_downgrade = on;
        self
    }

    /// Perry's sentinel ([`crate::perry::get_sentinel_path`]), for an application whose build before or after this one has Perry's
    /// updater: an update that its client made is taken over, with its starts; and what is installed here is announced in it. Default:
    /// no build has.
    #[cfg(feature = "perry")]
    pub fn perry_sentinel(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.sentinel = Some(path.into());
        self
    }

    /// Whether these values can be: nothing is opened or asked for. For a test of the application; whoever only calls
    /// [`UpdaterBuilder::start`] is told the same by an [`Event::Error`](crate::Event::Error).
    ///
    /// # Errors
    /// `Input` and `Refused` for values that cannot be; `Unsupported` for a source that this program was built without, and on iOS and
    /// Android.
    pub fn validate(&self) -> Result<(), UpdateError> {
        let s = &self.settings;
        s.folder()?;
        source::check(s)?;
        self.installer().transpose().map(drop)
    }

    /// The installer for the application, where there is one.
    pub(super) fn installer(&self) -> Option<Result<Installer, UpdateError>> {
        let s = &self.settings;
        s.app.as_ref().map(|app| {
            let mut o = Options::new(app, s.version.clone());
            o.health = s.health;
            o.downgrade = s.allow_downgrade;
            Installer::open(o)
        })
    }

    /// Starts the updater, once, first thing in `main`: it also counts this start while this build is on trial. It never fails. A
    /// source that cannot be opened (no network, a full or damaged data folder) is tried again; another instance that looks for updates
    /// already is waited for; values that cannot be leave the updater with nothing to do. Each is told by an [`Event`](crate::Event).
    pub fn start(self) -> Started {
        Updater::launch(self)
    }
}
