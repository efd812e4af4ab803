//! What stands in dumps of files: lines of an offset and the bytes there, as `xxd`, `hexdump` and `od -x` write them.

use zeroize::Zeroizing;

/// Bytes of the longest word of a dump.
const WORD: usize = 8;

/// The bytes of all dumps in a text: as they stand there, and with the bytes of each word turned around. Empty without dumps.
pub(super) fn of(text: &[u8]) -> [Zeroizing<Vec<u8>>; 2] {
    let mut dumped = [Zeroizing::new(Vec::new()), Zeroizing::new(Vec::new())];
    let mut is_inside = false;
    let mut from = 0;
    for end in memchr::memchr_iter(b'\n', text).chain([text.len()]) {
        let line = text.get(from..end).unwrap_or_default();
        from = end + 1;
        let found = add_line(line, &mut dumped);
        if is_inside && !found {
            // No key goes from one dump into the next one, and `*` stands for lines that are the same.
            dumped.iter_mut().for_each(|bytes| bytes.push(b'~'));
        }
        is_inside = found;
    }
    dumped
}

/// Adds the bytes of a line, if it is one of a dump.
fn add_line(line: &[u8], [straight, turned]: &mut [Zeroizing<Vec<u8>>; 2]) -> bool {
    let line = line.trim_ascii_start();
    let offset = digits(line);
    let Some(mut rest) = (4..=16).contains(&offset).then(|| line.get(offset..).unwrap_or_default()) else {
        return false;
    };
    rest = rest.strip_prefix(b":").unwrap_or(rest);
    let mut have = 0;
    loop {
        let spaces = rest.iter().take_while(|b| **b == b' ' || **b == b'\t').count();
        // `hexdump -C` has a gap in the middle; behind any other one the same is shown as text.
        if spaces == 0 || (have > 0 && spaces > 1 && have != 8) {
            break;
        }
        rest = rest.get(spaces..).unwrap_or_default();
        let (word, behind) = rest.split_at(digits(rest));
        let ends = behind.first().is_none_or(u8::is_ascii_whitespace);
        if !ends || word.is_empty() || word.len() % 2 == 1 || word.len() > 2 * WORD {
            break;
        }
        let bytes = word.chunks_exact(2).map(|pair| pair.iter().fold(0, |all, d| (all << 4) | nibble(*d)));
        turned.extend(bytes.clone().rev());
        straight.extend(bytes);
        have += word.len() / 2;
        rest = behind;
    }
    have > 0
}

/// How many hex digits a text starts with.
fn digits(text: &[u8]) -> usize {
    text.iter().take(2 * WORD + 1).take_while(|b| b.is_ascii_hexdigit()).count()
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a' - 10) & 15,
    }
}
