//! Ctrl+C, SIGTERM, the end of the terminal (SIGHUP) and Ctrl+Z.
//!
//! The first Ctrl+C asks the command to end; it ends by itself, taking announcements back and keeping what it has. It is
//! ended when after a while it waits for nothing but a pipe that takes nothing, and after half a minute whatever it waits for; the
//! second Ctrl+C ends it in any case.
//! Ctrl+Z gives the terminal its echo back before the process stops, as a shell without line editing expects it.

use crate::{question, screen};
use bosc_release::command::Stop;
use bosc_release::error::ErrorKind;
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
pub(crate) fn watch(stop: &Stop) {
    let stop = stop.clone();
    let _ = std::thread::Builder::new().name("signals".into()).spawn(move || {
        let Ok(rt) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        rt.block_on(async {
            #[cfg(unix)]
            tokio::spawn(suspend());
            wait_signal().await;
            stop.stop();
            let mut again = std::pin::pin!(wait_signal());
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

/// Whether this was started to outlive its terminal, by `nohup` or a shell's `trap`. Asked before a handler takes the signal over.
#[cfg(unix)]
static NOHUP: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
    use std::io::{IsTerminal, stderr, stdout};
    match bosc_files::read_plain(std::path::Path::new("/proc/self/status"), 64 * 1024) {
        Ok(status) => ignores_hangup(&String::from_utf8_lossy(&status)),
        // Where the system does not say: `nohup` leaves neither of them on the terminal.
        Err(_) => !stdout().is_terminal() && !stderr().is_terminal(),
    }
});

/// Whether signal 1 is among those that Linux says a process ignores.
#[cfg(unix)]
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}

#[cfg(unix)]
async fn wait_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    let hangup = async {
        // Who was started with `nohup` goes on without a terminal.
        let wanted = !*NOHUP;
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
async fn wait_signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::ignores_hangup;

    #[test]
    fn who_was_started_with_nohup_keeps_on() {
        for (mask, ignored) in [("0000000000000001", true), ("0000000000001006", false), ("x", false)] {
            let status = format!(
                "Name:\tbosc\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t0000000000000001\n"
            );
            assert_eq!(ignores_hangup(&status), ignored, "{mask}");
        }
    }
}
