//! The mirrors of one drive, and what is wanted of them.

use super::carrier::Carrier;
use super::fault::{FaultKind, MirrorFault};
use super::shared::{Mirror, MirrorStatements, MirrorStatus, Said, Shared};
use super::wish::What;
use super::work;
use crate::cores::DriveCores;
use crate::error::FollowError;
use bosc_mirror::Part;
use bosc_node::{LiveCore, Node};
use std::io;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// Most mirrors of a drive.
const MAX_MIRRORS: usize = 16;

/// Something is wanted until this is dropped.
#[derive(Debug)]
#[must_use = "it is wanted until it is dropped"]
pub struct Wished {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Wished {
    fn drop(&mut self) {
        self.shared.lock().wishes.remove(self.id);
    }
}

#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let carriers: Vec<Arc<dyn Carrier>> = {
            let mut state = self.shared.lock();
            state.stopped = true;
            state.mirrors.iter().map(|m| Arc::clone(&m.carrier)).collect()
        };
        self.shared.changed.notify_all();
        carriers.iter().for_each(|c| c.cancel());
        let threads = self.threads.get_mut().map(std::mem::take).unwrap_or_default();
        for thread in threads {
            let _ = thread.join();
        }
    }
}

/// The mirrors of one drive. Clones share them; the last one ends their threads.
#[derive(Debug, Clone)]
pub struct Mirrors(Arc<Running>);

impl Mirrors {
    /// Starts with no mirror.
    pub(crate) fn new(node: &Arc<Node>, cores: &DriveCores, db: LiveCore) -> Self {
        let shared = Shared::new(node, cores, db);
        Self(Arc::new(Running { shared: Arc::new(shared), threads: Mutex::default() }))
    }

    /// Takes one more, such as one that a policy names. One that is there already, by its name, is not taken twice; more than 16
    /// are not taken.
    ///
    /// # Errors
    /// What the operating system says when threads cannot be had.
    pub fn add(&self, carrier: Arc<dyn Carrier>) -> io::Result<()> {
        let name = carrier.name();
        let at = {
            let mut state = self.0.shared.lock();
            if state.mirrors.len() >= MAX_MIRRORS || state.mirrors.iter().any(|m| m.status.name == name) {
                return Ok(());
            }
            state.mirrors.push(Mirror {
                carrier,
                status: MirrorStatus { name, ..MirrorStatus::default() },
                answered: 0,
                asking: false,
                looked: None,
                mark: None,
                known: [None, None],
                brought: [0, 0],
                came: 0,
                newest: None,
                fails: 0,
                paused: None,
                said: Said::default(),
                ranges: Arc::new(AtomicBool::new(true)),
            });
            state.round = state.round.max(1);
            state.mirrors.len() - 1
        };
        let mut threads = self.0.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for i in 0..work::WORKERS {
            let shared = Arc::clone(&self.0.shared);
            let run = move || work::run(&shared, at);
            threads.push(std::thread::Builder::new().name(format!("bosc-mirror-{at}-{i}")).spawn(run)?);
        }
        Ok(())
    }

    pub(crate) fn blobs_are(&self, live: &LiveCore) {
        let _ = self.0.shared.blobs.set(live.clone());
    }

    /// Whether there is one.
    pub fn is_empty(&self) -> bool {
        self.0.shared.lock().mirrors.is_empty()
    }

    /// While nobody is to use the network: nothing more is asked for. What runs ends by itself.
    pub fn rest(&self, rests: bool) {
        self.0.shared.lock().resting = rests;
        self.0.shared.changed.notify_all();
    }

    /// What each is found to be.
    pub fn statuses(&self) -> Vec<MirrorStatus> {
        self.0.shared.lock().mirrors.iter().map(|m| m.status.clone()).collect()
    }

    /// Has every mirror show its head anew, unless that was done just now. The round it is in.
    pub(crate) fn ask(&self) -> u64 {
        let mut state = self.0.shared.lock();
        let fresh = |m: &Mirror| m.looked.is_none_or(|at| at.elapsed() < work::FRESH);
        if !state.mirrors.iter().all(fresh) {
            state.round += 1;
        }
        let round = state.round;
        drop(state);
        self.0.shared.changed.notify_all();
        round
    }

    /// Whether every mirror has answered or failed in this round.
    pub(crate) fn is_settled(&self, round: u64) -> bool {
        self.0.shared.lock().mirrors.iter().all(|m| m.answered >= round)
    }

