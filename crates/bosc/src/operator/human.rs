//! What an operator is about to say, and said, as people read it.

use crate::plain::{Tone, one_line};
use crate::policy::human::{about_version, called, percent, stands};
use crate::printer::Printer;
use bosc_release::policy::event::{Prepared, Stated, Unsaid};
use bosc_release::policy::shown::{HaltShown, VersionStanding};
use bosc_release::policy::span::date;

/// What will be signed, and what follows from it.
pub(crate) fn meaning(p: &Printer, of: &Prepared) {
    let newest =
        of.version.as_deref().map_or(String::new(), |v| format!(", where {} is the newest", one_line(v)));
    p.say(
        Tone::Plain,
        &format!(
            "{} (key {}) says about {}{newest}:",
            called(&of.operator),
            one_line(&of.key),
            one_line(of.manifest.as_ref().unwrap_or(&of.link))
        ),
    );
    match (&of.before, &of.after) {
        (Some(before), Some(after)) => effect(p, before, after),
        _ => {
            if let Some(newest) = &of.statement.newest {
                let at = date(of.statement.time);
                let what = match &of.manifest {
                    Some(_) => "this release".to_owned(),
                    None => format!("length {}", newest.length),
                };
                p.say(Tone::Good, &format!("  {what} is the newest, at {at}"));
            }
        }
    }
    let about = of.after.as_ref().map(|a| a.version.as_str());
    for version in of.statement.versions.iter().filter(|v| Some(v.version.as_str()) != about) {
        p.say(Tone::Plain, &format!("  as before: {}", about_version(version)));
    }
    for version in &of.dropped {
        p.say(Tone::Warn, &format!("  not repeated any more, for want of room: {}", about_version(version)));
    }
    if of.contradicted {
        p.say(Tone::Warn, "  two statements with one counter were found: the stricter of both is repeated");
    }
    let unsaid = match of.unsaid {
        None | Some(Unsaid::NoRight) => return,
        Some(Unsaid::NotVouched) => "no peer vouches for it",
        Some(Unsaid::Longer) => "an operator named a longer one than was found",
    };
    p.say(Tone::Warn, &format!("  it does not say which length is the newest: {unsaid}"));
}

fn effect(p: &Printer, before: &VersionStanding, after: &VersionStanding) {
    let version = one_line(&after.version);
    let tone = if after.halted_by.is_some() { Tone::Warn } else { Tone::Good };
    let was = if before == after { "as before".to_owned() } else { format!("before: {}", stands(before)) };
    let halts = if after.halted_by.is_some() { "" } else { "; halts nobody" };
    p.say(tone, &format!("  version {version} {}{halts} ({was})", now_stands(after)));
    if after.halted_by.is_some() {
        p.say(
            Tone::Plain,
            &format!("  those who have it on trial go back; once lifted it goes to {}", percent(after.share)),
        );
    }
}

fn now_stands(of: &VersionStanding) -> String {
    match (&of.halted_by, of.recalled) {
        (Some(_), true) => "goes to nobody more, and those who run it go back to the build before".to_owned(),
        (Some(_), false) => "goes to nobody more; those who run it keep it".to_owned(),
        (None, _) => format!("goes to {}", percent(of.share)),
    }
}

/// What became of it.
pub(crate) fn said(p: &Printer, of: &Stated) {
    let counter = of.statement.counter;
    let target = match &of.file {
        None => {
            let nodes = of.nodes;
            p.say(Tone::Good, &format!("Said: statement {counter}, kept by {nodes} DHT nodes and read back"));
            of.link.clone()
        }
        Some(file) => {
            p.say(Tone::Good, &format!("Said: statement {counter}, written into {}", one_line(file)));
            p.say(Tone::Plain, "Put that file on the server, beside the manifest");
            "MANIFEST".to_owned()
        }
    };
    let halted = of
        .statement
        .versions
        .iter()
        .find(|v| matches!(v.halt, Some(HaltShown::Halted | HaltShown::Recalled)));
    if let Some(version) = halted {
        p.say(
            Tone::Plain,
            &format!(
                "Clients see it with their next check. To take it back: bosc lift {} {}",
                target,
                one_line(&version.version)
            ),
        );
    } else {
        p.say(Tone::Plain, "Clients see it with their next check, within an hour");
    }
}
