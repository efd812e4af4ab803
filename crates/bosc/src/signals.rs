//! Ctrl+C, SIGTERM, the end of the terminal (SIGHUP) and Ctrl+Z.
//!
//! The first Ctrl+C asks the command to end; it ends by itself, taking announcements back and keeping what it has. It is
//! ended when after a while it waits for nothing but a pipe that takes nothing, and after half a minute whatever it waits for; the
//! second Ctrl+C ends it in any case.
//! Ctrl+Z gives the terminal its echo back before the process stops, as a shell without line editing expects it. Ctrl+\ (SIGQUIT)
//! ends the process at once, as ever, and gives it back too where a question took it.

use crate::{question, screen};
use bosc_release::command::Stop;
use bosc_release::error::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// How long a command that was asked to end may take before it is looked at what it waits for.
const GRACE: Duration = Duration::from_secs(3);
/// How long it has been waiting then for a stream that takes nothing.
const STUCK: Duration = Duration::from_secs(1);
/// How long it may take in all: what it waits for then (a FIFO that nobody writes to, a disk that hangs) does not end. Nothing
/// that was acknowledged is lost by that, as with kill -9.
const LATEST: Duration = Duration::from_secs(30);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Sets `stop` at the first signal to end, and sees to it that the process ends.
///
/// Where `reload` is given, SIGHUP counts it up and wakes who waits for `stop` instead, for as long as the terminal is there that
/// the command was started on.
pub(crate) fn watch(stop: &Stop, reload: Option<&Arc<AtomicU64>>) {
    let stop = stop.clone();
    let reload = reload.cloned();
    let (ready, watches) = std::sync::mpsc::channel::<()>();
    let _ = std::thread::Builder::new().name("signals".into()).spawn(move || {
        let Ok(rt) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        rt.block_on(async {
            // Runs when what is below has begun to listen, and waits.
            tokio::spawn(async move { drop(ready) });
            #[cfg(unix)]
            tokio::spawn(suspend());
            let hangs_up = reload.is_none();
            if let Some(reload) = reload {
                tokio::select! {
                    () = wait_signal(hangs_up) => {}
                    () = reloads(&reload, &stop) => {}
                }
            } else {
                wait_signal(hangs_up).await;
            }
            stop.stop();
            let mut again = std::pin::pin!(wait_signal(hangs_up));
            let begun = std::time::Instant::now();
            while tokio::time::timeout(LOOK, &mut again).await.is_err() {
                let took = begun.elapsed();
                if took > LATEST || (took > GRACE && screen::stuck(STUCK)) {
                    break;
                }
            }
            question::restore_echo();
            std::process::exit(i32::from(ErrorKind::Interrupted.exit_code()));
        });
    });
    // Before the command says anything: who sees it may press Ctrl+C. The sender is dropped then, or where there is no thread.
    let _ = watches.recv();
}

/// Stops the process on Ctrl+Z as the system would, but with the terminal as it was found.
#[cfg(unix)]
async fn suspend() {
    use rustix::process::{Signal, getpid, getppid, getsid, kill_process};
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut stops) = signal(SignalKind::from_raw(Signal::TSTP.as_raw())) else { return };
    while stops.recv().await.is_some() {
        // Nobody could continue a process whose parent is in another session: the system would not stop it either.
        let session = |pid| getsid(pid).ok();
        let shell = getppid().filter(|p| session(Some(*p)) == session(None));
        if shell.is_none() {
            continue;
        }
        question::restore_echo();
        let _ = kill_process(getpid(), Signal::STOP);
    }
}

/// From now on SIGQUIT gives the terminal its echo back before it ends the process. One that was ignored stays so.
#[cfg(unix)]
pub(crate) fn restore_at_quit() {
    use tokio::signal::unix::{SignalKind, signal};
    /// What a shell shows of a process that SIGQUIT ended.
    const CODE: i32 = 128 + 3;
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        if ignored_signals().is_some_and(|mask| ignores(&mask, 3)) {
            return;
        }
        let Ok(rt) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        // Before the echo goes, so that there is no moment between.
        let quit = {
            let _inside = rt.enter();
            signal(SignalKind::quit())
        };
        let Ok(mut quit) = quit else { return };
        let _ = std::thread::Builder::new().name("quit".into()).spawn(move || {
            rt.block_on(async {
                quit.recv().await;
                question::leave();
                std::process::exit(CODE);
            });
        });
    });
}

/// What Linux says of this process, its ignored signals among it.
#[cfg(unix)]
fn ignored_signals() -> Option<String> {
    let status = bosc_files::read_plain(std::path::Path::new("/proc/self/status"), 64 * 1024).ok()?;
    Some(String::from_utf8_lossy(&status).into_owned())
}

/// Whether this was started to outlive its terminal, by `nohup` or a shell's `trap`. Asked before a handler takes the signal over.
#[cfg(unix)]
static NOHUP: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
    use std::io::{IsTerminal, stderr, stdout};
    match ignored_signals() {
        Some(status) => ignores(&status, 1),
        // Where the system does not say: `nohup` leaves neither of them on the terminal.
        None => !stdout().is_terminal() && !stderr().is_terminal(),
    }
});

/// Whether a signal is among those that Linux says a process ignores.
#[cfg(unix)]
fn ignores(status: &str, signal: u32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 != 0)
}

/// Counts up at each SIGHUP. Ends when one came because the terminal is gone.
#[cfg(unix)]
async fn reloads(reload: &AtomicU64, stop: &Stop) {
    use std::io::{IsTerminal, stderr};
    use tokio::signal::unix::{SignalKind, signal};
    let had_terminal = stderr().is_terminal();
    let Ok(mut hangups) = signal(SignalKind::hangup()) else { return std::future::pending().await };
    while hangups.recv().await.is_some() {
        if had_terminal && !stderr().is_terminal() {
            return;
        }
        reload.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        stop.wake();
    }
}

#[cfg(not(unix))]
async fn reloads(_: &AtomicU64, _: &Stop) {
    std::future::pending().await
}

#[cfg(unix)]
async fn wait_signal(hangs_up: bool) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    let hangup = async {
        // Who was started with `nohup` goes on without a terminal.
        let wanted = hangs_up && !*NOHUP;
        match wanted.then(|| signal(SignalKind::hangup()).ok()).flatten() {
            Some(mut hangup) => drop(hangup.recv().await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
        () = hangup => {}
    }
}

#[cfg(not(unix))]
async fn wait_signal(_: bool) {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::ignores;

    #[test]
    fn who_was_started_with_nohup_keeps_on() {
        for (mask, ignored) in [("0000000000000001", true), ("0000000000001006", false), ("x", false)] {
            let status = format!(
                "Name:\tbosc\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t0000000000000001\n"
            );
            assert_eq!(ignores(&status, 1), ignored, "{mask}");
        }
    }
}
