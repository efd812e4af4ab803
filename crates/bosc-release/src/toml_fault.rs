//! What is wrong with a text of TOML, on one line: `line 2, column 9: unclosed table, expected `]``. The parser's own words have a
//! picture of the place, over several lines.

use std::ops::Range;

/// The clause, of the parser's message and the bytes it is about.
pub(crate) fn told(text: &str, message: &str, at: Option<Range<usize>>) -> String {
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some(before) = at.and_then(|at| text.get(..at.start)) else { return message };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: {message}")
}

/// Of an edited document.
pub(crate) fn edit(text: &str, e: &toml_edit::TomlError) -> String {
    told(text, e.message(), e.span())
}

/// Of a table.
pub(crate) fn table(text: &str, e: &toml::de::Error) -> String {
    told(text, e.message(), e.span())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_line_that_names_its_place() {
        for text in ["a = 1\n[publish", "a = \"\u{e9}\"\nb = \"\n", "a = 1\na = 2\n", "\u{1}", "a = [\n1,\n"]
        {
            let said = edit(text, &text.parse::<toml_edit::DocumentMut>().unwrap_err());
            assert!(said.starts_with("line ") && !said.contains('\n'), "{text:?}: {said}");
            let said = table(text, &text.parse::<toml::Table>().unwrap_err());
            assert!(said.starts_with("line ") && !said.contains('\n'), "{text:?}: {said}");
        }
        let text = "a = 1\n[publish";
        let said = edit(text, &text.parse::<toml_edit::DocumentMut>().unwrap_err());
        assert!(said.starts_with("line 2, column 9: "), "{said}");
    }
}
