//! Text of the help: headings, literals, lines of one width.

use clap::builder::styling::Style;
use std::fmt::Write;
use std::io::IsTerminal;

/// Columns of the help where there is no terminal, and of its copies in docs/.
pub(super) const WIDTH: usize = 80;
/// Least and most columns that it takes on a terminal: wider lines are hard to read.
const WIDTHS: (usize, usize) = (40, 100);

/// Columns of the help here.
pub(super) fn width() -> usize {
    match std::io::stdout().is_terminal() {
        true => usize::from(console::Term::stdout().size().1).clamp(WIDTHS.0, WIDTHS.1),
        false => WIDTH,
    }
}

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

/// Text behind what takes `column` columns of the first line; the lines after it begin with `indent`.
pub(super) fn hanging(text: &str, width: usize, column: usize, indent: &str) -> String {
    wrap(text, width.saturating_sub(column)).replace('\n', &format!("\n{indent}"))
}

/// Paragraphs in so many columns. One that fits stays as it is; lines that begin with a space are not text, and stay as well.
pub(super) fn paragraphs(text: &str, width: usize) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut paragraph: Vec<&str> = Vec::new();
    let end = |paragraph: &mut Vec<&str>, out: &mut Vec<String>| {
        let fits = paragraph.iter().all(|line| line.chars().count() <= width);
        match fits {
            true => out.extend(paragraph.iter().map(|line| (*line).to_owned())),
            false => out.push(wrap(&paragraph.join(" "), width)),
        }
        paragraph.clear();
    };
    for line in text.lines() {
        if line.is_empty() || line.starts_with(' ') {
            end(&mut paragraph, &mut out);
            out.push(line.to_owned());
        } else {
            paragraph.push(line);
        }
    }
    end(&mut paragraph, &mut out);
    out.join("\n")
}

/// A command in so many columns: where it is broken, a shell reads on. Words in quotes stay whole.
pub(super) fn command_line(line: &str, width: usize) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for word in shell_words(line) {
        let length = word.chars().count();
        // Room for the mark, if another word follows.
        if column > 0 && column + 1 + length + 2 > width {
            out.push_str(" \\\n");
            column = 4;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    if line.chars().count() <= width { line.to_owned() } else { out }
}

/// The words of a command with their quotes.
fn shell_words(line: &str) -> Vec<&str> {
    let (mut out, mut from, mut quote) = (Vec::new(), 0, None);
    for (at, c) in line.char_indices() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            (' ', None) => {
                out.extend(line.get(from..at).filter(|w| !w.is_empty()));
                from = at + 1;
            }
            _ => {}
        }
    }
    out.extend(line.get(from..).filter(|w| !w.is_empty()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_fit_and_what_is_no_text_stays() {
        let text = "one two three\nfour five\n\n  as it  is, however long it may be\nsix\nseven";
        assert_eq!(
            paragraphs(text, 10),
            "one two\nthree four\nfive\n\n  as it  is, however long it may be\nsix\nseven"
        );
        assert_eq!(paragraphs(text, 80), text);
        assert_eq!(hanging("one two three", 12, 4, "    "), "one two\n    three");
    }

    #[test]
    fn a_long_command_goes_on_where_a_shell_reads_on() {
        assert_eq!(command_line("bosc a --b c", 12), "bosc a --b c");
        assert_eq!(command_line("bosc aa --bb 'c d' --e", 16), "bosc aa --bb \\\n'c d' --e");
        assert_eq!(shell_words("a 'b c' \"d e\" f"), ["a", "'b c'", "\"d e\"", "f"]);
    }
}
