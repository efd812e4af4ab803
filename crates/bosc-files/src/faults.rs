//! Faults for tests: not in a program that does not ask for the feature `faults`, which none should that is not a test.
//!
//! One plan for each thread. Calls are counted from 1 in the order the thread makes them; the same work makes the same calls, so a test
//! first counts, then repeats the work once per call.

use crate::op::Op;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// What to do at the chosen call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Kill this process, as `kill -9` would; a write is torn in the middle.
    Kill,
    /// Fail with this error of the operating system. A write fails after half of its bytes.
    Fail(i32),
}

#[derive(Debug, Default)]
struct Plan {
    counting: bool,
    calls: u64,
    at: Option<(u64, Fault)>,
    only: Option<Op>,
    no_exchange: bool,
    other_file_system: bool,
    boots: u32,
    log: Option<Vec<(Op, String)>>,
}

thread_local! {
    static PLAN: RefCell<Plan> = RefCell::default();
}

fn with<T>(work: impl FnOnce(&mut Plan) -> T) -> T {
    PLAN.with_borrow_mut(work)
}

/// Starts counting; call number `at` (of `only` these operations, if given) meets its fault.
pub fn start(at: Option<(u64, Fault)>, only: Option<Op>) {
    with(|plan| {
        plan.counting = true;
        plan.calls = 0;
        plan.at = at;
        plan.only = only;
        plan.log = Some(Vec::new());
    });
}

/// Stops counting; returns how many calls there were and which.
pub fn stop() -> (u64, Vec<(Op, String)>) {
    with(|plan| {
        plan.counting = false;
        plan.at = None;
        (plan.calls, plan.log.take().unwrap_or_default())
    })
}

/// Behaves like a file system without an exchange.
pub fn forbid_exchange(forbid: bool) {
    with(|plan| plan.no_exchange = forbid);
}

/// Behaves as if the staged build lay on another file system.
pub fn other_file_system(other: bool) {
    with(|plan| plan.other_file_system = other);
}

/// Behaves as if the system had been started anew.
pub fn reboot() {
    with(|plan| plan.boots += 1);
}

/// Names the time since the last [`reboot`]; `None` when there was none.
pub fn other_boot() -> Option<String> {
    let boots = with(|plan| plan.boots);
    (boots > 0).then(|| format!("boot-{boots}"))
}

#[cfg(unix)]
pub(crate) fn exchange_forbidden() -> bool {
    with(|plan| plan.no_exchange)
}

/// What [`other_file_system`] said last.
pub fn is_other_file_system() -> bool {
    with(|plan| plan.other_file_system)
}

fn due(op: Op, path: &Path) -> Option<Fault> {
    with(|plan| {
        if !plan.counting || plan.only.is_some_and(|only| only != op) {
            return None;
        }
        plan.calls += 1;
        let calls = plan.calls;
        if let Some(log) = &mut plan.log {
            log.push((op, path.display().to_string()));
        }
        plan.at.and_then(|(at, fault)| (at == calls).then_some(fault))
    })
}

/// Counts a call that this crate does not make itself, and fails or kills when it is its turn.
///
/// # Errors
/// The fault that was asked for.
pub fn step(op: Op, path: &Path) -> io::Result<()> {
    match due(op, path) {
        None => Ok(()),
        Some(Fault::Kill) => die(),
        Some(Fault::Fail(code)) => Err(io::Error::from_raw_os_error(code)),
    }
}

/// [`step`] for a write: the half of the bytes that a torn one leaves is written first.
///
/// # Errors
/// The fault that was asked for.
pub fn write_step(path: &Path, bytes: &[u8], file: &mut File) -> io::Result<()> {
    let Some(fault) = due(Op::Write, path) else { return Ok(()) };
    let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
    file.write_all(half)?;
    match fault {
        Fault::Kill => die(),
        Fault::Fail(code) => Err(io::Error::from_raw_os_error(code)),
    }
}

fn die() -> ! {
    #[cfg(unix)]
    {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
    #[cfg(not(unix))]
    std::process::abort()
}
