//! The installer of one application: every call takes the lock, or hands over to the system for a package.

use super::app::App;
use super::errors::At;
use super::fs;
use super::journal::{Journal, State, time};
#[cfg(feature = "msix")]
use super::msix::MsixInstaller;
use super::package;
use super::place::Place;
use super::session::Session;
#[cfg(feature = "msix")]
use super::types::Method;
use super::types::{Build, Installed, Kind, Options, Reason, RolledBack, StartState, Started, Status};
use crate::error::{ErrorKind, UpdateError};
use crate::release::{Staged, same};
use crate::this_process::is_watched;
use semver::Version;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Installs builds of one application, rolls them back, and remembers. Every call takes the application's lock for as
/// long as it works, so any number of processes and users may have one.
/// The application came in an MSIX package: the system puts its builds in place.
/// The trial this process was started in.
/// Held while this process is on trial: another start meanwhile is no sign of a crash.
#[derive(Debug)]
pub struct Installer {
    pub(super) app: App,
    /// The application came in an MSIX package: the system puts its builds in place.
    #[cfg(feature = "msix")]
    pub(super) package: Option<MsixInstaller>,
}

/// How long a call waits that somebody else's work should refuse.
const SHORT: Duration = Duration::from_millis(500);

impl Installer {
    /// An installer for the application at `options.target`. Only looks.
    ///
    /// # Errors
    /// `Input` when there is nothing at the target and no backup of it either; `Unsupported` on iOS and Android, where
    /// the store installs.
    pub fn open(options: Options) -> Result<Self, UpdateError> {
        if cfg!(any(target_os = "ios", target_os = "android")) {
            return Err(UpdateError::new(
                ErrorKind::Unsupported,
                "this platform does not let applications install updates",
            )
            .hint("ship updates through the platform's store"));
        }
        let place = Place::find(&options.target)?;
        let kind = place.kind()?;
        let options = Options { target: place.target.clone(), health: options.health.bounded(), ..options };
        let app = |options, kind| App {
            options,
            place: place.clone(),
            kind,
            trial: Mutex::new(None),
            running: Mutex::new(None),
        };
        if let Some(found) = package::of(&options.target) {
            #[cfg(not(feature = "msix"))]
            return Err(found.refuse());
            #[cfg(feature = "msix")]
            return Ok(Self { package: Some(found.installer(&options)?), app: app(options, Kind::Package) });
        }
        Ok(Self {
            app: app(options, kind),
            #[cfg(feature = "msix")]
            package: None,
        })
    }

    /// The installed build as a release holds it: what is at the target, or the package that it came in.
    pub(crate) fn installed_build(&self) -> PathBuf {
        package!(self, p => p.running_package().unwrap_or_else(|| self.app.place.target.clone()));
        self.app.place.target.clone()
    }

    /// The application's path, links followed.
    pub fn target(&self) -> &Path {
        &self.app.place.target
    }

    /// What is there.
    pub fn kind(&self) -> Kind {
        self.app.kind
    }

    /// The options it was opened with, bounded.
    pub fn options(&self) -> &Options {
        &self.app.options
    }

    /// The folder for everything this updater keeps about the application: `.<name>.bosc` beside it.
    pub fn folder(&self) -> PathBuf {
        package!(self, p => p.folder().to_owned());
        self.app.place.folder.clone()
    }

    /// A folder on the application's file system for sources to fetch into; made if it is missing. Kept between runs
    /// (a source may resume); the caller removes what it does not need any more.
    ///
    /// # Errors
    /// `Permission` when this user may not write beside the application, `Disk`.
    pub fn staging(&self) -> Result<PathBuf, UpdateError> {
        package!(self, p => p.staging());
        self.app.place.make_folder()?;
        self.app.place.make_staging()
    }

    /// [`Installer::staging`], if it is there already.
    pub(crate) fn staging_there(&self) -> Option<PathBuf> {
        package!(self, p => Some(p.folder().join("staging")).filter(|path| path.is_dir()));
        self.app.place.staging_there()
    }

    /// Where the application stands. Changes nothing and waits for nobody; what a killed process left is reported as it is.
    ///
    /// # Errors
    /// `Disk`, and `Refused` when a newer updater wrote the journal.
    pub fn status(&self) -> Result<Status, UpdateError> {
        Ok(self.journal()?.status())
    }

