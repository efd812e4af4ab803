//! An application that is installed as an MSIX package.
//!
//! Such an application has no path to exchange: Windows keeps it in a folder of its own that nobody may write to. The package
//! is handed to the system, which puts it in place as a whole or keeps what is there. Returning is the same with the
//! package before, which is why that is kept.
//!
//! # Names
//!
//! Everything lies in one folder of this user, which nobody else can write to:
//!
//! | name | holds |
//! |---|---|
//! | `journal.json` | where the application stands, the version floor, the releases that were rolled back |
//! | `LOCK` | locked while a call works |
//! | `staging/` | where sources put packages |
//! | `packages/<fingerprint>.msix` | the package that runs, the one before it, the one on its way |
//!
//! # States
//!
//! The journal is written before the system is asked and after it answered. A new package takes effect when the application has
//! ended, and no one says when. So what counts is which version runs:
//!
//! | journal says | old version runs | new version runs | another version runs |
//! |---|---|---|---|
//! | settled | nothing to do | somebody else installed it: what was known is forgotten | the same |
//! | installing (a kill, or no answer) | waiting: not handed over, or not in effect yet; may be handed over again | on trial: the start counts | forgotten |
//! | trial (the system took it) | waiting: not in effect yet | on trial: the start counts; after the last one the old package is handed over | forgotten |
//! | rolling back | it is back: settled, reported once | the old package is handed over again | forgotten |
//!
//! A refusal by the system leaves the journal as it was before; on the way back it leaves it at `rolling back`, so that the
//! next start tries again.
//!
//! # Invariants
//!
//! 1. The bytes are read again in full after the journal was written and directly before the system is asked; on Windows nobody
//!    can change the file from that read until the system has answered.
//! 2. No name, path or text of a release becomes part of a command.
//! 3. No downgrade but the way back: the system would take any version, the floor and the list of releases that were rolled back
//!    do not.
//! 4. Only a package whose fingerprint the journal has is returned to.
//!
//! # What is different from a file
//!
//! The old process ends before the new package takes effect, so nothing watches the first start from outside: the new
//! version's starts are counted, as after a power cut. The first update has no package to return to unless the application
//! gave the one it came in to [`MsixInstaller::keep_installed`]; then a build that does not become healthy is left in place.
//!
//! # Files
//!
//! - `decide`: decisions, without a disk or a system. `command`: what the system is asked for (PowerShell), how long it may take, and
//!   what its answers mean. `road`: what the installer of every other shape asks this one for.
//! - `stand_in`: a stand-in for Windows in tests (feature `faults`).

mod command;
mod decide;
mod road;
#[cfg(feature = "faults")]
pub mod stand_in;
#[cfg(test)]
mod tests;

use super::app::SPARE;
use super::apply::admitted;
use super::errors::{At, busy, integrity};
use super::fs;
use super::fs::Owner;
use super::journal::{Flight, Journal, News, Piece, State};
use super::package::unsupported;
use super::session::lock;
use super::swap::is_full;
use super::tree;
use super::trial::no_backup;
use super::types::{Admission, Build, HealthPolicy, Reason, RolledBack, StartState, Started, Status};
use crate::error::{ErrorKind, UpdateError};
use crate::release::{Contents, EntryKind, Release, Staged};
use command::{Command, Failure, Runner, System, explain};
use decide::Standing;
use semver::Version;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What an installer of packages is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MsixOptions {
    /// A folder of this user alone, in the user's profile; made when missing. Windows must show it under the same path to
    /// other programs: for a packaged application its `LocalState` folder, not a redirected one below `AppData`.
    pub folder: PathBuf,
    /// The version of the code that calls.
    pub version: Version,
    /// How a new version proves itself. The window is reported to the application; the starts are what counts.
    pub health: HealthPolicy,
    /// How long to wait for another updater of the same application. Default 10 s.
    pub patience: Duration,
    /// How long a release that was rolled back is held back; doubled each time, up to 64 times. Default 1 day.
    pub back_off: Duration,
}

impl MsixOptions {
    /// The usual options.
    pub fn new(folder: impl Into<PathBuf>, version: Version) -> Self {
        Self {
            folder: folder.into(),
            version,
            health: HealthPolicy::default(),
            patience: Duration::from_secs(10),
            back_off: Duration::from_secs(86_400),
        }
    }
}

/// Hands packages of one application to the system, takes them back, and remembers.
#[derive(Debug)]
pub struct MsixInstaller {
    options: MsixOptions,
    runner: Box<dyn Runner>,
}

