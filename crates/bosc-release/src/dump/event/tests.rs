use super::*;
use crate::golden;

#[test]
fn events_and_result_have_the_names_that_others_read() {
    use DumpEvent as E;
    let stats = || DumpStats {
        peers: 1,
        drive_length: 2,
        download: Received { bytes: 3, blocks: 4, total_bytes: 3 },
        upload: Sent { bytes: 5, blocks: 6 },
        content: None,
    };
    let file = || FilePart { key: "/a".into(), ..FilePart::default() };
    golden::events(vec![
        (
            E::Dumping { link: "l".into(), dir: "-".into(), list: true },
            "dumping",
            r#"{"link":"l","dir":"-","list":true}"#,
        ),
        (E::Dry, "dry", "null"),
        (
            E::Unmatched { list: "only".into(), pattern: "a".into() },
            "unmatched",
            r#"{"list":"only","pattern":"a"}"#,
        ),
        (E::File(file()), "file", r#"{"key":"/a"}"#),
        (
            E::File(FilePart { linkname: Some(Some("b".into())), value: Some(String::new()), ..file() }),
            "file",
            r#"{"key":"/a","linkname":"b","value":""}"#,
        ),
        (
            E::File(FilePart { linkname: Some(None), value: Some(String::new()), ..file() }),
            "file",
            r#"{"key":"/a","linkname":null,"value":""}"#,
        ),
        (E::File(FilePart { value: Some("v".into()), ..file() }), "file", r#"{"key":"/a","value":"v"}"#),
        (
            E::File(FilePart { value: Some("v".into()), offset: Some(0), more: Some(true), ..file() }),
            "file",
            r#"{"key":"/a","value":"v","offset":0,"more":true}"#,
        ),
        (
            E::File(FilePart { base64: Some("/w==".into()), offset: Some(9), more: Some(false), ..file() }),
            "file",
            r#"{"key":"/a","base64":"/w==","offset":9,"more":false}"#,
        ),
        (E::ByteDiff(ByteDiff::remove("/a", 1)), "byte-diff", r#"{"type":-1,"sizes":[-1],"message":"/a"}"#),
        (
            E::Stats(DumpStats { content: Some(Content { bytes: 8, written: 7 }), ..stats() }),
            "stats",
            concat!(
                r#"{"peers":1,"driveLength":2,"download":{"bytes":3,"blocks":4,"totalBytes":3},"#,
                r#""upload":{"bytes":5,"blocks":6},"content":{"bytes":8,"written":7}}"#
            ),
        ),
        (
            E::Stats(stats()),
            "stats",
            concat!(
                r#"{"peers":1,"driveLength":2,"download":{"bytes":3,"blocks":4,"totalBytes":3},"#,
                r#""upload":{"bytes":5,"blocks":6}}"#
            ),
        ),
    ]);
    golden::texts(vec![(
        Dumped { count: DiffCount { files: 1, add: 2, remove: 3, change: 4 }, received: 5, version: 6 },
        r#"{"count":{"files":1,"add":2,"remove":3,"change":4},"received":5,"version":6}"#,
    )]);
}
