//! Packets out: DESTROY, acknowledgements, heartbeats, messages, then data.

use super::{Path, State, Stream, micros};
use crate::event::Transmit;
use crate::header::{HEADER_LEN, Header, MAX_SACK_RANGES, flags, push_sack_range};
use crate::send::Choice;
use crate::{mtu, sequence};
use std::time::Duration;

impl Stream {
    /// Appends the next datagram to `out` and says where it goes; none if there is nothing to send now. Call in a
    /// loop; afterwards [`Stream::next_timeout`] says when to come back.
    pub fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<Transmit> {
        self.poll_transmit_many(now, 1, out)
    }

    /// As [`Stream::poll_transmit`], but appends up to `max` datagrams for the same place, all of the same length but
    /// the last: what one call of a kernel with segmentation offload takes.
    pub fn poll_transmit_many(&mut self, now: Duration, max: usize, out: &mut Vec<u8>) -> Option<Transmit> {
        let now = micros(now);
        let path = self.path?;
        let start = out.len();
        let transmit = match self.state {
            State::Connected => self.transmit_connected(now, path, max, out),
            State::Lingering { .. } => self.transmit_lingering(path, out),
            State::Idle | State::Finished => None,
        };
        if transmit.is_some() {
            self.last_sent = now;
            self.stats.bytes_sent += (out.len() - start) as u64;
        }
        transmit
    }

    fn transmit_connected(
        &mut self,
        now: u64,
        path: Path,
        max: usize,
        out: &mut Vec<u8>,
    ) -> Option<Transmit> {
        // A data packet acknowledges too, but has no room for ranges.
        if self.ack_pending && self.receiver.has_gaps() {
            return Some(self.transmit_ack(path, out));
        }
        if self.heartbeat_pending {
            self.heartbeat_pending = false;
            return Some(self.transmit_plain(path, flags::HEARTBEAT, &[], out));
        }
        if let Some(message) = self.messages.pop_front() {
            return Some(self.transmit_plain(path, flags::MESSAGE, &message, out));
        }
        if let Some(transmit) = self.transmit_data(now, path, max, out) {
            return Some(transmit);
        }
        self.ack_pending.then(|| self.transmit_ack(path, out))
    }

    fn transmit_lingering(&mut self, path: Path, out: &mut Vec<u8>) -> Option<Transmit> {
        if self.destroy_pending {
            self.destroy_pending = false;
            return Some(self.transmit_plain(path, flags::DESTROY, &[], out));
        }
        self.ack_pending.then(|| self.transmit_ack(path, out))
    }

    fn header(&self, path: Path, kind: u8, data_offset: u8, sequence: u64) -> Header {
        Header {
            flags: kind,
            data_offset,
            stream_id: path.remote_id,
            window: self.receiver.window(),
            sequence: sequence::wire(sequence),
            ack: sequence::wire(self.receiver.next()),
        }
    }

    fn transmit_plain(&mut self, path: Path, kind: u8, payload: &[u8], out: &mut Vec<u8>) -> Transmit {
        let header = self.header(path, kind, 0, self.sender.next());
        out.extend_from_slice(&header.encode());
        out.extend_from_slice(payload);
        self.stats.packets_sent += 1;
        single(path, HEADER_LEN + payload.len())
    }

    fn transmit_ack(&mut self, path: Path, out: &mut Vec<u8>) -> Transmit {
        self.ack_pending = false;
        self.receiver.told_window();
        let start = out.len();
        let kind = if self.receiver.has_gaps() { flags::SACK } else { 0 };
        let header = self.header(path, kind, 0, self.sender.next());
        out.extend_from_slice(&header.encode());
        for (from, to) in self.receiver.sack_ranges(MAX_SACK_RANGES) {
            push_sack_range(out, sequence::wire(from), sequence::wire(to));
        }
        self.stats.packets_sent += 1;
        single(path, out.len() - start)
    }

    fn transmit_data(&mut self, now: u64, path: Path, max: usize, out: &mut Vec<u8>) -> Option<Transmit> {
        let overhead = mtu::overhead(path.to);
        let may_probe = self.changing_until.is_none();
        let mut batch: Option<Transmit> = None;
        for _ in 0..max.max(1) {
            let Some(choice) = self.sender.choose(now, overhead, may_probe) else { break };
            let len = self.sender.datagram_len(choice);
            let to = self.path_of(path, choice);
            if let Some(batch) = &batch {
                let fits = to.to == batch.to && to.socket == batch.socket && len <= batch.segment;
                if !fits {
                    break;
                }
            }
            let Some(len) = self.encode_data(now, choice, to, out) else { break };
            let shorter = match &mut batch {
                None => {
                    batch = Some(single(to, len));
                    false
                }
                Some(batch) => {
                    batch.len += len;
                    len < batch.segment
                }
            };
            if shorter {
                break;
            }
        }
        if batch.is_some() && !self.receiver.has_gaps() {
            self.ack_pending = false;
            self.receiver.told_window();
        }
        batch
    }

    /// Packets of before a change of remote go on to the old one, once more each, and no more when a timeout shows that it is dead.
    fn path_of(&self, current: Path, choice: Choice) -> Path {
        let old = matches!(choice, Choice::Again(sequence) if self.sender.path_of(sequence) != Some(self.generation));
        match self.previous {
            Some(previous) if old && !self.previous_dead => previous,
            _ => current,
        }
    }

    fn encode_data(&mut self, now: u64, choice: Choice, to: Path, out: &mut Vec<u8>) -> Option<usize> {
        let start = out.len();
        let prepared = self.sender.prepare(now, choice, self.generation, &mut self.stats)?;
        let header = self.header(to, prepared.flags, prepared.padding, prepared.sequence);
        out.extend_from_slice(&header.encode());
        out.resize(out.len() + usize::from(prepared.padding), 0);
        self.sender.encode_payload(prepared.sequence, out);
        self.stats.packets_sent += 1;
        self.stats.data_packets_sent += 1;
        Some(out.len() - start)
    }
}

fn single(path: Path, len: usize) -> Transmit {
    Transmit { socket: path.socket, to: path.to, len, segment: len }
}
