//! A new build proves itself, or is taken back.

use super::errors::At;
use super::fs;
use super::journal::{Flight, News, Piece, State, millis};
use super::session::Session;
use super::swap::is_full;
use super::types::{Reason, StartState, TakenBack};
use crate::error::{ErrorKind, UpdateError};
use crate::install::tree;

impl News {
    pub(crate) fn taken_back(&self) -> TakenBack {
        TakenBack {
            bad: self.bad.build(),
            restored: self.restored.build(),
            reason: Reason::parse(&self.reason).unwrap_or(Reason::Asked),
        }
    }
}

impl Session<'_> {
    /// The flight on trial that the calling code belongs to.
    fn own_trial(&mut self) -> Option<&mut Flight> {
        let version = &self.installer.options().version;
        let on_trial = self.journal.state == State::Trial;
        self.journal.flight.as_mut().filter(|flight| on_trial && flight.new.version == *version)
    }

    /// The flight on trial that the calling code was started for: whatever is not the old build is the new one, even if it
    /// says another version than its release. Such a build cannot be healthy, and must not be on trial for ever.
    fn started_trial(&mut self) -> Option<&mut Flight> {
        let version = &self.installer.options().version;
        let on_trial = self.journal.state == State::Trial;
        self.journal.flight.as_mut().filter(|flight| on_trial && flight.old.version != *version)
    }

    /// Counts a start; takes the build back when it had all that it is allowed. A start beside one that is counted and
    /// still has time is somebody's second click.
    pub(crate) fn count_start(&mut self) -> Result<(StartState, Option<u64>), UpdateError> {
        let health = self.installer.options().health;
        let Some(flight) = self.started_trial() else { return Ok((StartState::Settled, None)) };
        let (generation, counted) = (flight.generation, flight.counted());
        if counted > 0 && self.is_running()? {
            return Ok((StartState::Trial { start: counted, window: health.window }, Some(generation)));
        }
        if health.automatic && counted >= health.starts() {
            let taken_back = self.take_back(Reason::TooManyStarts)?;
            return Ok((StartState::TakenBack(taken_back), Some(generation)));
        }
        self.hold_running()?;
        let Some(flight) = self.started_trial() else { return Ok((StartState::Settled, None)) };
        flight.starts = flight.starts.saturating_add(1);
        let start = flight.counted();
        self.write()?;
        Ok((StartState::Trial { start, window: health.window }, Some(generation)))
    }

    /// Whether a process of this trial that was counted lives, and has time left to say that it is healthy. Its death
    /// releases the lock, so a build that crashes is counted each time; one that hangs is counted once its time is over.
    fn is_running(&self) -> Result<bool, UpdateError> {
        let path = self.installer.place().running();
        let Some(found) = fs::look(&path).at("look at", &path)? else { return Ok(false) };
        let allowed = self.installer.options().health.window.saturating_mul(3) / 2;
        let in_time = found.modified().is_ok_and(|begun| {
            self.now
                .duration_since(begun)
                .map_or_else(|early| early.duration() < allowed, |age| age < allowed)
        });
        Ok(in_time && fs::try_lock(&path).at("lock", &path)?.is_none())
    }

    /// From now on this process is the one that [`Self::is_running`] asks for.
    fn hold_running(&self) -> Result<(), UpdateError> {
        let path = self.installer.place().running();
        // Held by one whose time is over: it keeps it, and every start counts.
        if let Some(file) = fs::try_lock_since(&path, self.now).at("lock", &path)? {
            self.installer.hold(file);
        }
        Ok(())
    }

    /// Forgives the last start, once.
    pub(crate) fn forgive(&mut self, generation: Option<u64>) -> Result<(), UpdateError> {
        let flight = match generation {
            Some(generation) => {
                let on_trial = self.journal.state == State::Trial;
                self.journal.flight.as_mut().filter(|flight| on_trial && flight.generation == generation)
            }
            None => self.own_trial(),
        };
        let Some(flight) = flight else { return Ok(()) };
        if flight.forgive() { self.write() } else { Ok(()) }
    }

    /// The new build works: it is the one to return to from now on, and nothing older comes back.
    pub(crate) fn healthy(&mut self, generation: Option<u64>) -> Result<bool, UpdateError> {
        let Some(flight) = self.own_trial().cloned() else { return Ok(false) };
        if generation.is_some_and(|generation| generation != flight.generation) {
            return Ok(false);
        }
        self.journal.proved(flight);
        self.write()?;
        Ok(true)
    }

    /// Takes the build on trial back, or returns to the one before a settled one.
    pub(crate) fn take_back(&mut self, reason: Reason) -> Result<TakenBack, UpdateError> {
        let place = self.place();
        let mut flight = match self.journal.flight.take() {
            Some(flight) => flight,
            None => self.flight_back()?,
        };
        if !flight.old.is_at(&place.prev())? && !flight.old.is_at(&place.incoming())? {
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
                let _ = tree::remove(&place.broken());
                let _ = tree::remove(&place.staging());
                let _ = self.write();
            }
            other => other?,
        }
        self.go_back()?;
        let news = self.journal.news.as_ref().ok_or_else(no_backup)?;
        Ok(news.taken_back())
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
                let version = self.installer.options().version.clone();
                Piece { version, release: None, contents, identity: Some(identity) }
            }
        };
        Ok(Flight {
            generation: self.journal.next_generation(self.now),
            new,
            old,
            since_ms: millis(self.now),
            starts: 0,
            forgiven: 0,
            forgiven_start: 0,
            reason: None,
        })
    }
}

pub(crate) fn no_backup() -> UpdateError {
    UpdateError::new(ErrorKind::Refused, "there is no build before the installed one to return to")
        .hint("Install a good version of the application by hand.")
}
