//! The one line that is drawn in place, on stderr.
//!
//! It is one row: the text is cut to the width there is. The width may change while it stands there; a terminal that breaks
//! lines anew then shows it on several rows, all of which are taken off. Terminals that are known not to do so keep a piece
//! of it rather than lose a row that is not ours.

use console::{Term, measure_text_width, truncate_str};

const SPINNER: [char; 8] = ['⠁', '⠂', '⠄', '⡀', '⢀', '⠠', '⠐', '⠈'];

/// What stands on the terminal now.
#[derive(Debug)]
pub(super) struct StatusLine {
    term: Term,
    /// Columns of the text that stands there; 0: none does.
    columns: usize,
    turn: usize,
    breaks_anew: bool,
}

impl Default for StatusLine {
    fn default() -> Self {
        Self {
            term: Term::stderr(),
            columns: 0,
            turn: 0,
            breaks_anew: breaks_anew(|v| std::env::var(v).ok()),
        }
    }
}

impl StatusLine {
    pub(super) fn is_there(&self) -> bool {
        self.columns > 0
    }

    /// Draws the text in place of what stands there.
    pub(super) fn draw(&mut self, text: &str) {
        let width = self.width();
        let mark = SPINNER.get(self.turn % SPINNER.len()).copied().unwrap_or(' ');
        self.turn = self.turn.wrapping_add(1);
        let text = format!("{mark} {text}");
        // The last column stays free: some terminals go to the next row as soon as it is written.
        let text = truncate_str(&text, width.saturating_sub(1), "");
        self.take_off();
        if self.term.write_str(&text).is_ok() {
            self.columns = measure_text_width(&text);
        }
    }

    /// Leaves the row, or rows, as if nothing had been drawn.
    pub(super) fn take_off(&mut self) {
        if self.columns == 0 {
            return;
        }
        let rows = if self.breaks_anew { rows(self.columns, self.width()) } else { 1 };
        self.columns = 0;
        let up = if rows > 1 { self.term.move_cursor_up(rows - 1) } else { Ok(()) };
        let _ = up.and_then(|()| self.term.clear_line()).and_then(|()| self.term.clear_to_end_of_screen());
    }

    fn width(&self) -> usize {
        usize::from(self.term.size().1).max(2)
    }
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
