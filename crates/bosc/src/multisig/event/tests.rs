use super::*;
use bosc_release::multisig::event::LengthAndHash;

fn text(event: &KeyringEvent) -> String {
    serde_json::to_string(event).unwrap()
}

fn at() -> At {
    At { r#pub: "a".into(), prv: "b".into() }
}

#[test]
fn events_have_the_names_that_others_read() {
    let key = |private_key: Option<&str>| KeyringEvent::Key {
        name: "n".into(),
        r#pub: "p".into(),
        prv: "q".into(),
        public_key: "k".into(),
        at: at(),
        private_key: private_key.map(str::to_owned),
    };
    let export = |file: Option<&str>, key: Option<&str>| {
        KeyringEvent::Export(Exported {
            name: "n".into(),
            public_key: None,
            file: file.map(str::to_owned),
            key: key.map(str::to_owned),
        })
    };
    let listed = ListedKey { name: "n".into(), public_key: "k".into(), owned: true, at: at() };
    let sign =
        KeyringEvent::Sign { response: "r".into(), at: at(), request_hash: "h".into(), spoken: "s".into() };
    let key_text =
        r#"{"tag":"key","data":{"name":"n","pub":"p","prv":"q","publicKey":"k","at":{"pub":"a","prv":"b"}"#;
    for (event, wanted) in [
        (
            KeyringEvent::Paths { paths: true, r#pub: "p".into(), prv: "q".into() },
            r#"{"tag":"key","data":{"paths":true,"pub":"p","prv":"q"}}"#.to_owned(),
        ),
        (key(None), format!("{key_text}}}}}")),
        (key(Some("x")), format!(r#"{key_text},"privateKey":"x"}}}}"#)),
        (
            KeyringEvent::List { keys: vec![listed] },
            r#"{"tag":"list","data":{"keys":[{"name":"n","publicKey":"k","owned":true,"at":{"pub":"a","prv":"b"}}]}}"#
                .to_owned(),
        ),
        (KeyringEvent::Removed { name: "n".into() }, r#"{"tag":"removed","data":{"name":"n"}}"#.to_owned()),
        (
            export(Some("f"), None),
            r#"{"tag":"export","data":{"name":"n","publicKey":null,"file":"f"}}"#.to_owned(),
        ),
        (
            export(None, Some("t")),
            r#"{"tag":"export","data":{"name":"n","publicKey":null,"key":"t"}}"#.to_owned(),
        ),
        (
            KeyringEvent::Namespace { namespace: "n".into() },
            r#"{"tag":"namespace","data":{"namespace":"n"}}"#.to_owned(),
        ),
        (
            sign,
            r#"{"tag":"sign","data":{"response":"r","at":{"pub":"a","prv":"b"},"requestHash":"h","spoken":"s"}}"#
                .to_owned(),
        ),
    ] {
        assert_eq!(text(&event), wanted);
    }
}

#[test]
fn what_is_to_be_signed_keeps_its_order_with_and_without_a_store() {
    let of_request = || OfRequest {
        says: RequestSays {
            key: "k".into(),
            link: "l".into(),
            verlink: "v".into(),
            length: 1,
            fork: 0,
            tree_hash: "t".into(),
            blobs: Some(LengthAndHash { length: 2, tree_hash: "b".into() }),
            quorum: 2,
            signers: vec!["a".into()],
        },
        request_hash: "h".into(),
        spoken: "s".into(),
        signed_before: SignedBefore { count: 0, last: None, record: None },
    };
    let says = concat!(
        r#""key":"k","link":"l","verlink":"v","length":1,"fork":0,"treeHash":"t","#,
        r#""blobs":{"length":2,"treeHash":"b"},"quorum":2,"signers":["a"]"#
    );
    let own = r#""spoken":"s","signedBefore":{"count":0,"last":null}"#;
    let bare = Signing::bare(of_request(), &CommandError::failed("x"));
    let known = concat!(
        r#""source":null,"production":{"known":false,"from":"unknown"},"compatible":null,"released":false,"#,
        r#""content":{},"notes":["The store could not be opened (x), so neither the files nor production are known."]"#
    );
    let seen = r#""inspected":false,"missing":"the store could not be opened (x)","earlier":[]"#;
    assert_eq!(
        serde_json::to_string(&bare).unwrap(),
        format!(r#"{{{known},{seen},{says},"requestHash":"h",{own}}}"#)
    );
    let (known_types, seen_types) = (bare.known().clone(), bare.seen().clone());
    let asked = Signing::Asked { of_request: of_request(), known: known_types, seen: seen_types };
    assert_eq!(
        serde_json::to_string(&asked).unwrap(),
        format!(r#"{{{says},{known},"requestHash":"h",{seen},{own}}}"#)
    );
}

#[test]
fn another_record_is_told() {
    let told = SignedBefore { count: 0, last: None, record: Some("/r".into()) };
    assert_eq!(serde_json::to_string(&told).unwrap(), r#"{"count":0,"last":null,"record":"/r"}"#);
}
