//! What `bosc multisig` tells people.

use crate::human::Human;
use crate::plain::one_line;
use crate::printer::{Printer, Tone, bytes};
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_format::signing::Request;
use bosc_release::error::CommandError;
use serde_json::{Value, json};

/// Prints the events of one command; under `--json` as they are.
pub(super) struct Talk<'a> {
    printer: &'a Printer,
    rest: Human<'a>,
}

fn text<'v>(data: &'v Value, key: &str) -> &'v str {
    data.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(data: &Value, path: &[&str]) -> u64 {
    path.iter().try_fold(data, |d, k| d.get(k)).and_then(Value::as_u64).unwrap_or(0)
}

impl<'a> Talk<'a> {
    pub(super) fn new(printer: &'a Printer) -> Self {
        Self { printer, rest: Human::new(printer, false, false) }
    }

    pub(super) fn finish(&mut self) {
        self.rest.finish();
    }

    pub(super) fn event(&mut self, tag: &str, data: &Value) {
        if self.printer.is_json() {
            self.printer.json(tag, data);
            return;
        }
        let p = self.printer;
        let say = |line: &str| p.say(Tone::Plain, line);
        match tag {
            "multisigging" => {
                let verb =
                    if data.get("dryRun") == Some(&Value::Bool(true)) { "Verifying" } else { "Committing" };
                let count = data.get("responses").and_then(Value::as_array).map_or(0, Vec::len);
                say(&format!("{verb} a request with {count} responses"));
            }
            "target-unknown" => p.say(
                Tone::Warn,
                "No peer that has any of production answered: checked as its first release; to commit it as such, add --first-commit",
            ),
            "signatures" => {
                say(&format!("Quorum: {} / {}", number(data, &["valid"]), number(data, &["quorum"])));
                for r in data.get("responses").and_then(Value::as_array).into_iter().flatten() {
                    let (tone, verdict) = match text(r, "verdict") {
                        "valid" => (Tone::Good, "signed"),
                        "duplicate" => (Tone::Warn, "signed twice, counts once"),
                        "other-request" => (Tone::Bad, "signed another request"),
                        "unknown-signer" => (Tone::Bad, "is not a signer"),
                        _ => (Tone::Bad, "gave an invalid signature"),
                    };
                    p.say(tone, &format!("  {} {verdict}", text(r, "publicKey")));
                }
            }
            "getting-src-blobs" => say("Getting the source blobs..."),
            "verify-db-requestable-start" => say("Verifying the db core is requestable..."),
            "getting-blobs-length" => say("Getting the blobs length..."),
            "verify-blobs-requestable-start" => say("Verifying the blobs core is requestable..."),
            "creating-drive" => say("Creating the request..."),
            "verify-committable-start" => say(&format!(
                "Verifying safe to commit (source {} to multisig target {})",
                text(data, "srcKey"),
                text(data, "dstKey")
            )),
            "target" => {
                match (number(data, &["length"]), data.get("firstCommit") == Some(&Value::Bool(true))) {
                    (_, true) => say("Production has no release yet"),
                    (length, false) => say(&format!("Production is at length {length}")),
                }
            }
            "not-first-commit" => p.say(
                Tone::Warn,
                &format!("Not the first commit: production is at length {}", number(data, &["length"])),
            ),
            "waiting" => say(&format!(
                "Waiting for full copies of the {}'s {} core: {} of {} ({} peers)",
                text(data, "for"),
                text(data, "core"),
                number(data, &["fullCopies"]),
                number(data, &["need"]),
                number(data, &["peers"])
            )),
            "download" | "commit-progress" => p.detail(&format!(
                "{} {}: {} of {} blocks",
                if tag == "download" { "fetching" } else { "copying" },
                text(data, "core"),
                number(data, &["blocks"]),
                number(data, &["of"])
            )),
            "commit-start" => {
                let dry = data.get("dryRun") == Some(&Value::Bool(true));
                say(if dry { "Verifying..." } else { "Committing..." });
            }
            "committed" => {
                let again = data.get("resumed") == Some(&Value::Bool(true));
                let what = if again { "Was committed before" } else { "Committed" };
                p.say(Tone::Good, &format!("{what}: length {}", number(data, &["length"])));
            }
            "verify-committed-start" => {
                say(&format!("Waiting for remote seeders to pick up the changes ({})", text(data, "key")));
                if data.get("firstCommit") == Some(&Value::Bool(true)) {
                    p.say(Tone::Warn, &format!(
                        "Make sure {} is seeded (bosc seed) on two other machines. Do not stop before they have it.",
                        text(data, "link")
                    ));
                }
            }
            "verify-committed" => say(&format!(
                "Full copies: db {}, blobs {} of {}",
                number(data, &["db", "fullCopies"]),
                number(data, &["blobs", "fullCopies"]),
                number(data, &["need"])
            )),
            "commit" => self.commit(data),
            // What is about to be signed is read by the person who is asked; stdout has the response alone.
            "byte-diff" => say(&self.rest.diff(data)),
            "file" => say(&format!("  {} ({})", text(data, "key"), bytes(number(data, &["size"])))),
            _ => self.rest.event(tag, data),
        }
    }

