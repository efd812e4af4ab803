//! Whether the network works, judged by the share of requests answered (`dht-rpc/lib/health.js`).
//!
//! One sample per tick; a tick with fewer than four finished requests says nothing. Two ticks in a row
//! without any reply: offline. Four ticks in a row with more timeouts than replies: degraded. Four healthy
//! ticks in a row, or one reply after being offline: online.

const WINDOW: usize = 4;
const OFFLINE_TICKS: u32 = 2;
const IDLE: u64 = 4;

/// How well the network works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NetworkState {
    /// Requests are answered.
    #[default]
    Online,
    /// More requests time out than are answered.
    Degraded,
    /// No request is answered.
    Offline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tick {
    Quiet,
    Offline,
    Degraded,
    Healthy,
}

#[derive(Debug, Default)]
pub(crate) struct Health {
    ticks: std::collections::VecDeque<Tick>,
    samples: u32,
    responses: u64,
    timeouts: u64,
    offline_ticks: u32,
    state: NetworkState,
}

impl Health {
    pub(crate) fn state(&self) -> NetworkState {
        self.state
    }

    /// Forgets everything, as after sleep.
    pub(crate) fn reset(&mut self) {
        *self = Self { responses: self.responses, timeouts: self.timeouts, ..Self::default() };
    }

    /// Takes the running totals at a tick.
    pub(crate) fn update(&mut self, responses: u64, timeouts: u64) {
        let got = responses.saturating_sub(self.responses);
        let lost = timeouts.saturating_sub(self.timeouts);
        self.responses = responses;
        self.timeouts = timeouts;
        self.samples = self.samples.saturating_add(1);
        if self.ticks.len() >= WINDOW {
            self.ticks.pop_front();
        }
        let cold = (self.samples as usize) < WINDOW;
        if cold || got.saturating_add(lost) < IDLE {
            self.ticks.push_back(Tick::Quiet);
            return;
        }
        let tick = if got == 0 {
            Tick::Offline
        } else if lost > got {
            Tick::Degraded
        } else {
            Tick::Healthy
        };
        self.ticks.push_back(tick);
        self.offline_ticks = if tick == Tick::Offline { self.offline_ticks.saturating_add(1) } else { 0 };
        let all = |kind: Tick| self.ticks.len() == WINDOW && self.ticks.iter().all(|t| *t == kind);
        self.state = if tick == Tick::Offline {
            if self.offline_ticks >= OFFLINE_TICKS { NetworkState::Offline } else { self.state }
        } else if all(Tick::Degraded) {
            NetworkState::Degraded
        } else if all(Tick::Healthy) || self.state == NetworkState::Offline {
            NetworkState::Online
        } else {
            self.state
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_offline_and_one_reply_brings_it_back() {
        let mut h = Health::default();
        let (mut ok, mut lost) = (0, 0);
        for _ in 0..4 {
            ok += 10;
            h.update(ok, lost);
        }
        assert_eq!(h.state(), NetworkState::Online);
        lost += 10;
        h.update(ok, lost);
        assert_eq!(h.state(), NetworkState::Online);
        lost += 10;
        h.update(ok, lost);
        assert_eq!(h.state(), NetworkState::Offline);
        h.update(ok, lost);
        assert_eq!(h.state(), NetworkState::Offline, "a quiet tick says nothing");
        ok += 4;
        h.update(ok, lost);
        assert_eq!(h.state(), NetworkState::Online);
        for _ in 0..4 {
            ok += 3;
            lost += 4;
            h.update(ok, lost);
        }
        assert_eq!(h.state(), NetworkState::Degraded);
        h.reset();
        assert_eq!(h.state(), NetworkState::Online);
    }
}
