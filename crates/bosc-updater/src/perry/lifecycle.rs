//! What happens with a build on trial at start.
//!
//! ```text
//!              no sentinel, other state, other copy            ──▶ Idle
//!   start ──▶  malformed, or another version than runs         ──▶ cleared, Idle
//!              armed: count + 1 < threshold  ──▶ written back  ──▶ Watching ──▶ healthy (time, call, exit 0): cleared
//!              armed: count + 1 ≥ threshold  ──▶ rolled back   ──▶ RolledBack: end the process
//!                                               rollback failed ─▶ error, sentinel kept
//! ```
//!
//! With a threshold of n the new build has n − 1 boots; the default of 2 rolls it back at the second start after one that
//! did not become healthy. There is one lifecycle a process: a later call, or a new install, makes the earlier one's timer
//! and exit hook powerless. The sentinel is removed only while it is still about the same update.

use super::paths::{backup_path, get_exe_path, get_sentinel_path};
use super::sentinel::{Lock, Sentinel, clear_generation, clear_text, read_sentinel, write_sentinel};
use crate::error::{ErrorKind, UpdateError};
use crate::install::{Installer, Options, Reason, StartState};
use crate::manifest::version::parse_version;
use semver::Version;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// How the start of a build is judged.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// The version that runs: a sentinel about another one is stale.
    pub running_version: String,
    /// Whether anything is done at all.
    pub auto_rollback: bool,
    /// How long a build must run to be healthy; zero leaves it to [`mark_healthy`].
    pub health_check_ms: u64,
    /// The boot on which it is rolled back; 1 would roll back every update at its first start and counts as 2.
    pub crash_loop_threshold: u32,
    /// What an update replaces [default: [`get_exe_path`]].
    pub target: Option<PathBuf>,
    /// Where the sentinel is [default: [`get_sentinel_path`]].
    pub sentinel: Option<PathBuf>,
}

impl InitOptions {
    /// Perry's defaults: roll back, 60,000 ms, threshold 2.
    pub fn new(running_version: impl Into<String>) -> Self {
        Self {
            running_version: running_version.into(),
            auto_rollback: true,
            health_check_ms: 60_000,
            crash_loop_threshold: 2,
            target: None,
            sentinel: None,
        }
    }
}

/// What [`init_updater`] found.
#[must_use = "after a rollback this process has to end"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    /// No build is on trial.
    Idle,
    /// This build is on trial; it has been started this many times.
    Watching {
        /// Starts so far, this one included.
        boots: u32,
    },
    /// The previous build is back in its place. End this process now; the next start runs the old build.
    RolledBack,
}

/// What the installer knows about the build that starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialStart {
    /// Nothing is on trial; `healthy` when this version was healthy here before.
    Settled {
        /// Whether it was.
        healthy: bool,
    },
    /// This build is, and this is its so-manieth start.
    Trial {
        /// 1 for the first.
        start: u32,
    },
    /// It was rolled back.
    RolledBack,
}

/// The installer as a lifecycle uses it.
pub trait Trial: Send {
    /// Counts a start.
    ///
    /// # Errors
    /// What the installer says.
    fn started(&mut self) -> Result<TrialStart, UpdateError>;
    /// Takes over an update that Perry's client made: `new` is at the target after so many starts, `old` at `<target>.prev`.
    ///
    /// # Errors
    /// What the installer says.
    fn adopt(&mut self, new: &Version, old: &Version, starts: u32) -> Result<bool, UpdateError>;
    /// Puts the previous build back.
    ///
    /// # Errors
    /// What the installer says.
    fn roll_back(&mut self) -> Result<(), UpdateError>;
    /// The build works.
    ///
    /// # Errors
    /// What the installer says.
    fn mark_healthy(&mut self) -> Result<(), UpdateError>;
    /// The build was closed before it was known to work.
    ///
    /// # Errors
    /// What the installer says.
    fn closed(&mut self) -> Result<(), UpdateError>;
}

