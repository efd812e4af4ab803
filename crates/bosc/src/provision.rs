//! `bosc provision` for people: its request, its lines and what it ends with.

use crate::args;
use crate::printer::{Printer, Tone, bytes};
use bosc_release::command::{self, Request};
use bosc_release::error::CommandError;
use serde_json::Value;

/// The request of these arguments. `seconds` turns a number of seconds into milliseconds.
pub(crate) fn request(
    a: &args::Provision,
    seconds: impl Fn(f64) -> Result<u64, CommandError>,
) -> Result<Request, CommandError> {
    let cooldown = if a.yes { 0.0 } else { a.cooldown };
    Ok(Request::Provision(command::Provision {
        newest: a.newest,
        source: a.source.clone(),
        target: a.target.clone(),
        production: a.production.clone(),
        dry_run: a.dry_run,
        contiguous: a.contiguous,
        timeout_ms: seconds(a.timeout)?,
        cooldown_ms: seconds(cooldown)
            .map_err(|_| CommandError::input("--cooldown takes a number of seconds"))?,
    }))
}

/// Prints an event of its own; `false` for those that other commands have too.
pub(crate) fn line(p: &Printer, tag: &str, data: &Value) -> bool {
    let text = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or_default();
    let number = |key: &str| data.get(key).and_then(Value::as_u64).unwrap_or(0);
    match tag {
        "syncing" => p.say(Tone::Plain, &format!("Comparing the target with production's {}", text("type"))),
        "blocks" | "copying" => p.detail(&format!(
            "{} {}: {} of {} blocks",
            if tag == "blocks" { "production's" } else { "copied" },
            text("type"),
            number("targetLength"),
            number("productionLength")
        )),
        "synced" => p.detail(&format!("production's {} is here", text("type"))),
        "diffing" => p.say(Tone::Plain, "Comparing the source with production"),
        "diffed" => {
            let changes = number("changes") + number("fields");
            p.say(Tone::Plain, &format!("Version {}: {changes} changes", text("semver")));
        }
        "warning" => p.say(Tone::Warn, &format!("warning: {}", text("message"))),
        "cooldown" => p.say(
            Tone::Warn,
            &format!(
                "NOT A DRY RUN! The target is written to in {} s; Ctrl+C to stop",
                number("time").div_ceil(1000)
            ),
        ),
        "cooling" => p.say(Tone::Plain, &format!("{} ...", number("left"))),
        "staging" if data.is_null() => p.say(Tone::Plain, "Writing to the target"),
        "writing" => p.detail(&format!("{} of {} files", number("files"), number("of"))),
        "staged" => p.say(
            Tone::Good,
            &format!(
                "{} changes written: {} new, {} already there",
                number("changes"),
                bytes(number("newBytes")),
                bytes(number("sharedBytes"))
            ),
        ),
        "unsetting" => p.say(Tone::Plain, &format!("Field {} taken out", text("field"))),
        "setting" => p.say(Tone::Plain, &format!("Field {} set", text("field"))),
        _ => return false,
    }
    true
}

/// What it ends with: the verlink on stdout.
pub(crate) fn done(p: &Printer, data: &Value) {
    let target = |key: &str| {
        data.get("target").and_then(|t| t.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    if data.get("changes").and_then(Value::as_u64) == Some(0) {
        p.say(Tone::Good, "The target equals the source");
    }
    p.say(Tone::Good, "Provisioned:");
    p.data(&target("verlink"));
    p.say(Tone::Plain, &format!("Hashlink: {}", target("hashlink")));
    p.say(Tone::Plain, &format!("Next: bosc seed {}", target("link")));
}
