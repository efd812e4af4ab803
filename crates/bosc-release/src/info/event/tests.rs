use super::*;
use crate::golden;
use serde_json::json;

#[test]
fn events_have_the_names_that_others_read() {
    use InfoEvent as E;
    let info = |blobs| LinkInfo {
        link: "l".into(),
        verlink: "v".into(),
        hashlink: "h".into(),
        name: json!("n"),
        version: json!(1),
        product_name: Value::Null,
        upgrade: json!({ "z": 1, "a": 2 }),
        length: 1,
        byte_length: 2,
        fork: 3,
        writable: true,
        blobs,
    };
    let begin = concat!(
        r#"{"link":"l","verlink":"v","hashlink":"h","name":"n","version":1,"productName":null,"#,
        r#""upgrade":{"z":1,"a":2},"length":1,"byteLength":2,"fork":3,"writable":true,"blobs":"#
    );
    let (blobs, text) = crate::stage::blobs_text();
    golden::events(vec![
        (
            E::Retrieving { z32: "z".into(), only_show_key: false },
            "retrieving",
            r#"{"z32":"z","onlyShowKey":false}"#,
        ),
        (
            E::Keys { project: "p".into(), content: Some("c".into()), discovery: "d".into() },
            "keys",
            r#"{"project":"p","content":"c","discovery":"d"}"#,
        ),
        (
            E::Keys { project: "p".into(), content: None, discovery: "d".into() },
            "keys",
            r#"{"project":"p","content":null,"discovery":"d"}"#,
        ),
        (E::Empty, "empty", "null"),
        (
            E::Multisig { quorum: 2, public_keys: vec!["a".into()], only: true },
            "multisig",
            r#"{"quorum":2,"publicKeys":["a"],"only":true}"#,
        ),
        (E::Manifest { manifest: Value::Null }, "manifest", r#"{"manifest":null}"#),
        (E::Manifest { manifest: json!({ "b": 1, "a": 2 }) }, "manifest", r#"{"manifest":{"b":1,"a":2}}"#),
        (E::Info(Box::new(info(Some(blobs)))), "info", &format!("{begin}{text}}}")),
        (E::Info(Box::new(info(None))), "info", &format!("{begin}null}}")),
    ]);
}
