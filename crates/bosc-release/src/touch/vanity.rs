//! A key with a wanted beginning, tried on all processors.

use crate::command::Stop;
use crate::error::{CommandError, ErrorKind};
use bosc_format::crypto::PublicKey;
use bosc_format::id::{self, Z32_ALPHABET};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Makes keys until one starts with `prefix`, and returns what it was made from. `make`: a random thing and its key.
///
/// # Errors
/// Wrong characters; stopped; those of `make`.
pub(crate) fn search<T: Send>(
    prefix: &str,
    stop: &Stop,
    make: impl Fn() -> Result<(T, PublicKey), CommandError> + Sync,
) -> Result<T, CommandError> {
    if prefix.is_empty() || prefix.len() > 52 || !prefix.chars().all(|c| Z32_ALPHABET.contains(c)) {
        return Err(CommandError::input(format!(
            "a vanity key must contain only z-base-32 characters ({Z32_ALPHABET})"
        ))
        .hint("use 1 to 5 of these characters; each takes 32 times longer"));
    }
    let (found, done) = (Mutex::new(None), AtomicBool::new(false));
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) && !stop.is_stopped() {
                    let made = match make() {
                        Ok((_, key)) if !id::encode(&key).starts_with(prefix) => continue,
                        Ok((thing, _)) => Ok(thing),
                        Err(e) => Err(e),
                    };
                    done.store(true, Ordering::Relaxed);
                    if let Ok(mut slot) = found.lock() {
                        *slot = Some(made);
                    }
                }
            });
        }
    });
    found.into_inner().ok().flatten().unwrap_or_else(|| {
        Err(CommandError::new(ErrorKind::Interrupted, "ERR_INTERRUPTED", "stopped before a key was found")
            .hint("use a shorter prefix"))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU8;

    #[test]
    fn a_key_with_that_beginning_is_found_or_why_not_is_said() {
        let stop = Stop::new();
        let next = AtomicU8::new(0);
        let make = || {
            let n = next.fetch_add(1, Ordering::Relaxed);
            Ok((n, [n; 32]))
        };
        let n = search("d", &stop, make).unwrap();
        assert!(id::encode(&[n; 32]).starts_with('d'));
        for prefix in ["", "l", "A", &"y".repeat(53)] {
            assert_eq!(search(prefix, &stop, make).unwrap_err().code(), "ERR_INVALID_INPUT");
        }
        let none = || -> Result<((), PublicKey), CommandError> { Err(CommandError::failed("no randomness")) };
        assert!(search("y", &stop, none).unwrap_err().message().contains("no randomness"));
        stop.stop();
        assert_eq!(search("yyyyyyyyyy", &stop, make).unwrap_err().code(), "ERR_INTERRUPTED");
    }
}
