//! The threads of a mirror: what each does next.
//!
//! ```text
//! ┌> stopped? ─ yes ─> end
//! │  head due? ─ yes ─> ask for it, verify it, bring the cores up to it
//! │  statements asked for? ─ yes ─> ask for them; a fault in them is no fault of the drive's mirror
//! │  a wish that this mirror can serve? ─ yes ─> fetch one piece of it, put it into the core
//! └─ sleep until a wish, a pause's end, or the next look at the head
//! ```

use super::carrier::{Answer, Ask, Connection};
use super::fault::{FaultKind, MirrorFault};
use super::known::Known;
use super::shared::{Mirror, Shared, State};
use super::take::{self, Brought, Ended, Worth};
use super::wish::{Able, Job, What};
use bosc_mirror::{HEAD, MAX_HEAD, MAX_STATEMENTS, MirrorHead, Part, STATEMENTS};
use bosc_store::Core;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Threads of a mirror: one fetches while another hashes and stores.
pub(super) const WORKERS: usize = 3;
/// How long peers may take for a small wish before a mirror is asked as well.
pub(super) const HEAD_START: Duration = Duration::from_millis(300);
/// How long a mirror may take for a block before another one is asked as well.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long a head that was looked at is taken for the newest: the parts of one command ask one after the other.
pub(super) const FRESH: Duration = Duration::from_secs(10);
/// How often a head is looked at without anybody asking; each mirror a little later than the one before.
const LOOK: Duration = Duration::from_secs(300);
const APART: Duration = Duration::from_secs(7);
/// The longest pause after faults that pass by themselves, and after others.
const LONGEST: Duration = Duration::from_secs(60);
const LONGEST_BAD: Duration = Duration::from_secs(600);

enum Todo {
    Head(Option<String>),
    Statements(u64, Option<String>),
    Job(Job, Arc<Known>, Core, Arc<AtomicBool>),
    Sleep(Option<Instant>),
    End,
}

/// Counts what is asked for and what comes.
struct Counting<'a> {
    connection: Box<dyn Connection + 'a>,
    shared: &'a Shared,
    at: usize,
}

impl Connection for Counting<'_> {
    fn get(&mut self, ask: &Ask<'_>) -> Result<Answer, MirrorFault> {
        with(&mut self.shared.lock(), self.at, |m| m.status.requests += 1);
        let answer = self.connection.get(ask);
        if let Ok(Answer::Whole(bytes, _) | Answer::Part(bytes)) = &answer {
            let n = bytes.len() as u64;
            with(&mut self.shared.lock(), self.at, |m| {
                m.status.received = m.status.received.saturating_add(n);
                if m.fails == 0 {
                    m.came = m.came.wrapping_add(n);
                }
            });
        }
        answer
    }
}

fn with<T>(state: &mut State, at: usize, f: impl FnOnce(&mut Mirror) -> T) -> Option<T> {
    state.mirrors.get_mut(at).map(f)
}

pub(super) fn run(shared: &Shared, at: usize) {
    let Some(carrier) = with(&mut shared.lock(), at, |m| Arc::clone(&m.carrier)) else { return };
    let mut from = Counting { connection: carrier.connect(), shared, at };
    loop {
        let mut state = shared.lock();
        match next(shared, &mut state, at) {
            Todo::End => return,
            Todo::Sleep(until) => {
                let left =
                    until.map(|u| u.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)));
                match left {
                    Some(left) => {
                        drop(shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner))
                    }
                    None => drop(shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner)),
                }
            }
            Todo::Head(mark) => {
                drop(state);
                let outcome = look(shared, at, mark.as_deref(), &mut from);
                with(&mut shared.lock(), at, |m| m.asking = false);
                ended(shared, at, outcome.map(|()| None));
            }
            Todo::Statements(round, mark) => {
                drop(state);
                statements(shared, at, round, mark.as_deref(), &mut from);
            }
            Todo::Job(job, known, core, ranges) => {
                drop(state);
                let outcome = match job.what {
                    What::Blocks => take::blocks(&core, &known, &job, &ranges, &mut from),
                    What::Leaves => take::leaves(&core, &known, &job, &mut from),
                };
                let nothing = matches!(&outcome, Ok(b) if b.blocks == 0);
                if !nothing {
                    shared.lock().wishes.free(at, &job);
                }
                ended(shared, at, outcome.map(|brought| Some((job.part, brought))));
            }
        }
    }
}

