//! A new build proves itself, or is rolled back.

use super::errors::At;
use super::fs;
use super::journal::{Flight, News, Piece, State, millis, time};
use super::place::Kept;
use super::session::Session;
use super::swap::is_full;
use super::types::{Reason, RolledBack, StartState};
use crate::error::{ErrorKind, UpdateError};
use crate::install::tree;
use crate::release::same;
use crate::this_process::runs_in;
use std::time::SystemTime;

/// How often a build may say that it needs longer.
const MAX_EXTENSIONS: u32 = 256;

impl News {
    pub(crate) fn rolled_back(&self) -> RolledBack {
        RolledBack {
            bad: self.bad.build(),
            restored: self.restored.build(),
            reason: Reason::parse(&self.reason).unwrap_or(Reason::Asked),
        }
    }
}

impl Session<'_> {
    /// The flight on trial that the calling code belongs to.
    fn own_trial(&mut self) -> Option<&mut Flight> {
        let version = &self.app.options.version;
        let on_trial = self.journal.state == State::Trial;
        self.journal.flight.as_mut().filter(|flight| on_trial && same(&flight.new.version, version))
    }

    /// The flight on trial that the calling code was started for. What counts is what it is, not the version it says: a release
    /// whose version was not raised in the code says that of the old build, and must not be on trial for ever.
    fn started_trial(&mut self) -> Option<&mut Flight> {
        let running = &self.app.options.version;
        let flight = self.journal.flight.as_mut().filter(|_| self.journal.state == State::Trial)?;
        if !same(running, &flight.new.version) && same(running, &flight.old.version) {
            // What starts from the application's path is the new build. The old one may still be started from where it is kept;
            // a process that is neither (`bosc watch`) speaks for what is at the path.
            let kept = self.app.place.kept(Kept::Previous, flight.old.slot);
            if runs_in(&kept) && !runs_in(&self.app.place.target) {
                return None;
            }
        }
        Some(flight)
    }

    /// Counts a start; rolls the build back when it had all that it is allowed. A start beside one that is counted and
    /// still has time is somebody's second click.
    pub(crate) fn count_start(&mut self) -> Result<(StartState, Option<u64>), UpdateError> {
        let health = self.app.options.health;
        let running = self.app.options.version.clone();
        let Some(flight) = self.started_trial() else { return Ok((StartState::Settled, None)) };
        if flight.boot.is_some() && flight.boot != fs::boot() {
            // The system was started anew meanwhile: that ended it, or it ended before, which nobody knows.
            flight.forgive();
        }
        let (generation, counted) = (flight.generation, flight.counted());
        if counted > 0 && self.is_running()? {
            return Ok((StartState::Trial { start: counted, window: health.window }, Some(generation)));
        }
        if health.automatic && counted >= health.unfinished {
            let rolled_back = self.roll_back(Reason::TooManyStarts)?;
            return Ok((StartState::RolledBack(rolled_back), Some(generation)));
        }
        self.hold_running()?;
        let Some(flight) = self.started_trial() else { return Ok((StartState::Settled, None)) };
        flight.starts = flight.starts.saturating_add(1);
        flight.boot = fs::boot();
        flight.new.says = (!same(&running, &flight.new.version)).then_some(running);
        let start = flight.counted();
        self.write()?;
        Ok((StartState::Trial { start, window: health.window }, Some(generation)))
    }

    /// Whether a process of this trial that was counted lives, and has time left to say that it is healthy. Its death
    /// releases the lock, so a build that crashes is counted each time; one that hangs is counted once its time is over.
    fn is_running(&self) -> Result<bool, UpdateError> {
        let path = self.app.place.running();
        let Some(found) = fs::look(&path).at("look at", &path)? else { return Ok(false) };
        let until =
            self.journal.flight.as_ref().map_or(SystemTime::UNIX_EPOCH, |flight| time(flight.until_ms));
        let allowed = self.app.options.health.window.saturating_mul(3) / 2;
        let in_time = found.modified().is_ok_and(|begun| {
            self.now
                .duration_since(begun)
                .map_or_else(|early| early.duration() < allowed, |age| age < allowed)
        });
        Ok((in_time || self.now < until)
            && fs::try_lock(&path, self.app.place.owner()?.lock()).at("lock", &path)?.is_none())
    }

    /// From now on this process is the one that [`Self::is_running`] asks for.
    fn hold_running(&self) -> Result<(), UpdateError> {
        let path = self.app.place.running();
        // Held by one whose time is over: it keeps it, and every start counts.
        let owner = self.app.place.owner()?.lock();
        if let Some(file) = fs::try_lock_since(&path, owner, self.now).at("lock", &path)? {
            self.app.hold(file);
        }
        Ok(())
    }

    /// The flight of a trial: the one this code was started in, else the one of its version.
    fn flight_of(&mut self, generation: Option<u64>) -> Option<&mut Flight> {
        let on_trial = self.journal.state == State::Trial;
        match generation {
            Some(generation) => {
                self.journal.flight.as_mut().filter(|flight| on_trial && flight.generation == generation)
            }
            None => self.own_trial(),
        }
    }

    /// The build on trial needs longer, one window from now. `false` when there is no such trial, or it said so too often.
    pub(crate) fn extend(&mut self, generation: Option<u64>) -> Result<bool, UpdateError> {
        let until = self.now.checked_add(self.app.options.health.window).unwrap_or(self.now);
        let Some(flight) = self.flight_of(generation).filter(|flight| flight.extended < MAX_EXTENSIONS)
        else {
            return Ok(false);
        };
        flight.until_ms = flight.until_ms.max(millis(until));
        flight.extended += 1;
        self.write()?;
        Ok(true)
    }

    /// Forgives the last start, once.
    pub(crate) fn forgive(&mut self, generation: Option<u64>) -> Result<(), UpdateError> {
        let Some(flight) = self.flight_of(generation) else { return Ok(()) };
        if flight.forgive() { self.write() } else { Ok(()) }
    }

    /// The new build works: it is the one to return to from now on, and nothing older comes back.
    pub(crate) fn healthy(&mut self, generation: Option<u64>) -> Result<bool, UpdateError> {
        let Some(flight) = self.flight_of(generation).cloned() else { return Ok(false) };
        self.journal.proved(flight);
        self.write()?;
        Ok(true)
    }

    /// Rolls the build on trial back, or returns to the one before a settled one.
    pub(crate) fn roll_back(&mut self, reason: Reason) -> Result<RolledBack, UpdateError> {
        let place = self.place();
        let mut flight = match self.journal.flight.take() {
            Some(flight) => flight,
            None => self.flight_back()?,
        };
        if !flight.old.is_at(&place.kept(Kept::Previous, flight.old.slot))?
            && !flight.old.is_at(&place.incoming())?
        {
            // Nothing was touched; what is at `.prev` is not what the journal means.
            self.journal.state = State::Settled;
            self.journal.kept = None;
            self.write()?;
            return Err(no_backup());
        }
        flight.reason = Some(reason.as_str().to_owned());
        self.journal.reject(&flight.new, reason.as_str(), flight.generation, self.now);
        self.journal.state = State::RollingBack;
        self.journal.flight = Some(flight);
        match self.write() {
            // Renames need no room. What can be spared is removed; a kill in between is understood without the journal.
            Err(e) if is_full(&e) => {
                self.discard_broken();
                place.clear_staging();
                let _ = self.write();
            }
            other => other?,
        }
        self.go_back()?;
        let news = self.journal.news.as_ref().ok_or_else(no_backup)?;
        Ok(news.rolled_back())
    }

    /// The way from a settled build to the one before it.
    fn flight_back(&mut self) -> Result<Flight, UpdateError> {
        let target = &self.place().target;
        let old = self.journal.kept.clone().ok_or_else(no_backup)?;
        let identity = fs::identity(target).at("look at", target)?;
        let new = match &self.journal.current {
            Some(current) => Piece { identity: Some(identity), ..current.clone() },
            None => {
                let contents = tree::known_fingerprint(target);
                let version = self.app.options.version.clone();
                let shipped = self.list_put(&identity);
                Piece {
                    version,
                    release: None,
                    contents,
                    identity: Some(identity),
                    slot: 1,
                    says: None,
                    shipped,
                }
            }
        };
        Ok(Flight::new(self.journal.next_generation(self.now), new, old, self.now))
    }
}

pub(crate) fn no_backup() -> UpdateError {
    UpdateError::new(ErrorKind::Refused, "there is no earlier build to return to")
        .hint("install a good version of the application by hand")
}
