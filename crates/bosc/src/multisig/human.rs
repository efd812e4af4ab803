//! What `bosc multisig` tells people.

use super::event::{OfRequest, SignedBefore, Signing};
use crate::lines::change;
use crate::plain::{Tone, one_line};
use crate::printer::{Printer, bytes};
use bosc_release::multisig::event::{
    CommitDone, CommitState, HeldCore, MultisigEvent, ReleaseContent, ToldBy, Verdict,
};
use serde_json::Value;

/// Prints an event.
pub(crate) fn line(p: &Printer, event: &MultisigEvent) {
    use bosc_release::multisig::event::MultisigEvent as E;
    let say = |line: &str| p.say(Tone::Plain, line);
    match event {
        E::Multisigging { responses, dry_run, .. } => {
            let verb = if *dry_run { "Verifying" } else { "Committing" };
            say(&format!("{verb} a request with {} responses", responses.len()));
        }
        E::TargetUnknown { .. } => p.say(
            Tone::Warn,
            "No peer that has any of production answered: checked as its first release; to commit it as such, add --first-commit",
        ),
        E::Signatures { quorum, valid, responses } => {
            say(&format!("Quorum: {valid} / {quorum}"));
            for r in responses {
                let (tone, verdict) = match r.verdict {
                    Verdict::Valid => (Tone::Good, "signed"),
                    Verdict::Duplicate => (Tone::Warn, "signed twice, counts once"),
                    Verdict::OtherRequest => (Tone::Bad, "signed another request"),
                    Verdict::UnknownSigner => (Tone::Bad, "is not a signer"),
                    Verdict::InvalidSignature => (Tone::Bad, "gave an invalid signature"),
                };
                p.say(tone, &format!("  {} {verdict}", r.public_key));
            }
        }
        E::GettingSrcBlobs => say("Getting the source blobs..."),
        E::VerifyDbRequestableStart => say("Verifying the db core is requestable..."),
        E::GettingBlobsLength => say("Getting the blobs length..."),
        E::VerifyBlobsRequestableStart => say("Verifying the blobs core is requestable..."),
        E::CreatingDrive => say("Creating the request..."),
        E::VerifyCommittableStart { src_key, dst_key } => {
            say(&format!("Verifying safe to commit (source {src_key} to multisig target {dst_key})"));
        }
        E::Target { first_commit: true, .. } => say("Production has no release yet"),
        E::Target { length, .. } => say(&format!("Production is at length {length}")),
        E::NotFirstCommit { length } => {
            p.say(Tone::Warn, &format!("Not the first commit: production is at length {length}"));
        }
        E::Waiting(w) => say(&format!(
            "Waiting for full copies of the {}'s {} core: {} of {} ({})",
            w.whose,
            w.core,
            w.full_copies,
            w.need,
            crate::lines::count(w.peers, "peer")
        )),
        E::Download { core, blocks, of, .. } => {
            p.detail(&format!("fetching {core}: {blocks} of {of} blocks"));
        }
        E::CommitProgress { core, blocks, of } => {
            p.detail(&format!("copying {core}: {blocks} of {of} blocks"));
        }
        E::CommitStart { dry_run, .. } => say(if *dry_run { "Verifying..." } else { "Committing..." }),
        E::Claiming { .. } => say("Claiming production, so that no other commit writes to it meanwhile"),
        E::Claimed { .. } => p.detail("production is claimed"),
        E::Unguarded(_) => p.say(
            Tone::Warn,
            "Other runs could not be looked for in time: see that none publishes to this link at the same moment",
        ),
        E::Journaled { .. } => p.detail("the commit is written down"),
        E::Committed { length, resumed, .. } => {
            let what = if *resumed { "Was committed before" } else { "Committed" };
            p.say(Tone::Good, &format!("{what}: length {length}"));
        }
        E::VerifyCommittedStart { first_commit, key, link } => {
            say(&format!("Waiting for remote seeders to pick up the changes ({key})"));
            if *first_commit {
                p.say(
                    Tone::Warn,
                    &format!(
                        "Make sure {link} is seeded (bosc seed) on two other machines. Do not stop before they have it."
                    ),
                );
            }
        }
        E::VerifyCommitted { db, blobs, need } => {
            say(&format!("Full copies: db {}, blobs {} of {need}", db.full_copies, blobs.full_copies));
        }
        E::Commit(state) => commit(p, state),
        // What is about to be signed is read by the person who is asked; stdout has the response alone.
        E::ByteDiff(diff) => {
            let (tone, mark, rest) = change(diff);
            p.say_parts(&[(tone, mark), (Tone::Plain, &rest)]);
        }
        E::File { key, size } => say(&format!("  {} ({})", one_line(key), bytes(*size))),
    }
}

