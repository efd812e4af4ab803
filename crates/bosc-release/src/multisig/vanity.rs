//! A namespace that gives a link with a wanted beginning.

use super::Signers;
use crate::command::Stop;
use crate::error::{CommandError, ErrorKind};
use bosc_format::id::{self, Z32_ALPHABET};
use bosc_format::manifest::Manifest;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Finds a namespace `<base>$<random>` whose link starts with `prefix`; the present one when it does already.
///
/// # Errors
/// Wrong characters, or stopped.
pub fn find(signers: &Signers, prefix: &str, stop: &Stop) -> Result<String, CommandError> {
    if prefix.is_empty() || prefix.len() > 52 || !prefix.chars().all(|c| Z32_ALPHABET.contains(c)) {
        return Err(CommandError::input(format!(
            "Vanity key must contain only z32 characters ({Z32_ALPHABET})"
        ))
        .hint("use 1 to 5 of these characters; each takes 32 times longer"));
    }
    let keys = signers.keys()?;
    let fits = |namespace: &str| {
        id::encode(&Manifest::multisig(&keys, signers.quorum, namespace).key()).starts_with(prefix)
    };
    if fits(&signers.namespace) {
        return Ok(signers.namespace.clone());
    }
    let base = signers.namespace.rsplit_once('$').map_or(signers.namespace.as_str(), |(base, _)| base);
    let (found, done) = (Mutex::new(None), AtomicBool::new(false));
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) && !stop.is_stopped() {
                    let mut random = [0; 32];
                    if getrandom::fill(&mut random).is_err() {
                        return;
                    }
                    let namespace = format!("{base}${}", id::encode(&random));
                    if fits(&namespace) {
                        done.store(true, Ordering::Relaxed);
                        if let Ok(mut slot) = found.lock() {
                            *slot = Some(namespace);
                        }
                    }
                }
            });
        }
    });
    found.into_inner().ok().flatten().ok_or_else(|| {
        CommandError::new(ErrorKind::Interrupted, "ERR_INTERRUPTED", "stopped before a link was found")
            .hint("use a shorter beginning")
    })
}
