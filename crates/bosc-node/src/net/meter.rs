//! How fast all connections together may send: a token bucket, shared fairly.
//!
//! Encrypted bytes go in pieces of [`PIECE`], for a block may have several MiB. A piece goes when the bucket holds anything at all,
//! and its bytes are taken out, below zero if need be. So over any time `t` no more goes out than `rate * t`, the bucket, and one
//! piece.
//!
//! Who wants to send and may not waits here. When there is something in the bucket again, the one goes first who sent least,
//! counted from when it began to wait (start-time fair queueing): a peer with large blocks gets as many bytes as one with small
//! ones, and one that comes anew neither waits for what the others had before nor makes up for it.
//!
//! Invariants:
//! * Bytes of messages are counted, not headers and not what is sent again; relayed packets have bounds of their own.
//! * Without a rate nobody waits and nothing is counted.
//! * Nothing here wakes the thread while nobody waits.

use std::collections::BTreeMap;
use std::time::Duration;

/// Most bytes that go at once.
const PIECE: usize = 16 << 10;
/// The bucket holds what may go in this time, within the bounds below.
const BURST: Duration = Duration::from_millis(250);
const BURST_LEAST: u64 = 64 << 10;
const BURST_MOST: u64 = 4 << 20;

/// Limits what is sent. See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Bytes a second; none: any.
    rate: Option<u64>,
    /// Bytes that may go now, in units of a byte times a billion, so that nothing is lost to rounding.
    level: i128,
    at: Duration,
    /// Bytes that the one sent who was served last, as the others count.
    virtual_time: u64,
    /// Who waits, by what it has sent.
    waiting: BTreeMap<u32, u64>,
    /// What those sent who do not wait: only as far as it is ahead of the time above.
    ahead: BTreeMap<u32, u64>,
}

const UNIT: i128 = 1_000_000_000;

impl Meter {
    /// At most so many bytes a second; none: any.
    pub(super) fn new(rate: Option<u64>, now: Duration) -> Self {
        let mut meter = Self { rate: rate.map(|r| r.max(1)), at: now, ..Self::default() };
        meter.level = meter.burst();
        meter
    }

    fn burst(&self) -> i128 {
        let burst = self.rate.unwrap_or(0).saturating_mul(BURST.as_millis() as u64) / 1000;
        i128::from(burst.clamp(BURST_LEAST, BURST_MOST)) * UNIT
    }

    fn refill(&mut self, now: Duration) {
        let Some(rate) = self.rate else { return };
        let passed = now.saturating_sub(self.at).as_nanos().min(1 << 62) as i128;
        self.at = self.at.max(now);
        self.level = self.level.saturating_add(passed * i128::from(rate)).min(self.burst());
    }

    /// Whether this connection may send its next piece. If not, it waits for its turn.
    pub(super) fn may_send(&mut self, id: u32, now: Duration) -> bool {
        if self.rate.is_none() {
            return true;
        }
        self.refill(now);
        let mine = self.start(id);
        let first = self.waiting.iter().all(|(other, theirs)| (mine, id) <= (*theirs, *other));
        if self.level > 0 && first {
            return true;
        }
        self.waiting.insert(id, mine);
        false
    }

    /// How many of so many bytes that wait go at once.
    pub(super) fn piece(&self, bytes: usize) -> usize {
        if self.rate.is_none() { bytes } else { bytes.min(PIECE) }
    }

    fn start(&self, id: u32) -> u64 {
        let known = self.waiting.get(&id).or_else(|| self.ahead.get(&id)).copied();
        known.unwrap_or(0).max(self.virtual_time)
    }

    /// It sent so many bytes.
    pub(super) fn sent(&mut self, id: u32, bytes: usize) {
        if self.rate.is_none() {
            return;
        }
        let start = self.start(id);
        self.virtual_time = self.virtual_time.max(start);
        self.level = self.level.saturating_sub(bytes as i128 * UNIT);
        let end = start.saturating_add(bytes as u64);
        if let Some(mine) = self.waiting.get_mut(&id) {
            *mine = end;
        } else {
            self.ahead.insert(id, end);
        }
        let time = self.virtual_time;
        self.ahead.retain(|_, end| *end > time);
    }

    /// It has nothing to send now, or is gone.
    pub(super) fn rest(&mut self, id: u32) {
        if let Some(end) = self.waiting.remove(&id)
            && end > self.virtual_time
        {
            self.ahead.insert(id, end);
        }
    }

    /// Whose turn it is, if anybody's.
    pub(super) fn turn(&mut self, now: Duration) -> Option<u32> {
        if self.waiting.is_empty() {
            return None;
        }
        self.refill(now);
        if self.level <= 0 {
            return None;
        }
        self.waiting.iter().min_by_key(|(id, sent)| (**sent, **id)).map(|(id, _)| *id)
    }

