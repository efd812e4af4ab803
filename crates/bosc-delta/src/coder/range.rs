//! Bits of a known probability into bytes and back.

/// One direction of the coder.
pub(crate) trait Coder {
    /// Codes a bit that is 1 with a probability of `p` in 65,536 (1 to 65,535). Reading ignores `bit`.
    fn code(&mut self, p: u32, bit: bool) -> bool;
}

fn middle(low: u32, high: u32, p: u32) -> u32 {
    let range = high - low;
    low + ((u64::from(range) * u64::from(p)) >> 16) as u32
}

/// Writes bits.
#[cfg(feature = "make")]
pub(crate) struct Encoder {
    low: u32,
    high: u32,
    out: Vec<u8>,
}

#[cfg(feature = "make")]
impl Encoder {
    pub(crate) fn new() -> Encoder {
        Encoder { low: 0, high: u32::MAX, out: Vec::new() }
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        // Zeros follow the end when it is read: the shortest number in the range is enough.
        if self.low > 0 {
            let top = (self.low >> 24) + 1;
            if top << 24 <= self.high && top < 256 {
                self.out.push(top as u8);
            } else {
                self.out.extend_from_slice(&self.high.to_be_bytes());
            }
        }
        self.out
    }
}

#[cfg(feature = "make")]
impl Coder for Encoder {
    fn code(&mut self, p: u32, bit: bool) -> bool {
        let middle = middle(self.low, self.high, p);
        if bit {
            self.high = middle;
        } else {
            self.low = middle + 1;
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.out.push((self.high >> 24) as u8);
            self.low <<= 8;
            self.high = self.high << 8 | 255;
        }
        bit
    }
}

/// Reads bits.
pub(crate) struct Decoder<'a> {
    low: u32,
    high: u32,
    value: u32,
    input: &'a [u8],
    beyond: usize,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Decoder<'a> {
        let mut decoder = Decoder { low: 0, high: u32::MAX, value: 0, input, beyond: 0 };
        for _ in 0..4 {
            decoder.value = decoder.value << 8 | decoder.byte();
        }
        decoder
    }

    fn byte(&mut self) -> u32 {
        let Some((first, rest)) = self.input.split_first() else {
            self.beyond += 1;
            return 0;
        };
        self.input = rest;
        u32::from(*first)
    }

    /// Whether more was read than there is: four bytes are looked ahead.
    pub(crate) fn overrun(&self) -> bool {
        self.beyond > 4
    }

    /// Whether all bytes were looked at.
    pub(crate) fn spent(&self) -> bool {
        self.input.is_empty()
    }
}

impl Coder for Decoder<'_> {
    fn code(&mut self, p: u32, _: bool) -> bool {
        let middle = middle(self.low, self.high, p);
        let bit = self.value <= middle;
        if bit {
            self.high = middle;
        } else {
            self.low = middle + 1;
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.low <<= 8;
            self.high = self.high << 8 | 255;
            self.value = self.value << 8 | self.byte();
        }
        bit
    }
}
