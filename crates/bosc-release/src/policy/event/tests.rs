use super::super::shown::{HaltShown, NewestShown};
use super::*;
use crate::golden;
use serde_json::json;

const STATEMENT: &str = concat!(
    r#"{"counter":1,"time":2,"newest":{"fork":3,"length":4,"treeHash":"t"},"#,
    r#""versions":[{"version":"1.0.0","share":1000,"halt":"recalled"}]}"#
);
const OPERATOR: &str = r#""key":"k","name":"n","may":["halt"]"#;

fn statement() -> StatementShown {
    StatementShown {
        counter: 1,
        time: 2,
        newest: Some(NewestShown { fork: 3, length: 4, tree_hash: "t".into() }),
        versions: vec![AboutShown {
            version: "1.0.0".into(),
            share: Some(1_000),
            halt: Some(HaltShown::Recalled),
        }],
    }
}

fn operator() -> OperatorNamed {
    OperatorNamed { key: "k".into(), name: Some("n".into()), may: vec!["halt".into()] }
}

fn standing(share: u16) -> VersionStanding {
    VersionStanding { version: "1.0.0".into(), share, halted_by: Some("n".into()), recalled: true }
}

fn prepared() -> Prepared {
    Prepared {
        link: "l".into(),
        manifest: None,
        version: Some("1.0.0".into()),
        operator: operator(),
        key: "k".into(),
        statement: statement(),
        before: Some(standing(1)),
        after: None,
        dropped: vec![AboutShown { version: "0.9.0".into(), share: None, halt: None }],
        unsaid: Some(Unsaid::NotVouched),
        contradicted: false,
    }
}

fn stated() -> Stated {
    Stated { link: "l".into(), operator: "k".into(), statement: statement(), nodes: 3, file: None }
}

#[test]
fn events_have_the_names_that_others_read() {
    let stands = r#"{"version":"1.0.0","share":1,"haltedBy":"n","recalled":true}"#;
    let prepared_text = format!(
        concat!(
            r#"{{"link":"l","version":"1.0.0","operator":{{{operator}}},"key":"k","statement":{statement},"#,
            r#""before":{stands},"after":null,"dropped":[{{"version":"0.9.0","share":null,"halt":null}}],"#,
            r#""unsaid":"not-vouched","contradicted":false}}"#
        ),
        operator = OPERATOR,
        statement = STATEMENT,
        stands = stands
    );
    let stated_text = format!(r#"{{"link":"l","operator":"k","statement":{STATEMENT},"nodes":3}}"#);
    golden::events(vec![
        (
            PolicyEvent::Policy(Box::new(PolicyShown {
                of: "l".into(),
                version: None,
                time: Some(1),
                channel: None,
                minimum: Some("1.0.0".into()),
                mandatory: true,
                rollout: 1_000,
                freshness: Some(60),
                recall: false,
                operators: vec![operator()],
                unknown: vec!["x".into()],
                meaning: "m".into(),
            })),
            "policy",
            &format!(
                concat!(
                    r#"{{"of":"l","version":null,"time":1,"channel":null,"minimum":"1.0.0","mandatory":true,"rollout":1000,"#,
                    r#""freshness":60,"recall":false,"operators":[{{{}}}],"unknown":["x"],"meaning":"m"}}"#
                ),
                OPERATOR
            ),
        ),
        (PolicyEvent::NoPolicy { of: "l".into() }, "no-policy", r#"{"of":"l"}"#),
        (
            PolicyEvent::Operator(Box::new(OperatorShown {
                operator: operator(),
                heard: Heard::NoAnswer,
                statement: Some(statement()),
            })),
            "operator",
            &format!(r#"{{{OPERATOR},"heard":"no-answer","statement":{STATEMENT}}}"#),
        ),
        (PolicyEvent::Standing(standing(1)), "standing", stands),
        (
            PolicyEvent::Freshness(FreshnessShown { limit: Some(60), last: None, stale: true }),
            "freshness",
            r#"{"limit":60,"last":null,"stale":true}"#,
        ),
        (
            PolicyEvent::PolicyFinding(PolicyFinding {
                level: Level::Bad,
                field: "f".into(),
                message: "m".into(),
                next: None,
            }),
            "policy-finding",
            r#"{"level":"bad","field":"f","message":"m","next":null}"#,
        ),
        (
            PolicyEvent::FieldChanged { field: "rollout".into(), before: Value::Null, after: json!(10) },
            "field-changed",
            r#"{"field":"rollout","before":null,"after":10}"#,
        ),
        (PolicyEvent::Statement(Box::new(prepared())), "statement", &prepared_text),
        (PolicyEvent::Refreshed(Box::new(stated())), "refreshed", &stated_text),
        (
            PolicyEvent::RefreshFailed { code: "c".into(), message: "m".into(), hint: "h".into(), again: 60 },
            "refresh-failed",
            r#"{"code":"c","message":"m","hint":"h","again":60}"#,
        ),
    ]);
    golden::texts(vec![(prepared(), &prepared_text)]);
    golden::texts(vec![(stated(), &stated_text)]);
    golden::texts(vec![(PolicyLooked { of: "l".into(), policy: true }, r#"{"of":"l","policy":true}"#)]);
    golden::texts(vec![(
        PolicyChecked { of: "l".into(), policy: true, warn: 2 },
        r#"{"of":"l","policy":true,"warn":2}"#,
    )]);
    golden::texts(vec![(PolicySet { file: "f".into(), changed: 2 }, r#"{"file":"f","changed":2}"#)]);
}
