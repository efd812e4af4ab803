//! `init` as people read it.

use crate::plain::{Tone, one_line};
use crate::printer::Printer;
use bosc_release::init::{BuildFound, ChangeKind, FileChanged, InitEvent};

pub(crate) fn line(p: &Printer, event: &InitEvent) {
    match event {
        InitEvent::Found { tool, package, name, version, upgrade, builds, .. } => {
            let what = [name.as_deref(), version.as_deref()].into_iter().flatten().map(one_line);
            let what: Vec<String> = what.collect();
            let what = if what.is_empty() { String::new() } else { format!("{}, ", what.join(" ")) };
            let from = package.as_deref().map_or(String::new(), |file| format!(" ({})", one_line(file)));
            p.say(Tone::Good, &format!("Found {what}{}{from}", tool.name()));
            for build in builds {
                p.say(Tone::Plain, &build_line(build));
            }
            if let Some(link) = upgrade {
                p.say(Tone::Plain, &format!("  link          {}", one_line(link)));
            }
        }
        InitEvent::Writes(of) => file(p, of),
        InitEvent::Kept { file, why } => {
            p.say(Tone::Warn, &format!("{} stays as it is: {}", one_line(file), one_line(why)));
        }
    }
}

fn build_line(build: &BuildFound) -> String {
    let not = if build.there { "" } else { "  (not built yet)" };
    format!("  {:<12}  {}{not}", one_line(&build.platform), one_line(&build.path))
}

/// A new file by its name; a change as a diff, so that a person decides by it.
fn file(p: &Printer, of: &FileChanged) {
    let name = one_line(&of.file);
    let (tone, mark) = match of.change {
        ChangeKind::Create => (Tone::Good, "new    "),
        ChangeKind::Edit => (Tone::Warn, "change "),
        ChangeKind::Replace => (Tone::Bad, "replace"),
    };
    p.say_parts(&[(tone, mark), (Tone::Plain, &format!(" {name}"))]);
    if of.change == ChangeKind::Create {
        return;
    }
    p.say(Tone::Plain, &format!("--- {name}"));
    p.say(Tone::Plain, &format!("+++ {name}"));
    for line in &of.diff {
        let tone = match line.chars().next() {
            Some('+') => Tone::Good,
            Some('-') => Tone::Bad,
            _ => Tone::Plain,
        };
        p.say(tone, line);
    }
}
