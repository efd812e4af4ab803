//! Waiting for peers: for a head to be up to date, for blocks to come. Always bounded, always stoppable.

use super::drive::drive_error;
use crate::command::Stop;
use crate::error::{CommandError, ErrorKind};
use bosc_node::{LiveCore, Node, TICK};
use std::time::{Duration, Instant};

/// How often peers are looked for again while nobody is there.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// How an update ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Update {
    /// At least one peer answered and we have what it has.
    UpToDate,
    /// Nobody answered in time; what is here is all there is.
    Nobody,
}

/// Waits until a peer has told its length and ours is as long, or `length` is reached.
pub(crate) fn update(
    node: &Node,
    core: &LiveCore,
    at_least: u64,
    timeout: Duration,
    stop: &Stop,
) -> Result<Update, CommandError> {
    let topic = *core.core().discovery_key();
    let start = Instant::now();
    let deadline = start + timeout;
    let mut looked = start;
    let found = node.signal().wait(Some(deadline), TICK, || {
        if stop.is_stopped() {
            return Some(Err(stopped()));
        }
        let s = core.status();
        if let Some(why) = &s.failed {
            return Some(Err(core_failed(why)));
        }
        let synced: Vec<_> = s.peers.iter().filter(|p| p.synced).collect();
        let behind = synced.iter().any(|p| p.fork > s.fork || (p.fork == s.fork && p.length > s.length));
        let ready =
            !synced.is_empty() && !behind && s.length >= at_least && (s.length == 0 || s.has_manifest);
        if ready {
            return Some(Ok(Update::UpToDate));
        }
        if s.peers.is_empty() && looked.elapsed() >= LOOK_AGAIN && node.is_flushed(&topic) {
            looked = Instant::now();
            node.refresh(topic);
        }
        None
    });
    found.unwrap_or(Ok(Update::Nobody))
}

/// Repeats `op` until it has all blocks of `core` that it needs, fetching those it misses.
pub(crate) fn fetching<T>(
    core: Option<&LiveCore>,
    timeout: Duration,
    stop: &Stop,
    mut op: impl FnMut() -> Result<T, bosc_drive::Error>,
) -> Result<T, CommandError> {
    loop {
        match op() {
            Ok(value) => return Ok(value),
            Err(e) => match (e.missing(), core) {
                (Some(block), Some(core)) => wait_block(core, block, timeout, stop)?,
                _ => return Err(drive_error(e)),
            },
        }
    }
}

/// Asks for a block and waits for it as long as the core makes progress.
pub(crate) fn wait_block(
    core: &LiveCore,
    block: u64,
    timeout: Duration,
    stop: &Stop,
) -> Result<(), CommandError> {
    core.want(vec![block]);
    let mut seen = (core.status().downloaded_blocks, Instant::now());
    core.signal()
        .wait(None, TICK, || {
            if core.core().has(block).unwrap_or(false) {
                return Some(Ok(()));
            }
            if stop.is_stopped() {
                return Some(Err(stopped()));
            }
            let s = core.status();
            if let Some(why) = &s.failed {
                return Some(Err(core_failed(why)));
            }
            if s.downloaded_blocks != seen.0 {
                seen = (s.downloaded_blocks, Instant::now());
            }
            (seen.1.elapsed() > timeout).then(|| Err(timed_out(&s)))
        })
        .unwrap_or_else(|| Err(stopped()))
}

pub(crate) fn stopped() -> CommandError {
    CommandError::new(ErrorKind::Interrupted, "ERR_INTERRUPTED", "stopped")
}

pub(crate) fn core_failed(why: &str) -> CommandError {
    CommandError::new(ErrorKind::Store, "ERR_STORE", format!("what was received could not be stored: {why}"))
        .hint("check the store's disk, then run the command again; what was received is kept")
}

/// No peer delivered in time.
pub(crate) fn timed_out(s: &bosc_node::CoreStatus) -> CommandError {
    let (message, hint) = if s.peers.is_empty() {
        (
            "nobody who has this link was found in time",
            "check the link, and that somebody runs `bosc seed` with it; wait longer with --timeout SECONDS",
        )
    } else {
        (
            "the peers that were found did not deliver in time",
            "run the command again; what was received is kept. Wait longer with --timeout SECONDS",
        )
    };
    let e = CommandError::new(ErrorKind::Network, "ERR_NETWORK_TIMEOUT", message).hint(hint);
    match &s.dropped_peer {
        Some(why) => e.because(std::io::Error::other(format!("a peer was dropped because it {why}"))),
        None => e,
    }
}
