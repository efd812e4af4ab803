//! How long an instruction of x86-64 is, and where it names another place. What it does is of no account.

/// What an instruction holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Nothing,
    /// A branch over 32 bits.
    Branch,
    /// Data at a distance from the instruction pointer.
    Data,
    /// Likewise, of `lea`: what it names may be a table.
    Address,
}

/// An instruction: its length, and the position of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) len: usize,
    pub(super) holds: Holds,
    pub(super) field: usize,
}

/// What follows an opcode.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Invalid,
    /// That many bytes of immediate.
    Plain(u8),
    /// An operand byte, then that many bytes of immediate.
    Operand(u8),
    /// An immediate of 32 bits, or of 16 with the prefix 66.
    PlainWord,
    OperandWord,
    Near,
}

const fn one_byte(op: u8) -> Shape {
    use Shape::*;
    match op {
        0x06 | 0x07 | 0x0e | 0x16 | 0x17 | 0x1e | 0x1f | 0x27 | 0x2f | 0x37 | 0x3f => Invalid,
        0x00..=0x3f => match op & 7 {
            0..=3 => Operand(0),
            4 => Plain(1),
            5 => PlainWord,
            _ => Invalid,
        },
        0x60..=0x62 | 0x82 | 0x9a | 0xc4 | 0xc5 | 0xce | 0xd4..=0xd6 | 0xea => Invalid,
        0x63 | 0x84..=0x8f | 0xd0..=0xd3 | 0xd8..=0xdf | 0xfe | 0xff => Operand(0),
        0x68 | 0xa9 => PlainWord,
        0x69 | 0x81 | 0xc7 => OperandWord,
        0x6a | 0x70..=0x7f | 0xa8 | 0xb0..=0xb7 | 0xcd | 0xe0..=0xe7 | 0xeb => Plain(1),
        0x6b | 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 => Operand(1),
        0xa0..=0xa3 => Plain(8),
        0xb8..=0xbf => PlainWord,
        0xc2 | 0xca => Plain(2),
        0xc8 => Plain(3),
        0xe8 | 0xe9 => Near,
        0xf6 => Operand(0),
        0xf7 => Operand(0),
        _ => Plain(0),
    }
}

const fn two_bytes(op: u8) -> Shape {
    use Shape::*;
    match op {
        0x04 | 0x0a | 0x0c | 0x24..=0x27 => Invalid,
        0x05..=0x09 | 0x0b | 0x0e | 0x30..=0x37 | 0x77 | 0xa0..=0xa2 | 0xa8..=0xaa | 0xc8..=0xcf => Plain(0),
        0x0f | 0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6 => Operand(1),
        0x80..=0x8f => Near,
        _ => Operand(0),
    }
}

#[allow(clippy::indexing_slicing, reason = "worked out when this is compiled")]
const fn shapes(second: bool) -> [Shape; 256] {
    let mut out = [Shape::Invalid; 256];
    let mut op = 0;
    while op < 256 {
        out[op] = if second { two_bytes(op as u8) } else { one_byte(op as u8) };
        op += 1;
    }
    out
}

static ONE_BYTE: [Shape; 256] = shapes(false);
static TWO_BYTES: [Shape; 256] = shapes(true);

