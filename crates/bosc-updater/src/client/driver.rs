//! The thread that does what the policy says: it owns the source and what is staged.

use super::damage::damage;
use super::desk::{Desk, superseded};
use super::device::device;
use super::diff::changes;
use super::event::Event;
use super::guided::follow;
use super::interrupt::Busy;
use super::lock::lock;
use super::policy::{Action, Input, Policy};
use super::sentinel::put_in_place;
use super::update::{AppliedUpdate, Command};
use crate::error::{ErrorKind, UpdateError};
use crate::install::Kind;
use crate::release::{Entry, EntryKind, Release, Staged};
use crate::source::{Progress, Source};
use semver::Version;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// Opens the source; called again when that failed.
pub(super) type Open = Box<dyn FnMut() -> Result<Box<dyn Source>, UpdateError> + Send>;

pub(super) struct Driver {
    pub(super) policy: Policy,
    pub(super) source: Option<Box<dyn Source>>,
    /// The source uses no network.
    pub(super) rests: bool,
    pub(super) open: Option<Open>,
    /// This user's folder for the updater.
    pub(super) folder: Option<PathBuf>,
    /// Locked while this is the instance that looks for updates.
    pub(super) instance: Option<File>,
    pub(super) desk: Desk,
    /// The program in the application's folder that is started, where one was named.
    pub(super) inside: Option<PathBuf>,
    /// How often a source is asked that cannot tell of news.
    pub(super) poll: Duration,
}

/// Makes this the instance that looks for updates in this user's folder, until the file is closed.
fn only_instance(folder: &Path) -> Result<File, UpdateError> {
    let path = folder.join("INSTANCE");
    let failed = |e: std::io::Error| {
        UpdateError::new(ErrorKind::Disk, format!("cannot lock {}", path.display()))
            .hint("give the updater a folder that this user may write to")
            .because(e)
    };
    device(folder)?;
    let file = bosc_files::open_private(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(UpdateError::new(
            ErrorKind::Busy,
            "another instance of the application is already looking for updates",
        )
        .hint("there is nothing to do: this one takes over when the other one ends")),
        // A file system without locks: the journal beside the application still lets one work at a time.
        Err(std::fs::TryLockError::Error(_)) => Ok(file),
    }
}

/// A folder without the program that is started could only be rolled back: it is not put in place.
fn holds_program(kind: Kind, inside: Option<&Path>, staged: &Staged) -> Result<(), UpdateError> {
    let Some(inside) = inside.filter(|_| matches!(kind, Kind::Directory | Kind::Bundle)) else {
        return Ok(());
    };
    let parts: Vec<_> = inside
        .components()
        .filter(|part| *part != std::path::Component::CurDir)
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    let wanted = parts.join("/");
    let there = |entry: &Entry| match &entry.kind {
        EntryKind::File { .. } => entry.path.eq_ignore_ascii_case(&wanted),
        // Where a link leads is seen when it is started.
        EntryKind::Symlink { .. } => inside.starts_with(&entry.path),
        EntryKind::Directory => false,
    };
    if staged.contents.entries.iter().any(there) {
        return Ok(());
    }
    Err(UpdateError::new(
        ErrorKind::Refused,
        format!("version {} holds no program {wanted}; it was not installed", staged.release.version),
    )
    .hint("check which program is started (`--inside`, `Program::inside`); else the publisher must release it again"))
}

