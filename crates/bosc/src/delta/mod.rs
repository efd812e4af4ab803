//! `bosc delta`: flags, request, what people read.

pub(crate) mod args;
pub(crate) mod human;

use crate::human::Human;
use crate::plain::{Tone, sentence};
use crate::printer::{Ended, Final, Printer, bytes};
use crate::values::absolute;
use args::Delta;
use bosc_release::command::Stop;
use bosc_release::delta::{self, Apply, Bench, Inspect, Make};
use bosc_release::event::Event;

pub(crate) fn delta(a: &Delta, printer: &Printer, stop: &Stop) -> Ended {
    let mut human = Human::new(printer, true, false);
    let ended = run(a, printer, &mut human, stop);
    human.finish();
    ended
}

fn run(a: &Delta, p: &Printer, human: &mut Human<'_>, stop: &Stop) -> Ended {
    let mut sink = |event: Event| human.event(&event);
    match a {
        Delta::Make(a) => {
            let (old, new) = (absolute(&a.old)?, absolute(&a.new)?);
            let request = Make { old, new, patch: absolute(&a.patch)?, force: a.force };
            let made = delta::make(&request, &mut sink, stop)?;
            let part = human::percent(made.bytes, made.new_bytes);
            let (size, path) = (bytes(made.bytes), made.patch.display());
            p.say(Tone::Good, &sentence(&format!("Wrote {path}: {size}, {part} of the new file")));
            Ok(Final::of(made))
        }
        Delta::Apply(a) => {
            let (old, patch) = (absolute(&a.old)?, absolute(&a.patch)?);
            let request = Apply { old, patch, new: absolute(&a.new)?, force: a.force };
            let applied = delta::apply(&request, &mut sink, stop)?;
            let (size, path) = (bytes(applied.bytes), applied.file.display());
            p.say(Tone::Good, &sentence(&format!("Wrote {path}: {size}, the file that the patch promises")));
            p.data(&format!("BLAKE2b-256 {}", applied.blake2b));
            Ok(Final::of(applied))
        }
        Delta::Inspect(a) => {
            let said = delta::inspect(&Inspect { patch: absolute(&a.patch)? })?;
            human::inspected(p, &said);
            Ok(Final::of(said))
        }
        Delta::Bench(a) => {
            let request = Bench { old: absolute(&a.old)?, new: absolute(&a.new)? };
            let measured = delta::bench(&request, &mut sink, stop)?;
            let part = human::percent(measured.bytes, measured.new_bytes);
            let seconds = human::seconds(measured.apply_ms);
            p.say(Tone::Good, &format!("The patch is {part} of the new file, and is applied in {seconds}"));
            Ok(Final::of(measured))
        }
    }
}
