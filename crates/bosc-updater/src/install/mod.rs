//! Puts a staged build in the place of the installed one, atomically, and back.
//!
//! # Names
//!
//! For an application at `dir/App` (a file, a folder or a `.app`):
//!
//! | name | holds |
//! |---|---|
//! | `dir/App` | the application, always one whole build |
//! | `dir/App.prev` | the build before it, kept until the next install; `App.prev-2` and so on where that name is somebody else's |
//! | `dir/App.broken` | the last build that was rolled back, kept until the next install; `App.broken-2` and so on as well |
//! | `dir/.App.bosc/journal.json` | where the application stands, the version floor, the releases that were rolled back |
//! | `dir/.App.bosc/LOCK` | locked while a call works |
//! | `dir/.App.bosc/staging/` | where sources put builds |
//! | `dir/.App.bosc/{incoming,outgoing,trash}` | builds that are changing places, and what is being removed |
//!
//! Everything lies beside the application: so it is on its file system, and every user and updater of one installation
//! finds the same journal. Who may write beside the application may write in the folder, nobody else (see `owner`). What is beside the
//! application under one of these names and is not what the journal says is left alone.
//!
//! # How builds change places
//!
//! | system | file | folder, `.app` |
//! |---|---|---|
//! | Linux, macOS | one exchange (`renameat2`, `renamex_np`): *never without a build* | the same |
//! | the same, file system without exchange | second name or copy, then one replacing rename: *never without a build* | two renames: *journal* |
//! | other Unix | as above | two renames: *journal* |
//! | Windows | `ReplaceFile`, else two renames (a running `.exe` may be renamed): *journal* | two renames: *journal*; `Busy` while a program in it runs |
//! | iOS, Android | `Unsupported` | `Unsupported` |
//!
//! *Never without a build*: at every instant, power cut included, the path holds one whole build. *Journal*: a kill between
//! two renames leaves the path empty for as long as it takes until somebody calls: the process that watches, a `bosc
//! watch`, the build before it under its new name. What they find is the old build, whole, at `outgoing`, and they put it
//! back. A new build that fails in the second rename is undone by the same call.
//!
//! # States
//!
//! | journal says | at the path | `incoming` | `.prev` | what [`Installer::recover`] does |
//! |---|---|---|---|---|
//! | settled | installed build | garbage | kept build | removes garbage |
//! | settled | nothing | | of Perry's updater, killed between its renames | puts `.prev` back |
//! | installing | old | new | kept build | undone: removes `incoming`, settled |
//! | installing | nothing | new | kept build | `outgoing` back to the path, then as above |
//! | installing | new | old, or it is at `outgoing` | kept build, or nothing | finished: old becomes `.prev`, trial |
//! | trial | new | | old | nothing: the build is proving itself |
//! | trial | old | | | somebody else put it back: remembered as rolled back, settled |
//! | trial | nothing | | old | as rolling back |
//! | trial | neither | | | somebody installed another build: forgets the old one, settled |
//! | rolling back | new or nothing | nothing, or old | old, or nothing | old to `incoming`, changes places, settled |
//! | rolling back | old | new, or it is at `outgoing` | nothing | new becomes `.broken`, settled |
//!
//! `settled → installing → trial → settled` (healthy) or `trial → rolling back → settled` (rolled back). Which build lies where
//! is decided by what a rename carries along (inode and birth time; file index on Windows), and where that says nothing,
//! by its bytes. Each row leads to a row below or above it with less left to do, so a recovery may be killed as well.
//!
//! The journal changes before the disk does, is replaced as a whole, and is synced, as are the builds and every folder a
//! rename touches.
//!
//! # Invariants
//!
//! 1. A build is read again in full, after it got its owner and permissions, where nobody else can reach it, and before it moves to the
//!    application's place; nothing missing, nothing more.
//! 2. The one build that is returned to is the one the journal describes. Whatever else lies at `.prev` is never used, and never
//!    removed.
//! 3. While a build is on trial no other is installed: the build before it is the only one known to work.
//! 4. The floor rises in the write that makes a build healthy; a release enters the list of those rolled back in the write
//!    that begins to roll it back.
//! 5. A build is the release that it came from, whatever version its code says.
//! 6. A full disk keeps no build from being rolled back.
//!
//! # Files
//!
//! - `types`: what goes in and comes out. `place`: names on the disk. `owner`: owners and permissions.
//! - `session`: one call under the lock, after a recovery. `journal`: where the application stands. `remember`: floor, rejections,
//!   news.
//! - `apply`: a staged build goes in. `swap`: two builds change places. `trial`: it proves itself, or goes back.
//! - `tree`: builds on disk. `fs/`: every file operation. `errors`: its failures.
//! - `package`, `msix/`: applications that came in an MSIX package. `plain`: Perry's two paths without a journal.

