//! `bosc updater smoke`: what an update will do to an application, tried before its users do.
//!
//! The old and the new build are copied into a temporary folder. Then, with the real installer and real processes:
//!
//! | step | what it shows |
//! |---|---|
//! | `installed` | the old build lies there, and what it consists of |
//! | `old-runs` | it can be started, and does not end with an error at once |
//! | `applied` | the new build is in its place, and how it came there |
//! | `healthy` | it was started and said that it works (or stayed alive, with `--alive`) |
//! | `committed` | it may not be replaced by anything older any more, and the old build is kept |
//! | `broken` | a build that cannot work is put in its place |
//! | `rolled-back` | it is gone by itself, the good one is there again to the last byte and was started |
//! | `refused` | the broken one is not taken again |
//!
//! The last three are done twice: with a file that no system can start, and with a program that ends with an error.
//! Nothing outside the temporary folder is written, except what the application itself writes; it can tell from the
//! variable `BOSC_UPDATER_SMOKE`, which names the folder.

mod event;

use crate::plain::{Tone, sentence};
use crate::printer::{Printer, bytes};
use crate::watch::{command_error, seconds};
use bosc_release::command::Stop;
use bosc_release::error::CommandError;
use bosc_updater::UpdateError;
use bosc_updater::health::{Outcome as Watched, Program, WatchEvent, end_started, watch};
use bosc_updater::install::{Admission, HealthPolicy, Installer, Kind, Options, Status, contents_of};
use bosc_updater::release::{Contents, EntryKind, Release, ReleaseId, Staged};
use clap::Args;
use event::{SmokeEvent, SmokeStep, Smoked};
use semver::Version;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// Tells the application that this is a test, and where.
const SMOKE_ENV: &str = "BOSC_UPDATER_SMOKE";
/// How long the old build is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// `bosc updater smoke`
#[derive(Debug, Args)]
pub(crate) struct Smoke {
    /// The build your users have: an executable, an AppImage, a folder or a .app
    #[arg(long, value_name = "PATH")]
    pub(crate) old: PathBuf,
    /// The build they are to get
    #[arg(long, value_name = "PATH")]
    pub(crate) new: PathBuf,
    /// The version the old build believes it is
    #[arg(long, value_name = "SEMVER", default_value = "1.0.0")]
    pub(crate) old_version: String,
    /// The version the new build believes it is
    #[arg(long, value_name = "SEMVER", default_value = "1.0.1")]
    pub(crate) new_version: String,
    /// The executable inside an application folder
    #[arg(long, value_name = "PATH")]
    pub(crate) inside: Option<PathBuf>,
    /// How long the new build may take to say that it is healthy
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub(crate) health: f64,
    /// Count a build as healthy when it is still running after this long: for applications that do not say so themselves
    #[arg(long, value_name = "SECONDS")]
    pub(crate) alive: Option<f64>,
    /// Keep the temporary folder
    #[arg(long)]
    pub(crate) keep: bool,
    /// Arguments of the application
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) args: Vec<OsString>,
}

/// Runs it.
pub(crate) fn run(a: &Smoke, printer: &Printer, stop: &Stop) -> Result<Smoked, CommandError> {
    let parse = |flag: &str, text: &str| {
        Version::parse(text).map_err(|e| {
            CommandError::input(format!("--{flag} is not of the form 1.2.3: {text:?}")).because(e)
        })
    };
    let (old, new) = (parse("old-version", &a.old_version)?, parse("new-version", &a.new_version)?);
    if !bosc_updater::release::newer(&new, &old) {
        return Err(CommandError::input(format!("version {new} is not newer than {old}"))
            .hint("give the versions of your builds with --old-version and --new-version"));
    }
    for path in [&a.old, &a.new] {
        if fs::symlink_metadata(path).is_err() {
            return Err(CommandError::input(format!("there is no {}", path.display()))
                .hint("--old and --new take an executable, an AppImage, a folder or a .app"));
        }
    }
    bosc_release::folder::portable_names::check_build(&a.new)?;
    let name = a.old.file_name().ok_or_else(|| {
        CommandError::input(format!("{} has no name", a.old.display())).hint("give the path of a build")
    })?;
    let health = seconds("health", a.health)?;
    let alive = a.alive.map(|s| seconds("alive", s)).transpose()?;
    let folder = Folder::new(a.keep)?;
    let target = folder.path.join("installed").join(name);
    let mut program = Program::new().args(&a.args).env(SMOKE_ENV, &folder.path);
    program.inside.clone_from(&a.inside);
    let mut test = Test {
        a,
        printer,
        stop,
        folder,
        target,
        program,
        old,
        new,
        health,
        alive,
        started: Vec::new(),
        steps: 0,
    };
    let outcome = test.run();
    // Whatever happened: nothing that was started here stays.
    test.end();
    if a.keep {
        printer.say(Tone::Plain, &format!("Kept {}", test.folder.path.display()));
    }
    outcome.map(|()| Smoked { steps: test.steps })
}

