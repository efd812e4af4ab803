//! `cores` as people read it.

use crate::printer::{Printer, bytes};
use bosc_release::cores::event::CoresEvent;

pub(crate) fn cores(p: &Printer, event: &CoresEvent) {
    let CoresEvent::Core(core) = event;
    let own = if core.writable { "writable" } else { "" };
    let (have, length, size) = (core.blocks, core.length, bytes(core.bytes));
    p.data(format!("{} {:<5} {have}/{length} blocks {size} {own}", core.link, core.kind).trim_end());
}