impl MsixInstaller {
    /// An installer of packages. Changes nothing.
    ///
    /// # Errors
    /// `Unsupported` elsewhere than on Windows; `Input` for a folder that does not lie in the user's profile.
    pub fn open(options: MsixOptions) -> Result<Self, UpdateError> {
        if !cfg!(windows) {
            return Err(unsupported());
        }
        let profile: Vec<PathBuf> = ["USERPROFILE", "LOCALAPPDATA", "APPDATA"]
            .into_iter()
            .filter_map(std::env::var_os)
            .map(PathBuf::from)
            .collect();
        Self::with(options, &profile, Box::new(System))
    }

    fn with(options: MsixOptions, profile: &[PathBuf], runner: Box<dyn Runner>) -> Result<Self, UpdateError> {
        if !decide::lies_in(&options.folder, profile) {
            return Err(UpdateError::new(
                ErrorKind::Input,
                format!("{} does not lie in this user's profile", options.folder.display()),
            )
            .hint("give a folder that only this user can write to, as the application's LocalState"));
        }
        Ok(Self { options: MsixOptions { health: options.health.bounded(), ..options }, runner })
    }

    fn packages(&self) -> PathBuf {
        self.options.folder.join("packages")
    }

    fn package(&self, contents: &[u8; 32]) -> PathBuf {
        self.packages().join(decide::file_name(contents))
    }

    /// Makes the folders, for this user alone.
    fn make_folders(&self) -> Result<(), UpdateError> {
        let folder = &self.options.folder;
        let mut missing = Vec::new();
        for path in folder.ancestors() {
            if fs::look(path).at("look at", path)?.is_some() {
                break;
            }
            missing.push(path);
        }
        for path in missing.into_iter().rev() {
            fs::make_dir(path).at("make", path)?;
            narrow(path, 0o700)?;
        }
        for path in [folder.clone(), folder.join("staging"), self.packages()] {
            fs::make_dir(&path).at("make", &path)?;
            narrow(&path, 0o700)?;
        }
        Ok(())
    }

    /// A folder for sources to fetch into; made if it is missing.
    ///
    /// # Errors
    /// `Permission`, `Disk`.
    pub fn staging(&self) -> Result<PathBuf, UpdateError> {
        self.make_folders()?;
        Ok(self.options.folder.join("staging"))
    }

