//! What is remembered: the floor, the releases that were rolled back, what was not reported yet.

use super::admission::{is_there, rejection};
use super::errors::At;
use super::fs;
use super::installer::Installer;
use super::journal::{DAMAGED, Flight, Journal, MAX_VERSION, Piece, Rejected, State};
use super::session::Session;
use super::tree;
use super::types::{Admission, Floor, Rejection, RolledBack, StartState};
use crate::error::{ErrorKind, UpdateError};
use crate::release::{Release, newer};
use semver::Version;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

impl Installer {
    /// Whether a release may be installed: newer than what runs and what is installed, not below the floor, not rolled
    /// back before. A release that was rolled back is held back by its version and by its identity, for
    /// [`super::Options::back_off`], twice as long each time; a newer version is free at once.
    ///
    /// # Errors
    /// `Disk`, and `Refused` when a newer updater wrote the journal.
    pub fn admit(&self, release: &Release, now: SystemTime) -> Result<Admission, UpdateError> {
        package!(self, p => p.admit(release, now));
        self.app.admission(&self.journal()?, release, now)
    }

    /// The version of what is at the application's path, where the journal knows it. The code may say another one: see
    /// [`Installer::mismatch`]. Another process may have installed it since this one started.
    fn known_version(&self, journal: &Journal) -> Result<Option<Version>, UpdateError> {
        let new = journal.flight.as_ref().filter(|_| journal.state == State::Trial).map(|flight| &flight.new);
        for piece in [new, journal.current.as_ref()].into_iter().flatten() {
            if is_there(piece, self.target())? {
                return Ok(Some(piece.version.clone()));
            }
        }
        Ok(None)
    }

    /// The version of the installed release where it is known, else what the running code says.
    ///
    /// # Errors
    /// `Disk`, and `Refused` when a newer updater wrote the journal.
    pub fn installed_version(&self) -> Result<Version, UpdateError> {
        Ok(self.known_version(&self.journal()?)?.unwrap_or_else(|| self.options().version.clone()))
    }

    /// The release that is installed says another version than its code did when it started: the version in the code was not
    /// raised. The release's version and the code's.
    ///
    /// # Errors
    /// `Disk`, and `Refused` when a newer updater wrote the journal.
    pub fn mismatch(&self) -> Result<Option<(Version, Version)>, UpdateError> {
        let journal = self.journal()?;
        let new = journal.flight.as_ref().filter(|_| journal.state == State::Trial).map(|flight| &flight.new);
        let piece = new.or(journal.current.as_ref()).filter(|piece| piece.says.is_some());
        match piece {
            Some(piece) if is_there(piece, self.target())? => {
                Ok(piece.says.clone().map(|says| (piece.version.clone(), says)))
            }
            _ => Ok(None),
        }
    }

    /// Where a damaged journal of the application lies: what it knew of a trial, of the build before the installed one and of
    /// releases that were rolled back is lost. It stays there until somebody removes it.
    ///
    /// # Errors
    /// `Disk`, and `Refused` when a newer updater wrote the journal.
    pub fn damaged_journal(&self) -> Result<Option<PathBuf>, UpdateError> {
        let (journal, aside) = (self.journal()?, self.folder().join(DAMAGED));
        if fs::look(&aside).at("look at", &aside)?.is_some() {
            return Ok(Some(aside));
        }
        Ok(journal.lost.then(|| self.folder().join("journal.json")))
    }

    /// As [`Installer::damaged_journal`], once: only if it was not reported before.
    pub(crate) fn tell_damage(&self, now: SystemTime) -> Option<PathBuf> {
        if !self.journal().ok()?.lost {
            return None;
        }
        let aside = self.folder().join(DAMAGED);
        package!(self, p => p.forget_damage(now).is_ok().then_some(aside));
        match self.session(now) {
            Ok(mut session) => {
                session.journal.lost = false;
                session.write().ok()?;
            }
            // A user who may not write here gets it each time.
            Err(e) if e.kind() == ErrorKind::Permission => {}
            Err(_) => return None,
        }
        Some(aside)
    }

    fn rejection(&self, rejected: &Rejected, now: SystemTime) -> Rejection {
        rejection(rejected, self.options().back_off, now)
    }

    /// What may not be gone below.
    ///
    /// # Errors
    /// `Disk`, and `Refused` when a newer updater wrote the journal.
    pub fn floor(&self) -> Result<Floor, UpdateError> {
        let journal = self.journal()?;
        Ok(Floor { version: journal.floor, schema: journal.schema })
    }

    /// Remembers that a manifest of this schema was seen with a good signature. Never lowers it.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn raise_schema(&self, schema: u32) -> Result<(), UpdateError> {
        package!(self, p => p.raise_schema(schema, SystemTime::now()));
        if self.journal()?.schema >= schema {
            return Ok(());
        }
        let mut session = self.session(SystemTime::now())?;
        if session.journal.schema < schema {
            session.journal.schema = schema;
            session.write()?;
        }
        Ok(())
    }

    /// The releases that were rolled back, newest last, at most 32.
    ///
    /// # Errors
    /// `Disk`, and `Refused` when a newer updater wrote the journal.
    pub fn rejections(&self, now: SystemTime) -> Result<Vec<Rejection>, UpdateError> {
        Ok(self.journal()?.rejected.iter().map(|rejected| self.rejection(rejected, now)).collect())
    }
}

impl Session<'_> {
    /// What was rolled back and not reported yet. A build that is to end now reports it later, as the one before it.
    pub(crate) fn tell_news(&mut self, state: &StartState) -> Option<RolledBack> {
        if matches!(state, StartState::RolledBack(_)) {
            return None;
        }
        let news = self.journal.news.take()?;
        // Reported only once it is off the journal; if that fails, at the next start.
        self.write().ok()?;
        Some(news.rolled_back())
    }

    /// The caller knows.
    pub(crate) fn forget_news(&mut self) {
        self.journal.news = None;
        let _ = self.write();
    }

    pub(crate) fn adopt(&mut self, new: &Version, old: &Version, starts: u32) -> Result<bool, UpdateError> {
        let place = self.place();
        let prev = place.prev();
        let long = |version: &Version| version.to_string().len() > MAX_VERSION;
        let nothing = fs::look(&prev).at("look at", &prev)?.is_none();
        if self.journal.flight.is_some() || nothing || !newer(new, old) || long(new) || long(old) {
            return Ok(false);
        }
        // Ours, and healthy: a sentinel about it is older than that.
        if let Some(current) = &self.journal.current
            && !newer(new, &current.version)
            && is_there(current, &place.target)?
        {
            return Ok(false);
        }
        let piece = |path: &Path, version: &Version| -> Result<Piece, UpdateError> {
            Ok(Piece {
                version: version.clone(),
                release: None,
                contents: tree::known_fingerprint(path),
                identity: Some(fs::identity(path).at("look at", path)?),
                slot: 1,
                says: None,
                shipped: None,
            })
        };
        let (new, old) = (piece(&place.target, new)?, piece(&prev, old)?);
        let mut flight = Flight::new(self.journal.next_generation(self.now), new, old, self.now);
        flight.starts = starts.min(64);
        self.journal.state = State::Trial;
        self.journal.flight = Some(flight);
        self.journal.current = None;
        self.journal.kept = None;
        self.write()?;
        Ok(true)
    }
}
