//! Events of `publish`, `line` and `rotate` as lines for people.

use crate::plain::one_line;
use crate::printer::{Printer, Tone};
use serde_json::Value;

/// Prints an event. False: it is none of ours.
pub(crate) fn line(p: &Printer, tag: &str, data: &Value) -> bool {
    let text = |k: &str| one_line(data.get(k).and_then(Value::as_str).unwrap_or_default());
    let number = |k: &str| data.get(k).and_then(Value::as_u64).unwrap_or(0);
    match tag {
        "publishing" => p.say(
            Tone::Plain,
            &format!("Publishing {} {} to {}", text("name"), text("version"), text("link")),
        ),
        "minted" => {
            p.say(Tone::Good, &format!("New link {} written to {}", text("link"), text("file")));
            if data.get("artifacts").and_then(Value::as_bool).unwrap_or(false) {
                p.say(
                    Tone::Warn,
                    "The applications were built before the link was known: build them again, so that they follow it",
                );
            }
        }
        "unchanged" => {
            p.say(Tone::Good, &format!("Nothing changed: {} holds {}", text("verlink"), text("version")));
            // What is there is the result, as after a change: scripts read it.
            p.data(&text("verlink"));
        }
        "copies" => p.say(
            Tone::Plain,
            &format!("{} of {} hold it whole ({} peers)", number("full"), number("wanted"), number("peers")),
        ),
        "few-copies" => p.say(
            Tone::Warn,
            &format!(
                "Only {} of {} hold it: keep it available with `bosc seed {}`",
                number("full"),
                number("wanted"),
                text("link")
            ),
        ),
        "mirror" => p.say(Tone::Plain, &format!("The mirror has length {}", number("length"))),
        "mirrored" => p.say(Tone::Good, &format!("The mirror has length {} now", number("length"))),
        "waiting" => p.say(Tone::Plain, "Waiting for another run that publishes to this link"),
        "unguarded" => p.say(
            Tone::Warn,
            "Other runs could not be looked for in time: see that none publishes to this link at the same moment",
        ),
        "unproved-peer" => p.say(
            Tone::Warn,
            &format!(
                "Peer {} says that it has length {} and cannot prove it: not believed",
                text("peer"),
                number("length")
            ),
        ),
        "learning" => p.say(Tone::Plain, "Asking peers for the newest version"),
        "learned" => p.say(
            Tone::Good,
            &match text("from").as_str() {
                "peers" => {
                    let peers = number("peers");
                    let who =
                        if peers == 1 { "1 peer holds".to_owned() } else { format!("{peers} peers hold") };
                    format!("Newest length {}, as {who} it", number("length"))
                }
                "mirror" => format!("Newest length {}, as the mirror holds it", number("length")),
                _ => "Nobody has anything of it: this is its first release".to_owned(),
            },
        ),
        "fetching" => p.say(Tone::Plain, &format!("Fetching {}", text("link"))),
        "snapshot" => p.say(Tone::Good, &format!("{} says length {} now", text("file"), number("length"))),
        "line" => release_line(p, data),
        "ahead" => {
            let than = match text("than") {
                than if than.is_empty() => "nothing".to_owned(),
                than => than,
            };
            p.say(
                Tone::Warn,
                &format!(
                    "{} is ahead of {} ({} after {than}): {}",
                    text("line"),
                    text("of"),
                    text("version"),
                    text("next")
                ),
            );
        }
        "line-added" => {
            p.data(format!("{:<12} {:<10} {}", text("name"), text("kind"), text("link")).trim_end())
        }
        "line-removed" => {
            p.say(
                Tone::Good,
                &format!("{} is no line any more; its link stays: {}", text("name"), text("link")),
            );
        }
        "promoting" => p.say(
            Tone::Plain,
            &format!("{} {} from {} to {}", text("version"), text("source"), text("from"), text("to")),
        ),
        "command" => p.say(Tone::Plain, &format!("$ {}", text("command"))),
        "promoted" => {
            p.say(Tone::Good, &format!("{} holds {}", text("line"), text("version")));
            p.data(&text("verlink"));
        }
        "provisioned" => {
            p.say(Tone::Good, "Provisioned:");
            p.data(&text("verlink"));
        }
        "next-step" => p.data(&format!(
            "{}. {}: {}   # {}",
            number("number"),
            text("who"),
            text("command"),
            text("text")
        )),
        "notice" => {
            p.say(Tone::Warn, &format!("note: {}", text("message")));
            p.say(Tone::Plain, &format!("  next: {}", text("next")));
        }
        "rotating" => p.say(Tone::Plain, &format!("Moving followers of {} to {}", text("old"), text("new"))),
        "condition" => {
            let (tone, word) = match data.get("ok").and_then(Value::as_bool) {
                Some(true) => (Tone::Good, "ok"),
                _ => (Tone::Bad, "no"),
            };
            p.say(tone, &format!("{word:<3} {}: {}", text("name"), text("detail")));
        }
        "hop" => p.data(&format!("{} {} -> {}", text("verlink"), text("version"), text("upgrade"))),
        _ => return false,
    }
    true
}

/// One line of the table.
fn release_line(p: &Printer, data: &Value) {
    let text = |k: &str| one_line(data.get(k).and_then(Value::as_str).unwrap_or("-"));
    let length = data.get("length").and_then(Value::as_u64).map_or("-".to_owned(), |n| n.to_string());
    let seeders = |k: &str| data.get("seeders").and_then(|s| s.get(k)).and_then(Value::as_u64).unwrap_or(0);
    p.data(&format!(
        "{:<12} {:<10} {:<14} length {:<7} {}/{} copies  {:<8} {}",
        text("name"),
        text("kind"),
        text("version"),
        length,
        seeders("full"),
        seeders("wanted"),
        text("state"),
        text("verlink"),
    ));
}
