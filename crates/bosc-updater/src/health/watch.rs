//! The process that installed watches what it installed.

use super::launch::{command, end, executable, left_something, spawn};
use super::outcome::{Outcome, WatchEvent};
use super::program::Program;
use crate::error::{ErrorKind, UpdateError};
use crate::install::{Build, Installer, Kind, Reason, RolledBack};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant, SystemTime};

/// How often is looked.
const TICK: Duration = Duration::from_millis(40);

/// A program that ends so soon with exit code 0 may have found another instance of itself.
const AT_ONCE: Duration = Duration::from_secs(3);
/// How long the other instance is given to end.
const PAUSE: Duration = Duration::from_secs(1);

/// Longest time that a build may need, as it said itself.
const DAY: Duration = Duration::from_secs(86_400);

/// Whether somebody ended the program, and not a fault of its own.
fn was_cut_off(status: ExitStatus) -> bool {
    #[cfg(unix)]
    {
        use rustix::process::Signal;
        let by = std::os::unix::process::ExitStatusExt::signal(&status);
        [Signal::TERM, Signal::HUP, Signal::INT].iter().any(|signal| by == Some(signal.as_raw()))
    }
    #[cfg(not(unix))]
    {
        // STATUS_CONTROL_C_EXIT: Ctrl+C, and a console that was closed. DBG_TERMINATE_PROCESS: the end of the session.
        status.code().is_some_and(|code| matches!(code.cast_unsigned(), 0xC000_013A | 0x4001_0004))
    }
}

/// How one start of the new build ended.
enum Ended {
    Healthy,
    /// The trial is over, but not because of us: rolled back by itself, or replaced.
    Over,
    /// Exit code 0 and then silence.
    Closed,
    /// Exit code 0 at once, and nothing of it runs.
    AtOnce,
    Failed(Reason),
    Stopped,
}

/// The build on trial, by its generation and what [`Installer::trial`] says of it.
///
/// # Errors
/// `Refused` when there is none.
pub(crate) fn on_trial(installer: &Installer) -> Result<(u64, Build), UpdateError> {
    installer.recover(SystemTime::now())?;
    installer.trial()?.ok_or_else(|| {
        UpdateError::new(ErrorKind::Refused, "no build is on trial").hint("install an update first")
    })
}

/// Starts the build on trial and stays until it is healthy, or puts the build before it back and starts that one.
///
/// Blocks for at most the policy's window, half as much again, and the time of the starts. `on_event` returns `false` to stop
/// watching; the build then stays on trial. Call it in the process that installed: release what the new build needs
/// (single-instance locks, ports, windows) first, and exit when it returns.
///
/// # Errors
/// `Refused` when no build is on trial, and when the build to return to is gone; `Input` for a folder without
/// [`Program::inside`]; `Busy`, `Disk` and `Permission` when the build cannot be rolled back.
pub fn watch(
    installer: &Installer,
    program: &Program,
    on_event: &mut dyn FnMut(WatchEvent) -> bool,
) -> Result<Outcome, UpdateError> {
    let (generation, new) = on_trial(installer)?;
    if installer.kind() == Kind::Package {
        return Ok(Outcome::WhenEnded);
    }
    let watch = Watch { installer, program, generation };
    let policy = installer.options().health;
    let mut failures = 0;
    let mut once_more = true;
    loop {
        let mut child = None;
        let reason = match watch.run_once(&mut child, once_more, on_event)? {
            Ended::Healthy => return Ok(Outcome::Healthy),
            Ended::Stopped => return Ok(Outcome::Stopped),
            Ended::Closed => return Ok(Outcome::Closed),
            Ended::AtOnce => {
                once_more = false;
                if !on_event(WatchEvent::EndedAtOnce) {
                    return Ok(Outcome::Stopped);
                }
                std::thread::sleep(PAUSE);
                continue;
            }
            Ended::Over => match installer.untold()?.filter(|rolled_back| rolled_back.bad == new) {
                Some(rolled_back) => return Ok(watch.restart(rolled_back)),
                None => return Ok(Outcome::Stopped),
            },
            Ended::Failed(reason) => reason,
        };
        failures += 1;
        if reason == Reason::Crashed && failures < policy.starts() {
            if !on_event(WatchEvent::Again(reason)) {
                return Ok(Outcome::Stopped);
            }
            continue;
        }
        if !policy.automatic {
            return Ok(Outcome::LeftInPlace(reason));
        }
        // Windows does not rename a folder while a program in it runs. Elsewhere the build is rolled back first: one that says
        // in this moment that it is healthy is then not ended.
        if let Some(child) = child.as_mut().filter(|_| cfg!(windows)) {
            end(child);
        }
        let rolled_back = installer.end_trial(generation, reason, SystemTime::now())?;
        let Some(rolled_back) = rolled_back else {
            return Ok(if installer.took_off(generation)? { Outcome::Healthy } else { Outcome::Stopped });
        };
        if let Some(child) = child.as_mut() {
            end(child);
        }
        return Ok(watch.restart(rolled_back));
    }
}

