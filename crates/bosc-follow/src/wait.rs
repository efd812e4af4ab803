//! The one way to wait.
//!
//! A wait looks at what it waits for, and looks again when its signal was raised, its [`Stop`] was, or an alarm is due.
//!
//! ```text
//!            ┌──────────── signal, stop, alarm ────────────┐
//!            ▼                                             │
//! start ── look ── it is there ────────────> Ok(Some(_))   │
//!            │ ─── stopped ────────────────> Stopped       │
//!            │ ─── deadline or stall over ─> Ok(None)      │
//!            └──── else ── sleeps ─────────────────────────┘
//! ```
//!
//! Invariants:
//! * Time that matters to a look is asked of its [`Alarm`], which wakes it when that time has come. A look that reads a
//!   clock by itself may never be asked again.
//! * It sleeps until the earliest of deadline, end of the stall and alarms, or, without any of them, for as long as
//!   nothing happens.
//! * A look has no effect that must not happen twice: it may be asked again though nothing changed.

use crate::error::FollowError;
use crate::stop::Stop;
use bosc_node::Signal;
use std::time::{Duration, Instant};

/// How long a caller waits, and what ends it. One value serves any number of waits; the deadline is for all of them
/// together, the stall starts anew with each.
pub struct Wait<'a> {
    stop: &'a Stop,
    deadline: Option<Instant>,
    stall: Option<Duration>,
    tell: Option<Tell<'a>>,
    /// Not longer than there may be a network.
    unless_unanswered: bool,
}

struct Tell<'a> {
    call: &'a mut (dyn FnMut() -> bool + 'a),
    every: Duration,
    /// When it was called last, and what was shown then.
    last: Option<(Instant, u64)>,
}

impl std::fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wait")
            .field("deadline", &self.deadline)
            .field("stall", &self.stall)
            .finish_non_exhaustive()
    }
}

/// The clock of one look. Whatever it is asked about wakes the wait when it comes true.
#[derive(Debug)]
pub struct Alarm {
    now: Instant,
    next: Option<Instant>,
    count: Option<u64>,
    shown: Option<u64>,
}

impl Alarm {
    fn at(now: Instant) -> Self {
        Self { now, next: None, count: None, shown: None }
    }

    /// The time of this look.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Whether `time` has come. If not, the wait looks again when it has.
    pub fn is_past(&mut self, time: Instant) -> bool {
        let past = time <= self.now;
        if !past {
            self.next = Some(self.next.map_or(time, |next| next.min(time)));
        }
        past
    }

    /// Whether so much time has passed since `since`. If not, the wait looks again when it has.
    pub fn has_passed(&mut self, since: Instant, time: Duration) -> bool {
        since.checked_add(time).is_some_and(|end| self.is_past(end))
    }

    /// How much has come so far: the stall starts anew whenever this number changes.
    pub fn came(&mut self, count: u64) {
        self.count = Some(count);
    }

    /// What a listener would be told, as a number: it is told when the number changes. [`Alarm::came`] counts if this
    /// is not called.
    pub fn shows(&mut self, state: u64) {
        self.shown = Some(state);
    }
}

enum Turn<T> {
    Over(Option<T>),
    Sleep(Option<Instant>),
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}

impl<'a> Wait<'a> {
    /// Waits until stopped, however long that is.
    pub fn new(stop: &'a Stop) -> Self {
        Self { stop, deadline: None, stall: None, tell: None, unless_unanswered: false }
    }

