//! Times in words: how long something is, and when it was.

use bosc_updater::manifest::iso_8601;
use std::time::{Duration, UNIX_EPOCH};

const UNITS: [(&str, &str, u64); 5] = [
    ("w", "week", 7 * 24 * 60 * 60),
    ("d", "day", 24 * 60 * 60),
    ("h", "hour", 60 * 60),
    ("m", "minute", 60),
    ("s", "second", 1),
];

/// `7 days`, `90 minutes`: the largest unit, weeks aside, in which it is a whole number.
pub fn span(seconds: u64) -> String {
    let unit = UNITS.iter().skip(1).find(|(_, _, size)| seconds > 0 && seconds.is_multiple_of(*size));
    let (_, name, size) = unit.unwrap_or(&("s", "second", 1));
    let count = seconds / size;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// About how long it is, in its largest unit: `3 hours`.
pub fn about(seconds: u64) -> String {
    let size = UNITS.iter().skip(1).find(|(_, _, size)| seconds >= 2 * size).map_or(1, |(_, _, size)| *size);
    span(seconds / size * size)
}

/// A number with s, m, h, d or w behind it, as seconds.
pub fn parse_span(text: &str) -> Option<u64> {
    let (count, size) =
        UNITS.iter().find_map(|(unit, _, size)| text.strip_suffix(unit).map(|count| (count, *size)))?;
    let digits = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit());
    count.parse::<u64>().ok().filter(|_| digits)?.checked_mul(size)
}

/// `2026-11-30 13:05 UTC`.
pub fn date(seconds: u64) -> String {
    // What lies beyond is no date of anybody's clock.
    let at = UNIX_EPOCH.checked_add(Duration::from_secs(seconds.min(253_402_300_799)));
    let text = iso_8601(at.unwrap_or(UNIX_EPOCH));
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {} UTC", time.get(..5).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_in_words() {
        for (seconds, words) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (90, "90 seconds"),
            (5_400, "90 minutes"),
            (604_800, "7 days"),
            (86_400, "1 day"),
        ] {
            assert_eq!(span(seconds), words);
        }
        for (seconds, words) in
            [(59, "59 seconds"), (150, "2 minutes"), (10_900, "3 hours"), (100_000, "27 hours")]
        {
            assert_eq!(about(seconds), words);
        }
        assert_eq!(date(1_796_028_000), "2026-11-30 08:40 UTC");
        assert!(date(u64::MAX).starts_with("9999-12-31"));
    }

    #[test]
    fn spans_are_read_and_nonsense_is_refused() {
        for (text, seconds) in
            [("7d", 604_800), ("12h", 43_200), ("90m", 5_400), ("60s", 60), ("2w", 1_209_600)]
        {
            assert_eq!(parse_span(text), Some(seconds), "{text}");
        }
        for text in
            ["", "d", "7", "7 d", "-1d", "1.5h", "+1d", "99999999999999999999d", "9999999999999999999w"]
        {
            assert_eq!(parse_span(text), None, "{text}");
        }
    }
}
