//! The rolling fingerprint.
//!
//! With `P` the polynomial and `d` the fingerprint, one step takes byte `old` out of the window and `new` into it:
//! `d' = ((d + out(old)) * x^8 + new) mod P`. As all is linear, `out(old) * x^8 mod P` is tabled and only the reduction of
//! `d * x^8` waits for the step before.

/// Bytes in the window.
pub(super) const WINDOW: usize = 64;

const POLYNOMIAL: u64 = 0x003d_a335_8b4d_c173;
const DEGREE: u32 = 53;
const MASK: u64 = (1 << 20) - 1;
/// Stretches walked at once, and the least and most bytes of each.
const LANES: usize = 4;
const MIN_LANE: usize = 1024;
const MAX_LANE: usize = 16 * 1024;

const fn reduce(mut x: u64) -> u64 {
    while x >> DEGREE != 0 {
        let degree = 63 - x.leading_zeros();
        x ^= POLYNOMIAL << (degree - DEGREE);
    }
    x
}

/// `REDUCE[b]` cancels `b` above the polynomial's degree and adds what it leaves below.
#[allow(clippy::indexing_slicing)] // Evaluated by the compiler.
static REDUCE: [u64; 256] = {
    let mut table = [0; 256];
    let mut b = 0;
    while b < 256 {
        let high = (b as u64) << DEGREE;
        table[b] = reduce(high) | high;
        b += 1;
    }
    table
};

/// `LEAVE[b]` is `b` after 64 more bytes came in, one step after it left the window.
#[allow(clippy::indexing_slicing)]
static LEAVE: [u64; 256] = {
    let mut table = [0; 256];
    let mut b = 0;
    while b < 256 {
        let mut hash = b as u64;
        let mut i = 0;
        while i < WINDOW {
            hash = reduce(hash << 8);
            i += 1;
        }
        table[b] = hash;
        b += 1;
    }
    table
};

#[inline(always)]
fn at(table: &[u64; 256], byte: u8) -> u64 {
    // Every byte is an index of the table; the check is compiled away.
    table.get(usize::from(byte)).copied().unwrap_or(0)
}

#[inline(always)]
fn append(digest: u64, byte: u64) -> u64 {
    ((digest << 8) ^ byte) ^ at(&REDUCE, (digest >> (DEGREE - 8)) as u8)
}

#[inline(always)]
fn slide(digest: u64, old: u8, new: u8) -> u64 {
    append(digest, u64::from(new) ^ at(&LEAVE, old))
}

/// The fingerprint of a window.
pub(super) fn fingerprint(window: &[u8; WINDOW]) -> u64 {
    window.iter().fold(0, |d, &b| append(d, u64::from(b)))
}

/// Slides over `data`, `tail` being the 64 bytes before it. `Some(n)`: the fingerprint matches after `n` bytes.
pub(super) fn scan(digest: &mut u64, tail: &[u8; WINDOW], data: &[u8]) -> Option<usize> {
    for (i, (&old, &new)) in tail.iter().zip(data).enumerate() {
        *digest = slide(*digest, old, new);
        if *digest & MASK == 0 {
            return Some(i + 1);
        }
    }
    let mut done = WINDOW;
    while let Some((old, new)) = stripe(data, done) {
        if let Some(n) = scan_stripe(digest, old, new) {
            return Some(done + n);
        }
        done += new.iter().map(|lane| lane.len()).sum::<usize>();
    }
    let new = data.get(done..)?;
    let old = data.get(done - WINDOW..)?;
    for (i, (&old, &new)) in old.iter().zip(new).enumerate() {
        *digest = slide(*digest, old, new);
        if *digest & MASK == 0 {
            return Some(done + i + 1);
        }
    }
    None
}

type Lanes<'a> = [&'a [u8]; LANES];

/// The bytes going out and coming in for the stripe at `done`, lane by lane, all of one length. `None` when too little
/// is left to be worth it.
fn stripe(data: &[u8], done: usize) -> Option<(Lanes<'_>, Lanes<'_>)> {
    let lane = (data.len().checked_sub(done)? / LANES).min(MAX_LANE);
    if lane < MIN_LANE {
        return None;
    }
    let lanes = |from: usize| -> Option<Lanes<'_>> {
        let mut out: Lanes<'_> = [&[]; LANES];
        for (slot, bytes) in out.iter_mut().zip(data.get(from..)?.chunks_exact(lane)) {
            *slot = bytes;
        }
        Some(out)
    };
    Some((lanes(done - WINDOW)?, lanes(done)?))
}

fn scan_stripe(digest: &mut u64, old: Lanes<'_>, new: Lanes<'_>) -> Option<usize> {
    let mut d = [0u64; LANES];
    for (k, (d, old)) in d.iter_mut().zip(old).enumerate() {
        *d = if k == 0 { *digest } else { old.first_chunk::<WINDOW>().map_or(0, fingerprint) };
    }
    let mut first: [usize; LANES] = [usize::MAX; LANES];
    let ([o0, o1, o2, o3], [n0, n1, n2, n3]) = (old, new);
    let [mut a, mut b, mut c, mut e] = d;
    let olds = o0.iter().zip(o1).zip(o2).zip(o3);
    let news = n0.iter().zip(n1).zip(n2).zip(n3);
    for (i, ((((&o0, &o1), &o2), &o3), (((&n0, &n1), &n2), &n3))) in olds.zip(news).enumerate() {
        a = slide(a, o0, n0);
        b = slide(b, o1, n1);
        c = slide(c, o2, n2);
        e = slide(e, o3, n3);
        if (a & MASK == 0) | (b & MASK == 0) | (c & MASK == 0) | (e & MASK == 0) {
            for (slot, d) in first.iter_mut().zip([a, b, c, e]) {
                if d & MASK == 0 {
                    *slot = (*slot).min(i);
                }
            }
            if a & MASK == 0 {
                // No lane holds an earlier byte.
                break;
            }
        }
    }
    *digest = e;
    first.iter().enumerate().find(|(_, i)| **i != usize::MAX).map(|(k, i)| k * n0.len() + i + 1)
}