    fn enter(&self, now: SystemTime) -> Result<Held<'_>, UpdateError> {
        self.make_folders()?;
        let found = fs::look(&self.options.folder).at("look at", &self.options.folder)?;
        let owner = found.as_ref().map_or(Owner { uid: fs::me(), gid: 0, mode: 0o700 }, Owner::of).private();
        let lock = lock(&self.options.folder.join("LOCK"), owner.lock(), self.options.patience)?;
        let journal = Journal::read(&self.options.folder, true)?;
        let mut held = Held { installer: self, journal, now, _lock: lock };
        held.put_right()?;
        Ok(held)
    }

    /// Where the application stands. A trial is reported from the hand-over on, also while the old version still runs.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn status(&self, now: SystemTime) -> Result<Status, UpdateError> {
        Ok(self.enter(now)?.journal.status())
    }

    /// That the journal was damaged was reported.
    pub(crate) fn forget_damage(&self, now: SystemTime) -> Result<(), UpdateError> {
        let mut held = self.enter(now)?;
        held.journal.lost = false;
        held.write()
    }

    /// Whether a release may be handed over: newer than what runs and what waits, not below the floor, not rolled back before.
    ///
    /// # Errors
    /// `Disk`, and `Refused` when a newer updater wrote the journal.
    pub fn admit(&self, release: &Release, now: SystemTime) -> Result<Admission, UpdateError> {
        let journal = Journal::read(&self.options.folder, false)?;
        Ok(decide::admission(&journal, &self.options.version, release, self.options.back_off, now))
    }

    /// Called once by the application at its start. Counts the start of a version on trial; hands the package before it to the
    /// system when it had the starts that the policy allows. After [`StartState::RolledBack`] end the application: the
    /// version before takes effect when it has ended.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`; `Refused` when a version had all its starts and there is no package to return to. None of
    /// them should keep the application from running.
    pub fn started(&self, now: SystemTime) -> Result<Started, UpdateError> {
        let mut held = self.enter(now)?;
        let state = held.count_start()?;
        let told = matches!(state, StartState::RolledBack(_));
        let news = if told { None } else { held.tell_news() };
        Ok(Started { state, news, watched: false })
    }

    /// This version works. Raises the floor; the package before it is the one that is kept. `false` when it was not on trial.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn mark_healthy(&self, now: SystemTime) -> Result<bool, UpdateError> {
        let mut held = self.enter(now)?;
        let Standing::Trial(flight) = held.standing() else { return Ok(false) };
        held.journal.proved(flight);
        held.write()?;
        held.clean();
        Ok(true)
    }

    /// The person closed the application before it was healthy: this start does not count, up to eight times.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn closed(&self, now: SystemTime) -> Result<(), UpdateError> {
        let mut held = self.enter(now)?;
        if !matches!(held.standing(), Standing::Trial(_)) {
            return Ok(());
        }
        let forgiven = held.journal.flight.as_mut().is_some_and(Flight::forgive);
        if forgiven { held.write() } else { Ok(()) }
    }

    /// Keeps the package that the running version came in, so that the first update can be rolled back as well. `false` when one
    /// is known already or an update is on its way. The staged path is gone afterwards when it returns `true`.
    ///
    /// # Errors
    /// `Input` for another version; `Integrity`, `Busy`, `NoSpace`, `Permission`, `Disk`.
    pub fn keep_installed(&self, staged: &Staged, now: SystemTime) -> Result<bool, UpdateError> {
        let mut held = self.enter(now)?;
        if staged.release.version != self.options.version {
            return Err(UpdateError::new(
                ErrorKind::Input,
                "this is not the package of the version that runs",
            )
            .hint("give the package of the running version"));
        }
        let known = held.journal.current.as_ref().is_some_and(|current| current.contents.is_some());
        if known || held.standing() != Standing::Settled {
            return Ok(false);
        }
        let piece = held.take_in(staged)?;
        if let Err(e) = piece.contents.as_ref().map_or(Ok(()), |contents| held.check(contents).map(|_| ())) {
            held.give_back(staged, &piece);
            return Err(e);
        }
        held.journal.current = Some(piece);
        held.write()?;
        Ok(true)
    }

    /// Hands a staged package to the system. It takes effect when the application has ended: end it, and the person, or the
    /// system, starts the new version.
    ///
    /// On an error the installed version stays, and what was staged is there for another attempt.
    ///
    /// # Errors
    /// `Integrity` when it is not a package or not what was proved; `Refused` when [`MsixInstaller::admit`] does not admit it or the
    /// system does not take it; `Busy` when another updater works, a version is on trial, or the system does not answer
    /// in time (then it may still happen); `NoSpace`, `Permission`, `Disk`, `Unsupported`.
    pub fn install(&self, staged: &Staged, now: SystemTime) -> Result<(Build, Build), UpdateError> {
        self.enter(now)?.install(staged)
    }

    /// Hands the package before the one that runs, or waits to take effect, to the system. The release is remembered and held
    /// back. The version before takes effect when the application has ended.
    ///
    /// # Errors
    /// `Refused` when there is no package to return to or the system does not take it; `Busy`, `Disk`, `Permission`.
    pub fn roll_back(&self, reason: Reason, now: SystemTime) -> Result<RolledBack, UpdateError> {
        self.enter(now)?.take_back(reason)
    }
}

/// One call at work.
struct Held<'a> {
    installer: &'a MsixInstaller,
    journal: Journal,
    now: SystemTime,
    _lock: File,
}

