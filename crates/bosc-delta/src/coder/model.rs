//! What a bit probably is: several contexts, mixed.

use super::Coder;
use std::sync::LazyLock;

/// Predicts bits from `N` contexts. Each context has a probability of its own; weights that are learned mix them.
pub(crate) struct Model<const N: usize> {
    /// `N` tables. A slot: probability of 1 in the upper 22 bits, how often it was seen in the lower 10.
    slots: Vec<u32>,
    bits: u32,
    weights: Vec<[i32; N]>,
    rates: [u32; 256],
}

/// A slot stops slowing down after so many bits.
const SLOWEST: u32 = 250;

impl<const N: usize> Model<N> {
    /// Tables of `1 << bits` slots each; weights of their own for each of `selectors`.
    pub(crate) fn new(bits: u32, selectors: usize) -> Model<N> {
        let mut rates = [0; 256];
        for (n, rate) in rates.iter_mut().enumerate() {
            *rate = 65_536 * 2 / (2 * n as u32 + 3);
        }
        let even = (65_536 * 17 / 10) / (N as i32).max(1);
        Model { slots: vec![1 << 31; N << bits], bits, weights: vec![[even; N]; selectors], rates }
    }

    /// Codes one bit, and learns it.
    pub(crate) fn bit<C: Coder>(
        &mut self,
        coder: &mut C,
        contexts: &[u32; N],
        node: u32,
        selector: usize,
        bit: bool,
    ) -> bool {
        let tables = &*TABLES;
        let mut places = [0usize; N];
        let mut inputs = [0i32; N];
        let mut sum = 0i64;
        let selector = selector.min(self.weights.len().saturating_sub(1));
        let Some(weights) = self.weights.get_mut(selector) else { return bit };
        let salted = node.wrapping_mul(0x85eb_ca6b);
        for (i, ((place, input), weight)) in places.iter_mut().zip(&mut inputs).zip(&*weights).enumerate() {
            let hash = (contexts.get(i).copied().unwrap_or(0) ^ salted).wrapping_mul(0x9e37_79b1);
            *place = (i << self.bits) + (hash >> (32 - self.bits)) as usize;
            let slot = self.slots.get(*place).copied().unwrap_or(1 << 31);
            *input = i32::from(tables.stretch.get((slot >> 20) as usize).copied().unwrap_or(0));
            sum += i64::from(*input) * i64::from(*weight);
        }
        let mixed = (sum >> 16) as i32;
        let p = squash(mixed);
        let bit = coder.code(p, bit);
        // In units of 1/4096, as the inputs are.
        let error = ((i32::from(bit) << 16) - p as i32) * 6;
        let target = if bit { (1 << 22) - 1 } else { 0 };
        for ((place, input), weight) in places.iter().zip(&inputs).zip(weights) {
            *weight = (*weight + ((*input * (error >> 4) + 0x4000) >> 15)).clamp(-(1 << 20), 1 << 20);
            if let Some(slot) = self.slots.get_mut(*place) {
                let (p, n) = ((*slot >> 10) as i64, *slot & 1023);
                let rate = i64::from(self.rates.get(n as usize).copied().unwrap_or(256));
                let p = p + (((target - p) * rate) >> 16);
                *slot = (p as u32) << 10 | if n < SLOWEST { n + 1 } else { n };
            }
        }
        bit
    }
}

/// Natural logarithm of p / (1 - p) in 1/256, of a probability in 1/4096.
struct Tables {
    stretch: [i16; 4096],
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mut stretch = [2047i16; 4096];
    let mut from = 0;
    for x in -2047..=2047i16 {
        let p = (squash(i32::from(x)) >> 4) as usize;
        for slot in stretch.iter_mut().take(p + 1).skip(from) {
            *slot = x;
        }
        from = from.max(p + 1);
    }
    Tables { stretch }
});

/// 65,536 / (1 + e^-x) at every 128th of x in 1/256.
const CURVE: [u32; 33] = [
    22, 36, 59, 98, 161, 266, 437, 719, 1179, 1927, 3108, 4972, 7812, 11_953, 17_625, 24_743, 32_768, 40_793,
    47_911, 53_583, 57_724, 60_564, 62_428, 63_609, 64_357, 64_817, 65_099, 65_270, 65_375, 65_438, 65_477,
    65_500, 65_514,
];

/// The probability, in 1/65,536, that `x` stands for; never certain.
fn squash(x: i32) -> u32 {
    let x = (x.clamp(-2047, 2047) + 2048) as u32;
    let at = |i: u32| CURVE.get(i as usize).copied().unwrap_or(65_514);
    let (i, within) = (x >> 7, x & 127);
    ((at(i) * (128 - within) + at(i + 1) * within) >> 7).clamp(2, 65_534)
}