fn commit(p: &Printer, state: &CommitState) {
    let phase = serde_json::to_value(state.phase).unwrap_or_default();
    p.data(&state.verlink);
    p.data(&format!("  {:<12} {}", "phase", phase.as_str().unwrap_or_default()));
    p.data(&format!("  {:<12} pear://{}", "source", state.source));
    for (core, HeldCore { length, held, .. }) in [("db", state.db), ("blobs", state.blobs)] {
        p.data(&format!("  {core:<12} {} of {length} blocks here", held.min(length)));
    }
    p.data(&format!("  {:<12} {}", "next", state.next));
}

/// The end of `verify` and `commit`.
pub(super) fn committed(done: &CommitDone, p: &Printer) {
    p.say(Tone::Good, &format!("Quorum: {} / {}", done.quorum.total, done.quorum.amount));
    p.detail(&serde_json::to_string_pretty(&done.result).unwrap_or_default());
    let next = match (done.dry_run, done.quorum.amount.saturating_sub(done.quorum.total)) {
        (false, _) => {
            p.say(Tone::Good, "Committed");
            format!("bosc seed {}", done.link)
        }
        (true, 0) => {
            p.say(Tone::Plain, "Dry run: nothing was written");
            "`bosc multisig commit` with the same arguments".to_owned()
        }
        // Nothing is released, so no link of a release is shown.
        (true, missing) => {
            p.say(Tone::Plain, "Dry run: nothing was written");
            let answers = if missing == 1 {
                "1 more response is".to_owned()
            } else {
                format!("{missing} more responses are")
            };
            p.say(Tone::Warn, &format!("{answers} needed before this can be committed"));
            p.say(Tone::Plain, "Next: send the request to other signers, who run `bosc multisig sign`");
            return;
        }
    };
    p.data(&done.verlink);
    p.say(Tone::Plain, &format!("Next: {next}"));
}

/// A field of package.json as it is shown: whatever it is, it is said. `none`: what is said when there is none.
fn field(value: &Value, none: &str) -> String {
    match value {
        Value::Null => none.to_owned(),
        Value::String(text) if !text.is_empty() => text.clone(),
        other => format!("{other} (not a text)"),
    }
}

/// What a signer is asked to sign.
pub(super) fn request(told: &Signing, p: &Printer) {
    let line = |label: &str, value: &str| p.say(Tone::Plain, &format!("  {label:<16} {}", one_line(value)));
    let warn = |label: &str, value: &str| p.say(Tone::Warn, &format!("  {label:<16} {}", one_line(value)));
    let OfRequest { says, request_hash, spoken, signed_before } = told.of_request();
    let (known, seen) = (told.known(), told.seen());
    p.say(Tone::Plain, "This request is for:");
    line("request", spoken);
    line("request hash", request_hash);
    line("link", &says.link);
    line("length", &says.length.to_string());
    line("fork", &says.fork.to_string());
    line("tree hash", &says.tree_hash);
    let blobs = says.blobs.as_ref();
    line("blobs length", &blobs.map_or(0, |b| b.length).to_string());
    line("blobs tree hash", blobs.map_or("", |b| &b.tree_hash));
    line("quorum", &format!("{} of {}", says.quorum, says.signers.len()));
    match signed_before {
        SignedBefore { last: Some(last), count, .. } => line(
            "signed before",
            &format!("{count} for this link; the last of length {}, request {}", last.length, last.spoken),
        ),
        SignedBefore { .. } => {
            warn("signed before", "nothing for this link with this key, as far as this machine remembers");
        }
    }
    if let Some(record) = &signed_before.record {
        warn("record", &format!("{record}, not the folder of the keys"));
        warn(
            "",
            "what this key signed as another record has it is not known here, and does not stop a second release",
        );
    }
    let nothing = ReleaseContent::default();
    let content = known.content.as_ref().unwrap_or(&nothing);
    if let Some(source) = &known.source {
        line("source", source);
        let none = if seen.inspected { "none" } else { "not known" };
        for (label, value) in
            [("name", &content.name), ("version", &content.version), ("upgrade", &content.upgrade)]
        {
            line(label, &field(value, none));
        }
        if content.upgrade.as_str() != Some(&says.link) {
            warn(
                "",
                "upgrade is not the link above: whoever has this release follows something else afterwards",
            );
        }
    }
    if known.production.known {
        let version = match &content.production_version {
            Value::Null => String::new(),
            version => format!(", version {}", field(version, "")),
        };
        line(
            "production",
            &match known.production.length.unwrap_or(0) {
                0 if known.production.from == ToldBy::EmptyPeers => {
                    "no release yet, as far as those know who answered: they have none".to_owned()
                }
                0 => "no release yet".to_owned(),
                n => format!("length {n}{version} (from {})", known.production.from),
            },
        );
    } else {
        warn("production", "not known");
    }
    if let Some(c) = &known.content {
        line("changes", &format!("{} added, {} changed, {} removed", c.add, c.change, c.remove));
    }
    for note in &known.notes {
        p.say(Tone::Warn, &one_line(note));
    }
}
