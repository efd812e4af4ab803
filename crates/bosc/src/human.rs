//! Events as lines for people.

use crate::plain::one_line;
use crate::printer::{Printer, Tone, bytes};
use serde_json::Value;

/// Prints the events of one command. Under `--json` they go out as they are.
pub(crate) struct Human<'a> {
    printer: &'a Printer,
    table: Option<indicatif::ProgressBar>,
    last_stats: String,
    raw_files: bool,
}

impl<'a> Human<'a> {
    /// `live`: draw a table or bar in place on a terminal. `raw_files`: `file` events carry contents for stdout.
    pub(crate) fn new(printer: &'a Printer, live: bool, raw_files: bool) -> Self {
        let table = (live && printer.shows_progress()).then(|| {
            let bar = indicatif::ProgressBar::new_spinner();
            bar.enable_steady_tick(std::time::Duration::from_millis(250));
            bar
        });
        Self { printer, table, last_stats: String::new(), raw_files }
    }

    /// Takes the live table off the terminal.
    pub(crate) fn finish(&mut self) {
        if let Some(t) = self.table.take() {
            t.finish_and_clear();
        }
    }

    /// Prints one event.
    pub(crate) fn event(&mut self, tag: &str, data: &Value) {
        if self.printer.is_json() {
            self.printer.json(tag, data);
            return;
        }
        match self.table.clone() {
            Some(t) => t.suspend(|| self.line(tag, data)),
            None => self.line(tag, data),
        }
    }

    fn line(&mut self, tag: &str, data: &Value) {
        let p = self.printer;
        if crate::provision::line(p, tag, data) {
            return;
        }
        match tag {
            "staging" => p.say(
                Tone::Plain,
                &format!("Staging {} into {}", one_line(text(data, "name")), text(data, "link")),
            ),
            "dry" => p.say(Tone::Warn, "Dry run: nothing is written"),
            "byte-diff" => p.data(&self.diff(data)),
            "summary" => p.say(
                Tone::Plain,
                &format!(
                    "{} files: {} added, {} changed, {} removed",
                    number(data, "files"),
                    number(data, "add"),
                    number(data, "change"),
                    number(data, "remove")
                ),
            ),
            "skipping" => p.say(Tone::Warn, &format!("Not staged: {}", one_line(text(data, "reason")))),
            "complete" => p.say(Tone::Good, "Staging complete"),
            "addendum" => {
                p.say(Tone::Plain, &format!("Latest: {}", number(data, "version")));
                p.data(text(data, "verlink"));
                p.say(Tone::Plain, &format!("Next: bosc seed {}", text(data, "link")));
            }
            "seeding" => p.say(Tone::Plain, &format!("Seeding {}", text(data, "link"))),
            "announced" => p.say(Tone::Good, "Announced: others can find it now"),
            "key" => p.detail(&format!("content key {}", data.as_str().unwrap_or_default())),
            "peer-add" => p.say(Tone::Plain, &format!("peer joined {}", data.as_str().unwrap_or_default())),
            "peer-remove" => p.say(Tone::Plain, &format!("peer left {}", data.as_str().unwrap_or_default())),
            "peer-sync" => {
                p.say(Tone::Good, &format!("peer has everything {}", data.as_str().unwrap_or_default()));
            }
            "append" => p.say(Tone::Good, &format!("New version: length {}", number(data, "length"))),
            "stats" => self.stats(data),
            "retrieving" => p.detail(&format!("Looking for {}", text(data, "z32"))),
            "empty" => p.data("[ Empty ]"),
            "keys" => {
                for (label, key) in
                    [("key", "project"), ("content key", "content"), ("discovery key", "discovery")]
                {
                    if let Some(v) = data.get(key).and_then(Value::as_str) {
                        p.data(&format!("{label:<14} {}", one_line(v)));
                    }
                }
            }
            "info" => self.info(data),
            "multisig" => {
                let keys: Vec<&str> = data
                    .get("publicKeys")
                    .and_then(Value::as_array)
                    .map_or(Vec::new(), |a| a.iter().filter_map(Value::as_str).collect());
                p.data(&format!("{:<14} {} of {}", "quorum", number(data, "quorum"), keys.len()));
                for k in keys {
                    p.data(&format!("{:<14} {k}", "signer"));
                }
            }
            "manifest" => p.data(
                &serde_json::to_string_pretty(data.get("manifest").unwrap_or(&Value::Null))
                    .unwrap_or_default(),
            ),
            "dumping" => {
                p.say(Tone::Plain, &format!("Dumping {} to {}", text(data, "link"), text(data, "dir")));
            }
            "file" => self.file(data),
            "step" => p.data(text(data, "text")),
            _ if crate::release::human_line(p, tag, data) => {}
            _ if crate::tools::human_line(p, tag, data) => {}
            _ => p.detail(&format!("{tag} {data}")),
        }
    }

