//! Rules, and what operators say, as people read them.

use crate::plain::{Tone, one_line};
use crate::printer::Printer;
use bosc_release::clock::now;
use bosc_release::doctor::Level;
use bosc_release::policy::Share;
use bosc_release::policy::event::{Heard, OperatorShown, PolicyEvent, PolicyFinding, Stated};
use bosc_release::policy::shown::{
    AboutShown, FreshnessShown, HaltShown, OperatorNamed, PolicyShown, StatementShown, VersionStanding,
};
use bosc_release::policy::span::{about, date, span};
use serde_json::Value;

/// Prints an event of `policy` or of an operator.
pub(crate) fn line(p: &Printer, event: &PolicyEvent) {
    match event {
        PolicyEvent::Policy(of) => policy(p, of),
        PolicyEvent::NoPolicy { of } => p.say(
            Tone::Plain,
            &format!("{} has no rules (/release.json): every release goes to everybody", one_line(of)),
        ),
        PolicyEvent::Operator(of) => operator(p, of),
        PolicyEvent::Standing(of) => {
            let tone = if of.halted_by.is_some() { Tone::Warn } else { Tone::Plain };
            p.data_marked(tone, "  ", &format!("version {}: {}", one_line(&of.version), stands(of)));
        }
        PolicyEvent::Freshness(of) => freshness(p, of),
        PolicyEvent::PolicyFinding(found) => finding(p, found),
        PolicyEvent::FieldChanged { field, before, after } => {
            let shown = |value: &Value| match value {
                Value::Null => "nothing".to_owned(),
                value => one_line(&value.to_string()),
            };
            p.say(Tone::Plain, &format!("{}: {} -> {}", one_line(field), shown(before), shown(after)));
        }
        // Shown by who signs it, before it is signed: `crate::operator`.
        PolicyEvent::Statement(_) => {}
        PolicyEvent::Refreshed(of) => refreshed(p, of),
        PolicyEvent::RefreshFailed { message, hint, again, .. } => {
            let again = span(*again);
            p.say(Tone::Bad, &format!("Not refreshed: {}; tried again in {again}", one_line(message)));
            p.say(Tone::Plain, &one_line(hint));
        }
    }
}

fn policy(p: &Printer, of: &PolicyShown) {
    let version = of.version.as_deref().map_or(String::new(), |v| format!(", version {}", one_line(v)));
    p.say(Tone::Good, &format!("Rules of {}{version}: {}", one_line(&of.of), one_line(&of.meaning)));
    if !of.unknown.is_empty() {
        let names: Vec<_> = of.unknown.iter().map(|name| one_line(name)).collect();
        p.say(Tone::Warn, &format!("Fields that mean nothing here: {}", names.join(", ")));
    }
}

/// What people call an operator.
pub(crate) fn called(of: &OperatorNamed) -> String {
    match &of.name {
        Some(name) => one_line(name),
        None => of.key.chars().take(8).collect(),
    }
}

fn operator(p: &Printer, of: &OperatorShown) {
    let who = called(&of.operator);
    let (tone, said) = match (of.heard, &of.statement) {
        (Heard::Statement, Some(statement)) => {
            let ago = now().saturating_sub(statement.time);
            let when = format!("statement {}, {} ago", statement.counter, about(ago));
            (Tone::Plain, format!("{when}: {}", says(statement)))
        }
        (Heard::Foreign, _) => {
            (Tone::Bad, "its record is no statement about this link, and counts for nothing".to_owned())
        }
        (Heard::NoAnswer, _) => (Tone::Warn, "the DHT did not answer".to_owned()),
        _ => (Tone::Plain, "says nothing".to_owned()),
    };
    p.data_marked(tone, "  ", &format!("{who}: {said}"));
}

/// All that a statement says.
pub(crate) fn says(of: &StatementShown) -> String {
    let mut parts: Vec<String> = of.versions.iter().map(about_version).collect();
    parts.extend(of.newest.as_ref().map(|n| format!("length {} is the newest", n.length)));
    if parts.is_empty() { "nothing".to_owned() } else { parts.join("; ") }
}

/// What is said about a version.
pub(crate) fn about_version(of: &AboutShown) -> String {
    let mut parts = Vec::new();
    parts.extend(of.share.map(|share| format!("to {}", percent(share))));
    parts.extend(of.halt.map(|halt| {
        match halt {
            HaltShown::Lifted => "not halted any more",
            HaltShown::Halted => "halted",
            HaltShown::Recalled => "recalled",
        }
        .to_owned()
    }));
    format!("{} {}", one_line(&of.version), parts.join(", "))
}

/// Hundredths of a percent in words.
pub(crate) fn percent(hundredths: u16) -> String {
    match Share::from_hundredths(hundredths.into()) {
        Ok(share) if share.is_all() => "everybody".to_owned(),
        Ok(share) if share.is_none() => "nobody".to_owned(),
        Ok(share) => format!("{share} of installations"),
        Err(_) => "nobody knows how many".to_owned(),
    }
}

/// How a version stands.
pub(crate) fn stands(of: &VersionStanding) -> String {
    match &of.halted_by {
        Some(by) if of.recalled => format!("recalled by {}: those who run it go back", one_line(by)),
        Some(by) => format!("halted by {}: nobody installs it", one_line(by)),
        None => format!("goes to {}", percent(of.share)),
    }
}

fn freshness(p: &Printer, of: &FreshnessShown) {
    let Some(limit) = of.limit else { return };
    let said = match of.last {
        Some(last) => format!("said {} ago what is the newest", about(now().saturating_sub(last))),
        None => "nobody said what is the newest".to_owned(),
    };
    match of.until().filter(|_| !of.stale) {
        Some(until) => {
            p.data_marked(Tone::Good, "  ", &format!("fresh: {said}, good until {}", date(until)));
        }
        None => p.data_marked(
            Tone::Bad,
            "  ",
            &format!("STALE: {said}, and the limit is {}: clients install nothing", span(limit)),
        ),
    }
}

fn finding(p: &Printer, found: &PolicyFinding) {
    let (tone, mark) = match found.level {
        Level::Ok => (Tone::Good, "ok  "),
        Level::Warn => (Tone::Warn, "warn"),
        Level::Bad => (Tone::Bad, "bad "),
    };
    p.data_marked(tone, mark, &format!("{}: {}", one_line(&found.field), one_line(&found.message)));
    if let Some(next) = &found.next {
        p.data_marked(Tone::Plain, "      ", &format!("next: {}", one_line(next)));
    }
}

fn refreshed(p: &Printer, of: &Stated) {
    let length = of.statement.newest.as_ref().map_or(0, |n| n.length);
    p.say(
        Tone::Good,
        &format!(
            "Refreshed: length {length} is the newest (statement {}, at {} DHT nodes)",
            of.statement.counter, of.nodes
        ),
    );
}
