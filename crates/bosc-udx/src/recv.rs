//! The receiving half: puts packets in order, holds what was not read yet, keeps the window.
//!
//! Invariants:
//! - `ring[i]` is the packet `next + i`; `ring[0]` is never there (it would have been taken in order).
//! - `ranges` holds exactly the sequence numbers in `ring`.
//! - `unread + ahead_bytes` never exceeds the window by more than [`SLACK`] twice, `ring` never grows beyond
//!   `max_ahead` slots: both whatever a peer sends.
//!
//! Payload is copied once: in order into a block that is handed out as one piece, out of order into its own buffer.

use crate::header::flags;
use crate::ranges::Ranges;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// What a sender may overshoot the window by (it counts whole packets, and windows cross each other on the way).
const SLACK: usize = 128 * 1024;
/// First and largest block that in-order payload is gathered in.
const BLOCK_MIN: usize = 4 * 1024;
const BLOCK_MAX: usize = 64 * 1024;

#[derive(Debug)]
struct Segment {
    end: bool,
    payload: Bytes,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// It was the next one.
    InOrder,
    /// It is kept for later.
    Ahead,
    /// It was there already.
    Duplicate,
    /// There is no room for it, or the stream has ended before it.
    Refused,
}

#[derive(Debug)]
pub(crate) struct Receiver {
    next: u64,
    ring: VecDeque<Option<Segment>>,
    ranges: Ranges,
    newest_range: Option<u64>,
    ahead_bytes: usize,
    chunks: VecDeque<Bytes>,
    gathering: BytesMut,
    block: usize,
    unread: usize,
    ended: bool,
    discard: bool,
    window_max: usize,
    /// The window told is never more than this.
    window_cap: usize,
    max_ahead: usize,
    /// Payload bytes accepted so far plus the window told with them: the edge the peer may send up to.
    accepted: u64,
    advertised_edge: u64,
}

impl Receiver {
    pub(crate) fn new(next: u64, window_max: usize) -> Self {
        Receiver {
            next,
            ring: VecDeque::new(),
            ranges: Ranges::default(),
            newest_range: None,
            ahead_bytes: 0,
            chunks: VecDeque::new(),
            gathering: BytesMut::new(),
            block: BLOCK_MIN,
            unread: 0,
            ended: false,
            discard: false,
            window_max,
            window_cap: window_max,
            max_ahead: (window_max / 256).max(16 * 1024),
            accepted: 0,
            advertised_edge: window_max as u64,
        }
    }

    /// The next sequence number waited for.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Sets where the peer's numbering starts. Only before anything has arrived.
    pub(crate) fn set_next(&mut self, next: u64) {
        if self.accepted == 0 && self.ring.is_empty() && !self.ended {
            self.next = next;
        }
    }

    /// All of the peer's bytes have arrived (they may not have been read).
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Bytes that can be read now.
    pub(crate) fn unread(&self) -> usize {
        self.unread
    }

    /// Packets that arrived ahead of a missing one.
    pub(crate) fn has_gaps(&self) -> bool {
        !self.ranges.is_empty()
    }

    /// Takes a packet that carries data, the end of the stream or both.
    pub(crate) fn insert(&mut self, sequence: u64, packet_flags: u8, payload: &[u8]) -> Received {
        if sequence < self.next {
            return Received::Duplicate;
        }
        if self.ended {
            return Received::Refused;
        }
        let end = packet_flags & flags::END != 0;
        let held = self.unread.saturating_add(self.ahead_bytes);
        let offset = sequence - self.next;
        if offset == 0 {
            if !payload.is_empty() && held > self.window_max.saturating_add(2 * SLACK) {
                return Received::Refused;
            }
            self.accepted += payload.len() as u64;
            self.gather(payload);
            self.advance(end);
            self.take_ready();
            return Received::InOrder;
        }
        let Ok(index) = usize::try_from(offset) else { return Received::Refused };
        if index >= self.max_ahead || held > self.window_max.saturating_add(SLACK) {
            return Received::Refused;
        }
        if self.ring.len() <= index {
            self.ring.resize_with(index + 1, || None);
        }
        match self.ring.get_mut(index) {
            Some(Some(_)) => return Received::Duplicate,
            Some(slot) => *slot = Some(Segment { end, payload: Bytes::copy_from_slice(payload) }),
            None => return Received::Refused,
        }
        self.accepted += payload.len() as u64;
        self.ahead_bytes += payload.len();
        self.ranges.insert(sequence, sequence + 1, |_, _| {});
        self.newest_range = Some(sequence);
        Received::Ahead
    }