/// What to do now.
fn next(shared: &Shared, state: &mut State, at: usize) -> Todo {
    if state.stopped {
        return Todo::End;
    }
    if state.resting {
        return Todo::Sleep(None);
    }
    let now = Instant::now();
    let (round, said_round) = (state.round, state.said_round);
    let Some(m) = state.mirrors.get_mut(at) else { return Todo::End };
    if let Some(until) = m.paused.filter(|until| *until > now) {
        return Todo::Sleep(Some(until));
    }
    let every = LOOK.saturating_add(APART.saturating_mul(u32::try_from(at).unwrap_or(0)));
    let due = m.answered < round || m.looked.is_none_or(|l| now.saturating_duration_since(l) >= every);
    if due && !m.asking {
        m.asking = true;
        m.paused = None;
        return Todo::Head(m.known.iter().any(Option::is_some).then(|| m.mark.clone()).flatten());
    }
    if m.said.answered < said_round && !m.said.asking {
        m.said.asking = true;
        return Todo::Statements(said_round, m.said.bytes.is_some().then(|| m.said.mark.clone()).flatten());
    }
    let next_look = m.looked.and_then(|l| l.checked_add(every)).filter(|_| !m.asking);
    let (known, ranges) = (m.known.clone(), Arc::clone(&m.ranges));
    let cores = Part::ALL.map(|part| {
        let core = shared.core(part).ok().flatten()?;
        Some((core, shared.has_peers(part)))
    });
    let [db, blobs] = [0, 1].map(|i: usize| {
        let known = known.get(i)?.as_deref()?;
        let (core, peers) = cores.get(i)?.as_ref()?;
        // What was compared with our history is of this fork.
        (core.head().fork == known.head.head.fork).then_some((known, core, *peers))
    });
    let able = Able { mirror: at, now, parts: [db, blobs], patience: PATIENCE };
    if let Some(job) = state.wishes.take(&able) {
        let i = usize::from(job.part == Part::Blobs);
        let known = known.get(i).cloned().flatten();
        let core = cores.into_iter().nth(i).flatten();
        if let (Some(known), Some((core, _))) = (known, core) {
            return Todo::Job(job, known, core, ranges);
        }
    }
    // Another mirror's promise may be due for us.
    let soon = state.wishes.waits_for_others(at).then(|| now + PATIENCE);
    Todo::Sleep([next_look, state.wishes.next_time(now), soon].into_iter().flatten().min())
}

/// What came of something.
fn ended(shared: &Shared, at: usize, outcome: Result<Option<(Part, Brought)>, Ended>) {
    let (mut store, mut faulty) = (None, false);
    {
        let mut state = shared.lock();
        let round = state.round;
        with(&mut state, at, |m| match outcome {
            Ok(None) => {}
            Ok(Some((part, brought))) => {
                if let Some(n) = m.brought.get_mut(usize::from(part == Part::Blobs)) {
                    *n = n.saturating_add(brought.bytes);
                }
                if brought.blocks > 0 {
                    m.came = m.came.wrapping_add(brought.blocks);
                    m.fails = 0;
                    m.status.fault = None;
                }
                m.status.blocks = m.status.blocks.saturating_add(brought.blocks);
                m.status.bytes = m.status.bytes.saturating_add(brought.bytes);
            }
            Err(Ended::Store(e)) => store = Some(e),
            Err(Ended::Fault(fault)) => {
                pause(m, fault, round);
                faulty = true;
            }
        });
        if faulty {
            state.wishes.forget(at);
        }
    }
    if let Some(e) = store {
        shared.fail(&e);
    }
    shared.changed.notify_all();
    shared.raise();
}

fn pause(m: &mut Mirror, fault: MirrorFault, round: u64) {
    let longest = if fault.kind.may_pass() { LONGEST } else { LONGEST_BAD };
    let pause = Duration::from_secs(1).saturating_mul(1_u32.checked_shl(m.fails.min(16)).unwrap_or(u32::MAX));
    let pause = if fault.kind.may_pass() { pause } else { pause.saturating_mul(30) };
    m.fails = m.fails.saturating_add(1);
    m.paused = Instant::now().checked_add(pause.min(longest));
    m.status.fault = Some(fault);
    // What it has is looked at anew after the pause, its head first: an object that is missing may be retired.
    m.known = [None, None];
    m.mark = None;
    m.looked = None;
    m.status.settled = true;
    m.answered = round;
}

