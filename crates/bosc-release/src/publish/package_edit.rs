//! Changes one value of a `package.json` and nothing else: its order, indentation, line ends and the rest of its bytes
//! stay.

use serde_json::{Map, Value};
use std::ops::Range;

/// A member of the outermost object, as byte ranges.
struct Member {
    key: String,
    /// From the quote to behind the closing one.
    key_at: Range<usize>,
    value_at: Range<usize>,
}

/// The text with `key` set to the string `value`. A key that is there keeps its place; a new one comes behind `version`,
/// or last.
///
/// # Errors
/// What is wrong with the text.
pub fn set_string(text: &str, key: &str, value: &str) -> Result<String, String> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lead = text.len() - body.len();
    let mut wanted: Map<String, Value> =
        serde_json::from_str(body).map_err(|e| format!("not a JSON object: {e}"))?;
    wanted.insert(key.to_owned(), Value::from(value));
    let members = members(body).ok_or("its members could not be separated")?;
    let (quoted_key, quoted) = (Value::from(key).to_string(), Value::from(value).to_string());
    let mut out = String::with_capacity(text.len() + quoted.len() + 64);
    let part = |range: Range<usize>| body.get(range).unwrap_or_default();
    out.push_str(text.get(..lead).unwrap_or_default());
    // Of equal keys the last one counts.
    if let Some(m) = members.iter().rev().find(|m| m.key == key) {
        out.push_str(part(0..m.value_at.start));
        out.push_str(&quoted);
        out.push_str(part(m.value_at.end..body.len()));
    } else if let (Some(first), Some(last)) = (members.first(), members.last()) {
        let after = members.iter().rev().find(|m| m.key == "version").unwrap_or(last);
        let open = body.find('{').ok_or("it is not an object")? + 1;
        let (space, colon) = (part(open..first.key_at.start), part(first.key_at.end..first.value_at.start));
        out.push_str(part(0..after.value_at.end));
        out.push(',');
        out.push_str(space);
        out.push_str(&quoted_key);
        out.push_str(colon);
        out.push_str(&quoted);
        out.push_str(part(after.value_at.end..body.len()));
    } else {
        let open = body.find('{').ok_or("it is not an object")? + 1;
        out.push_str(part(0..open));
        out.push_str(&format!("{quoted_key}: {quoted}"));
        out.push_str(part(open..body.len()));
    }
    let made: Map<String, Value> = serde_json::from_str(out.trim_start_matches('\u{feff}'))
        .map_err(|e| format!("the changed text would not be JSON: {e}"))?;
    if made != wanted { Err("the changed text would say something else".into()) } else { Ok(out) }
}

/// The members of the outermost object of a text that is known to be JSON.
fn members(text: &str) -> Option<Vec<Member>> {
    let bytes = text.as_bytes();
    let mut at = skip_space(bytes, 0);
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    at += 1;
    let mut out = Vec::new();
    loop {
        at = skip_space(bytes, at);
        match bytes.get(at)? {
            b'}' => return Some(out),
            b',' => at = skip_space(bytes, at + 1),
            _ => {}
        }
        let key_end = skip_string(bytes, at)?;
        let key: String = serde_json::from_str(text.get(at..key_end)?).ok()?;
        let colon = skip_space(bytes, key_end);
        if bytes.get(colon) != Some(&b':') {
            return None;
        }
        let start = skip_space(bytes, colon + 1);
        let end = skip_value(bytes, start)?;
        out.push(Member { key, key_at: at..key_end, value_at: start..end });
        at = end;
    }
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Behind the string that starts at `at`.
fn skip_string(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let mut i = at + 1;
    loop {
        match bytes.get(i)? {
            b'\\' => i += 2,
            b'"' => return Some(i + 1),
            _ => i += 1,
        }
    }
}

/// Behind the value that starts at `at`.
fn skip_value(bytes: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut i = at;
    loop {
        match bytes.get(i)? {
            b'"' => {
                i = skip_string(bytes, i)?;
                if depth == 0 {
                    return Some(i);
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return Some(i),
            _ => {}
        }
        i += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_value_changes_and_no_other_byte() {
        let set = |text: &str| set_string(text, "upgrade", "pear://x").unwrap();
        assert_eq!(
            set("{\n\t\"name\": \"a\",\r\n\t\"version\" : \"1.0.0\",\n\t\"z\": [1, {\"upgrade\": 2}]\n}\n"),
            "{\n\t\"name\": \"a\",\r\n\t\"version\" : \"1.0.0\",\n\t\"upgrade\": \"pear://x\",\n\t\"z\": [1, {\"upgrade\": 2}]\n}\n"
        );
        assert_eq!(set("{\"upgrade\":\"\",\"a\":1}"), "{\"upgrade\":\"pear://x\",\"a\":1}");
        assert_eq!(set("{\"upgrade\": null }"), "{\"upgrade\": \"pear://x\" }");
        assert_eq!(set("{\"a\":1.5e3}"), "{\"a\":1.5e3,\"upgrade\":\"pear://x\"}");
        assert_eq!(set("{}"), "{\"upgrade\": \"pear://x\"}");
        assert_eq!(set(" {\n} "), " {\"upgrade\": \"pear://x\"\n} ");
        assert_eq!(set("\u{feff}{\"a\":true}"), "\u{feff}{\"a\":true,\"upgrade\":\"pear://x\"}");
        assert_eq!(
            set("{\"upgrade\":1,\"upgrade\":\"\\\"}\"}"),
            "{\"upgrade\":1,\"upgrade\":\"pear://x\"}",
            "of equal keys the last counts"
        );
        assert_eq!(set("{\"a\":\"\\\\\"}"), "{\"a\":\"\\\\\",\"upgrade\":\"pear://x\"}");
        for bad in ["", "[]", "1", "{\"a\":}", "{\"a\":1,}", "{"] {
            assert!(set_string(bad, "upgrade", "x").is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_object_it_says_the_same_else(
            keys in proptest::collection::vec("[a-z\"\\\\é]{0,4}", 0..6),
            pretty in any::<bool>(),
            value in ".{0,12}",
        ) {
            let mut map = Map::new();
            for (i, k) in keys.iter().enumerate() {
                map.insert(k.clone(), serde_json::json!({ "n": i, "s": format!("{k}]}},"), "l": [[], {}, k] }));
            }
            let text = if pretty { serde_json::to_string_pretty(&map) } else { serde_json::to_string(&map) }.unwrap();
            let out = set_string(&text, "upgrade", &value).unwrap();
            map.insert("upgrade".into(), Value::from(value));
            prop_assert_eq!(serde_json::from_str::<Map<String, Value>>(&out).unwrap(), map);
        }
    }
}