    fn advance(&mut self, end: bool) {
        self.next += 1;
        self.ring.pop_front();
        if end {
            self.ended = true;
            self.ring.clear();
            self.ranges.clear();
            self.ahead_bytes = 0;
        }
    }

    fn take_ready(&mut self) {
        let from = self.next;
        while let Some(slot) = self.ring.front_mut()
            && let Some(segment) = slot.take()
        {
            self.ahead_bytes -= segment.payload.len().min(self.ahead_bytes);
            if !segment.payload.is_empty() && !self.discard {
                self.seal();
                self.unread += segment.payload.len();
                self.chunks.push_back(segment.payload);
            }
            self.advance(segment.end);
        }
        if self.next != from {
            self.ranges.remove_below(self.next);
        }
    }

    fn gather(&mut self, payload: &[u8]) {
        if payload.is_empty() || self.discard {
            return;
        }
        if self.gathering.capacity() - self.gathering.len() < payload.len() {
            self.seal();
            self.gathering.reserve(self.block.max(payload.len()));
            self.block = (self.block * 2).min(BLOCK_MAX);
        }
        self.gathering.extend_from_slice(payload);
        self.unread += payload.len();
    }

    fn seal(&mut self) {
        if !self.gathering.is_empty() {
            self.chunks.push_back(self.gathering.split().freeze());
        }
    }

    /// The next bytes in order.
    pub(crate) fn read(&mut self) -> Option<Bytes> {
        let chunk = match self.chunks.pop_front() {
            Some(chunk) => chunk,
            None if self.gathering.is_empty() => return None,
            None => self.gathering.split().freeze(),
        };
        self.unread -= chunk.len().min(self.unread);
        Some(chunk)
    }

    /// Forgets what was not read, and everything that is still to come.
    pub(crate) fn discard(&mut self) {
        self.discard = true;
        self.chunks.clear();
        self.gathering = BytesMut::new();
        self.unread = 0;
    }

    /// Frees everything that is not readable.
    pub(crate) fn close(&mut self) {
        self.ring = VecDeque::new();
        self.ranges.clear();
        self.ahead_bytes = 0;
        self.ended = true;
    }

    /// The window to tell the peer now.
    pub(crate) fn window(&self) -> u32 {
        let free = self.window_max.saturating_sub(self.unread).saturating_sub(self.ahead_bytes);
        u32::try_from(free.min(self.window_cap)).unwrap_or(u32::MAX)
    }

    /// Bounds the window that is told, beyond what there is room for.
    pub(crate) fn cap_window(&mut self, cap: usize) {
        self.window_cap = cap.max(1);
    }

    /// Remembers that [`Receiver::window`] was told to the peer.
    pub(crate) fn told_window(&mut self) {
        self.advertised_edge = self.accepted + u64::from(self.window());
    }

    /// Reading has opened the window so far that the peer should hear of it without asking: it may be standing still.
    pub(crate) fn wants_window_update(&self) -> bool {
        let told = self.advertised_edge.saturating_sub(self.accepted);
        let now = u64::from(self.window());
        let max = self.window_max.min(self.window_cap) as u64;
        !self.ended && told < max / 2 && now >= told + max / 4
    }

