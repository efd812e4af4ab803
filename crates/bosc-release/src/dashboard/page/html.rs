//! HTML that is put together of literals and of texts that are made harmless.
//!
//! A text is shown, never dropped and never obeyed: markup is escaped; controls, and characters that change the order of others or show
//! nothing, are written as `\u{202e}`; what is longer than its bound ends with how many characters are left out.

use crate::policy::span::date;
use std::fmt::Write;

/// Bytes from which on there is only little room for each text: what is around them is bounded by the lists' bounds.
const FULL: usize = 80_000;
/// That room, in bytes.
const SCARCE: usize = 24;
/// Longest end of a URL, in bytes.
const MAX_SLUG: usize = 64;

/// HTML in the making.
#[derive(Debug, Default)]
pub struct Html(String);

/// Characters that a text must not send to a browser as they are.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}

impl Html {
    /// Markup of this program.
    pub fn raw(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// A text from anywhere, of at most `most` characters; also within an attribute in double quotes.
    pub fn text(&mut self, text: &str, most: usize) {
        self.shown(text, most, false);
    }

    /// The same with its lines.
    pub fn lines(&mut self, text: &str, most: usize) {
        self.shown(text, most, true);
    }

    /// The end of a line's URL: of other characters than keys and names have, nothing.
    pub fn slug(&mut self, slug: &str) {
        let known = |c: &char| c.is_ascii_alphanumeric() || *c == '-' || *c == '_';
        self.0.extend(slug.chars().take(MAX_SLUG).filter(known));
    }

    fn shown(&mut self, text: &str, most: usize, lines: bool) {
        // Escapes are longer than what they stand for.
        let room = if self.0.len() > FULL { SCARCE } else { 3 * most + SCARCE };
        let start = self.0.len();
        let mut written = 0;
        // More than these on one letter reach into other lines.
        let mut marks = 0;
        for c in text.chars().take(most) {
            if self.0.len() - start > room {
                break;
            }
            written += c.len_utf8();
            marks = if ('\u{300}'..='\u{36f}').contains(&c) { marks + 1 } else { 0 };
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' if lines => self.0.push('\n'),
                c if is_hidden(c) || marks > 4 => {
                    let _ = write!(self.0, "{}", c.escape_unicode());
                }
                c => self.0.push(c),
            }
        }
        // Counting the rest of 10 MB is not worth it: its bytes say enough.
        let left = text.len() - written;
        if left > 0 {
            let _ = write!(self.0, "… ({left} bytes more)");
        }
    }

    /// A number.
    pub fn number(&mut self, n: u64) {
        let _ = write!(self.0, "{n}");
    }

    /// A number with a tenth, for SVG.
    pub fn tenth(&mut self, n: f64) {
        let _ = write!(self.0, "{n:.1}");
    }

    /// A size.
    pub fn bytes(&mut self, n: u64) {
        self.0.push_str(&bytes(n));
    }

    /// What was made.
    pub fn done(self) -> String {
        self.0
    }
}

/// A size in words, as everywhere in Bosc: units of 1,000.
pub(super) fn bytes(n: u64) -> String {
    let mut value = n as f64;
    let mut unit = "B";
    for u in ["B", "kB", "MB", "GB", "TB"] {
        unit = u;
        if value < 999.95 || u == "TB" {
            break;
        }
        value /= 1000.0;
    }
    if unit == "B" { format!("{n} B") } else { format!("{value:.1} {unit}") }
}

/// `1 peer`, `2 peers`.
pub(super) fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// How long ago, roughly.
pub(super) fn ago(then: u64, now: u64) -> String {
    let seconds = now.saturating_sub(then);
    match seconds {
        0..90 => "just now".into(),
        90..5_400 => format!("{} ago", count((seconds + 30) / 60, "minute")),
        5_400..129_600 => format!("{} ago", count((seconds + 1_800) / 3_600, "hour")),
        _ => format!("{} ago", count((seconds + 43_200) / 86_400, "day")),
    }
}

/// A length of time, roughly.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..5_400 => count(seconds.div_ceil(60), "minute"),
        5_400..129_600 => count(seconds.div_ceil(3_600), "hour"),
        _ => count(seconds.div_ceil(86_400), "day"),
    }
}

/// The day of a time since 1970, as 2026-11-30 (UTC).
pub(super) fn day(time: u64) -> String {
    let date = date(time);
    date.split_once(' ').map_or(date.as_str(), |(day, _)| day).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str, most: usize) -> String {
        let mut h = Html::default();
        h.text(text, most);
        h.done()
    }

    #[test]
    fn what_is_markup_or_hidden_is_shown() {
        assert_eq!(
            text("<script>alert('\"&')</script>", 99),
            "&lt;script&gt;alert(&#39;&quot;&amp;&#39;)&lt;/script&gt;"
        );
        assert_eq!(text("a\u{202e}b\u{1b}[31m\r\n\0", 99), "a\\u{202e}b\\u{1b}[31m\\u{d}\\u{a}\\u{0}");
        assert_eq!(text("Größe 中文 עברית 🚀", 99), "Größe 中文 עברית 🚀");
        assert_eq!(text("e\u{301}\u{301}\u{301}\u{301}\u{301}", 99), "e\u{301}\u{301}\u{301}\u{301}\\u{301}");
    }

    #[test]
    fn ten_megabytes_are_cut() {
        let long = "<b>".repeat(10 << 20);
        let shown = text(&long, 200);
        assert!(shown.len() < 1_000 && shown.ends_with(" bytes more)"), "{}", shown.len());
    }

    proptest::proptest! {
        #[test]
        fn no_text_leaves_its_place(s in "\\PC*|[\\x00-\\x7f]*", most in 0usize..64) {
            let shown = text(&s, most);
            for c in ['<', '>', '"', '\''] {
                proptest::prop_assert!(!shown.contains(c));
            }
            proptest::prop_assert!(!shown.chars().any(is_hidden), "{:?}", shown);
            // An ampersand begins one of ours.
            for rest in shown.split('&').skip(1) {
                proptest::prop_assert!(["amp;", "lt;", "gt;", "quot;", "#39;"].iter().any(|e| rest.starts_with(e)));
            }
            proptest::prop_assert!(shown.len() <= 3 * most + SCARCE + 40);
        }
    }

    #[test]
    fn numbers_and_times_are_written_as_people_read_them() {
        assert_eq!(
            [0, 999, 1_000, 12_340, 999_960, 1_500_000_000].map(bytes),
            ["0 B", "999 B", "1.0 kB", "12.3 kB", "1.0 MB", "1.5 GB"]
        );
        assert_eq!([0, 951_782_400, 1_796_000_000].map(day), ["1970-01-01", "2000-02-29", "2026-11-30"]);
        assert_eq!(
            [30, 120, 7_200, 200_000].map(|t| ago(1_000_000 - t, 1_000_000)),
            ["just now", "2 minutes ago", "2 hours ago", "2 days ago"]
        );
    }
}