/// Asks for the head, verifies it, and brings the cores up to it.
fn look(shared: &Shared, at: usize, mark: Option<&str>, from: &mut dyn Connection) -> Result<(), Ended> {
    let round = shared.lock().round;
    let ask = Ask { path: HEAD, range: None, max: MAX_HEAD as u64, head: Some(mark) };
    let answer = from.get(&ask);
    let (bytes, mark) = match answer {
        Ok(Answer::Unchanged) => {
            settle(shared, at, round, |_| {});
            return Ok(());
        }
        Ok(Answer::Whole(bytes, mark)) => (bytes, mark),
        Ok(Answer::Part(_)) => {
            return Err(MirrorFault::new(FaultKind::WrongLength, HEAD, "a part came instead of all").into());
        }
        Err(fault) => {
            let kind = if fault.kind == FaultKind::Missing { FaultKind::NotAMirror } else { fault.kind };
            return Err(MirrorFault { kind, ..fault }.into());
        }
    };
    let head = MirrorHead::decode(&bytes).map_err(|e| MirrorFault::of_head(&e, &bytes))?;
    let (sparse, made) = (head.sparse.clone(), head.made);
    let (db, blobs) = verified(shared, head)?;
    let db = Arc::new(db);
    let mut known = [Some(Arc::clone(&db)), None];
    let worth = take::head(&shared.cores.db, &db, from)?;
    if let Some(blobs) = blobs {
        let core = shared.core(Part::Blobs).map_err(|_| malformed("its contents cannot be kept"))?;
        let core = core.ok_or_else(|| malformed("it has contents, and its manifest names none"))?;
        if blobs.head.key != *core.key() {
            return Err(
                MirrorFault::new(FaultKind::OtherDrive, HEAD, "its contents are of another drive").into()
            );
        }
        let manifest = core.manifest();
        blobs.head.verify(core.key(), manifest.as_deref()).map_err(not_signed)?;
        // Entries of an older fork name places in contents that are gone.
        if worth == Worth::Ours {
            take::head(&core, &blobs, from)?;
        }
        known[1] = Some(Arc::new(blobs));
    }
    // Blocks that it could not prove below the head before.
    shared.lock().wishes.forget(at);
    settle(shared, at, round, |m| {
        m.known = known;
        m.mark = mark;
        let head = Some((db.head.head.fork, db.head.head.length));
        if m.newest < head {
            (m.newest, m.fails) = (head, 0);
        }
        m.status.fault = None;
        m.status.head = head;
        m.status.sparse = sparse;
        m.status.made = Some(made);
    });
    Ok(())
}

/// Asks for what operators say. Whatever comes is kept as it is: who reads it verifies it.
fn statements(shared: &Shared, at: usize, round: u64, mark: Option<&str>, from: &mut dyn Connection) {
    let answer = from.get(&Ask { path: STATEMENTS, range: None, max: MAX_STATEMENTS, head: Some(mark) });
    with(&mut shared.lock(), at, |m| {
        let said = &mut m.said;
        said.fault = None;
        match answer {
            Ok(Answer::Unchanged) => {}
            Ok(Answer::Whole(bytes, mark)) => (said.bytes, said.mark) = (Some(bytes), mark),
            Ok(Answer::Part(_)) => {
                let why = "a part came instead of all";
                said.fault = Some(MirrorFault::new(FaultKind::WrongLength, STATEMENTS, why));
            }
            Err(fault) if fault.kind == FaultKind::Missing => (said.bytes, said.mark) = (None, None),
            Err(fault) => said.fault = Some(fault),
        }
        said.asking = false;
        said.answered = said.answered.max(round);
    });
    shared.changed.notify_all();
    shared.raise();
}

fn malformed(why: &str) -> MirrorFault {
    MirrorFault::new(FaultKind::Malformed, HEAD, why)
}

fn not_signed(e: bosc_format::proof::ProofError) -> MirrorFault {
    MirrorFault::new(FaultKind::NotSigned, HEAD, e)
}

/// The heads of both cores; that of the entries is verified.
fn verified(shared: &Shared, head: MirrorHead) -> Result<(Known, Option<Known>), Ended> {
    let db = &shared.cores.db;
    if head.db.key != *db.key() {
        return Err(MirrorFault::new(FaultKind::OtherDrive, HEAD, "it is the mirror of another drive").into());
    }
    head.db.verify(db.key(), db.manifest().as_deref()).map_err(not_signed)?;
    Ok((Known::new(Part::Db, head.db), head.blobs.map(|blobs| Known::new(Part::Blobs, blobs))))
}

fn settle(shared: &Shared, at: usize, round: u64, f: impl FnOnce(&mut Mirror)) {
    with(&mut shared.lock(), at, |m| {
        f(m);
        m.status.settled = true;
        m.answered = m.answered.max(round);
        m.looked = Some(Instant::now());
    });
}
