//! Text of the help: headings, literals, lines of one width.

use clap::builder::styling::Style;
use std::fmt::Write;

/// A heading in clap's own style.
pub(super) fn heading(out: &mut String, text: &str) {
    let style: Style = *clap::builder::Styles::styled().get_header();
    let _ = writeln!(out, "{style}{text}:{style:#}");
}

/// Text to type, in clap's own style. Spaces before it are left alone.
pub(super) fn literal(text: &str) -> String {
    let style: Style = *clap::builder::Styles::styled().get_literal();
    let words = text.trim_start();
    let (indent, _) = text.split_at(text.len() - words.len());
    format!("{indent}{style}{words}{style:#}")
}

/// Lines of at most `width` characters, broken at spaces.
pub(super) fn wrap(text: &str, width: usize) -> String {
    wrap_before(text, width, 0)
}

/// The same, with room for `rest` characters behind the last word.
pub(super) fn wrap_before(text: &str, width: usize, rest: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let length = word.chars().count() + if words.peek().is_none() { rest } else { 0 };
        if column > 0 && column + 1 + length > width {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}
