//! The updater as an application uses it: options in, events out, a few calls.
//!
//! ```no_run
//! use bosc_updater::client::{Event, Updater, UpdaterOptions, this_app};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = UpdaterOptions::new(
//!     "/home/me/.config/Demo", this_app(), "Demo", "1.0.0".parse()?,
//!     "pear://nw4bt9ok4skpuyyhkjwatqryo4ko8mhbyzhwc4zmc3dstudouxwo",
//! );
//! let (updater, events) = Updater::start(options)?;
//! updater.mark_healthy().wait()?; // once the application works
//! while let Some(event) = events.recv() {
//!     if let Event::Updated { version, .. } = event {
//!         println!("{version} is ready");
//!         updater.apply_update().wait()?;
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! One thread does the work. Every answer and every event can be waited for by a thread (`wait`, `recv`) or awaited by
//! any executor ([`Pending`] and [`Events::next`] are plain futures): no runtime is needed or started for it.
//!
//! - `policy`: when to look, what to take, when to fetch: a state machine without a clock.
//! - `driver`: the thread; it owns the source and what is staged.
//! - `reply`: answers and events.

mod diff;
mod driver;
mod event;
mod options;
pub mod policy;
mod reply;
mod sentinel;
mod source;

pub use diff::{Change, ChangeOp};
pub use driver::AppliedUpdate;
pub use event::{Event, Failure};
pub use options::{UpdaterOptions, this_app};
pub use reply::{Events, Next, Pending};

use crate::error::{ErrorKind, UpdateError};
use crate::health::{self, Outcome, Program, WatchEvent};
use crate::install::{Installer, Options, StartState, Started};
use crate::source::Source;
use driver::{Command, Desk, Driver};
use policy::{Policy, PolicyConfig};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{Sender as CommandSender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// How long after the start a release is fetched without a delay.
const GRACE: Duration = Duration::from_secs(60);

/// What the source is asked for at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Busy {
    No = 0,
    /// Looking for a release, or bringing in what is installed: any command ends it.
    Checking = 1,
    /// Fetching. It asks for commands as bytes arrive; what wants it to end does not wait for a silent server.
    Fetching = 2,
}

/// Ends what waits for the network when somebody wants something else.
#[derive(Default)]
pub(crate) struct Interrupt {
    flag: Arc<AtomicBool>,
    busy: AtomicU8,
    cancel: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl std::fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interrupt").finish_non_exhaustive()
    }
}

impl Interrupt {
    pub(crate) fn clear(&self) {
        self.flag.store(false, Ordering::SeqCst);
    }

    pub(crate) fn busy(&self, with: Busy) {
        self.busy.store(with as u8, Ordering::SeqCst);
    }

    /// `ends_fetch`: it is also worth ending a fetch for.
    fn raise(&self, ends_fetch: bool) {
        self.flag.store(true, Ordering::SeqCst);
        let busy = self.busy.load(Ordering::SeqCst);
        if (busy == Busy::Checking as u8 || (ends_fetch && busy == Busy::Fetching as u8))
            && let Some(cancel) = self.cancel.get()
        {
            cancel();
        }
    }
}

