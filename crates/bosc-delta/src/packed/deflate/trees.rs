//! Huffman codes as zlib chooses them.

/// Codes for up to 286 symbols.
pub(super) const MOST: usize = 288;
const NODES: usize = 2 * 286 + 1;

/// A code in the making and made.
pub(super) struct Tree {
    pub(super) counts: [u16; NODES],
    pub(super) lens: [u8; NODES],
    pub(super) codes: [u16; MOST],
    /// The highest symbol that has a code.
    pub(super) highest: usize,
    symbols: usize,
    longest: usize,
}

/// What a symbol costs beside its code.
pub(super) struct Costs<'a> {
    pub(super) extra: &'a [u8],
    /// The first symbol that has some.
    pub(super) from: usize,
    /// The lengths of the fixed code.
    pub(super) fixed: Option<&'a [u8]>,
}

struct Heap<'a> {
    heap: [u16; NODES + 1],
    len: usize,
    depth: [u8; NODES],
    counts: &'a mut [u16; NODES],
}

impl Heap<'_> {
    fn at(&self, i: usize) -> usize {
        usize::from(self.heap.get(i).copied().unwrap_or(0))
    }

    fn set(&mut self, i: usize, node: usize) {
        if let Some(slot) = self.heap.get_mut(i) {
            *slot = node as u16;
        }
    }

    fn key(&self, node: usize) -> (u16, u8) {
        (self.counts.get(node).copied().unwrap_or(0), self.depth.get(node).copied().unwrap_or(0))
    }

    fn push(&mut self, node: usize) {
        self.len += 1;
        self.set(self.len, node);
    }

    fn down(&mut self, mut k: usize) {
        let v = self.at(k);
        let mut j = k * 2;
        while j <= self.len {
            if j < self.len && self.key(self.at(j + 1)) <= self.key(self.at(j)) {
                j += 1;
            }
            if self.key(v) <= self.key(self.at(j)) {
                break;
            }
            self.set(k, self.at(j));
            k = j;
            j *= 2;
        }
        self.set(k, v);
    }
}

impl Tree {
    pub(super) fn new(symbols: usize, longest: usize) -> Tree {
        Tree { counts: [0; NODES], lens: [0; NODES], codes: [0; MOST], highest: 0, symbols, longest }
    }

    pub(super) fn count(&mut self, symbol: usize, times: u16) {
        if let Some(count) = self.counts.get_mut(symbol) {
            *count = count.wrapping_add(times);
        }
    }

    pub(super) fn clear(&mut self) {
        self.counts = [0; NODES];
    }

    pub(super) fn len(&self, symbol: usize) -> u8 {
        self.lens.get(symbol).copied().unwrap_or(0)
    }

    pub(super) fn code(&self, symbol: usize) -> (u16, u8) {
        (self.codes.get(symbol).copied().unwrap_or(0), self.len(symbol))
    }

    /// Chooses the lengths. Returns the bits of all symbols with this code and with the fixed one.
    pub(super) fn build(&mut self, costs: &Costs<'_>) -> (i64, i64) {
        let fixed = |n: usize| costs.fixed.map_or(0, |f| i64::from(f.get(n).copied().unwrap_or(0)));
        let (mut bits, mut bits_fixed) = (0i64, 0i64);
        let mut parent = [0u16; NODES];
        let mut order = [0u16; NODES];
        let mut top = NODES;
        self.lens = [0; NODES];
        self.highest = 0;
        let mut heap = Heap { heap: [0; NODES + 1], len: 0, depth: [0; NODES], counts: &mut self.counts };
        let mut any = false;
        for n in 0..self.symbols {
            if heap.counts.get(n).is_some_and(|c| *c != 0) {
                heap.push(n);
                self.highest = n;
                any = true;
            }
        }
        // Two codes at least.
        let mut highest = if any { self.highest as i64 } else { -1 };
        while heap.len < 2 {
            let node = if highest < 2 {
                highest += 1;
                highest as usize
            } else {
                0
            };
            heap.push(node);
            if let Some(count) = heap.counts.get_mut(node) {
                *count = 1;
            }
            bits -= 1;
            bits_fixed -= fixed(node);
        }
        self.highest = highest.max(0) as usize;
        for n in (1..=heap.len / 2).rev() {
            heap.down(n);
        }
        let mut node = self.symbols;
        let mut put = |n: usize| {
            top -= 1;
            if let Some(slot) = order.get_mut(top) {
                *slot = n as u16;
            }
            top
        };
        loop {
            let n = heap.at(1);
            heap.set(1, heap.at(heap.len));
            heap.len -= 1;
            heap.down(1);
            let m = heap.at(1);
            put(n);
            put(m);
            let (a, b) = (heap.key(n), heap.key(m));
            if let (Some(count), Some(depth)) = (heap.counts.get_mut(node), heap.depth.get_mut(node)) {
                *count = a.0.wrapping_add(b.0);
                *depth = a.1.max(b.1).wrapping_add(1);
            }
            for child in [n, m] {
                if let Some(slot) = parent.get_mut(child) {
                    *slot = node as u16;
                }
            }
            heap.set(1, node);
            node += 1;
            heap.down(1);
            if heap.len < 2 {
                break;
            }
        }
        let root = put(heap.at(1));
        let sums = self.lengths(costs, &parent, order.get(root..).unwrap_or(&[]));
        self.assign();
        (bits + sums.0, bits_fixed + sums.1)
    }

