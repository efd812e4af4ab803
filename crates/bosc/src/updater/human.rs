//! `updater manifest` as people read it.

use crate::lines::shown;
use crate::plain::{Tone, one_line};
use crate::printer::Printer;
use crate::stage::human::{looks_secret, version_mismatch};
use bosc_release::manifest::UpdaterEvent;

/// Prints an event.
pub(crate) fn line(p: &Printer, event: &UpdaterEvent) {
    match event {
        UpdaterEvent::LooksSecret(found) => looks_secret(p, found),
        UpdaterEvent::VersionMismatch { path, release, running } => {
            version_mismatch(p, path, release, running)
        }
        UpdaterEvent::Artifact { platform, file, .. } => {
            p.say(Tone::Plain, &format!("{platform}: {}", one_line(file)));
        }
        UpdaterEvent::Skipping { reason } => {
            p.say(Tone::Warn, &format!("Not in the manifest: {}", one_line(reason)));
        }
        UpdaterEvent::Manifest { path, .. } => p.say(Tone::Good, &format!("Wrote {}", shown(path))),
    }
}
