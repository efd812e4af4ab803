//! `delta` as people read it.

use crate::plain::{Tone, one_line};
use crate::printer::{Printer, bytes};
use bosc_release::delta::{DeltaEvent, DeltaInspected, Tried};

/// Prints an event.
pub(crate) fn line(p: &Printer, event: &DeltaEvent) {
    match event {
        DeltaEvent::Making { old_bytes, new_bytes, memory } => p.say(
            Tone::Plain,
            &format!(
                "Making the patch from {} to {}; it takes about {} of memory",
                bytes(*old_bytes),
                bytes(*new_bytes),
                bytes(*memory)
            ),
        ),
        DeltaEvent::Progress { ms, bytes: None, of } => {
            p.status(Some(&[format!("Making the patch to {}: {}", bytes(*of), seconds(*ms))]));
        }
        DeltaEvent::Progress { bytes: Some(done), of, .. } => {
            p.status(Some(&[format!("Applying the patch: {} of {}", bytes(*done), bytes(*of))]));
        }
        DeltaEvent::Tried(tried) => {
            p.status(None);
            row(p, tried);
        }
    }
}

/// A row of the table of `bench`.
fn row(p: &Printer, tried: &Tried) {
    let size = tried.bytes.map_or("failed".to_owned(), |n| n.to_string());
    let time = if tried.ms == 0 { String::new() } else { seconds(tried.ms) };
    let old = if tried.old { "with the old file" } else { "alone" };
    p.data(format!("{:<22} {old:<17} {size:>12} {time:>8}", one_line(&tried.by)).trim_end());
}

pub(super) fn inspected(p: &Printer, said: &DeltaInspected) {
    let row = |label: &str, value: &str| p.data(&format!("{label:<12} {value}"));
    let hash = |hash: &str| if hash.is_empty() { String::new() } else { format!(", BLAKE2b-256 {hash}") };
    let size = |n: u64| if n < 1000 { bytes(n) } else { format!("{} ({n} B)", bytes(n)) };
    row("patch", &size(said.bytes));
    row("format", &format!("{}, extractor {}", said.format, said.extractor));
    match &said.old_blake2b {
        Some(old) => row("old file", &format!("{}{}", size(said.old_bytes), hash(old))),
        None => row("old file", "not needed"),
    }
    row("new file", &format!("{}{}", size(said.new_bytes), hash(&said.new_blake2b)));
    row("copies", &said.copies.to_string());
    row("new bytes", &size(said.fresh_bytes));
}

/// A part of a whole: `0.04 %`.
pub(super) fn percent(part: u64, of: u64) -> String {
    match of {
        0 => "all".to_owned(),
        of => {
            let percent = part as f64 * 100.0 / of as f64;
            if percent < 1.0 { format!("{percent:.2} %") } else { format!("{percent:.0} %") }
        }
    }
}

/// `1.2 s`.
pub(super) fn seconds(ms: u64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}
