//! A seeder that says again and again what is the newest.
//!
//! ```text
//!   due ── prepared ── signed ── said ──> Refreshed, due in an hour, or three times within the limit of the rules
//!     ▲        └── refused, or nobody there ──> RefreshFailed, due in a minute, then later and later
//!     └──────────────────────────────────────────────────────┘
//! ```
//!
//! Invariants:
//! * It runs in a thread of its own, which ends before the seeder does: nobody who fetches waits for it.
//! * It says what a person's `bosc refresh` would say, and refuses what that would refuse.
//! * What is put again and again stays in the DHT, whose nodes forget a record after two days: its own statement, and those of the other
//!   operators, which needs no secret.

use super::signed::sign;
use super::{Change, KeyHere, Prepare, RefreshKey};
use crate::command::Stop;
use crate::engine::Engine;
use crate::error::{CommandError, ErrorKind};
use crate::policy::event::{PolicyEvent, Stated};
use crate::policy::look::ASK_FOR;
use bosc_follow::{FollowError, Wait};
use bosc_format::crypto::PublicKey;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_node::Signal;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// How often it is said, unless the rules want it more often.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// How long after a failure it is tried again; doubled each time, [`EVERY`] at most.
const AFTER_FAILURE: Duration = Duration::from_secs(60);
/// How long peers are looked for.
const TIMEOUT_MS: u64 = 30_000;

/// Ends the thread, however the work ends.
struct Ending<'a>(&'a Stop);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Does `work`, and beside it refreshes with the key, if there is one. What it tells wakes `wake`.
pub(crate) fn beside<T>(
    engine: &Engine,
    of: Option<(&PearLink, &RefreshKey)>,
    wake: &Stop,
    work: impl FnOnce(&Receiver<PolicyEvent>) -> T,
) -> T {
    let (tell, told) = channel();
    let ended = Stop::new();
    std::thread::scope(|scope| {
        if let Some((link, key)) = of {
            let ended = &ended;
            scope.spawn(move || run(engine, link, key, &tell, wake, ended));
        }
        let _ending = Ending(&ended);
        work(&told)
    })
}

fn run(
    engine: &Engine,
    link: &PearLink,
    key: &RefreshKey,
    tell: &Sender<PolicyEvent>,
    wake: &Stop,
    ended: &Stop,
) {
    let nothing = Signal::default();
    let mut failures = 0u32;
    while !ended.is_stopped() {
        let pause = match engine.refresh_once(link, key, ended) {
            Ok((stated, limit)) => {
                failures = 0;
                let _ = tell.send(PolicyEvent::Refreshed(Box::new(stated)));
                limit.map_or(EVERY, |limit| EVERY.min(Duration::from_secs(limit) / 3))
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => return,
            Err(e) => {
                let pause = EVERY.min(AFTER_FAILURE.saturating_mul(1 << failures.min(6)));
                failures = failures.saturating_add(1);
                let told = e.told();
                let _ = tell.send(PolicyEvent::RefreshFailed {
                    code: told.code,
                    message: told.message,
                    hint: told.hint,
                    again: pause.as_secs(),
                });
                pause
            }
        };
        wake.wake();
        let due = Instant::now() + pause;
        let waited =
            Wait::new(ended).run(&nothing, |alarm| Ok::<_, FollowError>(alarm.is_past(due).then_some(())));
        if waited.is_err() {
            return;
        }
    }
}

impl Engine {
    /// Says once what is the newest. What was said, and the rules' limit in seconds.
    fn refresh_once(
        &self,
        link: &PearLink,
        key: &RefreshKey,
        stop: &Stop,
    ) -> Result<(Stated, Option<u64>), CommandError> {
        let pair = key.pair();
        let request = Prepare {
            link: PearLink::new(link.key).to_string(),
            change: Change::Refresh,
            keys: vec![KeyHere { name: key.name.clone(), key: id::encode(&pair.public()) }],
            timeout_ms: TIMEOUT_MS,
            mirrors: Vec::new(),
        };
        let (prepared, policy) = self.prepare_with_rules(&request, stop)?;
        let statement = prepared.statement.to_statement(link.key);
        let signed = statement.map(|statement| sign(&statement, &pair));
        let spoken = match signed {
            Some(Ok(spoken)) => spoken,
            Some(Err(e)) => return Err(CommandError::failed("the statement cannot be signed").because(e)),
            None => return Err(CommandError::failed("the statement cannot be made")),
        };
        let stated = self.say(&PearLink::new(link.key), &spoken, stop)?;
        let others = policy.operators().iter().map(|o| o.key).filter(|key| *key != pair.public());
        self.keep_words(&others.collect::<Vec<_>>(), stop)?;
        Ok((stated, policy.freshness()))
    }

    /// Has the DHT keep what other operators say: a halt that nobody repeats would be forgotten. What cannot be kept now is kept the
    /// next time.
    fn keep_words(&self, keys: &[PublicKey], stop: &Stop) -> Result<(), CommandError> {
        let node = self.node()?;
        let asked: Vec<_> = keys.iter().map(|key| node.keep_record(key)).collect();
        let mut wait = Wait::new(stop).timeout(ASK_FOR);
        for query in asked {
            wait.run(query.signal(), |_| Ok::<_, FollowError>(query.answer()))?;
        }
        Ok(())
    }
}
