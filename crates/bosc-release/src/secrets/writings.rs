//! The ways to write bytes down in which a key is found.
//!
//! ```text
//! key ──> writings: runs of symbols of hex, base64 or z-base-32 ──> start (30 bits) and digest of each   (`Form`)
//! text ──> runs that may be part of one ──> the last symbols of each alphabet ──> start like a form? ──> its digest
//! ```
//!
//! # Writings
//!
//! | of a key | in |
//! |---|---|
//! | its bytes | hex; base64, standard and of URLs; z-base-32; wherever they start in what is encoded |
//! | its text in one of these | base64, wherever it starts; hex |
//! | what stands in a dump of a file | lines of `xxd`, `hexdump` and `od -x`, also with words of 2, 4 or 8 bytes in the order of the machine |
//!
//! Between two symbols of hex may stand any ASCII that is no letter: white space, line ends, colons, commas, quotation marks; also `0x`,
//! `\x`, and the escapes `\n`, `\r` and `\t`. The same may stand between groups of at least [`WORD`] symbols of base64 and
//! z-base-32, but `+`, `-`, `/` and `_` are symbols of base64. All symbols stand within [`SPAN`] bytes.
//!
//! # Invariants
//!
//! 1. Of a form only its start is kept, from the first 34 bits of the key, and a digest of all its symbols: a set of forms finds
//!    a key and says nothing of it.
//! 2. A text is passed over once an alphabet, whatever the number of forms, in steps of [`WORD`] and [`NUMBERS`] bytes where nothing
//!    of the kind stands.
//! 3. What is found is the key: a form is compared whole.

use bosc_format::crypto::{Hash, hash};
use bosc_format::id::Z32_ALPHABET;
use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Bytes of a text among which all symbols of a key stand. No window of a search is cut so that less than this is in two.
pub(super) const SPAN: usize = 4096;

/// Symbols of base64 or z-base-32 in a group, at least, but for the last one of a key.
pub(super) const WORD: usize = 16;
/// Bytes of a key in hex, at least.
const NUMBERS: usize = 64;

/// An alphabet whose symbols stand for some bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Coding {
    Hex,
    Base64,
    Z32,
}

impl Coding {
    const ALL: [Self; 3] = [Self::Hex, Self::Base64, Self::Z32];

    /// Bits of a symbol.
    const fn bits(self) -> u32 {
        match self {
            Self::Hex => 4,
            Self::Base64 => 6,
            Self::Z32 => 5,
        }
    }

    /// Symbols of a start.
    const fn start(self) -> usize {
        match self {
            Self::Hex => 7,
            Self::Base64 => 5,
            Self::Z32 => 6,
        }
    }

    const fn start_mask(self) -> u64 {
        // At most 30 bits.
        (1 << (self.start() as u32 * self.bits())) - 1
    }
}

/// What is no symbol.
const NONE: u8 = 0xff;

/// What a byte of a text stands for in each alphabet.
#[derive(Clone, Copy)]
struct Symbols {
    hex: u8,
    base64: u8,
    z32: u8,
}

impl Symbols {
    const fn of(self, coding: Coding) -> u8 {
        match coding {
            Coding::Hex => self.hex,
            Coding::Base64 => self.base64,
            Coding::Z32 => self.z32,
        }
    }
}

const SYMBOLS: [Symbols; 256] = symbols();
static TABLE: [Symbols; 256] = SYMBOLS;

#[allow(clippy::indexing_slicing, reason = "worked out when this is compiled")]
const fn symbols() -> [Symbols; 256] {
    let mut all = [Symbols { hex: NONE, base64: NONE, z32: NONE }; 256];
    let mut byte = 0u8;
    loop {
        let at = byte as usize;
        all[at].hex = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => NONE,
        };
        all[at].base64 = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => NONE,
        };
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    let (z32, mut value) = (Z32_ALPHABET.as_bytes(), 0);
    while value < 32 {
        all[z32[value] as usize].z32 = value as u8;
        all[z32[value].to_ascii_uppercase() as usize].z32 = value as u8;
        value += 1;
    }
    all
}

fn symbols_of(byte: u8) -> Symbols {
    TABLE.get(usize::from(byte)).copied().unwrap_or(Symbols { hex: NONE, base64: NONE, z32: NONE })
}

/// A key as it is written somewhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Form {
    coding: Coding,
    start: u32,
    /// Symbols in all.
    len: u16,
    digest: Hash,
}

fn digest(coding: Coding, symbols: &[u8]) -> Hash {
    hash(&[b"bosc key in use", &[coding.bits() as u8], symbols])
}

