//! The handle of a running updater.

use super::damage::damage;
use super::event::Event;
use super::events::Events;
use super::lock::lock;
use super::reply::{Pending, pending};
use super::running::Shared;
use super::sentinel;
use super::update::{Command, Update};
use crate::error::{ErrorKind, UpdateError};
use crate::health::Outcome;
use crate::install::{Installer, Status};
use crate::release::ReleaseId;
use semver::Version;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

/// A running updater: a handle that may be cloned and shared. It ends with [`Updater::quit`], [`Updater::restart`] or
/// [`Updater::close`], or when the last handle goes; what was downloaded is kept.
#[derive(Debug, Clone)]
pub struct Updater(pub(super) Arc<Shared>);

impl Updater {
    pub(super) fn over(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// What happens, in order. See [`Events`]: there is one queue.
    pub fn events(&self) -> Events {
        self.0.events.clone()
    }

    /// Looks for an update now, whatever the automatic checks do; `None` when there is none. With automatic downloads it is then
    /// downloaded without a delay, also if it was stopped before.
    ///
    /// # Errors
    /// `Network`, `Integrity`, `Disk`: it is tried again later by itself, if automatic checks are on. `Busy` in a second instance.
    /// `Unsupported` with updates switched off or without an application, `Refused` while paused.
    pub fn check(&self) -> Pending<Option<Update>> {
        let (reply, answer) = pending();
        self.tell(Command::Check(reply));
        answer
    }

    /// [`Updater::check`] whose result arrives as an event.
    pub fn check_now(&self) {
        self.tell(Command::CheckNow);
    }

    /// Says that this build works: the window is drawn, the data is read. `false` when it was not on trial. Until then a new
    /// build is rolled back when it crashes, when it does not start, and when it says nothing. Safe to repeat; the answer may be
    /// dropped: what does not work is then reported by an event.
    pub fn mark_healthy(&self) -> Pending<bool> {
        let sentinel = self.0.sentinel.clone();
        let keep = self.0.keep_previous;
        let work = move |i: &Installer| {
            let done = i.mark_healthy(SystemTime::now())?;
            if done && !keep {
                i.discard_previous(SystemTime::now())?;
            }
            match sentinel {
                Some(path) if done => sentinel::over(&path, i).map(|()| done),
                _ => Ok(done),
            }
        };
        self.aside(work, false)
    }

    /// Says that this build needs longer until it is healthy, as for a migration of data: one health window from now. May be
    /// repeated. `false` when it is not on trial.
    pub fn starting(&self) -> Pending<bool> {
        self.aside(|i| i.starting(SystemTime::now()), false)
    }

    /// The person closes the application: this start does not count against a build on trial; a downloaded update is put in
    /// place (the next start runs it); the updater ends. The last call in `main`. The version that was put in place, if one was.
    ///
    /// Blocking: as long as writing the build takes.
    ///
    /// # Errors
    /// As [`Update::apply`]: the installed build stays in place, and the update is offered again: there is no need to show it to a person.
    pub fn quit(&self) -> Result<Option<Version>, UpdateError> {
        // It may have said just now that it is healthy.
        self.0.finish_asides();
        let closing = self.closing().wait();
        let applied = match self.ready_to_apply().filter(|_| self.0.apply_on_quit) {
            // The newest that is there: nobody agreed to a certain one.
            Some(_) => self.0.remote.apply(None).wait().map(|done| Some(done.version)),
            None => Ok(None),
        };
        self.0.end();
        closing.and(applied)
    }

    /// Ends the updater, puts a downloaded update in place, starts the application again ([`UpdaterBuilder::program`](crate::UpdaterBuilder::program)) and stays until
    /// the new build has said that it is healthy; puts the old one back and starts that if it does not. The last call in `main`,
    /// instead of [`Updater::quit`].
    ///
    /// Blocking: the health window and half as much again at most. End everything that the new build needs first (windows, ports,
    /// single-instance locks). When an update cannot be put in place, the installed build is started ([`Outcome::NotApplied`]): a
    /// person who closed the application for a restart gets it back.
    ///
    /// # Errors
    /// `Input` without an application, and for a folder whose program is not known; `Disk` when nothing could be started.
    pub fn restart(&self) -> Result<Outcome, UpdateError> {
        let installer = self.installer()?;
        self.0.finish_asides();
        let failed = self.ready_to_apply().and_then(|_| self.0.remote.apply(None).wait().err());
        if failed.is_none() && has_trial_of_another(installer) {
            return self.relaunch_and_watch(&self.0.program, &mut |_| true);
        }
        // Like a person who closes it.
        let _ = self.closing().wait();
        self.0.end();
        let restarted = self.relaunch_again();
        match failed {
            Some(error) => Ok(Outcome::NotApplied { error, restarted: restarted.ok() }),
            None => restarted.map(Outcome::Restarted),
        }
    }

    /// Whether another instance looks for updates, so that this one does not.
    pub fn is_second_instance(&self) -> bool {
        self.0.second.load(Ordering::SeqCst)
    }

    /// Uses no network until [`Updater::resume`]: for an application that is put to sleep, as on a phone, or whose laptop's lid
    /// closes. A running fetch stops and keeps what it has, connections end, and no timer is set. The answer comes when that is
    /// so, after two seconds at most once the step under way is over.
    ///
    /// A sleep and another network need no call: the updater notices them and goes on.
    pub fn suspend(&self) -> Pending<()> {
        let (reply, answer) = pending();
        self.tell(Command::Suspend(reply));
        answer
    }

    /// As [`Updater::suspend`], without an answer.
    pub fn pause(&self) {
        self.tell(Command::Pause);
    }

    /// Ends a pause, in another network perhaps. What was being fetched goes on.
    pub fn resume(&self) {
        self.tell(Command::Resume);
    }

    /// Stops the running fetch, or forgets the release that waits. It is taken up again by [`Updater::check`] and
    /// [`Update::download`] only; a newer release is fetched as usual.
    pub fn cancel(&self) {
        self.tell(Command::Cancel);
    }

    /// Ends the updater and waits for it. What was downloaded is kept; nothing is put in place.
    pub fn close(self) {
        self.0.end();
    }

    fn tell(&self, command: Command) {
        self.0.remote.tell(command);
    }

    pub(super) fn ready(&self) -> Option<ReleaseId> {
        *lock(&self.0.ready)
    }

    /// The update that is put in place when the application ends. While a build is on trial, none: the one before it is the only one
    /// known to work.
    pub(super) fn ready_to_apply(&self) -> Option<ReleaseId> {
        let installer = self.0.installer.as_ref()?;
        let settled = matches!(installer.status(), Ok(Status::Settled { .. }));
        self.ready().filter(|_| settled)
    }

    /// Does something with the installer on a thread of its own: it must not wait for a source that waits for a server.
    pub(super) fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Installer) -> Result<T, UpdateError> + Send + 'static,
        without: T,
    ) -> Pending<T> {
        let (reply, answer) = pending();
        let Some(installer) = self.0.installer.clone() else {
            reply.send(Ok(without));
            return answer;
        };
        let events = self.0.events.clone();
        let work = move || {
            let done = work(&installer);
            damage(&installer).into_iter().for_each(|event| events.post(event));
            match &done {
                // Nobody waits for the answer.
                Err(e) if !reply.is_heard() => events.post(Event::Error(e.clone())),
                _ => reply.send(done),
            }
        };
        // When no thread can be started, the answer that never comes is an error.
        let thread = std::thread::Builder::new().name("bosc-updater-health".to_owned()).spawn(work);
        let mut asides = lock(&self.0.asides);
        asides.retain(|thread| !thread.is_finished());
        asides.extend(thread);
        answer
    }

    pub(super) fn installer(&self) -> Result<&Arc<Installer>, UpdateError> {
        self.0.installer.as_ref().ok_or_else(no_app)
    }
}

/// Whether a build is on trial that is not the one that runs here.
fn has_trial_of_another(installer: &Installer) -> bool {
    let own = installer.own_generation();
    installer.trial().ok().flatten().is_some_and(|(generation, _)| Some(generation) != own)
}

fn no_app() -> UpdateError {
    UpdateError::new(ErrorKind::Input, "there is no application to update")
        .hint("name it with `UpdaterBuilder::app`, unless this is a development build")
}