impl Trial for Installer {
    fn started(&mut self) -> Result<TrialStart, UpdateError> {
        Ok(match Self::started(self, SystemTime::now())?.state {
            StartState::Settled => {
                let floor = self.floor()?.version;
                TrialStart::Settled { healthy: floor.is_some_and(|f| f >= self.options().version) }
            }
            StartState::Trial { start, .. } => TrialStart::Trial { start },
            StartState::RolledBack(_) => TrialStart::RolledBack,
        })
    }

    fn adopt(&mut self, new: &Version, old: &Version, starts: u32) -> Result<bool, UpdateError> {
        Self::adopt(self, new, old, starts, SystemTime::now())
    }

    fn roll_back(&mut self) -> Result<(), UpdateError> {
        Self::roll_back(self, Reason::TooManyStarts, SystemTime::now()).map(|_| ())
    }

    fn mark_healthy(&mut self) -> Result<(), UpdateError> {
        Self::mark_healthy(self, SystemTime::now()).map(|_| ())
    }

    fn closed(&mut self) -> Result<(), UpdateError> {
        Self::closed(self, SystemTime::now())
    }
}

/// Perry's `initUpdater`: call it first in `main`, before anything that can fail. It counts this start in the installer's
/// journal too: use it instead of [`Installer::started`]. On iOS and Android it does nothing.
///
/// # Errors
/// `updater: rollback failed; sentinel retained for recovery`, `updater: failed to persist crash-loop sentinel`,
/// `updater: failed to clear sentinel …`, `Input` when the running version is not SemVer, and what the installer says.
pub fn init_updater(options: &InitOptions) -> Result<Boot, UpdateError> {
    invalidate();
    if !options.auto_rollback || cfg!(any(target_os = "ios", target_os = "android")) {
        return Ok(Boot::Idle);
    }
    let target = match &options.target {
        Some(target) => target.clone(),
        None => get_exe_path()?,
    };
    let version = parse_version(&options.running_version).ok_or_else(|| {
        UpdateError::new(ErrorKind::Input, "updater: invalid version string")
            .hint("give the version of this build as SemVer without a leading v")
    })?;
    let mut install = Options::new(&target, version);
    install.health.threshold = options.crash_loop_threshold.max(2);
    // Its documented counting: every start counts, and the one that reaches the threshold rolls back.
    install.health.unfinished = install.health.threshold.saturating_sub(1);
    if options.health_check_ms > 0 {
        install.health.window = Duration::from_millis(options.health_check_ms);
    }
    init_with(options, &target, Box::new(Installer::open(install)?))
}

