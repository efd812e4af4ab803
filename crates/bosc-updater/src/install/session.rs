//! One call at work: the lock, the journal, and what a killed process left, put right first.

use super::added::Shipped;
use super::app::App;
use super::errors::{At, busy, io_error};
use super::folder;
use super::fs;
use super::fs::Owner;
use super::journal::{Journal, News, Piece, State};
use super::place::{Kept, Place};
use super::swap::{is_full, keep_outgoing, swap};
use crate::error::{ErrorKind, UpdateError};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// The lock is held as long as this lives.
pub(crate) struct Session<'a> {
    pub(crate) app: &'a App,
    pub(crate) journal: Journal,
    pub(crate) now: SystemTime,
    /// What did not come along when builds changed places.
    pub(crate) notes: Vec<String>,
    _lock: File,
}

impl<'a> Session<'a> {
    /// Waits for the lock, reads the journal, and puts right what is wrong.
    pub(crate) fn enter(app: &'a App, now: SystemTime, wait: Duration) -> Result<Self, UpdateError> {
        let place = &app.place;
        place.make_folder()?;
        let lock = lock(&place.lock(), place.owner()?.lock(), wait)?;
        folder::mark_locked(&lock);
        let journal = Journal::read(&place.folder, true)?;
        let mut session = Self { app, journal, now, notes: Vec::new(), _lock: lock };
        if session.journal.lost
            && fs::look(&place.folder.join("journal.json")).is_ok_and(|meta| meta.is_none())
        {
            // So that it is reported, whoever has just put the damaged one aside.
            let _ = session.write();
        }
        session.recover()?;
        session.note_put();
        Ok(session)
    }

