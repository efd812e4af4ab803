//! Which characters show themselves as what they are.

use std::ops::RangeInclusive;

/// Nothing is seen of these, though they are letters, marks or symbols by name.
const BLANK: [RangeInclusive<char>; 12] = [
    '\u{34f}'..='\u{34f}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{16fe4}'..='\u{16fe4}',
    '\u{1d159}'..='\u{1d159}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

/// Second spellings of characters that have a usual one.
const TWINS: [RangeInclusive<char>; 39] = [
    // Clicks, IPA letters and modifiers that are drawn as Latin letters and colons.
    '\u{1c0}'..='\u{1c3}',
    '\u{251}'..='\u{251}',
    '\u{261}'..='\u{261}',
    '\u{269}'..='\u{26a}',
    '\u{28b}'..='\u{28b}',
    '\u{28f}'..='\u{28f}',
    '\u{2d0}'..='\u{2d0}',
    // Accents that are put on other letters, and strokes through them.
    '\u{300}'..='\u{36f}',
    '\u{37e}'..='\u{37e}',
    '\u{387}'..='\u{387}',
    // Jamo that make up syllables.
    '\u{1100}'..='\u{11ff}',
    '\u{1ab0}'..='\u{1aff}',
    '\u{1d00}'..='\u{1dff}',
    // Hyphens, slashes, dots and colons.
    '\u{2010}'..='\u{2012}',
    '\u{2024}'..='\u{2024}',
    '\u{2044}'..='\u{2044}',
    '\u{20d0}'..='\u{20ff}',
    // Letters as symbols; the trade mark sign is among them and is let through.
    '\u{2102}'..='\u{214f}',
    '\u{2160}'..='\u{2188}',
    '\u{2212}'..='\u{2212}',
    '\u{2215}'..='\u{2216}',
    '\u{2236}'..='\u{2236}',
    '\u{2571}'..='\u{2572}',
    '\u{27cb}'..='\u{27cd}',
    '\u{29f5}'..='\u{29f9}',
    // Radicals and ideographs twice.
    '\u{2e80}'..='\u{2fdf}',
    '\u{3099}'..='\u{309a}',
    // Lisu is written in turned Latin capitals.
    '\u{a4d0}'..='\u{a4ff}',
    '\u{a789}'..='\u{a789}',
    '\u{a960}'..='\u{a97f}',
    '\u{d7b0}'..='\u{d7ff}',
    '\u{f900}'..='\u{faff}',
    // Ligatures and presentation forms.
    '\u{fb00}'..='\u{fdff}',
    '\u{fe20}'..='\u{fe2f}',
    '\u{fe50}'..='\u{fe6f}',
    '\u{fe70}'..='\u{fefe}',
    // Full width ASCII.
    '\u{ff01}'..='\u{ff5e}',
    // Mathematical alphabets.
    '\u{1d400}'..='\u{1d7ff}',
    '\u{2f800}'..='\u{2fa1f}',
];

/// Marks that take a letter's vowel: a joiner after one means something.
const VIRAMAS: &str =
    "\u{94d}\u{9cd}\u{a4d}\u{acd}\u{b4d}\u{bcd}\u{c4d}\u{ccd}\u{d4d}\u{dca}\u{1039}\u{17d2}\u{1b44}";

/// Most marks on one letter: what scripts that live by marks need.
const MARKS_MAX: usize = 4;

fn is_in(c: char, ranges: &[RangeInclusive<char>]) -> bool {
    ranges.iter().any(|r| r.contains(&c))
}

/// What the standard library would print as it is when it is not the first of a text.
fn is_printable(c: char) -> bool {
    let mut two = String::with_capacity(5);
    two.push('a');
    two.push(c);
    two.escape_debug().eq(two.chars())
}

/// Whether it is drawn on the letter before it.
pub(super) fn is_mark(c: char) -> bool {
    !c.is_ascii() && is_printable(c) && !std::iter::once(c).eq(c.escape_debug())
}

fn is_arabic(c: char) -> bool {
    matches!(c, '\u{620}'..='\u{64a}' | '\u{66e}'..='\u{6d3}' | '\u{6fa}'..='\u{6ff}' | '\u{750}'..='\u{77f}')
}

/// Whether a character that is not ASCII is seen, between those before and after it, as the `marks`th mark in a row.
pub(super) fn is_shown(c: char, before: Option<char>, after: Option<char>, marks: usize) -> bool {
    if matches!(c, '\u{200c}' | '\u{200d}') {
        let virama = before.is_some_and(|b| VIRAMAS.contains(b));
        let joined = c == '\u{200c}' && before.is_some_and(is_arabic) && after.is_some_and(is_arabic);
        return virama || joined;
    }
    if c == '\u{3000}' || c == '\u{2122}' {
        return true;
    }
    if marks > 0 && (marks > MARKS_MAX || before.is_none_or(|b| b.is_ascii() || b.is_whitespace())) {
        return false;
    }
    !c.is_ascii() && is_printable(c) && !is_in(c, &BLANK) && !is_in(c, &TWINS)
}

/// Scripts whose letters are taken for one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Cyrillic,
    Greek,
    Armenian,
    Cherokee,
    Coptic,
}

