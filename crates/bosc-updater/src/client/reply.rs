//! Answers and events that can be waited for by a thread or by a future, without any runtime.

use crate::error::{ErrorKind, UpdateError};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<T>,
    closed: bool,
    wakers: Vec<Waker>,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

impl<T> Shared<T> {
    fn new() -> Arc<Self> {
        let state = State { queue: VecDeque::new(), closed: false, wakers: Vec::new() };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State<T>)) {
        let mut state = self.lock();
        change(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// `Some(None)`: closed and empty.
    fn take(state: &mut State<T>) -> Option<Option<T>> {
        match state.queue.pop_front() {
            Some(value) => Some(Some(value)),
            None => state.closed.then_some(None),
        }
    }

    fn wait(&self, deadline: Option<Instant>) -> Option<Option<T>> {
        let mut state = self.lock();
        loop {
            if let Some(value) = Self::take(&mut state) {
                return Some(value);
            }
            let wait = match deadline {
                None => Duration::from_secs(3600),
                Some(d) => d.saturating_duration_since(Instant::now()),
            };
            if wait.is_zero() {
                return None;
            }
            state = self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Option<T>> {
        let mut state = self.lock();
        if let Some(value) = Self::take(&mut state) {
            return Poll::Ready(value);
        }
        if !state.wakers.iter().any(|w| w.will_wake(cx.waker())) {
            state.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// The side that answers. Dropping it without an answer is an answer, too.
#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    pub(crate) fn send(&self, value: T) {
        self.0.change(|s| s.queue.push_back(value));
    }

    /// Sends, or replaces the last value that nobody took yet if `replaces` says so of it.
    pub(crate) fn send_over(&self, value: T, replaces: impl FnOnce(&T) -> bool) {
        self.0.change(|s| {
            if s.queue.back().is_some_and(replaces) {
                s.queue.pop_back();
            }
            s.queue.push_back(value);
        });
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.change(|s| s.closed = true);
    }
}

/// An answer on its way. Await it, or [`Pending::wait`] for it.
#[derive(Debug)]
#[must_use = "the answer may be an error"]
pub struct Pending<T>(Arc<Shared<Result<T, UpdateError>>>);

pub(crate) fn pending<T>() -> (Sender<Result<T, UpdateError>>, Pending<T>) {
    let shared = Shared::new();
    (Sender(Arc::clone(&shared)), Pending(shared))
}

fn ended() -> UpdateError {
    UpdateError::new(ErrorKind::Cancelled, "the updater has ended").hint("start it again")
}

impl<T> Pending<T> {
    /// Blocks until the answer is there.
    ///
    /// # Errors
    /// What the answer says; `Cancelled` when the updater ended first.
    pub fn wait(self) -> Result<T, UpdateError> {
        self.0.wait(None).flatten().unwrap_or_else(|| Err(ended()))
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, UpdateError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx).map(|answer| answer.unwrap_or_else(|| Err(ended())))
    }
}

/// What happens, in order, for one listener. `None` when the updater has ended.
#[derive(Debug)]
pub struct Events<T>(Arc<Shared<T>>);

pub(crate) fn events<T>() -> (Sender<T>, Events<T>) {
    let shared = Shared::new();
    (Sender(Arc::clone(&shared)), Events(shared))
}

impl<T> Events<T> {
    /// Blocks until the next event.
    pub fn recv(&self) -> Option<T> {
        self.0.wait(None).flatten()
    }

    /// Blocks until the next event or for so long; `None` also when nothing happened.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<T> {
        self.0.wait(Instant::now().checked_add(timeout)).flatten()
    }

    /// The next event, for async code.
    pub fn next(&self) -> Next<'_, T> {
        Next(&self.0)
    }
}

/// A future of [`Events::next`].
#[derive(Debug)]
pub struct Next<'a, T>(&'a Shared<T>);

impl<T> Future for Next<'_, T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx)
    }
}
