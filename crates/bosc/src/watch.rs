//! `bosc watch`: the updater library as a child process, for applications in any language.
//!
//! Out, one line each with `--json`: `{"cmd":"watch","tag":...,"data":{...}}`. In, one word a line:
//!
//! | word | does |
//! |---|---|
//! | `check` | looks now; what is found is fetched without delay |
//! | `apply` | puts the update that `updated` told of in the application's place |
//! | `healthy` | says that the running version works |
//! | `closing` | the person closes the application: this start does not count against a new build |
//! | `pause`, `resume`, `cancel` | stop using the network, go on, give the running fetch up |
//! | `relaunch` | ends the updating, starts the new build and stays until that is healthy; else puts the old one back |
//! | `quit` | ends |
//!
//! When stdin closes, the application is gone: it ends, as with `quit`. Only after `relaunch` it stays, because then it is
//! the one that takes a build back which cannot start.

use crate::args::Global;
use crate::printer::{Printer, Tone, bytes};
use bosc_release::command::{Outcome, Stop};
use bosc_release::error::{CommandError, ErrorKind as Blame};
use bosc_updater::client::{Event, Events, Failure, Updater, UpdaterOptions};
use bosc_updater::health::{Outcome as Watched, Program, WatchEvent};
use bosc_updater::http::Roots;
use bosc_updater::install::HealthPolicy;
use bosc_updater::{ErrorKind, UpdateError};
use clap::Args;
use semver::Version;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{BufRead, Read};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Longest line read from stdin, in bytes.
const MAX_LINE: u64 = 4096;
/// How often Ctrl+C is looked for.
const TICK: Duration = Duration::from_millis(100);

/// `bosc watch`
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Where updates come from: a pear:// link, or the https:// URL of a signed manifest
    #[arg(long, value_name = "LINK|URL")]
    pub(crate) upgrade: String,
    /// What is replaced: an executable, an AppImage, a folder or a .app
    #[arg(long, value_name = "PATH")]
    pub(crate) app: PathBuf,
    /// Name of the application in the link's drive, with its extension
    #[arg(long)]
    pub(crate) name: String,
    /// The version that runs
    #[arg(long, value_name = "V")]
    pub(crate) version: String,
    /// The application's data folder [default: the platform's folder for this user, and the name]
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Longest random delay before a release that appears while the application runs is fetched
    #[arg(long, value_name = "SECONDS", default_value_t = 3600.0)]
    pub(crate) delay: f64,
    /// How often a manifest is asked for; links tell by themselves
    #[arg(long, value_name = "SECONDS", default_value_t = 3600.0)]
    pub(crate) poll: f64,
    /// Ed25519 public key that may sign the manifest, base64; may be given more than once
    #[arg(long, value_name = "KEY")]
    pub(crate) public_key: Vec<String>,
    /// The application's name as its manifests are bound to it
    #[arg(long, value_name = "NAME")]
    pub(crate) manifest_app: Option<String>,
    /// PEM file with the authorities that may vouch for the server [default: the well-known ones]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Perry's sentinel file, when another build of the application has Perry's updater
    #[arg(long, value_name = "FILE")]
    pub(crate) sentinel: Option<PathBuf>,
    /// Do not look for updates; rollback still works
    #[arg(long)]
    pub(crate) no_updates: bool,
    /// Let other users of the application fetch from this one
    #[arg(long)]
    pub(crate) seed_back: bool,
    /// How long a new build has to say that it is healthy
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub(crate) health: f64,
    /// For `relaunch`: the executable inside an application folder
    #[arg(long, value_name = "PATH")]
    pub(crate) inside: Option<PathBuf>,
    /// For `relaunch`: arguments of the application
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) args: Vec<OsString>,
}

/// What the command waits for.
enum Message {
    Word(String),
    Event(Box<Event>),
    StdinClosed,
    Ended,
}

pub(crate) fn seconds(what: &str, s: f64) -> Result<Duration, CommandError> {
    if s.is_finite() && (0.0..=86_400.0 * 365.0).contains(&s) {
        Ok(Duration::from_secs_f64(s))
    } else {
        Err(CommandError::input(format!("--{what} takes a number of seconds")))
    }
}

