//! Which channels there are, under which numbers, in the order protomux pairs them.
//!
//! Our channels live in slots; slot `n` is number `n + 1` on the wire. A slot we closed before the other side
//! opened or rejected is kept until it does, as the other side would take a reuse for the old channel.

use super::error::MuxError;
use super::event::ChannelId;
use super::limits::MESSAGE_COST;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The name of a channel. An empty id is no id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) protocol: String,
    pub(super) id: Vec<u8>,
}

impl Key {
    pub(super) fn new(protocol: &str, id: &[u8]) -> Self {
        Self { protocol: protocol.to_owned(), id: id.to_vec() }
    }
}

/// What the other side sent on a channel we have not opened.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) handshake: Bytes,
    pub(super) messages: Vec<(u32, Bytes)>,
    /// They closed it again.
    pub(super) closed: bool,
    cost: usize,
}

impl Pending {
    pub(super) fn new(handshake: Bytes) -> Self {
        Self { handshake, messages: Vec::new(), closed: false, cost: 0 }
    }
}

#[derive(Debug)]
enum Local {
    Free,
    /// `remote` is the other side's number, once it opened.
    Open {
        key: Arc<Key>,
        generation: u32,
        remote: Option<u32>,
    },
    /// Closed by us; the other side has yet to answer our open.
    Unanswered,
}

#[derive(Debug)]
enum Remote {
    Pending(Pending),
    Open(u32),
}

/// All channels under one name.
#[derive(Debug, Default)]
struct Info {
    opened: usize,
    /// Numbers of the other side that wait for us.
    incoming: VecDeque<u32>,
    /// Slots of ours that wait for the other side.
    outgoing: VecDeque<u32>,
}

/// What became of an open from the other side.
pub(super) enum Open {
    /// It answers a channel we closed meanwhile.
    Ignored,
    Paired(ChannelId),
    Waiting(Arc<Key>),
}

/// What a reject ended.
pub(super) enum Close {
    AlreadyClosed,
    Closed(ChannelId),
}

