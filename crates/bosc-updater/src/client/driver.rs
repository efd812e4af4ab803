//! The thread that does what the policy says: it owns the source and what is staged.

use super::Busy;
use super::diff::changes;
use super::event::{Event, Failure};
use super::policy::{Action, Input, Policy, Verdict};
use super::reply::Sender;
use crate::error::{ErrorKind, UpdateError};
use crate::install::{Admission, Installed, Installer};
use crate::perry::lifecycle;
use crate::release::{Release, Staged};
use crate::source::{Progress, Source};
use semver::Version;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant, SystemTime};

/// Longest sleep; the system's clock may have stood still meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What an apply put in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedUpdate {
    /// The new version.
    pub version: Version,
    /// The version before.
    pub previous: Version,
    /// Where it came from.
    pub link: String,
}

type Reply<T> = Sender<Result<T, UpdateError>>;

/// What the thread is told.
pub(super) enum Command {
    News,
    CheckNow,
    Pause,
    Resume,
    Cancel,
    Apply(Reply<AppliedUpdate>),
    End,
}

pub(super) struct Driver {
    pub(super) policy: Policy,
    pub(super) source: Option<Box<dyn Source>>,
    pub(super) desk: Desk,
}

/// Everything but policy and source, so that a running source can be interrupted.
pub(super) struct Desk {
    pub(super) installer: Option<Arc<Installer>>,
    pub(super) sentinel: Option<PathBuf>,
    pub(super) commands: Receiver<Command>,
    pub(super) interrupt: Arc<super::Interrupt>,
    pub(super) events: Sender<Event>,
    pub(super) start: Instant,
    pub(super) staged: Option<Staged>,
    pub(super) replies: Vec<Reply<AppliedUpdate>>,
    pub(super) ended: bool,
    /// The error told last, so that the same one is not told again and again.
    pub(super) told: Option<(ErrorKind, String)>,
}

impl Desk {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn emit(&mut self, event: Event) {
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

    fn fail(&mut self, e: &UpdateError, version: Option<&Version>) {
        let key = (e.kind(), e.to_string());
        if self.told.as_ref() != Some(&key) {
            self.told = Some(key);
            self.events.send(Event::Error(Failure::of(e, version)));
        }
    }