    /// Lengths from the tree: `order` has its nodes from the root down.
    fn lengths(&mut self, costs: &Costs<'_>, parent: &[u16; NODES], order: &[u16]) -> (i64, i64) {
        let (mut bits, mut bits_fixed) = (0, 0);
        let mut of_len = [0u16; 17];
        let mut overflow = 0i32;
        for n in order.iter().skip(1).map(|n| usize::from(*n)) {
            let above = parent.get(n).map_or(0, |p| self.len(usize::from(*p)));
            let mut len = usize::from(above) + 1;
            if len > self.longest {
                len = self.longest;
                overflow += 1;
            }
            if let Some(slot) = self.lens.get_mut(n) {
                *slot = len as u8;
            }
            if n > self.highest || n >= self.symbols {
                continue;
            }
            if let Some(slot) = of_len.get_mut(len) {
                *slot += 1;
            }
            let extra = n.checked_sub(costs.from).and_then(|i| costs.extra.get(i)).copied().unwrap_or(0);
            let count = i64::from(self.counts.get(n).copied().unwrap_or(0));
            bits += count * (len as i64 + i64::from(extra));
            if let Some(fixed) = costs.fixed {
                let len = fixed.get(n).copied().unwrap_or(0);
                bits_fixed += count * (i64::from(len) + i64::from(extra));
            }
        }
        if overflow == 0 {
            return (bits, bits_fixed);
        }
        while overflow > 0 {
            let mut len = self.longest - 1;
            while len > 0 && of_len.get(len) == Some(&0) {
                len -= 1;
            }
            let mut add = |i: usize, by: i32| {
                if let Some(slot) = of_len.get_mut(i) {
                    *slot = (i32::from(*slot) + by).max(0) as u16;
                }
            };
            add(len, -1);
            add(len + 1, 2);
            add(self.longest, -1);
            overflow -= 2;
        }
        let mut nodes = order.iter().rev().map(|n| usize::from(*n));
        for len in (1..=self.longest).rev() {
            let mut n = of_len.get(len).copied().unwrap_or(0);
            while n > 0 {
                let Some(m) = nodes.next() else { return (bits, bits_fixed) };
                if m > self.highest || m >= self.symbols {
                    continue;
                }
                if let (Some(slot), Some(count)) = (self.lens.get_mut(m), self.counts.get(m)) {
                    bits += (len as i64 - i64::from(*slot)) * i64::from(*count);
                    *slot = len as u8;
                }
                n -= 1;
            }
        }
        (bits, bits_fixed)
    }

    /// Codes from the lengths.
    fn assign(&mut self) {
        // What the nodes of the tree had is nothing to the symbols.
        let lens = self.lens.get(..=self.highest).unwrap_or(&[]);
        self.codes = codes(lens);
    }
}

/// The codes of lengths, their bits in the order in which they are written.
pub(super) fn codes(lens: &[u8]) -> [u16; MOST] {
    let mut of_len = [0u16; 16];
    for len in lens.iter().filter(|l| **l > 0) {
        if let Some(slot) = of_len.get_mut(usize::from(*len)) {
            *slot += 1;
        }
    }
    let mut next = [0u16; 16];
    let mut code = 0u16;
    for (next, before) in next.iter_mut().skip(1).zip(of_len) {
        code = code.wrapping_add(before) << 1;
        *next = code;
    }
    let mut out = [0; MOST];
    for (slot, len) in out.iter_mut().zip(lens) {
        if *len > 0
            && let Some(next) = next.get_mut(usize::from(*len))
        {
            *slot = next.reverse_bits() >> (16 - u32::from(*len));
            *next = next.wrapping_add(1);
        }
    }
    out
}
