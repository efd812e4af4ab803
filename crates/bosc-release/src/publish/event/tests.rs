use super::*;
use crate::golden;

#[test]
fn events_and_result_have_the_names_that_others_read() {
    use PublishEvent as E;
    golden::events(vec![
        (
            E::Minted { link: "l".into(), file: "f".into(), artifacts: true },
            "minted",
            r#"{"link":"l","file":"f","artifacts":true}"#,
        ),
        (
            E::Publishing { name: Some("n".into()), version: None, link: "l".into(), dir: "/d".into() },
            "publishing",
            r#"{"name":"n","version":null,"link":"l","dir":"/d"}"#,
        ),
        (
            E::NotBuilt { platform: "p".into(), path: "/d/x".into() },
            "not-built",
            r#"{"platform":"p","path":"/d/x"}"#,
        ),
        (E::Fetching { link: "l".into() }, "fetching", r#"{"link":"l"}"#),
        (
            E::Unchanged { version: "1.0.0".into(), verlink: "v".into(), files: 1 },
            "unchanged",
            r#"{"version":"1.0.0","verlink":"v","files":1}"#,
        ),
        (E::SeededHere { link: "l".into() }, "seeded-here", r#"{"link":"l"}"#),
        (
            E::SamePlatform { platform: "p".into(), version: "1.1.0".into(), before: "1.0.0".into() },
            "same-platform",
            r#"{"platform":"p","version":"1.1.0","before":"1.0.0"}"#,
        ),
        (
            E::FewCopies { full: 1, wanted: 2, link: "l".into() },
            "few-copies",
            r#"{"full":1,"wanted":2,"link":"l"}"#,
        ),
    ]);
    let published = |copies, before| Published {
        link: "l".into(),
        verlink: "v".into(),
        hashlink: "h".into(),
        length: 1,
        version: "1.0.0".into(),
        before,
        changed: true,
        minted: false,
        dry_run: false,
        copies,
        wanted: 2,
    };
    golden::texts(vec![
        (
            published(Some(1), Some("0.9.0".into())),
            concat!(
                r#"{"link":"l","verlink":"v","hashlink":"h","length":1,"version":"1.0.0","before":"0.9.0","#,
                r#""changed":true,"minted":false,"dryRun":false,"copies":1,"wanted":2}"#
            ),
        ),
        (
            published(None, None),
            concat!(
                r#"{"link":"l","verlink":"v","hashlink":"h","length":1,"version":"1.0.0","before":null,"#,
                r#""changed":true,"minted":false,"dryRun":false,"copies":null,"wanted":2}"#
            ),
        ),
    ]);
}

#[test]
fn events_of_ci_have_the_names_that_others_read() {
    use CiEvent as E;
    let learned = |from| E::Learned { length: 1, fork: 2, from, peers: 3 };
    golden::events(vec![
        (E::Mirror { length: 1, blobs_length: 2 }, "mirror", r#"{"length":1,"blobsLength":2}"#),
        (
            E::Learning { link: "l".into(), length: 1, at_least: 2 },
            "learning",
            r#"{"link":"l","length":1,"atLeast":2}"#,
        ),
        (
            E::Fetching { link: "l".into(), length: 1, blocks: 2, bytes: 3 },
            "fetching",
            r#"{"link":"l","length":1,"blocks":2,"bytes":3}"#,
        ),
        (learned(Voucher::Peers), "learned", r#"{"length":1,"fork":2,"from":"peers","peers":3}"#),
        (learned(Voucher::Mirror), "learned", r#"{"length":1,"fork":2,"from":"mirror","peers":3}"#),
        (learned(Voucher::First), "learned", r#"{"length":1,"fork":2,"from":"first","peers":3}"#),
        (E::Mirrored { length: 1, blocks: 2 }, "mirrored", r#"{"length":1,"blocks":2}"#),
        (E::Snapshot { file: "f".into(), length: 1 }, "snapshot", r#"{"file":"f","length":1}"#),
    ]);
}