impl Driver {
    /// Runs until told to end.
    pub(super) fn run(mut self) {
        self.policy.handle(self.desk.now(), Input::Open);
        while !self.desk.ended {
            self.desk.listen(&mut self.policy);
            self.rest();
            while !self.desk.ended
                && let Some(action) = self.policy.poll(self.desk.now())
            {
                self.act(action);
                self.desk.listen(&mut self.policy);
            }
            self.tidy();
            self.rest();
            let next = self.policy.next_timeout().map(|t| t.saturating_sub(self.desk.now()));
            if self.desk.ended {
                break;
            }
            // Nothing is due before that, and whatever happens comes as a command.
            let command = match next {
                Some(next) => self.desk.commands.recv_timeout(next),
                None => self.desk.commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match command {
                Ok(command) => self.desk.take(&mut self.policy, command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Some(source) = &mut self.source {
            source.put_away();
        }
    }

    /// A pause is one of the network too, of what is connected and of what others ask for.
    fn rest(&mut self) {
        let paused = self.policy.is_paused();
        if self.rests != paused {
            self.rests = paused;
            self.source.iter_mut().for_each(|source| source.rest(paused));
        }
        if paused {
            self.desk.suspends.drain(..).for_each(|reply| reply.send(Ok(())));
        }
    }

    /// What was fetched of a release that is not wanted goes, unless something else is on its way.
    fn tidy(&mut self) {
        let nothing_else = self.desk.staged.is_none() && self.policy.candidate().is_none();
        if let Some(source) = self.source.as_mut().filter(|_| nothing_else && self.desk.unwanted) {
            self.desk.unwanted = false;
            self.desk.tidy(source.as_mut());
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

    /// Opens the source if it is not open. Whatever keeps it from that is reported, and tried again with the next check.
    fn ready(&mut self) -> Result<(), UpdateError> {
        let Some(open) = self.open.as_mut().filter(|_| self.source.is_none()) else { return Ok(()) };
        let opened = match (&self.instance, &self.folder) {
            (None, Some(folder)) => only_instance(folder).map(|file| self.instance = Some(file)),
            _ => Ok(()),
        };
        match opened.and_then(|()| open()) {
            Ok(mut source) => {
                let remote = self.desk.remote.clone();
                let news = Box::new(move || drop(remote.commands.send(Command::News)));
                if !source.on_news(news) {
                    self.policy.handle(self.desk.now(), Input::AskEvery(self.poll));
                }
                self.source = Some(source);
                self.desk.second.store(false, Ordering::SeqCst);
                Ok(())
            }
            Err(e) if e.kind() == ErrorKind::Busy => {
                self.desk.second.store(true, Ordering::SeqCst);
                self.desk.tell_once(&e, Event::SecondInstance(e.clone()));
                Err(e)
            }
            Err(e) => {
                self.desk.fail(&e, None);
                Err(e)
            }
        }
    }

    /// What the source keeps may be damaged: it is opened anew, and then puts that aside.
    fn reopen_after(&mut self, e: ErrorKind) {
        if e == ErrorKind::Disk && self.open.is_some() {
            self.source = None;
        }
    }

    fn check(&mut self, threshold: &Version) {
        if let Err(e) = self.ready() {
            // A network that cannot be used is not the same as a link without peers: nobody would tell when it can.
            let kind = if e.kind() == ErrorKind::Input { e.kind() } else { ErrorKind::Disk };
            self.desk.checked(&Err(e));
            return self.policy.handle(self.desk.now(), Input::Checked(Err(kind)));
        }
        let Some(source) = &mut self.source else {
            return self.policy.handle(self.desk.now(), Input::Checked(Ok(None)));
        };
        self.desk.remote.interrupt.busy(Busy::Checking);
        let found = source.check(threshold);
        let guidance = source.guidance();
        for conflict in source.conflicts() {
            self.desk.emit(Event::Conflict(conflict));
        }
        self.desk.remote.interrupt.busy(Busy::No);
        if let Some(guidance) = &guidance {
            follow(guidance, &mut self.desk, &mut self.policy, self.poll);
        }
        if let Ok(Some(release)) = &found {
            self.desk.found(release.id, source.terms());
        }
        if matches!(found, Ok(None)) && self.desk.staged.is_none() {
            self.desk.tidy(source.as_mut());
        }
        let result = found.and_then(|found| match found {
            Some(release) => Ok(self.desk.verdict(&release)?.map(|verdict| (release, verdict))),
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
        let failed = result.as_ref().err().cloned();
        if let Some(e) = &failed {
            self.reopen_after(e.kind());
        }
        self.policy.handle(self.desk.now(), Input::Checked(result.map_err(|e| e.kind())));
        match failed {
            // Ended by another command: it is looked for again.
            Some(e) if e.kind() == ErrorKind::Cancelled => {}
            Some(e) => self.desk.checked(&Err(e)),
            None => self.desk.checked(&Ok(self.policy.candidate().cloned())),
        }
    }

    fn prefetch(&mut self) {
        let installed = self.policy.installed().clone();
        let (policy, desk) = (&mut self.policy, &mut self.desk);
        if let Some(source) = &mut self.source {
            // It only saves time later: a failure is not reported.
            desk.remote.interrupt.busy(Busy::Fetching);
            let _ = source.prefetch(&installed, &mut |_| desk.go_on(policy));
            desk.remote.interrupt.busy(Busy::No);
        }
        self.policy.handle(self.desk.now(), Input::Prefetched);
    }

    fn fetch(&mut self, release: &Release) {
        self.desk.downloaded(release.id, false, &Err(superseded()));
        if let Err(e) = self.ready() {
            self.desk.downloaded(release.id, true, &Err(e));
            return self.policy.handle(self.desk.now(), Input::Fetched(Err(ErrorKind::Disk)));
        }
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
        desk.remote.interrupt.busy(Busy::Fetching);
        let result = match (&mut self.source, staging) {
            (Some(source), Ok(staging)) => source.fetch(release, &staging, &mut |p| {
                if p != last {
                    last = p;
                    desk.emit(Event::Progress(p));
                    for waiting in desk.downloads.iter_mut().filter(|waiting| waiting.id == release.id) {
                        (waiting.on_progress)(p);
                    }
                }
                desk.go_on(policy)
            }),
            (_, Err(e)) => Err(e),
            (None, Ok(_)) => Err(UpdateError::new(ErrorKind::Unsupported, "updates are switched off")),
        };
        desk.remote.interrupt.busy(Busy::No);
        let kind = match result {
            Ok(staged) => {
                if let Some(installer) = &desk.installer {
                    let shipped = installer.shipped();
                    let new = (staged.path.as_path(), &staged.contents);
                    desk.emit(Event::Delta(changes(&installer.installed_build(), new, shipped.as_ref())));
                }
                let release = staged.release.clone();
                *lock(&desk.ready) = Some(release.id);
                desk.received = last.received;
                desk.staged = Some(staged);
                let id = release.id;
                let update = desk.update(release);
                desk.emit(Event::Updated(update));
                desk.downloaded(id, true, &Ok(()));
                if let Some(source) = &mut self.source {
                    source.settle();
                }
                Ok(())
            }
            Err(e) => {
                if e.kind() != ErrorKind::Cancelled || policy.is_cancelled() {
                    desk.fail(&e, Some(&release.version));
                    desk.downloaded(release.id, true, &Err(e.clone()));
                }
                self.reopen_after(e.kind());
                Err(e.kind())
            }
        };
        self.policy.handle(self.desk.now(), Input::Fetched(kind));
    }

    fn apply(&mut self) {
        let desk = &mut self.desk;
        let result = match (&desk.installer, &desk.staged) {
            (Some(installer), Some(staged)) => {
                holds_program(installer.kind(), self.inside.as_deref(), staged)
                    .and_then(|()| put_in_place(installer, staged, desk.sentinel.as_deref()))
                    .map(|done| AppliedUpdate {
                        version: done.new.version,
                        previous: done.old.version,
                        link: staged.release.origin.clone(),
                        not_kept: done.not_kept,
                    })
            }
            _ => Err(UpdateError::new(ErrorKind::Refused, "no update is ready to be applied")),
        };
        let kind = match &result {
            Ok(done) => {
                desk.staged = None;
                *lock(&desk.ready) = None;
                desk.emit(Event::Applied {
                    version: done.version.clone(),
                    previous: done.previous.clone(),
                    link: done.link.clone(),
                    not_kept: done.not_kept.clone(),
                });
                Ok(())
            }
            Err(e) => {
                let version = desk.staged.as_ref().map(|s| s.release.version.clone());
                desk.told = None;
                desk.fail(e, version.as_ref());
                if matches!(e.kind(), ErrorKind::Integrity | ErrorKind::Refused) {
                    desk.staged = None;
                    *lock(&desk.ready) = None;
                }
                Err(e.kind())
            }
        };
        if let Some(event) = desk.installer.as_deref().and_then(damage) {
            desk.emit(event);
        }
        let mut result = Some(result);
        for reply in std::mem::take(&mut desk.applies) {
            let answer = result.take().unwrap_or_else(|| {
                Err(UpdateError::new(ErrorKind::Busy, "the update was applied by another call"))
            });
            reply.send(answer);
        }
        self.policy.handle(self.desk.now(), Input::Applied(kind));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::{Contents, ReleaseId};

    #[test]
    fn a_folder_without_its_program_is_not_put_in_place() {
        let file = EntryKind::File { size: 1, sha256: [0; 32], executable: true };
        let entries = [
            ("", EntryKind::Directory),
            ("bin", EntryKind::Directory),
            ("bin/app", file),
            ("current", EntryKind::Symlink { target: "bin".to_owned() }),
        ];
        let entries = entries.map(|(path, kind)| Entry { path: path.to_owned(), kind }).to_vec();
        let release = Release {
            version: Version::new(1, 0, 1),
            id: ReleaseId([1; 32]),
            origin: String::new(),
            notes: None,
            size: None,
        };
        let staged = Staged { release, path: PathBuf::new(), contents: Contents { entries } };
        let may = |kind: Kind, inside: Option<&str>| holds_program(kind, inside.map(Path::new), &staged);
        for inside in [None, Some("bin/app"), Some("./bin/app"), Some("current/app")] {
            assert!(may(Kind::Directory, inside).is_ok(), "{inside:?}");
        }
        for inside in ["nope", "bin", "bin/app2", "app"] {
            assert_eq!(
                may(Kind::Directory, Some(inside)).unwrap_err().kind(),
                ErrorKind::Refused,
                "{inside}"
            );
        }
        assert!(may(Kind::File, Some("nope")).is_ok(), "there it names a file of the archive");
    }
}
