//! `monitor` as people read it.

use crate::lines::count;
use crate::log::human::statement;
use crate::plain::{Tone, one_line};
use crate::printer::Printer;
use bosc_release::monitor::event::{Compared, Finding, MonitorEvent, Monitored};

pub(crate) fn line(p: &Printer, event: &MonitorEvent) {
    match event {
        MonitorEvent::Monitoring { link, file, heads, statements } => {
            let known = format!("{} and {} known", count(*heads, "head"), count(*statements, "statement"));
            p.say(Tone::Plain, &format!("Monitoring {link} in {}: {known}", one_line(file)));
        }
        MonitorEvent::Torn { file, bytes } => {
            let line = format!(
                "{}: {} of a last record that was not whole left out",
                one_line(file),
                count(*bytes, "byte")
            );
            p.say(Tone::Warn, &line);
        }
        MonitorEvent::Head { core, fork, length, hash } => {
            p.data(&format!("{core} has length {length} of fork {fork}, hash {hash}"));
        }
        MonitorEvent::Said(of) => p.data(&statement(of)),
        MonitorEvent::Unanswered => p.say(Tone::Plain, "Nobody answered; looking again"),
        MonitorEvent::Finding(of) => p.say(Tone::Warn, &finding(of)),
    }
}

fn finding(of: &Finding) -> String {
    match of {
        Finding::Fork { core, fork, lengths: [a, b], hashes: [one, other] } => format!(
            "Two histories of the {core} core at fork {fork}: length {a} ({one}) and length {b} ({other})"
        ),
        Finding::CutBack { core, forks: [from, to], lengths: [a, b] } => {
            format!("The {core} core was cut back: fork {from}, length {a} became fork {to}, length {b}")
        }
        Finding::Signers { length, before, now } => {
            format!(
                "Length {length} was signed by {}; the head before by {}",
                now.join(", "),
                before.join(", ")
            )
        }
        Finding::Operators { before, now } => {
            let names = |all: &[String]| if all.is_empty() { "nobody".to_owned() } else { all.join(", ") };
            format!("Operators are {} now, and were {}", names(now), names(before))
        }
        Finding::Contradiction { operator, counter } => {
            format!("The operator {operator} said two things under the counter {counter}")
        }
        Finding::OtherHead { operator, length, hashes: [named, here] } => {
            format!("The operator {operator} names {named} at length {length}, and {here} is here")
        }
    }
}

/// What is said when a monitor ends with nothing found.
pub(crate) fn done(p: &Printer, of: &Monitored) {
    let line = format!(
        "Nothing contradicts {}: {}, {}",
        one_line(&of.file),
        count(of.heads, "head"),
        count(of.statements, "statement")
    );
    p.say(Tone::Good, &line);
}

/// What is said when two files agree.
pub(crate) fn compared(p: &Printer, of: &Compared) {
    let ([a, b], [c, d]) = (of.heads, of.statements);
    p.say(Tone::Good, &format!("Both show one history: {a} and {b} heads, {c} and {d} statements"));
}
