//! Answers and events that can be waited for by a thread or by a future, without any runtime.

use super::event::Event;
use crate::error::{ErrorKind, UpdateError};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Most values that wait for somebody to take them.
const MAX_QUEUE: usize = 1024;

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

    /// Adds a value; the oldest one goes when there are too many.
    fn push(&self, value: T) {
        self.change(|s| {
            if s.queue.len() >= MAX_QUEUE {
                s.queue.pop_front();
            }
            s.queue.push_back(value);
        });
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
            let Some(deadline) = deadline else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let wait = deadline.saturating_duration_since(Instant::now());
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
        self.0.push(value);
    }

    /// Whether anybody waits, or may wait, for what is sent.
    pub(crate) fn is_heard(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Sends, or replaces the last value that nobody took yet if `replaces` says so of it.
    pub(crate) fn send_over(&self, value: T, replaces: impl FnOnce(&T) -> bool) {
        self.0.change(|s| {
            if s.queue.back().is_some_and(replaces) {
                s.queue.pop_back();
            } else if s.queue.len() >= MAX_QUEUE {
                s.queue.pop_front();
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

/// An answer on its way: await it on any executor, or [`Pending::wait`] for it. What was asked for is done whether or not anybody
/// takes the answer.
#[derive(Debug)]
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

/// What happens, in order: an [`Iterator`] that blocks, and with the feature `stream` a `Stream`. It ends when the updater has
/// ended.
///
/// There is one queue: a clone takes from the same one, and each event goes to whoever takes it first. What nobody takes waits, the
/// newest 1024 events of it.
#[derive(Debug, Clone)]
pub struct Events(Arc<Shared<Event>>);

pub(crate) fn events() -> (Sender<Event>, Events) {
    let shared = Shared::new();
    (Sender(Arc::clone(&shared)), Events(shared))
}

impl Events {
    pub(crate) fn post(&self, event: Event) {
        self.0.push(event);
    }

    /// Blocks until the next event; `None` when the updater has ended. The same as the iterator's `next`, without `mut`.
    pub fn recv(&self) -> Option<Event> {
        self.0.wait(None).flatten()
    }

    /// Blocks until the next event or for so long; `None` also when nothing happened.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Event> {
        self.0.wait(Instant::now().checked_add(timeout)).flatten()
    }

    /// The next event, for async code on any executor; `None` when the updater has ended.
    pub async fn recv_async(&self) -> Option<Event> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// What a `Stream` is made of.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll(cx)
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.recv()
    }
}

#[cfg(feature = "stream")]
impl futures_core::Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_recv(cx)
    }
}
