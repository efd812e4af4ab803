//! Events of the commands around the pipeline as lines for people.

use crate::plain::one_line;
use crate::printer::{Printer, Tone, bytes};
use serde_json::Value;

/// Prints an event. False: it is none of ours.
pub(crate) fn line(p: &Printer, tag: &str, data: &Value) -> bool {
    let text = |k: &str| one_line(data.get(k).and_then(Value::as_str).unwrap_or_default());
    let number = |k: &str| data.get(k).and_then(Value::as_u64).unwrap_or(0);
    let is = |k: &str| data.get(k).and_then(Value::as_bool).unwrap_or(false);
    match tag {
        "building" => p.say(
            Tone::Plain,
            &format!("Building {} {} from {}", text("name"), text("version"), text("package")),
        ),
        "executable" | "carried" => p.data(&format!("{} <- {}", text("file"), text("origin"))),
        "skipped" => p.say(Tone::Warn, &format!("left out {}: {}", text("path"), text("reason"))),
        "warning" => p.say(Tone::Warn, &format!("warning: {}: {}", text("file"), text("message"))),
        "no-changelog" => p.data("[ No Changelog ]"),
        "changelog" => {
            if number("index") > 0 {
                p.data("\n----\n");
            }
            // Of several lines.
            p.data(data.get("changelog").and_then(Value::as_str).unwrap_or_default());
        }
        "version" => {
            let mark = if is("released") { "*" } else { " " };
            let semver = data.get("semver").and_then(Value::as_str).map_or("-".to_owned(), one_line);
            p.data(&format!("{mark} {:>7}  {semver:<16} {}", number("length"), text("verlink")));
        }
        "core" => {
            let own = if is("writable") { "writable" } else { "" };
            let (have, length) = (number("blocks"), number("length"));
            let size = bytes(number("bytes"));
            p.data(
                format!("{} {:<5} {have}/{length} blocks {size} {own}", text("link"), text("kind"))
                    .trim_end(),
            );
        }
        "cores" => {
            let what = if is("content") { "content" } else { "entries" };
            let note = if is("skipped") { " (kept)" } else { "" };
            p.data(&format!("{} {what}: {} blocks{note}", text("link"), number("blocks")));
        }
        "removed" => p.data(&format!("- {}", text("file"))),
        "installing" => p.say(Tone::Plain, &format!("Looking for {} ({})", text("link"), text("host"))),
        "app" => p.say(
            Tone::Plain,
            &format!("Installing {} {} to {}", text("name"), text("version"), text("dest")),
        ),
        "path" => p.say(Tone::Warn, &format!("Add {} to PATH to run it by name", text("dir"))),
        "exported" => p.say(Tone::Plain, &format!("{} at length {}", text("link"), number("length"))),
        "imported" => {
            let note = if is("alreadyWritable") { ": this store writes to it already" } else { "" };
            p.say(Tone::Plain, &format!("{} from length {}{note}", text("link"), number("length")));
        }
        "checking" => {
            p.say(Tone::Plain, "The link's key is on other machines too: asking peers for its newest version")
        }
        "newest" => p.say(Tone::Good, &format!("Continuing {}", text("verlink"))),
        "doctor" => {
            let version = if text("version").is_empty() { "no version".to_owned() } else { text("version") };
            p.data(&format!(
                "{} {version}, length {}, fork {}",
                text("link"),
                number("length"),
                number("fork")
            ));
        }
        "platform" => {}
        "finding" => {
            let (tone, mark) = match data.get("level").and_then(Value::as_str) {
                Some("ok") => (Tone::Good, "ok  "),
                Some("warn") => (Tone::Warn, "warn"),
                _ => (Tone::Bad, "bad "),
            };
            p.data(&format!("{} {}: {}", p.mark(tone, mark), text("check"), text("message")));
            if data.get("next").is_some_and(Value::is_string) {
                p.data(&format!("       next: {}", text("next")));
            }
        }
        "client" => {
            let version = text("version");
            let who =
                if version.is_empty() { "A client".to_owned() } else { format!("A client at {version}") };
            let on =
                if text("platform").is_empty() { String::new() } else { format!(" on {}", text("platform")) };
            let (tone, verb) =
                if is("updates") { (Tone::Good, "updates") } else { (Tone::Bad, "does not update") };
            p.data(&format!("{who}{on} {}", p.mark(tone, verb)));
            for why in data.get("why").and_then(Value::as_array).into_iter().flatten() {
                p.data(&format!("       {}", one_line(why.as_str().unwrap_or_default())));
            }
        }
        _ => return false,
    }
    true
}