fn options(a: &Watch, g: &Global) -> Result<UpdaterOptions, CommandError> {
    let version = Version::parse(&a.version).map_err(|e| {
        CommandError::input(format!("--version is not of the form 1.2.3: {:?}", a.version)).because(e)
    })?;
    let absolute = |p: &PathBuf| {
        std::path::absolute(p)
            .map_err(|e| CommandError::input(format!("not a path: {}", p.display())).because(e))
    };
    let dir = match &a.dir {
        Some(dir) => absolute(dir)?,
        None => data_folder(&a.name)?,
    };
    let mut o = UpdaterOptions::new(dir, Some(absolute(&a.app)?), &a.name, version, &a.upgrade);
    o.updates = !a.no_updates;
    o.delay = seconds("delay", a.delay)?;
    o.poll = seconds("poll", a.poll)?;
    o.bootstrap.clone_from(&g.bootstrap);
    o.public_keys.clone_from(&a.public_key);
    o.manifest_app.clone_from(&a.manifest_app);
    if let Some(path) = &a.ca {
        o.certificates = certificates(path)?;
    }
    o.sentinel = a.sentinel.as_ref().map(absolute).transpose()?;
    o.seed_back = a.seed_back;
    o.health = HealthPolicy { window: seconds("health", a.health)?, ..HealthPolicy::default() };
    Ok(o)
}

/// The certificates in a PEM file of at most 1 MiB.
fn certificates(path: &std::path::Path) -> Result<Vec<Vec<u8>>, CommandError> {
    let mut pem = Vec::new();
    let read = std::fs::File::open(path).and_then(|f| f.take(1 << 20).read_to_end(&mut pem));
    read.map_err(|e| {
        CommandError::input(format!("cannot read {}", path.display()))
            .because(e)
            .hint("--ca takes a file with certificates in PEM")
    })?;
    Roots::certificates(&pem).map_err(|e| command_error(&e))
}

/// The folder applications of this name keep their data in, as Pear has it.
fn data_folder(name: &str) -> Result<PathBuf, CommandError> {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = if cfg!(windows) {
        var("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        var("HOME").map(|h| h.join("Library/Application Support"))
    } else {
        var("XDG_CONFIG_HOME").or_else(|| var("HOME").map(|h| h.join(".config")))
    };
    let stem =
        [".AppImage", ".app", ".exe", ".msix"].iter().find_map(|e| name.strip_suffix(e)).unwrap_or(name);
    base.map(|b| b.join(stem)).ok_or_else(|| {
        CommandError::input("no folder for the application's data is known").hint("give one with `--dir DIR`")
    })
}

/// Runs until told to end.
pub(crate) fn run(a: &Watch, g: &Global, printer: &Printer, stop: &Stop) -> Outcome {
    let (updater, events) = Updater::start(options(a, g)?).map_err(|e| command_error(&e))?;
    let (tx, rx) = channel();
    read_words(tx.clone())?;
    forward(events, tx)?;
    let outcome = Session { a, printer, stop, updater: Some(updater) }.run(&rx);
    outcome.map(|()| json!({}))
}

struct Session<'a> {
    a: &'a Watch,
    printer: &'a Printer,
    stop: &'a Stop,
    updater: Option<Updater>,
}