    /// When it is somebody's turn.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let rate = self.rate.filter(|_| !self.waiting.is_empty())?;
        // A little more than nothing, so that what is in the bucket then is worth waking for.
        let least = i128::from((rate / 200).clamp(1, 16 << 10)) * UNIT;
        let missing = (least - self.level).max(0) as u128;
        let nanos = missing.div_ceil(u128::from(rate)).min(u128::from(u64::MAX));
        Some(self.at.saturating_add(Duration::from_nanos(nanos as u64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 1 << 20;

    /// Connections that always have a frame of their size to send, for so many seconds of virtual time: what each sent.
    fn run(sizes: &[usize], seconds: u64) -> Vec<u64> {
        let mut meter = Meter::new(Some(RATE), Duration::ZERO);
        let mut sent = vec![0u64; sizes.len()];
        for id in 0..sizes.len() {
            send(&mut meter, id, sizes, &mut sent, Duration::ZERO);
        }
        let mut wakes = 0;
        while let Some(now) = meter.next_timeout().filter(|t| *t <= Duration::from_secs(seconds)) {
            while let Some(id) = meter.turn(now) {
                send(&mut meter, id as usize, sizes, &mut sent, now);
            }
            wakes += 1;
            assert!(wakes < 1000 * seconds, "woken for next to nothing");
        }
        sent
    }

    fn send(meter: &mut Meter, id: usize, sizes: &[usize], sent: &mut [u64], now: Duration) {
        while meter.may_send(id as u32, now) {
            meter.sent(id as u32, sizes[id]);
            sent[id] += sizes[id] as u64;
        }
    }

    #[test]
    fn all_together_keep_to_the_rate() {
        for sizes in [&[65_536][..], &[1000, 1000, 1000], &[8 << 20, 100], &[65_536; 300]] {
            let all: u64 = run(sizes, 40).iter().sum();
            let largest = sizes.iter().max().copied().unwrap_or(0) as u64;
            assert!(all <= 40 * RATE + RATE / 4 + largest, "{all} of {sizes:?}");
            assert!(all >= 39 * RATE, "{all} of {sizes:?}");
        }
    }

    #[test]
    fn each_gets_the_same_whatever_its_frames_are() {
        let sent = run(&[65_536, 1000, 300_000, 65_536], 60);
        let share = 60 * RATE / 4;
        for n in &sent {
            assert!(n.abs_diff(share) < 400_000, "{sent:?}");
        }
    }

    #[test]
    fn one_alone_has_all_and_who_comes_anew_has_its_share_and_no_more() {
        let mut meter = Meter::new(Some(RATE), Duration::ZERO);
        let (mut a, mut b) = (0u64, 0u64);
        let mut at_half = (0, 0);
        for ms in 0..20_000u64 {
            let now = Duration::from_millis(ms);
            let turns: &mut [(u32, &mut u64)] = &mut [(1, &mut a), (2, &mut b)];
            let talking = if ms < 10_000 { &mut turns[..1] } else { turns };
            let mut any = true;
            while any {
                any = false;
                for (id, sent) in talking.iter_mut() {
                    if meter.may_send(*id, now) {
                        meter.sent(*id, 10_000);
                        **sent += 10_000;
                        any = true;
                    }
                }
            }
            if ms == 9_999 {
                at_half = (a, b);
            }
        }
        assert!(at_half.0 >= 9 * RATE, "{at_half:?}");
        let (later_a, later_b) = (a - at_half.0, b);
        assert!(later_a.abs_diff(later_b) < 100_000, "{later_a} {later_b}");
    }

    #[test]
    fn an_hour_of_silence_saves_up_no_more_than_the_bucket() {
        let mut meter = Meter::new(Some(RATE), Duration::ZERO);
        let (now, mut sent) = (Duration::from_secs(3600), 0);
        while meter.may_send(1, now) {
            meter.sent(1, PIECE);
            sent += PIECE as u64;
        }
        assert!(sent <= RATE / 4 + PIECE as u64, "{sent}");
    }

    #[test]
    fn who_rests_holds_up_nobody() {
        let mut meter = Meter::new(Some(RATE), Duration::ZERO);
        meter.sent(1, 4 << 20);
        assert!(!meter.may_send(1, Duration::ZERO) && !meter.may_send(2, Duration::ZERO));
        meter.rest(2);
        let at = meter.next_timeout().unwrap();
        assert!(at > Duration::from_secs(3) && meter.turn(at) == Some(1));
        meter.rest(1);
        assert!(meter.next_timeout().is_none() && meter.turn(at).is_none());
    }

    #[test]
    fn without_a_rate_nobody_waits() {
        let mut meter = Meter::new(None, Duration::ZERO);
        meter.sent(1, usize::MAX);
        assert!(meter.may_send(1, Duration::ZERO) && meter.next_timeout().is_none());
    }
}
