//! `line` as people read it.

use crate::human::link::update_cost;
use crate::plain::{Tone, one_line};
use crate::printer::Printer;
use bosc_release::line::{LineEvent, LineShown, Step};

/// Prints an event of `line`.
pub(crate) fn line(p: &Printer, event: &LineEvent) {
    match event {
        LineEvent::Line(line) => release_line(p, line),
        LineEvent::Ahead { line, of, version, than, next } => {
            let than = than.as_deref().filter(|than| !than.is_empty()).unwrap_or("nothing");
            let version = version.as_deref().unwrap_or_default();
            p.say(
                Tone::Warn,
                &one_line(&format!("{line} is ahead of {of} ({version} after {than}): {next}")),
            );
        }
        LineEvent::LineAdded(line) => {
            let (name, kind) = (one_line(&line.name), line.kind.name());
            let link = one_line(line.link.as_deref().unwrap_or_default());
            p.data(format!("{name:<12} {kind:<10} {link}").trim_end());
        }
        LineEvent::LineRemoved(line) => {
            let link = one_line(line.link.as_deref().unwrap_or_default());
            let name = one_line(&line.name);
            p.say(Tone::Good, &format!("{name} is no longer a line; its link stays: {link}"));
        }
        LineEvent::Notice(notice) => {
            p.say(Tone::Warn, &format!("note: {}", one_line(&notice.message)));
            p.say(Tone::Plain, &format!("  next: {}", one_line(&notice.next)));
        }
        LineEvent::Promoting { from, to, source, version, .. } => {
            let version = version.as_deref().unwrap_or_default();
            p.say(Tone::Plain, &one_line(&format!("{version} {source} from {from} to {to}")));
        }
        LineEvent::Command { command } => p.say(Tone::Plain, &format!("$ {}", one_line(command))),
        LineEvent::NextStep(step) => next_step(p, step),
        LineEvent::Promoted(now) => {
            let version = now.version.as_deref().unwrap_or_default();
            p.say(Tone::Good, &one_line(&format!("{} holds {version}", now.line)));
            p.data(&now.verlink);
        }
    }
}

pub(crate) fn next_step(p: &Printer, step: &Step) {
    let (command, text) = (one_line(&step.command), one_line(&step.text));
    p.data(&format!("{}. {}: {command}   # {text}", step.number, step.who));
}

/// One line of the table.
fn release_line(p: &Printer, line: &LineShown) {
    let length = line.length.map_or("-".to_owned(), |n| n.to_string());
    let row = format!(
        "{:<12} {:<10} {:<14} length {:<7} {}/{} copies  {:<8}",
        one_line(&line.declared.name),
        line.declared.kind.name(),
        one_line(line.version.as_deref().unwrap_or("-")),
        length,
        line.seeders.full,
        line.seeders.wanted,
        line.state.name(),
    );
    p.data_row(&row, line.verlink.as_deref().unwrap_or("-"));
    for cost in &line.updates {
        p.data_words(&format!("{:<12} update of {}", "", update_cost(cost)), 15);
    }
}
