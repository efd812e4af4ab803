//! What the handles of a running updater share: its thread, and what it was started with.

use super::desk::Desk;
use super::device::{device, random};
use super::driver::{Driver, Open};
use super::event::Event;
use super::events::{Events, events};
use super::interrupt::Interrupt;
use super::lock::lock;
use super::options::Settings;
use super::policy::{Policy, PolicyConfig};
use super::skipped::Skipped;
use super::update::{Command, Remote};
use crate::error::{ErrorKind, UpdateError};
use crate::health::Program;
use crate::install::{self, Installer, StartState};
use crate::release::{ReleaseId, same};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long after the start a release is fetched without a delay.
const GRACE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) remote: Remote,
    pub(super) events: Events,
    pub(super) installer: Option<Arc<Installer>>,
    pub(super) started: Option<install::Started>,
    pub(super) sentinel: Option<PathBuf>,
    pub(super) program: Program,
    pub(super) apply_on_quit: bool,
    pub(super) keep_previous: bool,
    /// The release last reported as ready.
    pub(super) ready: Arc<Mutex<Option<ReleaseId>>>,
    pub(super) second: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Work with the installer that goes on.
    pub(super) asides: Mutex<Vec<JoinHandle<()>>>,
}

/// Waits for a thread, unless it is this one.
fn join(thread: JoinHandle<()>) {
    if thread.thread().id() != std::thread::current().id() {
        let _ = thread.join();
    }
}

impl Shared {
    pub(super) fn new(
        settings: Settings,
        open: Option<Open>,
        installer: Option<Arc<Installer>>,
        started: Option<install::Started>,
        sentinel: Option<PathBuf>,
        program: Program,
        interrupt: Arc<Interrupt>,
    ) -> (Events, Self) {
        let (sender, events) = events();
        let folder = settings.folder();
        let device = folder.clone().and_then(|folder| device(&folder)).unwrap_or_else(|e| {
            sender.send(Event::Error(e));
            random()
        });
        // What lies there may say another version in its code than its release does.
        let installed = installer.as_ref().and_then(|i| i.installed_version().ok());
        let installed = installed.unwrap_or_else(|| settings.version.clone());
        if let Some(started) = &started {
            if let Some(news) = &started.news {
                sender.send(Event::rolled_back(news, false));
            }
            if let StartState::RolledBack(t) = &started.state {
                sender.send(Event::rolled_back(t, true));
            }
        }
        // A build that was just rolled back still runs, and is not what is installed.
        let was_rolled_back =
            started.as_ref().is_some_and(|started| matches!(started.state, StartState::RolledBack(_)));
        if !same(&installed, &settings.version) && !was_rolled_back {
            let running = settings.version.clone();
            sender.send(Event::VersionMismatch { release: installed.clone(), running });
        }
        let skipped = folder.as_deref().ok().map(Skipped::in_folder);
        let poll = settings.poll.max(Duration::from_secs(10));
        let policy = Policy::new(PolicyConfig {
            updates: open.is_some(),
            auto_check: settings.auto_check,
            auto_download: settings.auto_download,
            installed,
            device,
            delay: settings.delay,
            grace: GRACE,
            // Links tell by themselves.
            poll: (!settings.source.upgrade.starts_with("pear:")).then_some(poll),
            downgrade: settings.allow_downgrade,
            skipped: skipped.as_ref().and_then(Skipped::version),
        });
        let (commands, receiver) = channel();
        let remote = Remote { commands, interrupt };
        let (ready, second) = (Arc::default(), Arc::default());
        let desk = Desk {
            installer: installer.clone(),
            sentinel: sentinel.clone(),
            commands: receiver,
            remote: remote.clone(),
            events: sender,
            start: Instant::now(),
            staged: None,
            received: 0,
            applies: Vec::new(),
            checks: Vec::new(),
            downloads: Vec::new(),
            suspends: Vec::new(),
            ended: false,
            told: None,
            ready: Arc::clone(&ready),
            terms: Vec::new(),
            skipped,
            unwanted: false,
            guided: None,
            second: Arc::clone(&second),
        };
        let inside = settings.program.as_ref().and_then(|program| program.inside.clone());
        let driver = Driver {
            policy,
            source: None,
            rests: false,
            open,
            folder: folder.ok(),
            instance: None,
            desk,
            inside,
            poll,
        };
        let thread = std::thread::Builder::new().name("bosc-updater".into()).spawn(move || driver.run());
        let thread = Mutex::new(
            thread
                .inspect_err(|e| {
                    let no_thread = UpdateError::new(ErrorKind::Disk, "cannot start a thread");
                    events.post(Event::Error(no_thread.because(e.to_string())));
                })
                .ok(),
        );
        let (apply_on_quit, keep_previous) = (settings.apply_on_quit, settings.keep_previous);
        let asides = Mutex::default();
        let shared = Self {
            remote,
            events: events.clone(),
            installer,
            started,
            sentinel,
            program,
            apply_on_quit,
            keep_previous,
            ready,
            second,
            thread,
            asides,
        };
        (events, shared)
    }

    pub(super) fn end(&self) {
        self.remote.tell(Command::End);
        let thread = lock(&self.thread).take();
        thread.into_iter().for_each(join);
        self.finish_asides();
    }

    /// Waits for what is being said about this build's health.
    pub(super) fn finish_asides(&self) {
        let asides = std::mem::take(&mut *lock(&self.asides));
        asides.into_iter().for_each(join);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.end();
    }
}
