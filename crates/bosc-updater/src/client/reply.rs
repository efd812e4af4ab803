//! Answers, and the queue below them and the events, that can be waited for by a thread or by a future, without any runtime.

use crate::error::{ErrorKind, UpdateError};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Most values that wait for somebody to take them.
const MAX_QUEUE: usize = 1024;

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<T>,
    closed: bool,
    wakers: Vec<Waker>,
}

#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

impl<T> Queue<T> {
    fn new() -> Arc<Self> {
        let state = State { queue: VecDeque::new(), closed: false, wakers: Vec::new() };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a value; the oldest one goes when there are too many.
    pub(super) fn push(&self, value: T) {
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

    pub(super) fn wait(&self, deadline: Option<Instant>) -> Option<Option<T>> {
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

    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Option<T>> {
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
pub(crate) struct Sender<T>(Arc<Queue<T>>);

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
pub struct Pending<T>(Arc<Queue<Result<T, UpdateError>>>);

/// A queue and the side that fills it.
pub(super) fn queue<T>() -> (Sender<T>, Arc<Queue<T>>) {
    let queue = Queue::new();
    (Sender(Arc::clone(&queue)), queue)
}

pub(crate) fn pending<T>() -> (Sender<Result<T, UpdateError>>, Pending<T>) {
    let (sender, queue) = queue();
    (sender, Pending(queue))
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
