//! Text from others on a terminal: a drive, a request or a file name must not move its cursor, erase what a signer
//! reads, or change the order of the letters.

use std::borrow::Cow;

/// The colours that the printer itself writes.
pub(crate) const GREEN: &str = "\x1b[32m";
pub(crate) const RED: &str = "\x1b[31m";
pub(crate) const YELLOW: &str = "\x1b[33m";
pub(crate) const RESET: &str = "\x1b[0m";

/// `line` without what a terminal would obey, but for the printer's colours, line ends and tabs.
pub(crate) fn printable(line: &str) -> Cow<'_, str> {
    if !line.chars().any(is_command) {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if let Some(colour) = [GREEN, RED, YELLOW, RESET].into_iter().find(|colour| rest.starts_with(colour))
        {
            out.push_str(colour);
            rest = rest.get(colour.len()..).unwrap_or_default();
            continue;
        }
        if !is_command(c) {
            out.push(c);
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    Cow::Owned(out)
}

/// A name or a value that has to stay on its line, in its colour.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c }).filter(|c| !is_command(*c)).collect()
}

/// Controls, and the marks that turn the direction of text.
fn is_command(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_terminal_obeys_is_left() {
        let evil = "evil\x1b[2K\x1b[1A\u{9b}2J\rok\u{202e}txt\x07";
        assert_eq!(printable(evil), "evil[2K[1A2Joktxt");
        assert_eq!(one_line("a\nFake: line\tb\x1b[32m"), "a Fake: line b[32m");
    }

    #[test]
    fn ordinary_text_and_our_colours_stay() {
        for line in
            ["plain", "two\nlines\twith ü, 語 and 🎉", "\x1b[32m+\x1b[0m /file", "\x1b[33mnote\x1b[0m"]
        {
            assert_eq!(printable(line), line);
        }
    }
}
