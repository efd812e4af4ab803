//! Texts that events and results must have, for tests beside them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io::Write;

/// Each value has its text, and the text is read as the value.
pub(crate) fn texts<T: Serialize + DeserializeOwned + PartialEq + Debug>(values: Vec<(T, &str)>) {
    for (value, text) in values {
        assert_eq!(serde_json::to_string(&value).unwrap(), text);
        assert_eq!(serde_json::from_str::<T>(text).unwrap(), value, "{text}");
    }
}

/// Each event has its tag and the text of its data, and there is one of every variant.
pub(crate) fn events<T: Serialize + DeserializeOwned + PartialEq + Debug>(values: Vec<(T, &str, &str)>) {
    let told: BTreeSet<String> = values.iter().map(|(_, tag, _)| (*tag).to_owned()).collect();
    for (value, tag, data) in values {
        record(tag, data);
        // An event without data says nothing of it; its line does.
        let text = match data {
            "null" => format!(r#"{{"tag":"{tag}"}}"#),
            data => format!(r#"{{"tag":"{tag}","data":{data}}}"#),
        };
        texts(vec![(value, &text)]);
    }
    // Serde names all variants to whoever asks for one that is none.
    let none = serde_json::from_str::<T>(r#"{"tag":"?"}"#).unwrap_err().to_string();
    let all: BTreeSet<String> = none.split('`').skip(3).step_by(2).map(str::to_owned).collect();
    assert_eq!(told, all, "a value of every variant");
}

/// Keeps the line for `interop/tools/shapes.mjs`: what a suite sees depends on how fast a machine is, what can be told
/// does not.
fn record(tag: &str, data: &str) {
    let Some(dir) = std::env::var_os("BOSC_RECORD_LINES") else { return };
    let file = std::path::Path::new(&dir).join(format!("golden-{}.ndjson", std::process::id()));
    let mut file = std::fs::File::options().create(true).append(true).open(file).unwrap();
    writeln!(file, r#"{{"words":[],"line":{{"cmd":"*","tag":"{tag}","data":{data}}}}}"#).unwrap();
}
