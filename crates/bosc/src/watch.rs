//! `bosc watch`: the updater library as a child process, for applications in any language.
//!
//! Out, one line each with `--json`: `{"cmd":"watch","tag":...,"data":{...}}`. In, one command per line:
//!
//! | command | does |
//! |---|---|
//! | `check` | looks now; what is found is fetched without delay, and where nothing is, `up-to-date` says so |
//! | `download`, `download VERSION` | fetches the release that `available` reported: the last one, or that of this version |
//! | `skip`, `skip VERSION` | the person does not want this version: it is not reported again |
//! | `apply`, `apply VERSION` | puts the update that `updated` reported in the application's place: the last one, or that of this version |
//! | `starting` | the running version needs longer until it works, one `--health` from now |
//! | `healthy` | says that the running version works |
//! | `closing` | the person closes the application: this start does not count against a new build |
//! | `pause`, `resume`, `cancel` | stop using the network, resume, abandon the current download |
//! | `relaunch` | with a build on trial: ends the updating, waits until the application has ended (its input is closed), starts the new build and stays until that is healthy; else puts the old one back |
//! | `quit` | ends |
//!
//! When stdin closes, the application is gone: it ends, as with `quit`. Only after `relaunch` it stays, because then it is
//! the one that rolls a build back which cannot start. A signal that ends it (a logout, a closed terminal) counts as `closing`.
//! Commands are read whether or not its output is: see [`crate::screen`].
//!
//! # Files
//!
//! - Here: the lines that are read and how long one may be, `relaunch`, how long the application may take to end. `args`: flags, and
//!   what they make of the updater; files with headers or a certificate. `event`: what is said, and what goes first while nobody
//!   reads. `errors`: codes and hints of the updater's errors. `ui`: what is drawn with `--ui`.

mod args;
mod errors;
mod event;
mod ui;

pub(crate) use args::{Watch, seconds};
pub(crate) use errors::command_error;

use crate::global::Global;
use crate::plain::{Tone, sentence};
use crate::printer::Printer;
use bosc_release::command::Stop;
use bosc_release::error::CommandError;
use bosc_updater::health::{Outcome as Watched, Program};
use bosc_updater::{ErrorKind, Event, Events, Update, UpdateError, Updater};
use event::Said;
use std::cell::RefCell;
use std::io::{BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use ui::WatchUi;

/// Longest line read from stdin, in bytes.
const MAX_LINE: u64 = 4096;
/// How often is looked, while the end of the application is waited for.
const TICK: Duration = Duration::from_millis(100);
/// How long the application may take to end after `relaunch`. Then the new version is started beside it.
const RELAUNCH_WAIT: Duration = Duration::from_secs(10);
/// How long an application may take to end after its input to us was closed.
const ENDING: Duration = Duration::from_secs(2);
/// How long whoever reads may take for the last lines.
const DRAIN: Duration = Duration::from_secs(2);

/// What the command waits for.
enum Message {
    Word(String),
    Event(Box<Event>),
    /// What was asked for cannot be done; no event tells of it.
    Refused(UpdateError),
    /// A check that a word asked for found nothing to install.
    UpToDate,
    StdinClosed,
    /// A signal asked for the end.
    Stopped,
    Ended,
}

/// Runs until told to end.
pub(crate) fn run(a: &Watch, g: &Global, printer: &Printer, stop: &Stop) -> Result<(), CommandError> {
    let (mut builder, mut fault) = args::options(a, g)?;
    if fault.is_none()
        && let Err(e) = builder.validate()
    {
        // A build on trial says that it is healthy, or is rolled back, whatever is wrong with its source.
        if !args::is_on_trial(a) {
            return Err(command_error(&e));
        }
        builder = builder.updates(false);
        fault = Some(e);
    }
    // The application is told when it is a build that was rolled back; this process goes on.
    let updater = builder.start().into_updater();
    let events = updater.events();
    let (tx, rx) = channel();
    read_words(tx.clone())?;
    end_by_signal(stop, tx.clone())?;
    forward(events, tx.clone())?;
    let updater = Some(updater);
    let ui = RefCell::new((a.ui && printer.shows_progress()).then(|| WatchUi::new(a)));
    let mut session = Session {
        a,
        stop,
        printer,
        updater,
        ready: Vec::new(),
        found: Vec::new(),
        back: tx,
        checking: Arc::default(),
        ui,
    };
    session.draw();
    fault.iter().for_each(|e| session.say(e));
    session.can_relaunch();
    let outcome = session.run(&rx);
    printer.status(None);
    drop(session);
    if !printer.drain(DRAIN) {
        // Nobody reads: what is left to say would wait for ever.
        std::process::exit(i32::from(outcome.is_err()));
    }
    outcome
}

struct Session<'a> {
    a: &'a Watch,
    stop: &'a Stop,
    printer: &'a Printer,
    updater: Option<Updater>,
    /// What `updated` told of, newest last.
    ready: Vec<Update>,
    /// What `available` or `updated` told of, newest last.
    found: Vec<Update>,
    back: Sender<Message>,
    /// A thread waits for the answer to `check`.
    checking: Arc<AtomicBool>,
    /// What is drawn in place.
    ui: RefCell<Option<WatchUi>>,
}

