//! Deflate as zlib and gzip make it, bit for bit: what was packed by them can be packed again.
//!
//! The format is RFC 1951's. Which matches are taken and where blocks end is the choice of a packer; this makes those of zlib
//! (`deflate_fast`, `deflate_slow`, `trees.c`) with all input at hand, which every program that feeds it in powers of two comes to
//! as well, and those of gzip and Info-ZIP, which end blocks by another rule.
//!
//! # Files
//!
//! - Here: the window. `parameters`: what a packer is told. `matcher`: what repeats. `trees`: Huffman codes. `blocks`: bits. `tables`: numbers
//!   of the format.

mod blocks;
mod matcher;
mod parameters;
mod tables;
mod trees;

use blocks::Blocks;
use matcher::Matcher;
pub(crate) use parameters::Parameters;

/// Bytes that zlib sees at once.
const AT_ONCE: usize = 1 << 16;

/// Packs bytes.
pub(crate) struct Deflate {
    matcher: Matcher,
    blocks: Blocks,
    waiting: Vec<u8>,
}

impl Deflate {
    pub(crate) fn new(parameters: Parameters) -> Deflate {
        Deflate { matcher: Matcher::new(parameters), blocks: Blocks::new(parameters), waiting: Vec::new() }
    }

    /// Begins anew, with the same parameters.
    pub(crate) fn reset(&mut self) {
        self.matcher.reset();
        self.blocks.reset();
        self.waiting.clear();
    }

    /// Takes bytes.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(AT_ONCE));
            self.waiting.extend_from_slice(now);
            bytes = later;
            if self.waiting.len() >= 2 * AT_ONCE {
                let used = self.matcher.run(&self.waiting, false, &mut self.blocks);
                self.waiting.drain(..used);
            }
        }
    }

    /// No more bytes come.
    pub(crate) fn finish(&mut self) {
        let used = self.matcher.run(&self.waiting, true, &mut self.blocks);
        self.waiting.drain(..used.min(self.waiting.len()));
        self.blocks.finish();
    }

    /// Places that were looked at for repetitions since this was asked.
    pub(crate) fn steps(&mut self) -> u64 {
        self.matcher.steps()
    }

    /// What is packed so far.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        self.blocks.out()
    }
}

#[cfg(all(test, feature = "make"))]
mod tests;