struct Watch<'a> {
    installer: &'a Installer,
    program: &'a Program,
    generation: u64,
}

impl Watch<'_> {
    /// One start of the new build, until it is clear what became of it. `child` is what still runs.
    fn run_once(
        &self,
        child: &mut Option<Child>,
        once_more: bool,
        on_event: &mut dyn FnMut(WatchEvent) -> bool,
    ) -> Result<Ended, UpdateError> {
        let policy = self.installer.options().health;
        let path = executable(self.installer.target(), self.installer.kind(), self.program.inside.as_deref());
        let path = match path {
            Ok(path) => path,
            // A bundle without a program; a folder whose program was not named is the caller's mistake.
            Err(_) if self.program.inside.is_none() && self.installer.target().join("Contents").is_dir() => {
                return Ok(Ended::Failed(Reason::CannotStart));
            }
            Err(e) => return Err(e),
        };
        let Ok(mut started) = spawn(&mut command(&path, self.program, Some(self.generation))) else {
            return Ok(Ended::Failed(Reason::CannotStart));
        };
        let grace = (policy.window / 2).clamp(Duration::from_secs(1), Duration::from_secs(30));
        let begun = Instant::now();
        let deadline = begun + policy.window + grace;
        let mut go_on = on_event(WatchEvent::Started(started.id()));
        let mut closed = false;
        let ended = loop {
            // A journal that cannot be read at this moment says nothing: the next look, or the deadline, decides.
            if let Ok(Some(over)) = self.over() {
                break over;
            }
            if !go_on {
                break Ended::Stopped;
            }
            if !closed {
                match started.try_wait() {
                    Ok(Some(status)) if status.success() => {
                        closed = true;
                        let _ = self.installer.forgive(self.generation, SystemTime::now());
                        if once_more && begun.elapsed() < AT_ONCE && !left_something(&started) {
                            break self.over().ok().flatten().unwrap_or(Ended::AtOnce);
                        }
                    }
                    Ok(Some(status)) if was_cut_off(status) => {
                        // A logout, a person, the end of a terminal: no fault of its own. Its next start decides.
                        let _ = self.installer.forgive(self.generation, SystemTime::now());
                        closed = true;
                        break self.over().ok().flatten().unwrap_or(Ended::Closed);
                    }
                    Ok(Some(_)) => {
                        // What it wrote before it ended counts: it may have said that it is healthy, or left.
                        break self.over().ok().flatten().unwrap_or(Ended::Failed(Reason::Crashed));
                    }
                    _ => {}
                }
            }
            // It may have said that it needs longer.
            let now = SystemTime::now();
            let needs = self
                .installer
                .needs_until(self.generation)
                .ok()
                .and_then(|until| until.duration_since(now).ok());
            let deadline =
                needs.map_or(deadline, |needs| deadline.max(Instant::now() + needs.min(DAY) + grace));
            if Instant::now() >= deadline {
                break if closed { Ended::Closed } else { Ended::Failed(Reason::Silent) };
            }
            std::thread::sleep(TICK);
            go_on = on_event(WatchEvent::Waiting);
        };
        if !closed {
            *child = Some(started);
        }
        Ok(ended)
    }

    /// Whether the trial has ended, and how.
    fn over(&self) -> Result<Option<Ended>, UpdateError> {
        match self.installer.trial()? {
            Some((generation, _)) if generation == self.generation => Ok(None),
            _ if self.installer.took_off(self.generation)? => Ok(Some(Ended::Healthy)),
            _ => Ok(Some(Ended::Over)),
        }
    }

    /// Starts the build that was put back.
    fn restart(&self, rolled_back: RolledBack) -> Outcome {
        let path = executable(self.installer.target(), self.installer.kind(), self.program.inside.as_deref());
        let restarted =
            path.ok().and_then(|path| spawn(&mut command(&path, self.program, None)).ok()).map(|c| c.id());
        Outcome::RolledBack { rolled_back, restarted }
    }
}
