//! `log` as people read it.

use crate::lines::count;
use crate::plain::{Tone, one_line};
use crate::printer::{Printer, bytes};
use bosc_release::log::event::{HaltSaid, LogEvent, LogShown, ReleaseSeen, StatementSeen};
use bosc_updater::manifest::iso_8601;
use std::time::{Duration, UNIX_EPOCH};

pub(crate) fn line(p: &Printer, event: &LogEvent) {
    match event {
        LogEvent::Release(of) => release(p, of),
        LogEvent::Statement(of) => p.data_words(&statement(of), 4),
        LogEvent::StatementsFault { mirror, why, .. } => {
            let line = format!("Mirror {}: no statements: {}", one_line(mirror), one_line(why));
            p.say(Tone::Warn, &line);
        }
    }
}

fn release(p: &Printer, of: &ReleaseSeen) {
    let version = match (&of.version, of.gone) {
        (Some(version), _) => one_line(version),
        (None, true) => "(its package.json is gone)".to_owned(),
        (None, false) => "-".to_owned(),
    };
    let at = of.time.map(|time| format!("  {}", when(time))).unwrap_or_default();
    p.data_row(&format!("{version:<16}  length {}{at}", of.length), &of.verlink);
    let size = |n: Option<u64>| n.map_or("size not known here".to_owned(), bytes);
    let files = format!(
        "    {}, {}; {} new, {} changed, {} removed, {}",
        count(of.files, "file"),
        size(of.bytes),
        of.added,
        of.changed,
        of.removed,
        size(of.new_bytes)
    );
    p.data_words(&files, 6);
    if let Some(hash) = &of.hash {
        p.data_row("    hash", hash);
    }
    for signer in of.signers.iter().flatten() {
        p.data(&format!("    signed by {signer}"));
    }
    for cost in &of.costs {
        let (platform, from) = (one_line(&cost.platform), one_line(&cost.from));
        p.data_words(&format!("    update from {from} on {platform}: {}", bytes(cost.bytes)), 6);
    }
}

/// What an operator says, on one line.
pub(crate) fn statement(of: &StatementSeen) -> String {
    let name = of.name.as_deref().map_or_else(|| of.operator.clone(), one_line);
    let mut said: Vec<String> =
        of.newest.iter().map(|length| format!("length {length} is the newest")).collect();
    for about in &of.versions {
        let version = one_line(&about.version);
        if let Some(share) = about.hundredths {
            said.push(format!("{version} for {} %", f64::from(share) / 100.0));
        }
        match about.halt {
            None => {}
            Some(HaltSaid::Lifted) => said.push(format!("{version} is not halted")),
            Some(HaltSaid::Halted) => said.push(format!("{version} is halted")),
            Some(HaltSaid::Recalled) => said.push(format!("{version} is recalled")),
        }
    }
    let said = if said.is_empty() { "nothing".to_owned() } else { said.join(", ") };
    format!("{name} said at {} (counter {}): {said}", when(of.time), of.counter)
}

/// A time, in UTC.
pub(crate) fn when(seconds: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds.min(u64::from(u32::MAX) * 100)));
    time.map(iso_8601).unwrap_or_default()
}

/// What is said at the end.
pub(crate) fn done(p: &Printer, of: &LogShown) {
    let more = if of.more { "; there are older ones (--max)" } else { "" };
    let who = match of.signers.len() {
        0 | 1 => "one key signs the link".to_owned(),
        n => format!("{} of {n} keys sign the link", of.quorum),
    };
    p.say(Tone::Plain, &format!("{}{more}; {who}", count(of.shown, "release")));
}
