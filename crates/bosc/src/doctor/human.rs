//! `doctor` as people read it.

use crate::plain::{Tone, one_line};
use crate::printer::Printer;
use bosc_release::doctor::event::DoctorEvent;
use bosc_release::doctor::nat::{NatKind, NatSeen};
use bosc_release::doctor::{Client, Finding, Level};

pub(crate) fn doctor(p: &Printer, event: &DoctorEvent) {
    match event {
        DoctorEvent::Doctor(of) => {
            let version =
                of.version.as_deref().filter(|v| !v.is_empty()).map_or("no version".to_owned(), one_line);
            p.data_row(&of.link, &format!("{version}, length {}, fork {}", of.length, of.fork));
        }
        DoctorEvent::Platform(_) => {}
        DoctorEvent::Finding(found) => finding(p, found),
        DoctorEvent::Client(judged) => client(p, judged),
        DoctorEvent::Nat(seen) => nat(p, seen),
    }
}

fn finding(p: &Printer, found: &Finding) {
    let (tone, mark) = match found.level {
        Level::Ok => (Tone::Good, "ok  "),
        Level::Warn => (Tone::Warn, "warn"),
        Level::Bad => (Tone::Bad, "bad "),
    };
    p.data_marked(tone, mark, &format!("{}: {}", found.check, one_line(&found.message)));
    next_step(p, found.next.as_deref());
}

fn nat(p: &Printer, seen: &NatSeen) {
    let (tone, mark) = match seen.nat {
        NatKind::Open | NatKind::Consistent => (Tone::Plain, "    "),
        _ => (Tone::Warn, "note"),
    };
    let at = seen.address.as_deref().map_or(String::new(), |a| format!(" ({})", one_line(a)));
    p.data_marked(tone, mark, &format!("network: {}{at}", one_line(&seen.message)));
    next_step(p, seen.next.as_deref());
}

/// Below what it is about.
fn next_step(p: &Printer, next: Option<&str>) {
    if let Some(next) = next {
        p.data_marked(Tone::Plain, "      ", &format!("next: {}", one_line(next)));
    }
}

fn client(p: &Printer, judged: &Client) {
    let who = judged.version.as_deref().filter(|v| !v.is_empty());
    let who = who.map_or("A client".to_owned(), |v| format!("A client at {}", one_line(v)));
    let on = judged.platform.as_deref().filter(|on| !on.is_empty());
    let on = on.map_or(String::new(), |on| format!(" on {}", one_line(on)));
    let (tone, verb) = if judged.updates { (Tone::Good, "updates") } else { (Tone::Bad, "does not update") };
    p.data_parts(&[(Tone::Plain, &format!("{who}{on} ")), (tone, verb)]);
    for why in &judged.why {
        p.data_marked(Tone::Plain, "      ", &one_line(why));
    }
}
