use super::*;

const KEY: &str = "tkrq8zmwb8a3m9k15csu3q17qmfgqnp9dskbrg9uq1rydpyxp7qy";

fn read(text: &str) -> Result<Config, CommandError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pear.json");
    std::fs::write(&path, text).unwrap();
    Config::read(&path)
}

#[test]
fn what_is_missing_is_named() {
    for (text, field) in [
        ("{}", "multisig field required in "),
        ("{\"multisig\":{}}", "multisig.publicKeys field required in "),
        ("{\"multisig\":{\"publicKeys\":[]}}", "publicKeys array required"),
        ("{\"multisig\":{\"publicKeys\":\"x\"}}", "publicKeys array required"),
        (&format!("{{\"multisig\":{{\"publicKeys\":[{KEY:?}]}}}}"), "multisig.quorum field required in "),
        (
            &format!("{{\"multisig\":{{\"publicKeys\":[{KEY:?}],\"quorum\":0}}}}"),
            "multisig.quorum field required in ",
        ),
        (
            &format!("{{\"multisig\":{{\"publicKeys\":[{KEY:?}],\"quorum\":2,\"namespace\":\"n\"}}}}"),
            "multisig.quorum must be",
        ),
        (
            &format!("{{\"multisig\":{{\"publicKeys\":[{KEY:?}],\"quorum\":1}}}}"),
            "multisig.namespace field required in ",
        ),
        (
            &format!(
                "{{\"multisig\":{{\"publicKeys\":[{KEY:?},{KEY:?}],\"quorum\":1,\"namespace\":\"n\"}}}}"
            ),
            "listed twice",
        ),
        (
            "{\"multisig\":{\"publicKeys\":[\"short\"],\"quorum\":1,\"namespace\":\"n\"}}",
            "Invalid publicKeys signing key: short",
        ),
        ("{not json", "Could not parse config "),
    ] {
        let e = read(text).unwrap_err();
        assert_eq!(e.code(), "ERR_INVALID_CONFIG", "{text}");
        assert!(e.message().contains(field), "{text}: {}", e.message());
    }
    let gone = Config::read(Path::new("does/not/exist.json")).unwrap_err();
    assert_eq!(gone.code(), "ERR_INVALID_INPUT");
}

#[test]
fn a_new_namespace_changes_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pear.json");
    let text = format!(
        "{{\"z\":1,\"multisig\":{{\"quorum\":1,\"namespace\":\"a/b\",\"publicKeys\":[{KEY:?}],\"more\":true}},\"a\":[2]}}"
    );
    std::fs::write(&path, &text).unwrap();
    let mut config = Config::read(&path).unwrap();
    let before = config.signers.manifest().unwrap().key();
    config.set_namespace("a/b$x").unwrap();
    let again = Config::read(&path).unwrap();
    assert_eq!(again.signers.namespace, "a/b$x");
    assert_ne!(again.signers.manifest().unwrap().key(), before);
    let expected = text.replace("a/b", "a/b$x");
    let order = |t: &str| serde_json::from_str::<Value>(t).unwrap().to_string();
    assert_eq!(order(&std::fs::read_to_string(&path).unwrap()), order(&expected));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn the_link_is_that_of_javascript() {
    let v: Value = serde_json::from_str(include_str!("../../../../../interop/vectors/pear.json")).unwrap();
    let keys: Vec<String> = v["signers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["publicKey"].as_str().unwrap().to_owned())
        .collect();
    let signers = Signers { public_keys: keys, quorum: 2, namespace: "my-org/my-app".into() };
    assert_eq!(id::encode(&signers.manifest().unwrap().key()), v["multi"]["keyz"]);
    let mut other = signers.clone();
    other.public_keys.swap(0, 1);
    assert_ne!(other.manifest().unwrap().key(), signers.manifest().unwrap().key());
}
