//! What all parts of the demo show with: a step at a time, and what it waits for.

use super::event::{DemoEvent, StepData};
use crate::command::{Sink, Stop};
use crate::dump::Dump;
use crate::engine::Engine;
use crate::error::{CommandError, ErrorKind};
use crate::event::{Event, LinkEvent};
use crate::seed::Seed;
use crate::seed::event::{SeedEvent, SeedStats};
use crate::stage::{Stage, StageEvent};
use bosc_follow::Wait;
use bosc_node::Signal;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long any step may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Bytes put into the middle of the largest file for the second version.
pub(crate) const INSERTED: usize = 100;

pub(crate) struct Demo<'a> {
    pub(crate) temp: &'a Path,
    pub(crate) sink: &'a mut dyn Sink,
    pub(crate) stop: &'a Stop,
    pub(crate) started: Instant,
}

impl Demo<'_> {
    pub(crate) fn step(&mut self, text: String, data: StepData) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.sink.tell(DemoEvent::Step { text, seconds, data });
    }

    pub(crate) fn stage(
        &mut self,
        engine: &Engine,
        link: &str,
        dir: &Path,
        what: &str,
    ) -> Result<DemoStaged, CommandError> {
        let begun = Instant::now();
        let (mut told, mut cost) = (None, None);
        let mut sink = |event: Event| match event {
            Event::Stage(StageEvent::Summary(summary)) => told = Some(summary),
            // The first is from the newest version.
            Event::Link(LinkEvent::UpdateCost(from)) => {
                cost.get_or_insert(from);
            }
            _ => {}
        };
        // Packing takes as long as all the rest, and nobody installs anything here.
        let request =
            Stage { link: link.to_owned(), dir: dir.to_owned(), no_packed: true, ..Stage::default() };
        let (staged, _) = engine.stage(&request, &mut sink, self.stop)?;
        let summary = told.ok_or_else(|| wrong("a stage did not say what it did".into()))?;
        let (seconds, verlink, length) = (begun.elapsed().as_secs_f64(), staged.verlink, summary.length);
        let update = cost.map_or(String::new(), |cost| {
            format!("; an installed {} updates by {}", cost.from, size(cost.bytes))
        });
        self.step(
            format!(
                "{what}: {} files, {} added, {} changed, {} new bytes, {} reused, in {seconds:.2} s{update}: {verlink}",
                summary.files,
                summary.add,
                summary.change,
                size(summary.new_bytes),
                size(summary.shared_bytes),
            ),
            StepData::Staged { summary, seconds, verlink: verlink.clone() },
        );
        Ok(DemoStaged { length, verlink })
    }

    pub(crate) fn dump(&mut self, engine: &Engine, link: &str, dir: &Path) -> Result<(), CommandError> {
        let request = Dump {
            link: link.to_owned(),
            dir: Some(dir.to_owned()),
            prune: true,
            timeout_ms: 30_000,
            ..Dump::default()
        };
        engine.dump(&request, &mut quiet, self.stop).map(drop)
    }

    /// Waits until the follower has all of the drive at `length`.
    pub(crate) fn follow(&self, follower: &Following, length: u64) -> Result<SeedStats, CommandError> {
        let mut wait = Wait::new(self.stop).timeout(PATIENCE);
        let whole = wait.run(&follower.signal, |_| follower.whole_at(length))?;
        whole.ok_or_else(|| {
            CommandError::new(
                ErrorKind::Network,
                "ERR_NETWORK_TIMEOUT",
                "the second store did not get the drive",
            )
            .hint("run the demo again with --verbose")
        })
    }
}

pub(crate) struct DemoStaged {
    pub(crate) length: u64,
    pub(crate) verlink: String,
}

pub(crate) struct StopOnDrop(pub(crate) Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Someone who seeds in a thread of its own: what it said last, and what wakes those who wait for that.
#[derive(Clone, Default)]
pub(crate) struct Following {
    signal: Signal,
    last: Arc<Mutex<Last>>,
}

#[derive(Default)]
struct Last {
    stats: Option<SeedStats>,
    failed: Option<CommandError>,
}

impl Following {
    fn say(&self, change: impl FnOnce(&mut Last)) {
        change(&mut self.last.lock().unwrap_or_else(PoisonError::into_inner));
        self.signal.raise();
    }

    fn whole_at(&self, length: u64) -> Result<Option<SeedStats>, CommandError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(e) = last.failed.take() {
            return Err(e);
        }
        let whole = |s: &&SeedStats| s.drive_length >= length && s.drive_synced && s.blobs_synced;
        Ok(last.stats.as_ref().filter(whole).cloned())
    }
}

/// Seeds in a thread of its own.
pub(crate) fn seed<'s, 'e: 's>(
    engine: &'e Engine,
    link: &str,
    scope: &'s std::thread::Scope<'s, 'e>,
    stop: &Stop,
) -> Following {
    let following = Following::default();
    let (said, stop, link) = (following.clone(), stop.clone(), link.to_owned());
    scope.spawn(move || {
        let request = Seed { link, stats_interval_ms: 200, ..Seed::default() };
        let mut sink = |event: Event| {
            if let Event::Seed(SeedEvent::Stats(stats)) = event {
                said.say(|last| last.stats = Some(*stats));
            }
        };
        if let Err(e) = engine.seed(&request, &mut sink, &stop) {
            said.say(|last| last.failed = Some(e));
        }
    });
    following
}

/// For what is told elsewhere.
pub(crate) fn quiet(_: Event) {}

pub(crate) fn received(stats: &SeedStats) -> u64 {
    stats.download.total_bytes
}

pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

pub(crate) fn wrong(message: String) -> CommandError {
    CommandError::new(ErrorKind::Integrity, "ERR_DEMO", message)
        .hint("this is a defect of Bosc: please report it")
}

pub(crate) fn io(path: &Path) -> impl Fn(std::io::Error) -> CommandError + '_ {
    move |e| CommandError::failed(format!("cannot use {}", path.display())).because(e)
}