    fn commit(&self, data: &Value) {
        let p = self.printer;
        p.data(text(data, "verlink"));
        p.data(&format!("  {:<12} {}", "phase", text(data, "phase")));
        p.data(&format!("  {:<12} pear://{}", "source", text(data, "source")));
        for core in ["db", "blobs"] {
            p.data(&format!(
                "  {core:<12} {} of {} blocks here",
                number(data, &[core, "held"]).min(number(data, &[core, "length"])),
                number(data, &[core, "length"])
            ));
        }
        p.data(&format!("  {:<12} {}", "next", text(data, "next")));
    }
}

/// The end of `verify` and `commit`.
pub(super) fn committed(data: &Value, p: &Printer) {
    let dry = data.get("dryRun") == Some(&Value::Bool(true));
    p.say(
        Tone::Good,
        &format!("Quorum: {} / {}", number(data, &["quorum", "total"]), number(data, &["quorum", "amount"])),
    );
    if let Some(result) = data.get("result").filter(|_| !p.is_json()) {
        p.detail(&serde_json::to_string_pretty(result).unwrap_or_default());
    }
    p.say(
        if dry { Tone::Plain } else { Tone::Good },
        if dry { "Dry run: nothing was written" } else { "Committed" },
    );
    p.data(text(data, "verlink"));
    p.say(Tone::Plain, &format!("Next: bosc seed {}", text(data, "link")));
}

/// What is known of a request without any store.
pub(super) fn bare(request: &Request, why: &CommandError) -> Value {
    json!({
        "key": id::encode(&request.key()),
        "link": PearLink::new(request.key()).to_string(),
        "verlink": PearLink::verlink(request.key(), request.fork, request.length).to_string(),
        "length": request.length,
        "fork": request.fork,
        "treeHash": id::encode(&request.tree_hash),
        "blobs": request.content.map(|c| json!({ "length": c.length, "treeHash": id::encode(&c.tree_hash) })),
        "quorum": request.manifest.quorum,
        "signers": request.manifest.signers.iter().map(|s| id::encode(&s.public_key)).collect::<Vec<_>>(),
        "source": Value::Null,
        "production": { "known": false, "from": "unknown" },
        "compatible": Value::Null,
        "released": false,
        "content": {},
        "notes": [
            format!("The store could not be opened ({}), so neither the files nor production are known.", why.message()),
        ],
    })
}

/// What a signer is asked to sign.
pub(super) fn request(told: &Value, p: &Printer) {
    let line = |label: &str, value: &str| p.say(Tone::Plain, &format!("  {label:<16} {}", one_line(value)));
    p.say(Tone::Plain, "This request is for:");
    line("link", text(told, "link"));
    line("length", &number(told, &["length"]).to_string());
    line("fork", &number(told, &["fork"]).to_string());
    line("tree hash", text(told, "treeHash"));
    match told.get("blobs").filter(|b| b.is_object()) {
        Some(blobs) => {
            line("blobs length", &number(blobs, &["length"]).to_string());
            line("blobs tree hash", text(blobs, "treeHash"));
        }
        None => line("blobs", "none: this is a single core, not a drive"),
    }
    let signers = told.get("signers").and_then(Value::as_array).map_or(0, Vec::len);
    line("quorum", &format!("{} of {signers}", number(told, &["quorum"])));
    let content = told.get("content").cloned().unwrap_or(Value::Null);
    if !text(told, "source").is_empty() {
        line("source", text(told, "source"));
    }
    for (label, key) in [("name", "name"), ("version", "version"), ("upgrade", "upgrade")] {
        if !text(&content, key).is_empty() {
            line(label, text(&content, key));
        }
    }
    let production = told.get("production").cloned().unwrap_or(Value::Null);
    if production.get("known") == Some(&Value::Bool(true)) {
        let version = text(&content, "productionVersion");
        let version = if version.is_empty() { String::new() } else { format!(", version {version}") };
        line(
            "production",
            &match number(&production, &["length"]) {
                0 if text(&production, "from") == "empty-peers" => {
                    "no release yet, as far as those know who answered: they have none".to_owned()
                }
                0 => "no release yet".to_owned(),
                n => format!("length {n}{version} (from {})", text(&production, "from")),
            },
        );
    } else {
        p.say(Tone::Warn, &format!("  {:<16} not known", "production"));
    }
    if content.get("files").is_some() {
        let n = |k: &str| number(&content, &[k]);
        line("changes", &format!("{} added, {} changed, {} removed", n("add"), n("change"), n("remove")));
    }
    for note in told.get("notes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        p.say(Tone::Warn, &one_line(note));
    }
}
