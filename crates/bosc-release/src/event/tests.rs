use super::*;
use crate::golden;
use serde_json::json;

#[test]
fn what_is_told_of_a_link_has_the_names_that_others_read() {
    use LinkEvent as E;
    let head = |length| HistoryHead { length, tree_hash: "h".into() };
    golden::events(vec![
        (
            E::Conflict(Box::new(Conflict {
                link: "l".into(),
                key: "k".into(),
                core: "db".into(),
                fork: 0,
                length: 1,
                ours: head(2),
                theirs: head(3),
                peer: "p".into(),
            })),
            "conflict",
            concat!(
                r#"{"link":"l","key":"k","core":"db","fork":0,"length":1,"ours":{"length":2,"treeHash":"h"},"#,
                r#""theirs":{"length":3,"treeHash":"h"},"peer":"p"}"#
            ),
        ),
        (
            E::StoreCopied { store: "/s".into(), evidence: "e".into(), link: "l".into() },
            "store-copied",
            r#"{"store":"/s","evidence":"e","link":"l"}"#,
        ),
        (
            E::Checking { link: "l".into(), length: 1, at_least: 2 },
            "checking",
            r#"{"link":"l","length":1,"atLeast":2}"#,
        ),
        (
            E::Stats(CatchUpStats {
                peers: 1,
                drive_length: 2,
                download: Downloaded { total_bytes: 3, total_blocks: 4 },
                upload: (),
            }),
            "stats",
            r#"{"peers":1,"driveLength":2,"download":{"totalBytes":3,"totalBlocks":4},"upload":null}"#,
        ),
        (
            E::Newest { verlink: "v".into(), length: 1, told: false },
            "newest",
            r#"{"verlink":"v","length":1,"told":false}"#,
        ),
        (E::Waiting { runs: 1 }, "waiting", r#"{"runs":1}"#),
        (E::Unguarded { announced: true }, "unguarded", r#"{"announced":true}"#),
        (
            E::UnprovedPeer { peer: "p".into(), fork: 1, length: 2 },
            "unproved-peer",
            r#"{"peer":"p","fork":1,"length":2}"#,
        ),
        (
            E::UpdateCost(UpdateCost {
                platform: "linux-x64".into(),
                from: "1.4.2".into(),
                bytes: 1,
                without: Some(2),
                basis: CostBasis::Proved,
            }),
            "update-cost",
            r#"{"platform":"linux-x64","from":"1.4.2","bytes":1,"without":2,"basis":"proved"}"#,
        ),
    ]);
    golden::texts(vec![(
        Touched { key: "k".into(), link: "l".into(), name: "n".into(), shared: false },
        r#"{"key":"k","link":"l","name":"n"}"#,
    )]);
}

#[test]
fn an_event_and_its_line_and_what_is_handed_over() {
    let event = Event::from(SeedEvent::PeerAdd("p".into()));
    assert_eq!(serde_json::to_value(event.line()).unwrap(), json!({ "tag": "peer-add", "data": "p" }));
    let handed = serde_json::to_string(&event).unwrap();
    assert_eq!(handed, r#"{"Seed":{"tag":"peer-add","data":"p"}}"#);
    assert_eq!(serde_json::from_str::<Event>(&handed).unwrap(), event);
}

#[test]
fn an_output_and_its_data_and_what_is_handed_over() {
    let output = Output::from(Staged { link: "l".into(), verlink: "v".into() });
    assert_eq!(serde_json::to_value(output.data()).unwrap(), json!({ "link": "l", "verlink": "v" }));
    let handed = serde_json::to_string(&output).unwrap();
    assert_eq!(serde_json::from_str::<Output>(&handed).unwrap(), output);
    assert_eq!(serde_json::to_value(Output::Nothing.data()).unwrap(), json!({}));
}
