//! The events of an updater, in order.

use super::event::Event;
use super::reply::{Queue, Sender, queue};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// What happens, in order: an [`Iterator`] that blocks, and with the feature `stream` a `Stream`. It ends when the updater has
/// ended.
///
/// There is one queue: a clone takes from the same one, and each event goes to whoever takes it first. What nobody takes waits, the
/// newest 1024 events of it.
#[derive(Debug, Clone)]
pub struct Events(Arc<Queue<Event>>);

pub(crate) fn events() -> (Sender<Event>, Events) {
    let (sender, queue) = queue();
    (sender, Events(queue))
}

impl Events {
    pub(crate) fn post(&self, event: Event) {
        self.0.push(event);
    }

    /// Blocks until the next event; `None` when the updater has ended. The same as the iterator's `next`, without `mut`.
    pub fn recv(&self) -> Option<Event> {
        self.0.wait(None).flatten()
    }

    /// Blocks until the next event, for at most `timeout`; `None` also when nothing happened in that time.
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

    fn poll_next(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_recv(cx)
    }
}
