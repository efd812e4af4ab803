//! Makes messages for connections that have room for them.

use super::{Live, access};
use crate::net::NetCommand;
use crate::swarm::ConnId;
use bosc_wire::replication::PeerId;

/// Bytes made for one connection before others get their turn.
const TURN: usize = 256 << 10;

impl Live {
    /// Gives every connection that may have something to send its turn, round after round, until all are full
    /// or have nothing to say. A full one is taken up again when the socket thread tells that it drained.
    pub(super) fn pump(&mut self) {
        loop {
            for (key, slot) in &mut self.cores {
                while let Some(PeerId(conn)) = slot.replicator.poll_ready() {
                    if let Some(c) = self.conns.get_mut(&conn) {
                        c.ready.insert(*key);
                        self.dirty.insert(conn);
                    }
                }
            }
            let mut turn: Vec<ConnId> = self.dirty.drain().collect();
            if turn.is_empty() {
                return;
            }
            turn.sort_unstable();
            while !turn.is_empty() {
                turn.retain(|conn| self.pump_one(*conn));
            }
        }
    }

    /// Returns whether there is more to send at once.
    fn pump_one(&mut self, conn: ConnId) -> bool {
        let now = self.now();
        let Some(c) = self.conns.get_mut(&conn) else { return false };
        if !c.credit.may_send() {
            return false;
        }
        let mut made = 0;
        c.mux.cork();
        while let Some(key) = c.ready.first().copied() {
            let (Some(channel), Some(slot)) = (c.by_core.get(&key), self.cores.get_mut(&key)) else {
                c.ready.remove(&key);
                continue;
            };
            let mut access = access::Access::new(&slot.core, &mut slot.reorg);
            let Some(out) = slot.replicator.poll_outgoing(PeerId(conn), &mut access, now) else {
                c.ready.remove(&key);
                continue;
            };
            made += out.payload.len();
            if c.mux.send_parts(*channel, out.kind as u32, &out.payload.into_parts()).is_err() {
                c.ready.remove(&key);
            }
            if made >= TURN {
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
            let _ = self.net.send(NetCommand::Send { conn, frames, bytes });
        }
        !c.ready.is_empty()
    }
}
