use super::*;
use crate::golden;
use serde_json::json;

fn version() -> DriveVersion {
    let core = |hash: Option<&str>| CoreVersion { id: "i".into(), length: 1, hash: hash.map(str::to_owned) };
    DriveVersion {
        core: core(Some("h")),
        blobs: Some(core(None)),
        link: "l".into(),
        verlink: "v".into(),
        hashlink: Some("hl".into()),
    }
}

const VERSION: &str = concat!(
    r#"{"core":{"id":"i","length":1,"hash":"h"},"blobs":{"id":"i","length":1,"hash":null},"#,
    r#""link":"l","verlink":"v","hashlink":"hl"}"#
);
const NONE: &str =
    r#"{"core":{"id":"i","length":1,"hash":"h"},"blobs":null,"link":"l","verlink":"v","hashlink":null}"#;

#[test]
fn events_have_the_names_that_others_read() {
    use ProvisionEvent as E;
    let diffed =
        format!(r#"{{"changes":1,"fields":2,"semver":"1.0.0","source":{VERSION},"target":{VERSION}}}"#);
    let copied = Copied { core: Which::Blobs, target_length: 1, production_length: 2 };
    let moved = |bytes| Moved { bytes, blocks: 1, total_bytes: bytes };
    golden::events(vec![
        (E::Syncing { core: Which::Db }, "syncing", r#"{"type":"metadata"}"#),
        (E::Blocks(copied), "blocks", r#"{"type":"blobs","targetLength":1,"productionLength":2}"#),
        (E::Synced { core: Which::Blobs }, "synced", r#"{"type":"blobs"}"#),
        (
            E::Stats(ProvisionStats {
                core: Which::Db,
                link: "l".into(),
                peers: 1,
                drive_length: 2,
                wanted: 3,
                download: moved(4),
                upload: moved(5),
            }),
            "stats",
            concat!(
                r#"{"type":"metadata","link":"l","peers":1,"driveLength":2,"wanted":3,"#,
                r#""download":{"bytes":4,"blocks":1,"totalBytes":4},"upload":{"bytes":5,"blocks":1,"totalBytes":5}}"#
            ),
        ),
        (E::Diffing, "diffing", "null"),
        (E::ByteDiff(ByteDiff::remove("/a", 1)), "byte-diff", r#"{"type":-1,"sizes":[-1],"message":"/a"}"#),
        (
            E::Diffed(Box::new(Diffed {
                changes: 1,
                fields: 2,
                semver: "1.0.0".into(),
                source: version(),
                target: version(),
            })),
            "diffed",
            &diffed,
        ),
        (
            E::Warning { code: ProvisionWarning::ProductionAhead, message: "m".into() },
            "warning",
            r#"{"code":"PRODUCTION_AHEAD","message":"m"}"#,
        ),
        (
            E::Warning { code: ProvisionWarning::VersionNotAbove, message: "m".into() },
            "warning",
            r#"{"code":"VERSION_NOT_ABOVE","message":"m"}"#,
        ),
        (
            E::Warning { code: ProvisionWarning::DraftsInTarget, message: "m".into() },
            "warning",
            r#"{"code":"DRAFTS_IN_TARGET","message":"m"}"#,
        ),
        (E::Dry, "dry", "null"),
        (E::Cooldown { time: 1 }, "cooldown", r#"{"time":1}"#),
        (E::Cooling { left: 1 }, "cooling", r#"{"left":1}"#),
        (E::Staging, "staging", "null"),
        (E::Copying(copied), "copying", r#"{"type":"blobs","targetLength":1,"productionLength":2}"#),
        (E::Writing { files: 1, of: 2, bytes: 3 }, "writing", r#"{"files":1,"of":2,"bytes":3}"#),
        (
            E::Staged { changes: 1, new_bytes: 2, new_blocks: 3, shared_bytes: 4 },
            "staged",
            r#"{"changes":1,"newBytes":2,"newBlocks":3,"sharedBytes":4}"#,
        ),
        (E::Unsetting { field: "f".into() }, "unsetting", r#"{"field":"f"}"#),
        (
            E::Setting { field: "f".into(), value: json!({ "b": 1, "a": null }) },
            "setting",
            r#"{"field":"f","value":{"b":1,"a":null}}"#,
        ),
    ]);
}

#[test]
fn the_result_has_the_names_that_others_read() {
    let nothing = DriveVersion { blobs: None, hashlink: None, ..version() };
    let done = Provisioned { source: version(), target: version(), production: nothing, changes: 3 };
    let text = format!(r#"{{"source":{VERSION},"target":{VERSION},"production":{NONE},"changes":3}}"#);
    golden::texts(vec![(done, &text)]);
}
