//! The one owner of the terminal.
//!
//! Whatever goes to a terminal, lines on stdout and stderr and the status below them, one row or a table, is a message to one thread.
//! Only that thread writes, so nobody holds a lock while something is drawn, and a terminal that is slow or stopped
//! (Ctrl+S) holds up that thread alone. Streams that are not terminals do not pass through here, unless the command must
//! never wait for whoever reads ([`Full::Forget`]): `bosc watch` hears its words although nobody reads what it says.
//!
//! ```text
//!   line ──▶ queue ──▶ ┌───────┐  hide status, write lines, draw status
//! status ──▶ slot  ──▶ │ owner │ ────────────────────────────────────▶ terminal
//!                      └───────┘  wakes for messages, and every TICK while a status is drawn
//! ```
//!
//! Invariants:
//! 1. Lines appear in the order they were sent, whichever stream they are for.
//! 2. A status is worth only its newest value: the slot is overwritten, never queued.
//! 3. The queue is bounded ([`queue`]). Talk is left out and counted. Data, warnings, errors and, once
//!    [`Screen::keep_everything`] was called, all other lines are never left out: their sender waits for room, until there
//!    is some or the command is stopped. With [`Full::Forget`] nobody waits, and what is worth least is forgotten.
//! 4. While a question is open ([`Screen::question`]) nothing is written.
//! 5. Nobody waits for a terminal after the command was stopped: see [`Screen::close`] and [`stuck`].
//!
//! # Files
//!
//! - Here: the thread, questions, who waits for a slow or stopped terminal and how long. `queue`: lines that wait: how many bytes,
//!   what is left out or forgotten first. `status`: rows that are drawn in place: how many, cut to which width, a window that
//!   changes.

mod queue;
mod status;

use bosc_release::command::Stop;
use queue::Queue;
pub(crate) use queue::{Full, Stream, Worth};
use status::StatusLine;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Between two drawings of a status whose text does not change (the spinner turns, the width may have changed).
const TICK: Duration = Duration::from_millis(250);
/// How long a stopped command waits for a terminal that takes nothing.
const PATIENCE: Duration = Duration::from_millis(300);
/// How often a waiting sender looks whether the command was stopped.
const LOOK: Duration = Duration::from_millis(50);

/// The terminal of this process.
#[derive(Debug)]
pub(crate) struct Screen {
    state: Mutex<State>,
    /// Wakes the owner.
    work: Condvar,
    /// Wakes who waits for the owner.
    done: Condvar,
    stop: Stop,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    /// The rows below everything else.
    status: Option<Vec<String>>,
    /// Something is to be drawn that was not yet.
    fresh: bool,
    questions: usize,
    writing_since: Option<Instant>,
}

impl State {
    /// Whether something is not on the terminal yet.
    fn is_busy(&self) -> bool {
        !self.queue.is_empty() || self.queue.queued() > 0 || self.fresh || self.writing_since.is_some()
    }
}

static SCREEN: OnceLock<Option<&'static Screen>> = OnceLock::new();

