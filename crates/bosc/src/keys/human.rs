//! `keys` as people read it.

use crate::plain::{Tone, one_line};
use crate::printer::Printer;
use bosc_release::keys::event::KeysEvent;

pub(crate) fn keys(p: &Printer, event: &KeysEvent) {
    match event {
        KeysEvent::Exported { link, length, .. } => {
            p.say(Tone::Plain, &format!("{} at length {length}", one_line(link)));
        }
        KeysEvent::Imported { link, length, already_writable, .. } => {
            let note = if *already_writable { ": this store writes to it already" } else { "" };
            p.say(Tone::Plain, &format!("{link} from length {length}{note}"));
        }
    }
}