/// The instruction at the start of `code`; none if there is none, or it is not whole.
pub(super) fn decode(code: &[u8]) -> Option<Instruction> {
    let at = |i: usize| code.get(i).copied();
    let (mut i, mut short, mut wide) = (0, false, false);
    loop {
        match at(i)? {
            0x66 => short = true,
            0x67 | 0xf2 | 0xf3 | 0xf0 | 0x2e | 0x36 | 0x3e | 0x26 | 0x64 | 0x65 => {}
            _ => break,
        }
        i += 1;
        if i > 11 {
            return None;
        }
    }
    if at(i)? & 0xf0 == 0x40 {
        wide = at(i)? & 8 != 0;
        i += 1;
    }
    let op = at(i)?;
    i += 1;
    let (map, last) = match op {
        0x0f => {
            let second = at(i)?;
            i += 1;
            match second {
                0x38 | 0x3a => {
                    i += 1;
                    (if second == 0x38 { 2 } else { 3 }, at(i - 1)?)
                }
                _ => (1, second),
            }
        }
        // VEX of two and three bytes, EVEX.
        0xc5 => {
            i += 2;
            (1, at(i - 1)?)
        }
        0xc4 => {
            let map = at(i)? & 31;
            i += 3;
            (map, at(i - 1)?)
        }
        0x62 => {
            let map = at(i)? & 7;
            i += 4;
            (map, at(i - 1)?)
        }
        _ => (0, op),
    };
    let shape = match map {
        0 => ONE_BYTE.get(usize::from(last)).copied().unwrap_or(Shape::Invalid),
        1 => TWO_BYTES.get(usize::from(last)).copied().unwrap_or(Shape::Invalid),
        2 | 5 | 6 => Shape::Operand(0),
        3 => Shape::Operand(1),
        _ => Shape::Invalid,
    };
    let word = if short { 2 } else { 4 };
    let (operand, mut immediate) = match shape {
        Shape::Invalid => return None,
        Shape::Plain(n) => (false, usize::from(n)),
        Shape::Operand(n) => (true, usize::from(n)),
        Shape::PlainWord if map == 0 && last & 0xf8 == 0xb8 && wide => (false, 8),
        Shape::PlainWord => (false, word),
        Shape::OperandWord => (true, word),
        Shape::Near => {
            let len = i + 4;
            return (len <= code.len()).then_some(Instruction { len, holds: Holds::Branch, field: i });
        }
    };
    let (mut holds, mut field) = (Holds::Nothing, 0);
    if operand {
        let byte = at(i)?;
        i += 1;
        let (mode, rm) = (byte >> 6, byte & 7);
        if map == 0 && matches!(last, 0xf6 | 0xf7) && byte & 0x30 == 0 {
            immediate = if last == 0xf6 { 1 } else { word };
        }
        let mut displacement = match mode {
            1 => 1,
            2 => 4,
            _ => 0,
        };
        if mode != 3 && rm == 4 {
            let base = at(i)? & 7;
            i += 1;
            if mode == 0 && base == 5 {
                displacement = 4;
            }
        } else if mode == 0 && rm == 5 {
            displacement = 4;
            field = i;
            holds = if map == 0 && last == 0x8d { Holds::Address } else { Holds::Data };
        }
        i += displacement;
    }
    let len = i + immediate;
    (len <= code.len() && len <= 15).then_some(Instruction { len, holds, field })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_fields() {
        for (code, len, holds, field) in [
            (&[0xe8, 1, 2, 3, 4][..], 5, Holds::Branch, 1),
            (&[0x0f, 0x84, 1, 2, 3, 4], 6, Holds::Branch, 2),
            (&[0x48, 0x8d, 0x05, 1, 2, 3, 4], 7, Holds::Address, 3),
            (&[0x48, 0x8b, 0x05, 1, 2, 3, 4], 7, Holds::Data, 3),
            (&[0xc7, 0x05, 1, 2, 3, 4, 5, 6, 7, 8], 10, Holds::Data, 2),
            (&[0x66, 0xc7, 0x05, 1, 2, 3, 4, 5, 6], 9, Holds::Data, 3),
            (&[0xf6, 0x05, 1, 2, 3, 4, 9], 7, Holds::Data, 2),
            (&[0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8], 10, Holds::Nothing, 0),
            (&[0xc5, 0xfa, 0x6f, 0x05, 1, 2, 3, 4], 8, Holds::Data, 4),
            (&[0xc4, 0xe3, 0x7d, 0x19, 0xc1, 1], 6, Holds::Nothing, 0),
            (&[0x62, 0xf1, 0x7e, 0x48, 0x6f, 0x05, 1, 2, 3, 4], 10, Holds::Data, 6),
            (&[0x8b, 0x04, 0x25, 1, 2, 3, 4], 7, Holds::Nothing, 0),
            (&[0x66, 0x0f, 0x3a, 0x0f, 0x05, 1, 2, 3, 4, 8], 10, Holds::Data, 5),
            (&[0xc3], 1, Holds::Nothing, 0),
        ] {
            assert_eq!(decode(code), Some(Instruction { len, holds, field }), "{code:x?}");
            assert_eq!(decode(&code[..len - 1]), None, "{code:x?} cut");
        }
        assert_eq!(decode(&[0x06]), None);
        assert_eq!(decode(&[0x66; 20]), None);
    }
}