    /// Takes commands that came.
    fn listen(&mut self, policy: &mut Policy) {
        self.interrupt.clear();
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

    fn take(&mut self, policy: &mut Policy, command: Command) {
        let now = self.now();
        match command {
            Command::News => policy.handle(now, Input::News),
            Command::CheckNow => {
                self.told = None;
                policy.handle(now, Input::CheckNow);
            }
            Command::Pause => policy.handle(now, Input::Pause),
            Command::Resume => policy.handle(now, Input::Resume),
            Command::Cancel => policy.handle(now, Input::Cancel),
            Command::Apply(reply) => {
                self.replies.push(reply);
                policy.handle(now, Input::Apply);
            }
            Command::End => self.ended = true,
        }
    }

    /// Tells what needs no source. `true`: what runs is to be interrupted.
    fn tell(&mut self, action: Action) -> bool {
        match action {
            Action::Interrupt => return true,
            Action::Scheduled(release, delay) => {
                self.emit(Event::Scheduled { version: release.version, delay });
            }
            Action::Refused(release, verdict) => {
                let e = refusal(&release, verdict);
                self.fail(&e, Some(&release.version));
            }
            Action::NothingToApply => {
                for reply in std::mem::take(&mut self.replies) {
                    reply.send(Err(UpdateError::new(ErrorKind::Refused, "no update is ready to be applied")
                        .hint("wait for `updated`, or check now")));
                }
            }
            Action::Check(_) | Action::Prefetch | Action::Fetch(_) | Action::Apply => {}
        }
        false
    }

    /// Called while the source works: whether it may go on.
    fn go_on(&mut self, policy: &mut Policy) -> bool {
        self.listen(policy);
        let mut stop = self.ended;
        while let Some(action) = policy.poll(self.now()) {
            stop |= self.tell(action);
        }
        !stop
    }

    fn verdict(&self, release: &Release) -> Result<Verdict, UpdateError> {
        let Some(installer) = &self.installer else { return Ok(Verdict::Admitted) };
        let now = SystemTime::now();
        Ok(match installer.admit(release, now)? {
            // While a build is on trial a newer one can be fetched; only its install has to wait.
            Admission::Admitted | Admission::OnTrial => Verdict::Admitted,
            Admission::NotNewer | Admission::BelowFloor(_) => Verdict::TooOld,
            Admission::Rejected { until, .. } => Verdict::Rejected(
                until.duration_since(now).unwrap_or(Duration::ZERO).max(Duration::from_secs(1)),
            ),
        })
    }
}

fn refusal(release: &Release, verdict: Verdict) -> UpdateError {
    let v = &release.version;
    match verdict {
        Verdict::Rejected(_) => UpdateError::new(
            ErrorKind::Refused,
            format!("version {v} did not work here and was taken back before"),
        )
        .hint("the next version is tried; a person may check again later"),
        _ => UpdateError::new(ErrorKind::Refused, format!("version {v} is older than one that worked here"))
            .hint("the publisher has to release it under a higher version"),
    }
}

/// Installs; with Perry's sentinel armed around it where that is wanted.
fn put_in_place(
    installer: &Installer,
    staged: &Staged,
    sentinel: Option<&Path>,
) -> Result<Installed, UpdateError> {
    let Some(path) = sentinel else { return installer.install(staged, SystemTime::now()) };
    let current = installer.options().version.to_string();
    let next = staged.release.version.to_string();
    let generation = lifecycle::arm(path, installer.target(), &current, &next)?;
    installer.install(staged, SystemTime::now()).inspect_err(|_| {
        // What failed is told; a sentinel that stays is about a version that does not run, and is cleared at the next start.
        let _ = lifecycle::disarm(path, &generation);
    })
}

impl Driver {
    /// Runs until told to end.
    pub(super) fn run(mut self) {
        self.policy.handle(self.desk.now(), Input::Open);
        while !self.desk.ended {
            self.desk.listen(&mut self.policy);
            while !self.desk.ended
                && let Some(action) = self.policy.poll(self.desk.now())
            {
                self.act(action);
                self.desk.listen(&mut self.policy);
            }
            let next = self.policy.next_timeout().map(|t| t.saturating_sub(self.desk.now()));
            if self.desk.ended {
                break;
            }
            match self.desk.commands.recv_timeout(next.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)) {
                Ok(command) => self.desk.take(&mut self.policy, command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Check(threshold) => self.check(&threshold),
            Action::Prefetch => self.prefetch(),
            Action::Fetch(release) => self.fetch(&release),
            Action::Apply => self.apply(),
            other => {
                self.desk.tell(other);
            }
        }
    }

    fn check(&mut self, threshold: &Version) {
        let Some(source) = &mut self.source else {
            return self.policy.handle(self.desk.now(), Input::Checked(Ok(None)));
        };
        self.desk.interrupt.busy(Busy::Checking);
        let found = source.check(threshold);
        self.desk.interrupt.busy(Busy::No);
        let result = found.and_then(|found| match found {
            Some(release) => {
                let verdict = self.desk.verdict(&release)?;
                Ok(Some((release, verdict)))
            }
            None => Ok(None),
        });
        if let Err(e) = &result {
            // Nobody there yet is the usual state of a link at the start, and no error.
            let quiet = e.kind() == ErrorKind::Cancelled
                || (e.kind() == ErrorKind::Network && self.policy.waits_for_news());
            if !quiet {
                self.desk.fail(e, None);
            }
        }
        self.policy.handle(self.desk.now(), Input::Checked(result.map_err(|e| e.kind())));
    }

    fn prefetch(&mut self) {
        let installed = self.policy.installed().clone();
        let (policy, desk) = (&mut self.policy, &mut self.desk);
        if let Some(source) = &mut self.source {
            // It only saves time later: nobody is told when it did not work.
            desk.interrupt.busy(Busy::Fetching);
            let _ = source.prefetch(&installed, &mut |_| desk.go_on(policy));
            desk.interrupt.busy(Busy::No);
        }
        self.policy.handle(self.desk.now(), Input::Prefetched);
    }

    fn fetch(&mut self, release: &Release) {
        let desk = &mut self.desk;
        desk.emit(Event::Updating {
            version: release.version.clone(),
            link: release.origin.clone(),
            notes: release.notes.clone(),
        });
        let mut last = Progress::default();
        let staging = match &desk.installer {
            Some(i) => i.staging(),
            None => Err(UpdateError::new(ErrorKind::Unsupported, "no application to update was named")),
        };
        let policy = &mut self.policy;
        desk.interrupt.busy(Busy::Fetching);
        let result = match (&mut self.source, staging) {
            (Some(source), Ok(staging)) => source.fetch(release, &staging, &mut |p| {
                if p != last {
                    last = p;
                    desk.emit(Event::Progress(p));
                }
                desk.go_on(policy)
            }),
            (_, Err(e)) => Err(e),
            (None, Ok(_)) => Err(UpdateError::new(ErrorKind::Unsupported, "updates are switched off")),
        };
        desk.interrupt.busy(Busy::No);
        let kind = match result {
            Ok(staged) => {
                if let Some(installer) = &desk.installer {
                    desk.emit(Event::Delta(changes(installer.target(), &staged)));
                }
                let r = &staged.release;
                desk.emit(Event::Updated {
                    version: r.version.clone(),
                    link: r.origin.clone(),
                    notes: r.notes.clone(),
                    size: r.size,
                    received: last.received,
                });
                desk.staged = Some(staged);
                if let Some(source) = &mut self.source {
                    source.settle();
                }
                Ok(())
            }
            Err(e) => {
                if e.kind() != ErrorKind::Cancelled || policy.is_cancelled() {
                    desk.fail(&e, Some(&release.version));
                }
                Err(e.kind())
            }
        };
        self.policy.handle(self.desk.now(), Input::Fetched(kind));
    }

    fn apply(&mut self) {
        let desk = &mut self.desk;
        let result = match (&desk.installer, &desk.staged) {
            (Some(installer), Some(staged)) => {
                put_in_place(installer, staged, desk.sentinel.as_deref()).map(|done| AppliedUpdate {
                    version: done.new.version,
                    previous: done.old.version,
                    link: staged.release.origin.clone(),
                })
            }
            _ => Err(UpdateError::new(ErrorKind::Refused, "no update is ready to be applied")),
        };
        let kind = match &result {
            Ok(done) => {
                desk.staged = None;
                desk.emit(Event::Applied {
                    version: done.version.clone(),
                    previous: done.previous.clone(),
                    link: done.link.clone(),
                });
                Ok(())
            }
            Err(e) => {
                let version = desk.staged.as_ref().map(|s| s.release.version.clone());
                desk.told = None;
                desk.fail(e, version.as_ref());
                if matches!(e.kind(), ErrorKind::Integrity | ErrorKind::Refused) {
                    desk.staged = None;
                }
                Err(e.kind())
            }
        };
        let mut result = Some(result);
        for reply in std::mem::take(&mut desk.replies) {
            let answer = result.take().unwrap_or_else(|| {
                Err(UpdateError::new(ErrorKind::Busy, "the update was applied by another call"))
            });
            reply.send(answer);
        }
        self.policy.handle(self.desk.now(), Input::Applied(kind));
    }
}
