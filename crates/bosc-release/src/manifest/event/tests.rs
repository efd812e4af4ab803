use super::*;
use crate::golden;

#[test]
fn events_and_results_have_the_names_that_others_read() {
    use UpdaterEvent as E;
    golden::events(vec![
        (
            E::LooksSecret(LooksSecret { path: "a".into(), what: "w".into() }),
            "looks-secret",
            r#"{"path":"a","what":"w"}"#,
        ),
        (
            E::VersionMismatch { path: "p".into(), release: "1.0.5".into(), running: "1.0.4".into() },
            "version-mismatch",
            r#"{"path":"p","release":"1.0.5","running":"1.0.4"}"#,
        ),
        (
            E::Artifact { platform: "p".into(), file: "f".into(), size: 1, sha256: "s".into() },
            "artifact",
            r#"{"platform":"p","file":"f","size":1,"sha256":"s"}"#,
        ),
        (
            E::Delta { platform: "p".into(), file: "f".into(), from: "1.0.0".into(), size: 1, instead_of: 2 },
            "delta",
            r#"{"platform":"p","file":"f","from":"1.0.0","size":1,"insteadOf":2}"#,
        ),
        (E::NoDelta { reason: "r".into() }, "no-delta", r#"{"reason":"r"}"#),
        (E::Skipping { reason: "r".into() }, "skipping", r#"{"reason":"r"}"#),
        (E::Manifest { path: "p".into(), platforms: 1 }, "manifest", r#"{"path":"p","platforms":1}"#),
    ]);
    let envelope = Envelope {
        schema_version: 2,
        version: "1.0.0".into(),
        size: 1,
        sha256: "s".into(),
        signature: "g".into(),
        public_key: "k".into(),
    };
    let text =
        r#"{"schemaVersion":2,"version":"1.0.0","size":1,"sha256":"s","signature":"g","publicKey":"k"}"#;
    golden::texts(vec![(envelope, text)]);
    let entry = |bound: Option<&str>| PlatformEntry {
        url: "u".into(),
        sha256: "s".into(),
        signature: "g".into(),
        size: 1,
        bosc_signature: bound.map(str::to_owned),
        deltas: Vec::new(),
    };
    golden::texts(vec![(
        DeltaEntry {
            from: "1.0.0".into(),
            base_sha256: "b".into(),
            url: "u".into(),
            sha256: "s".into(),
            size: 1,
        },
        r#"{"from":"1.0.0","baseSha256":"b","url":"u","sha256":"s","size":1}"#,
    )]);
    let manifest = |bound, min_schema| ComposedManifest {
        schema_version: 2,
        version: "1.0.0".into(),
        pub_date: "d".into(),
        notes: "n".into(),
        platforms: [("linux-x86_64".to_owned(), entry(bound))].into(),
        min_schema,
        mandatory: None,
        minimum_system_version: None,
        bosc_rules: None,
    };
    let with_rules = ComposedManifest {
        bosc_rules: Some(RulesEntry { app: "a".into(), policy: "{\"schema\":1}".into() }),
        ..manifest(Some("b"), None)
    };
    let with_terms = ComposedManifest {
        mandatory: Some(true),
        minimum_system_version: Some("12.3".into()),
        ..manifest(None, None)
    };
    let begin = concat!(
        r#"{"schemaVersion":2,"version":"1.0.0","pubDate":"d","notes":"n","platforms":{"linux-x86_64":"#,
        r#"{"url":"u","sha256":"s","signature":"g","size":1"#
    );
    golden::texts(vec![
        (manifest(None, None), &format!("{begin}}}}}}}")),
        (with_terms, &format!(r#"{begin}}}}},"mandatory":true,"minimumSystemVersion":"12.3"}}"#)),
        (
            with_rules,
            &format!(
                r#"{begin},"boscSignature":"b"}}}},"boscRules":{{"app":"a","policy":"{{\"schema\":1}}"}}}}"#
            ),
        ),
        (manifest(Some("b"), Some(2)), &format!(r#"{begin},"boscSignature":"b"}}}},"minSchema":2}}"#)),
    ]);
}
