//! `bosc seed`: flags, and what people read of it.

pub(crate) mod args;
pub(crate) mod human;

use crate::printer::Printer;
use crate::values::{absolute, mirrors, place, seconds};
use args::{RelayFor, Seed};
use bosc_release::command::Stop;
use bosc_release::error::CommandError;
use bosc_release::operator::RefreshKey;
use bosc_release::seed;
use std::path::Path;

/// Least bytes a second that may be sent: less would let requests of peers run out of time.
const LEAST_UPLOAD: u64 = 1 << 10;

/// Least milliseconds between two tables of peers.
const LEAST_TABLES: u64 = 100;

/// Milliseconds between two tables that are drawn in place.
const DRAWN_TABLES: u64 = 1000;

/// What the flags mean. `drawn`: progress is drawn on a terminal.
pub(crate) fn seed(a: &Seed, drawn: bool) -> Result<seed::Seed, CommandError> {
    if a.links.as_deref() == Some(Path::new("-")) {
        return Err(CommandError::input("--links takes a file, not `-`")
            .hint("the file is read again on SIGHUP, which stdin cannot be: write the links to a file and name that"));
    }
    if a.upload_limit.is_some_and(|rate| rate < LEAST_UPLOAD) {
        return Err(CommandError::input("--upload-limit is less than 1K")
            .hint("give at least 1K, such as `--upload-limit 500K`; leave the flag out for no limit"));
    }
    if a.max_disk == Some(0) {
        return Err(CommandError::input("--max-disk 0 keeps nothing of links that others write")
            .hint("give a size such as `--max-disk 20G`, or leave the flag out for no limit"));
    }
    if a.relay_rate == Some(0) {
        return Err(CommandError::input("--relay-rate 0 relays nothing")
            .hint("give a rate such as `--relay-rate 8M`, or leave --relay-for out"));
    }
    Ok(seed::Seed {
        link: a.link.clone().unwrap_or_default(),
        links: a.links.as_deref().map(absolute).transpose()?,
        until_sync: a.until_sync.clone(),
        stats_interval_ms: a.stats_interval.unwrap_or(if drawn { 500 } else { 3000 }).max(20),
        timeout_ms: a.timeout.map(seconds).transpose()?,
        port: a.port,
        peers_interval_ms: match a.stats {
            Some(every) => Some(seconds(every)?.max(LEAST_TABLES)),
            None => drawn.then_some(DRAWN_TABLES),
        },
        relay: a.relay_for.map(|who| seed::SeedRelay {
            anyone: who == RelayFor::Any,
            rate: a.relay_rate.unwrap_or(seed::SeedRelay::RATE),
        }),
        max_peers: a.max_peers.map(|n| n as usize),
        upload_limit: a.upload_limit,
        no_port_mapping: a.no_port_mapping,
        blind_peers: a.blind_peer.clone(),
        max_disk: a.max_disk,
        metrics: a.metrics.clone(),
        mirrors: mirrors(&a.mirror)?,
        mirror_to: a.mirror_to.as_deref().map(place).transpose()?,
        refresh: None,
    })
}

/// The key of `--refresh-with`, opened.
pub(crate) fn refresh_key(
    a: &Seed,
    printer: &Printer,
    stop: &Stop,
) -> Result<Option<RefreshKey>, CommandError> {
    let open =
        |name: &String| crate::operator::refresh_key(name, a.keys.as_deref(), a.passphrase_fd, printer, stop);
    a.refresh_with.as_ref().map(open).transpose()
}