impl Session<'_> {
    fn run(&mut self, messages: &Receiver<Message>) -> Result<(), CommandError> {
        while !self.stop.is_stopped() {
            // Whatever happens comes as a message: while nothing does, nothing wakes.
            match messages.recv() {
                Ok(Message::Event(event)) => self.event(&event),
                Ok(Message::Refused(e)) => self.say(&e),
                Ok(Message::UpToDate) => self.say(Said::UpToDate { version: self.a.version.clone() }),
                Ok(Message::Word(word)) => {
                    if self.ui.borrow().is_some() && !word.is_empty() {
                        let shown: String = word.chars().take(40).collect();
                        self.printer.say(Tone::Plain, &sentence(&format!("> {shown}")));
                    }
                    if !self.word(&word, messages)? {
                        return Ok(());
                    }
                }
                Ok(Message::Stopped) => break,
                Ok(Message::StdinClosed | Message::Ended) | Err(RecvError) => return Ok(()),
            }
        }
        // Whoever ended it ends the application as well: no fault of a new build.
        if let Some(Err(e)) = self.updater.as_ref().map(|u| u.closing().wait()) {
            self.say(&e);
        }
        Ok(())
    }

    /// `false` when it is time to end.
    fn word(&mut self, word: &str, messages: &Receiver<Message>) -> Result<bool, CommandError> {
        let Some(updater) = &self.updater else { return Ok(false) };
        let (word, argument) = word.split_once(' ').unwrap_or((word, ""));
        match word {
            "" => {}
            "check" => self.check()?,
            "apply" => self.apply(argument.trim()),
            "download" => self.download(argument.trim())?,
            "skip" => self.skip(argument.trim()),
            "healthy" => match updater.mark_healthy().wait() {
                Ok(trial) => self.say(Said::Healthy { trial, relaunched: false }),
                Err(e) => self.say(&e),
            },
            "starting" => {
                if let Err(e) = updater.starting().wait() {
                    self.say(&e);
                }
            }
            "closing" => {
                if let Err(e) = updater.closing().wait() {
                    self.say(&e);
                }
            }
            "pause" => updater.pause(),
            "resume" => updater.resume(),
            "cancel" => updater.cancel(),
            "relaunch" => {
                if let Err(e) = updater.can_relaunch_and_watch() {
                    self.say(&e);
                } else {
                    return self.relaunch(messages).map(|()| false);
                }
            }
            "quit" => return Ok(false),
            other => {
                let shown: String = other.chars().take(40).collect();
                let e = UpdateError::new(ErrorKind::Input, format!("no such command: {shown:?}")).hint(
                    "commands are check, download, skip, apply, starting, healthy, closing, pause, resume, cancel, relaunch and quit",
                );
                self.say(&e);
            }
        }
        Ok(true)
    }

    /// Looks now. What is found comes as an event, and what does not work as well; that nothing is there is said here.
    fn check(&self) -> Result<(), CommandError> {
        let Some(updater) = &self.updater else { return Ok(()) };
        // One thread waits, however often it is asked: whoever asks meanwhile is answered by the same line.
        if self.checking.swap(true, Ordering::SeqCst) {
            updater.check_now();
            return Ok(());
        }
        let (answer, back, checking) = (updater.check(), self.back.clone(), Arc::clone(&self.checking));
        spawn("check", move || {
            let found = answer.wait();
            checking.store(false, Ordering::SeqCst);
            if let Ok(None) = found {
                let _ = back.send(Message::UpToDate);
            }
        })
    }

    /// Installs what was agreed to: the release of that version, or the one that was told of last. The result comes as an event,
    /// but for what is not an attempt at all.
    fn apply(&self, version: &str) {
        let Some(updater) = &self.updater else { return };
        let mut told = self.ready.iter().rev();
        let agreed = told.find(|there| version.is_empty() || there.version().to_string() == version);
        let done = match agreed {
            Some(update) => update.apply().wait(),
            None if version.is_empty() => updater.apply_update().wait(),
            None => Err(UpdateError::new(
                ErrorKind::Refused,
                format!("no update to version {version:?} is ready"),
            )
            .hint("give a version that `updated` reported, or none for the last one")),
        };
        if let Err(e) = done
            && e.kind() == ErrorKind::Refused
            && (e.to_string().starts_with("no update") || e.to_string().contains("come meanwhile"))
        {
            self.say(&e);
        }
    }

    /// The release of that version that was told of, or the last one; tells when there is none.
    fn told_of(&self, version: &str) -> Option<Update> {
        let mut told = self.found.iter().rev();
        let found = told.find(|there| version.is_empty() || there.version().to_string() == version);
        if found.is_none() {
            let e =
                UpdateError::new(ErrorKind::Refused, format!("no update to version {version:?} is known"));
            let e = e.hint("give a version that `available` or `updated` reported, or none for the last one");
            self.say(&e);
        }
        found.cloned()
    }

    fn download(&self, version: &str) -> Result<(), CommandError> {
        let Some(update) = self.told_of(version) else { return Ok(()) };
        let (answer, back) = (update.download(|_| ()), self.back.clone());
        // Whatever else does not work comes as an event.
        spawn("download", move || {
            if let Err(e) = answer.wait()
                && e.kind() == ErrorKind::Refused
            {
                let _ = back.send(Message::Refused(e));
            }
        })
    }

    fn skip(&mut self, version: &str) {
        let Some(update) = self.told_of(version) else { return };
        match update.skip().wait() {
            Ok(()) => {
                self.ready.retain(|there| there != &update);
                self.say(Said::Skipped { version: update.version().to_string() });
            }
            Err(e) => self.say(&e),
        }
    }

    fn program(&self) -> Program {
        args::program(self.a)
    }

    /// Says at the start, and not when it is needed, that `relaunch` would not know what to start.
    fn can_relaunch(&self) {
        if let Some(Err(e)) = self.updater.as_ref().map(|updater| updater.can_relaunch(&self.program())) {
            let e = UpdateError::new(
                ErrorKind::Input,
                "`relaunch` will not work: which program to start is not known",
            )
            .hint("give the executable relative to the application's folder: --inside bin/app")
            .because(e);
            self.say(&e);
        }
    }

    /// Waits until the application has ended: it may be one that runs only once, and would end the new one at its start.
    fn wait_for_the_end(&self, messages: &Receiver<Message>) -> bool {
        let parent = parent();
        let deadline = Instant::now() + RELAUNCH_WAIT;
        while Instant::now() < deadline && !self.stop.is_stopped() {
            match messages.recv_timeout(TICK) {
                Ok(Message::Word(word)) if word == "quit" => return false,
                Ok(Message::Event(event)) => self.note(&event),
                Ok(Message::StdinClosed) | Err(RecvTimeoutError::Disconnected) => {
                    // Its files are closed in the course of its end, which takes a moment longer.
                    let deadline = Instant::now() + ENDING;
                    while Instant::now() < deadline && parent.is_some() && self::parent() == parent {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    return !self.stop.is_stopped();
                }
                _ => {}
            }
        }
        !self.stop.is_stopped()
    }

    fn relaunch(&mut self, messages: &Receiver<Message>) -> Result<(), CommandError> {
        self.say(Said::Relaunching { seconds: RELAUNCH_WAIT.as_secs_f64() });
        if !self.wait_for_the_end(messages) {
            return Ok(());
        }
        let Some(updater) = self.updater.take() else { return Ok(()) };
        let outcome = updater.relaunch_and_watch(&self.program(), &mut |event| {
            Said::of_watch(&event).iter().for_each(|said| self.tell(said));
            let quit = messages.try_iter().any(|m| matches!(m, Message::Word(word) if word == "quit"));
            !quit && !self.stop.is_stopped()
        });
        self.say(match outcome.map_err(|e| command_error(&e))? {
            Watched::Healthy => Said::Healthy { trial: true, relaunched: true },
            Watched::Closed => Said::Closed {},
            Watched::RolledBack { rolled_back, restarted } => Said::RolledBack {
                version: rolled_back.bad.version.to_string(),
                restored: rolled_back.restored.version.to_string(),
                reason: rolled_back.reason.as_str(),
                restart: false,
                pid: Some(restarted),
            },
            Watched::LeftInPlace(reason) => Said::LeftInPlace { reason: reason.as_str() },
            Watched::WhenEnded => Said::WhenEnded {},
            // Whoever ended the watch knows.
            _ => return Ok(()),
        });
        Ok(())
    }

    fn say(&self, said: impl Into<Said>) {
        self.tell(&said.into());
    }

    fn tell(&self, said: &Said) {
        if let Some(ui) = self.ui.borrow_mut().as_mut() {
            ui.take(said);
        }
        said.print(self.printer);
        self.draw();
    }

    /// What is known, in place.
    fn draw(&self) {
        if let Some(ui) = self.ui.borrow().as_ref() {
            ui.unseen();
            self.printer.status(Some(&ui.rows()));
        }
    }

    fn event(&mut self, event: &Event) {
        let keep = |all: &mut Vec<Update>, update: &Update| {
            all.retain(|there| there != update);
            all.push(update.clone());
            all.drain(..all.len().saturating_sub(16));
        };
        if let Event::Updated(update) = event {
            keep(&mut self.ready, update);
        }
        if let Event::Updated(update) | Event::Available(update) = event {
            keep(&mut self.found, update);
        }
        self.note(event);
    }

    /// Tells of an event.
    fn note(&self, event: &Event) {
        Said::of(event).iter().for_each(|said| self.tell(said));
    }
}

