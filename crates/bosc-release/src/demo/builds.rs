//! Two builds of one program, as a publisher releases them: this executable, and the same one as another linker would have padded it.
//!
//! The demo has no compiler. Between two functions of a program for x86-64 linkers put bytes that never run: in the second build these are
//! others, in every part of the code. So the program is real and still works, nearly each of its blocks differs, and a delta has
//! something to save. Elsewhere both builds are the same.

/// What never runs: behind a return, up to where the next function is aligned.
const RETURN: u8 = 0xc3;
const PADDING: u8 = 0xcc;
const OTHER_PADDING: u8 = 0x90;
const ALIGNED: usize = 16;
/// Fewer bytes of it may be something else.
const SURELY: usize = 4;

/// An ELF header's length, and where in it is said what lies where.
const HEADER: usize = 64;
const SEGMENTS_AT: usize = 32;
const SECTIONS_AT: usize = 40;
const SEGMENT_SIZE_AT: usize = 54;
const SECTION_COUNT_AT: usize = 60;
/// In an entry about a segment.
const POSITION_AT: usize = 8;
const LENGTH_AT: usize = 32;

/// Takes away what only debuggers read, from behind the last byte that is loaded. Of other files than ELF for 64 bits, nothing.
pub(super) fn strip(program: &mut Vec<u8>) {
    if program.starts_with(b"\x7fELF\x02\x01")
        && let Some(end) = loaded_end(program)
        && (HEADER..program.len()).contains(&end)
    {
        program.truncate(end);
        // It has no sections any more.
        for field in [SECTIONS_AT..SECTIONS_AT + 8, SECTION_COUNT_AT..SECTION_COUNT_AT + 4] {
            if let Some(field) = program.get_mut(field) {
                field.fill(0);
            }
        }
    }
}

fn loaded_end(program: &[u8]) -> Option<usize> {
    let table = number(program, SEGMENTS_AT, 8)?;
    let (size, count) = (number(program, SEGMENT_SIZE_AT, 2)?, number(program, SEGMENT_SIZE_AT + 2, 2)?);
    (0..count).try_fold(0, |end: usize, n| {
        let entry = table.checked_add(n.checked_mul(size)?)?;
        let position = number(program, entry.checked_add(POSITION_AT)?, 8)?;
        Some(end.max(position.checked_add(number(program, entry.checked_add(LENGTH_AT)?, 8)?)?))
    })
}

fn number(bytes: &[u8], at: usize, len: usize) -> Option<usize> {
    let field = bytes.get(at..at.checked_add(len)?)?;
    let value = field.iter().rev().fold(0u64, |n, byte| (n << 8) | u64::from(*byte));
    usize::try_from(value).ok()
}

/// Makes the other build of it. Gives the number of places that changed.
pub(super) fn pad_otherwise(program: &mut [u8]) -> usize {
    // Where a signature covers the code, the system runs no other.
    if !cfg!(target_arch = "x86_64") || cfg!(target_vendor = "apple") {
        return 0;
    }
    let mut places = 0;
    // What is behind a place that ends at a boundary begins the next function.
    for end in (ALIGNED..program.len()).step_by(ALIGNED) {
        let Some(before) = program.get_mut(end - ALIGNED..end) else { break };
        let padding = before.iter().rev().take_while(|b| **b == PADDING).count();
        let (code, padding) = before.split_at_mut(ALIGNED - padding);
        if padding.len() >= SURELY && code.last() == Some(&RETURN) {
            padding.fill(OTHER_PADDING);
            places += 1;
        }
    }
    places
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_what_never_runs_changes() {
        let block = |code: &[u8]| [code, &[PADDING; 16][code.len()..]].concat();
        let kept = [block(&[1; 13]), block(&[1; 6]), vec![PADDING; 16]].concat();
        let mut program = [kept.clone(), block(&[1, 2, RETURN]), vec![7]].concat();
        let changed = pad_otherwise(&mut program);
        assert!(program.starts_with(&kept));
        if changed == 1 {
            assert_eq!(program[48..], [&[1, 2, RETURN][..], &[OTHER_PADDING; 13], &[7]].concat());
        }
        assert_eq!(changed == 1, cfg!(target_arch = "x86_64") && !cfg!(target_vendor = "apple"));
    }

    #[test]
    fn what_is_not_loaded_goes_and_no_header_breaks_it() {
        let mut elf = vec![9; 300];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let mut put =
            |at: usize, value: u16| elf[at..at + 8].copy_from_slice(&u64::from(value).to_le_bytes());
        put(SEGMENTS_AT, 64);
        put(SEGMENT_SIZE_AT, 56);
        put(64 + POSITION_AT, 100);
        put(64 + LENGTH_AT, 50);
        elf[SEGMENT_SIZE_AT + 2] = 1;
        let whole = elf.clone();
        strip(&mut elf);
        assert_eq!((elf.len(), &elf[SECTIONS_AT..SECTIONS_AT + 8]), (150, &[0; 8][..]));
        assert_eq!(elf[64..], whole[64..150]);
        for at in (0..64).chain([70, 100]) {
            let mut odd = whole.clone();
            odd[at..at + 2].fill(0xff);
            strip(&mut odd);
            strip(&mut odd[..at].to_vec());
        }
        let mut text = b"no program".to_vec();
        strip(&mut text);
        assert_eq!(text, b"no program");
    }
}
