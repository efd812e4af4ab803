//! The rows that are drawn in place, on stderr: one, or a table.
//!
//! Each is cut to the width there is, and there are at most half as many as the terminal has: what scrolled off its top could not
//! be taken off again. The width may change while they stand there; a terminal that breaks lines anew then shows one on several
//! rows, all of which are taken off. Terminals that are known not to do so keep a piece of it rather than lose a row that is not
//! ours. What is drawn is one write: nobody sees half of it.
//!
//! A terminal may have become narrower before it says so (tmux says it up to a quarter of a second later). What is drawn meanwhile would
//! be broken at its edge, and so it is drawn with breaking switched off: each row takes one row whatever the width is. The rows before,
//! which were broken anew, left behind just as many pieces as they then have more than one row each: whoever takes off the rows that
//! stand there, counted at the new width, takes off these too.

use console::{Term, measure_text_width, truncate_str};

/// Fewer columns show two rows only.
const NARROW: usize = 60;
const SPINNER: [char; 8] = ['⠁', '⠂', '⠄', '⡀', '⢀', '⠠', '⠐', '⠈'];

/// What stands on the terminal now.
#[derive(Debug)]
pub(super) struct StatusLine {
    term: Term,
    /// Columns of each row that stands there, from the top.
    columns: Vec<usize>,
    turn: usize,
    breaks_anew: bool,
}

impl Default for StatusLine {
    fn default() -> Self {
        Self {
            term: Term::stderr(),
            columns: Vec::new(),
            turn: 0,
            breaks_anew: breaks_anew(|v| std::env::var(v).ok()),
        }
    }
}

impl StatusLine {
    pub(super) fn is_there(&self) -> bool {
        !self.columns.is_empty()
    }

    /// Draws the rows in place of what stands there.
    pub(super) fn draw(&mut self, rows: &[String]) {
        let (height, width) = self.size();
        let mark = SPINNER.get(self.turn % SPINNER.len()).copied().unwrap_or(' ');
        self.turn = self.turn.wrapping_add(1);
        let cut = shown(rows, mark, height, width);
        self.take_off();
        if self.term.write_str(&unbroken(&cut.join("\n"))).is_ok() {
            // One that is empty takes a row as well.
            self.columns = cut.iter().map(|row| measure_text_width(row).max(1)).collect();
        }
    }

    /// Leaves the row, or rows, as if nothing had been drawn.
    pub(super) fn take_off(&mut self) {
        if self.columns.is_empty() {
            return;
        }
        let (height, width) = self.size();
        let of = |columns: &usize| if self.breaks_anew { rows(*columns, width) } else { 1 };
        let rows = self.columns.iter().map(of).sum::<usize>().min(height);
        self.columns.clear();
        let up = if rows > 1 { self.term.move_cursor_up(rows - 1) } else { Ok(()) };
        let _ = up.and_then(|()| self.term.clear_line()).and_then(|()| self.term.clear_to_end_of_screen());
    }

    /// Rows and columns.
    fn size(&self) -> (usize, usize) {
        let (height, width) = self.term.size();
        (usize::from(height).max(1), usize::from(width).max(2))
    }
}

/// The rows as they fit: the first with a mark that turns, the others below its text.
fn shown(rows: &[String], mark: char, height: usize, width: usize) -> Vec<String> {
    // A narrow window has no room for a table, and breaks each of its rows into many.
    let most = if width < NARROW { 2 } else { usize::MAX }.min(height / 2).max(1);
    let with = rows.iter().take(most).enumerate().map(|(i, row)| match i {
        0 => format!("{mark} {row}"),
        _ => format!("  {row}"),
    });
    // The last column stays free: some terminals go to the next row as soon as it is written. Behind the last row there is room for
    // the `^C` or `^Z` that a terminal shows where the cursor stands: on a row of its own it would move all others.
    let last = rows.len().min(most).saturating_sub(1);
    let room = |i: usize| if i == last { width.saturating_sub(3).max(1) } else { width.saturating_sub(1) };
    with.enumerate().map(|(i, row)| truncate_str(row.trim_end(), room(i), "").into_owned()).collect()
}

/// Text that the terminal does not break at its edge.
fn unbroken(text: &str) -> String {
    // A console of Windows may show the code itself.
    if cfg!(windows) { text.to_owned() } else { format!("\x1b[?7l{text}\x1b[?7h") }
}

/// Rows that so many columns take, at least 1.
fn rows(columns: usize, width: usize) -> usize {
    columns.div_ceil(width.max(1)).max(1)
}

/// Whether the terminal breaks the lines it shows anew when its width changes. Most do; xterm, the Linux console and GNU
/// screen do not.
fn breaks_anew(var: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| var(name).is_some_and(|v| !v.is_empty());
    !(set("XTERM_VERSION")
        || var("TERM").is_some_and(|t| t == "linux" || t.starts_with("vt"))
        || (set("STY") && !set("TMUX")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_to_the_terminal() {
        let rows: Vec<String> = (0..30).map(|n| format!("row {n} {}", "x".repeat(100))).collect();
        let cut = shown(&rows, '*', 24, 60);
        assert_eq!(cut.len(), 12);
        assert!(cut.iter().all(|row| measure_text_width(row) < 60));
        assert!(measure_text_width(cut.last().unwrap()) < 58, "room for ^C");
        let cut = shown(&rows, '*', 24, 20);
        assert_eq!(
            (cut.len(), cut[0].as_str(), cut[1].as_str()),
            (2, "* row 0 xxxxxxxxxxx", "  row 1 xxxxxxxxx")
        );
        assert!(cut.iter().all(|row| measure_text_width(row) < 20));
        assert_eq!(shown(&rows, '*', 1, 2), ["*"]);
        assert_eq!(shown(&["▁▂█ 1".to_owned(), String::new()], '*', 10, 5), ["* ▁▂", ""]);
    }

    #[test]
    fn rows_after_a_change_of_width() {
        assert_eq!([rows(60, 80), rows(60, 60), rows(60, 59), rows(60, 20), rows(1, 0)], [1, 1, 2, 3, 1]);
    }

    #[test]
    fn terminals_that_keep_their_rows_are_known() {
        let with = |pairs: &'static [(&str, &str)]| {
            breaks_anew(|v| pairs.iter().find(|(k, _)| *k == v).map(|(_, v)| (*v).to_owned()))
        };
        assert!(
            with(&[("TERM", "xterm-256color")])
                && with(&[("TERM", "screen"), ("STY", "1"), ("TMUX", "/tmp/t")])
        );
        assert!(!with(&[("TERM", "xterm"), ("XTERM_VERSION", "XTerm(379)")]));
        assert!(!with(&[("TERM", "linux")]) && !with(&[("TERM", "screen"), ("STY", "1")]));
    }
}
