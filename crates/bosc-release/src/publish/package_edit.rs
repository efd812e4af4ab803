//! Changes one value of a `package.json`, `tauri.conf.json`, `tauri.conf.json5`, `Tauri.toml`, `Cargo.toml` or `pyproject.toml` and nothing
//! else: order, comments, indentation, line ends and the rest of the bytes stay.

use crate::build::{PackageKind, json5};
use serde_json::{Map, Value};
use std::ops::Range;
use toml_edit::{DocumentMut, Item, Table, TableLike};

/// The text of such a file with this link as `upgrade`, where `build` reads it.
///
/// # Errors
/// What is wrong with the text.
pub fn set_upgrade(kind: PackageKind, text: &str, link: &str) -> Result<String, String> {
    match kind {
        PackageKind::Npm => set_string(text, "upgrade", link),
        PackageKind::Tauri => set_below(text, &["plugins", "bosc"], "upgrade", link),
        PackageKind::TauriJson5 => json5::set(text, &["plugins", "bosc", "upgrade"], link),
        PackageKind::TauriToml => set_toml(text, &[("plugins", true), ("bosc", false)], link),
        PackageKind::Cargo => {
            set_toml(text, &[("package", false), ("metadata", true), ("bosc", false)], link)
        }
        PackageKind::Python => set_toml(text, &[("tool", true), ("bosc", false)], link),
    }
}

/// `productName` of a package.json. Everything else stays as it is.
///
/// # Errors
/// What is wrong with the text, as a clause.
pub fn set_product_name(text: &str, name: &str) -> Result<String, String> {
    set_string(text, "productName", name)
}

/// [`set_string`] in an object below; objects on the way there that are missing are made.
fn set_below(text: &str, path: &[&str], key: &str, value: &str) -> Result<String, String> {
    let Some((first, rest)) = path.split_first() else { return set_string(text, key, value) };
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lead = text.len() - body.len();
    let all = members(body).ok_or("it is not a JSON object")?;
    match all.iter().rev().find(|m| m.key == *first) {
        Some(member) => {
            let at = member.value_at.start + lead..member.value_at.end + lead;
            let inner = text.get(at.clone()).unwrap_or_default();
            let inner = set_below(inner, rest, key, value).map_err(|why| format!("{first}: {why}"))?;
            let (before, after) = (text.get(..at.start), text.get(at.end..));
            Ok([before.unwrap_or_default(), &inner, after.unwrap_or_default()].concat())
        }
        None => {
            let mut made = Value::from(Map::from_iter([(key.to_owned(), Value::from(value))]));
            for name in rest.iter().rev() {
                made = Value::from(Map::from_iter([((*name).to_owned(), made)]));
            }
            set(text, first, made)
        }
    }
}

/// `upgrade` in the last of these tables, one in the other; those that are missing are made, implicit where that is said. The first
/// of Cargo's has to be there.
fn set_toml(text: &str, tables: &[(&str, bool)], link: &str) -> Result<String, String> {
    let (mark, body) = text.strip_prefix('\u{feff}').map_or(("", text), |body| ("\u{feff}", body));
    let mut doc: DocumentMut =
        body.parse().map_err(|e: toml_edit::TomlError| crate::toml_fault::edit(body, &e))?;
    if tables.first().is_some_and(|(first, _)| *first == "package" && doc.get(first).is_none()) {
        return Err("it has no [package]".to_owned());
    }
    let mut at: &mut dyn TableLike = doc.as_table_mut();
    for (name, implicit) in tables {
        at = below(at, name, *implicit)?;
    }
    at.insert("upgrade", toml_edit::value(link));
    let out = format!("{mark}{doc}");
    Ok(if text.contains("\r\n") { out.replace("\r\n", "\n").replace('\n', "\r\n") } else { out })
}

/// The table called so, made where it is missing.
fn below<'t>(
    table: &'t mut dyn TableLike,
    name: &str,
    implicit: bool,
) -> Result<&'t mut dyn TableLike, String> {
    if table.get(name).is_none() {
        let mut made = Table::new();
        made.set_implicit(implicit);
        table.insert(name, Item::Table(made));
    }
    table.get_mut(name).and_then(Item::as_table_like_mut).ok_or_else(|| format!("{name} is not a table"))
}

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
    set(text, key, Value::from(value))
}

fn set(text: &str, key: &str, value: Value) -> Result<String, String> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lead = text.len() - body.len();
    let mut wanted: Map<String, Value> =
        serde_json::from_str(body).map_err(|e| format!("not a JSON object: {e}"))?;
    let (quoted_key, quoted) = (Value::from(key).to_string(), value.to_string());
    wanted.insert(key.to_owned(), value);
    let members = members(body).ok_or("its members could not be separated")?;
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

    #[test]
    fn the_link_is_written_where_build_reads_it() {
        let tauri = |text: &str| set_upgrade(PackageKind::Tauri, text, "pear://x").unwrap();
        assert_eq!(
            tauri("{\n  \"version\": \"1.0.0\",\n  \"app\": {}\n}\n"),
            "{\n  \"version\": \"1.0.0\",\n  \"plugins\": {\"bosc\":{\"upgrade\":\"pear://x\"}},\n  \"app\": {}\n}\n"
        );
        assert_eq!(
            tauri("\u{feff}{\"plugins\": {\"bosc\": {\"upgrade\": \"\", \"a\": 1}}}"),
            "\u{feff}{\"plugins\": {\"bosc\": {\"upgrade\": \"pear://x\", \"a\": 1}}}"
        );
        assert!(set_upgrade(PackageKind::Tauri, "{\"plugins\": 1}", "x").is_err());
        let cargo = |text: &str| set_upgrade(PackageKind::Cargo, text, "pear://x").unwrap();
        assert_eq!(
            cargo("[package] # mine\nname = 'a'\n\n[dependencies]\nb = \"1\"\n"),
            "[package] # mine\nname = 'a'\n\n[package.metadata.bosc]\nupgrade = \"pear://x\"\n\n[dependencies]\nb = \"1\"\n"
        );
        assert_eq!(
            cargo("[package]\nname = 'a'\n[package.metadata.bosc]\nproductName = 'A'\n"),
            "[package]\nname = 'a'\n[package.metadata.bosc]\nproductName = 'A'\nupgrade = \"pear://x\"\n"
        );
        assert_eq!(cargo("[package]\r\nname = 'a'\r\n").matches("\r\n").count(), 5);
        assert!(set_upgrade(PackageKind::Cargo, "[workspace]\n", "x").is_err());
        let toml = |text: &str| set_upgrade(PackageKind::TauriToml, text, "pear://x").unwrap();
        assert_eq!(
            toml("product-name = 'a' # mine\n\n[app]\nx = 1\n"),
            "product-name = 'a' # mine\n\n[app]\nx = 1\n\n[plugins.bosc]\nupgrade = \"pear://x\"\n"
        );
        let python = |text: &str| set_upgrade(PackageKind::Python, text, "pear://x").unwrap();
        assert_eq!(
            python("[project]\nname = 'a' # mine\n[tool.ruff]\nx = 1\n"),
            "[project]\nname = 'a' # mine\n[tool.ruff]\nx = 1\n\n[tool.bosc]\nupgrade = \"pear://x\"\n"
        );
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
