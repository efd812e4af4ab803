//! JSON5 as `tauri.conf.json5` is written in: read for what it says, and one value of it changed while every other byte stays.
//!
//! Source of the format: <https://spec.json5.org>. What it has beside JSON: comments, commas behind the last, names without
//! quotes, strings in single quotes that may go over several lines, other spellings of numbers. Escapes in names are not read.
//!
//! Bounds: [`DEPTH`] objects and lists in each other; whoever reads the file bounds its length.

use serde_json::{Map, Number, Value};
use std::ops::Range;

/// Most objects and lists in each other.
const DEPTH: usize = 100;

/// The object that a text is.
///
/// # Errors
/// What is wrong with it, as a clause that names the line.
pub(crate) fn object(text: &str) -> Result<Map<String, Value>, String> {
    let mut reader = Reader { text, at: start(text), depth: 0 };
    let out = reader.whole();
    out.map(|(object, _)| object).map_err(|what| reader.says(what))
}

/// The text with the string `value` at `path`. Objects on the way that are missing are made, behind what is there.
///
/// # Errors
/// What is wrong with the text, or on the way, as a clause.
pub(crate) fn set(text: &str, path: &[&str], value: &str) -> Result<String, String> {
    let mut wanted = Value::Object(object(text)?);
    let out = put(text, path, value)?;
    let mut at = &mut wanted;
    for name in path {
        let of = at.as_object_mut().ok_or_else(|| format!("what holds {name:?} is not an object"))?;
        at = of.entry(*name).or_insert_with(|| Value::Object(Map::new()));
    }
    *at = Value::from(value);
    match object(&out).is_ok_and(|made| Value::Object(made) == wanted) {
        true => Ok(out),
        false => Err("the changed text would say something else".to_owned()),
    }
}

fn put(text: &str, path: &[&str], value: &str) -> Result<String, String> {
    let Some((name, rest)) = path.split_first() else { return Ok(Value::from(value).to_string()) };
    let mut reader = Reader { text, at: start(text), depth: 0 };
    let (_, members) = reader.whole().map_err(|what| reader.says(what))?;
    let piece = |range: Range<usize>| text.get(range).unwrap_or_default();
    // Of equal names the last one counts.
    if let Some(member) = members.iter().rev().find(|m| m.name == *name) {
        let inner = put(piece(member.value.clone()), rest, value).map_err(|why| format!("{name}: {why}"))?;
        return Ok([piece(0..member.value.start), &inner, piece(member.value.end..text.len())].concat());
    }
    let mut made = Value::from(value);
    for name in rest.iter().rev() {
        made = Value::from(Map::from_iter([((*name).to_owned(), made)]));
    }
    let member = format!("{}: {made}", Value::from(*name));
    Ok(match members.last() {
        Some(last) => {
            // Set as the last one is: what stands between a line's begin and its name, if that is only space.
            let line = piece(0..last.at).rsplit('\n').next().unwrap_or_default();
            let own = piece(0..last.at).contains('\n') && line.chars().all(|c| c == ' ' || c == '\t');
            let space = if own { format!("\n{line}") } else { " ".to_owned() };
            format!("{},{space}{member}{}", piece(0..last.value.end), piece(last.value.end..text.len()))
        }
        None => {
            let open = text.find('{').map_or(0, |at| at + 1);
            // A brace in a comment before the object is none.
            let open = Reader { text, at: start(text), depth: 0 }.space().map_or(open, |at| at + 1);
            format!("{}{member}{}", piece(0..open), piece(open..text.len()))
        }
    })
}

/// Behind a byte-order mark.
fn start(text: &str) -> usize {
    if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 }
}

