//! One passphrase, several spellings: an accent may be part of its letter or a sign of its own, as systems and keyboards have it, and
//! nobody sees which.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use zeroize::Zeroizing;

/// The spelling that new files are written under (Unicode's NFC).
pub(super) fn composed(passphrase: &str) -> Zeroizing<String> {
    Zeroizing::new(passphrase.nfc().collect())
}

/// What a passphrase may have been when a file was written: composed, as it is, taken apart. Each once; of ASCII there is one.
pub(super) fn all(passphrase: &str) -> Vec<Zeroizing<String>> {
    let mut out = vec![composed(passphrase)];
    if !passphrase.is_ascii() {
        let apart = Zeroizing::new(passphrase.nfd().collect::<String>());
        for form in [Zeroizing::new(passphrase.to_owned()), apart] {
            if !out.contains(&form) {
                out.push(form);
            }
        }
    }
    out
}

/// How many characters of it can be seen: whoever guesses need not guess the others.
pub(super) fn visible(passphrase: &str) -> usize {
    let hidden = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || is_combining_mark(c)
            || matches!(c, '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
    };
    passphrase.nfc().filter(|c| !hidden(*c)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_passphrase() {
        let texts = |p: &str| all(p).iter().map(|f| f.as_str().to_owned()).collect::<Vec<_>>();
        assert_eq!(texts("plain words"), ["plain words"]);
        assert_eq!(texts("caf\u{e9}"), ["caf\u{e9}", "cafe\u{301}"]);
        assert_eq!(texts("cafe\u{301}"), ["caf\u{e9}", "cafe\u{301}"]);
        // Half and half.
        assert_eq!(texts("\u{e9}e\u{301}").len(), 3);
        assert_eq!(*composed("cafe\u{301}"), *"caf\u{e9}");
    }

    #[test]
    fn what_cannot_be_seen_does_not_count() {
        for (text, count) in [
            ("        ", 0),
            ("\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}", 0),
            ("e\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}", 1),
            ("four words are it", 14),
            ("\u{5bc6}\u{7801}\u{5f88}\u{957f}", 4),
        ] {
            assert_eq!(visible(text), count, "{text:?}");
        }
    }
}
