//! `gc` as people read it.

use crate::lines::{dry, shown};
use crate::printer::Printer;
use bosc_release::gc::event::GcEvent;

/// What a core of a drive holds.
pub(crate) fn part(content: bool) -> &'static str {
    if content { "content" } else { "entries" }
}

pub(crate) fn gc(p: &Printer, event: &GcEvent) {
    match event {
        GcEvent::Dry => dry(p),
        GcEvent::Cores { link, content, skipped, blocks, .. } => {
            let note = if *skipped { " (kept)" } else { "" };
            p.data(&format!("{link} {}: {blocks} blocks{note}", part(*content)));
        }
        GcEvent::Removed { file, .. } => p.data(&format!("- {}", shown(file))),
    }
}