impl Session<'_> {
    fn run(&mut self, messages: &Receiver<Message>) -> Result<(), CommandError> {
        loop {
            match messages.recv_timeout(TICK) {
                Ok(Message::Event(event)) => self.event(&event),
                Ok(Message::Word(word)) => {
                    if !self.word(&word)? {
                        return Ok(());
                    }
                }
                Ok(Message::StdinClosed | Message::Ended) | Err(RecvTimeoutError::Disconnected) => {
                    return Ok(());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.stop.is_stopped() {
                return Ok(());
            }
        }
    }

    /// `false` when it is time to end.
    fn word(&mut self, word: &str) -> Result<bool, CommandError> {
        let Some(updater) = &self.updater else { return Ok(false) };
        match word {
            "" => {}
            "check" => updater.check_now(),
            // Its result comes as an event.
            "apply" => {
                if let Err(e) = updater.apply_update().wait()
                    && e.kind() == ErrorKind::Refused
                    && e.to_string().starts_with("no update")
                {
                    self.error(&failure(&e));
                }
            }
            "healthy" => match updater.mark_healthy().wait() {
                Ok(trial) => self.out("healthy", &json!({ "trial": trial }), Tone::Good, "healthy"),
                Err(e) => self.error(&failure(&e)),
            },
            "closing" => {
                if let Err(e) = updater.closing().wait() {
                    self.error(&failure(&e));
                }
            }
            "pause" => updater.pause(),
            "resume" => updater.resume(),
            "cancel" => updater.cancel(),
            "relaunch" => return self.relaunch().map(|()| false),
            "quit" => return Ok(false),
            other => {
                let shown: String = other.chars().take(40).collect();
                let e = UpdateError::new(ErrorKind::Input, format!("no such word: {shown:?}")).hint(
                    "words are check, apply, healthy, closing, pause, resume, cancel, relaunch and quit",
                );
                self.error(&failure(&e));
            }
        }
        Ok(true)
    }

    fn relaunch(&mut self) -> Result<(), CommandError> {
        let Some(updater) = self.updater.take() else { return Ok(()) };
        let program =
            Program { inside: self.a.inside.clone(), args: self.a.args.clone(), ..Program::default() };
        let outcome = updater.relaunch_and_watch(&program, &mut |event| {
            match event {
                WatchEvent::Started(pid) => {
                    self.out("relaunched", &json!({ "pid": pid }), Tone::Plain, "started the new version");
                }
                WatchEvent::Again(reason) => {
                    let data = json!({ "reason": reason.as_str() });
                    self.out("again", &data, Tone::Warn, "the new version ended; it is started again");
                }
                _ => {}
            }
            !self.stop.is_stopped()
        });
        match outcome.map_err(|e| command_error(&e))? {
            Watched::Healthy => {
                self.out("healthy", &json!({ "trial": true }), Tone::Good, "the new version works")
            }
            Watched::RolledBack { taken_back, restarted } => {
                let data = json!({
                    "version": taken_back.bad.version.to_string(),
                    "restored": taken_back.restored.version.to_string(),
                    "reason": taken_back.reason.as_str(),
                    "restart": false,
                    "pid": restarted,
                });
                let text = format!(
                    "version {} did not work ({}); version {} is back and was started",
                    taken_back.bad.version,
                    taken_back.reason.as_str(),
                    taken_back.restored.version
                );
                self.out("rolled-back", &data, Tone::Warn, &text);
            }
            Watched::LeftInPlace(reason) => {
                let data = json!({ "reason": reason.as_str() });
                self.out(
                    "left-in-place",
                    &data,
                    Tone::Warn,
                    "the new version did not work and was left in place",
                );
            }
            _ => {}
        }
        Ok(())
    }

    fn out(&self, tag: &str, data: &Value, tone: Tone, text: &str) {
        self.printer.json(tag, data);
        self.printer.say(tone, text);
    }

    fn error(&self, f: &Failure) {
        let data = json!({
            "code": code(f.kind),
            "message": f.message,
            "hint": f.hint.as_deref().unwrap_or(hint(f.kind)),
            "causes": f.causes,
            "version": f.version.as_ref().map(Version::to_string),
            "fatal": false,
        });
        self.out("error", &data, Tone::Bad, &format!("error: {}", f.message));
        for cause in &f.causes {
            self.printer.say(Tone::Plain, &format!("  because: {cause}"));
        }
        self.printer.say(Tone::Plain, &format!("  next: {}", f.hint.as_deref().unwrap_or(hint(f.kind))));
    }

    fn event(&self, event: &Event) {
        match event {
            Event::Scheduled { version, delay } => {
                let data = json!({ "version": version.to_string(), "delay": delay.as_secs_f64() });
                let text = format!("version {version} is there; it is fetched in {} s", delay.as_secs());
                self.out("scheduled", &data, Tone::Plain, &text);
            }
            Event::Updating { version, link, notes } => {
                let data = json!({ "version": version.to_string(), "link": link, "notes": notes });
                self.out("updating", &data, Tone::Plain, &format!("updating to {version}"));
            }
            Event::Progress(p) => {
                let data =
                    json!({ "bytes": p.bytes, "total": p.total, "received": p.received, "peers": p.peers });
                self.printer.json("progress", &data);
                if let Some(total) = p.total {
                    let text =
                        format!("{} of {}, {} received", bytes(p.bytes), bytes(total), bytes(p.received));
                    self.printer.detail(&text);
                }
            }
            Event::Delta(changes) => {
                for c in changes {
                    let data = json!({ "op": c.op.as_str(), "key": c.path,
                                       "bytesRemoved": c.removed, "bytesAdded": c.added });
                    self.printer.json("updating-delta", &data);
                }
            }
            Event::Updated { version, link, notes, size, received } => {
                let data = json!({ "version": version.to_string(), "link": link, "notes": notes,
                                   "size": size, "received": received });
                let text = format!(
                    "version {version} is ready ({} received); `apply` installs it",
                    bytes(*received)
                );
                self.out("updated", &data, Tone::Good, &text);
            }
            Event::Applied { version, previous, link } => {
                let data =
                    json!({ "version": version.to_string(), "previous": previous.to_string(), "link": link });
                self.out(
                    "applied",
                    &data,
                    Tone::Good,
                    &format!("version {version} is installed; start it again"),
                );
            }
            Event::RolledBack { version, restored, reason, restart } => {
                let data = json!({ "version": version.to_string(), "restored": restored.to_string(),
                                   "reason": reason.as_str(), "restart": restart });
                let text = format!(
                    "version {version} did not work ({}); version {restored} is back",
                    reason.as_str()
                );
                self.out("rolled-back", &data, Tone::Warn, &text);
            }
            Event::Error(f) => self.error(f),
            _ => {}
        }
    }
}

/// Reads words until stdin closes. The thread ends with the process: nothing else ends a blocking read everywhere.
fn read_words(tx: Sender<Message>) -> Result<(), CommandError> {
    let read = move || {
        let mut stdin = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match stdin.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => {
                    let _ = tx.send(Message::StdinClosed);
                    return;
                }
                Ok(_) => {
                    let word = String::from_utf8_lossy(&line).trim().to_owned();
                    if tx.send(Message::Word(word)).is_err() {
                        return;
                    }
                }
            }
        }
    };
    spawn("stdin", read)
}

