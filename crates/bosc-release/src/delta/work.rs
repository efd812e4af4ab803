//! A patch made on a thread of its own, so that a stop is heard meanwhile; and the memory that making one takes.

use crate::command::Stop;
use bosc_delta::MakeOptions;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often a running making looks whether it is wanted.
const LOOK: Duration = Duration::from_millis(100);

/// Memory that making a patch takes for each byte of the larger file, both files included.
const TAKES: u64 = 10;

/// Bytes of memory that making a patch takes, about: ten for each byte of the larger file.
pub fn memory(old_bytes: u64, new_bytes: u64) -> u64 {
    old_bytes.max(new_bytes).saturating_mul(TAKES)
}

/// Whether the system has so much memory; where it cannot be asked, it has.
///
/// # Errors
/// The bytes that it has.
pub(crate) fn has_memory(bytes: u64) -> Result<(), u64> {
    let text = bosc_files::read_plain(Path::new("/proc/meminfo"), 64 << 10);
    match text.ok().and_then(|text| available(&text)) {
        Some(there) if there < bytes => Err(there),
        _ => Ok(()),
    }
}

/// The bytes that Linux says can be had without swapping.
fn available(meminfo: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(meminfo).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Why there is no patch.
#[derive(Debug)]
pub(crate) enum NotMade {
    /// It was stopped.
    Stopped,
    /// No thread could be started.
    Thread(std::io::Error),
    /// It cannot be made.
    Failed(bosc_delta::Error),
    /// Its maker panicked.
    Lost,
}

/// The patch from `old` to `new`. `on` is called ten times a second with the time since it began.
pub(crate) fn patch(
    old: &Arc<Vec<u8>>,
    new: &Arc<Vec<u8>>,
    stop: &Stop,
    on: &mut dyn FnMut(Duration),
) -> Result<Vec<u8>, NotMade> {
    let begun = Instant::now();
    let (sender, made) = channel();
    let (old, new) = (Arc::clone(old), Arc::clone(new));
    let work = move || drop(sender.send(bosc_delta::make(&old, &new, &MakeOptions::default())));
    std::thread::Builder::new().name("delta".into()).spawn(work).map_err(NotMade::Thread)?;
    loop {
        match made.recv_timeout(LOOK) {
            Ok(patch) => return patch.map_err(NotMade::Failed),
            Err(RecvTimeoutError::Disconnected) => return Err(NotMade::Lost),
            Err(RecvTimeoutError::Timeout) if stop.is_stopped() => return Err(NotMade::Stopped),
            Err(RecvTimeoutError::Timeout) => on(begun.elapsed()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_has_is_read_and_nonsense_is_not() {
        let text = b"MemTotal:       24000000 kB\nMemFree:  1 kB\nMemAvailable:   2048 kB\n";
        assert_eq!(available(text), Some(2 << 20));
        for bad in [&b""[..], b"MemAvailable:", b"MemAvailable: x kB", b"\xff"] {
            assert_eq!(available(bad), None);
        }
        assert_eq!(has_memory(0), Ok(()));
        assert!(!cfg!(target_os = "linux") || has_memory(u64::MAX / 2).is_err());
        assert_eq!(memory(3, 2), 30);
        assert_eq!(memory(u64::MAX, 0), u64::MAX);
    }

    #[test]
    fn a_patch_is_made_and_a_stop_is_heard() {
        let (old, new) = (Arc::new(b"what was there".repeat(50)), Arc::new(b"what is there".repeat(50)));
        let made = patch(&old, &new, &Stop::new(), &mut |_| {}).unwrap();
        let mut out = Vec::new();
        bosc_delta::apply(&old[..], &made, &mut out).unwrap();
        assert_eq!(out, *new);
        let noise = |seed: u64| -> Arc<Vec<u8>> {
            let mut s = seed;
            let mut next = || {
                s ^= s << 13;
                s ^= s >> 7;
                s ^= s << 17;
                (s >> 32) as u8
            };
            Arc::new((0..20_000_000).map(|_| next()).collect())
        };
        let stop = Stop::new();
        stop.stop();
        assert!(matches!(patch(&noise(1), &noise(2), &stop, &mut |_| {}), Err(NotMade::Stopped)));
    }
}
