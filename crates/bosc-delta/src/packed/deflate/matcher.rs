//! What repeats, as zlib finds it: chains of places with the same hash of three bytes, and one byte of patience.

use super::blocks::Blocks;
use super::parameters::Parameters;
use crate::common::common;

const WINDOW: usize = 1 << 15;
const MASK: usize = WINDOW - 1;
const LONGEST: usize = 258;
const SHORTEST: usize = 3;
/// What has to be ahead, unless the input ends.
const AHEAD: usize = LONGEST + SHORTEST + 1;
const FARTHEST: usize = WINDOW - AHEAD;
/// Matches of three bytes from further back do not pay.
const TOO_FAR: usize = 4096;

/// How hard a level tries.
#[derive(Clone, Copy)]
struct Effort {
    good: usize,
    lazy: usize,
    nice: usize,
    chain: usize,
}

fn effort(level: u8) -> Effort {
    let (good, lazy, nice, chain) = match level {
        0 | 1 => (4, 4, 8, 4),
        2 => (4, 5, 16, 8),
        3 => (4, 6, 32, 32),
        4 => (4, 4, 16, 16),
        5 => (8, 16, 32, 32),
        6 => (8, 16, 128, 128),
        7 => (8, 32, 128, 256),
        8 => (32, 128, 258, 1024),
        _ => (32, 258, 258, 4096),
    };
    Effort { good, lazy, nice, chain }
}

pub(super) struct Matcher {
    effort: Effort,
    fast: bool,
    shift: u32,
    hash_mask: u32,
    window: Vec<u8>,
    head: Vec<u16>,
    previous: Vec<u16>,
    hash: u32,
    /// Where we are in the window, and what is ahead.
    at: usize,
    ahead: usize,
    match_start: usize,
    match_len: usize,
    waiting: bool,
    /// Places of chains that were looked at.
    steps: u64,
}

impl Matcher {
    pub(super) fn new(p: Parameters) -> Matcher {
        let bits = u32::from(p.memory) + 7;
        Matcher {
            effort: effort(p.level),
            fast: p.level < 4,
            shift: bits.div_ceil(3),
            hash_mask: (1 << bits) - 1,
            window: vec![0; 2 * WINDOW],
            head: vec![0; 1 << bits],
            previous: vec![0; WINDOW],
            hash: 0,
            at: 0,
            ahead: 0,
            match_start: 0,
            match_len: SHORTEST - 1,
            waiting: false,
            steps: 0,
        }
    }

    pub(super) fn reset(&mut self) {
        self.head.fill(0);
        self.window.fill(0);
        (self.hash, self.at, self.ahead, self.match_start) = (0, 0, 0, 0);
        (self.match_len, self.waiting) = (SHORTEST - 1, false);
    }

    fn byte(&self, at: usize) -> u8 {
        self.window.get(at).copied().unwrap_or(0)
    }

    fn mix(&mut self, byte: u8) {
        self.hash = (self.hash << self.shift ^ u32::from(byte)) & self.hash_mask;
    }

    fn rehash(&mut self) {
        self.hash = u32::from(self.byte(self.at)) & self.hash_mask;
        self.mix(self.byte(self.at + 1));
    }

    /// Notes the place; returns the one before with its hash, or 0.
    fn insert(&mut self) -> usize {
        self.mix(self.byte(self.at + SHORTEST - 1));
        let Some(head) = self.head.get_mut(self.hash as usize) else { return 0 };
        let before = *head;
        *head = self.at as u16;
        if let Some(slot) = self.previous.get_mut(self.at & MASK) {
            *slot = before;
        }
        usize::from(before)
    }

    /// Takes from `input` what there is room for; returns how much.
    fn fill(&mut self, input: &[u8], blocks: &mut Blocks) -> usize {
        let mut taken = 0;
        loop {
            if self.at >= WINDOW + FARTHEST {
                self.window.copy_within(WINDOW.., 0);
                self.match_start = self.match_start.saturating_sub(WINDOW);
                self.at -= WINDOW;
                blocks.slide(WINDOW);
                for place in self.head.iter_mut().chain(&mut self.previous) {
                    *place = place.saturating_sub(WINDOW as u16);
                }
            }
            let from = self.at + self.ahead;
            let room = self.window.len() - from;
            let rest = input.get(taken..).unwrap_or(&[]);
            let now = rest.get(..room).unwrap_or(rest);
            if let Some(place) = self.window.get_mut(from..from + now.len()) {
                place.copy_from_slice(now);
            }
            taken += now.len();
            self.ahead += now.len();
            if self.ahead >= SHORTEST {
                self.rehash();
            }
            if self.ahead >= AHEAD || now.is_empty() {
                return taken;
            }
        }
    }