fn forward(events: Events<Event>, tx: Sender<Message>) -> Result<(), CommandError> {
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
        .map_err(|e| CommandError::failed("no thread could be started").because(e))
}

fn failure(e: &UpdateError) -> Failure {
    Failure {
        kind: e.kind(),
        message: e.to_string(),
        hint: e.next_step().map(str::to_owned),
        causes: Vec::new(),
        version: None,
    }
}

fn code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Input => "ERR_INVALID_INPUT",
        ErrorKind::Network => "ERR_CONNECTION",
        ErrorKind::Integrity => "ERR_INTEGRITY",
        ErrorKind::Refused => "ERR_REFUSED",
        ErrorKind::Disk => "ERR_DISK",
        ErrorKind::NoSpace => "ERR_DISK_FULL",
        ErrorKind::Permission => "ERR_PERMISSION_REQUIRED",
        ErrorKind::Busy => "ERR_LOCKED",
        ErrorKind::Cancelled => "ERR_INTERRUPTED",
        ErrorKind::Unsupported => "ERR_UNSUPPORTED",
        _ => "ERR_OPERATION_FAILED",
    }
}

fn hint(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Input => "check the options; see `bosc watch --help`",
        ErrorKind::Network => "check the network and that somebody seeds the link; it is tried again",
        ErrorKind::Integrity => "nothing was installed; it is fetched again",
        ErrorKind::Refused => "wait for a newer version",
        ErrorKind::Disk => "check the disk and the permissions of the application's folders",
        ErrorKind::NoSpace => "free some space; what was downloaded is kept",
        ErrorKind::Permission => "let this user write to the folder of the application",
        ErrorKind::Busy => "let the other updater of this application finish",
        ErrorKind::Cancelled => "check again to take it up; what was downloaded is kept",
        _ => "run it again with --verbose to see more",
    }
}

pub(crate) fn command_error(e: &UpdateError) -> CommandError {
    let blame = match e.kind() {
        ErrorKind::Input => Blame::Input,
        ErrorKind::Network => Blame::Network,
        ErrorKind::Integrity => Blame::Integrity,
        ErrorKind::Disk | ErrorKind::NoSpace | ErrorKind::Busy => Blame::Store,
        ErrorKind::Permission => Blame::Permission,
        ErrorKind::Cancelled => Blame::Interrupted,
        _ => Blame::Failed,
    };
    let error =
        CommandError::new(blame, code(e.kind()), e.to_string()).hint(e.next_step().unwrap_or(hint(e.kind())));
    match std::error::Error::source(e) {
        Some(cause) => error.because(cause.to_string()),
        None => error,
    }
}
