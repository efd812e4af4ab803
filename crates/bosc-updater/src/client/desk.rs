//! What the updater's thread has on its desk: what is staged, who waits for an answer, and what was reported. Apart from policy and source, so
//! that a running source can be interrupted.

use super::event::Event;
use super::lock::lock;
use super::policy::{Action, Input, Policy, Verdict};
use super::reply::Sender;
use super::skipped::Skipped;
use super::update::{AppliedUpdate, Command, Remote, Reply, Update};
use crate::error::{ErrorKind, UpdateError};
use crate::install::{Admission, Installer};
use crate::release::{Release, ReleaseId, Staged};
use crate::source::{Guidance, Progress, Source, Terms};
use semver::Version;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// Somebody who waits for a download.
pub(super) struct Waiting {
    pub(super) id: ReleaseId,
    pub(super) on_progress: Box<dyn FnMut(Progress) + Send>,
    reply: Reply<()>,
}

/// Everything but policy and source, so that a running source can be interrupted.
pub(super) struct Desk {
    pub(super) installer: Option<Arc<Installer>>,
    pub(super) sentinel: Option<PathBuf>,
    pub(super) commands: Receiver<Command>,
    pub(super) remote: Remote,
    pub(super) events: Sender<Event>,
    pub(super) start: Instant,
    pub(super) staged: Option<Staged>,
    /// Bytes that came over the network for what is staged.
    pub(super) received: u64,
    pub(super) applies: Vec<Reply<AppliedUpdate>>,
    pub(super) checks: Vec<Reply<Option<Update>>>,
    pub(super) downloads: Vec<Waiting>,
    /// Those who wait for the network to be silent.
    pub(super) suspends: Vec<Reply<()>>,
    pub(super) ended: bool,
    /// The error told last, so that the same one is not told again and again.
    pub(super) told: Option<(ErrorKind, String)>,
    /// The release last reported as ready.
    pub(super) ready: Arc<Mutex<Option<ReleaseId>>>,
    /// What is said about releases that were found, the newest last.
    pub(super) terms: Vec<(ReleaseId, Terms)>,
    /// Where the version is remembered that the person does not want.
    pub(super) skipped: Option<Skipped>,
    /// Something was staged that is not wanted any more.
    pub(super) unwanted: bool,
    /// The rules of the link that were reported last.
    pub(super) guided: Option<Guidance>,
    /// Another instance looks for updates.
    pub(super) second: Arc<AtomicBool>,
}

impl Desk {
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn emit(&mut self, event: Event) {
        if !matches!(event, Event::Error(_)) {
            self.told = None;
        }
        let over = |last: &Event| matches!(last, Event::Progress(_));
        if matches!(event, Event::Progress(_)) {
            self.events.send_over(event, over);
        } else {
            self.events.send(event);
        }
    }

    pub(super) fn fail(&mut self, e: &UpdateError, version: Option<&Version>) {
        self.tell_once(e, Event::Error(e.clone().about(version)));
    }

    pub(super) fn tell_once(&mut self, e: &UpdateError, event: Event) {
        let key = (e.kind(), e.to_string());
        if self.told.as_ref() != Some(&key) {
            self.told = Some(key);
            self.events.send(event);
        }
    }

    pub(super) fn update(&self, release: Release) -> Update {
        let is_staged = self.staged.as_ref().is_some_and(|staged| staged.release.id == release.id);
        let terms = self.terms.iter().rev().find(|(id, _)| *id == release.id);
        let terms = terms.map(|(_, terms)| terms.clone()).unwrap_or_default();
        Update::new(release, if is_staged { self.received } else { 0 }, terms, self.remote.clone())
    }

    /// What the publisher says about a release that was found.
    pub(super) fn found(&mut self, id: ReleaseId, terms: Terms) {
        self.terms.retain(|(there, _)| *there != id);
        self.terms.push((id, terms));
        self.terms.drain(..self.terms.len().saturating_sub(4));
    }

    /// There is nothing newer than what is installed: what was fetched of other releases is of no use.
    pub(super) fn tidy(&self, source: &mut dyn Source) {
        // Not made for it: who never fetched has none.
        if let Some(staging) = self.installer.as_ref().and_then(|i| i.staging_there()) {
            source.tidy(&staging);
        }
    }

    fn skip(&mut self, policy: &mut Policy, release: &Release) -> Result<(), UpdateError> {
        let now = self.now();
        if self.staged.take_if(|staged| staged.release.id == release.id).is_some() {
            *lock(&self.ready) = None;
        }
        self.unwanted = true;
        let skipped = UpdateError::new(ErrorKind::Cancelled, "this version was skipped");
        self.downloaded(release.id, true, &Err(skipped.hint("download it again to undo that")));
        policy.handle(now, Input::Skip(release.version.clone()));
        self.skipped.as_ref().map_or(Ok(()), |skipped| skipped.remember(&release.version))
    }

    /// The person wants it after all.
    fn unskip(&self, version: &Version) {
        if let Some(skipped) = &self.skipped {
            skipped.forget(version);
        }
    }

    /// Answers those who wait for a check.
    pub(super) fn checked(&mut self, result: &Result<Option<Release>, UpdateError>) {
        for reply in std::mem::take(&mut self.checks) {
            let found = result.clone().map(|found| found.map(|release| self.update(release)));
            reply.send(found);
        }
    }

