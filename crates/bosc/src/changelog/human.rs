//! `changelog` as people read it.

use crate::printer::Printer;
use bosc_release::changelog::event::ChangelogEvent;

pub(crate) fn changelog(p: &Printer, event: &ChangelogEvent) {
    match event {
        ChangelogEvent::NoChangelog => p.data("[ No Changelog ]"),
        ChangelogEvent::Changelog { changelog, index, .. } => {
            if *index > 0 {
                p.data("\n----\n");
            }
            // Of several lines.
            p.data(changelog);
        }
    }
}