struct Test<'a> {
    a: &'a Smoke,
    printer: &'a Printer,
    stop: &'a Stop,
    folder: Folder,
    target: PathBuf,
    program: Program,
    old: Version,
    new: Version,
    health: Duration,
    alive: Option<Duration>,
    started: Vec<u32>,
    steps: u32,
}

impl Test<'_> {
    fn run(&mut self) -> Result<(), CommandError> {
        fs::create_dir(self.folder.path.join("installed"))
            .map_err(|e| cannot("make", &self.folder.path, e))?;
        copy(&self.a.old, &self.target)?;
        let installer = self.installer(&self.old)?;
        let old = contents_of(&self.target).map_err(|e| command_error(&e))?;
        let step = SmokeStep::Installed {
            version: self.old.to_string(),
            kind: kind(installer.kind()),
            entries: old.entries.len(),
            bytes: size(&old),
        };
        self.step(
            step,
            &format!(
                "{} {}: {}, {}",
                kind(installer.kind()),
                self.old,
                count(old.entries.len()),
                bytes(size(&old))
            ),
        );
        self.old_runs(&installer)?;

        let new = contents_of(&self.a.new).map_err(|e| command_error(&e))?;
        let staged = self.stage(&installer, &self.new, |to| copy(&self.a.new, to))?;
        let method = installer.install(&staged, SystemTime::now()).map_err(|e| command_error(&e))?.method;
        let method = format!("{method:?}").to_lowercase();
        let text = format!("{} is in its place ({method})", self.new);
        self.step(SmokeStep::Applied { version: self.new.to_string(), method, bytes: size(&new) }, &text);
        self.healthy(&installer)?;

        let running = self.installer(&self.new)?;
        let floor = running.floor().map_err(|e| command_error(&e))?.version;
        let Status::Settled { previous: Some(previous) } = running.status().map_err(|e| command_error(&e))?
        else {
            return Err(CommandError::failed("the update was not committed")
                .hint("run it again with --keep and look at the folder"));
        };
        self.step(
            SmokeStep::Committed {
                floor: floor.map(|f| f.to_string()),
                previous: previous.version.to_string(),
            },
            &format!("nothing older than {} from now on; {} is kept", self.new, previous.version),
        );

        let mut version = self.new.clone();
        version.pre = semver::Prerelease::EMPTY;
        for broken in [Broken::NoProgram, Broken::EndsWithAnError] {
            version.patch = version.patch.saturating_add(1);
            self.broken(&running, broken, &version, &new)?;
        }
        Ok(())
    }

    fn installer(&self, version: &Version) -> Result<Installer, CommandError> {
        let mut options = Options::new(&self.target, version.clone());
        options.health = HealthPolicy::within(self.health);
        Installer::open(options).map_err(|e| command_error(&e))
    }

    fn old_runs(&mut self, installer: &Installer) -> Result<(), CommandError> {
        let inside = self.inside(installer)?;
        let program = inside.map_or(self.target.clone(), |inside| self.target.join(inside));
        let mut command = Command::new(&program);
        bosc_updater::secrets::keep_from(&mut command)
            .args(&self.program.args)
            .envs(self.program.env.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|e| {
            CommandError::failed(format!("the old build cannot be started: {}", program.display()))
                .because(e)
                .hint("give an executable build for this machine")
        })?;
        let until = Instant::now() + LOOK;
        let mut ended = None;
        while ended.is_none() && Instant::now() < until && !self.stop.is_stopped() {
            std::thread::sleep(Duration::from_millis(40));
            ended = child.try_wait().unwrap_or_default();
        }
        if ended.is_none() {
            end_started(child.id());
            let _ = child.kill();
            let _ = child.wait();
        }
        self.go_on()?;
        if let Some(status) = ended.filter(|s| !s.success()) {
            return Err(CommandError::failed(format!("the old build ended with an error: {status}"))
                .hint("the version to roll back to must work: give its arguments behind `--`"));
        }
        self.step(SmokeStep::OldRuns { ended: ended.is_some() }, &format!("{} runs", self.old));
        Ok(())
    }

    /// Puts a build where a source would.
    fn stage(
        &self,
        installer: &Installer,
        version: &Version,
        make: impl FnOnce(&Path) -> Result<(), CommandError>,
    ) -> Result<Staged, CommandError> {
        let staging = installer.staging().map_err(|e| command_error(&e))?.join("smoke");
        fs::create_dir_all(&staging).map_err(|e| cannot("make", &staging, e))?;
        let path = staging.join(self.target.file_name().unwrap_or_default());
        make(&path)?;
        let contents = contents_of(&path).map_err(|e| command_error(&e))?;
        let mut id = [0; 32];
        for (to, from) in id.iter_mut().zip(version.to_string().bytes()) {
            *to = from;
        }
        let release = Release {
            version: version.clone(),
            id: ReleaseId(id),
            origin: self.a.new.display().to_string(),
            notes: None,
            size: Some(size(&contents)),
        };
        Ok(Staged { release, path, contents })
    }

    fn healthy(&mut self, installer: &Installer) -> Result<(), CommandError> {
        let speaker = match self.alive {
            Some(after) => Some((self.installer(&self.new)?, after)),
            None => None,
        };
        let (mut since, mut said) = (Instant::now(), false);
        let (outcome, started) = self.watch(installer, &mut |event| match (event, &speaker) {
            (WatchEvent::Started(_), _) => since = Instant::now(),
            (WatchEvent::Waiting, Some((new, after))) if !said && since.elapsed() >= *after => {
                said = new.mark_healthy(SystemTime::now()).is_ok();
            }
            _ => {}
        })?;
        let took = since.elapsed();
        match outcome {
            Watched::Healthy => {
                let by = if said { "alive" } else { "word" };
                let how = if said { "is still alive" } else { "says that it is healthy" };
                self.step(SmokeStep::Healthy { pid: started, seconds: took.as_secs_f64(), by }, &format!("{} {how} after {:.1} s", self.new, took.as_secs_f64()));
                self.tell_mismatch(installer)?;
                self.end();
                Ok(())
            }
            Watched::RolledBack { rolled_back, restarted } => {
                self.started.extend(restarted);
                Err(CommandError::failed(format!("version {} did not become healthy: {}", self.new, rolled_back.reason.as_str()))
                    .hint("call mark_healthy in the new build once it works, give the version it believes it is with --new-version, or \
                           let it count as healthy when it stays alive: --alive 10"))
            }
            _ => Err(CommandError::failed(format!("version {} ended before it said that it is healthy", self.new))
                .hint("an application that ends at once cannot be told from a broken one: give it arguments behind `--` with which it stays")),
        }
    }

    /// A version that was not raised in the code: clients treat the build as the release it is, and people see another version.
    fn tell_mismatch(&self, installer: &Installer) -> Result<(), CommandError> {
        if let Some((release, running)) = installer.mismatch().map_err(|e| command_error(&e))? {
            let event =
                SmokeEvent::VersionMismatch { release: release.to_string(), running: running.to_string() };
            self.printer.event(&event);
            let text = format!(
                "the release says {release}, the running program {running}: raise the version in the code"
            );
            self.printer.say(Tone::Warn, &text);
        }
        Ok(())
    }

    fn broken(
        &mut self,
        installer: &Installer,
        broken: Broken,
        version: &Version,
        good: &Contents,
    ) -> Result<(), CommandError> {
        let inside = self.inside(installer)?;
        let staged = self.stage(installer, version, |to| {
            copy(&self.a.new, to)?;
            let program = inside.as_ref().map_or(to.to_owned(), |inside| to.join(inside));
            broken.write(&program)
        })?;
        let installed = installer.install(&staged, SystemTime::now());
        installed.map_err(|e| command_error(&e))?;
        self.step(
            SmokeStep::Broken { version: version.to_string(), how: broken.as_str() },
            &format!("{version}, which {}, is in its place", broken.text()),
        );
        let (outcome, _) = self.watch(installer, &mut |_| {})?;
        let Watched::RolledBack { rolled_back, restarted } = outcome else {
            return Err(CommandError::failed(format!("the broken version {version} was not rolled back"))
                .hint("run it again with --keep and look at the folder"));
        };
        self.started.extend(restarted);
        let there = contents_of(&self.target).map_err(|e| command_error(&e))?;
        if there != *good {
            return Err(CommandError::failed(format!("what came back is not version {}", self.new))
                .hint("an application must not write into its own folder: keep data elsewhere"));
        }
        let Some(pid) = restarted else {
            return Err(CommandError::failed(format!(
                "version {} is back and could not be started",
                self.new
            ))
            .hint("check that it starts when another version of it has just ended"));
        };
        let step = SmokeStep::RolledBack {
            version: version.to_string(),
            restored: self.new.to_string(),
            reason: rolled_back.reason.as_str().to_owned(),
            pid,
        };
        self.step(
            step,
            &format!(
                "{version} is gone ({}); {} is back and was started",
                rolled_back.reason.as_str(),
                self.new
            ),
        );
        self.end();
        let again = installer.admit(&staged.release, SystemTime::now()).map_err(|e| command_error(&e))?;
        if !matches!(again, Admission::Rejected { .. }) {
            return Err(CommandError::failed(format!("the broken version {version} would be taken again"))
                .hint("this is a defect of bosc: please report it"));
        }
        self.step(
            SmokeStep::Refused { version: version.to_string() },
            &format!("{version} is not taken again"),
        );
        Ok(())
    }

    /// The program inside the application, relative to it; nothing for a file.
    fn inside(&self, installer: &Installer) -> Result<Option<PathBuf>, CommandError> {
        match (installer.kind(), &self.a.inside) {
            (Kind::File | Kind::Package, _) => Ok(None),
            (_, Some(inside)) => Ok(Some(inside.clone())),
            (Kind::Bundle, None) => {
                let path = bosc_updater::health::executable(installer).map_err(|e| command_error(&e))?;
                Ok(path.strip_prefix(installer.target()).ok().map(Path::to_owned))
            }
            (Kind::Directory, None) => {
                Err(CommandError::input("which program in the folder to start is not known")
                    .hint("give it relative to the folder: --inside bin/app"))
            }
        }
    }

    /// Watches the build on trial; its outcome, and the process that was started last.
    fn watch(
        &mut self,
        installer: &Installer,
        on_event: &mut dyn FnMut(&WatchEvent),
    ) -> Result<(Watched, Option<u32>), CommandError> {
        let mut pids = Vec::new();
        let outcome = watch(installer, &self.program, &mut |event| {
            if let WatchEvent::Started(pid) = event {
                pids.push(pid);
            }
            on_event(&event);
            !self.stop.is_stopped()
        });
        self.started.extend(&pids);
        self.go_on()?;
        outcome.map(|o| (o, pids.last().copied())).map_err(|e| command_error(&e))
    }

    fn go_on(&self) -> Result<(), CommandError> {
        if !self.stop.is_stopped() {
            return Ok(());
        }
        Err(command_error(
            &UpdateError::new(bosc_updater::ErrorKind::Cancelled, "the test was stopped")
                .hint("run it again"),
        ))
    }

    /// Ends what was started here.
    fn end(&mut self) {
        for pid in self.started.drain(..) {
            end_started(pid);
        }
    }

    fn step(&mut self, step: SmokeStep, text: &str) {
        self.steps += 1;
        let name = step.name();
        self.printer.event(&SmokeEvent::Step { data: step, step: name });
        self.printer.say(Tone::Good, &sentence(&format!("{name:>11}  {text}")));
    }
}

