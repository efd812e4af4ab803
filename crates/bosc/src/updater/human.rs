//! `updater manifest` as people read it.

use crate::lines::shown;
use crate::plain::{Tone, one_line};
use crate::printer::{Printer, bytes};
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
        UpdaterEvent::Delta { platform, file, from, size, instead_of } => {
            let (file, from) = (one_line(file), one_line(from));
            let (size, whole) = (bytes(*size), bytes(*instead_of));
            p.say(Tone::Plain, &format!("{platform} from {from}: {file}, {size} instead of {whole}"));
        }
        UpdaterEvent::NoDelta { reason } => p.say(Tone::Warn, &one_line(reason)),
        UpdaterEvent::Skipping { reason } => {
            p.say(Tone::Warn, &format!("Not in the manifest: {}", one_line(reason)));
        }
        UpdaterEvent::Manifest { path, .. } => p.say(Tone::Good, &format!("Wrote {}", shown(path))),
    }
}
