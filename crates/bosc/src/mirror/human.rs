//! What people read of mirrors: of one that is written, and of those that are read.

use crate::lines::count;
use crate::plain::{Tone, one_line};
use crate::printer::{Printer, bytes};
use bosc_release::mirror::event::{MirrorEvent, MirrorUse, Mirrored};

/// The line of an event. `live`: progress is drawn in place.
pub(crate) fn line(p: &Printer, event: &MirrorEvent, live: bool) {
    match event {
        MirrorEvent::Mirroring { link, target } => {
            p.say(Tone::Plain, &format!("Mirroring {link} to {}", one_line(target)));
        }
        MirrorEvent::MirrorStats { objects, total_objects, bytes: done, total_bytes } => {
            let line =
                format!("{objects} of {total_objects} files, {} of {}", bytes(*done), bytes(*total_bytes));
            if live { p.status(Some(std::slice::from_ref(&line))) } else { p.detail(&line) }
        }
        MirrorEvent::MirrorDone(of) => done(p, of),
        MirrorEvent::MirrorFailed { target, message, causes, hint, .. } => {
            let line = format!(
                "The mirror {} could not be brought up to date, and is tried again: {}",
                one_line(target),
                one_line(message)
            );
            p.say(Tone::Warn, &line);
            for cause in causes {
                p.say(Tone::Plain, &format!("  because: {}", one_line(cause)));
            }
            if !hint.is_empty() {
                p.say(Tone::Plain, &format!("  next: {}", one_line(hint)));
            }
        }
        MirrorEvent::MirrorUsed(of) => used(p, of),
    }
}

fn used(p: &Printer, of: &MirrorUse) {
    let name = one_line(&of.mirror);
    match (&of.why, of.length) {
        (Some(why), _) => p.say(Tone::Warn, &format!("Mirror {name}: not used: {}", one_line(why))),
        (None, Some(length)) => {
            let only = of.sparse.as_deref().map(|s| format!(", {}", one_line(s))).unwrap_or_default();
            let got = bytes(of.bytes);
            p.say(
                Tone::Plain,
                &format!("Mirror {name}: length {length}{only}, {got} in {}", count(of.requests, "request")),
            );
        }
        (None, None) => p.say(Tone::Plain, &format!("Mirror {name}: no answer yet")),
    }
}

/// What is said when a mirror is up to date.
pub(crate) fn done(p: &Printer, of: &Mirrored) {
    let repaired = if of.repaired > 0 {
        format!(", of these {} missing or damaged", of.repaired)
    } else {
        String::new()
    };
    let what = if of.changed || of.objects > 0 {
        format!("{} written, {}{repaired}", count(of.objects, "file"), bytes(of.bytes))
    } else {
        "nothing was new".to_owned()
    };
    let removed =
        if of.removed > 0 { format!(", {} removed", count(of.removed, "old file")) } else { String::new() };
    p.say(Tone::Good, &format!("{} has length {}: {what}{removed}", one_line(&of.target), of.length));
    if let Some(statements) = of.statements {
        let new = if of.statements_changed { "new" } else { "as they were" };
        p.say(Tone::Plain, &format!("Beside it {} of operators, {new}", count(statements, "statement")));
    }
    p.say(Tone::Plain, &format!("In all {}, {}", count(of.total_objects, "file"), bytes(of.total_bytes)));
}
