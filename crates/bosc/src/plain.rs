//! Text from others on a terminal: a drive, a request or a file name must not move its cursor, erase what a signer
//! reads, change the order or the colour of the letters, or look like another name.
//!
//! # Invariants
//!
//! 1. What is shown is escaped, never dropped: `\u{202e}`. A backslash that would read as such an escape is doubled in a
//!    value ([`one_line`]), so that two different values never look the same.
//! 2. Colour is structure ([`render`]): parts of a line have a tone, and the codes are added around text that was cleaned.
//!    No code inside a text is recognised, also not our own.
//! 3. Text that people write stays as it is: accents, Cyrillic, Greek, Arabic, Hebrew, Indic scripts, Thai, Chinese,
//!    Japanese, Korean, symbols, emoji.
//!
//! # What is escaped
//!
//! * Controls (C0, C1), format characters (bidi, zero width, tags), line separators, odd spaces, private and unassigned
//!   characters: all that Unicode calls unprintable, by the tables of the standard library.
//! * Characters that are letters or marks by name and show nothing: fillers, variation selectors. A joiner stays where a
//!   script needs it, after a virama and between Arabic letters; not between emoji, which terminals draw apart anyway.
//! * Second spellings of what has a usual one: combining accents, conjoining jamo, full width, mathematical and
//!   presentation forms, ligatures, slashes, dots, colons and hyphens that are none.
//! * Look-alikes: Cyrillic, Greek and others in a word with Latin letters, and words all of whose letters could be Latin
//!   in a text that has no letter of that script that could not.
//! * More than four marks on one letter, marks on nothing; in a value also spaces at its ends.
//!
//! Not told apart: letters of one script that look alike (`l`, `I`, `1`), and words of right-to-left scripts whose order a
//! terminal changes by itself.
//!
//! # Files
//!
//! - `letters`: characters that show nothing, second spellings, joiners, how many marks a letter has, look-alikes of Latin ones.

mod letters;

/// How a line on stderr is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Done.
    Good,
    /// Failed.
    Bad,
    /// Worth a look.
    Warn,
    /// Ordinary.
    Plain,
}

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt::Write;

const RESET: &str = "\x1b[0m";

fn code(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "\x1b[32m",
        Tone::Bad => "\x1b[31m",
        Tone::Warn => "\x1b[33m",
        Tone::Plain => "",
    }
}

/// The parts of a line as they go to a terminal, each cleaned; in their colours when `colour` is set.
pub(crate) fn render(parts: &[(Tone, &str)], colour: bool) -> String {
    let mut out = String::new();
    for (tone, text) in parts {
        let text = printable(text);
        if colour && *tone != Tone::Plain {
            out.push_str(code(*tone));
            out.push_str(&text);
            out.push_str(RESET);
        } else {
            out.push_str(&text);
        }
    }
    out
}

/// Text of our own making around values of others, of several lines if need be.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '\n' | '\t'), false)
}

/// A sentence around values of others, an error's message for example: it stays on its line.
pub(crate) fn sentence(text: &str) -> Cow<'_, str> {
    escape(text, |_| false, false)
}

/// A name or a value that has to stay on its line, and that differs on the screen when it differs.
pub(crate) fn one_line(text: &str) -> String {
    escape(text, |_| false, true).into_owned()
}

/// A line of JSON: what a terminal would obey or not show is written with JSON's own escapes, so that it stays JSON.
pub(crate) fn json_line(json: &str) -> Cow<'_, str> {
    let hidden = |c: char| !c.is_ascii() && !letters::is_shown(c, Some('\u{8a9e}'), None, 0);
    if !json.chars().any(hidden) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn push_escaped(out: &mut String, c: char) {
    let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
}

/// `keep`: controls that stay. `value`: backslashes before an escape, or what reads as one, are doubled, and spaces at the
/// ends are escaped.
fn escape(text: &str, keep: impl Fn(char) -> bool, value: bool) -> Cow<'_, str> {
    let fine = |c: char| matches!(c, ' '..='~') || keep(c);
    let inner = if value { text.trim_matches([' ', '\u{3000}']) } else { text };
    if text.chars().all(fine) && inner.len() == text.len() && !(value && text.contains("\\u{")) {
        return Cow::Borrowed(text);
    }
    let start = text.find(inner).unwrap_or(0);
    let end = start + inner.len();
    let foreign = letters::Foreign::of(text);
    let is_shown = |at: usize, c: char, before: Option<char>, marks: usize| {
        let after = text.get(at + c.len_utf8()..).and_then(|rest| rest.chars().next());
        (start..end).contains(&at)
            && (fine(c) || (letters::is_shown(c, before, after, marks) && !foreign.is_marked(text, at)))
    };
    let mut out = String::with_capacity(text.len() + 16);
    let (mut before, mut marks, mut backslashes) = (None, 0usize, 0usize);
    for (at, c) in text.char_indices() {
        marks = if letters::is_mark(c) { marks + 1 } else { 0 };
        let shown = is_shown(at, c, before, marks);
        // A run of backslashes stands before an escape, or before what reads as the rest of one.
        if value && (!shown || text.get(at..).is_some_and(|rest| rest.starts_with("u{"))) {
            out.extend(std::iter::repeat_n('\\', backslashes));
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        if shown {
            out.push(c);
        } else {
            push_escaped(&mut out, c);
        }
        before = Some(c);
    }
    Cow::Owned(out)
}
