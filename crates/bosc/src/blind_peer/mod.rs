//! `bosc blind-peer`: flags, and what people read.

pub(crate) mod args;
pub(crate) mod human;

use args::BlindPeer;
use bosc_release::blind_peer;
use bosc_release::error::CommandError;

/// What the flags mean.
pub(crate) fn blind_peer(a: &BlindPeer) -> Result<blind_peer::BlindPeer, CommandError> {
    if !a.public && a.allow.is_empty() {
        return Err(CommandError::input("nobody may ask this blind peer yet").hint(
            "name those who may with `--allow KEY` (the `whoami` of `bosc seed --json`), or let everyone ask with `--public`",
        ));
    }
    if a.max_disk == 0 {
        return Err(CommandError::input("--max-disk 0 keeps nothing")
            .hint("give a size such as `--max-disk 20G`, or leave the flag out for the default"));
    }
    let usual = blind_peer::BlindPeer::default();
    Ok(blind_peer::BlindPeer {
        port: Some(a.port),
        no_port_mapping: a.no_port_mapping,
        public: a.public,
        allow: a.allow.clone(),
        max_disk: a.max_disk,
        max_cores: a.max_cores as usize,
        stats_interval_ms: a.stats_interval.unwrap_or(usual.stats_interval_ms).max(20),
    })
}