    /// The ranges that arrived ahead, for an acknowledgement: the one that changed last, then from the lowest on. If there
    /// are more than `max`, the highest come in between: they are news, and the acknowledgement before may be lost.
    pub(crate) fn sack_ranges(&self, max: usize) -> impl Iterator<Item = (u64, u64)> + '_ {
        let newest = self.newest_range.and_then(|sequence| self.ranges.containing(sequence));
        let high = if self.ranges.len() > max { max / 2 } else { 0 };
        let others = self.ranges.iter().rev().take(high).chain(self.ranges.iter());
        newest.into_iter().chain(others.filter(move |range| Some(*range) != newest)).take(max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence;
    use bosc_testkit::Rng;

    fn all(receiver: &mut Receiver) -> Vec<u8> {
        std::iter::from_fn(|| receiver.read()).flatten().collect()
    }

    #[test]
    fn any_order_and_any_duplicates_give_the_same_bytes() {
        for seed in 0..50 {
            let mut rng = Rng::new(seed);
            let start = sequence::first(u32::MAX - 20);
            let mut receiver = Receiver::new(start, 1 << 20);
            let count = 60;
            let mut packets: Vec<(u64, Vec<u8>)> =
                (0..count).map(|i| (start + i, vec![i as u8; rng.index(1400)])).collect();
            let expected: Vec<u8> = packets.iter().flat_map(|(_, p)| p.clone()).collect();
            packets.extend_from_within(..20);
            rng.shuffle(&mut packets);
            let mut got = Vec::new();
            for (sequence, payload) in &packets {
                let last = *sequence == start + count - 1;
                let kind = flags::DATA | if last { flags::END } else { 0 };
                assert_ne!(receiver.insert(*sequence, kind, payload), Received::Refused);
                if rng.chance(0.3) {
                    got.extend(all(&mut receiver));
                }
            }
            got.extend(all(&mut receiver));
            assert_eq!(got, expected, "seed {seed}");
            assert!(receiver.ended());
            assert_eq!((receiver.unread(), receiver.window(), receiver.has_gaps()), (0, 1 << 20, false));
            assert_eq!(receiver.insert(start + count, flags::DATA, b"x"), Received::Refused);
        }
    }

    #[test]
    fn what_a_peer_makes_us_hold_is_bounded() {
        let start = sequence::first(0);
        let mut receiver = Receiver::new(start, 64 * 1024);
        let packet = [7u8; 1400];
        assert_eq!(receiver.insert(start + (1 << 31), flags::DATA, &packet), Received::Refused);
        assert_eq!(receiver.insert(start + 16 * 1024, flags::DATA, &packet), Received::Refused);
        for i in 1..10_000 {
            receiver.insert(start + i * 2, flags::DATA, &packet);
        }
        let held = receiver.ahead_bytes;
        assert!(held <= 64 * 1024 + SLACK + packet.len(), "{held}");
        // The one that is missing is still taken, or nothing would ever move again.
        assert_eq!(receiver.insert(start, flags::DATA, &packet), Received::InOrder);
        for i in 1..1000 {
            receiver.insert(start + i, flags::DATA, &packet);
        }
        assert!(receiver.unread() + receiver.ahead_bytes <= 64 * 1024 + 2 * SLACK + packet.len());
        assert_eq!(receiver.window(), 0);
    }

    #[test]
    fn the_window_follows_the_reader() {
        let start = sequence::first(0);
        let mut receiver = Receiver::new(start, 10_000);
        for i in 0..9 {
            receiver.insert(start + i, flags::DATA, &[0; 1000]);
            receiver.told_window();
        }
        assert_eq!(receiver.window(), 1000);
        assert!(!receiver.wants_window_update());
        while receiver.read().is_some() {}
        assert!(receiver.wants_window_update());
        receiver.told_window();
        assert!(!receiver.wants_window_update());
    }

    #[test]
    fn ranges_name_the_newest_first() {
        let start = sequence::first(0);
        let mut receiver = Receiver::new(start, 1 << 20);
        for i in [2, 3, 9, 5] {
            receiver.insert(start + i, flags::DATA, b"x");
        }
        let ranges: Vec<_> = receiver.sack_ranges(50).map(|(a, b)| (a - start, b - start)).collect();
        assert_eq!(ranges, [(5, 6), (2, 4), (9, 10)]);
        assert_eq!(receiver.sack_ranges(2).count(), 2);
        for i in (20..200).step_by(2) {
            receiver.insert(start + i, flags::DATA, b"x");
        }
        receiver.insert(start + 60, flags::DATA, b"x");
        receiver.insert(start + 61, flags::DATA, b"x");
        let ranges: Vec<_> = receiver.sack_ranges(7).map(|(a, b)| (a - start, b - start)).collect();
        assert_eq!(ranges, [(60, 63), (198, 199), (196, 197), (194, 195), (2, 4), (5, 6), (9, 10)]);
    }
}