    /// Answers those who wait for this release, or for any other than this one.
    pub(super) fn downloaded(&mut self, id: ReleaseId, this: bool, result: &Result<(), UpdateError>) {
        for waiting in self.downloads.extract_if(.., |waiting| (waiting.id == id) == this) {
            waiting.reply.send(result.clone());
        }
    }

    /// Takes commands that came.
    pub(super) fn listen(&mut self, policy: &mut Policy) {
        self.remote.interrupt.clear();
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.take(policy, command),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.ended = true;
                    return;
                }
            }
        }
    }

    pub(super) fn take(&mut self, policy: &mut Policy, command: Command) {
        let now = self.now();
        match command {
            Command::News => policy.handle(now, Input::News),
            Command::CheckNow => {
                self.told = None;
                policy.handle(now, Input::CheckNow);
            }
            Command::Check(reply) => {
                if !policy.has_updates() {
                    let e = UpdateError::new(ErrorKind::Unsupported, "updates are switched off here");
                    reply.send(Err(e.hint("the events say why, unless the application switched them off")));
                } else if policy.is_paused() {
                    let e = UpdateError::new(ErrorKind::Refused, "updates are paused");
                    reply.send(Err(e.hint("resume them first")));
                } else {
                    self.told = None;
                    self.checks.push(reply);
                    policy.handle(now, Input::CheckNow);
                }
            }
            Command::Download(id, on_progress, reply) => {
                if self.staged.as_ref().is_some_and(|staged| staged.release.id == id) {
                    reply.send(Ok(()));
                } else if policy.candidate().is_none_or(|release| release.id != id) {
                    reply.send(Err(superseded()));
                } else {
                    if let Some(release) = policy.candidate() {
                        self.unskip(&release.version);
                    }
                    self.downloads.push(Waiting { id, on_progress, reply });
                    policy.handle(now, Input::Download(id));
                }
            }
            Command::Pause => policy.handle(now, Input::Pause),
            Command::Suspend(reply) => {
                self.suspends.push(reply);
                policy.handle(now, Input::Pause);
            }
            Command::Resume => policy.handle(now, Input::Resume),
            Command::Cancel => policy.handle(now, Input::Cancel),
            Command::Skip(release, reply) => {
                let done = self.skip(policy, &release);
                reply.send(done);
            }
            Command::Apply(agreed, reply) => match (&self.staged, agreed) {
                (Some(staged), Some(agreed)) if staged.release.id != agreed => {
                    let version = &staged.release.version;
                    let e = UpdateError::new(
                        ErrorKind::Refused,
                        format!(
                            "version {version} was released meanwhile; the version that was agreed to was not installed"
                        ),
                    );
                    reply.send(Err(e.hint("ask again, about the newer version")));
                }
                _ => {
                    self.applies.push(reply);
                    policy.handle(now, Input::Apply);
                }
            },
            Command::End => self.ended = true,
        }
    }

    /// Tells what needs no source. `true`: what runs is to be interrupted.
    pub(super) fn tell(&mut self, action: Action) -> bool {
        match action {
            Action::Interrupt => return true,
            Action::Scheduled(release, delay) => {
                self.emit(Event::Scheduled { version: release.version, delay });
            }
            Action::Available(release) => {
                let update = self.update(release);
                self.emit(Event::Available(update));
            }
            Action::Refused(release, verdict) => {
                let e = refusal(&release, verdict);
                self.fail(&e, Some(&release.version));
            }
            Action::NothingToApply => {
                for reply in std::mem::take(&mut self.applies) {
                    reply.send(Err(UpdateError::new(ErrorKind::Refused, "no update is ready to be applied")
                        .hint("wait for `updated`, or check now")));
                }
            }
            Action::Check(_) | Action::Prefetch | Action::Fetch(_) | Action::Apply => {}
        }
        false
    }

    /// Called while the source works: whether it may go on.
    pub(super) fn go_on(&mut self, policy: &mut Policy) -> bool {
        self.listen(policy);
        let mut stop = self.ended;
        while let Some(action) = policy.poll(self.now()) {
            stop |= self.tell(action);
        }
        !stop
    }

    /// Nothing for what is not an update at all.
    pub(super) fn verdict(&self, release: &Release) -> Result<Option<Verdict>, UpdateError> {
        let Some(installer) = &self.installer else { return Ok(Some(Verdict::Admitted)) };
        let now = SystemTime::now();
        Ok(Some(match installer.admit(release, now)? {
            // While a build is on trial a newer one can be fetched; only its install has to wait.
            Admission::Admitted | Admission::OnTrial => Verdict::Admitted,
            Admission::NotNewer => return Ok(None),
            Admission::BelowFloor(_) => Verdict::TooOld,
            Admission::Rejected { until, .. } => Verdict::Rejected(
                until.duration_since(now).unwrap_or(Duration::ZERO).max(Duration::from_secs(1)),
            ),
        }))
    }
}

pub(super) fn superseded() -> UpdateError {
    UpdateError::new(ErrorKind::Refused, "this release is no longer offered").hint("check again")
}

fn refusal(release: &Release, verdict: Verdict) -> UpdateError {
    let v = &release.version;
    match verdict {
        Verdict::Rejected(_) => UpdateError::new(
            ErrorKind::Refused,
            format!("version {v} did not work here and was rolled back before"),
        )
        .hint("the next version is tried; a person may check again later"),
        _ => UpdateError::new(ErrorKind::Refused, format!("version {v} is older than one that worked here"))
            .hint("allow the downgrade, or wait for a release with a higher version"),
    }
}
