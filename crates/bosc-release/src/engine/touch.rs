//! `touch`: a new link.

use super::{Engine, store_error};
use crate::command::{Outcome, Stop, Touch};
use crate::error::{CommandError, ErrorKind};
use bosc_format::id::{self, Z32_ALPHABET};
use bosc_format::manifest::Manifest;
use bosc_format::{corestore, link};
use bosc_store::CreateOptions;
use serde_json::json;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

impl Engine {
    pub(super) fn touch(&self, request: &Touch, stop: &Stop) -> Outcome {
        let name = match &request.vanity {
            None => random_name()?,
            Some(prefix) => self.vanity(prefix, stop)?,
        };
        let core = self.store.create_core(CreateOptions::named(&name)).map_err(store_error)?;
        self.store.flush().map_err(store_error)?;
        let link = link::PearLink::new(*core.key()).to_string();
        Ok(json!({ "key": id::encode(core.key()), "link": link, "name": name }))
    }

    /// Tries names until the key made from one starts with `prefix`.
    fn vanity(&self, prefix: &str, stop: &Stop) -> Result<String, CommandError> {
        if prefix.is_empty() || prefix.len() > 52 || !prefix.chars().all(|c| Z32_ALPHABET.contains(c)) {
            return Err(CommandError::input(format!(
                "a vanity key must contain only z-base-32 characters ({Z32_ALPHABET})"
            ))
            .hint("use 1 to 5 of these characters; each takes 32 times longer"));
        }
        let primary = self.store.primary_key();
        let (found, done) = (Mutex::new(None), AtomicBool::new(false));
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) && !stop.is_stopped() {
                        let Ok(name) = random_name() else { return };
                        let pair =
                            corestore::key_pair(&primary, &corestore::DEFAULT_NAMESPACE, name.as_bytes());
                        if id::encode(&Manifest::single(pair.public()).key()).starts_with(prefix) {
                            done.store(true, Ordering::Relaxed);
                            if let Ok(mut slot) = found.lock() {
                                *slot = Some(name);
                            }
                        }
                    }
                });
            }
        });
        found.into_inner().ok().flatten().ok_or_else(|| {
            CommandError::new(ErrorKind::Interrupted, "ERR_INTERRUPTED", "stopped before a key was found")
                .hint("use a shorter prefix")
        })
    }
}

/// 16 random bytes in hex, as Pear names its cores.
fn random_name() -> Result<String, CommandError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| CommandError::failed("no randomness").because(std::io::Error::other(e)))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}
