//! Puts a staged build in the place of the installed one, atomically, and back.
//!
//! # Names
//!
//! For an application at `dir/App` (a file, a folder or a `.app`):
//!
//! | name | holds |
//! |---|---|
//! | `dir/App` | the application, always one whole build |
//! | `dir/App.prev` | the build before it, kept until the next install |
//! | `dir/App.broken` | the last build that was taken back, kept until the next install |
//! | `dir/.App.bosc/journal.json` | where the application stands, the version floor, the releases that were taken back |
//! | `dir/.App.bosc/LOCK` | locked while a call works |
//! | `dir/.App.bosc/staging/` | where sources put builds |
//! | `dir/.App.bosc/{incoming,outgoing,trash}` | builds that are changing places, and what is being removed |
//!
//! Everything lies beside the application: so it is on its file system, and every user and updater of one installation
//! finds the same journal. Who may write beside the application may write in the folder, nobody else.
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
//! | trial | old | | | somebody else put it back: remembered as taken back, settled |
//! | trial | nothing | | old | as rolling back |
//! | trial | neither | | | somebody installed another build: forgets the old one, settled |
//! | rolling back | new or nothing | nothing, or old | old, or nothing | old to `incoming`, changes places, settled |
//! | rolling back | old | new, or it is at `outgoing` | nothing | new becomes `.broken`, settled |
//!
//! `settled → installing → trial → settled` (healthy) or `trial → rolling back → settled` (taken back). Which build lies where
//! is decided by what a rename carries along (inode and birth time; file index on Windows), and where that says nothing,
//! by its bytes. Each row leads to a row below or above it with less left to do, so a recovery may be killed as well.
//!
//! The journal changes before the disk does, is replaced as a whole, and is synced, as are the builds and every folder a
//! rename touches.
//!
//! # Invariants
//!
//! 1. A build is read again in full, after it got its permissions and before it moves; nothing missing, nothing more.
//! 2. The one build that is returned to is the one the journal describes. Whatever else lies at `.prev` is never used.
//! 3. While a build is on trial no other is installed: the build before it is the only one known to work.
//! 4. The floor rises in the write that makes a build healthy; a release enters the list of those taken back in the write
//!    that begins to take it back.
//! 5. A full disk keeps no build from being taken back.

mod apply;
mod errors;
pub(crate) mod fs;
mod journal;
pub mod msix;
mod place;
mod remember;
mod session;
mod swap;
pub(crate) mod tree;
mod trial;
mod types;

#[cfg(feature = "archives")]
pub(crate) use errors::{integrity, io_error};
#[cfg(feature = "faults")]
pub use fs::{Op, faults};
pub use tree::{MAX_DEPTH, MAX_ENTRIES, MAX_PATH, contents_of, verify};
pub use types::{
    Admission, Build, Floor, HealthPolicy, Installed, Kind, Method, Options, Reason, Rejection, StartState,
    Started, Status, TakenBack,
};

use crate::error::{ErrorKind, UpdateError};
use crate::release::Staged;
use errors::At;
use journal::{Journal, State};
use place::Place;
use semver::Version;
use session::Session;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Installs builds of one application, takes them back, and remembers. Every call takes the application's lock for as
/// long as it works, so any number of processes and users may have one.
#[derive(Debug)]
pub struct Installer {
    options: Options,
    place: Place,
    kind: Kind,
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
        Ok(Self { options, place, kind, trial: Mutex::new(None), running: Mutex::new(None) })
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

    /// Where the build before the installed one is kept: `<target>.prev`.
    pub fn backup(&self) -> PathBuf {
        self.place.prev()
    }

    /// The folder for everything this updater keeps about the application: `.<name>.bosc` beside it.
    pub fn folder(&self) -> PathBuf {
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
        self.place.make_folder()?;
        let staging = self.place.staging();
        fs::make_dir(&staging).at("make", &staging)?;
        Ok(staging)
    }

    /// Fails with `NoSpace` unless `bytes` more fit on the application's file system, with 16 MiB to spare.
    ///
    /// # Errors
    /// `NoSpace`; `Disk` when the file system does not say.
    pub fn room_for(&self, bytes: u64) -> Result<(), UpdateError> {
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
        Journal::read(&self.place.folder, false)
    }

    fn session(&self, now: SystemTime) -> Result<Session<'_>, UpdateError> {
        Session::enter(self, now, self.options.patience)
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
        if self.untouched()? {
            return Ok(Status::Settled { previous: None });
        }
        Ok(status(&self.session(now)?.journal))
    }

    /// Called once by the application at its start, before anything that can fail. Counts the start when this code is a
    /// build on trial, and takes the build back when it had the starts that the policy allows.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`. None of them should keep the application from running.
    pub fn started(&self, now: SystemTime) -> Result<Started, UpdateError> {
        let settled = Started { state: StartState::Settled, news: None, watched: false };
        if self.untouched()? {
            return Ok(settled);
        }
        let mut session = self.session(now)?;
        let (state, generation) = session.count_start()?;
        *self.trial.lock().unwrap_or_else(PoisonError::into_inner) = generation;
        let news = session.tell_news(&state);
        let watched = generation.is_some_and(crate::health::is_watched);
        Ok(Started { state, news, watched })
    }

    fn hold(&self, running: File) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    }

    /// This code works. Raises the floor. `false` when it was not on trial: only the build on trial (by its version) can
    /// say so, and only for the trial it was started in. Safe to repeat.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn mark_healthy(&self, now: SystemTime) -> Result<bool, UpdateError> {
        if self.untouched()? {
            return Ok(false);
        }
        let done = self.session(now)?.healthy(self.own_generation())?;
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(done)
    }

    /// The person closed the application before it was healthy: this start does not count against the build, up to eight
    /// times. Ending with an error must not call it.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn closed(&self, now: SystemTime) -> Result<(), UpdateError> {
        if self.untouched()? {
            return Ok(());
        }
        self.session(now)?.forgive(self.own_generation())?;
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    fn own_generation(&self) -> Option<u64> {
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
        Session::enter(self, now, SHORT.min(self.options.patience))?.install(staged)
    }

    /// Takes the build on trial back, or when none is, returns to the build at `<target>.prev`. The release is remembered
    /// and held back.
    ///
    /// # Errors
    /// `Refused` when there is no build to return to; `Busy`, `Disk`, `Permission`.
    pub fn roll_back(&self, reason: Reason, now: SystemTime) -> Result<TakenBack, UpdateError> {
        let mut session = self.session(now)?;
        let taken_back = session.take_back(reason)?;
        session.forget_news();
        Ok(taken_back)
    }

    /// [`Installer::roll_back`] if that trial still goes on; what became of it otherwise.
    pub(crate) fn end_trial(
        &self,
        generation: u64,
        reason: Reason,
        now: SystemTime,
    ) -> Result<Option<TakenBack>, UpdateError> {
        let mut session = self.session(now)?;
        let goes_on = session.journal.state == State::Trial
            && session.journal.flight.as_ref().is_some_and(|flight| flight.generation == generation);
        if goes_on { session.take_back(reason).map(Some) } else { Ok(None) }
    }

    /// Whether that trial ended with a healthy build.
    pub(crate) fn took_off(&self, generation: u64) -> Result<bool, UpdateError> {
        Ok(self.journal()?.healthy == generation)
    }

    /// What the last build that was taken back was, if nobody was told yet.
    pub(crate) fn untold(&self) -> Result<Option<TakenBack>, UpdateError> {
        Ok(self.journal()?.news.map(|news| news.taken_back()))
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
