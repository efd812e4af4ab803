//! `stage`, and what is told of any folder before it is staged, built or packed.

use crate::lines::{changed, count, dry, shown, unmatched};
use crate::plain::{Tone, one_line};
use crate::printer::{Printer, bytes as bytes_text};
use bosc_release::folder::portable_names::BadName;
use bosc_release::secrets::LooksSecret;
use bosc_release::stage::StageEvent;
use std::path::Path;

pub(crate) fn line(p: &Printer, event: &StageEvent) {
    match event {
        StageEvent::Staging { name, link, .. } => {
            let name = one_line(name.as_deref().unwrap_or_default());
            p.say(Tone::Plain, &format!("Staging {name} into {link}"));
        }
        StageEvent::Package { file, name, version } => {
            let text = |t: &Option<String>| one_line(t.as_deref().unwrap_or_default());
            p.say(
                Tone::Plain,
                &format!(
                    "No package.json in the folder: the link gets one with {} {} from {}",
                    text(name),
                    text(version),
                    shown(file)
                ),
            );
        }
        StageEvent::Dry => dry(p),
        StageEvent::Skipped { path, reason } => left_out(p, path, reason),
        StageEvent::IgnoreFile { path } => p.detail(&format!("What {} says is left out", shown(path))),
        StageEvent::Unmatched { list, pattern } => unmatched(p, list, pattern),
        StageEvent::BadName(name) => bad_name(p, name),
        StageEvent::Dangling { path, target } => p.say(
            Tone::Warn,
            &format!("A link that leads nowhere: {} -> {}", one_line(path), one_line(target)),
        ),
        StageEvent::LooksSecret(found) => looks_secret(p, found),
        StageEvent::VersionMismatch { path, release, running } => version_mismatch(p, path, release, running),
        StageEvent::Delta { path, from, bytes, instead_of } => {
            let from = from.as_deref().map_or("the version before".into(), one_line);
            let (bytes, instead_of) = (bytes_text(*bytes), bytes_text(*instead_of));
            let path = one_line(path);
            p.say(Tone::Plain, &format!("Update of {path} from {from}: {bytes} instead of {instead_of}"));
        }
        StageEvent::Packing { path, bytes } => {
            let line = format!("Packing {} for first installs, {}", one_line(path), bytes_text(*bytes));
            p.say(Tone::Plain, &format!("{line}; `--no-packed` leaves that out"));
        }
        StageEvent::Packed { path, bytes, instead_of } => {
            let (bytes, instead_of) = (bytes_text(*bytes), bytes_text(*instead_of));
            p.say(
                Tone::Plain,
                &format!("First install of {}: {bytes} instead of {instead_of}", one_line(path)),
            );
        }
        StageEvent::ByteDiff(diff) => changed(p, diff),
        StageEvent::Summary(s) => p.say(
            Tone::Plain,
            &format!(
                "{}: {} added, {} changed, {} removed",
                count(s.files, "file"),
                s.add,
                s.change,
                s.remove
            ),
        ),
        StageEvent::Skipping { reason, .. } => {
            p.say(Tone::Warn, &format!("Not staged: {}", one_line(reason)));
        }
        StageEvent::Complete { dry_run: true } => p.say(Tone::Good, "Dry run complete"),
        StageEvent::Complete { dry_run: false } => p.say(Tone::Good, "Staging complete"),
        StageEvent::Addendum(now) => {
            p.say(Tone::Plain, &format!("Latest: {}", now.version));
            p.data(&now.verlink);
            p.say(Tone::Plain, &seed_next(&now.link));
        }
    }
}

/// What is to be done with a release that is nowhere else.
pub(crate) fn seed_next(link: &str) -> String {
    format!("Next: bosc seed {link}")
}

/// Something that is left out.
pub(crate) fn left_out(p: &Printer, path: &Path, reason: &str) {
    p.say(Tone::Warn, &format!("left out {}: {}", shown(path), one_line(reason)));
}

/// A name that some system cannot hold.
pub(crate) fn bad_name(p: &Printer, name: &BadName) {
    let (path, system, why) = (one_line(&name.path), one_line(&name.system), one_line(&name.why));
    p.say(Tone::Warn, &format!("{path} cannot be on {system}: {why}"));
}

/// Something that looks like a secret.
pub(crate) fn looks_secret(p: &Printer, found: &LooksSecret) {
    p.say(Tone::Warn, &format!("Looks secret: {} ({})", one_line(&found.path), one_line(&found.what)));
}

/// A program says another version than its release.
pub(crate) fn version_mismatch(p: &Printer, path: &str, release: &str, running: &str) {
    p.say(
        Tone::Warn,
        &format!(
            "The release says {}, the running program {}: raise the version in {} too, or its users never see it arrive",
            one_line(release),
            one_line(running),
            one_line(path)
        ),
    );
}
