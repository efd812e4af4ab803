//! Makes messages for connections that have room for them.

use super::machine::{LiveMachine, Slot};
use crate::between::FromLive;
use crate::swarm::ConnId;
use bosc_wire::replication::PeerId;
use std::time::Duration;

impl LiveMachine {
    /// Gives every connection that may have something to send its turn, round after round, until all are full
    /// or have nothing to say. A full one is taken up again when the socket thread tells that it drained.
    pub(super) fn pump(&mut self, now: Duration) {
        loop {
            for (key, slot) in &mut self.cores {
                while let Some(PeerId(conn)) = slot.replicator.poll_ready() {
                    if let Some(c) = self.conns.get_mut(&conn) {
                        c.ready.insert(*key);
                        self.dirty.insert(conn);
                    }
                }
            }
            let mut turn = std::mem::take(&mut self.dirty);
            if turn.is_empty() {
                self.cores.values_mut().for_each(Slot::rest);
                return;
            }
            while !turn.is_empty() {
                turn.retain(|conn| self.pump_one(*conn, now));
            }
        }
    }

    /// Returns whether there is more to send at once.
    fn pump_one(&mut self, conn: ConnId, now: Duration) -> bool {
        let Some(c) = self.conns.get_mut(&conn) else { return false };
        if !c.credit.may_send() {
            return false;
        }
        let turn = self.setup.turn.min(c.credit.high());
        let mut made = 0;
        c.mux.cork();
        while let Some(key) = c.ready.first().copied() {
            let (Some(channel), Some(slot)) = (c.by_core.get(&key), self.cores.get_mut(&key)) else {
                c.ready.remove(&key);
                continue;
            };
            let Some(out) = slot.with(|r, core| r.poll_outgoing(PeerId(conn), core, now)) else {
                c.ready.remove(&key);
                continue;
            };
            made += out.payload.len();
            if c.mux.send_parts(*channel, out.kind as u32, &out.payload.into_parts()).is_err() {
                c.ready.remove(&key);
            }
            if made >= turn {
                break;
            }
        }
        c.mux.uncork();
        let mut frames = Vec::new();
        let mut bytes = 0;
        while let Some(frame) = c.mux.poll_frame() {
            bytes += frame.len();
            frames.push(frame);
        }
        if !frames.is_empty() {
            c.credit.queued(bytes);
            self.to_net.push_back(FromLive::Send { conn, frames });
        }
        !c.ready.is_empty()
    }
}