    pub(crate) fn place(&self) -> &'a Place {
        &self.app.place
    }

    pub(crate) fn patience(&self) -> Duration {
        self.app.options.patience
    }

    pub(crate) fn write(&self) -> Result<(), UpdateError> {
        self.journal.write(&self.place().folder)
    }

    /// Finishes or undoes what is on its way; see the table in [`crate::install`]. Safe to repeat, also after being
    /// killed itself.
    fn recover(&mut self) -> Result<(), UpdateError> {
        let place = self.place();
        let there = fs::look(&place.target).at("look at", &place.target)?.is_some();
        let Some(flight) = self.journal.flight.clone() else {
            if !there {
                self.find_a_build()?;
            }
            return self.clean();
        };
        match self.journal.state {
            State::Installing if there && flight.new.is_at(&place.target)? => self.installed(),
            State::Installing => self.undo(there),
            State::RollingBack => self.go_back(),
            State::Trial | State::Settled if there && flight.new.is_at(&place.target)? => Ok(()),
            State::Trial | State::Settled if !there || flight.old.is_at(&place.target)? => {
                // Killed, or out of room, while it was rolled back; or another updater rolled it back.
                let reason = flight.reason();
                self.journal.reject(&flight.new, reason.as_str(), flight.generation, self.now);
                self.go_back()
            }
            State::Trial | State::Settled => {
                // Somebody installed another build. It is theirs; what we knew does not hold any more.
                self.settle_as_found();
                self.write()?;
                self.clean()
            }
        }
    }

    /// Removes what is left over. Not being able to is no reason to stop: it changes nothing that matters.
    fn clean(&self) -> Result<(), UpdateError> {
        Shipped::sweep(&self.place().folder, &self.journal.lists());
        match self.place().clean() {
            Err(e) if matches!(e.kind(), ErrorKind::Permission | ErrorKind::Disk | ErrorKind::NoSpace) => {
                Ok(())
            }
            other => other,
        }
    }

    fn settle_as_found(&mut self) {
        self.journal.state = State::Settled;
        self.journal.flight = None;
        self.journal.current = None;
        self.journal.kept = None;
    }

    /// The swap happened: everything gets its lasting name, and the trial begins.
    pub(crate) fn installed(&mut self) -> Result<(), UpdateError> {
        let place = self.place();
        let Some(mut flight) = self.journal.flight.clone() else { return Ok(()) };
        let kept = self.journal.kept.as_ref();
        flight.old.slot = keep_outgoing(place, Kept::Previous, &flight.old, kept, self.patience())?;
        // What was added while they changed places.
        let before = place.kept(Kept::Previous, flight.old.slot);
        let lines = self.take_along((&flight.old, &before), (&flight.new, &place.target), true);
        self.notes.extend(lines.unwrap_or_default());
        self.journal.flight = Some(flight);
        self.discard_broken();
        // What it was made from. A newer release that was fetched meanwhile is fetched again.
        place.clear_staging();
        self.journal.state = State::Trial;
        self.journal.kept = None;
        self.journal.current = None;
        self.write()
    }

    /// The last build that was rolled back goes, if it still is what lies there. It stays in the journal until it is gone.
    pub(crate) fn discard_broken(&mut self) {
        let Some(broken) = &self.journal.broken else { return };
        let name = self.place().kept(Kept::Broken, broken.slot);
        let gone = match broken.is_at(&name) {
            Ok(true) => self.place().discard(&name).is_ok(),
            Ok(false) => true,
            Err(_) => false,
        };
        if gone {
            self.journal.broken = None;
        }
    }

    /// The build before a healthy one goes, if it still is what lies there.
    pub(crate) fn discard_kept(&mut self) -> Result<(), UpdateError> {
        if self.journal.state != State::Settled {
            return Ok(());
        }
        // First out of the journal: what is not there any more is nothing to return to.
        let Some(kept) = self.journal.kept.take() else { return Ok(()) };
        self.write()?;
        let name = self.place().kept(Kept::Previous, kept.slot);
        if kept.is_at(&name)? { self.place().discard(&name) } else { Ok(()) }
    }

    /// The swap did not happen, or only half of it.
    fn undo(&mut self, there: bool) -> Result<(), UpdateError> {
        if !there {
            self.find_a_build()?;
        }
        self.place().clean()?;
        self.journal.state = State::Settled;
        self.journal.flight = None;
        self.write()
    }

    /// There is nothing at the target: the build that was there last is put back.
    fn find_a_build(&mut self) -> Result<(), UpdateError> {
        let place = self.place();
        let mut candidates = vec![place.outgoing()];
        if let Some(flight) = &self.journal.flight
            && flight.old.is_at(&place.incoming())?
        {
            candidates.push(place.incoming());
        }
        match &self.journal.flight {
            Some(flight) => {
                let prev = place.kept(Kept::Previous, flight.old.slot);
                if flight.old.is_at(&prev)? {
                    candidates.push(prev);
                }
            }
            // An updater of Perry's that was killed between its two renames. When `.prev` is ours and settled, somebody
            // removed the application: that is their right.
            None if self.journal.kept.is_none() => candidates.push(place.prev()),
            None => {}
        }
        for candidate in candidates {
            if fs::look(&candidate).at("look at", &candidate)?.is_some() {
                fs::rename(&candidate, &place.target, self.patience())
                    .at("put the build back to", &place.target)?;
                return place.sync();
            }
        }
        Err(UpdateError::new(
            ErrorKind::Input,
            format!("there is no application at {}", place.target.display()),
        )
        .hint("install it again"))
    }

    /// Puts the old build of the flight back, from wherever a killed process left it.
    pub(crate) fn go_back(&mut self) -> Result<(), UpdateError> {
        let place = self.place();
        let Some(flight) = self.journal.flight.clone() else { return Ok(()) };
        let (target, incoming) = (&place.target, &place.incoming());
        let prev = &place.kept(Kept::Previous, flight.old.slot);
        if !flight.old.is_at(target)? {
            if !flight.old.is_at(incoming)? {
                place.discard(incoming)?;
                if !flight.old.is_at(prev)? {
                    return self.no_way_back(prev);
                }
                fs::rename(prev, incoming, self.patience()).at("take the build before from", prev)?;
                place.sync()?;
            }
            if let Err(e) = swap(place, self.patience()) {
                // The backup belongs where it was: the next attempt finds it in both places, other programs in one.
                if fs::look(prev).is_ok_and(|found| found.is_none()) && flight.old.is_at(incoming)? {
                    let _ = fs::rename(incoming, prev, Duration::ZERO);
                }
                return Err(e);
            }
        }
        let before = self.journal.broken.as_ref();
        let slot = keep_outgoing(place, Kept::Broken, &flight.new, before, self.patience())?;
        // What was added, or written to, while it was in place. That it cannot be keeps nothing from coming back.
        let bad = place.kept(Kept::Broken, slot);
        let _ = self.take_along((&flight.new, &bad), (&flight.old, &place.target), true);
        self.journal.broken = Some(Piece { slot, ..flight.new.clone() });
        self.journal.state = State::Settled;
        self.journal.flight = None;
        self.journal.kept = None;
        self.journal.news = Some(News {
            bad: flight.new.clone(),
            restored: flight.old.clone(),
            reason: flight.reason().as_str().into(),
        });
        self.journal.current = Some(flight.old);
        match self.write() {
            // The builds have changed places; the journal says `rolling back` and is put right when there is room.
            Err(e) if is_full(&e) => Ok(()),
            other => other,
        }
    }

    /// The build to return to is not where the journal says. What is at `.prev` may be any build: it is not used.
    fn no_way_back(&mut self, prev: &Path) -> Result<(), UpdateError> {
        let place = self.place();
        if fs::look(&place.target).at("look at", &place.target)?.is_none() {
            self.find_a_build()?;
        }
        self.settle_as_found();
        self.write()?;
        Err(UpdateError::new(
            ErrorKind::Refused,
            format!("{} is not the build before the installed one", prev.display()),
        )
        .hint("install a good version of the application by hand; the installed one is left as it is"))
    }
}

/// Takes the application's lock, waiting for it if need be.
pub(crate) fn lock(path: &Path, owner: Owner, wait: Duration) -> Result<File, UpdateError> {
    let deadline = Instant::now() + wait;
    loop {
        match fs::try_lock(path, owner) {
            Ok(Some(file)) => return Ok(file),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            Ok(None) => {
                return Err(busy(
                    "another updater of this application is running",
                    "wait until it has finished and try again",
                ));
            }
            Err(e) => return Err(io_error("lock", path, e)),
        }
    }
}