/// Hands the call over where the application came in an MSIX package.
macro_rules! package {
    ($installer:expr, $package:ident => $call:expr) => {
        #[cfg(feature = "msix")]
        if let Some($package) = &$installer.package {
            return $call;
        }
    };
}

mod apply;
mod errors;
pub(crate) mod fs;
mod journal;
#[cfg(feature = "msix")]
pub mod msix;
mod owner;
mod package;
mod place;
#[cfg(feature = "perry")]
pub(crate) mod plain;
mod remember;
mod session;
mod swap;
pub(crate) mod tree;
mod trial;
mod types;

#[cfg(feature = "_unpack")]
pub(crate) use errors::{integrity, io_error};
#[cfg(feature = "faults")]
pub use fs::{Op, faults};
pub use tree::{MAX_DEPTH, MAX_ENTRIES, MAX_PATH, contents_of, verify};
pub use types::{
    Admission, Build, Floor, HealthPolicy, Installed, Kind, Method, Options, Reason, Rejection, RolledBack,
    StartState, Started, Status,
};

use crate::error::{ErrorKind, UpdateError};
use crate::release::{Staged, same};
use errors::At;
use journal::{Journal, State};
use place::{Kept, Place};
use semver::Version;
use session::Session;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Installs builds of one application, rolls them back, and remembers. Every call takes the application's lock for as
/// long as it works, so any number of processes and users may have one.
#[derive(Debug)]
pub struct Installer {
    options: Options,
    place: Place,
    kind: Kind,
    /// The application came in an MSIX package: the system puts its builds in place.
    #[cfg(feature = "msix")]
    package: Option<msix::MsixInstaller>,
    /// The trial this process was started in.
    trial: Mutex<Option<u64>>,
    /// Held while this process is on trial: another start meanwhile is no sign of a crash.
    running: Mutex<Option<File>>,
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
                "this platform does not let applications install",
            )
            .hint("Ship updates through the platform's store."));
        }
        let place = Place::find(&options.target)?;
        let kind = place.kind()?;
        let options = Options { target: place.target.clone(), health: options.health.bounded(), ..options };
        let made = |options| Self {
            options,
            place: place.clone(),
            kind,
            #[cfg(feature = "msix")]
            package: None,
            trial: Mutex::new(None),
            running: Mutex::new(None),
        };
        if let Some(found) = package::of(&options.target) {
            #[cfg(not(feature = "msix"))]
            return Err(found.refuse());
            #[cfg(feature = "msix")]
            return Ok(Self {
                package: Some(found.installer(&options)?),
                kind: Kind::Package,
                ..made(options)
            });
        }
        Ok(made(options))
    }

    /// The installed build as a release holds it: what is at the target, or the package that it came in.
    pub(crate) fn installed_build(&self) -> PathBuf {
        package!(self, p => p.running_package().unwrap_or_else(|| self.place.target.clone()));
        self.place.target.clone()
    }

    /// The application's path, links followed.
    pub fn target(&self) -> &Path {
        &self.place.target
    }

    /// What is there.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The options it was opened with, bounded.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Where the build before the installed one is kept: `<target>.prev`, or `<target>.prev-2` and so on where somebody else
    /// uses that name.
    pub fn backup(&self) -> PathBuf {
        package!(self, p => p.package_before().unwrap_or_else(|| self.place.prev()));
        let journal = self.journal().unwrap_or_default();
        let old = journal.flight.as_ref().map(|flight| &flight.old).or(journal.kept.as_ref());
        self.place.kept(Kept::Previous, old.map_or(1, |old| old.slot))
    }

    /// The folder for everything this updater keeps about the application: `.<name>.bosc` beside it.
    pub fn folder(&self) -> PathBuf {
        package!(self, p => p.folder().to_owned());
        self.place.folder.clone()
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// A folder on the application's file system for sources to fetch into; made if it is missing. Kept between runs
    /// (a source may resume); the caller removes what it does not need any more.
    ///
    /// # Errors
    /// `Permission` when this user may not write beside the application, `Disk`.
    pub fn staging(&self) -> Result<PathBuf, UpdateError> {
        package!(self, p => p.staging());
        self.place.make_folder()?;
        self.place.make_staging()
    }

    /// [`Installer::staging`], if it is there already.
    pub(crate) fn staging_there(&self) -> Option<PathBuf> {
        package!(self, p => Some(p.folder().join("staging")).filter(|path| path.is_dir()));
        self.place.staging_there()
    }

    /// Fails with `NoSpace` unless `bytes` more fit on the application's file system, with 16 MiB to spare.
    ///
    /// # Errors
    /// `NoSpace`; `Disk` when the file system does not say.
    pub fn room_for(&self, bytes: u64) -> Result<(), UpdateError> {
        package!(self, p => p.room_for(bytes));
        let parent = &self.place.parent;
        let free = fs::available_space(parent).at("ask for the free space of", parent)?;
        let needed = bytes.saturating_add(apply::SPARE);
        if free >= needed {
            return Ok(());
        }
        Err(UpdateError::new(
            ErrorKind::NoSpace,
            format!(
                "the update needs {needed} bytes on the disk of {}, and {free} are free",
                parent.display()
            ),
        )
        .hint("Make room on the disk and try again."))
    }

    /// Where the application stands. Changes nothing and waits for nobody; what a killed process left is told as it is.
    ///
    /// # Errors
    /// `Disk`, and `Refused` when a newer updater wrote the journal.
    pub fn status(&self) -> Result<Status, UpdateError> {
        Ok(status(&self.journal()?))
    }

    fn journal(&self) -> Result<Journal, UpdateError> {
        package!(self, p => p.journal());
        Journal::read(&self.place.folder, false)
    }

    fn session(&self, now: SystemTime) -> Result<Session<'_>, UpdateError> {
        Session::enter(self, now, self.options.patience)
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
        Ok(gone(&self.place.folder)? && !gone(&self.place.target)?)
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
        Ok(status(&self.session(now)?.journal))
    }

    /// Called once by the application at its start, before anything that can fail. Counts the start when this code is a
    /// build on trial, and rolls the build back when it had the starts that the policy allows. A start that nobody saw the end of
    /// counts ([`HealthPolicy::unfinished`]); one before the last start of the system does not, up to eight times. Somebody who
    /// may not write beside the application is told where it stands, and counts nothing.
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
        *self.trial.lock().unwrap_or_else(PoisonError::into_inner) = generation;
        let news = session.tell_news(&state);
        let watched = generation.is_some_and(crate::health::is_watched);
        Ok(Started { state, news, watched })
    }

    /// [`Installer::started`] for somebody who may only look.
    fn looked_at(&self) -> Result<Started, UpdateError> {
        let journal = self.journal()?;
        let state = match &journal.flight {
            Some(flight)
                if journal.state == State::Trial && same(&flight.new.version, &self.options.version) =>
            {
                StartState::Trial { start: flight.counted(), window: self.options.health.window }
            }
            _ => StartState::Settled,
        };
        Ok(Started { state, news: None, watched: false })
    }

    fn hold(&self, running: File) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
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
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
        Ok(journal::time(flight.map_or(0, |flight| flight.until_ms)))
    }

    /// The trial that this process was started in.
    pub(crate) fn own_generation(&self) -> Option<u64> {
        *self.trial.lock().unwrap_or_else(PoisonError::into_inner)
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
        Session::enter(self, now, SHORT.min(self.options.patience))?.install(staged)
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

    /// What the last build that was rolled back was, if nobody was told yet.
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
}

fn status(journal: &Journal) -> Status {
    match &journal.flight {
        Some(flight) => Status::Trial {
            new: flight.new.build(),
            old: flight.old.build(),
            starts: flight.counted(),
            since: journal::time(flight.since_ms),
        },
        None => Status::Settled { previous: journal.kept.as_ref().map(journal::Piece::build) },
    }
}
