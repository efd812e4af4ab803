//! `bosc provision` for people: its request, its lines and what it ends with.

pub(crate) mod args;

use crate::lines::{changed, dry};
use crate::plain::{Tone, one_line};
use crate::printer::{Printer, bytes};
use bosc_release::error::CommandError;
use bosc_release::provision::{self, Copied, ProvisionEvent, Provisioned};
use bosc_release::request::Request;

/// The request of these arguments. `seconds` turns a number of seconds into milliseconds.
pub(crate) fn request(
    a: &args::Provision,
    seconds: impl Fn(f64) -> Result<u64, CommandError>,
) -> Result<Request, CommandError> {
    let cooldown = if a.yes { 0.0 } else { a.cooldown };
    Ok(Request::Provision(provision::Provision {
        newest: a.newest,
        sole_copy: a.sole_copy,
        source: a.source.clone(),
        target: a.target.clone(),
        production: a.production.clone(),
        dry_run: a.dry_run,
        contiguous: a.contiguous,
        timeout_ms: seconds(a.timeout)?,
        cooldown_ms: seconds(cooldown)
            .map_err(|_| CommandError::input("--cooldown takes a number of seconds"))?,
    }))
}

/// Prints an event; blocks that come in are the caller's to draw.
pub(crate) fn line(p: &Printer, event: &ProvisionEvent) {
    match event {
        ProvisionEvent::Syncing { core } => {
            p.say(Tone::Plain, &format!("Comparing the target with production's {core}"));
        }
        ProvisionEvent::Blocks(at) => blocks(p, "production's", at),
        ProvisionEvent::Copying(at) => blocks(p, "copied", at),
        ProvisionEvent::Synced { core } => p.detail(&format!("production's {core} is here")),
        ProvisionEvent::Stats(_) => {}
        ProvisionEvent::Diffing => p.say(Tone::Plain, "Comparing the source with production"),
        ProvisionEvent::ByteDiff(diff) => changed(p, diff),
        ProvisionEvent::Diffed(found) => {
            let changes = found.changes + found.fields;
            p.say(Tone::Plain, &format!("Version {}: {changes} changes", one_line(&found.semver)));
        }
        ProvisionEvent::Warning { message, .. } => {
            p.say(Tone::Warn, &format!("warning: {}", one_line(message)));
        }
        ProvisionEvent::Dry => dry(p),
        ProvisionEvent::Cooldown { time } => p.say(
            Tone::Warn,
            &format!("NOT A DRY RUN! The target is written to in {} s; Ctrl+C to stop", time.div_ceil(1000)),
        ),
        ProvisionEvent::Cooling { left } => p.say(Tone::Plain, &format!("{left} ...")),
        ProvisionEvent::Staging => p.say(Tone::Plain, "Writing to the target"),
        ProvisionEvent::Writing { files, of, .. } => p.detail(&format!("{files} of {of} files")),
        ProvisionEvent::Staged { changes, new_bytes, shared_bytes, .. } => p.say(
            Tone::Good,
            &format!(
                "{changes} changes written: {} new, {} already there",
                bytes(*new_bytes),
                bytes(*shared_bytes)
            ),
        ),
        ProvisionEvent::Unsetting { field } => {
            p.say(Tone::Plain, &format!("Field {} taken out", one_line(field)))
        }
        ProvisionEvent::Setting { field, .. } => {
            p.say(Tone::Plain, &format!("Field {} set", one_line(field)))
        }
    }
}

fn blocks(p: &Printer, what: &str, at: &Copied) {
    p.detail(&format!("{what} {}: {} of {} blocks", at.core, at.target_length, at.production_length));
}

/// What it ends with: the verlink on stdout.
pub(crate) fn done(p: &Printer, done: &Provisioned) {
    if done.changes == 0 {
        p.say(Tone::Good, "The target equals the source");
    }
    p.say(Tone::Good, "Provisioned:");
    p.data(&done.target.verlink);
    p.say(Tone::Plain, &format!("Hashlink: {}", done.target.hashlink.as_deref().unwrap_or_default()));
    p.say(Tone::Plain, &format!("Next: bosc seed {}", done.target.link));
}
