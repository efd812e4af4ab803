//! `rotate` as people read it.

use crate::line::human::next_step;
use crate::plain::{Tone, one_line};
use crate::printer::Printer;
use bosc_release::rotate::RotateEvent;

/// Prints an event of `rotate`.
pub(crate) fn rotation(p: &Printer, event: &RotateEvent) {
    match event {
        RotateEvent::Rotating { old, new, .. } => {
            p.say(Tone::Plain, &format!("Moving followers of {old} to {new}"));
        }
        RotateEvent::Condition { name, ok, detail } => {
            let (tone, word) = if *ok { (Tone::Good, "ok") } else { (Tone::Bad, "no") };
            p.say(tone, &format!("{word:<3} {}: {}", one_line(name), one_line(detail)));
        }
        RotateEvent::Unchanged { version, verlink, .. } => {
            p.say(Tone::Good, &format!("Nothing changed: {verlink} holds {}", one_line(version)));
            // What is there is the result, as after a change: scripts read it.
            p.data(verlink);
        }
        RotateEvent::FewCopies { full, wanted, link } => p.say(
            Tone::Warn,
            &format!("Only {full} of {wanted} hold it: keep it available with `bosc seed {link}`"),
        ),
        RotateEvent::Command { command } => p.say(Tone::Plain, &format!("$ {}", one_line(command))),
        RotateEvent::Provisioned { verlink, .. } => {
            p.say(Tone::Good, "Provisioned:");
            p.data(verlink);
        }
        RotateEvent::NextStep(step) => next_step(p, step),
        RotateEvent::Hop { verlink, version, upgrade, .. } => {
            let version = one_line(version.as_deref().unwrap_or_default());
            p.data(&format!("{verlink} {version} -> {}", one_line(upgrade.as_deref().unwrap_or_default())));
        }
    }
}
