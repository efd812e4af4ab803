use super::*;
use crate::golden;
use crate::provision::{CoreVersion, DriveVersion};
use crate::stage::BlobsSize;

#[test]
fn steps_have_the_names_that_others_read() {
    let step = |data| DemoEvent::Step { text: "t".into(), seconds: 0.5, data };
    let s = |text: &str| text.to_owned();
    let version = || DriveVersion {
        core: CoreVersion { id: "i".into(), length: 1, hash: None },
        blobs: None,
        link: "l".into(),
        verlink: "v".into(),
        hashlink: None,
    };
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
        looks_secret: Vec::new(),
        blobs: BlobsSize { length: 1, fork: 2, byte_length: 3 },
    };
    let one =
        r#"{"core":{"id":"i","length":1,"hash":null},"blobs":null,"link":"l","verlink":"v","hashlink":null}"#;
    let result = format!(r#"{{"source":{one},"target":{one},"production":{one},"changes":1}}"#);
    for (data, text) in [
        (StepData::Dht { bootstrap: vec![s("b")] }, s(r#"{"bootstrap":["b"]}"#)),
        (
            StepData::Staged { summary: Box::new(summary), seconds: 0.5, verlink: s("v") },
            s(concat!(
                r#"{"summary":{"files":1,"add":2,"remove":3,"change":4,"length":5,"byteLength":6,"newBytes":7,"#,
                r#""newBlocks":8,"sharedBytes":9,"looksSecret":[],"blobs":{"length":1,"fork":2,"byteLength":3}},"#,
                r#""seconds":0.5,"verlink":"v"}"#
            )),
        ),
        (
            StepData::Updated { received: 1, whole: 2, seconds: 0.5 },
            s(r#"{"received":1,"whole":2,"seconds":0.5}"#),
        ),
        (StepData::Fetched { received: 1, seconds: 0.5 }, s(r#"{"received":1,"seconds":0.5}"#)),
        (StepData::Arrived { received: 1, files: 2, bytes: 3 }, s(r#"{"received":1,"files":2,"bytes":3}"#)),
        (StepData::Compared { files: 1, bytes: 2 }, s(r#"{"files":1,"bytes":2}"#)),
        (StepData::Edited { edits: s("e") }, s(r#"{"edits":"e"}"#)),
        (
            StepData::Team { production: s("p"), public_keys: vec![s("k")], quorum: 2 },
            s(r#"{"production":"p","publicKeys":["k"],"quorum":2}"#),
        ),
        (
            StepData::Provisioned {
                verlink: s("v"),
                result: Box::new(Provisioned {
                    source: version(),
                    target: version(),
                    production: version(),
                    changes: 1,
                }),
            },
            format!(r#"{{"verlink":"v","result":{result}}}"#),
        ),
        (StepData::Requested { request: s("r") }, s(r#"{"request":"r"}"#)),
        (StepData::Refused { code: s("c") }, s(r#"{"code":"c"}"#)),
        (
            StepData::Committed { signers: vec![s("a")], verlink: s("v") },
            s(r#"{"signers":["a"],"verlink":"v"}"#),
        ),
        (StepData::Runs { link: s("l"), bytes: 1 }, s(r#"{"link":"l","bytes":1}"#)),
        (StepData::Link { link: s("l") }, s(r#"{"link":"l"}"#)),
        (StepData::Replaced { received: 1, instead_of: None }, s(r#"{"received":1}"#)),
        (StepData::Replaced { received: 1, instead_of: Some(2) }, s(r#"{"received":1,"insteadOf":2}"#)),
        (
            StepData::Mirrored { target: s("t"), url: s("u"), objects: 1, bytes: 2 },
            s(r#"{"target":"t","url":"u","objects":1,"bytes":2}"#),
        ),
        (
            StepData::Reached {
                version: s("v"),
                hundredths: 1_000,
                has: vec![s("a")],
                held: vec![],
                requests: 3,
            },
            s(r#"{"version":"v","hundredths":1000,"has":["a"],"held":[],"requests":3}"#),
        ),
        (
            StepData::Recalled { version: s("v"), restored: s("w"), installations: vec![s("a")] },
            s(r#"{"version":"v","restored":"w","installations":["a"]}"#),
        ),
        (StepData::Stale { limit: 1 }, s(r#"{"limit":1}"#)),
        (StepData::Nothing, s("null")),
    ] {
        let text = format!(r#"{{"text":"t","seconds":0.5,"data":{text}}}"#);
        golden::events(vec![(step(data), "step", text.as_str())]);
    }
}

#[test]
fn the_result_has_the_names_that_others_read() {
    let done = |updates| DemoDone {
        link: "l".into(),
        received: Received { first: 1, second: 2 },
        bytes: 3,
        release: DemoRelease { production: "p".into(), verlink: "v".into(), received: 4, bytes: 5 },
        updates,
        control: None,
    };
    let begin = concat!(
        r#"{"link":"l","received":{"first":1,"second":2},"bytes":3,"#,
        r#""release":{"production":"p","verlink":"v","received":4,"bytes":5}"#
    );
    golden::texts(vec![
        (done(None), &format!("{begin}}}")),
        (
            done(Some(DemoUpdates { received: 6, bytes: 7, instead_of: None })),
            &format!(r#"{begin},"updates":{{"received":6,"bytes":7}}}}"#),
        ),
        (
            done(Some(DemoUpdates { received: 6, bytes: 7, instead_of: Some(8) })),
            &format!(r#"{begin},"updates":{{"received":6,"bytes":7,"insteadOf":8}}}}"#),
        ),
        (
            DemoDone {
                control: Some(DemoControl {
                    production: "q".into(),
                    mirror_bytes: 9,
                    requests: 10,
                    unanswered: 11,
                }),
                ..done(None)
            },
            &format!(
                r#"{begin},"control":{{"production":"q","mirrorBytes":9,"requests":10,"unanswered":11}}}}"#
            ),
        ),
    ]);
}
