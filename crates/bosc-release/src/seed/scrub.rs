//! The scrub of `seed`: reads what is here block by block in the background and compares it with its tree, so that rot
//! is found before the last good copy elsewhere is gone. What is damaged counts as not here from then on; the download
//! that a seed always has fetches it again.
//!
//! It takes one hundredth of the time: after a step of 4 MiB it rests 99 times as long as the step took, but no longer
//! than 2 MiB a second ask for (at which speed hashing takes less than 2 % of a slow processor, while a busy disk would
//! stretch the rest for ever). All seeds of a process share that time. A pass begins with the seed, at a random block (so that one
//! that is started anew again and again sees all of it in the end), and again a day after the last one ended. Between
//! two passes it does nothing.

use super::event::{Rot, ScrubStats, SeedEvent};
use crate::engine::Engine;
use bosc_store::{Core, Error};
use std::time::{Duration, Instant};

/// Bytes looked at in one step, about.
const STEP_BYTES: u64 = 4 << 20;

/// After which an ended pass is followed by another one.
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// After which a pass that the store refused is tried again.
const AFTER_ERROR: Duration = Duration::from_secs(60);

/// One core of a seed.
struct ScrubbedCore {
    core: Core,
    content: bool,
    /// Damaged when the seed began.
    before: u64,
    /// Counters then.
    found: u64,
    mended: u64,
    /// Counters when they were last told.
    told: (u64, u64),
    /// Where the pass began; it goes from there to the end and then from the first block to there.
    start: u64,
    pub(crate) next: u64,
    wrapped: bool,
    done: bool,
    checked: u64,
    unreadable: u64,
}

/// The scrub of one seed.
pub(super) struct Scrub<'a> {
    engine: &'a Engine,
    parts: Vec<ScrubbedCore>,
    /// Not before then, whatever the pace.
    due: Instant,
    passes: u64,
}

/// Damage of a seed's cores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ScrubFound {
    /// Blocks found damaged, those included that were before the seed began.
    pub(crate) damaged: u64,
    /// Of them, those that are here again.
    pub(super) repaired: u64,
}

impl<'a> Scrub<'a> {
    pub(crate) fn new(engine: &'a Engine) -> Self {
        Self { engine, parts: Vec::new(), due: Instant::now(), passes: 0 }
    }

    /// Takes a core of the seed in.
    pub(crate) fn add(&mut self, core: &Core, content: bool) {
        let damage = core.damage();
        let mut part = ScrubbedCore {
            core: core.clone(),
            content,
            before: core.count_damaged().unwrap_or(0),
            found: damage.found,
            mended: damage.mended,
            told: (0, 0),
            start: 0,
            next: 0,
            wrapped: false,
            done: false,
            checked: 0,
            unreadable: 0,
        };
        part.begin();
        // Nothing was here yet when a pass over nothing ended.
        self.due = Instant::now();
        self.parts.push(part);
    }

    /// When [`Scrub::step`] has something to do.
    pub(super) fn due(&self) -> Instant {
        self.due.max(self.engine.scrub_pace.next())
    }

    /// Does a step, if one is due.
    pub(crate) fn step(&mut self) {
        if self.due() > Instant::now() {
            return;
        }
        let Some(part) = self.parts.iter_mut().find(|p| !p.done) else {
            self.parts.iter_mut().for_each(ScrubbedCore::begin);
            return;
        };
        let began = Instant::now();
        let result = part.step();
        self.engine.scrub_pace.took(began.elapsed(), *result.as_ref().unwrap_or(&0));
        if result.is_err() {
            // A disk that fails or is full is told by whoever needs it.
            self.due = Instant::now() + AFTER_ERROR;
        } else if self.parts.iter().all(|p| p.done) {
            self.passes += 1;
            self.due = Instant::now() + EVERY;
        }
    }

    /// What was found and mended up to the last call of [`Scrub::news`], so that events and statistics agree.
    pub(crate) fn found(&self) -> ScrubFound {
        self.parts.iter().fold(ScrubFound::default(), |sum, p| {
            let (damaged, repaired) = p.told;
            ScrubFound { damaged: sum.damaged + damaged, repaired: sum.repaired + repaired }
        })
    }

    /// What was found and mended since it was asked for last.
    pub(super) fn news(&mut self) -> Vec<SeedEvent> {
        let mut out = Vec::new();
        for p in &mut self.parts {
            let (damaged, repaired) = p.counts();
            let (told_damaged, told_repaired) = std::mem::replace(&mut p.told, (damaged, repaired));
            let rot = |blocks: u64| Rot {
                core: bosc_format::id::encode(p.core.key()),
                content: p.content,
                blocks,
                missing: damaged.saturating_sub(repaired),
            };
            if damaged > told_damaged {
                out.push(SeedEvent::Damaged(rot(damaged - told_damaged)));
            }
            if repaired > told_repaired {
                out.push(SeedEvent::Repaired(rot(repaired - told_repaired)));
            }
        }
        out
    }

    /// The `scrub` of a `stats` event.
    pub(crate) fn stats(&self) -> ScrubStats {
        let found = self.found();
        let sum = |f: fn(&ScrubbedCore) -> u64| self.parts.iter().map(f).sum::<u64>();
        let total = sum(|p| p.core.info().block_bytes);
        ScrubStats {
            checked_bytes: sum(|p| p.checked).min(total),
            total_bytes: total,
            damaged: found.damaged,
            repaired: found.repaired,
            unreadable: sum(|p| p.unreadable),
            passes: self.passes,
        }
    }
}

impl ScrubbedCore {
    /// Begins a pass.
    fn begin(&mut self) {
        let mut random = [0; 8];
        let length = self.core.length();
        // Without randomness it begins at the first block.
        let _ = getrandom::fill(&mut random);
        self.start = u64::from_le_bytes(random).checked_rem(length).unwrap_or(0);
        (self.next, self.wrapped, self.done) = (self.start, self.start == 0, false);
        (self.checked, self.unreadable) = (0, 0);
    }

    /// Looks at some blocks. How many bytes they had.
    fn step(&mut self) -> Result<u64, Error> {
        let found = self.core.check_blocks(self.next, STEP_BYTES)?;
        self.checked = self.checked.saturating_add(found.bytes);
        self.unreadable = self.unreadable.saturating_add(found.unreadable.len() as u64);
        match found.next {
            // The last step of a pass may look at some blocks twice.
            Some(next) if self.wrapped && self.start > 0 && next >= self.start => self.done = true,
            Some(next) => self.next = next,
            None if self.wrapped => self.done = true,
            None => (self.next, self.wrapped) = (0, true),
        }
        Ok(found.bytes)
    }

    /// Damaged and mended blocks.
    fn counts(&self) -> (u64, u64) {
        let now = self.core.damage();
        (self.before + now.found.saturating_sub(self.found), now.mended.saturating_sub(self.mended))
    }
}
