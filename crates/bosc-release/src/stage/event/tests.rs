use super::*;
use crate::golden;

pub(crate) fn blobs() -> (BlobsHead, &'static str) {
    let blobs = BlobsHead { key: "k".into(), length: 1, fork: 2, byte_length: 3, hash: "h".into() };
    (blobs, r#"{"key":"k","length":1,"fork":2,"byteLength":3,"hash":"h"}"#)
}

#[test]
fn events_and_result_have_the_names_that_others_read() {
    use StageEvent as E;
    let secret = || LooksSecret { path: "p".into(), what: "w".into() };
    let summary = Summary {
        files: 1,
        add: 2,
        remove: 3,
        change: 4,
        length: 5,
        byte_length: 6,
        new_bytes: 7,
        new_blocks: 8,
        shared_bytes: 9,
        looks_secret: vec![secret()],
        blobs: BlobsSize { length: 1, fork: 2, byte_length: 3 },
    };
    let addendum = Addendum {
        version: 1,
        key: "k".into(),
        link: "l".into(),
        verlink: "v".into(),
        hashlink: "h".into(),
        blobs: blobs().0,
    };
    let staging = |name: Option<String>| E::Staging {
        name,
        key: "k".into(),
        link: "l".into(),
        verlink: "v".into(),
        current: 1,
        dir: "/d".into(),
    };
    golden::events(vec![
        (
            staging(Some("n".into())),
            "staging",
            r#"{"name":"n","key":"k","link":"l","verlink":"v","current":1,"dir":"/d"}"#,
        ),
        (
            staging(None),
            "staging",
            r#"{"name":null,"key":"k","link":"l","verlink":"v","current":1,"dir":"/d"}"#,
        ),
        (
            E::Package { file: "/c".into(), name: Some("n".into()), version: Some("1.0.0".into()) },
            "package",
            r#"{"file":"/c","name":"n","version":"1.0.0"}"#,
        ),
        (E::Dry, "dry", "null"),
        (E::Skipped { path: "p".into(), reason: "r".into() }, "skipped", r#"{"path":"p","reason":"r"}"#),
        (E::IgnoreFile { path: "p".into() }, "ignore-file", r#"{"path":"p"}"#),
        (
            E::VersionMismatch { path: "p".into(), release: "1.0.5".into(), running: "1.0.4".into() },
            "version-mismatch",
            r#"{"path":"p","release":"1.0.5","running":"1.0.4"}"#,
        ),
        (
            E::Unmatched { list: "only".into(), pattern: "x".into() },
            "unmatched",
            r#"{"list":"only","pattern":"x"}"#,
        ),
        (
            E::BadName(BadName { path: "p".into(), system: "s".into(), why: "w".into() }),
            "bad-name",
            r#"{"path":"p","system":"s","why":"w"}"#,
        ),
        (
            E::Delta { path: "p".into(), from: Some("1.0.0".into()), bytes: 1, instead_of: 2 },
            "delta",
            r#"{"path":"p","from":"1.0.0","bytes":1,"insteadOf":2}"#,
        ),
        (
            E::Delta { path: "p".into(), from: None, bytes: 1, instead_of: 2 },
            "delta",
            r#"{"path":"p","from":null,"bytes":1,"insteadOf":2}"#,
        ),
        (E::Packing { path: "p".into(), bytes: 1 }, "packing", r#"{"path":"p","bytes":1}"#),
        (
            E::Packed { path: "p".into(), bytes: 1, instead_of: 2 },
            "packed",
            r#"{"path":"p","bytes":1,"insteadOf":2}"#,
        ),
        (E::Dangling { path: "p".into(), target: "t".into() }, "dangling", r#"{"path":"p","target":"t"}"#),
        (E::LooksSecret(secret()), "looks-secret", r#"{"path":"p","what":"w"}"#),
        (
            E::ByteDiff(ByteDiff::change("/a", 1, 2)),
            "byte-diff",
            r#"{"type":0,"sizes":[-1,2],"message":"/a"}"#,
        ),
        (
            E::Summary(Box::new(summary)),
            "summary",
            concat!(
                r#"{"files":1,"add":2,"remove":3,"change":4,"length":5,"byteLength":6,"newBytes":7,"newBlocks":8,"#,
                r#""sharedBytes":9,"looksSecret":[{"path":"p","what":"w"}],"#,
                r#""blobs":{"length":1,"fork":2,"byteLength":3}}"#
            ),
        ),
        (
            E::Skipping { reason: "dry-run".into(), success: true },
            "skipping",
            r#"{"reason":"dry-run","success":true}"#,
        ),
        (E::Complete { dry_run: true }, "complete", r#"{"dryRun":true}"#),
        (
            E::Addendum(Box::new(addendum)),
            "addendum",
            &format!(
                r#"{{"version":1,"key":"k","link":"l","verlink":"v","hashlink":"h","blobs":{}}}"#,
                blobs().1
            ),
        ),
    ]);
    golden::texts(vec![(Staged { link: "l".into(), verlink: "v".into() }, r#"{"link":"l","verlink":"v"}"#)]);
}

/// What JSON cannot hold is shown rather than refused.
#[cfg(unix)]
#[test]
fn a_path_that_is_not_unicode_is_told() {
    use std::os::unix::ffi::OsStringExt;
    let path = PathBuf::from(std::ffi::OsString::from_vec(b"a\xff".to_vec()));
    let text = serde_json::to_string(&StageEvent::IgnoreFile { path }).unwrap();
    assert_eq!(text, "{\"tag\":\"ignore-file\",\"data\":{\"path\":\"a\u{fffd}\"}}");
}
