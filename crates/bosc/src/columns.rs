//! Text in columns that stand below each other and fit a width.
//!
//! Each column is as wide as its widest cell. Where that does not fit, the columns that may be cut are, the widest first, down to
//! [`LEAST`]; what is cut ends in `…`. Where even that does not fit, the last columns are left to the terminal, so that nothing is
//! lost where it can break or scroll.

use console::{measure_text_width, truncate_str};

/// Columns that a terminal has at least, as everything is laid out for.
pub(crate) const WIDTH: usize = 80;
/// A column is cut no narrower.
const LEAST: usize = 8;
/// Between two columns.
const GAP: usize = 2;

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Text that may be cut.
    Cut,
    /// Numbers: by their ends.
    Right,
}

/// Lines of a table. Every row has as many cells as there are `columns`.
pub(crate) fn lines(columns: &[Align], rows: &[Vec<String>], width: usize) -> Vec<String> {
    let mut widths: Vec<usize> = vec![0; columns.len()];
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = measure_text_width(cell).max(*widest);
        }
    }
    let gaps = columns.len().saturating_sub(1) * GAP;
    loop {
        let over = (widths.iter().sum::<usize>() + gaps).saturating_sub(width);
        let cuttable = widths.iter_mut().zip(columns).filter(|(w, c)| **c == Align::Cut && **w > LEAST);
        match cuttable.max_by_key(|(w, _)| **w) {
            Some((widest, _)) if over > 0 => {
                *widest = widest.saturating_sub(over.min(*widest / 4 + 1)).max(LEAST)
            }
            _ => break,
        }
    }
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for ((cell, align), width) in row.iter().zip(columns).zip(&widths) {
            let cell = truncate_str(cell, *width, "…");
            let free = " ".repeat(width.saturating_sub(measure_text_width(&cell)));
            let gap = if line.is_empty() { "" } else { "  " };
            match align {
                Align::Right => line.extend([gap, &free, &cell]),
                _ => line.extend([gap, &cell, &free]),
            }
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Words on lines of at most `width` columns, each line after the first behind `indent` spaces.
pub(crate) fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        let length = measure_text_width(word);
        if column > 0 && column + 1 + length > width {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
        cells.map(str::to_owned).to_vec()
    }

    #[test]
    fn columns_stand_below_each_other_and_fit() {
        let columns = [Align::Left, Align::Cut, Align::Right];
        let rows = [
            row(["NAME", "LINK", "SIZE"]),
            row(["a", "pear://0123456789", "1.5 MB"]),
            row(["long name", "-", "0 B"]),
        ];
        assert_eq!(
            lines(&columns, &rows, 80),
            [
                "NAME       LINK                 SIZE",
                "a          pear://0123456789  1.5 MB",
                "long name  -                     0 B"
            ]
        );
        assert_eq!(
            lines(&columns, &rows, 30),
            [
                "NAME       LINK           SIZE",
                "a          pear://012…  1.5 MB",
                "long name  -               0 B"
            ]
        );
        // Nothing below the least width of a column that may be cut, and none of the others.
        assert!(
            lines(&columns, &rows, 5).iter().all(|l| l.chars().count() <= 27),
            "{:?}",
            lines(&columns, &rows, 5)
        );
        assert_eq!(lines(&columns, &[], 80), Vec::<String>::new());
    }

    #[test]
    fn words_are_broken_at_spaces() {
        assert_eq!(wrapped("one two three", 9, 2), "one two\n  three");
        assert_eq!(wrapped("a-word-that-is-too-long b", 9, 2), "a-word-that-is-too-long\n  b");
        assert_eq!(wrapped("", 9, 2), "");
    }
}
