//! Sleeping until a time-out without being woken on the way.
//!
//! Tokio keeps timers in a wheel whose outer rings are coarse: on the way to one that is seconds off it wakes the thread once or twice,
//! each time to move the timer one ring inwards. A timer of the kernel wakes it once. Short waits are left to tokio, and one that ends
//! a little later than the one before does not arm anew: at work both happen all the time, and arming is a system call.

use std::time::Duration;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::time::Instant;

/// From so long a wait on a timer of the kernel is used.
#[cfg(any(target_os = "linux", target_os = "android"))]
const LONG: Duration = Duration::from_millis(500);
/// How much too early an alarm may go off that was set before.
#[cfg(any(target_os = "linux", target_os = "android"))]
const EARLY: Duration = Duration::from_millis(250);

/// One sleeper's alarm.
pub(super) struct Alarm {
    /// None: the kernel gives none; tokio's do.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    timer: Option<tokio::net::unix::pipe::Receiver>,
    /// When the timer goes off, unless it was seen to.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    armed: Option<Instant>,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Alarm {
    /// Must run inside a tokio runtime.
    pub(super) fn new() -> Self {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags).map_err(std::io::Error::from);
        // It is no pipe, but is waited for and read as one: tokio has no other safe road for a descriptor.
        let timer = fd.and_then(tokio::net::unix::pipe::Receiver::from_owned_fd_unchecked);
        if let Err(error) = &timer {
            tracing::debug!(%error, "no timer of the kernel");
        }
        Self { timer: timer.ok(), armed: None }
    }

    /// Returns after this time, or later, or less than [`EARLY`] before. May be dropped before.
    pub(super) async fn after(&mut self, wait: Duration) {
        let Some(timer) = self.timer.as_ref().filter(|_| wait >= LONG) else {
            return tokio::time::sleep(wait).await;
        };
        let until = Instant::now() + wait;
        let near = |at: Instant| at <= until && until.duration_since(at) < EARLY;
        if !self.armed.is_some_and(near) {
            if !set(timer, wait) {
                return tokio::time::sleep(wait).await;
            }
            self.armed = Some(until);
        }
        // An alarm that was put off may have gone off before: only what can be read counts.
        while timer.readable().await.is_ok() {
            match timer.try_read(&mut [0; 8]) {
                Ok(_) => {
                    self.armed = None;
                    return;
                }
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
        tokio::time::sleep(wait).await;
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set(timer: &tokio::net::unix::pipe::Receiver, wait: Duration) -> bool {
    use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
    let Ok(it_value) = Timespec::try_from(wait) else { return false };
    let once = Itimerspec { it_interval: Timespec::default(), it_value };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &once).is_ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Alarm {
    pub(super) fn new() -> Self {
        Self {}
    }

    /// Returns after this time, or later. May be dropped before.
    pub(super) async fn after(&mut self, wait: Duration) {
        tokio::time::sleep(wait).await;
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    #[test]
    fn alarms_that_were_put_off_do_not_go_off() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut alarm = Alarm::new();
            let started = Instant::now();
            // It goes off while nobody waits for it.
            let early =
                tokio::time::timeout(Duration::from_millis(20), alarm.after(Duration::from_millis(600)));
            assert!(early.await.is_err());
            tokio::time::sleep(Duration::from_millis(700)).await;
            let again = Instant::now();
            alarm.after(Duration::from_millis(900)).await;
            assert!(again.elapsed() >= Duration::from_millis(900), "{:?}", again.elapsed());
            alarm.after(Duration::from_millis(1)).await;
            assert!(started.elapsed() >= Duration::from_millis(1620));
            // One that ends a little later does not arm anew; one that ends sooner does, and one much later.
            for (first, second, least) in [(700, 800, 700), (5000, 600, 600), (600, 1200, 1200)] {
                let early =
                    tokio::time::timeout(Duration::from_millis(5), alarm.after(Duration::from_millis(first)));
                assert!(early.await.is_err());
                let again = Instant::now();
                alarm.after(Duration::from_millis(second)).await;
                assert!(
                    again.elapsed() + Duration::from_millis(50) >= Duration::from_millis(least)
                        && again.elapsed() < Duration::from_secs(4)
                );
            }
        });
    }
}