/// How a build can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    /// No system can start it.
    NoProgram,
    /// It starts and ends with an error.
    EndsWithAnError,
}

impl Broken {
    fn as_str(self) -> &'static str {
        match self {
            Self::NoProgram => "no-program",
            Self::EndsWithAnError => "ends-with-an-error",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::NoProgram => "no system can start",
            Self::EndsWithAnError => "ends with an error",
        }
    }

    /// Makes the program at this path such a one. Its permissions stay.
    fn write(self, program: &Path) -> Result<(), CommandError> {
        let text: &[u8] = match self {
            Self::NoProgram => b"\x7fBOSC-SMOKE: no program\n",
            Self::EndsWithAnError if cfg!(windows) => {
                // Windows has no scripts that start like programs: this very program without arguments ends with an error.
                let me = std::env::current_exe().map_err(|e| cannot("find", program, e))?;
                return fs::copy(me, program).map(drop).map_err(|e| cannot("write", program, e));
            }
            Self::EndsWithAnError => b"#!/bin/sh\nexit 1\n",
        };
        fs::write(program, text).map_err(|e| cannot("write", program, e))
    }
}

/// A folder for this run, readable by this user alone; gone at the end.
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn new(keep: bool) -> Result<Self, CommandError> {
        let base = std::env::temp_dir();
        let base = base.canonicalize().unwrap_or(base);
        #[cfg(not(unix))]
        let builder = fs::DirBuilder::new();
        #[cfg(unix)]
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let stamp = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let path = base.join(format!("bosc-smoke-{}-{stamp:x}", std::process::id()));
        builder.create(&path).map_err(|e| cannot("make", &path, e))?;
        Ok(Self { path, keep })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn cannot(what: &str, path: &Path, e: std::io::Error) -> CommandError {
    CommandError::failed(format!("cannot {what} {}", path.display()))
        .because(e)
        .hint("check the disk and the permissions of the folder")
}

/// Copies a build. It may be named by a link; links in it stay links.
fn copy(from: &Path, to: &Path) -> Result<(), CommandError> {
    let from = from.canonicalize().map_err(|e| cannot("read", from, e))?;
    remove(to)?;
    copy_all(&from, to)
}

fn copy_all(from: &Path, to: &Path) -> Result<(), CommandError> {
    let meta = fs::symlink_metadata(from).map_err(|e| cannot("read", from, e))?;
    if meta.is_dir() {
        fs::create_dir(to).map_err(|e| cannot("make", to, e))?;
        for item in fs::read_dir(from).map_err(|e| cannot("read", from, e))? {
            let item = item.map_err(|e| cannot("read", from, e))?;
            copy_all(&item.path(), &to.join(item.file_name()))?;
        }
        return Ok(());
    }
    #[cfg(unix)]
    if meta.is_symlink() {
        let link = fs::read_link(from).map_err(|e| cannot("read", from, e))?;
        return std::os::unix::fs::symlink(link, to).map_err(|e| cannot("make", to, e));
    }
    let mut source = bosc_files::open_plain(from).map_err(|e| cannot("copy", from, e))?;
    let mut target = fs::File::create(to).map_err(|e| cannot("copy", from, e))?;
    std::io::copy(&mut source, &mut target).map_err(|e| cannot("copy", from, e))?;
    fs::set_permissions(to, meta.permissions()).map_err(|e| cannot("copy", from, e))
}

/// What an earlier step left.
fn remove(path: &Path) -> Result<(), CommandError> {
    let gone = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    gone.map_err(|e| cannot("remove", path, e))
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "folder",
        Kind::Bundle => "bundle",
        Kind::Package => "package",
    }
}

fn size(contents: &Contents) -> u64 {
    contents
        .entries
        .iter()
        .map(|e| match e.kind {
            EntryKind::File { size, .. } => size,
            _ => 0,
        })
        .fold(0, u64::saturating_add)
}

fn count(entries: usize) -> String {
    if entries == 1 { "one entry".to_owned() } else { format!("{entries} entries") }
}
