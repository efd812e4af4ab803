//! Runs a child process under ptrace and lets one of the system calls that change the file system go wrong.
//!
//! Calls are counted in the order they are made, over all threads of the child. A call that only reads is not counted: a
//! kill at it leaves on the disk what the call before it left. A call on a descriptor counts when it is a file below
//! `root`; so do all that take a path. The kernel does not run a call that is to fail.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::path::Path;

/// What happens at the chosen call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL before the call is made.
    Kill,
    /// A write puts down half of its bytes, then SIGKILL; other calls: as `Kill`.
    Torn,
    /// The call is not made and fails with this error.
    Fail(i32),
    /// So do all after it.
    FailFromHere(i32),
}

/// Which calls count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    All,
    /// What needs room on the disk.
    Writes,
    /// `fsync` and its like.
    Syncs,
    /// rename and link.
    Renames,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Puts bytes from memory into a file; the third argument says how many.
    Write,
    /// Takes room otherwise.
    Room,
    Sync,
    Rename,
    Other,
}

/// Where the call acts.
#[derive(Clone, Copy)]
enum On {
    Path,
    /// On the descriptor in this argument.
    Fd(usize),
}

fn classify(number: u64, arguments: &[u64; 6]) -> Option<(Kind, On)> {
    let creates = |flags: u64| {
        let flags = i32::try_from(flags & 0xffff_ffff).unwrap_or(0);
        (flags & (libc::O_CREAT | libc::O_TRUNC) != 0).then_some((Kind::Room, On::Path))
    };
    Some(match i64::try_from(number).ok()? {
        libc::SYS_write | libc::SYS_pwrite64 => (Kind::Write, On::Fd(0)),
        libc::SYS_writev
        | libc::SYS_pwritev
        | libc::SYS_pwritev2
        | libc::SYS_fallocate
        | libc::SYS_ftruncate => (Kind::Room, On::Fd(0)),
        libc::SYS_copy_file_range => (Kind::Room, On::Fd(2)),
        libc::SYS_sendfile => (Kind::Room, On::Fd(0)),
        libc::SYS_fsync | libc::SYS_fdatasync | libc::SYS_syncfs | libc::SYS_sync_file_range => {
            (Kind::Sync, On::Fd(0))
        }
        libc::SYS_fchmod => (Kind::Other, On::Fd(0)),
        libc::SYS_rename | libc::SYS_renameat | libc::SYS_renameat2 | libc::SYS_link | libc::SYS_linkat => {
            (Kind::Rename, On::Path)
        }
        libc::SYS_mkdir | libc::SYS_mkdirat | libc::SYS_symlink | libc::SYS_symlinkat | libc::SYS_creat => {
            (Kind::Room, On::Path)
        }
        libc::SYS_unlink
        | libc::SYS_unlinkat
        | libc::SYS_rmdir
        | libc::SYS_truncate
        | libc::SYS_chmod
        | libc::SYS_fchmodat
        | libc::SYS_fchmodat2
        | libc::SYS_utimensat => (Kind::Other, On::Path),
        // FICLONE and FICLONERANGE.
        libc::SYS_ioctl if matches!(arguments[1], 0x4004_9409 | 0x4020_940d) => (Kind::Room, On::Fd(0)),
        libc::SYS_open => return creates(arguments[1]),
        libc::SYS_openat => return creates(arguments[2]),
        _ => return None,
    })
}

