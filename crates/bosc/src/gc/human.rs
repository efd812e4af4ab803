//! `gc` as people read it.

use crate::lines::{dry, shown};
use crate::printer::Printer;
use bosc_release::gc::event::{GcEvent, Kept};

/// What a core of a drive holds.
pub(crate) fn part(content: bool) -> &'static str {
    if content { "content" } else { "entries" }
}

pub(crate) fn gc(p: &Printer, event: &GcEvent) {
    match event {
        GcEvent::Dry => dry(p),
        GcEvent::Cores { link, content, skipped, reason, blocks, .. } => {
            let note = match (skipped, reason.flatten()) {
                (false, _) => "",
                (true, None) => " (kept)",
                (true, Some(Kept::InUse)) => " (kept: in use)",
                (true, Some(Kept::InstalledFrom)) => " (kept: an application was installed from it)",
                (true, Some(Kept::Damaged)) => {
                    " (kept: some of it is damaged; `bosc store repair` fetches it from peers)"
                }
            };
            p.data(&format!("{link} {}: {blocks} blocks{note}", part(*content)));
        }
        GcEvent::Removed { file, .. } => p.data(&format!("- {}", shown(file))),
    }
}