#[derive(Debug, Default)]
pub(super) struct Table {
    locals: Vec<Local>,
    free: Vec<u32>,
    remotes: Vec<Option<Remote>>,
    infos: HashMap<Arc<Key>, Info>,
    generation: u32,
    open: usize,
    /// Cost of messages on pending channels.
    pub(super) buffered: usize,
    /// Channels of the other side that wait for us.
    pub(super) pending: usize,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.open
    }

    pub(super) fn contains(&self, channel: ChannelId) -> bool {
        matches!(self.locals.get(channel.slot as usize),
            Some(Local::Open { generation, .. }) if *generation == channel.generation)
    }

    pub(super) fn is_opened(&self, key: &Key) -> bool {
        self.infos.get(key).is_some_and(|i| i.opened > 0)
    }

    /// Takes a slot. When the other side waits for this name, pairs with its oldest channel and returns its
    /// number and what it sent.
    pub(super) fn open(&mut self, key: &Arc<Key>) -> (ChannelId, Option<(u32, Pending)>) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.locals.push(Local::Free);
            (self.locals.len() - 1) as u32
        });
        self.generation = self.generation.wrapping_add(1);
        let channel = ChannelId { slot, generation: self.generation };
        let info = self.infos.entry(Arc::clone(key)).or_default();
        info.opened += 1;
        let remote = info.incoming.pop_front();
        if remote.is_none() {
            info.outgoing.push_back(slot);
        }
        let pending = remote.and_then(|number| {
            let place = self.remotes.get_mut(index(number)?)?;
            match place.replace(Remote::Open(slot))? {
                Remote::Pending(p) => Some((number, p)),
                Remote::Open(_) => None,
            }
        });
        if let Some((_, p)) = &pending {
            self.pending = self.pending.saturating_sub(1);
            self.buffered = self.buffered.saturating_sub(p.cost);
        }
        self.open += 1;
        if let Some(place) = self.locals.get_mut(slot as usize) {
            *place = Local::Open { key: Arc::clone(key), generation: channel.generation, remote };
        }
        (channel, pending)
    }

    /// Forgets the waiting channels of this name and returns their numbers.
    pub(super) fn reject(&mut self, key: &Key) -> VecDeque<u32> {
        let Some(info) = self.infos.get_mut(key) else { return VecDeque::new() };
        let numbers = std::mem::take(&mut info.incoming);
        for number in &numbers {
            let place = index(*number).and_then(|i| self.remotes.get_mut(i));
            if let Some(Remote::Pending(p)) = place.and_then(Option::take) {
                self.pending = self.pending.saturating_sub(1);
                self.buffered = self.buffered.saturating_sub(p.cost);
            }
        }
        self.gc(key);
        numbers
    }

    /// Closes one of ours. False when it is not open.
    pub(super) fn close(&mut self, channel: ChannelId) -> bool {
        if !self.contains(channel) {
            return false;
        }
        self.free_slot(channel.slot);
        true
    }

    pub(super) fn shutdown(&mut self) -> Vec<ChannelId> {
        let channels = self
            .locals
            .iter()
            .zip(0u32..)
            .filter_map(|(local, slot)| match local {
                Local::Open { generation, .. } => Some(ChannelId { slot, generation: *generation }),
                _ => None,
            })
            .collect();
        // Generations go on counting, so that old ids stay unknown.
        *self = Self { generation: self.generation, ..Self::default() };
        channels
    }

    /// The other side opened a channel under `number`.
    pub(super) fn remote_open(&mut self, number: u32, key: Key, pending: Pending) -> Result<Open, MuxError> {
        let at = index(number).ok_or(MuxError::InvalidOpen)?;
        if at == self.remotes.len() {
            self.remotes.push(None);
        }
        let place = self.remotes.get_mut(at).ok_or(MuxError::InvalidOpen)?;
        if place.is_some() {
            return Err(MuxError::InvalidOpen);
        }
        let key = Arc::new(key);
        let info = self.infos.entry(Arc::clone(&key)).or_default();
        let Some(slot) = info.outgoing.pop_front() else {
            info.incoming.push_back(number);
            *place = Some(Remote::Pending(pending));
            self.pending += 1;
            return Ok(Open::Waiting(key));
        };
        match self.locals.get_mut(slot as usize) {
            Some(Local::Open { generation, remote, .. }) => {
                *remote = Some(number);
                *place = Some(Remote::Open(slot));
                Ok(Open::Paired(ChannelId { slot, generation: *generation }))
            }
            Some(other) => {
                *other = Local::Free;
                self.free.push(slot);
                self.gc(&key);
                Ok(Open::Ignored)
            }
            None => Ok(Open::Ignored),
        }
    }

    /// The other side rejected our `number`. `None` when it had nothing to reject.
    pub(super) fn rejected(&mut self, number: u64) -> Option<Close> {
        let slot = u32::try_from(number.checked_sub(1)?).ok()?;
        let (key, closed) = match self.locals.get(slot as usize)? {
            Local::Open { key, generation, remote: None } => {
                (Arc::clone(key), Close::Closed(ChannelId { slot, generation: *generation }))
            }
            Local::Unanswered => {
                let owner = self.infos.iter().find(|(_, i)| i.outgoing.contains(&slot))?;
                (Arc::clone(owner.0), Close::AlreadyClosed)
            }
            _ => return None,
        };
        let info = self.infos.get_mut(&key)?;
        info.outgoing.retain(|s| *s != slot);
        if matches!(closed, Close::Closed(_)) {
            info.opened = info.opened.saturating_sub(1);
            self.open = self.open.saturating_sub(1);
        }
        *self.locals.get_mut(slot as usize)? = Local::Free;
        self.free.push(slot);
        self.gc(&key);
        Some(closed)
    }

    /// The other side closed its `number`. Returns our channel when that was open.
    pub(super) fn remote_close(&mut self, number: u32) -> Option<ChannelId> {
        match self.remotes.get_mut(index(number)?)?.as_mut()? {
            Remote::Pending(p) => {
                p.closed = true;
                None
            }
            Remote::Open(slot) => {
                let slot = *slot;
                let channel = match self.locals.get(slot as usize)? {
                    Local::Open { generation, .. } => ChannelId { slot, generation: *generation },
                    _ => return None,
                };
                self.free_slot(slot);
                Some(channel)
            }
        }
    }

    /// Finds whom a message is for. On a pending channel it is kept; on a closed one dropped.
    pub(super) fn route(&mut self, number: u64, ty: u32, payload: Bytes) -> Option<(ChannelId, Bytes)> {
        let at = usize::try_from(number.checked_sub(1)?).ok()?;
        match self.remotes.get_mut(at)?.as_mut()? {
            Remote::Pending(p) => {
                if !p.closed {
                    let cost = payload.len().saturating_add(MESSAGE_COST);
                    p.cost = p.cost.saturating_add(cost);
                    self.buffered = self.buffered.saturating_add(cost);
                    p.messages.push((ty, payload));
                }
                None
            }
            Remote::Open(slot) => match self.locals.get(*slot as usize)? {
                Local::Open { generation, .. } => {
                    Some((ChannelId { slot: *slot, generation: *generation }, payload))
                }
                _ => None,
            },
        }
    }

    /// For tests: whether nothing but free numbers is kept.
    #[cfg(test)]
    pub(super) fn is_forgotten(&self) -> bool {
        self.remotes.iter().all(Option::is_none)
            && self.infos.is_empty()
            && self.locals.iter().all(|l| matches!(l, Local::Free))
            && self.free.len() == self.locals.len()
            && (self.buffered, self.pending, self.open) == (0, 0, 0)
    }

    fn free_slot(&mut self, slot: u32) {
        let Some(place) = self.locals.get_mut(slot as usize) else { return };
        let Local::Open { key, remote, .. } = std::mem::replace(place, Local::Unanswered) else { return };
        self.open = self.open.saturating_sub(1);
        if let Some(info) = self.infos.get_mut(&key) {
            info.opened = info.opened.saturating_sub(1);
        }
        if let Some(number) = remote {
            *place = Local::Free;
            self.free.push(slot);
            if let Some(r) = index(number).and_then(|i| self.remotes.get_mut(i)) {
                *r = None;
            }
        }
        self.gc(&key);
    }

    fn gc(&mut self, key: &Key) {
        if self
            .infos
            .get(key)
            .is_some_and(|i| i.opened == 0 && i.incoming.is_empty() && i.outgoing.is_empty())
        {
            self.infos.remove(key);
        }
    }
}

/// Where number `n` of the other side is kept.
fn index(number: u32) -> Option<usize> {
    usize::try_from(number).ok()?.checked_sub(1)
}
