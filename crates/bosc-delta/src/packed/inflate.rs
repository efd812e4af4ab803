//! Unpacks deflate (RFC 1951) step by step: its state can be kept, to go on from there again.

use std::io;
use std::rc::Rc;

/// Repetitions reach back so far.
const WINDOW: usize = 1 << 15;
const FAST: u32 = 10;

/// Bytes that are asked for in order.
pub(super) trait Input {
    /// The next byte; none at the end.
    fn next(&mut self) -> io::Result<Option<u8>>;
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what is packed is damaged")
}

/// A Huffman code.
struct Code {
    /// For the next bits: symbol and length; length 0 where the code is longer.
    fast: Vec<(u16, u8)>,
    /// For each length how many codes there are, and all symbols in order.
    counts: [u16; 16],
    symbols: Vec<u16>,
}

impl Code {
    fn new(lens: &[u8]) -> Result<Code, io::Error> {
        let mut counts = [0u16; 16];
        for len in lens {
            *counts.get_mut(usize::from(*len)).ok_or_else(damaged)? += 1;
        }
        let (mut left, mut offsets) = (1i32, [0u16; 16]);
        let (mut code, mut next) = (0u32, [0u32; 16]);
        let mut offset = 0;
        for len in 1..16 {
            let count = counts.get(len).copied().unwrap_or(0);
            left = left * 2 - i32::from(count);
            if left < 0 {
                return Err(damaged());
            }
            if let (Some(o), Some(n)) = (offsets.get_mut(len), next.get_mut(len)) {
                (*o, *n) = (offset, code);
            }
            offset += count;
            code = (code + u32::from(count)) << 1;
        }
        let mut symbols = vec![0u16; usize::from(offset)];
        let mut fast = vec![(0u16, 0u8); 1 << FAST];
        for (symbol, len) in lens.iter().enumerate().filter(|(_, len)| **len > 0) {
            let (Some(o), Some(n)) = (offsets.get_mut(usize::from(*len)), next.get_mut(usize::from(*len)))
            else {
                return Err(damaged());
            };
            if let Some(slot) = symbols.get_mut(usize::from(*o)) {
                *slot = symbol as u16;
            }
            *o += 1;
            let bits = u32::from(*len);
            if bits <= FAST {
                let mut at = (n.reverse_bits() >> (32 - bits)) as usize;
                while let Some(slot) = fast.get_mut(at) {
                    *slot = (symbol as u16, *len);
                    at += 1 << bits;
                }
            }
            *n += 1;
        }
        if let Some(count) = counts.first_mut() {
            *count = 0;
        }
        Ok(Code { fast, counts, symbols })
    }
}

#[derive(Clone)]
enum Place {
    /// Before a block.
    Header,
    Stored(u32),
    Symbols(Rc<(Code, Code)>),
    End,
}

/// The state.
#[derive(Clone)]
pub(super) struct Inflate {
    place: Place,
    last: bool,
    bits: u64,
    count: u32,
    /// The last bytes, in a ring; where the next comes.
    window: Vec<u8>,
    at: usize,
    /// A repetition that is not over: its length and distance.
    repeat: (usize, usize),
    /// Bytes that were taken from the input, some of them ahead.
    taken: u64,
    /// Bytes that were made.
    pub(super) made: u64,
}

const LENGTHS: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
    227, 258,
];
const DISTANCES: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073,
    4097, 6145, 8193, 12_289, 16_385, 24_577,
];
const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

impl Inflate {
    pub(super) fn new() -> Inflate {
        Inflate {
            place: Place::Header,
            last: false,
            bits: 0,
            count: 0,
            window: vec![0; WINDOW],
            at: 0,
            repeat: (0, 0),
            taken: 0,
            made: 0,
        }
    }

    /// Whether the last block is over.
    #[cfg(feature = "make")]
    pub(super) fn ended(&self) -> bool {
        matches!(self.place, Place::End)
    }

    /// Bytes that were taken from the input, some of them ahead.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Bytes of the input up to here.
    #[cfg(feature = "make")]
    pub(super) fn consumed(&self) -> u64 {
        self.taken - u64::from(self.count / 8)
    }

    fn need<I: Input>(&mut self, input: &mut I, count: u32) -> io::Result<()> {
        while self.count < count {
            let byte = input.next()?.ok_or_else(damaged)?;
            self.taken += 1;
            self.bits |= u64::from(byte) << self.count;
            self.count += 8;
        }
        Ok(())
    }

    fn take(&mut self, count: u32) -> u32 {
        let bits = self.bits & ((1 << count) - 1);
        self.bits >>= count;
        self.count -= count.min(self.count);
        bits as u32
    }

    fn get<I: Input>(&mut self, input: &mut I, count: u32) -> io::Result<u32> {
        self.need(input, count)?;
        Ok(self.take(count))
    }

    fn symbol<I: Input>(&mut self, input: &mut I, code: &Code) -> io::Result<u16> {
        // As far ahead as the input goes: the last code may be shorter than what is looked at.
        while self.count < 15 {
            let Some(byte) = input.next()? else { break };
            self.taken += 1;
            self.bits |= u64::from(byte) << self.count;
            self.count += 8;
        }
        let index = (self.bits & ((1 << FAST) - 1)) as usize;
        if let Some((symbol, len)) = code.fast.get(index).copied().filter(|f| f.1 > 0) {
            if u32::from(len) > self.count {
                return Err(damaged());
            }
            self.take(u32::from(len));
            return Ok(symbol);
        }
        let (mut value, mut first, mut index) = (0i32, 0i32, 0i32);
        for len in 1..16u32 {
            if len > self.count {
                break;
            }
            value |= (self.bits >> (len - 1) & 1) as i32;
            let count = i32::from(code.counts.get(len as usize).copied().unwrap_or(0));
            if value - count < first {
                self.take(len);
                return code.symbols.get((index + value - first) as usize).copied().ok_or_else(damaged);
            }
            index += count;
            first = (first + count) << 1;
            value <<= 1;
        }
        Err(damaged())
    }

