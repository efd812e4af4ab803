//! `bosc relay`: flags, and what people read.

pub(crate) mod args;
pub(crate) mod human;

use args::Relay;
use bosc_release::error::CommandError;
use bosc_release::relay;

/// What the flags mean.
pub(crate) fn relay(a: &Relay) -> Result<relay::Relay, CommandError> {
    if !a.public && a.allow.is_empty() {
        return Err(CommandError::input("nobody may use this relay yet").hint(
            "name those who may with `--allow KEY` (the `whoami` of `bosc seed --json`), or let everyone use it with `--public`",
        ));
    }
    let usual = relay::Relay::default();
    Ok(relay::Relay {
        port: a.port,
        allow: (!a.public).then(|| a.allow.clone()),
        clients: a.max_clients.unwrap_or(usual.clients),
        clients_per_host: a.max_clients.unwrap_or(usual.clients_per_host).min(usual.clients_per_host),
        pairs: a.max_pairs.unwrap_or(usual.pairs),
        pairs_per_client: a.max_pairs_per_client.unwrap_or(usual.pairs_per_client),
        rate: a.max_rate.unwrap_or(usual.rate),
        total_rate: a.max_total_rate.unwrap_or(usual.total_rate),
        bytes: a.max_bytes.unwrap_or(usual.bytes),
        stats_interval_ms: a.stats_interval.unwrap_or(usual.stats_interval_ms).max(20),
        ..usual
    })
}