impl Form {
    fn of(coding: Coding, symbols: &[u8]) -> Option<Self> {
        let start =
            symbols.get(..coding.start())?.iter().fold(0, |all, s| (all << coding.bits()) | u32::from(*s));
        let len = u16::try_from(symbols.len()).ok()?;
        Some(Self { coding, start, len, digest: digest(coding, symbols) })
    }

    /// Whether the text that follows on the start goes on as this does. `before`: the byte before it.
    fn goes_on(&self, before: u8, text: &[u8]) -> bool {
        let (len, bits) = (usize::from(self.len), self.coding.bits());
        let mut symbols = Zeroizing::new(Vec::with_capacity(len));
        for n in (0..self.coding.start() as u32).rev() {
            symbols.push(((self.start >> (n * bits)) & ((1 << bits) - 1)) as u8);
        }
        let mut before = before;
        for byte in text.iter().take(SPAN) {
            if symbols.len() == len {
                break;
            }
            if is_prefix(before, *byte) && self.coding == Coding::Hex {
                symbols.pop();
            }
            let symbol = symbols_of(*byte).of(self.coding);
            if symbol != NONE && !is_escape(before, *byte) {
                symbols.push(symbol);
            }
            before = *byte;
        }
        symbols.len() == len && digest(self.coding, &symbols) == self.digest
    }
}

/// `0x`: the zero is no digit of the number.
fn is_prefix(before: u8, byte: u8) -> bool {
    before == b'0' && byte | 0x20 == b'x'
}

/// `\n` as it is written in a text, and the like.
fn is_escape(before: u8, byte: u8) -> bool {
    before == b'\\' && matches!(byte, b'n' | b'r' | b't')
}

/// The symbols that these bytes decide alone, `skip` bits behind their start.
fn run(coding: Coding, bytes: &[u8], skip: u32) -> Zeroizing<Vec<u8>> {
    let (mut have, mut held, mut left) = (0, 0u32, skip);
    let mut symbols = Zeroizing::new(Vec::with_capacity(bytes.len() * 2));
    for byte in bytes {
        (held, have) = ((held << 8) | u32::from(*byte), have + 8);
        let now = left.min(have);
        (have, left) = (have - now, left - now);
        while have >= coding.bits() {
            have -= coding.bits();
            symbols.push(((held >> have) & ((1 << coding.bits()) - 1)) as u8);
        }
        held &= (1 << have) - 1;
    }
    symbols
}

/// These bytes in an alphabet, wherever they start in what is encoded.
fn runs(coding: Coding, bytes: &[u8]) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
    // So many bits may be the last ones of the symbol that the bytes before end in.
    let skips = match coding {
        Coding::Hex => &[0][..],
        Coding::Base64 => &[0, 4, 2],
        Coding::Z32 => &[0, 2, 4, 1, 3],
    };
    skips.iter().map(move |skip| run(coding, bytes, *skip))
}

/// All forms of a key of 32 bytes.
pub(super) fn forms(key: &[u8]) -> Vec<Form> {
    let mut all: Vec<Form> = Vec::new();
    for coding in Coding::ALL {
        all.extend(runs(coding, key).filter_map(|symbols| Form::of(coding, &symbols)));
    }
    let mut texts: Vec<Zeroizing<String>> =
        [HEXLOWER.encode(key), HEXUPPER.encode(key)].into_iter().map(Zeroizing::new).collect();
    let in_alphabet = |symbols: &[u8], alphabet: &[u8]| {
        let text = symbols.iter().filter_map(|s| alphabet.get(usize::from(*s)));
        Zeroizing::new(text.map(|b| char::from(*b)).collect::<String>())
    };
    texts.extend(runs(Coding::Z32, key).map(|run| in_alphabet(&run, Z32_ALPHABET.as_bytes())));
    for alphabet in [BASE64.specification().symbols, BASE64URL.specification().symbols] {
        texts.extend(runs(Coding::Base64, key).map(|run| in_alphabet(&run, alphabet.as_bytes())));
    }
    for text in texts {
        for coding in [Coding::Hex, Coding::Base64] {
            all.extend(runs(coding, text.as_bytes()).filter_map(|symbols| Form::of(coding, &symbols)));
        }
    }
    all.sort();
    all.dedup();
    all
}

/// Which starts there are, by their last bits.
struct Starts([u64; 256]);

impl Starts {
    fn of(forms: &[Form]) -> Self {
        let mut starts = Self([0; 256]);
        for form in forms {
            if let Some(word) = starts.0.get_mut(usize::from((form.start >> 6) as u8)) {
                *word |= 1 << (form.start & 63);
            }
        }
        starts
    }

