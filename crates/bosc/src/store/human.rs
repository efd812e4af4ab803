//! `store` as people read it.

use crate::gc::human::part;
use crate::plain::Tone;
use crate::printer::{Printer, bytes};
use bosc_release::store::event::{Checked, DatabaseState, StoreEvent};

pub(crate) fn store(p: &Printer, event: &StoreEvent) {
    match event {
        StoreEvent::Checked(core) => checked(p, core),
        StoreEvent::Database { state: DatabaseState::Ok } => {}
        StoreEvent::Database { state: DatabaseState::Mended } => {
            p.say(Tone::Warn, "The database had a fault, which has been repaired");
        }
        StoreEvent::Database { state: DatabaseState::Damaged } => {
            p.say(Tone::Bad, "The database is damaged");
        }
        StoreEvent::Repaired { link, content, blocks, missing, .. } => {
            let missing = match missing {
                0 => String::new(),
                n => format!(", {n} still missing"),
            };
            p.data(&format!("{link} {}: {blocks} blocks repaired{missing}", part(*content)));
        }
    }
}

fn checked(p: &Printer, core: &Checked) {
    let bad = core.damaged > 0 || core.unreadable > 0;
    let (tone, mark) = if bad { (Tone::Bad, "bad ") } else { (Tone::Good, "ok  ") };
    let found = if bad {
        format!("{} blocks damaged, {} unreadable", core.damaged, core.unreadable)
    } else {
        format!("{} blocks, {}", core.blocks, bytes(core.bytes))
    };
    let text = format!(" {} {}: {found}", core.link, part(core.content));
    p.data_parts(&[(tone, mark), (Tone::Plain, &text)]);
}
