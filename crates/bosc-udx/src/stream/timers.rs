//! Time: loss timers, pacing, zero window probes, heartbeats, idle and linger limits.

use super::{State, Stream, micros};
use crate::event::CloseReason;
use crate::send::TimeoutOutcome;
use std::time::Duration;

/// Timeouts in a row without which a stream is not given up, however long it took.
const TIMEOUTS_MIN: u32 = 4;
/// Timeouts after which an end that alone is unacknowledged, on a stream whose peer has ended, counts as heard: the
/// peer has closed and no longer answers.
const END_TIMEOUTS: u32 = 3;

impl Stream {
    /// When [`Stream::handle_timeout`] wants to be called, none if only a packet or the owner changes anything. Ask
    /// after every other call. May lie in the past.
    pub fn next_timeout(&self) -> Option<Duration> {
        let at = match self.state {
            State::Idle | State::Finished => None,
            State::Lingering { until, .. } => Some(until),
            State::Connected => [
                self.sender.timeout_at(),
                self.sender.paced_until(),
                self.window_probe_at,
                self.keep_alive_at(),
                self.idle_at(),
                self.stray_at(),
            ]
            .into_iter()
            .flatten()
            .min(),
        };
        at.map(Duration::from_micros)
    }

    /// Does what is due. Afterwards ask for events, then for packets to send.
    pub fn handle_timeout(&mut self, now: Duration) {
        let now = micros(now);
        match self.state {
            State::Idle | State::Finished => return,
            State::Lingering { until, .. } => {
                if now >= until {
                    self.state = State::Finished;
                }
                return;
            }
            State::Connected => {}
        }
        if self.idle_at().is_some_and(|at| at <= now) {
            self.close(now, CloseReason::TimedOut);
            return;
        }
        if let TimeoutOutcome::Expired { count, silence } = self.sender.on_timeout(now, &mut self.stats) {
            self.previous_dead = true;
            if self.give_up(now, count, silence) {
                return;
            }
        }
        self.judge_stray(now);
        self.update_window_probe(now);
        if self.window_probe_at.is_some_and(|at| at <= now) {
            self.heartbeat_pending = true;
            self.window_probes = self.window_probes.saturating_add(1);
            let wait = self.sender.rtt.backed_off_rto(self.window_probes);
            self.window_probe_at = Some(now.saturating_add(wait));
        }
        if self.keep_alive_at().is_some_and(|at| at <= now) {
            self.heartbeat_pending = true;
            self.last_sent = now;
        }
    }

    fn give_up(&mut self, now: u64, count: u32, silence: u64) -> bool {
        if count >= END_TIMEOUTS && self.sender.only_end_outstanding() && self.receiver.ended() {
            self.close(now, CloseReason::Ended);
            return true;
        }
        if count >= TIMEOUTS_MIN && silence >= micros(self.config.give_up_after) {
            self.close(now, CloseReason::TimedOut);
            return true;
        }
        false
    }

    /// Starts or stops asking a peer whose window is closed.
    pub(super) fn update_window_probe(&mut self, now: u64) {
        if !self.sender.needs_window_probe() {
            self.window_probe_at = None;
            self.window_probes = 0;
        } else if self.window_probe_at.is_none() {
            self.window_probe_at = Some(now.saturating_add(self.sender.rtt.rto()));
        }
    }

    fn keep_alive_at(&self) -> Option<u64> {
        let interval = self.config.keep_alive?;
        if self.sender.has_outstanding() || self.heartbeat_pending {
            return None;
        }
        Some(self.last_sent.saturating_add(micros(interval).max(1_000)))
    }

    fn idle_at(&self) -> Option<u64> {
        let timeout = self.config.idle_timeout?;
        Some(self.last_received.saturating_add(micros(timeout)))
    }
}