    #[inline]
    fn may_have(&self, symbols: u64) -> bool {
        self.0.get(usize::from((symbols >> 6) as u8)).is_some_and(|word| (word >> (symbols & 63)) & 1 == 1)
    }
}

/// Whether a key of these forms, which are sorted, is written in a text.
pub(super) fn stand_in(forms: &[Form], text: &[u8]) -> bool {
    if forms.is_empty() {
        return false;
    }
    let [hex, base64, z32] = Coding::ALL.map(|coding| Last::new(coding, forms));
    let (mut hex, mut words) = ([hex], [base64, z32]);
    let in_run = |start: usize, end: usize, alphabets: &mut [Last<'_>]| {
        let mut before = start.checked_sub(1).and_then(|at| text.get(at)).copied().unwrap_or_default();
        for at in start..end {
            let Some(&byte) = text.get(at) else { break };
            let starts = alphabets.iter_mut().any(|last| {
                last.take(before, byte) && {
                    let rest = text.get(at + 1..).unwrap_or_default();
                    last.starting().any(|form| form.goes_on(byte, rest))
                }
            });
            if starts {
                return true;
            }
            before = byte;
        }
        false
    };
    runs_of(
        text,
        WORD,
        |_, byte| symbols_of(byte).base64 != NONE,
        |start, end| in_run(start, end, &mut words),
    ) || runs_of(text, NUMBERS, may_be_between_digits, |start, end| in_run(start, end, &mut hex))
}

/// Whether a byte, behind another one, may stand in a list of hex numbers.
fn may_be_between_digits(before: u8, byte: u8) -> bool {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' => {
            symbols_of(byte).hex != NONE || byte | 0x20 == b'x' || is_escape(before, byte)
        }
        b' '..=b'~' | b'\t'..=b'\r' => true,
        _ => false,
    }
}

/// Finds runs of at least `least` bytes that `is_in` one, by the byte and the one before it, until `take` has found something in one.
/// Of other text few bytes are read.
fn runs_of(
    text: &[u8],
    least: usize,
    is_in: impl Fn(u8, u8) -> bool,
    mut take: impl FnMut(usize, usize) -> bool,
) -> bool {
    let is_in = |at: usize| {
        let before = at.checked_sub(1).and_then(|at| text.get(at)).copied().unwrap_or_default();
        text.get(at).is_some_and(|byte| is_in(before, *byte))
    };
    // Where the next run may start.
    let mut from = 0;
    loop {
        let at = from + least - 1;
        if at >= text.len() {
            return false;
        }
        // From its last byte to its first: a long text of short runs is passed over in large steps.
        let mut start = at + 1;
        while start > from && is_in(start - 1) {
            start -= 1;
        }
        if start > from {
            from = start;
            continue;
        }
        let mut end = at + 1;
        while is_in(end) {
            end += 1;
        }
        if take(start, end) {
            return true;
        }
        from = end + 1;
    }
}

/// The last symbols of a text in one alphabet.
struct Last<'f> {
    coding: Coding,
    /// Those of this alphabet.
    forms: &'f [Form],
    starts: Starts,
    symbols: u64,
}

impl<'f> Last<'f> {
    fn new(coding: Coding, forms: &'f [Form]) -> Self {
        let from = forms.partition_point(|form| form.coding < coding);
        let forms = forms.get(from..).unwrap_or_default();
        let forms = forms.get(..forms.partition_point(|form| form.coding == coding)).unwrap_or_default();
        Self { coding, forms, starts: Starts::of(forms), symbols: 0 }
    }

    /// Takes the next byte. Whether the last symbols may be a start.
    #[inline]
    fn take(&mut self, before: u8, byte: u8) -> bool {
        if self.coding == Coding::Hex && is_prefix(before, byte) {
            self.symbols >>= Coding::Hex.bits();
        }
        let symbol = symbols_of(byte).of(self.coding);
        // No branch: whether the next byte is a symbol of z-base-32 as well cannot be foreseen.
        let is_one = symbol != NONE && !is_escape(before, byte);
        let (bits, symbol) = if is_one { (self.coding.bits(), symbol) } else { (0, 0) };
        self.symbols = (self.symbols << bits) | u64::from(symbol);
        is_one & self.starts.may_have(self.symbols)
    }

    /// The forms that start with the last symbols.
    fn starting(&self) -> impl Iterator<Item = &'f Form> {
        let start = self.symbols & self.coding.start_mask();
        let from = self.forms.partition_point(|form| u64::from(form.start) < start);
        let from = self.forms.get(from..).unwrap_or_default();
        from.iter().take_while(move |form| u64::from(form.start) == start)
    }
}
