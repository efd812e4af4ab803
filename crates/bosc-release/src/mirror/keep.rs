//! A mirror that a seeder keeps up to date: a thread of its own, so that a slow target keeps no peer waiting.
//!
//! ```text
//! idle ─┬─ everything of a newer head is here ─────────────────────────┬──> writing ── done, or failed ──> idle
//!       └─ operators, whom nobody asked for EVERY: their statements alone ─┘             (a failure is tried again later)
//! ```

use super::event::{MirrorEvent, Mirrored};
use super::target::{self, Target};
use super::{statements, write};
use crate::command::{Sink, Stop};
use crate::error::CommandError;
use bosc_follow::{Alarm, DriveCores, FollowedDrive};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// How often operators are asked what they say.
const EVERY: Duration = Duration::from_secs(30);

/// Fork and length of both cores.
type Heads = [(u64, u64); 2];

/// A mirror that is kept up to date.
#[derive(Debug)]
pub(crate) struct Keeping {
    target: Arc<dyn Target>,
    grace_ms: u64,
    written: Option<Heads>,
    running: Option<Run>,
    failed: Option<Instant>,
    /// When operators were asked last.
    heard: Option<Instant>,
    /// What was written last: its length and size, for what is told of statements alone.
    done: Option<Mirrored>,
    stop: Stop,
}

#[derive(Debug)]
struct Run {
    heads: Heads,
    outcome: Receiver<Result<Mirrored, CommandError>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.running.as_mut().and_then(|run| run.thread.take()) {
            let _ = thread.join();
        }
    }
}

fn heads(cores: &DriveCores) -> Result<Heads, CommandError> {
    let of = |core: &bosc_store::Core| (core.head().fork, core.length());
    Ok([of(&cores.db), cores.blobs()?.map_or((0, 0), |blobs| of(&blobs))])
}

/// What is told of a mirror of which nothing but its statements was looked at.
fn unchanged(before: Mirrored) -> Mirrored {
    Mirrored { changed: false, objects: 0, bytes: 0, removed: 0, statements_changed: false, ..before }
}

impl Keeping {
    /// At this target. Nothing is written yet.
    pub(crate) fn new(target: &str, grace_ms: u64) -> Result<Self, CommandError> {
        let target = Arc::from(target::open(target)?);
        Ok(Self {
            target,
            grace_ms,
            written: None,
            running: None,
            failed: None,
            heard: None,
            done: None,
            stop: Stop::new(),
        })
    }

    /// Begins what is to be done, and tells what was. `signal` is raised when that changes.
    pub(crate) fn look(
        &mut self,
        followed: &FollowedDrive,
        sink: &mut dyn Sink,
        alarm: &mut Alarm,
    ) -> Result<(), CommandError> {
        self.tell(sink, alarm);
        let cores = followed.cores();
        let here = heads(cores)?;
        let complete = cores.db.length() > 0
            && cores.is_whole()?
            && cores.blobs_needed().is_some_and(|needed| here[1].1 >= needed);
        let due = self.failed.is_none_or(|at| alarm.has_passed(at, AGAIN));
        if !complete || !due || self.running.is_some() {
            return Ok(());
        }
        // Of the same head, only what is said about it may have changed.
        let same = self.done.clone().filter(|_| self.written == Some(here));
        let operators = statements::has_operators(cores);
        if same.is_some() && !(operators && self.heard.is_none_or(|at| alarm.has_passed(at, EVERY))) {
            return Ok(());
        }
        self.heard = Some(alarm.now());
        let (send, outcome) = channel();
        let (cores, target, stop) = (cores.clone(), Arc::clone(&self.target), self.stop.clone());
        let (grace, node, mirrors) = (self.grace_ms, Arc::clone(followed.node()), followed.mirrors().clone());
        let run = move || {
            let written = match same {
                Some(before) => Ok(unchanged(before)),
                None => write::everything(&cores)
                    .and_then(|c| write::write(&cores, &*target, &c, (false, grace), &mut |_| {}, &stop)),
            };
            let done = written.and_then(|mut done| {
                if operators {
                    statements::write(&cores, &*target, &node, Some(&mirrors), &stop, &mut done)?;
                }
                Ok(done)
            });
            let _ = send.send(done);
            node.signal().raise();
        };
        let thread = std::thread::Builder::new().name("bosc-mirror-write".into()).spawn(run);
        let thread =
            thread.map_err(|e| CommandError::failed("no thread for the mirror could be had").because(e))?;
        self.running = Some(Run { heads: here, outcome, thread: Some(thread) });
        Ok(())
    }

    fn tell(&mut self, sink: &mut dyn Sink, alarm: &Alarm) {
        let Some(run) = &mut self.running else { return };
        let Ok(outcome) = run.outcome.try_recv() else { return };
        if let Some(thread) = run.thread.take() {
            let _ = thread.join();
        }
        match outcome {
            Ok(done) => {
                let news = self.written != Some(run.heads) || done.statements_changed;
                self.written = Some(run.heads);
                self.failed = None;
                self.done = Some(done.clone());
                if news {
                    sink.tell(MirrorEvent::MirrorDone(done));
                }
            }
            Err(e) => {
                self.failed = Some(alarm.now());
                let told = e.told();
                sink.tell(MirrorEvent::MirrorFailed {
                    target: self.target.name(),
                    code: told.code,
                    message: told.message,
                    causes: told.causes,
                    hint: told.hint,
                });
            }
        }
        self.running = None;
    }
}
