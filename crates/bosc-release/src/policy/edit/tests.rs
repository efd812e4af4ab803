use super::*;
use crate::event::Event;

fn set_in(folder: &Path, edit: &Edit) -> Result<Vec<String>, CommandError> {
    let mut fields = Vec::new();
    let mut sink = |event: Event| {
        if let Event::Policy(PolicyEvent::FieldChanged { field, .. }) = event {
            fields.push(field);
        }
    };
    let done = set(folder, edit, &mut sink)?;
    assert_eq!(done.changed, fields.len());
    Ok(fields)
}

fn read(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(FILE_NAME)).unwrap()).unwrap()
}

fn night_shift() -> OperatorWish {
    OperatorWish { name: "night shift".into(), key: [4; 32], may: vec![Right::Refresh, Right::Halt] }
}

#[test]
fn a_file_is_made_and_changed_and_what_is_not_known_stays() {
    let dir = tempfile::tempdir().unwrap();
    let first = Edit {
        rollout: Some(Share::from_hundredths(1_250).unwrap()),
        operators: vec![night_shift()],
        freshness: Some(Some(604_800)),
        recall: Some(true),
        minimum: Some(Some(Version::new(1, 0, 0))),
        notes: vec![("en".into(), "New.".into())],
        ..Edit::default()
    };
    let fields = set_in(dir.path(), &first).unwrap();
    assert_eq!(fields, ["schema", "time", "rollout", "freshness", "recall", "minimum", "notes", "operators"]);
    let policy = Policy::from_json(&read(dir.path())).unwrap();
    assert_eq!(policy.rollout().hundredths(), 1_250);
    assert!(policy.time().unwrap() > 1_700_000_000);

    // What somebody else wrote stays where it is, within operators too.
    let text = std::fs::read_to_string(dir.path().join(FILE_NAME)).unwrap();
    let text = text.replacen("\"schema\"", "\"x-ours\": {\"z\": 1, \"a\": 2}, \"schema\"", 1);
    let text = text.replacen("\"name\"", "\"phone\": \"112\", \"name\"", 1);
    std::fs::write(dir.path().join(FILE_NAME), text).unwrap();
    let wish = OperatorWish { may: vec![Right::Rollout], ..night_shift() };
    let second = Edit {
        rollout: Some(Share::ALL),
        recall: Some(false),
        minimum: Some(None),
        freshness: Some(None),
        operators: vec![wish, OperatorWish { name: "boss".into(), key: [5; 32], may: vec![] }],
        ..Edit::default()
    };
    set_in(dir.path(), &second).unwrap();
    let value = read(dir.path());
    assert_eq!(value.as_object().unwrap().keys().next().unwrap(), "x-ours");
    assert_eq!(value["x-ours"].to_string(), r#"{"z":1,"a":2}"#);
    assert_eq!(value["rollout"].to_string(), "100");
    assert_eq!(value["operators"][0]["phone"], "112");
    assert_eq!(value["operators"][0]["may"], json!(["rollout"]));
    assert_eq!(value["operators"].as_array().unwrap().len(), 2);
    for gone in ["recall", "minimum", "freshness"] {
        assert!(value.get(gone).is_none(), "{gone}");
    }

    let out = |who: &str| Edit { remove_operators: vec![who.into()], ..Edit::default() };
    set_in(dir.path(), &out("boss")).unwrap();
    set_in(dir.path(), &out(&id::encode(&[4; 32]))).unwrap();
    assert_eq!(read(dir.path())["operators"], json!([]));
    assert_eq!(set_in(dir.path(), &out("boss")).unwrap_err().code(), "ERR_NOT_FOUND");
}

#[test]
fn what_would_be_wrong_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FILE_NAME);
    for text in ["[]", "{\"schema\":2}", "{\"schema\":1,\"a\":1,\"a\":2}", "{", "{\"schema\":1,\"recall\":7}"]
    {
        std::fs::write(&file, text).unwrap();
        let e = set_in(dir.path(), &Edit { rollout: Some(Share::ALL), ..Edit::default() }).unwrap_err();
        assert_eq!(e.code(), "ERR_INVALID_POLICY", "{text}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
    // What is set anew may have been wrong.
    std::fs::write(&file, "{\"schema\":1,\"rollout\":900}").unwrap();
    set_in(dir.path(), &Edit { rollout: Some(Share::NONE), ..Edit::default() }).unwrap();
    let nowhere = dir.path().join("nowhere");
    assert_eq!(set_in(&nowhere, &Edit::default()).unwrap_err().code(), "ERR_NOT_FOUND");
}