    /// Looks at input as far as it goes, or until it has to be seen with what follows. Returns how much was taken.
    pub(super) fn run(&mut self, input: &[u8], last: bool, blocks: &mut Blocks) -> usize {
        let mut taken = 0;
        loop {
            if self.ahead < AHEAD {
                // Filled as if all were there.
                if !last && input.len() - taken < 2 * WINDOW {
                    return taken;
                }
                taken += self.fill(input.get(taken..).unwrap_or(&[]), blocks);
                if self.ahead == 0 {
                    break;
                }
            }
            let full = if self.fast { self.step_fast(blocks) } else { self.step_slow(blocks) };
            if full {
                blocks.flush(&self.window, self.at, false);
            }
        }
        if self.waiting {
            blocks.literal(self.byte(self.at - 1), self.at);
            self.waiting = false;
        }
        blocks.flush(&self.window, self.at, true);
        taken
    }

    fn step_fast(&mut self, blocks: &mut Blocks) -> bool {
        let mut before = 0;
        if self.ahead >= SHORTEST {
            before = self.insert();
        }
        if before != 0 && self.at - before <= FARTHEST {
            self.match_len = self.longest(before, SHORTEST - 1);
        }
        if self.match_len < SHORTEST {
            let full = blocks.literal(self.byte(self.at), self.at);
            self.at += 1;
            self.ahead -= 1;
            return full;
        }
        let full = blocks.repeat(self.at - self.match_start, self.match_len, self.at);
        self.ahead -= self.match_len;
        if self.match_len <= self.effort.lazy && self.ahead >= SHORTEST {
            for _ in 1..self.match_len {
                self.at += 1;
                self.insert();
            }
            self.at += 1;
        } else {
            self.at += self.match_len;
            self.rehash();
        }
        self.match_len = 0;
        full
    }

    fn step_slow(&mut self, blocks: &mut Blocks) -> bool {
        let mut before = 0;
        if self.ahead >= SHORTEST {
            before = self.insert();
        }
        let (len_before, start_before) = (self.match_len, self.match_start);
        self.match_len = SHORTEST - 1;
        if before != 0 && len_before < self.effort.lazy && self.at - before <= FARTHEST {
            self.match_len = self.longest(before, len_before);
            if self.match_len == SHORTEST && self.at - self.match_start > TOO_FAR {
                self.match_len = SHORTEST - 1;
            }
        }
        if len_before >= SHORTEST && self.match_len <= len_before {
            let last = (self.at + self.ahead).saturating_sub(SHORTEST);
            let full = blocks.repeat(self.at - 1 - start_before, len_before, self.at);
            self.ahead -= len_before - 1;
            for _ in 0..len_before - 2 {
                self.at += 1;
                if self.at <= last {
                    self.insert();
                }
            }
            self.waiting = false;
            self.match_len = SHORTEST - 1;
            self.at += 1;
            return full;
        }
        let full = if self.waiting { blocks.literal(self.byte(self.at - 1), self.at) } else { false };
        if full {
            blocks.flush(&self.window, self.at, false);
        }
        self.waiting = true;
        self.at += 1;
        self.ahead -= 1;
        false
    }

    /// The longest repetition that is longer than `best`, along the chain of `place`; sets where it starts.
    fn longest(&mut self, mut place: usize, mut best: usize) -> usize {
        let mut chain = self.effort.chain;
        if best >= self.effort.good {
            chain >>= 2;
        }
        let nice = self.effort.nice.min(self.ahead);
        let limit = self.at.saturating_sub(FARTHEST);
        let window = self.window.as_slice();
        let scan = window.get(self.at..).unwrap_or(&[]);
        let scan = scan.get(..LONGEST).unwrap_or(scan);
        let pair = |bytes: &[u8], at: usize| -> Option<[u8; 2]> { bytes.get(at - 1..=at)?.try_into().ok() };
        let mut end = pair(scan, best);
        let all = chain;
        loop {
            let candidate = window.get(place..place + LONGEST).unwrap_or(&[]);
            if pair(candidate, best) == end
                && end.is_some()
                && candidate.first_chunk::<2>() == scan.first_chunk::<2>()
            {
                let len = common(candidate, scan);
                if len > best {
                    self.match_start = place;
                    best = len;
                    if len >= nice {
                        break;
                    }
                    end = pair(scan, best);
                }
            }
            place = usize::from(self.previous.get(place & MASK).copied().unwrap_or(0));
            chain -= 1;
            if place <= limit || chain == 0 {
                break;
            }
        }
        self.steps += (all - chain) as u64 + 1;
        best.min(self.ahead)
    }

    /// What was looked at since it began; begins again.
    pub(super) fn steps(&mut self) -> u64 {
        std::mem::take(&mut self.steps)
    }
}
