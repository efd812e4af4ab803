//! Bytes that no copy gives, by models of what was before them.

use crate::coder::{Coder, Model, context};

/// More bytes than this are packed in another way: these models are slow.
pub(crate) const MOST: u64 = 4 << 20;

/// The models, over one direction of the coder.
pub(crate) struct Literals<C: Coder> {
    pub(crate) coder: C,
    model: Model<6>,
    before: u64,
}

impl<C: Coder> Literals<C> {
    pub(crate) fn new(coder: C) -> Literals<C> {
        Literals { coder, model: Model::new(18, 256), before: 0 }
    }

    pub(crate) fn byte(&mut self, byte: u8) -> u8 {
        let b = self.before;
        let last = |n: u32| b & ((1 << (8 * n)) - 1);
        let contexts = [
            context(&[0]),
            context(&[1, last(1)]),
            context(&[2, last(2)]),
            context(&[3, last(3)]),
            context(&[4, last(4)]),
            context(&[6, last(6)]),
        ];
        let byte = self.model.byte(&mut self.coder, &contexts, last(1) as usize, byte);
        self.before = b << 8 | u64::from(byte);
        byte
    }
}