impl Held<'_> {
    fn write(&self) -> Result<(), UpdateError> {
        self.journal.write(&self.installer.options.folder)
    }

    fn is_on_trial(&self) -> bool {
        matches!(self.standing(), Standing::Trial(_))
    }

    fn standing(&self) -> Standing {
        decide::standing(&self.journal, &self.installer.options.version)
    }

    /// Writes down what the running version says about an update on its way.
    fn put_right(&mut self) -> Result<(), UpdateError> {
        match self.standing() {
            Standing::Returned(flight) => {
                self.journal.news = Some(News {
                    reason: flight.reason().as_str().into(),
                    bad: flight.new,
                    restored: flight.old.clone(),
                });
                self.journal.current = Some(flight.old);
            }
            Standing::Foreign => self.journal.current = None,
            _ => {
                self.clean();
                return Ok(());
            }
        }
        self.journal.state = State::Settled;
        self.journal.flight = None;
        self.journal.kept = None;
        self.write()?;
        self.clean();
        Ok(())
    }

    /// Removes packages that nobody returns to. What cannot be removed now is removed by whoever comes next.
    fn clean(&self) {
        let needed: Vec<String> = decide::needed(&self.journal).iter().map(decide::file_name).collect();
        let packages = self.installer.packages();
        for name in fs::names(&packages, 10_000).unwrap_or_default() {
            if !needed.iter().any(|needed| name == needed.as_str()) {
                let _ = tree::remove(&packages.join(name));
            }
        }
    }

    fn tell_news(&mut self) -> Option<RolledBack> {
        let news = self.journal.news.take()?;
        // Reported only once it is off the journal; if that fails, at the next start.
        self.write().ok()?;
        Some(news.rolled_back())
    }

    fn count_start(&mut self) -> Result<StartState, UpdateError> {
        let health = self.installer.options.health;
        match self.standing() {
            Standing::Returning(flight) => self.take_back(flight.reason()).map(StartState::RolledBack),
            Standing::Trial(flight) if health.automatic && flight.counted() >= health.unfinished => {
                self.take_back(Reason::TooManyStarts).map(StartState::RolledBack)
            }
            Standing::Trial(mut flight) => {
                flight.starts = flight.starts.saturating_add(1);
                let start = flight.counted();
                // The system took it, whether or not anybody lived to write that down.
                self.journal.state = State::Trial;
                self.journal.flight = Some(flight);
                self.write()?;
                Ok(StartState::Trial { start, window: health.window })
            }
            _ => Ok(StartState::Settled),
        }
    }

    fn install(&mut self, staged: &Staged) -> Result<(Build, Build), UpdateError> {
        let options = &self.installer.options;
        let release = &staged.release;
        admitted(&release.version, || {
            Ok(decide::admission(&self.journal, &options.version, release, options.back_off, self.now))
        })?;
        let before = self.journal.clone();
        let new = self.take_in(staged)?;
        let old = match self.standing() {
            Standing::Waiting(flight) => flight.old,
            _ => decide::running_piece(&self.journal, &options.version),
        };
        let flight = Flight::new(self.journal.next_generation(self.now), new.clone(), old, self.now);
        let builds = (flight.new.build(), flight.old.build());
        self.journal.state = State::Installing;
        self.journal.flight = Some(flight);
        let asked = self.write().map_err(Asked::No).and_then(|()| self.hand_over(&new));
        match asked {
            Ok(()) => {
                self.journal.state = State::Trial;
                // `installing` means the same at the next start.
                let _ = self.write();
                Ok(builds)
            }
            // It may still happen: the journal has to know of it.
            Err(Asked::Perhaps(e)) => Err(e),
            Err(Asked::No(e)) => {
                self.journal = before;
                // When this cannot be written, the old version finds that it waits, and may hand it over again.
                let _ = self.write();
                self.give_back(staged, &new);
                Err(e)
            }
        }
    }

    fn take_back(&mut self, reason: Reason) -> Result<RolledBack, UpdateError> {
        let flight = match self.journal.flight.clone() {
            Some(flight) => Some(flight),
            None => self.journal.kept.clone().map(|old| {
                let new = decide::running_piece(&self.journal, &self.installer.options.version);
                Flight::new(self.journal.next_generation(self.now), new, old, self.now)
            }),
        };
        let mut flight = flight.ok_or_else(no_backup)?;
        let there = match &flight.old.contents {
            Some(contents) => match self.check(contents) {
                Ok(_) => true,
                Err(e) if e.kind() == ErrorKind::Integrity => false,
                Err(e) => return Err(e),
            },
            None => false,
        };
        if !there {
            // Nothing to return to. A version that runs stays; one that only waits to take effect stays known.
            if !matches!(self.standing(), Standing::Waiting(_)) {
                self.journal.current = Some(flight.new);
                self.journal.state = State::Settled;
                self.journal.flight = None;
                self.journal.kept = None;
                self.write()?;
            }
            return Err(no_backup());
        }
        flight.reason = Some(reason.as_str().to_owned());
        self.journal.reject(&flight.new, reason.as_str(), flight.generation, self.now);
        self.journal.state = State::RollingBack;
        self.journal.flight = Some(flight.clone());
        match self.write() {
            // The system has its own room; what is staged is not needed any more.
            Err(e) if is_full(&e) => {
                let _ = tree::remove(&self.installer.options.folder.join("staging"));
                let _ = self.write();
            }
            other => other?,
        }
        self.hand_over(&flight.old).map_err(|asked| match asked {
            Asked::No(e) | Asked::Perhaps(e) => e,
        })?;
        Ok(RolledBack { bad: flight.new.build(), restored: flight.old.build(), reason })
    }

    /// Reads a package in full. While the returned file is open nobody can change it (Windows).
    fn check(&self, contents: &[u8; 32]) -> Result<File, UpdateError> {
        let path = self.installer.package(contents);
        if fs::look(&path).at("look at", &path)?.is_none_or(|found| !found.is_file()) {
            return Err(integrity(format!("the package {} is missing", path.display())));
        }
        let held = fs::hold(&path).at("open", &path)?;
        if tree::fingerprint(&tree::contents_of(&path)?) == *contents {
            return Ok(held);
        }
        Err(integrity(format!("{} does not match the verified release", path.display())))
    }

    /// Reads the package again and asks the system to install it.
    fn hand_over(&self, piece: &Piece) -> Result<(), Asked> {
        let contents = piece.contents.as_ref().ok_or_else(|| Asked::No(no_backup()))?;
        let _held = self.check(contents).map_err(Asked::No)?;
        let command = Command::add(&self.installer.package(contents), std::env::var_os("SystemRoot"));
        self.installer.runner.run(&command).map_err(|failure| match failure {
            Failure::Silent => Asked::Perhaps(explain(failure)),
            Failure::NotStarted(_) | Failure::Refused(_) => Asked::No(explain(failure)),
        })
    }

    /// Brings a staged package among the kept ones, under a name that is made of its bytes.
    fn take_in(&self, staged: &Staged) -> Result<Piece, UpdateError> {
        let size = package_size(&staged.path, &staged.contents)?;
        let contents = tree::fingerprint(&staged.contents);
        let path = self.installer.package(&contents);
        let piece = Piece {
            version: staged.release.version.clone(),
            release: Some(staged.release.id.0),
            contents: Some(contents),
            identity: None,
            slot: 1,
            says: None,
            shipped: None,
        };
        if staged.path == path {
            return Ok(piece);
        }
        tree::remove(&path)?;
        if let Err(e) = self.move_in(staged, size, &path) {
            self.give_back(staged, &piece);
            return Err(e);
        }
        Ok(piece)
    }

    fn move_in(&self, staged: &Staged, size: u64, path: &Path) -> Result<(), UpdateError> {
        let packages = self.installer.packages();
        match fs::rename(&staged.path, path, self.installer.options.patience) {
            Ok(()) => {
                narrow(path, 0o600)?;
                fs::sync_file(path).at("sync", path)?;
            }
            Err(e) if e.kind() == std::io::ErrorKind::CrossesDevices => {
                let free = fs::available_space(&packages).at("ask for the free space of", &packages)?;
                if free < size.saturating_add(SPARE) {
                    return Err(UpdateError::new(ErrorKind::NoSpace, "there is no room for the package")
                        .hint("make room on the disk and try again"));
                }
                tree::copy_file(&staged.path, path, size, 0o600)?;
            }
            Err(e) => return Err(e).at("move", &staged.path),
        }
        fs::sync_dir(&packages).at("sync", &packages)
    }

    /// Puts a package that was not installed to where it was staged, unless it is one to return to.
    fn give_back(&self, staged: &Staged, piece: &Piece) {
        let Some(contents) = piece.contents.filter(|c| !decide::needed(&self.journal).contains(c)) else {
            return;
        };
        if matches!(fs::look(&staged.path), Ok(None)) {
            let _ = fs::rename(&self.installer.package(&contents), &staged.path, Duration::ZERO);
        }
    }
}