    /// Whether one has answered well in this round.
    pub(crate) fn has_word(&self, round: u64) -> bool {
        self.0.shared.lock().mirrors.iter().any(|m| m.answered >= round && m.status.fault.is_none())
    }

    /// Has every mirror show what operators say ([`bosc_mirror::STATEMENTS`]). The round it is in. Nobody is asked before somebody
    /// calls this: most drives have no operators.
    pub fn ask_statements(&self) -> u64 {
        let mut state = self.0.shared.lock();
        state.said_round += 1;
        let round = state.said_round;
        drop(state);
        self.0.shared.changed.notify_all();
        round
    }

    /// What every mirror has of operators, once all have answered in this round or are paused for a fault. Whoever waits for it is
    /// woken by the signal of the db's core.
    pub fn statements(&self, round: u64) -> Option<Vec<MirrorStatements>> {
        let state = self.0.shared.lock();
        let now = Instant::now();
        let settled = |m: &Mirror| m.said.answered >= round || m.paused.is_some_and(|until| until > now);
        if !state.resting && !state.mirrors.iter().all(settled) {
            return None;
        }
        let of = |m: &Mirror| MirrorStatements {
            name: m.status.name.clone(),
            bytes: m.said.bytes.clone(),
            fault: m.said.fault.clone().or_else(|| m.status.fault.clone()),
        };
        Some(state.mirrors.iter().map(of).collect())
    }

    /// What came from mirrors and was of use, as a number that changes: a stall starts anew then. Tiles count, too.
    pub(crate) fn came(&self) -> u64 {
        self.0.shared.lock().mirrors.iter().fold(0, |n, m| n.wrapping_add(m.came))
    }

    /// Bytes of blocks that came from mirrors so far.
    pub fn bytes(&self) -> u64 {
        self.0.shared.lock().mirrors.iter().fold(0, |n, m| n.saturating_add(m.status.bytes))
    }

    /// The same of one core.
    pub(crate) fn bytes_of(&self, part: Part) -> u64 {
        let i = usize::from(part == Part::Blobs);
        let state = self.0.shared.lock();
        state.mirrors.iter().fold(0, |n, m| n.saturating_add(m.brought.get(i).copied().unwrap_or(0)))
    }

    /// Bytes of everything that came from mirrors so far.
    pub fn received(&self) -> u64 {
        self.0.shared.lock().mirrors.iter().fold(0, |n, m| n.saturating_add(m.status.received))
    }

    /// Fails when what came could not be stored.
    pub(crate) fn check(&self) -> Result<(), FollowError> {
        match &self.0.shared.lock().failed {
            Some(failure) => Err(FollowError::NotStored(failure.clone())),
            None => Ok(()),
        }
    }

    /// What was wrong, with whom.
    pub(crate) fn faults(&self) -> Vec<(String, MirrorFault)> {
        let state = self.0.shared.lock();
        let mut found: Vec<_> = state
            .mirrors
            .iter()
            .filter_map(|m| Some((m.status.name.clone(), shortcoming(&m.status)?)))
            .collect();
        found.sort_by_key(|(_, fault)| fault.kind == FaultKind::Partial);
        found
    }

    /// Wants blocks until what is returned is dropped.
    pub(crate) fn wish(&self, part: Part, what: What, ranges: Vec<Range<u64>>) -> Wished {
        let id = self.put(part, what, ranges, true);
        Wished { shared: Arc::clone(&self.0.shared), id }
    }

    /// Wants blocks for a while.
    pub(crate) fn want(&self, part: Part, ranges: Vec<Range<u64>>) {
        self.put(part, What::Blocks, ranges, false);
    }

    fn put(&self, part: Part, what: What, ranges: Vec<Range<u64>>, owned: bool) -> u64 {
        let shared = &self.0.shared;
        let now = Instant::now();
        let not_before = if shared.has_peers(part) { now + work::HEAD_START } else { now };
        let id = shared.lock().wishes.add(part, what, ranges, not_before, owned);
        shared.changed.notify_all();
        id
    }
}

/// Why a mirror did not deliver, as far as is known.
fn shortcoming(status: &MirrorStatus) -> Option<MirrorFault> {
    if let Some(fault) = &status.fault {
        return Some(fault.clone());
    }
    if !status.settled {
        return Some(MirrorFault::new(FaultKind::Slow, bosc_mirror::HEAD, "it has not answered yet"));
    }
    let has = status.sparse.as_ref()?;
    Some(MirrorFault::new(FaultKind::Partial, bosc_mirror::HEAD, format!("it has {has} and nothing else")))
}