/// [`init_updater`] with another installer.
///
/// # Errors
/// As [`init_updater`].
pub fn init_with(
    options: &InitOptions,
    target: &Path,
    mut trial: Box<dyn Trial>,
) -> Result<Boot, UpdateError> {
    invalidate();
    if !options.auto_rollback {
        return Ok(Boot::Idle);
    }
    let path = options.sentinel.clone().unwrap_or_else(get_sentinel_path);
    let health = Duration::from_millis(options.health_check_ms);
    let start = trial.started()?;
    // A first look without the lock: mostly there is no sentinel, and nothing is to be made on disk.
    let lock = match read_sentinel(&path)? {
        Some(_) => Some(Lock::take(&path)?),
        None => None,
    };
    let text = read_sentinel(&path)?;
    let parsed = text.as_deref().map(Sentinel::parse);
    let state = match &parsed {
        None => Found::None,
        Some(None) => Found::Useless("malformed sentinel"),
        Some(Some(s)) if !s.is_armed() || !is_about(s, target) => Found::None,
        Some(Some(s)) if is_other_version(s, &options.running_version) && start != TrialStart::RolledBack => {
            Found::Useless("stale sentinel")
        }
        // Killed between the two steps of becoming healthy.
        Some(Some(_)) if start == (TrialStart::Settled { healthy: true }) => Found::Useless("markHealthy"),
        Some(Some(s)) => Found::Armed(s.clone()),
    };
    let clear = |context: &str| match &text {
        Some(text) => clear_text(&path, text, context).map(|_| ()),
        None => Ok(()),
    };
    let without_sentinel = |trial| match start {
        TrialStart::Trial { start: boots } => {
            begin(None, Some(trial), health);
            Boot::Watching { boots }
        }
        _ => Boot::Idle,
    };
    let mut sentinel = match (state, start) {
        (Found::Armed(_) | Found::Useless(_), TrialStart::RolledBack) => {
            drop(lock);
            clear("after rollback")?;
            return Ok(Boot::RolledBack);
        }
        (Found::None, TrialStart::RolledBack) => return Ok(Boot::RolledBack),
        (Found::None, _) => return Ok(without_sentinel(trial)),
        (Found::Useless(context), _) => {
            drop(lock);
            clear(context)?;
            return Ok(without_sentinel(trial));
        }
        (Found::Armed(sentinel), _) => sentinel,
    };
    sentinel.bump(SystemTime::now());
    let boots = sentinel.restart_count().unwrap_or(u32::MAX);
    let mut on_trial = matches!(start, TrialStart::Trial { .. });
    if !on_trial {
        // The installer does not know this build: another updater put it there. If it cannot be told, the sentinel counts all
        // the same, and a roll back that needs it will say why not.
        let (new, old) = versions(&sentinel, &options.running_version);
        on_trial = trial.adopt(&new, &old, boots).unwrap_or(false);
    }
    if boots >= options.crash_loop_threshold.max(2) {
        trial.roll_back().map_err(|e| {
            UpdateError::new(e.kind(), "updater: rollback failed; sentinel retained for recovery")
                .hint("start the application again; if that does not help, reinstall it")
                .because(e)
        })?;
        drop(lock);
        clear("after rollback")?;
        return Ok(Boot::RolledBack);
    }
    write_sentinel(&path, &sentinel.to_json()).map_err(|e| {
        UpdateError::new(e.kind(), "updater: failed to persist crash-loop sentinel")
            .hint("check the disk and the permissions of the application's state folder")
            .because(e)
    })?;
    drop(lock);
    let generation = sentinel.generation().unwrap_or_default().to_owned();
    begin(Some((path, generation)), on_trial.then_some(trial), health);
    Ok(Boot::Watching { boots })
}