fn script(c: char) -> Option<Script> {
    if !c.is_alphabetic() {
        return None;
    }
    match c {
        'A'..='Z' | 'a'..='z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Some(Script::Latin),
        '\u{370}'..='\u{3e1}' | '\u{3f0}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => Some(Script::Greek),
        '\u{400}'..='\u{52f}' | '\u{1c80}'..='\u{1c8f}' | '\u{a640}'..='\u{a69f}' => Some(Script::Cyrillic),
        '\u{530}'..='\u{58f}' => Some(Script::Armenian),
        '\u{13a0}'..='\u{13ff}' | '\u{ab70}'..='\u{abbf}' => Some(Script::Cherokee),
        '\u{3e2}'..='\u{3ef}' | '\u{2c80}'..='\u{2cff}' => Some(Script::Coptic),
        _ => None,
    }
}

/// Letters of other scripts that are drawn as Latin ones.
const LIKE_LATIN: &str = concat!(
    "асеһіјӏорѕухԁԛԝѵүԍАВЕЅІЈКМНОРСТУХҮԌԚԜӀҺ",
    "ονρυΑΒΕΖΗΙΚΜΝΟΡΤΥΧϲϳ",
    "օոսհցՕՍ",
    "ᎪᎡᎢᎬᎳᎷᎻᏀᏃᏌᏎᏔᏕᏙᏚᏞᏟᏢᏦᏧᏮᏴ",
    "ⲞⲟⲢⲣⲤⲥⲦⲬⲭⲎⲒⲔⲘⲚⲀⲂⲈ",
);

/// The letters of a text that may be taken for others.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    /// Scripts that have a letter in the text that is not a Latin one by its looks.
    own: Vec<Script>,
}

impl Foreign {
    pub(super) fn of(text: &str) -> Self {
        let mut own = Vec::new();
        for c in text.chars().filter(|c| !c.is_ascii()) {
            if let Some(s) = script(c)
                && s != Script::Latin
                && !own.contains(&s)
                && !LIKE_LATIN.contains(c)
            {
                own.push(s);
            }
        }
        Self { own }
    }

    /// Whether the letter at byte `at` is shown by its number.
    pub(super) fn is_marked(&self, text: &str, at: usize) -> bool {
        let (Some(head), Some(tail)) = (text.get(..at), text.get(at..)) else { return false };
        let Some(own) = tail.chars().next().and_then(script).filter(|s| *s != Script::Latin) else {
            return false;
        };
        let of_word = |c: &char| c.is_alphanumeric() || is_mark(*c);
        let word = head.chars().rev().take_while(of_word).chain(tail.chars().take_while(of_word));
        let mut alike = true;
        for c in word {
            match script(c) {
                Some(s) if s != own => return true,
                Some(_) => alike &= LIKE_LATIN.contains(c),
                None => {}
            }
        }
        alike && !self.own.contains(&own)
    }
}
