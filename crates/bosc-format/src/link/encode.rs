//! Percent-encoding and dot segments as URLs have them (WHATWG URL, as Node.js does it).

use std::fmt::Write;

fn encode(text: &str, also: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    // Tabs and line ends inside a URL are dropped.
    for byte in text.bytes().filter(|b| !matches!(b, b'\t' | b'\n' | b'\r')) {
        if byte <= b' ' || byte > b'~' || also.contains(&byte) {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

pub(super) fn encode_path(path: &str) -> String {
    encode(path, b"\"#<>?`{}")
}

/// A mark with nothing left behind it is none.
fn or_none(text: String) -> String {
    if text == "?" || text == "#" { String::new() } else { text }
}

pub(super) fn encode_search(search: &str, special: bool) -> String {
    or_none(encode(search, if special { b"\"<>'" } else { b"\"<>" }))
}

pub(super) fn encode_fragment(fragment: &str) -> String {
    or_none(encode(fragment, b"\"<>`"))
}

/// Percent-decoding. `None` when the result is no UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%'
            && let Some(([high, low], tail)) = rest.split_first_chunk::<2>()
            && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
        {
            out.push((high * 16 + low) as u8);
            rest = tail;
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

/// Takes `.` and `..` out of a path that is empty or starts with a slash.
pub(super) fn normalize_dots(path: &str) -> String {
    let Some(path) = path.strip_prefix('/') else { return path.to_owned() };
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        match plain.as_str() {
            "." | ".." => {
                if plain == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}
