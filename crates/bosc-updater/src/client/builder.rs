//! What an updater is made from: required values first, each of its own type, then what may differ from the defaults.

use super::options::Settings;
use super::source;
use super::start::{Started, launch};
use super::this_app::{not_an_app, this_app};
use super::update_source::UpdateSource;
use super::updater::Updater;
use crate::error::UpdateError;
use crate::health::Program;
use crate::install::{HealthPolicy, Installer, Options};
use semver::Version;
use std::path::PathBuf;
use std::time::Duration;

impl Updater {
    /// An updater for the application called `name`, of which version `installed` runs, and which takes its updates from `source`.
    ///
    /// The name is that of the application's file in a drive, with its extension (`Demo`, `Demo.app`, `Demo.AppImage`). For the
    /// version see [`crate::package_version!`].
    pub fn builder(name: impl Into<String>, installed: Version, source: UpdateSource) -> UpdaterBuilder {
        UpdaterBuilder::new(name.into(), installed, source)
    }
}

/// Makes an [`Updater`]; see [`Updater::builder`]. Every setting has the default that its method names.
#[derive(Debug, Clone)]
#[must_use = "nothing happens before `start`"]
pub struct UpdaterBuilder {
    settings: Settings,
}

impl UpdaterBuilder {
    fn new(name: String, installed: Version, source: UpdateSource) -> Self {
        Self {
            settings: Settings {
                dir: None,
                app: this_app(),
                not_installed: None,
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

    /// [`UpdaterBuilder::app`] for a path from outside the program, as `bosc watch` takes one: what lies in a build folder or runs other
    /// programs is not replaced; [`Event::NotInstalled`](crate::Event::NotInstalled) says why.
    pub fn installed_app(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.settings.not_installed = not_an_app(&path);
        self.settings.app = self.settings.not_installed.is_none().then_some(path);
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

    /// Whether to look for updates without being asked: at the start, when a link reports news, every
    /// [`UpdaterBuilder::check_every`] for a manifest. Default: yes.
    pub fn check_automatically(mut self, on: bool) -> Self {
        self.settings.auto_check = on;
        self
    }

    /// Whether to download what was found without being asked. Default: yes. When not, [`crate::Event::Available`] reports it, and
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

    /// `false` switches updates off: nothing is looked for, even when asked. Rollback still works. Default: on.
    pub fn updates(mut self, on: bool) -> Self {
        self.settings.updates = on;
        self
    }

    /// Longest random delay before a release that appeared while the application runs is downloaded, so that not everybody downloads at once.
    /// Drawn once for each release and device. Default: an hour.
    pub fn delay(mut self, longest: Duration) -> Self {
        self.settings.delay = longest;
        self
    }

    /// How often a manifest is asked for; less than 10 s counts as 10 s. Default: an hour. Links report news by themselves;
    /// one whose quorum named operators or a freshness is asked as often for what they said.
    pub fn check_every(mut self, interval: Duration) -> Self {
        self.settings.poll = interval;
        self
    }

    /// How a new build proves itself. Default: it has 60 s to call [`Updater::mark_healthy`].
    pub fn health(mut self, policy: HealthPolicy) -> Self {
        self.settings.health = policy;
        self
    }

    /// Whether the build before the installed one is kept as `<application>.prev` once the new one has said that it is healthy. If
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

    /// Takes a version below the installed one, because a person asked for it: to come back from a beta channel, say. It holds until one was
    /// applied. Never below what the same source was seen to offer. Default: no.
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

    /// Whether these values are valid: nothing is opened, no server or peer is asked. For a test of the application; whoever only calls
    /// [`UpdaterBuilder::start`] gets the same as an [`Event::Error`](crate::Event::Error).
    ///
    /// # Errors
    /// `Input` and `Refused` for values that are not valid; `Unsupported` for a source that this program was built without, and on iOS and
    /// Android.
    pub fn validate(&self) -> Result<(), UpdateError> {
        let s = &self.settings;
        s.folder()?;
        source::check(s)?;
        self.installer().transpose().map(drop)
    }

    /// The installer for the application, where there is one.
    fn installer(&self) -> Option<Result<Installer, UpdateError>> {
        let s = &self.settings;
        s.app.as_ref().map(|app| {
            let mut o = Options::new(app, s.version.clone());
            o.health = s.health;
            o.downgrade = s.allow_downgrade;
            Installer::open(o)
        })
    }

    /// Starts the updater, once, first thing in `main`: it also counts this start while this build is on trial. It never fails. A
    /// source that cannot be opened (no network, a full or damaged data folder) is tried again; another instance that is already
    /// looking for updates is waited for; values that are not valid leave the updater with nothing to do. Each is reported by an [`Event`](crate::Event).
    pub fn start(self) -> Started {
        let installer = self.installer();
        launch(self.settings, installer)
    }
}