/// What the sentinel's file holds.
enum Found {
    /// Nothing that concerns this build.
    None,
    /// Something to be cleared, and the word for it in errors.
    Useless(&'static str),
    /// A build on trial.
    Armed(Sentinel),
}

/// A sentinel names the previous build; one of another copy of the application is none of ours. Perry names it as the path is
/// given (an AppImage may be a link), our installer with links followed.
pub(crate) fn is_about(sentinel: &Sentinel, target: &Path) -> bool {
    let names = |path: &Path| sentinel.previous().is_some_and(|p| p == backup_path(path).to_string_lossy());
    sentinel.previous().is_none() || names(target) || target.canonicalize().is_ok_and(|t| names(&t))
}

/// The versions a sentinel speaks of; old clients may leave them out.
pub(crate) fn versions(sentinel: &Sentinel, running: &str) -> (Version, Version) {
    let zero = || Version::new(0, 0, 0);
    let new = parse_version(running).unwrap_or_else(zero);
    let old = sentinel.current_version().and_then(parse_version).unwrap_or_else(zero);
    (new, old)
}

/// The version on trial is not the one that runs: the install never happened, or was undone.
pub(crate) fn is_other_version(sentinel: &Sentinel, running: &str) -> bool {
    match (sentinel.target_version().map(parse_version), parse_version(running)) {
        (Some(Some(target)), Some(running)) => target != running,
        _ => false,
    }
}

struct Lifecycle {
    /// Told apart from later ones by this.
    number: u64,
    /// The sentinel and the update it must still be about.
    sentinel: Option<(PathBuf, String)>,
    trial: Option<Box<dyn Trial>>,
    cancel: Arc<(Mutex<bool>, Condvar)>,
}

static CURRENT: Mutex<Option<Lifecycle>> = Mutex::new(None);
static NUMBER: AtomicU64 = AtomicU64::new(0);

fn current() -> MutexGuard<'static, Option<Lifecycle>> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the timer and exit hook of an earlier lifecycle powerless: at init, and before every install.
pub fn invalidate() {
    if let Some(old) = current().take() {
        stop_timer(&old.cancel);
    }
}

fn stop_timer(cancel: &(Mutex<bool>, Condvar)) {
    *cancel.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    cancel.1.notify_all();
}

fn begin(sentinel: Option<(PathBuf, String)>, trial: Option<Box<dyn Trial>>, health: Duration) {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let cancel = Arc::new((Mutex::new(false), Condvar::new()));
    *current() = Some(Lifecycle { number, sentinel, trial, cancel: Arc::clone(&cancel) });
    if health.is_zero() {
        return;
    }
    // Without the thread the build stays on trial until `mark_healthy`: safe, so a failure to start one is no error.
    let _ = std::thread::Builder::new().name("updater-health".into()).spawn(move || {
        let end = Instant::now().checked_add(health);
        let (cancelled, changed) = &*cancel;
        let mut gone = cancelled.lock().unwrap_or_else(PoisonError::into_inner);
        while !*gone {
            let left = end.map_or(health, |e| e.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                drop(gone);
                let _ = finish(Some(number), "health check", |trial| trial.mark_healthy());
                return;
            }
            gone = changed.wait_timeout(gone, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    });
}

/// Ends the current lifecycle, if it is number `number` where one is given: tells the installer, then clears the sentinel.
/// When something fails the lifecycle stays, to be ended again.
fn finish(
    number: Option<u64>,
    context: &str,
    tell: impl FnOnce(&mut dyn Trial) -> Result<(), UpdateError>,
) -> Result<(), UpdateError> {
    let mut guard = current();
    let Some(lifecycle) = guard.as_mut().filter(|l| number.is_none_or(|n| n == l.number)) else {
        return Ok(());
    };
    if let Some(trial) = lifecycle.trial.as_mut() {
        tell(trial.as_mut())?;
    }
    if let Some((path, generation)) = &lifecycle.sentinel {
        clear_generation(path, generation, context)?;
    }
    stop_timer(&lifecycle.cancel);
    *guard = None;
    Ok(())
}

/// Perry's `markHealthy`: the build works. Good to call more than once, and when nothing is on trial.
///
/// # Errors
/// `updater: failed to clear sentinel markHealthy`; the lifecycle stays, so it can be called again.
pub fn mark_healthy() -> Result<(), UpdateError> {
    finish(None, "markHealthy", |trial| trial.mark_healthy())
}

/// Tells that the process is about to end with this exit code. 0 is health: somebody used the program for a moment and closed
/// it. Anything else is not, and neither is ending without a call (Perry takes every exit for health).
///
/// # Errors
/// `updater: failed to clear sentinel graceful exit`.
pub fn exiting(code: i32) -> Result<(), UpdateError> {
    if code != 0 {
        invalidate();
        return Ok(());
    }
    finish(None, "graceful exit", |trial| trial.closed())
}

/// Arms the sentinel for an install that is about to happen. Give back what it returns to [`disarm`] when the install fails.
///
/// # Errors
/// `updater: failed to write sentinel`.
pub fn arm(sentinel: &Path, target: &Path, current: &str, next: &str) -> Result<String, UpdateError> {
    invalidate();
    if parse_version(next).is_none() || parse_version(current).is_none() {
        return Err(UpdateError::new(ErrorKind::Input, "updater: invalid version string")
            .hint("versions are SemVer without a leading v"));
    }
    let armed = Sentinel::armed(&backup_path(target), current, next, SystemTime::now());
    let _lock = Lock::take(sentinel)?;
    write_sentinel(sentinel, &armed.to_json())?;
    Ok(armed.generation().unwrap_or_default().to_owned())
}

/// Takes back an [`arm`] whose install failed.
///
/// # Errors
/// `updater: failed to clear sentinel after install failure`.
pub fn disarm(sentinel: &Path, generation: &str) -> Result<(), UpdateError> {
    clear_generation(sentinel, generation, "after install failure").map(|_| ())
}
