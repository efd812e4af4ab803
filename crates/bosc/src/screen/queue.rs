//! The one bounded queue in front of whatever reads slowly. No clock, no thread: who waits for room is decided above.
//!
//! Invariants:
//! * Lines leave in the order they came.
//! * Bounded in bytes, whatever is sent: talk over [`TALK_MAX`] is left out and counted; what is kept is refused over
//!   [`DATA_MAX`] ([`Full::Wait`]: the sender waits) or takes the place of what is worth least ([`Full::Forget`]).
//! * Of lines of which only the newest counts, two never stand side by side.

use std::collections::VecDeque;

/// Where a line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// Most bytes of lines that wait before talk is left out.
pub(super) const TALK_MAX: usize = 1 << 20;
/// Most bytes of lines that wait before who sends data waits too.
pub(super) const DATA_MAX: usize = 16 << 20;
/// Most bytes that wait where nobody waits for room.
pub(super) const FORGET_MAX: usize = 1 << 20;
/// Most lines that wait where nobody waits for room.
const LINES_MAX: usize = 4096;

/// What a line is worth when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Worth {
    /// How far something is: only the newest counts.
    Newest,
    /// Talk.
    Spare,
    /// Data, warnings, errors.
    Keep,
}

/// What happens to what is worth keeping when there is no room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Full {
    /// Whoever sends it waits.
    #[default]
    Wait,
    /// Nobody waits: what is worth least is forgotten, the oldest first.
    Forget,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) to: Stream,
    pub(super) bytes: Vec<u8>,
    worth: Worth,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    full: Full,
    lines: VecDeque<Line>,
    /// Bytes in `lines` and in what is being written.
    queued: usize,
    left_out: u64,
    pub(super) keep_everything: bool,
}

impl Queue {
    pub(super) fn new(full: Full) -> Self {
        Self { full, ..Self::default() }
    }

    /// Whether a line has to wait for room.
    pub(super) fn must_wait(&self, worth: Worth) -> bool {
        self.full == Full::Wait && self.is_kept(worth) && self.queued > DATA_MAX
    }

    fn is_kept(&self, worth: Worth) -> bool {
        worth == Worth::Keep || self.keep_everything
    }

    pub(super) fn push(&mut self, to: Stream, bytes: Vec<u8>, worth: Worth) {
        if self.full == Full::Wait && !self.is_kept(worth) && self.queued > TALK_MAX {
            self.left_out += 1;
            return;
        }
        let older = |l: &Line| worth == Worth::Newest && l.worth == Worth::Newest && l.to == to;
        if self.lines.back().is_some_and(older) {
            self.remove(self.lines.len() - 1);
        }
        self.queued += bytes.len();
        self.lines.push_back(Line { to, bytes, worth });
        while self.full == Full::Forget && (self.lines.len() > LINES_MAX || self.waiting() > FORGET_MAX) {
            // The newest line is always there.
            let others = self.lines.len() - 1;
            let least = self.lines.iter().take(others).map(|l| l.worth).min();
            match self.lines.iter().take(others).position(|l| Some(l.worth) == least) {
                Some(at) => self.remove(at),
                None => break,
            }
        }
    }

    fn remove(&mut self, at: usize) {
        let gone = self.lines.remove(at).map_or(0, |l| l.bytes.len());
        self.queued = self.queued.saturating_sub(gone);
    }

    fn waiting(&self) -> usize {
        self.lines.iter().map(|l| l.bytes.len()).sum()
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.left_out == 0
    }

    /// Bytes that wait or are being written.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// All lines, and how many were left out before them. Give [`Queue::written`] their bytes afterwards.
    pub(super) fn take(&mut self) -> (VecDeque<Line>, u64) {
        // Where nobody waits for room, one that is written at a time leaves the others to be forgotten.
        let lines = match self.full {
            Full::Wait => std::mem::take(&mut self.lines),
            Full::Forget => self.lines.pop_front().into_iter().collect(),
        };
        (lines, std::mem::take(&mut self.left_out))
    }

    pub(super) fn written(&mut self, bytes: usize) {
        self.queued = self.queued.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(queue: &Queue) -> Vec<&[u8]> {
        queue.lines.iter().map(|l| l.bytes.as_slice()).collect()
    }

    fn push(queue: &mut Queue, text: &str, worth: Worth) {
        queue.push(Stream::Out, text.as_bytes().to_vec(), worth);
    }

    #[test]
    fn where_nobody_waits_the_queue_is_bounded_and_keeps_what_matters() {
        let mut queue = Queue::new(Full::Forget);
        for n in 0..10_000 {
            push(&mut queue, &n.to_string(), Worth::Newest);
        }
        assert_eq!(texts(&queue), [b"9999"], "only the newest progress waits");
        push(&mut queue, "event", Worth::Keep);
        for n in 0..10_000 {
            push(&mut queue, "delta", Worth::Spare);
            push(&mut queue, &n.to_string(), Worth::Newest);
        }
        assert_eq!(queue.lines.len(), LINES_MAX);
        assert!(texts(&queue).contains(&b"event".as_slice()), "no event is lost for progress and deltas");
        for n in 0..=LINES_MAX {
            push(&mut queue, &format!("event {n}"), Worth::Keep);
        }
        assert_eq!(queue.lines.len(), LINES_MAX);
        assert_eq!(texts(&queue).last(), Some(&format!("event {LINES_MAX}").as_bytes()));
        assert!(!queue.must_wait(Worth::Keep));
        for _ in 0..3 {
            push(&mut queue, &"x".repeat(FORGET_MAX), Worth::Keep);
        }
        assert_eq!(queue.lines.len(), 1, "long lines are bounded too, and the newest is there");
        assert_eq!(queue.queued(), FORGET_MAX);
    }

    #[test]
    fn talk_is_left_out_and_counted_and_data_has_to_wait() {
        let mut queue = Queue::default();
        for _ in 0..100 {
            push(&mut queue, &"x".repeat(64 << 10), Worth::Spare);
        }
        assert!(queue.queued() <= TALK_MAX + (64 << 10));
        let kept = queue.lines.len();
        assert!(!queue.must_wait(Worth::Keep));
        push(&mut queue, &"x".repeat(DATA_MAX), Worth::Keep);
        assert!(queue.must_wait(Worth::Keep) && !queue.must_wait(Worth::Spare));
        let (lines, left_out) = queue.take();
        assert_eq!((lines.len(), left_out as usize), (kept + 1, 100 - kept));
        queue.written(lines.iter().map(|l| l.bytes.len()).sum());
        assert!(queue.is_empty() && queue.queued() == 0);
    }
}