    /// No longer than so from now on, all waits with this value together.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        let deadline = Instant::now().checked_add(timeout);
        Self { deadline: earlier(self.deadline, deadline), ..self }
    }

    /// Not beyond `deadline`.
    #[must_use]
    pub fn until(self, deadline: Instant) -> Self {
        Self { deadline: earlier(self.deadline, Some(deadline)), ..self }
    }

    /// No longer than until it is certain that no DHT node answers. For those who wait for peers, of which there are none then.
    #[must_use]
    pub fn unless_unanswered(self, yes: bool) -> Self {
        Self { unless_unanswered: yes, ..self }
    }

    /// Whether [`Wait::unless_unanswered`] was said.
    pub(crate) fn ends_unanswered(&self) -> bool {
        self.unless_unanswered
    }

    /// No longer than so since something last came, each wait by itself.
    #[must_use]
    pub fn stall(self, stall: Duration) -> Self {
        Self { stall: Some(stall), ..self }
    }

    /// Calls `tell` when there is something to tell, at most every `every`, and whenever the stop is raised. It decides
    /// instead of the stop then: `false` ends the wait with [`FollowError::Stopped`].
    #[must_use]
    pub fn tell(self, every: Duration, tell: &'a mut (dyn FnMut() -> bool + 'a)) -> Self {
        Self { tell: Some(Tell { call: tell, every, last: None }), ..self }
    }

    /// What it is stopped by.
    pub fn stop(&self) -> &'a Stop {
        self.stop
    }

    /// Whether the deadline is over.
    pub fn is_over(&self) -> bool {
        self.deadline.is_some_and(|d| d <= Instant::now())
    }

    /// Fails when it is to end. For work between two waits: it tells, too, if it is time.
    ///
    /// # Errors
    /// [`FollowError::Stopped`].
    pub fn go_on(&mut self) -> Result<(), FollowError> {
        let now = Instant::now();
        let Some(tell) = &mut self.tell else {
            return if self.stop.is_stopped() { Err(FollowError::Stopped) } else { Ok(()) };
        };
        let due = tell.last.is_none_or(|(at, _)| now.saturating_duration_since(at) >= tell.every);
        if !due && !self.stop.is_stopped() {
            return Ok(());
        }
        tell.last = Some((now, tell.last.map_or(0, |(_, shown)| shown)));
        if (tell.call)() { Ok(()) } else { Err(FollowError::Stopped) }
    }

    /// Asks `look` until it answers. `None`: the time is over.
    ///
    /// # Errors
    /// [`FollowError::Stopped`], and what `look` fails with.
    pub fn run<T, E: From<FollowError>>(
        &mut self,
        signal: &Signal,
        mut look: impl FnMut(&mut Alarm) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let stop = self.stop;
        let _registered = stop.register(signal);
        let mut moved = (None, Instant::now());
        let mut until = None;
        loop {
            let mut next = None;
            let woken = signal.wait(until, || match self.turn(&mut moved, &mut look) {
                Err(e) => Some(Some(Err(e))),
                Ok(Turn::Over(value)) => Some(Some(Ok(value))),
                Ok(Turn::Sleep(at)) => {
                    next = at;
                    // An alarm before the one that is set: it is set anew.
                    at.is_some_and(|at| until.is_none_or(|until| at < until)).then_some(None)
                }
            });
            if let Some(Some(outcome)) = woken {
                return outcome;
            }
            until = next;
        }
    }

    fn turn<T, E: From<FollowError>>(
        &mut self,
        moved: &mut (Option<u64>, Instant),
        look: &mut impl FnMut(&mut Alarm) -> Result<Option<T>, E>,
    ) -> Result<Turn<T>, E> {
        let now = Instant::now();
        if self.stop.is_stopped() {
            let goes_on = self.tell.as_mut().is_some_and(|tell| (tell.call)());
            if !goes_on {
                return Err(FollowError::Stopped.into());
            }
        }
        let mut alarm = Alarm::at(now);
        if let Some(value) = look(&mut alarm)? {
            return Ok(Turn::Over(Some(value)));
        }
        if alarm.count.is_some() && moved.0 != alarm.count {
            *moved = (alarm.count, now);
        }
        if let (Some(tell), Some(shown)) = (&mut self.tell, alarm.shown.or(alarm.count)) {
            match tell.last {
                Some((_, last)) if last == shown => {}
                Some((at, _)) if !alarm.has_passed(at, tell.every) => {}
                _ => {
                    tell.last = Some((now, shown));
                    if !(tell.call)() {
                        return Err(FollowError::Stopped.into());
                    }
                }
            }
        }
        let stalled = self.stall.and_then(|stall| moved.1.checked_add(stall));
        let end = earlier(self.deadline, stalled);
        if end.is_some_and(|end| end <= now) {
            return Ok(Turn::Over(None));
        }
        Ok(Turn::Sleep(earlier(end, alarm.next)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    const SOON: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    type Looked = Result<Option<u64>, FollowError>;

    #[test]
    fn a_stop_ends_a_wait_that_nothing_else_would() {
        let (stop, signal) = (Stop::new(), Signal::default());
        let other = stop.clone();
        let t = thread::spawn(move || {
            thread::sleep(SOON);
            other.stop();
        });
        let got: Looked = Wait::new(&stop).run(&signal, |_| Ok(None));
        assert!(matches!(got, Err(FollowError::Stopped)));
        t.join().unwrap();
    }

    #[test]
    fn nobody_looks_without_a_reason() {
        let (stop, signal) = (Stop::new(), Signal::default());
        let mut looks = 0;
        let got: Looked = Wait::new(&stop).timeout(SOON * 5).run(&signal, |_| {
            looks += 1;
            Ok(None)
        });
        assert!(got.unwrap().is_none());
        // At the start, when the deadline is set, and at the deadline; a condition variable may wake for nothing.
        assert!(looks <= 6, "{looks}");
    }

    #[test]
    fn an_alarm_wakes_in_time_and_moves_with_what_it_is_about() {
        let (stop, signal) = (Stop::new(), Signal::default());
        let since = Instant::now();
        let mut looks = 0;
        let got: Looked = Wait::new(&stop).timeout(LONG).run(&signal, |alarm| {
            looks += 1;
            let first = alarm.has_passed(since, SOON);
            Ok((alarm.has_passed(since, SOON * 3) && first).then_some(1))
        });
        assert_eq!(got.unwrap(), Some(1));
        assert!(since.elapsed() >= SOON * 3 && looks <= 9, "{looks}");
    }

    #[test]
    fn a_stall_starts_anew_whenever_something_came() {
        let (stop, signal) = (Stop::new(), Signal::default());
        let came = std::sync::Arc::new(AtomicU64::new(0));
        let (c, s) = (came.clone(), signal.clone());
        let start = Instant::now();
        let t = thread::spawn(move || {
            for _ in 0..4 {
                thread::sleep(SOON);
                c.fetch_add(1, Ordering::SeqCst);
                s.raise();
            }
        });
        let got: Looked = Wait::new(&stop).stall(SOON * 20).run(&signal, |alarm| {
            alarm.came(came.load(Ordering::SeqCst));
            Ok(None)
        });
        assert!(got.unwrap().is_none());
        assert!(start.elapsed() >= SOON * 24);
        t.join().unwrap();
    }

    #[test]
    fn a_listener_is_told_of_what_changed_and_of_nothing_else() {
        let (stop, signal) = (Stop::new(), Signal::default());
        let mut told = 0;
        let mut tell = || {
            told += 1;
            true
        };
        let start = Instant::now();
        let got: Looked = Wait::new(&stop).timeout(SOON * 10).tell(SOON, &mut tell).run(&signal, |alarm| {
            // Three states, the second so soon that it waits for its turn.
            let at = alarm.has_passed(start, SOON / 10);
            let later = alarm.has_passed(start, SOON * 5);
            alarm.shows(u64::from(at) + u64::from(later));
            Ok(None)
        });
        assert!(got.unwrap().is_none());
        assert_eq!(told, 3);
    }

    #[test]
    fn a_listener_decides_instead_of_the_stop() {
        let (stop, signal) = (Stop::new(), Signal::default());
        stop.stop();
        let mut asked = 0;
        let mut tell = || {
            asked += 1;
            asked < 3
        };
        let mut wait = Wait::new(&stop).timeout(LONG).tell(LONG, &mut tell);
        let got: Looked = wait.run(&signal, |_| Ok(Some(5)));
        assert_eq!(got.unwrap(), Some(5));
        assert!(wait.go_on().is_ok());
        let got: Looked = wait.run(&signal, |_| Ok(Some(5)));
        assert!(matches!(got, Err(FollowError::Stopped)));
    }

    #[test]
    fn a_deadline_is_for_all_waits_together() {
        let (stop, signal) = (Stop::new(), Signal::default());
        let mut wait = Wait::new(&stop).timeout(SOON);
        for _ in 0..2 {
            let got: Looked = wait.run(&signal, |_| Ok(None));
            assert!(got.unwrap().is_none());
        }
        assert!(wait.is_over());
    }
}
