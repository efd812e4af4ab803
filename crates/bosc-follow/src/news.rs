//! Telling of news without anybody asking: a thread that sleeps until the core's own signal is raised.
//!
//! What is news: a head that moved, a manifest that came, the first peer that told its length, another history. While a
//! peer with a length is there, any of these is told again, as asking costs little then. Somebody who leaves is no news.

use crate::core::{FollowedCore, Lazy};
use crate::error::FollowError;
use crate::stop::Stop;
use crate::wait::Wait;
use bosc_node::CoreStatus;
use std::thread::JoinHandle;

/// A callback that is called as long as this is kept.
#[derive(Debug)]
pub struct News {
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

/// What a change is told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    fork: u64,
    length: u64,
    has_manifest: bool,
    synced: bool,
    conflicts: usize,
}

impl State {
    fn of(s: &CoreStatus) -> Self {
        Self {
            fork: s.fork,
            length: s.length,
            has_manifest: s.has_manifest,
            synced: s.peers.iter().any(|p| p.synced),
            conflicts: s.conflicts.len(),
        }
    }

    fn is_news(self, before: Self) -> bool {
        self.synced && self != before || Self { synced: before.synced, ..self } != before
    }
}

impl News {
    pub(crate) fn start(core: FollowedCore, changed: Box<dyn Fn() + Send + Sync>) -> std::io::Result<Self> {
        let stop = Stop::new();
        let (ends, mut seen) = (stop.clone(), State::of(&core.status()));
        let run = move || {
            let mut urgent = Lazy::default();
            let mut wait = Wait::new(&ends);
            loop {
                let next = wait.run(core.live().signal(), |_| {
                    let status = core.status();
                    // Somebody says that there is more and does not deliver it: others may.
                    match status.is_behind() {
                        true => urgent.begin(&core.topic),
                        false => urgent = Lazy::default(),
                    }
                    let now = State::of(&status);
                    Ok::<_, FollowError>((now != seen).then_some(now))
                });
                let Ok(Some(now)) = next else { return };
                if now.is_news(std::mem::replace(&mut seen, now)) {
                    changed();
                }
            }
        };
        let thread = std::thread::Builder::new().name("bosc-news".into()).spawn(run)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for News {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_who_leaves_is_no_news() {
        let alone = State { fork: 0, length: 3, has_manifest: true, synced: false, conflicts: 0 };
        let met = State { synced: true, ..alone };
        assert!(met.is_news(alone), "the first one to come may know more");
        assert!(!alone.is_news(met));
        assert!(State { length: 4, ..alone }.is_news(met));
        assert!(State { conflicts: 1, ..met }.is_news(met));
        assert!(State { fork: 1, length: 2, ..alone }.is_news(alone));
        assert!(!met.is_news(met));
    }
}