    pub(super) fn session(&self, now: SystemTime) -> Result<Session<'_>, UpdateError> {
        Session::enter(&self.app, now, self.app.options.patience)
    }

    /// A session for what only concerns a build on trial: none for somebody who may not write here, while nothing is on trial.
    fn session_on_trial(&self, now: SystemTime) -> Result<Option<Session<'_>>, UpdateError> {
        match self.session(now) {
            Err(e) if e.kind() == ErrorKind::Permission && self.journal()?.flight.is_none() => Ok(None),
            session => session.map(Some),
        }
    }

    /// Nothing to do for calls that only care for an update on its way: this updater never worked here.
    fn untouched(&self) -> Result<bool, UpdateError> {
        let gone = |path: &Path| fs::look(path).map(|meta| meta.is_none()).at("look at", path);
        Ok(gone(&self.app.place.folder)? && !gone(&self.app.place.target)?)
    }

    /// Finishes or undoes what a killed process left. Every other call that changes something does this first.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`; `Input` when there is no build left to put at the application's path.
    pub fn recover(&self, now: SystemTime) -> Result<Status, UpdateError> {
        package!(self, p => p.status(now));
        if self.untouched()? {
            return Ok(Status::Settled { previous: None });
        }
        Ok(self.session(now)?.journal.status())
    }

    /// Called once by the application at its start, before anything that can fail. Counts the start when this code is a
    /// build on trial, and rolls the build back when it had the starts that the policy allows. A start that nobody saw the end of
    /// counts ([`HealthPolicy::unfinished`](super::HealthPolicy::unfinished)); one before the last start of the system does not, up to eight times. Somebody who
    /// may not write beside the application gets where it stands, and counts nothing.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`. None of them should keep the application from running.
    pub fn started(&self, now: SystemTime) -> Result<Started, UpdateError> {
        package!(self, p => p.started(now));
        let settled = Started { state: StartState::Settled, news: None, watched: false };
        if self.untouched()? {
            return Ok(settled);
        }
        let mut session = match self.session(now) {
            // Who may not write here can neither count nor roll back; the application runs all the same.
            Err(e) if e.kind() == ErrorKind::Permission => return self.looked_at(),
            session => session?,
        };
        let (state, generation) = session.count_start()?;
        *self.app.trial.lock().unwrap_or_else(PoisonError::into_inner) = generation;
        let news = session.tell_news(&state);
        let watched = generation.is_some_and(is_watched);
        Ok(Started { state, news, watched })
    }

    /// [`Installer::started`] for somebody who may only look.
    fn looked_at(&self) -> Result<Started, UpdateError> {
        let journal = self.journal()?;
        let state = match &journal.flight {
            Some(flight)
                if journal.state == State::Trial && same(&flight.new.version, &self.app.options.version) =>
            {
                StartState::Trial { start: flight.counted(), window: self.app.options.health.window }
            }
            _ => StartState::Settled,
        };
        Ok(Started { state, news: None, watched: false })
    }

    /// This code works. Raises the floor. `false` when it was not on trial: only the build on trial can say so, and
    /// only for the trial it was started in. Safe to repeat.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn mark_healthy(&self, now: SystemTime) -> Result<bool, UpdateError> {
        package!(self, p => p.mark_healthy(now));
        if self.untouched()? {
            return Ok(false);
        }
        let Some(mut session) = self.session_on_trial(now)? else { return Ok(false) };
        let done = session.healthy(self.own_generation())?;
        drop(session);
        *self.app.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(done)
    }

    /// Removes the build before the installed one, which is kept after it said that it is healthy. There is no way back from that one
    /// then. Does nothing while a build is on trial, and for a package.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn discard_previous(&self, now: SystemTime) -> Result<(), UpdateError> {
        package!(self, _p => Ok(()));
        if self.untouched()? {
            return Ok(());
        }
        self.session(now)?.discard_kept()
    }

    /// The person closed the application before it was healthy: this start does not count against the build, up to eight
    /// times. Ending with an error must not call it.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn closed(&self, now: SystemTime) -> Result<(), UpdateError> {
        package!(self, p => p.closed(now));
        if self.untouched()? {
            return Ok(());
        }
        let Some(mut session) = self.session_on_trial(now)? else { return Ok(()) };
        session.forgive(self.own_generation())?;
        drop(session);
        *self.app.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    /// The build on trial needs longer to be healthy, as for a migration of data: one window from now. May be said again and again
    /// (256 times). `false` when this code is not on trial.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn starting(&self, now: SystemTime) -> Result<bool, UpdateError> {
        package!(self, p => p.is_on_trial(now));
        if self.untouched()? {
            return Ok(false);
        }
        match self.session_on_trial(now)? {
            Some(mut session) => session.extend(self.own_generation()),
            None => Ok(false),
        }
    }

    /// Until when the build of that trial said that it needs.
    pub(crate) fn needs_until(&self, generation: u64) -> Result<SystemTime, UpdateError> {
        let journal = self.journal()?;
        let flight = journal.flight.filter(|flight| flight.generation == generation);
        Ok(time(flight.map_or(0, |flight| flight.until_ms)))
    }

    /// The trial that this process was started in.
    pub(crate) fn own_generation(&self) -> Option<u64> {
        *self.app.trial.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The trial there is: its number and its build.
    pub(crate) fn trial(&self) -> Result<Option<(u64, Build)>, UpdateError> {
        let journal = self.journal()?;
        let on_trial = matches!(journal.state, State::Trial | State::Installing);
        Ok(journal.flight.filter(|_| on_trial).map(|flight| (flight.generation, flight.new.build())))
    }

    /// [`Installer::closed`] for a process that watched the start.
    pub(crate) fn forgive(&self, generation: u64, now: SystemTime) -> Result<(), UpdateError> {
        package!(self, p => p.closed(now));
        self.session(now)?.forgive(Some(generation))
    }

    /// Reads the staged build again, compares every byte, and puts it in the application's place. It is then on trial.
    ///
    /// The staged path is gone afterwards. On an error the installed build is in place, and what was staged is still
    /// there for another attempt, unless the disk failed in the middle.
    ///
    /// # Errors
    /// `Integrity` when the build is not what was proved, `Refused` when [`Installer::admit`] does not admit it or it is
    /// another kind of thing, `Busy` when another updater works or a build is on trial, `NoSpace`, `Permission`, `Disk`.
    pub fn install(&self, staged: &Staged, now: SystemTime) -> Result<Installed, UpdateError> {
        package!(self, p => p.install(staged, now).map(|(new, old)| Installed {
            new,
            old,
            backup: self.backup(),
            method: Method::Package,
            not_kept: Vec::new(),
        }));
        Session::enter(&self.app, now, SHORT.min(self.app.options.patience))?.install(staged)
    }

    /// Rolls the build on trial back, or when none is, returns to the build at `<target>.prev`. The release is remembered
    /// and held back.
    ///
    /// # Errors
    /// `Refused` when there is no build to return to; `Busy`, `Disk`, `Permission`.
    pub fn roll_back(&self, reason: Reason, now: SystemTime) -> Result<RolledBack, UpdateError> {
        package!(self, p => p.roll_back(reason, now));
        let mut session = self.session(now)?;
        let rolled_back = session.roll_back(reason)?;
        session.forget_news();
        Ok(rolled_back)
    }

    /// [`Installer::roll_back`] if that trial still goes on; what became of it otherwise.
    pub(crate) fn end_trial(
        &self,
        generation: u64,
        reason: Reason,
        now: SystemTime,
    ) -> Result<Option<RolledBack>, UpdateError> {
        let mut session = self.session(now)?;
        let goes_on = session.journal.state == State::Trial
            && session.journal.flight.as_ref().is_some_and(|flight| flight.generation == generation);
        if goes_on { session.roll_back(reason).map(Some) } else { Ok(None) }
    }

    /// Whether that trial ended with a healthy build.
    pub(crate) fn took_off(&self, generation: u64) -> Result<bool, UpdateError> {
        Ok(self.journal()?.healthy == generation)
    }

    /// The last build that was rolled back, if it was not reported yet.
    pub(crate) fn untold(&self) -> Result<Option<RolledBack>, UpdateError> {
        Ok(self.journal()?.news.map(|news| news.rolled_back()))
    }

    /// Takes over an update that another updater made: what is at the target is `new`, on trial after so many `starts`,
    /// and `<target>.prev` is `old`. For a sentinel that Perry's updater left. Does nothing while an update of our own is on
    /// its way, or when there is nothing at `<target>.prev`; then it returns `false`.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn adopt(
        &self,
        new: &Version,
        old: &Version,
        starts: u32,
        now: SystemTime,
    ) -> Result<bool, UpdateError> {
        // Nobody but the system puts packages in place.
        package!(self, _p => Ok(false));
        self.session(now)?.adopt(new, old, starts)
    }

    /// Where the build before the installed one is kept: `<target>.prev`, or `<target>.prev-2` and so on where somebody else
    /// uses that name.
    pub fn backup(&self) -> PathBuf {
        package!(self, p => p.package_before().unwrap_or_else(|| self.app.place.prev()));
        self.app.backup()
    }

    /// Fails with `NoSpace` unless `bytes` more fit on the application's file system, with 16 MiB to spare.
    ///
    /// # Errors
    /// `NoSpace`; `Disk` when the file system does not say.
    pub fn room_for(&self, bytes: u64) -> Result<(), UpdateError> {
        package!(self, p => p.room_for(bytes));
        self.app.room_for(bytes)
    }

    pub(super) fn journal(&self) -> Result<Journal, UpdateError> {
        package!(self, p => p.journal());
        self.app.journal()
    }
}