/// The process that started this one; `None` where the system does not say.
fn parent() -> Option<u32> {
    #[cfg(unix)]
    {
        Some(std::os::unix::process::parent_id())
    }
    #[cfg(not(unix))]
    {
        None
    }
}

/// An interrupt ends this, and so does what ends a session: a closed terminal, a logout, a shutdown. Told as a message, so that
/// nobody has to look for it.
fn end_by_signal(stop: &Stop, tx: Sender<Message>) -> Result<(), CommandError> {
    let stop = stop.clone();
    spawn("session", move || {
        let Ok(rt) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        if rt.block_on(told(&stop)).is_some() {
            stop.stop();
            let _ = tx.send(Message::Stopped);
        }
    })
}

/// Waits for a signal. One that came before this listened is heard by [`crate::signals`] alone, which is seen in a moment.
async fn told(stop: &Stop) -> Option<()> {
    let mut signalled = std::pin::pin!(signalled());
    for _ in 0..50 {
        match tokio::time::timeout(TICK, &mut signalled).await {
            Ok(heard) => return heard,
            Err(_) if stop.is_stopped() => return Some(()),
            Err(_) => {}
        }
    }
    signalled.await
}

/// Waits for a signal; `None` where the system does not let anybody wait for one.
#[cfg(unix)]
async fn signalled() -> Option<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).ok()?;
    let mut terminate = signal(SignalKind::terminate()).ok()?;
    let mut hangup = signal(SignalKind::hangup()).ok()?;
    tokio::select! {
        heard = interrupt.recv() => heard,
        heard = terminate.recv() => heard,
        heard = hangup.recv() => heard,
    }
}

