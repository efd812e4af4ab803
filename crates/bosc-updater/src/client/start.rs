//! What a start of the application finds.

use super::damage::damage;
use super::driver::Open;
use super::event::Event;
use super::interrupt::Interrupt;
use super::options::Settings;
use super::running::Shared;
use super::this_app::why_no_app;
use super::updater::Updater;
use super::{sentinel, source};
use crate::error::UpdateError;
use crate::install::{self, Installer, Reason, RolledBack, StartState};
use semver::Version;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// What [`UpdaterBuilder::start`](crate::UpdaterBuilder::start) finds. There are these two cases, and there will be no third:
/// every other failure to update is reported by an event, and the application runs.
#[derive(Debug)]
#[must_use = "a build that was rolled back has to end now"]
pub enum Started {
    /// The application runs: up to date or not, online or not, installed or not, on trial or not, the only instance or not.
    Running(Updater),
    /// This process runs a build that did not work and has just been rolled back: the build before it lies in the application's
    /// place again. Return from `main` with [`FailedBuild::restart`].
    RolledBack(FailedBuild),
}

impl Started {
    /// The updater in either case, for a process that is not the application itself, as `bosc watch` is. That of a build that was
    /// rolled back looks for nothing and starts what it is asked to.
    pub fn into_updater(self) -> Updater {
        match self {
            Self::Running(updater) | Self::RolledBack(FailedBuild { updater, .. }) => updater,
        }
    }
}

/// A build that was started as often as it may be without saying that it is healthy, and was rolled back at this start.
#[derive(Debug)]
#[must_use = "the build before it has to be started"]
pub struct FailedBuild {
    updater: Updater,
    what: RolledBack,
    watched: bool,
}

impl FailedBuild {
    /// The version that runs here and does not work.
    pub fn version(&self) -> &Version {
        &self.what.bad.version
    }

    /// The version that is in the application's place again.
    pub fn restored(&self) -> &Version {
        &self.what.restored.version
    }

    /// Why it was rolled back.
    pub fn reason(&self) -> Reason {
        self.what.reason
    }

    /// Starts the restored build as this process was started (arguments, folder, environment), unless the process that watches this
    /// one does so. Return from `main` afterwards.
    ///
    /// # Errors
    /// `Disk` and `Input` when it cannot be started: the person has to start it.
    pub fn restart(self) -> Result<(), UpdateError> {
        let started = if self.watched { Ok(()) } else { self.updater.relaunch_again().map(drop) };
        self.updater.close();
        started
    }
}

/// How this start of the application was counted; errors are reported.
fn count_start(
    installer: &Installer,
    sentinel: Option<&PathBuf>,
    tell: &mut dyn FnMut(UpdateError),
) -> install::Started {
    if let Some(Err(e)) = sentinel.map(|path| sentinel::before_start(path, installer)) {
        tell(e);
    }
    let started = installer.started(SystemTime::now()).unwrap_or_else(|e| {
        tell(e);
        install::Started { state: StartState::Settled, news: None, watched: false }
    });
    if let (Some(path), StartState::RolledBack(_)) = (sentinel, &started.state)
        && let Err(e) = sentinel::over(path, installer)
    {
        tell(e);
    }
    started
}

/// Starts an updater: counts this start of the application, and opens its source unless there is a reason not to.
pub(super) fn launch(settings: Settings, installer: Option<Result<Installer, UpdateError>>) -> Started {
    let mut told = Vec::new();
    let installer = match installer {
        None => {
            let why = settings.not_installed.clone().or_else(why_no_app);
            told.extend(why.map(|reason| Event::NotInstalled { reason }));
            None
        }
        Some(Ok(installer)) => Some(Arc::new(installer)),
        Some(Err(e)) => {
            told.push(Event::Error(e));
            None
        }
    };
    let on_mobile = cfg!(any(target_os = "ios", target_os = "android"));
    let sentinel = settings.sentinel.clone().filter(|_| !on_mobile);
    let started =
        installer.as_ref().map(|i| count_start(i, sentinel.as_ref(), &mut |e| told.push(Event::Error(e))));
    told.extend(installer.as_ref().and_then(|i| damage(i)));
    let mut program = settings.program.clone().unwrap_or_default();
    if let Some(installer) = &installer {
        program.find_inside(installer);
    }
    // A build that was just rolled back has to end, not to update.
    let failed = match &started {
        Some(install::Started { state: StartState::RolledBack(what), watched, .. }) => {
            Some((what.clone(), *watched))
        }
        _ => None,
    };
    let updates = settings.updates && installer.is_some() && failed.is_none();
    let interrupt = Arc::new(Interrupt::default());
    let open = match installer.as_ref().filter(|_| updates) {
        Some(installer) => source::check(&settings).map(|()| {
            let (settings, installer) = (settings.clone(), Arc::clone(installer));
            let interrupt = Arc::clone(&interrupt);
            Some(Box::new(move || {
                // Who may not write here is told so when there is an update.
                let _ = installer.note_installed(SystemTime::now());
                source::open(&settings, &installer, &interrupt)
            }) as Open)
        }),
        None => Ok(None),
    };
    let open = open.unwrap_or_else(|e| {
        told.push(Event::Error(e));
        None
    });
    let (events, shared) = Shared::new(settings, open, installer, started, sentinel, program, interrupt);
    let updater = Updater::over(shared);
    told.into_iter().for_each(|event| events.post(event));
    match failed {
        Some((what, watched)) => Started::RolledBack(FailedBuild { updater, what, watched }),
        None => Started::Running(updater),
    }
}