/// A member of the outermost object.
struct Member {
    name: String,
    /// Where the name begins.
    at: usize,
    value: Range<usize>,
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

type Fault = &'static str;

impl Reader<'_> {
    fn says(&self, what: Fault) -> String {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        format!("line {}: {what}", before.matches('\n').count() + 1)
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take(&mut self, c: char) -> bool {
        let is = self.peek() == Some(c);
        self.at += if is { c.len_utf8() } else { 0 };
        is
    }

    /// Spaces and comments. Where it goes on.
    fn space(&mut self) -> Result<usize, Fault> {
        loop {
            let rest = self.rest();
            if rest.starts_with("//") {
                self.at += rest.find(['\n', '\r', '\u{2028}', '\u{2029}']).unwrap_or(rest.len());
            } else if let Some(inner) = rest.strip_prefix("/*") {
                self.at += inner.find("*/").ok_or("a comment does not end")? + 4;
            } else if rest.starts_with(|c: char| c.is_whitespace() || c == '\u{feff}') {
                self.next();
            } else {
                return Ok(self.at);
            }
        }
    }

    fn whole(&mut self) -> Result<(Map<String, Value>, Vec<Member>), Fault> {
        let mut members = Vec::new();
        self.space()?;
        if self.peek() != Some('{') {
            return Err("it is not an object");
        }
        let object = self.object(Some(&mut members))?;
        self.space()?;
        if self.rest().is_empty() { Ok((object, members)) } else { Err("something comes after the object") }
    }

    fn deeper(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH { Err("it is nested too deeply") } else { Ok(()) }
    }

    fn object(&mut self, mut members: Option<&mut Vec<Member>>) -> Result<Map<String, Value>, Fault> {
        self.deeper()?;
        self.next();
        let mut out = Map::new();
        loop {
            let at = self.space()?;
            if self.take('}') {
                self.depth -= 1;
                return Ok(out);
            }
            let name = match self.peek() {
                Some('"' | '\'') => self.string()?,
                _ => self.name()?,
            };
            self.space()?;
            if !self.take(':') {
                return Err("a name has no `:` behind it");
            }
            let from = self.space()?;
            let value = self.value()?;
            if let Some(members) = members.as_deref_mut() {
                members.push(Member { name: name.clone(), at, value: from..self.at });
            }
            out.insert(name, value);
            self.space()?;
            if !self.take(',') && self.peek() != Some('}') {
                return Err("a `,` or `}` is missing");
            }
        }
    }

    fn list(&mut self) -> Result<Value, Fault> {
        self.deeper()?;
        self.next();
        let mut out = Vec::new();
        loop {
            self.space()?;
            if self.take(']') {
                self.depth -= 1;
                return Ok(Value::Array(out));
            }
            out.push(self.value()?);
            self.space()?;
            if !self.take(',') && self.peek() != Some(']') {
                return Err("a `,` or `]` is missing");
            }
        }
    }

    fn value(&mut self) -> Result<Value, Fault> {
        match self.peek() {
            Some('{') => self.object(None).map(Value::Object),
            Some('[') => self.list(),
            Some('"' | '\'') => self.string().map(Value::String),
            Some(_) => self.word(),
            None => Err("a value is missing"),
        }
    }

    fn name(&mut self) -> Result<String, Fault> {
        let is = |c: char| c.is_alphanumeric() || matches!(c, '$' | '_' | '\u{200c}' | '\u{200d}');
        let rest = self.rest();
        let name = rest.get(..rest.find(|c| !is(c)).unwrap_or(rest.len())).unwrap_or_default().to_owned();
        if name.is_empty() || name.starts_with(|c: char| c.is_numeric()) {
            return Err("a name is missing");
        }
        self.at += name.len();
        Ok(name)
    }

    fn string(&mut self) -> Result<String, Fault> {
        const OPEN: Fault = "a string does not end";
        let quote = self.next().ok_or(OPEN)?;
        let mut out = String::new();
        loop {
            match self.next().ok_or(OPEN)? {
                c if c == quote => return Ok(out),
                '\n' | '\r' => return Err(OPEN),
                '\\' => match self.next().ok_or(OPEN)? {
                    'b' => out.push('\u{8}'),
                    'f' => out.push('\u{c}'),
                    'n' => out.push('\n'),
                    'r' => out.push('\r'),
                    't' => out.push('\t'),
                    'v' => out.push('\u{b}'),
                    '0' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => out.push('\0'),
                    'x' => out.push(self.hex(2).and_then(char::from_u32).ok_or("not an escape: \\x")?),
                    'u' => out.push(self.unit().ok_or("not an escape: \\u")?),
                    // The string goes on in the next line.
                    '\r' => {
                        self.take('\n');
                    }
                    '\n' | '\u{2028}' | '\u{2029}' => {}
                    c if c.is_ascii_digit() => return Err("not an escape: a digit"),
                    c => out.push(c),
                },
                c => out.push(c),
            }
        }
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let text = self.rest().get(..digits)?;
        let all = text.bytes().all(|b| b.is_ascii_hexdigit());
        let n = if all { u32::from_str_radix(text, 16).ok()? } else { return None };
        self.at += digits;
        Some(n)
    }

    /// A character by one escape, or by two that are halves of one.
    fn unit(&mut self) -> Option<char> {
        let first = self.hex(4)?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        if !self.rest().starts_with("\\u") {
            return None;
        }
        self.at += 2;
        let second = self.hex(4).filter(|n| (0xdc00..0xe000).contains(n))?;
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    }

    /// `true`, `null`, a number.
    fn word(&mut self) -> Result<Value, Fault> {
        let rest = self.rest();
        let is = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let word = rest.get(..rest.find(|c| !is(c)).unwrap_or(rest.len())).unwrap_or_default().to_owned();
        self.at += word.len();
        let number = word.strip_prefix(['+', '-']).unwrap_or(&word);
        Ok(match number {
            "" => return Err("a value is missing"),
            "true" if word == number => Value::Bool(true),
            "false" if word == number => Value::Bool(false),
            "null" if word == number => Value::Null,
            // JSON has no words for these, and nothing that is read here is one.
            "Infinity" | "NaN" => Value::Null,
            _ => {
                let sign = if word.starts_with('-') { "-" } else { "" };
                let hex = number.strip_prefix("0x").or_else(|| number.strip_prefix("0X"));
                let first = number.starts_with(|c: char| c.is_ascii_digit() || c == '.');
                let whole = match hex {
                    Some(digits) => u64::from_str_radix(digits, 16).ok().map(|n| format!("{sign}{n}")),
                    None => first.then(|| format!("{sign}{number}")),
                };
                let text = whole.ok_or("that is no value")?;
                match (text.parse::<i64>(), text.parse::<f64>()) {
                    (Ok(n), _) => Value::from(n),
                    (_, Ok(n)) => Number::from_f64(n).map_or(Value::Null, Value::Number),
                    _ => return Err("that is no value"),
                }
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn what_json5_has_beside_json_is_read() {
        let text = "\u{feff}// mine\n{\n  /* a } in a comment */ $schema: 'https://x',\n  version: '1.2.3', \"a\\u0062\": \
                    'it\\'s \\\n long',\n  list: [1, +2, .5, 5., 0x10, -Infinity, true, null,],\n  'd\\uD83D\\uDE00': {},\n}\n// end";
        assert_eq!(
            Value::Object(object(text).unwrap()),
            json!({"$schema": "https://x", "version": "1.2.3", "ab": "it's  long",
                "list": [1, 2, 0.5, 5.0, 16, null, true, null], "d\u{1f600}": {}})
        );
        for (bad, what) in [
            ("", "line 1: it is not an object"),
            ("[]", "not an object"),
            ("{a:1}x", "comes after"),
            ("{\n\na}", "line 3: a name has no `:`"),
            ("{a:1 b:2}", "`}` is missing"),
            ("{a:[1 2]}", "`]` is missing"),
            ("{a:'x\n'}", "does not end"),
            ("{a:/*}", "does not end"),
            ("{a:}", "value is missing"),
            ("{a:yes}", "no value"),
            ("{a:--1}", "no value"),
            ("{1:1}", "name is missing"),
            ("{a:'\\u12'}", "escape"),
            ("{a:'\\ud800'}", "escape"),
        ] {
            let said = object(bad).unwrap_err();
            assert!(said.contains(what), "{bad:?}: {said}");
        }
        assert!(object(&format!("{{a:{}", "[".repeat(1 << 20))).unwrap_err().contains("deeply"));
    }

    #[test]
    fn one_value_changes_and_no_other_byte() {
        let link = |text: &str| set(text, &["plugins", "bosc", "upgrade"], "pear://x").unwrap();
        assert_eq!(
            link("// { mine\n{\n  version: '1.0.0', // here\n  app: {}, // there\n}\n"),
            "// { mine\n{\n  version: '1.0.0', // here\n  app: {},\n  \"plugins\": {\"bosc\":{\"upgrade\":\"pear://x\"}}, // there\n}\n"
        );
        assert_eq!(
            link("{plugins: {bosc: {upgrade: '', /* no */}}}"),
            "{plugins: {bosc: {upgrade: \"pear://x\", /* no */}}}"
        );
        assert_eq!(link("/*{*/ {}"), "/*{*/ {\"plugins\": {\"bosc\":{\"upgrade\":\"pear://x\"}}}");
        assert_eq!(link("{plugins: {a: 1}}"), "{plugins: {a: 1, \"bosc\": {\"upgrade\":\"pear://x\"}}}");
        assert!(set("{plugins: 1}", &["plugins", "bosc", "upgrade"], "x").unwrap_err().contains("plugins"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_json_is_read_as_such(text in "[{}\\[\\],:'\"a1/*\\\\u. \n-]{0,40}", n in any::<i64>()) {
            let _ = object(&text);
            let _ = set(&text, &["a", "b"], "x");
            let json = json!({"a": [n, text], "b": {"c": 0.25}});
            prop_assert_eq!(Value::Object(object(&json.to_string()).unwrap()), json);
        }
    }
}
