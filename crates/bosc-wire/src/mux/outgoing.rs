//! Frames to send, and the batch being gathered while corked.

use bosc_format::codec::{Encoder, uint_len};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// A batch is sent when it would grow over this many bytes.
const MAX_BATCH: usize = 8 * 1024 * 1024;
/// Payload parts up to this many bytes are copied into the frame.
const COPY: usize = 1024;

/// One frame to send, in slices so that payloads need no copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    parts: Vec<Bytes>,
    len: usize,
}

impl Frame {
    /// The frame is the concatenation of these. Pass them to
    /// [`SecretStream::send_parts`](crate::secret_stream::SecretStream::send_parts).
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// The parts themselves, for [`SecretStream::send_shared`](crate::secret_stream::SecretStream::send_shared).
    pub fn into_parts(self) -> Vec<Bytes> {
        self.parts
    }

    /// Bytes of the whole frame.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the frame has no bytes, which no frame from a mux does.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The frame in one piece.
    pub fn to_bytes(&self) -> Bytes {
        match self.parts.as_slice() {
            [one] => one.clone(),
            parts => parts.concat().into(),
        }
    }
}

/// A frame being written.
#[derive(Debug, Default)]
pub(super) struct Builder {
    parts: Vec<Bytes>,
    tail: BytesMut,
    len: usize,
}

impl Builder {
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.len = self.len.saturating_add(bytes.len());
    }

    pub(super) fn put_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() <= COPY {
            self.put(bytes);
        } else {
            self.flush();
            self.parts.push(bytes.clone());
            self.len = self.len.saturating_add(bytes.len());
        }
    }

    pub(super) fn put_uint(&mut self, value: u64) {
        if value <= 0xfc {
            self.put(&[value as u8]);
        } else {
            let mut e = Encoder::with_capacity(9);
            e.uint(value);
            self.put(e.as_slice());
        }
    }

    fn flush(&mut self) {
        if !self.tail.is_empty() {
            self.parts.push(self.tail.split().freeze());
        }
    }

    fn finish(mut self) -> Frame {
        self.flush();
        Frame { parts: self.parts, len: self.len }
    }
}

#[derive(Debug, Default)]
pub(super) struct Outgoing {
    frames: VecDeque<Frame>,
    bytes: usize,
    corks: u32,
    /// The batch and the channel its last message is for.
    batch: Option<(u64, Builder)>,
}

impl Outgoing {
    pub(super) fn cork(&mut self) {
        self.corks = self.corks.saturating_add(1);
    }

    pub(super) fn uncork(&mut self) {
        self.corks = self.corks.saturating_sub(1);
        if self.corks == 0 {
            self.send_batch();
        }
    }

    /// A message of the mux itself, from its type on.
    pub(super) fn control(&mut self, message: &[u8]) {
        self.message(0, message.len(), |out| out.put(message));
    }

    /// A message of `len` bytes, its type included, which `fill` writes.
    pub(super) fn message(&mut self, channel: u64, len: usize, fill: impl FnOnce(&mut Builder)) {
        if self.corks == 0 {
            let mut out = Builder::default();
            out.put_uint(channel);
            fill(&mut out);
            self.push(out.finish());
            return;
        }
        let cost = len.saturating_add(1 + uint_len(channel) + uint_len(len as u64));
        if self.batch.as_ref().is_some_and(|(_, out)| out.len.saturating_add(cost) > MAX_BATCH) {
            self.send_batch();
        }
        let (last, out) = self.batch.get_or_insert_with(|| {
            let mut out = Builder::default();
            out.put(&[0, 0]);
            out.put_uint(channel);
            (channel, out)
        });
        if *last != channel {
            *last = channel;
            out.put(&[0]);
            out.put_uint(channel);
        }
        out.put_uint(len as u64);
        fill(out);
    }

    pub(super) fn take(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.bytes = self.bytes.saturating_sub(frame.len);
        Some(frame)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn send_batch(&mut self) {
        if let Some((_, out)) = self.batch.take() {
            self.push(out.finish());
        }
    }

    fn push(&mut self, frame: Frame) {
        self.bytes = self.bytes.saturating_add(frame.len);
        self.frames.push_back(frame);
    }
}