impl Screen {
    /// The terminal, when stdout or stderr is one; with [`Full::Forget`], whatever they are. The first call starts its
    /// owner; `stop` is the command's.
    pub(crate) fn start(stop: &Stop, full: Full) -> Option<&'static Self> {
        let start = || {
            let terminal = std::io::stdout().is_terminal() || std::io::stderr().is_terminal();
            if !terminal && full == Full::Wait {
                return None;
            }
            let screen: &'static Self = Box::leak(Box::new(Self::new(stop.clone(), full)));
            let owner = std::thread::Builder::new().name("terminal".into()).spawn(move || screen.own());
            // Without an owner the streams are written to as if they were not terminals.
            owner.is_ok().then_some(screen)
        };
        *SCREEN.get_or_init(start)
    }

    fn new(stop: Stop, full: Full) -> Self {
        let state = State { queue: Queue::new(full), ..State::default() };
        Self { state: Mutex::new(state), work: Condvar::new(), done: Condvar::new(), stop }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends bytes that end a line. What may be left out never waits; what is kept waits when the terminal is far behind.
    pub(crate) fn line(&self, to: Stream, bytes: Vec<u8>, worth: Worth) {
        let mut s = self.lock();
        let since = Instant::now();
        while s.queue.must_wait(worth) {
            if self.stop.is_stopped() && since.elapsed() > PATIENCE {
                return;
            }
            s = self.done.wait_timeout(s, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        s.queue.push(to, bytes, worth);
        drop(s);
        self.work.notify_one();
    }

    /// From now on nothing is left out: a person decides by what is shown.
    pub(crate) fn keep_everything(&self) {
        self.lock().queue.keep_everything = true;
    }

    /// Sets the rows that are drawn below everything else; `None` takes them off.
    pub(crate) fn status(&self, rows: Option<Vec<String>>) {
        let mut s = self.lock();
        s.fresh |= s.status != rows;
        s.status = rows;
        drop(s);
        self.work.notify_one();
    }

    /// Waits until all lines are on the terminal, takes the status off, and keeps it quiet until the guard is dropped.
    pub(crate) fn question(&self) -> Question<'_> {
        let mut s = self.lock();
        s.questions += 1;
        s.fresh = true;
        drop(s);
        self.work.notify_one();
        self.drain();
        Question(self)
    }

    /// Waits until everything is on the terminal. A stopped command waits [`PATIENCE`] only.
    pub(crate) fn close(&self) {
        self.status(None);
        self.drain();
    }

    /// Waits until everything is written, for so long at most. Whether it was.
    pub(crate) fn drain_within(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut s = self.lock();
        while s.is_busy() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            s = self.done.wait_timeout(s, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn drain(&self) {
        let mut moved = (usize::MAX, Instant::now());
        let mut s = self.lock();
        while s.is_busy() {
            if s.queue.queued() != moved.0 {
                moved = (s.queue.queued(), Instant::now());
            }
            if self.stop.is_stopped() && moved.1.elapsed() > PATIENCE {
                return;
            }
            s = self.done.wait_timeout(s, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether the owner has been waiting for the terminal for so long.
    fn stuck(&self, limit: Duration) -> bool {
        self.lock().writing_since.is_some_and(|t| t.elapsed() > limit)
    }

    /// The owner's life: it ends with the process.
    fn own(&self) {
        let mut drawn = StatusLine::default();
        loop {
            let mut s = self.lock();
            while s.queue.is_empty() && !s.fresh {
                if drawn.is_there() {
                    let (again, waited) =
                        self.work.wait_timeout(s, TICK).unwrap_or_else(PoisonError::into_inner);
                    s = again;
                    if waited.timed_out() {
                        break;
                    }
                } else {
                    s = self.work.wait(s).unwrap_or_else(PoisonError::into_inner);
                }
            }
            let (lines, left_out) = s.queue.take();
            let bytes: usize = lines.iter().map(|l| l.bytes.len()).sum();
            let status = s.status.clone().filter(|_| s.questions == 0);
            s.fresh = false;
            s.writing_since = Some(Instant::now());
            drop(s);

            if !lines.is_empty() || left_out > 0 || status.is_none() {
                drawn.take_off();
            }
            for line in &lines {
                write(line.to, &line.bytes);
            }
            if left_out > 0 {
                let note = format!("({left_out} lines were left out while the terminal was stopped)\n");
                write(Stream::Err, note.as_bytes());
            }
            if let Some(rows) = status {
                drawn.draw(&rows);
            }
            let mut s = self.lock();
            s.queue.written(bytes);
            s.writing_since = None;
            drop(s);
            self.done.notify_all();
        }
    }
}

/// Keeps the terminal quiet while a person types.
#[derive(Debug)]
pub(crate) struct Question<'a>(&'a Screen);

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let mut s = self.0.lock();
        s.questions = s.questions.saturating_sub(1);
        s.fresh = true;
        drop(s);
        self.0.work.notify_one();
    }
}

/// Writes to a stream that is not a terminal. The reader decides how fast: data must not be lost, nor fill the memory.
pub(crate) fn direct(to: Stream, bytes: &[u8]) {
    let start = *START.get_or_init(Instant::now);
    let now = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    DIRECT.store(now, Ordering::SeqCst);
    write(to, bytes);
    DIRECT.store(0, Ordering::SeqCst);
}

fn write(to: Stream, bytes: &[u8]) {
    let written = match to {
        Stream::Out => {
            let mut out = std::io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        }
        Stream::Err => std::io::stderr().lock().write_all(bytes),
    };
    if let Err(e) = written
        && to == Stream::Out
    {
        lose(e);
    }
}

/// Remembers that data could not be written to stdout. A closed pipe (`bosc dump x - | head`) is the reader's choice, not
/// a failure.
pub(crate) fn lose(e: std::io::Error) {
    if e.kind() != std::io::ErrorKind::BrokenPipe {
        let _ = LOST.set(e);
    }
}

/// Why data could not be written to stdout, the first time it could not.
static LOST: OnceLock<std::io::Error> = OnceLock::new();

/// Why not all data reached stdout: a full disk, for example.
pub(crate) fn lost_output() -> Option<std::io::Error> {
    let e = LOST.get()?;
    Some(
        e.raw_os_error()
            .map_or_else(|| std::io::Error::new(e.kind(), e.to_string()), std::io::Error::from_raw_os_error),
    )
}

static START: OnceLock<Instant> = OnceLock::new();
/// When the direct write under way began, in milliseconds since `START`; 0: there is none.
static DIRECT: AtomicU64 = AtomicU64::new(0);

/// Whether something has been waiting for a stream for longer than `limit`: a stopped terminal, a pipe nobody reads. A
/// stopped command does not wait for those.
pub(crate) fn stuck(limit: Duration) -> bool {
    let since = DIRECT.load(Ordering::SeqCst);
    let direct = since > 0
        && START.get().is_some_and(|s| s.elapsed() > Duration::from_millis(since).saturating_add(limit));
    direct || SCREEN.get().copied().flatten().is_some_and(|s| s.stuck(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal whose owner never comes: stopped for good.
    fn stopped_terminal() -> (Screen, Stop) {
        let stop = Stop::new();
        (Screen::new(stop.clone(), Full::Wait), stop)
    }

    #[test]
    fn data_for_a_stopped_terminal_waits_until_the_command_is_stopped() {
        let (screen, stop) = stopped_terminal();
        screen.line(Stream::Out, vec![b'x'; queue::DATA_MAX + 1], Worth::Keep);
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| screen.line(Stream::Out, b"last\n".to_vec(), Worth::Keep));
            std::thread::sleep(2 * LOOK);
            assert!(!sender.is_finished());
            stop.stop();
            sender.join().unwrap();
        });
        assert_eq!(screen.lock().queue.take().0.len(), 1);
        // Nor does the end of the command wait.
        screen.close();
    }

    #[test]
    fn what_a_person_decides_by_is_never_left_out() {
        let (screen, stop) = stopped_terminal();
        screen.keep_everything();
        for _ in 0..100 {
            screen.line(Stream::Err, vec![b'x'; 64 << 10], Worth::Spare);
        }
        let (kept, left_out) = screen.lock().queue.take();
        assert_eq!((kept.len(), left_out), (100, 0));
        // An error comes behind talk that was left out.
        let (screen, _) = stopped_terminal();
        for _ in 0..100 {
            screen.line(Stream::Err, vec![b'x'; 64 << 10], Worth::Spare);
        }
        screen.line(Stream::Err, b"error\n".to_vec(), Worth::Keep);
        assert_eq!(screen.lock().queue.take().0.back().unwrap().bytes, b"error\n");
        drop(stop);
    }

    #[test]
    fn a_status_is_worth_only_its_newest_value() {
        let (screen, _) = stopped_terminal();
        for n in 0..1000 {
            screen.status(Some(vec![n.to_string()]));
        }
        let s = screen.lock();
        assert_eq!((s.status.as_deref(), s.queue.queued()), (Some(&["999".to_owned()][..]), 0));
    }
}
