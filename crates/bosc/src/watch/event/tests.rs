//! Each event has its line, and the line has the shape and the words that are promised.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use serde_json::Value;

/// What every language's client reads: the shapes that the interop suite holds lines to, and the table in the docs.
const SHAPES: &str = "../../interop/shapes.json";
const DOCS: &str = "../../docs/updater.md";

fn text_of(path: &str) -> String {
    std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Whether one of these shapes is that of the value: see interop/lib/shapes.mjs.
fn is_shape_of(shapes: &Value, value: &Value) -> bool {
    let plain = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) | Value::Object(_) => "",
    };
    shapes.as_array().is_some_and(|all| {
        all.iter().any(|shape| match value {
            Value::Array(all) => {
                shape.get("[]").is_some_and(|inside| all.iter().all(|v| is_shape_of(inside, v)))
            }
            Value::Object(fields) => {
                let keys =
                    |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
                shape.as_object().is_some_and(|s| keys(s) == keys(fields))
                    && fields.iter().all(|(key, v)| is_shape_of(&shape[key], v))
            }
            _ => *shape == plain,
        })
    })
}

/// Keeps the line for `interop/tools/shapes.mjs`, if that is asked for.
fn record(line: &str) -> bool {
    let Some(dir) = std::env::var_os("BOSC_RECORD_LINES") else { return false };
    let file = std::path::Path::new(&dir).join(format!("watch-{}.ndjson", std::process::id()));
    let mut file = std::fs::File::options().create(true).append(true).open(file).unwrap();
    let line = line.replacen('{', r#"{"cmd":"watch","#, 1);
    std::io::Write::write_all(&mut file, format!("{{\"words\":[],\"line\":{line}}}\n").as_bytes()).unwrap();
    true
}

/// The line has a shape, and the docs name its tag and fields, and those that may be null.
fn is_promised(line: &str) {
    let recorded = record(line);
    let line: Value = serde_json::from_str(line).unwrap();
    let (tag, data) = (line["tag"].as_str().unwrap(), &line["data"]);
    let shapes: Value = serde_json::from_str(&text_of(SHAPES)).unwrap();
    assert!(recorded || is_shape_of(&shapes["watch"][tag], data), "{line} is of no shape in {SHAPES}");
    let docs = text_of(DOCS);
    let row = docs.lines().find(|l| l.starts_with(&format!("| `{tag}` |")));
    let row = row.unwrap_or_else(|| panic!("{DOCS} has no row for {tag}"));
    let (_, nullable) = docs.split_once("\n`null` where").unwrap();
    let (nullable, _) = nullable.split_once("\n\n").unwrap();
    for (key, value) in data.as_object().unwrap() {
        assert!(row.contains(&format!("`{key}`")), "{DOCS}: {tag} without {key}");
        let named = nullable.contains(&format!("`{key}`"));
        assert!(!value.is_null() || named, "{DOCS} does not say that {key} of {tag} may be null");
    }
}

#[test]
fn each_event_is_one_line_of_these_fields() {
    let head = || SaidHead { length: 3, tree_hash: "t".into() };
    let s = |text: &str| text.to_owned();
    let rolled_back = |pid| Said::RolledBack {
        version: s("2.0.0"),
        restored: s("1.0.0"),
        reason: "crashed",
        restart: true,
        pid,
    };
    let all = [
        (
            Said::Available {
                version: s("1.0.0"),
                link: s("l"),
                notes: None,
                size: Some(1),
                mandatory: true,
                minimum_system: Some(s("10.0")),
            },
            r#"{"tag":"available","data":{"version":"1.0.0","link":"l","notes":null,"size":1,"mandatory":true,"minimumSystem":"10.0"}}"#,
        ),
        (
            Said::Available {
                version: s("1.0.0"),
                link: s("l"),
                notes: Some(s("n")),
                size: None,
                mandatory: false,
                minimum_system: None,
            },
            r#"{"tag":"available","data":{"version":"1.0.0","link":"l","notes":"n","size":null,"mandatory":false,"minimumSystem":null}}"#,
        ),
        (Said::UpToDate { version: s("1.0.0") }, r#"{"tag":"up-to-date","data":{"version":"1.0.0"}}"#),
        (Said::Skipped { version: s("1.0.0") }, r#"{"tag":"skipped","data":{"version":"1.0.0"}}"#),
        (
            Said::Scheduled { version: s("1.0.0"), delay: 1.5 },
            r#"{"tag":"scheduled","data":{"version":"1.0.0","delay":1.5}}"#,
        ),
        (
            Said::Updating { version: s("1.0.0"), link: s("l"), notes: None },
            r#"{"tag":"updating","data":{"version":"1.0.0","link":"l","notes":null}}"#,
        ),
        (
            Said::Updating { version: s("1.0.0"), link: s("l"), notes: Some(s("n")) },
            r#"{"tag":"updating","data":{"version":"1.0.0","link":"l","notes":"n"}}"#,
        ),
        (
            Said::Progress { bytes: 1, total: Some(4), received: 2, peers: 3 },
            r#"{"tag":"progress","data":{"bytes":1,"total":4,"received":2,"peers":3}}"#,
        ),
        (
            Said::Progress { bytes: 1, total: None, received: 2, peers: 3 },
            r#"{"tag":"progress","data":{"bytes":1,"total":null,"received":2,"peers":3}}"#,
        ),
        (
            Said::UpdatingDelta { op: "add", key: s("/k"), bytes_removed: 1, bytes_added: 2 },
            r#"{"tag":"updating-delta","data":{"op":"add","key":"/k","bytesRemoved":1,"bytesAdded":2}}"#,
        ),
        (
            Said::Updated {
                version: s("1.0.0"),
                link: s("l"),
                notes: Some(s("n")),
                size: Some(1),
                received: 2,
                mandatory: false,
                minimum_system: None,
            },
            r#"{"tag":"updated","data":{"version":"1.0.0","link":"l","notes":"n","size":1,"received":2,"mandatory":false,"minimumSystem":null}}"#,
        ),
        (
            Said::Updated {
                version: s("1.0.0"),
                link: s("l"),
                notes: None,
                size: None,
                received: 2,
                mandatory: true,
                minimum_system: Some(s("10.0")),
            },
            r#"{"tag":"updated","data":{"version":"1.0.0","link":"l","notes":null,"size":null,"received":2,"mandatory":true,"minimumSystem":"10.0"}}"#,
        ),
        (
            Said::Applied { version: s("2.0.0"), previous: s("1.0.0"), link: s("l"), not_kept: vec![s("x")] },
            r#"{"tag":"applied","data":{"version":"2.0.0","previous":"1.0.0","link":"l","notKept":["x"]}}"#,
        ),
        (Said::Healthy { trial: true, relaunched: true }, r#"{"tag":"healthy","data":{"trial":true}}"#),
        (Said::Relaunching { seconds: 10.0 }, r#"{"tag":"relaunching","data":{"seconds":10.0}}"#),
        (Said::Relaunched { pid: 7 }, r#"{"tag":"relaunched","data":{"pid":7}}"#),
        (Said::Again { reason: "crashed" }, r#"{"tag":"again","data":{"reason":"crashed"}}"#),
        (Said::Closed {}, r#"{"tag":"closed","data":{}}"#),
        (
            rolled_back(None),
            r#"{"tag":"rolled-back","data":{"version":"2.0.0","restored":"1.0.0","reason":"crashed","restart":true}}"#,
        ),
        (
            rolled_back(Some(Some(7))),
            r#"{"tag":"rolled-back","data":{"version":"2.0.0","restored":"1.0.0","reason":"crashed","restart":true,"pid":7}}"#,
        ),
        (
            rolled_back(Some(None)),
            r#"{"tag":"rolled-back","data":{"version":"2.0.0","restored":"1.0.0","reason":"crashed","restart":true,"pid":null}}"#,
        ),
        (Said::LeftInPlace { reason: "silent" }, r#"{"tag":"left-in-place","data":{"reason":"silent"}}"#),
        (Said::WhenEnded {}, r#"{"tag":"when-ended","data":{}}"#),
        (Said::JournalDamaged { aside: s("/a") }, r#"{"tag":"journal-damaged","data":{"aside":"/a"}}"#),
        (Said::NotInstalled { reason: s("r") }, r#"{"tag":"not-installed","data":{"reason":"r"}}"#),
        (
            Said::VersionMismatch { release: s("2.0.0"), running: s("1.0.0") },
            r#"{"tag":"version-mismatch","data":{"release":"2.0.0","running":"1.0.0"}}"#,
        ),
        (
            Said::Held { version: s("2.0.0"), by: "halt", operator: Some(s("k")), hundredths: None },
            r#"{"tag":"held","data":{"version":"2.0.0","by":"halt","operator":"k","hundredths":null}}"#,
        ),
        (
            Said::Held { version: s("2.0.0"), by: "share", operator: None, hundredths: Some(1_000) },
            r#"{"tag":"held","data":{"version":"2.0.0","by":"share","operator":null,"hundredths":1000}}"#,
        ),
        (Said::Stale { last: Some(1), limit: 60 }, r#"{"tag":"stale","data":{"last":1,"limit":60}}"#),
        (Said::Stale { last: None, limit: 60 }, r#"{"tag":"stale","data":{"last":null,"limit":60}}"#),
        (Said::Recalled { version: s("2.0.0") }, r#"{"tag":"recalled","data":{"version":"2.0.0"}}"#),
        (
            Said::Conflict {
                link: s("l"),
                key: s("k"),
                fork: 0,
                length: 3,
                ours: head(),
                theirs: head(),
                peer: s("p"),
            },
            r#"{"tag":"conflict","data":{"link":"l","key":"k","fork":0,"length":3,"ours":{"length":3,"treeHash":"t"},"theirs":{"length":3,"treeHash":"t"},"peer":"p"}}"#,
        ),
        (
            Said::Error {
                code: "C",
                message: s("m"),
                hint: s("h"),
                causes: vec![s("c")],
                version: None,
                fatal: false,
            },
            r#"{"tag":"error","data":{"code":"C","message":"m","hint":"h","causes":["c"],"version":null,"fatal":false}}"#,
        ),
    ];
    for (said, line) in all {
        assert_eq!(serde_json::to_string(&said).unwrap(), line);
        is_promised(line);
        let silent = matches!(said, Said::Progress { .. } | Said::UpdatingDelta { .. });
        assert_eq!(said.sentence().is_none(), silent, "{line}: what happens is said to people too");
    }
}