/// A running updater. Dropping it ends it; what was downloaded is kept.
#[derive(Debug)]
pub struct Updater {
    commands: CommandSender<Command>,
    interrupt: Arc<Interrupt>,
    installer: Option<Arc<Installer>>,
    started: Option<Started>,
    sentinel: Option<PathBuf>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Updater {
    /// Starts to follow `options.upgrade`. Call it once, early in the program: it also counts this start when this
    /// build is on trial, see [`Updater::started`].
    ///
    /// # Errors
    /// `Input` for options that cannot be; `Busy` while another process of the application has the folder; `Disk`,
    /// `Permission`; `Unsupported` on iOS and Android.
    pub fn start(options: UpdaterOptions) -> Result<(Self, Events<Event>), UpdateError> {
        let interrupt = Arc::new(Interrupt::default());
        let (installer, started) = match &options.app {
            None => (None, None),
            Some(app) => {
                let mut o = Options::new(app, options.version.clone());
                o.health = options.health;
                let installer = Arc::new(Installer::open(o)?);
                let on_mobile = cfg!(any(target_os = "ios", target_os = "android"));
                let sentinel = options.sentinel.as_deref().filter(|_| !on_mobile);
                if let Some(path) = sentinel {
                    sentinel::before_start(path, &installer)?;
                }
                let started = installer.started(SystemTime::now())?;
                if let (Some(path), StartState::TakenBack(_)) = (sentinel, &started.state) {
                    sentinel::over(path, &installer)?;
                }
                (Some(installer), Some(started))
            }
        };
        // A build that was just taken back has to end, not to update.
        let taken_back = matches!(&started, Some(Started { state: StartState::TakenBack(_), .. }));
        let updates = options.updates && installer.is_some() && !taken_back;
        let source = match &installer {
            Some(installer) if updates => Some(source::open(&options, installer, &interrupt)?),
            _ => None,
        };
        Self::with(options, updates, source, installer, started, interrupt)
    }

    fn with(
        options: UpdaterOptions,
        updates: bool,
        mut source: Option<Box<dyn Source>>,
        installer: Option<Arc<Installer>>,
        started: Option<Started>,
        interrupt: Arc<Interrupt>,
    ) -> Result<(Self, Events<Event>), UpdateError> {
        let device = options::device(&options.folder())?;
        let (commands, receiver) = channel();
        let (sender, events) = reply::events();
        if let Some(started) = &started {
            if let Some(news) = &started.news {
                sender.send(Event::rolled_back(news, false));
            }
            if let StartState::TakenBack(t) = &started.state {
                sender.send(Event::rolled_back(t, true));
            }
        }
        let news = Mutex::new(commands.clone());
        let tells = source.as_mut().is_some_and(|s| {
            s.on_news(Box::new(move || {
                let _ = news.lock().unwrap_or_else(PoisonError::into_inner).send(Command::News);
            }))
        });
        let policy = Policy::new(PolicyConfig {
            updates,
            installed: options.version.clone(),
            device,
            delay: options.delay,
            grace: GRACE,
            poll: (!tells).then_some(options.poll.max(Duration::from_secs(10))),
        });
        let desk = Desk {
            installer: installer.clone(),
            sentinel: options.sentinel.clone(),
            commands: receiver,
            interrupt: Arc::clone(&interrupt),
            events: sender,
            start: Instant::now(),
            staged: None,
            replies: Vec::new(),
            ended: false,
            told: None,
        };
        let driver = Driver { policy, source, desk };
        let thread = std::thread::Builder::new()
            .name("bosc-updater".into())
            .spawn(move || driver.run())
            .map_err(|e| UpdateError::new(ErrorKind::Disk, "no thread could be started").because(e))?;
        let thread = Mutex::new(Some(thread));
        let sentinel = options.sentinel;
        Ok((Self { commands, interrupt, installer, started, sentinel, thread }, events))
    }

    fn tell(&self, command: Command) {
        let ends_fetch =
            matches!(command, Command::Apply(_) | Command::Pause | Command::Cancel | Command::End);
        let _ = self.commands.send(command);
        // After the command: whoever clears the flag finds it.
        self.interrupt.raise(ends_fetch);
    }

    /// Where the application stood when it started. When this build was just taken back, start the application again
    /// ([`Updater::relaunch`]) and exit. `None` without an application.
    pub fn started(&self) -> Option<&Started> {
        self.started.as_ref()
    }

    /// Looks for updates now; what is found is fetched without delay, also if it was stopped before.
    pub fn check_now(&self) {
        self.tell(Command::CheckNow);
    }

    /// Uses no network until [`Updater::resume`]. A running fetch stops and keeps what it has.
    pub fn pause(&self) {
        self.tell(Command::Pause);
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.tell(Command::Resume);
    }

    /// Stops the running fetch, or forgets the release that waits. It is taken up again by [`Updater::check_now`] only;
    /// a newer release is fetched as usual.
    pub fn cancel(&self) {
        self.tell(Command::Cancel);
    }

    /// Puts the update that was told of last in the application's place. May be called again when it failed.
    pub fn apply_update(&self) -> Pending<AppliedUpdate> {
        let (reply, answer) = reply::pending();
        self.tell(Command::Apply(reply));
        answer
    }

    /// Says that this build works. `false` when it was not on trial. Until then a new build is taken back when it
    /// crashes, when it does not start, and when it says nothing.
    pub fn mark_healthy(&self) -> Pending<bool> {
        let sentinel = self.sentinel.clone();
        let work = move |i: &Installer| {
            let done = i.mark_healthy(SystemTime::now())?;
            match sentinel {
                Some(path) if done => sentinel::over(&path, i).map(|()| done),
                _ => Ok(done),
            }
        };
        self.aside(work, false)
    }

    /// Says that the person closes the application: this start does not count against a build on trial.
    pub fn closing(&self) -> Pending<()> {
        self.aside(|i| i.closed(SystemTime::now()), ())
    }

    /// Does something with the installer on a thread of its own: it must not wait for a source that waits for a server.
    fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Installer) -> Result<T, UpdateError> + Send + 'static,
        without: T,
    ) -> Pending<T> {
        let (reply, answer) = reply::pending();
        match &self.installer {
            None => reply.send(Ok(without)),
            Some(installer) => {
                let installer = Arc::clone(installer);
                let name = "bosc-updater-health".to_owned();
                // When no thread can be started, the answer that never comes is an error.
                let _ = std::thread::Builder::new().name(name).spawn(move || reply.send(work(&installer)));
            }
        }
        answer
    }

    /// Starts the application again, detached, without watching it. Exit afterwards.
    ///
    /// # Errors
    /// `Input` without an application, `Disk` when it cannot be started.
    pub fn relaunch(&self, program: &Program) -> Result<u32, UpdateError> {
        health::relaunch(self.installer()?, program)
    }

    /// Starts the new build and stays until it says that it is healthy; puts the old one back and starts that when it
    /// does not. Blocking: end everything the new build needs first (windows, ports, single-instance locks), and
    /// exit when it returns.
    ///
    /// # Errors
    /// As [`health::watch`], and `Input` without an application.
    pub fn relaunch_and_watch(
        &self,
        program: &Program,
        on_event: &mut dyn FnMut(WatchEvent) -> bool,
    ) -> Result<Outcome, UpdateError> {
        let installer = Arc::clone(self.installer()?);
        // The new build needs the store.
        self.end();
        let Some(path) = &self.sentinel else { return health::watch(&installer, program, on_event) };
        let mut listener = sentinel::Listener::new(path, &installer)?;
        let outcome = health::watch(&installer, program, &mut |event| {
            if let Some(listener) = &mut listener {
                listener.look(&installer);
            }
            on_event(event)
        })?;
        if matches!(outcome, Outcome::RolledBack { .. }) {
            // What stays is about a version that does not run, and is cleared at the next start.
            let _ = sentinel::over(path, &installer);
        }
        Ok(outcome)
    }

    fn installer(&self) -> Result<&Arc<Installer>, UpdateError> {
        self.installer.as_ref().ok_or_else(|| {
            UpdateError::new(ErrorKind::Input, "no application to update was named")
                .hint("set `app` in the updater's options")
        })
    }

    /// Ends the updater and waits for it. What was downloaded is kept.
    pub fn close(self) {
        self.end();
    }

    fn end(&self) {
        self.tell(Command::End);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for Updater {
    fn drop(&mut self) {
        self.end();
    }
}
