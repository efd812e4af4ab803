use super::*;
use crate::golden;
use crate::line::Who;

#[test]
fn events_have_the_names_that_others_read() {
    use RotateEvent as E;
    golden::events(vec![
        (
            E::Rotating { old: "o".into(), new: "n".into(), dry_run: false },
            "rotating",
            r#"{"old":"o","new":"n","dryRun":false}"#,
        ),
        (
            E::Condition { name: "n".into(), ok: true, detail: "d".into() },
            "condition",
            r#"{"name":"n","ok":true,"detail":"d"}"#,
        ),
        (
            E::Unchanged { version: "1.0.0".into(), verlink: "v".into(), files: () },
            "unchanged",
            r#"{"version":"1.0.0","verlink":"v","files":null}"#,
        ),
        (
            E::FewCopies { full: 1, wanted: 2, link: "l".into() },
            "few-copies",
            r#"{"full":1,"wanted":2,"link":"l"}"#,
        ),
        (E::Command { command: "c".into() }, "command", r#"{"command":"c"}"#),
        (
            E::Provisioned { verlink: "v".into(), hashlink: "h".into() },
            "provisioned",
            r#"{"verlink":"v","hashlink":"h"}"#,
        ),
        (
            E::NextStep(Step { number: 1, who: Who::Anyone, command: "c".into(), text: "t".into() }),
            "next-step",
            r#"{"number":1,"who":"anyone","command":"c","text":"t"}"#,
        ),
        (
            E::Hop {
                link: "l".into(),
                verlink: "v".into(),
                version: Some("1.0.0".into()),
                upgrade: None,
                full: 1,
            },
            "hop",
            r#"{"link":"l","verlink":"v","version":"1.0.0","upgrade":null,"full":1}"#,
        ),
    ]);
}

#[test]
fn results_have_the_names_that_others_read() {
    let before = RotatedBefore { old: "o".into(), new: "n".into(), changed: false, copies: 2, done: true };
    golden::texts(vec![(before, r#"{"old":"o","new":"n","changed":false,"copies":2,"done":true}"#)]);
    let rotated = Rotated {
        old: "o".into(),
        new: "n".into(),
        verlink: "v".into(),
        version: "1.0.0".into(),
        before: Some("0.9.0".into()),
        changed: true,
        copies: None,
        done: true,
    };
    let text = concat!(
        r#"{"old":"o","new":"n","verlink":"v","version":"1.0.0","before":"0.9.0","changed":true,"#,
        r#""copies":null,"done":true}"#
    );
    golden::texts(vec![(rotated, text)]);
    let to_sign = RotationToSign {
        old: "o".into(),
        new: "n".into(),
        target: "t".into(),
        verlink: "v".into(),
        version: (),
        changed: true,
        done: false,
    };
    let text =
        r#"{"old":"o","new":"n","target":"t","verlink":"v","version":null,"changed":true,"done":false}"#;
    golden::texts(vec![(to_sign, text)]);
    let followed = Followed {
        old: "o".into(),
        new: "n".into(),
        ends: "e".into(),
        hops: vec!["o".into()],
        version: None,
    };
    golden::texts(vec![(followed, r#"{"old":"o","new":"n","ends":"e","hops":["o"],"version":null}"#)]);
}