/// Whether the system was asked.
enum Asked {
    /// It was not, or it refused.
    No(UpdateError),
    /// It was, and did not answer.
    Perhaps(UpdateError),
}

/// Sets the permissions of a file or folder that was just made or moved there.
fn narrow(path: &Path, mode: u32) -> Result<(), UpdateError> {
    match fs::look(path).at("look at", path)? {
        Some(found) if !found.file_type().is_symlink() => {
            fs::set_mode(path, &found, mode).at("set the permissions of", path)
        }
        _ => Err(integrity(format!("{} is missing or a link", path.display()))),
    }
}

/// The size of a staged package. Refuses what is not one: a package is one file, and a ZIP archive.
fn package_size(path: &Path, contents: &Contents) -> Result<u64, UpdateError> {
    tree::check_contents(contents)?;
    let no_package = || integrity("the release is not an MSIX package".to_owned());
    let [root] = contents.entries.as_slice() else { return Err(no_package()) };
    let EntryKind::File { size, .. } = root.kind else { return Err(no_package()) };
    if fs::look(path).at("look at", path)?.is_none_or(|found| !found.is_file()) {
        return Err(busy("the staged build is gone", "fetch the release again"));
    }
    let mut head = Vec::new();
    fs::open(path).at("open", path)?.take(4).read_to_end(&mut head).at("read", path)?;
    if head == b"PK\x03\x04" { Ok(size) } else { Err(no_package()) }
}
