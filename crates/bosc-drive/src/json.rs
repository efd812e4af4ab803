//! JSON text exactly as JavaScript's `JSON.stringify` writes it.
//!
//! A drive's entries are such text, and provisioning is only reproducible when every implementation writes the same
//! bytes. Differences to what `serde_json` writes: numbers are doubles in ECMAScript's notation, and keys that are
//! array indexes come first, in numeric order.

use serde_json::{Map, Value};

/// `value` as JavaScript would write it after having parsed it.
pub fn stringify(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value);
    out
}

pub(crate) fn write(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => write_number(out, n.as_f64().unwrap_or(f64::NAN)),
        Value::String(s) => write_string(out, s),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => write_object(out, map),
    }
}

fn write_object(out: &mut String, map: &Map<String, Value>) {
    let mut indexed: Vec<(u32, &Value)> =
        map.iter().filter_map(|(k, v)| Some((array_index(k)?, v))).collect();
    indexed.sort_unstable_by_key(|(i, _)| *i);
    out.push('{');
    let mut first = true;
    let mut comma = |out: &mut String| {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
    };
    for (i, v) in indexed {
        comma(out);
        out.push_str(&format!("\"{i}\":"));
        write(out, v);
    }
    for (k, v) in map.iter().filter(|(k, _)| array_index(k).is_none()) {
        comma(out);
        write_string(out, k);
        out.push(':');
        write(out, v);
    }
    out.push('}');
}

/// The number a key stands for when ECMAScript treats it as an array index.
fn array_index(key: &str) -> Option<u32> {
    let canonical = key == "0" || (!key.starts_with('0') && key.bytes().all(|b| b.is_ascii_digit()));
    if !canonical { None } else { key.parse().ok().filter(|&i| i != u32::MAX) }
}

pub(crate) fn write_string(out: &mut String, s: &str) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// ECMAScript's Number::toString; what is not finite is `null`, as in `JSON.stringify`.
fn write_number(out: &mut String, n: f64) {
    if !n.is_finite() {
        out.push_str("null");
        return;
    }
    if n == 0.0 {
        out.push('0');
        return;
    }
    // Rust's exponent form has the shortest digits that come back to the same double, as ECMAScript demands.
    let text = format!("{:e}", n.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let count = digits.len() as i32;
    // The value is 0.digits times ten to the power of `point`.
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    if n < 0.0 {
        out.push('-');
    }
    let (head, tail) = digits.split_at_checked(point.clamp(0, count) as usize).unwrap_or((&digits, ""));
    if (1..=21).contains(&point) {
        out.push_str(head);
        if tail.is_empty() {
            out.extend(std::iter::repeat_n('0', (point - count) as usize));
        } else {
            out.push('.');
            out.push_str(tail);
        }
    } else if (-5..=0).contains(&point) {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', -point as usize));
        out.push_str(&digits);
    } else {
        let (head, tail) = digits.split_at_checked(1).unwrap_or((&digits, ""));
        out.push_str(head);
        if !tail.is_empty() {
            out.push('.');
            out.push_str(tail);
        }
        let e = point - 1;
        out.push_str(&format!("e{}{}", if e < 0 { '-' } else { '+' }, e.abs()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(stringify(&serde_json::from_str(text).unwrap()), expected, "{text}");
    }

    /// Expected texts are what node 20 prints for `JSON.stringify(JSON.parse(text))`.
    #[test]
    fn numbers_are_written_as_javascript_does() {
        for (text, expected) in [
            ("1.0", "1"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("1e21", "1e+21"),
            ("1e20", "100000000000000000000"),
            ("123456789012345678901", "123456789012345680000"),
            ("9007199254740993", "9007199254740992"),
            ("18446744073709551615", "18446744073709552000"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("1.5e-10", "1.5e-10"),
            ("-12.5", "-12.5"),
            ("5e-324", "5e-324"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("100", "100"),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn strings_and_keys_are_written_as_javascript_does() {
        check(
            r#""\u0000\u001f\u007f\u2028\b\f\n\r\t\"\\\/é😀""#,
            "\"\\u0000\\u001f\u{7f}\u{2028}\\b\\f\\n\\r\\t\\\"\\\\/é😀\"",
        );
        check(
            r#"{"b":1,"a":2,"10":3,"9":4,"01":5,"4294967295":6}"#,
            r#"{"9":4,"10":3,"b":1,"a":2,"01":5,"4294967295":6}"#,
        );
        check(r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#);
        check("[ 1 , {} , [] ]", "[1,{},[]]");
    }
}
