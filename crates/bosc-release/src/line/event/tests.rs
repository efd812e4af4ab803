use super::*;
use crate::golden;
use crate::line::file::Seeds;
use crate::provision::{CoreVersion, DriveVersion};

fn declared(seeds: Seeds) -> Declared {
    Declared {
        name: "rc".into(),
        kind: LineKind::Stage,
        link: Some("l".into()),
        source: None,
        production: None,
        seeds,
    }
}

const DECLARED: &str = r#"{"name":"rc","kind":"stage","link":"l","source":null,"production":null,"seeds":2}"#;

#[test]
fn events_have_the_names_that_others_read() {
    use LineEvent as E;
    let notice = |code, upgrade| E::Notice(Notice { code, message: "m".into(), upgrade, next: "n".into() });
    golden::events(vec![
        (
            E::Line(Box::new(LineShown {
                declared: declared(Seeds::Keys(vec!["a".into()])),
                verlink: Some("v".into()),
                version: None,
                length: Some(1),
                fork: Some(0),
                writable: true,
                upgrade: None,
                upgrade_line: Some("production".into()),
                seeders: Seeders { full: 1, peers: 2, wanted: 3, missing: vec!["a".into()] },
                state: LineStanding::Behind,
                error: None,
                updates: Vec::new(),
            })),
            "line",
            concat!(
                r#"{"name":"rc","kind":"stage","link":"l","source":null,"production":null,"seeds":["a"],"#,
                r#""verlink":"v","version":null,"length":1,"fork":0,"writable":true,"upgrade":null,"#,
                r#""upgradeLine":"production","seeders":{"full":1,"peers":2,"wanted":3,"missing":["a"]},"#,
                r#""state":"behind","error":null}"#
            ),
        ),
        (
            E::Ahead {
                line: "a".into(),
                of: "b".into(),
                version: Some("1.0.0".into()),
                than: None,
                next: "n".into(),
            },
            "ahead",
            r#"{"line":"a","of":"b","version":"1.0.0","than":null,"next":"n"}"#,
        ),
        (E::LineAdded(declared(Seeds::Count(2))), "line-added", DECLARED),
        (E::LineRemoved(declared(Seeds::Count(2))), "line-removed", DECLARED),
        (
            notice(NoticeCode::NoProductionLink, None),
            "notice",
            r#"{"code":"NO_PRODUCTION_LINK","message":"m","next":"n"}"#,
        ),
        (
            notice(NoticeCode::NoProduction, None),
            "notice",
            r#"{"code":"NO_PRODUCTION","message":"m","next":"n"}"#,
        ),
        (
            notice(NoticeCode::EmptyProduction, None),
            "notice",
            r#"{"code":"EMPTY_PRODUCTION","message":"m","next":"n"}"#,
        ),
        (
            notice(NoticeCode::OtherUpgrade, Some(None)),
            "notice",
            r#"{"code":"OTHER_UPGRADE","message":"m","upgrade":null,"next":"n"}"#,
        ),
        (
            notice(NoticeCode::OtherUpgrade, Some(Some("u".into()))),
            "notice",
            r#"{"code":"OTHER_UPGRADE","message":"m","upgrade":"u","next":"n"}"#,
        ),
        (
            E::Promoting {
                from: "a".into(),
                to: "b".into(),
                kind: LineKind::Multisig,
                source: "s".into(),
                target: "t".into(),
                version: Some("1.0.0".into()),
                dry_run: false,
            },
            "promoting",
            r#"{"from":"a","to":"b","kind":"multisig","source":"s","target":"t","version":"1.0.0","dryRun":false}"#,
        ),
        (E::Command { command: "c".into() }, "command", r#"{"command":"c"}"#),
        (
            E::NextStep(Step { number: 1, who: Who::Anyone, command: "c".into(), text: "t".into() }),
            "next-step",
            r#"{"number":1,"who":"anyone","command":"c","text":"t"}"#,
        ),
        (
            E::NextStep(Step { number: 1, who: Who::Signers, command: "c".into(), text: "t".into() }),
            "next-step",
            r#"{"number":1,"who":"signers","command":"c","text":"t"}"#,
        ),
        (
            E::Promoted(LinePromoted {
                line: "b".into(),
                verlink: "v".into(),
                version: Some("1.0.0".into()),
                over: Some(Over { before: None, changed: true }),
            }),
            "promoted",
            r#"{"line":"b","verlink":"v","version":"1.0.0","before":null,"changed":true}"#,
        ),
        (
            E::Promoted(LinePromoted { line: "b".into(), verlink: "v".into(), version: None, over: None }),
            "promoted",
            r#"{"line":"b","verlink":"v","version":null}"#,
        ),
    ]);
}

#[test]
fn how_lines_stand_has_the_names_that_others_read() {
    for standing in [
        LineStanding::First,
        LineStanding::Unknown,
        LineStanding::Empty,
        LineStanding::Same,
        LineStanding::Behind,
        LineStanding::Ahead,
        LineStanding::Differs,
    ] {
        golden::texts(vec![(standing, &format!("\"{}\"", standing.name()))]);
    }
}

#[test]
fn results_have_the_names_that_others_read() {
    golden::texts(vec![(ListedLines { lines: 1 }, r#"{"lines":1}"#)]);
    golden::texts(vec![(Added { file: "f".into(), link: None }, r#"{"file":"f","link":null}"#)]);
    golden::texts(vec![(Removed { file: "f".into() }, r#"{"file":"f"}"#)]);
    golden::texts(vec![(Initialised { file: "f".into(), lines: 5 }, r#"{"file":"f","lines":5}"#)]);
    let staged = PromotedStage {
        from: "a".into(),
        to: "b".into(),
        source: "s".into(),
        target: "t".into(),
        verlink: "v".into(),
        version: "1.0.0".into(),
        before: None,
        changed: true,
        done: true,
    };
    let text = concat!(
        r#"{"from":"a","to":"b","source":"s","target":"t","verlink":"v","version":"1.0.0","before":null,"#,
        r#""changed":true,"done":true}"#
    );
    golden::texts(vec![(staged, text)]);
    let dry = PromotedProvision {
        provisioned: None,
        from: "a".into(),
        to: "b".into(),
        source_link: "s".into(),
        target_link: "t".into(),
        production_link: "p".into(),
        verlink: "v".into(),
        done: false,
    };
    let rest = r#""from":"a","to":"b","sourceLink":"s","targetLink":"t","productionLink":"p","verlink":"v","done":false}"#;
    golden::texts(vec![(dry.clone(), &format!("{{{rest}"))]);
    let core = || CoreVersion { id: "i".into(), length: 1, hash: None };
    let version =
        || DriveVersion { core: core(), blobs: None, link: "l".into(), verlink: "v".into(), hashlink: None };
    let provisioned = Provisioned { source: version(), target: version(), production: version(), changes: 2 };
    let one =
        r#"{"core":{"id":"i","length":1,"hash":null},"blobs":null,"link":"l","verlink":"v","hashlink":null}"#;
    golden::texts(vec![(
        PromotedProvision { provisioned: Some(provisioned), ..dry },
        &format!(r#"{{"source":{one},"target":{one},"production":{one},"changes":2,{rest}"#),
    )]);
    let to_sign = PromotedToSign {
        from: "a".into(),
        to: "b".into(),
        source: "s".into(),
        target: "t".into(),
        done: false,
    };
    golden::texts(vec![(to_sign, r#"{"from":"a","to":"b","source":"s","target":"t","done":false}"#)]);
}
