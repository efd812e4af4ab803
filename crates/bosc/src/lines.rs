//! Lines that several commands print.

use crate::plain::{Tone, one_line};
use crate::printer::{Printer, bytes};
use bosc_release::folder::diff::{ByteDiff, DiffKind};
use std::fmt::Display;
use std::path::Path;

/// Nothing will be written.
pub(crate) fn dry(p: &Printer) {
    p.say(Tone::Warn, "Dry run: nothing is written");
}

/// A pattern of a flag that nothing is like.
pub(crate) fn unmatched(p: &Printer, list: &str, pattern: &str) {
    p.say(Tone::Warn, &format!("--{list} {} matches nothing", one_line(pattern)));
}

/// A changed file as a line of data.
pub(crate) fn changed(p: &Printer, diff: &ByteDiff) {
    let (tone, mark, rest) = change(diff);
    p.data_parts(&[(tone, mark), (Tone::Plain, &rest)]);
}

/// A changed file: the tone of its mark, the mark, and what follows it.
pub(crate) fn change(diff: &ByteDiff) -> (Tone, &'static str, String) {
    let (tone, mark) = match diff.kind {
        DiffKind::Add => (Tone::Good, "+"),
        DiffKind::Remove => (Tone::Bad, "-"),
        DiffKind::Change => (Tone::Warn, "~"),
    };
    let signed = |n: i64| format!("{}{}", if n < 0 { "-" } else { "+" }, bytes(n.unsigned_abs()));
    let sizes: Vec<String> = diff.sizes().into_iter().map(signed).collect();
    (tone, mark, format!(" {} ({})", one_line(&diff.key), sizes.join(", ")))
}

/// `1 peer`, `2 peers`.
pub(crate) fn count<N: Display + PartialEq + From<u8>>(n: N, noun: &str) -> String {
    let plural = if n == N::from(1_u8) { "" } else { "s" };
    format!("{n} {noun}{plural}")
}

/// A path on one line.
pub(crate) fn shown(path: &Path) -> String {
    one_line(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn one_is_one() {
        assert_eq!([count(0_u64, "peer"), count(1_u64, "peer")], ["0 peers", "1 peer"]);
        assert_eq!(count(2_usize, "bad line"), "2 bad lines");
    }
}