    fn file(&self, data: &Value) {
        if self.raw_files {
            if let Some(v) = data.get("value").and_then(Value::as_str) {
                self.printer.raw(v.as_bytes());
            } else if let Some(v) = data.get("base64").and_then(Value::as_str)
                && let Ok(b) = data_encoding::BASE64.decode(v.as_bytes())
            {
                self.printer.raw(&b);
            }
        } else {
            self.printer.data(text(data, "key"));
        }
    }

    pub(crate) fn diff(&self, data: &Value) -> String {
        let (tone, mark) = match data.get("type").and_then(Value::as_i64) {
            Some(1) => (Tone::Good, "+"),
            Some(-1) => (Tone::Bad, "-"),
            _ => (Tone::Warn, "~"),
        };
        let sizes: Vec<String> = data
            .get("sizes")
            .and_then(Value::as_array)
            .map(|a| {
                a.iter()
                    .filter_map(Value::as_i64)
                    .map(|n| format!("{}{}", if n < 0 { "-" } else { "+" }, bytes(n.unsigned_abs())))
                    .collect()
            })
            .unwrap_or_default();
        let sizes = if sizes.is_empty() { String::new() } else { format!(" ({})", sizes.join(", ")) };
        format!("{} {}{sizes}", self.printer.mark(tone, mark), one_line(text(data, "message")))
    }

    fn info(&self, data: &Value) {
        let p = self.printer;
        for (label, key) in [
            ("link", "link"),
            ("verlink", "verlink"),
            ("name", "name"),
            ("product name", "productName"),
            ("version", "version"),
            ("upgrade", "upgrade"),
        ] {
            if let Some(v) = data.get(key).and_then(Value::as_str) {
                p.data(&format!("{label:<14} {}", one_line(v)));
            }
        }
        p.data(&format!("{:<14} {}", "length", number(data, "length")));
        p.data(&format!("{:<14} {}", "fork", number(data, "fork")));
        if let Some(n) = data.get("byteLength").and_then(Value::as_u64) {
            p.data(&format!("{:<14} {}", "metadata", bytes(n)));
        }
        if let Some(n) = data.get("blobs").and_then(|b| b.get("byteLength")).and_then(Value::as_u64) {
            p.data(&format!("{:<14} {}", "content", bytes(n)));
        }
        if let Some(w) = data.get("writable").and_then(Value::as_bool) {
            p.data(&format!("{:<14} {}", "writable here", if w { "yes" } else { "no" }));
        }
    }

    fn stats(&mut self, data: &Value) {
        let speed =
            |k: &str, f: &str| data.get(k).and_then(|d| d.get(f)).and_then(Value::as_f64).unwrap_or(0.0);
        let line = format!(
            "{} peers, length {}, up {} ({}/s), down {} ({}/s)",
            number(data, "peers"),
            number(data, "driveLength"),
            bytes(speed("upload", "totalBytes") as u64),
            bytes(speed("upload", "speed") as u64),
            bytes(speed("download", "totalBytes") as u64),
            bytes(speed("download", "speed") as u64),
        );
        if let Some(t) = &self.table {
            t.set_message(line);
        } else if line != self.last_stats {
            self.printer.say(Tone::Plain, &line);
            self.last_stats = line;
        }
    }
}

fn text<'v>(data: &'v Value, key: &str) -> &'v str {
    data.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(data: &Value, key: &str) -> u64 {
    data.get(key).and_then(Value::as_u64).unwrap_or(0)
}
