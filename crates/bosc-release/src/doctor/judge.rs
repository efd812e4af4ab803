//! Judges a link itself: whether it is found, who writes, seeds and signs it.

use super::facts::Facts;
use super::finding::{AddFinding, Finding, Level, finding};
use super::{blind, release, rules};

/// Judges a link.
pub fn judge(f: &Facts) -> Vec<Finding> {
    use Level::{Bad, Ok, Warn};
    let mut out = Vec::new();
    let mut add = |check, level, message: String, next: &str| out.push(finding(check, level, message, next));
    if f.length == 0 {
        if f.writable || f.peers > 0 {
            add(
                "resolve",
                Bad,
                "the link exists and holds nothing yet".into(),
                "stage a folder: `bosc stage <link> <dir>`",
            );
        } else {
            add(
                "resolve",
                Bad,
                "no peer that has this link was found, and it is not in this store".into(),
                "check the link, and run `bosc seed <link>` where it was staged",
            );
        }
    } else {
        add("resolve", Ok, format!("the newest version is length {} of fork {}", f.length, f.fork), "");
    }
    write_access(f, &mut add);
    match &f.conflict {
        Some((heads, next)) => add("history", Bad, format!("the link has two histories: {heads}"), next),
        None if f.length > 0 && f.peers > 0 => {
            add("history", Ok, "no peer that was found has another history of the link".into(), "");
        }
        None => {}
    }
    blind::blind_peers(f, &mut add);
    if f.length == 0 {
        return out;
    }
    seeders(f, &mut add);
    if f.damaged > 0 {
        add(
            "damage",
            Bad,
            format!("{} blocks of it are damaged in this store: they are not given to others", f.damaged),
            "fetch them from peers: `bosc store repair <link>`; a running `bosc seed <link>` does it by itself",
        );
    }
    if f.fork > 0 {
        add(
            "fork",
            Warn,
            format!(
                "the link was cut back {} times: it can be followed, but a quorum can never sign it",
                f.fork
            ),
            "to release it, provision it to a fresh link first",
        );
    } else {
        add("fork", Ok, "the link was never cut back".into(), "");
    }
    if f.batch_end {
        add("batch", Ok, format!("length {} is a whole version", f.at), "");
    } else {
        add(
            "batch",
            Bad,
            format!("length {} lies inside a batch: it shows half of a stage", f.at),
            "use a length that `bosc versions <link>` shows",
        );
    }
    if f.signers > 1 {
        let message = format!("{} of {} signers must sign a release", f.quorum, f.signers);
        if f.quorum <= 1 {
            add("signers", Warn, message, "a single stolen key can release; use a quorum of at least 2");
        } else if f.quorum == f.signers as u64 {
            add(
                "signers",
                Warn,
                message,
                "one lost key ends the link; use a quorum below the number of signers",
            );
        } else {
            add("signers", Ok, message, "");
        }
    } else {
        add("signers", Ok, "one signer: a stage or provision link".into(), "");
    }
    release::package(f, &mut add);
    release::platforms(f, &mut add);
    release::files(f, &mut add);
    release::versions(f, &mut add);
    rules::rules(f, &mut add);
    out
}
fn write_access(f: &Facts, add: &mut AddFinding<'_>) {
    use Level::{Ok, Warn};
    if f.pending {
        add(
            "writable",
            Ok,
            "the link's key was imported here; the next stage fetches the newest version and writes on it"
                .into(),
            "",
        );
    } else if let (true, Some(why)) = (f.writable, &f.copied) {
        add(
            "writable",
            Warn,
            format!("this store can write to the link, and is a copy of another store: {why}"),
            "before every write a peer has to show the newest version, so keep the link seeded; when the other copy is no \
             longer in use, say so once with `--sole-copy`",
        );
    } else if f.writable && f.shared {
        add(
            "writable",
            Warn,
            "this store can write to the link, and its key was exported: another machine may write to it as well".into(),
            "let only one machine stage at a time, and keep the link seeded: every stage asks peers first",
        );
    } else if f.writable {
        add("writable", Ok, "this store can write to the link".into(), "");
    } else if f.signers > 1 {
        add("writable", Ok, "nobody can write to the link alone: its signers release together".into(), "");
    } else {
        add("writable", Ok, "this store cannot write to the link, only read and seed it".into(), "");
    }
}

fn seeders(f: &Facts, add: &mut AddFinding<'_>) {
    use Level::{Bad, Ok, Warn};
    let (db, blobs, both) = f.full;
    let text = format!("{both} peers hold everything ({} connected; db {db}, blobs {blobs})", f.peers);
    let text =
        if f.mirrors == 0 { text } else { format!("{text}; mirrors that have everything: {}", f.mirrors) };
    let copies = both + usize::from(f.seeding && f.here);
    match copies {
        0 if f.mirrors > 0 => add(
            "seeders",
            Warn,
            text,
            "clients that read the mirror update; for all others run `bosc seed <link>` on a machine that is always on",
        ),
        0 if f.here => add(
            "seeders",
            Bad,
            format!("{text}; this store has it all but does not seed it"),
            "run `bosc seed <link>` here and on a second machine that is always on",
        ),
        0 => add(
            "seeders",
            Bad,
            text,
            "run `bosc seed <link>` on the machine that staged it and on a second one, and let both finish",
        ),
        1 => add(
            "seeders",
            Warn,
            text,
            "seed it on one more machine that is always on: a release needs two full copies, and one can fail",
        ),
        _ => add("seeders", Ok, text, ""),
    }
}