    fn header<I: Input>(&mut self, input: &mut I) -> io::Result<()> {
        self.last = self.get(input, 1)? == 1;
        self.place = match self.get(input, 2)? {
            0 => {
                self.take(self.count % 8);
                let len = self.get(input, 16)?;
                if self.get(input, 16)? != len ^ 0xffff {
                    return Err(damaged());
                }
                Place::Stored(len)
            }
            1 => {
                let mut lens = [8u8; 288];
                lens.iter_mut().skip(144).take(112).for_each(|l| *l = 9);
                lens.iter_mut().skip(256).take(24).for_each(|l| *l = 7);
                Place::Symbols(Rc::new((Code::new(&lens)?, Code::new(&[5; 30])?)))
            }
            2 => self.codes(input)?,
            _ => return Err(damaged()),
        };
        Ok(())
    }

    fn codes<I: Input>(&mut self, input: &mut I) -> io::Result<Place> {
        let literals = self.get(input, 5)? as usize + 257;
        let distances = self.get(input, 5)? as usize + 1;
        let count = self.get(input, 4)? as usize + 4;
        let mut lens = [0u8; 19];
        for symbol in ORDER.iter().take(count) {
            let len = self.get(input, 3)? as u8;
            if let Some(slot) = lens.get_mut(usize::from(*symbol)) {
                *slot = len;
            }
        }
        let code = Code::new(&lens)?;
        let mut lens = Vec::with_capacity(320);
        while lens.len() < literals + distances {
            let symbol = self.symbol(input, &code)?;
            let (value, times) = match symbol {
                0..16 => (symbol as u8, 1),
                16 => (lens.last().copied().ok_or_else(damaged)?, 3 + self.get(input, 2)?),
                17 => (0, 3 + self.get(input, 3)?),
                _ => (0, 11 + self.get(input, 7)?),
            };
            lens.resize(lens.len() + times as usize, value);
        }
        if lens.len() > literals + distances {
            return Err(damaged());
        }
        let (literals, distances) = lens.split_at(literals);
        Ok(Place::Symbols(Rc::new((Code::new(literals)?, Code::new(distances)?))))
    }

    fn push(&mut self, byte: u8, out: &mut Vec<u8>) {
        if let Some(slot) = self.window.get_mut(self.at) {
            *slot = byte;
        }
        self.at = (self.at + 1) % WINDOW;
        self.made += 1;
        out.push(byte);
    }

    /// Adds bytes to `out` until it has `until` of them or the last block is over.
    pub(super) fn run<I: Input>(&mut self, input: &mut I, out: &mut Vec<u8>, until: usize) -> io::Result<()> {
        loop {
            while self.repeat.0 > 0 && out.len() < until {
                let byte = self.window.get((self.at + WINDOW - self.repeat.1) % WINDOW).copied().unwrap_or(0);
                self.push(byte, out);
                self.repeat.0 -= 1;
            }
            if out.len() >= until {
                return Ok(());
            }
            match &self.place {
                Place::End => return Ok(()),
                Place::Header if self.last => self.place = Place::End,
                Place::Header => self.header(input)?,
                Place::Stored(0) => self.place = Place::Header,
                Place::Stored(left) => {
                    self.place = Place::Stored(left - 1);
                    let byte = self.get(input, 8)? as u8;
                    self.push(byte, out);
                }
                Place::Symbols(codes) => {
                    let codes = Rc::clone(codes);
                    if self.symbols(input, &codes, out, until)? {
                        self.place = Place::Header;
                    }
                }
            }
        }
    }

    /// Symbols until the block is over (then true), there is enough, or a repetition begins.
    fn symbols<I: Input>(
        &mut self,
        input: &mut I,
        codes: &(Code, Code),
        out: &mut Vec<u8>,
        until: usize,
    ) -> io::Result<bool> {
        while out.len() < until {
            let symbol = self.symbol(input, &codes.0)?;
            if symbol < 256 {
                self.push(symbol as u8, out);
                continue;
            }
            if symbol == 256 {
                return Ok(true);
            }
            let i = usize::from(symbol) - 257;
            let (base, extra) = LENGTHS.get(i).zip(LENGTH_EXTRA.get(i)).ok_or_else(damaged)?;
            let len = usize::from(*base) + self.get(input, u32::from(*extra))? as usize;
            let code = self.symbol(input, &codes.1)?;
            let base = DISTANCES.get(usize::from(code)).ok_or_else(damaged)?;
            let extra = (u32::from(code) / 2).saturating_sub(1);
            let distance = usize::from(*base) + self.get(input, extra)? as usize;
            if distance as u64 > self.made {
                return Err(damaged());
            }
            self.repeat = (len, distance);
            while self.repeat.0 > 0 && out.len() < until {
                let byte = self.window.get((self.at + WINDOW - distance) % WINDOW).copied().unwrap_or(0);
                self.push(byte, out);
                self.repeat.0 -= 1;
            }
        }
        Ok(false)
    }
}

/// A slice, in order.
#[cfg(feature = "make")]
impl Input for &[u8] {
    fn next(&mut self) -> io::Result<Option<u8>> {
        let Some((first, rest)) = self.split_first() else { return Ok(None) };
        *self = rest;
        Ok(Some(*first))
    }
}