#[cfg(windows)]
async fn signalled() -> Option<()> {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};
    let (mut interrupt, mut end) = (ctrl_c().ok()?, ctrl_break().ok()?);
    let (mut close, mut logoff, mut shutdown) =
        (ctrl_close().ok()?, ctrl_logoff().ok()?, ctrl_shutdown().ok()?);
    tokio::select! {
        heard = interrupt.recv() => heard,
        heard = end.recv() => heard,
        heard = close.recv() => heard,
        heard = logoff.recv() => heard,
        heard = shutdown.recv() => heard,
    }
}

#[cfg(not(any(unix, windows)))]
async fn signalled() -> Option<()> {
    tokio::signal::ctrl_c().await.ok()
}

/// Reads words until stdin closes. The thread ends with the process: nothing else ends a blocking read everywhere.
fn read_words(tx: Sender<Message>) -> Result<(), CommandError> {
    let read = move || {
        let mut stdin = std::io::stdin().lock();
        // The rest of a line that was too long is no line.
        let mut dropping = false;
        loop {
            let mut line = Vec::new();
            match stdin.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => {
                    let _ = tx.send(Message::StdinClosed);
                    return;
                }
                Ok(_) => {
                    let ends = line.last() == Some(&b'\n');
                    let long = !ends && line.len() as u64 > MAX_LINE;
                    let rest = dropping;
                    dropping = long || (rest && !ends);
                    let message = if rest {
                        continue;
                    } else if long {
                        Message::Refused(
                            UpdateError::new(
                                ErrorKind::Input,
                                format!("a line of more than {MAX_LINE} bytes is not a command"),
                            )
                            .hint("give one command per line"),
                        )
                    } else {
                        Message::Word(String::from_utf8_lossy(&line).trim().to_owned())
                    };
                    if tx.send(message).is_err() {
                        return;
                    }
                }
            }
        }
    };
    spawn("stdin", read)
}

fn forward(events: Events, tx: Sender<Message>) -> Result<(), CommandError> {
    spawn("events", move || {
        while let Some(event) = events.recv() {
            if tx.send(Message::Event(Box::new(event))).is_err() {
                return;
            }
        }
        let _ = tx.send(Message::Ended);
    })
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), CommandError> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .map(drop)
        .map_err(|e| CommandError::failed("cannot start a thread").because(e))
}