impl Calls {
    fn has(self, kind: Kind) -> bool {
        match self {
            Self::All => true,
            Self::Writes => matches!(kind, Kind::Write | Kind::Room),
            Self::Syncs => kind == Kind::Sync,
            Self::Renames => kind == Kind::Rename,
        }
    }
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traced {
    /// Calls that counted.
    pub calls: u64,
    /// Whether the chosen call was reached.
    pub reached: bool,
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
}

/// What is to be done when a call of a thread returns.
#[derive(Clone, Copy)]
enum Then {
    Die,
    Fail(i32),
}

/// Follows the process `pid`, a child of this thread that waits for `go` and starts no thread before, until it ends.
///
/// # Errors
/// When the system does not let it be traced.
pub fn follow(
    pid: u32,
    go: impl FnOnce(),
    root: &Path,
    calls: Calls,
    fault: Option<(u64, Fault)>,
) -> Result<Traced, Errno> {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap());
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_EXITKILL;
    // Also the threads it has: a test runner may run its test in one.
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).map_err(|_| Errno::ESRCH)?.flatten() {
        let Ok(thread) = task.file_name().to_string_lossy().parse() else { continue };
        ptrace::seize(Pid::from_raw(thread), options)?;
        ptrace::interrupt(Pid::from_raw(thread))?;
    }
    go();
    let mut tracer = Tracer { root, calls, fault, count: 0, reached: false, inside: HashMap::new() };
    // Only children of this thread: others may belong to other tests.
    let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
    loop {
        match waitpid(None, Some(flags))? {
            WaitStatus::PtraceSyscall(thread) => {
                if tracer.step(thread) == Some(()) {
                    let _ = kill(pid, Signal::SIGKILL);
                }
                let _ = ptrace::syscall(thread, None);
            }
            WaitStatus::PtraceEvent(thread, _, _) => drop(ptrace::syscall(thread, None)),
            WaitStatus::Stopped(thread, signal) => drop(ptrace::syscall(thread, signal)),
            WaitStatus::Exited(ended, code) if ended == pid => {
                return Ok(Traced { calls: tracer.count, reached: tracer.reached, code: Some(code) });
            }
            WaitStatus::Signaled(ended, ..) if ended == pid => {
                return Ok(Traced { calls: tracer.count, reached: tracer.reached, code: None });
            }
            _ => {}
        }
    }
}

struct Tracer<'a> {
    root: &'a Path,
    calls: Calls,
    fault: Option<(u64, Fault)>,
    count: u64,
    reached: bool,
    /// Threads that are in a call, and what happens when it returns.
    inside: HashMap<Pid, Option<Then>>,
}

impl Tracer<'_> {
    /// A call begins or ends. `Some` when the process is to be killed.
    fn step(&mut self, thread: Pid) -> Option<()> {
        if let Some(then) = self.inside.remove(&thread) {
            return match then? {
                Then::Die => Some(()),
                Then::Fail(code) => {
                    let mut registers = ptrace::getregs(thread).ok()?;
                    registers.rax = i64::from(-code).cast_unsigned();
                    let _ = ptrace::setregs(thread, registers);
                    None
                }
            };
        }
        self.inside.insert(thread, None);
        let mut r = ptrace::getregs(thread).ok()?;
        let arguments = [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9];
        let (kind, on) = classify(r.orig_rax, &arguments)?;
        if !self.calls.has(kind) || !self.concerns(thread, on, &arguments) {
            return None;
        }
        self.count += 1;
        let (at, fault) = self.fault?;
        match fault {
            _ if self.count < at => return None,
            Fault::FailFromHere(_) => {}
            _ if self.count > at => return None,
            _ => {}
        }
        self.reached = true;
        match fault {
            Fault::Torn if kind == Kind::Write && r.rdx > 1 => {
                r.rdx /= 2;
                ptrace::setregs(thread, r).ok()?;
                self.inside.insert(thread, Some(Then::Die));
                None
            }
            Fault::Kill | Fault::Torn => Some(()),
            Fault::Fail(code) | Fault::FailFromHere(code) => {
                r.orig_rax = u64::MAX;
                ptrace::setregs(thread, r).ok()?;
                self.inside.insert(thread, Some(Then::Fail(code)));
                None
            }
        }
    }

    fn concerns(&self, thread: Pid, on: On, arguments: &[u64; 6]) -> bool {
        match on {
            On::Path => true,
            On::Fd(argument) => {
                let Some(fd) = arguments.get(argument) else { return false };
                let link = format!("/proc/{thread}/fd/{}", fd & 0xffff_ffff);
                std::fs::read_link(link).is_ok_and(|path| path.starts_with(self.root))
            }
        }
    }
}
