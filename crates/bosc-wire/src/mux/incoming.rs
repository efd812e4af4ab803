//! Cuts received frames, batches among them, into messages, one at a time.

use bosc_format::codec::{DecodeError, Decoder};
use bytes::{Buf, Bytes};
use std::collections::VecDeque;

const CONTROL_BATCH: u8 = 0;

/// Takes a number off the front.
pub(super) fn read_uint(bytes: &mut Bytes) -> Result<u64, DecodeError> {
    let mut d = Decoder::new(bytes);
    let value = d.uint()?;
    let used = bytes.len().saturating_sub(d.rest().len());
    bytes.advance(used);
    Ok(value)
}

#[derive(Debug, Default)]
pub(super) struct Incoming {
    frames: VecDeque<Bytes>,
    /// The channel messages of the present batch are for, and the rest of it.
    batch: Option<(u64, Bytes)>,
    bytes: usize,
}

impl Incoming {
    pub(super) fn push(&mut self, frame: Bytes) {
        if !frame.is_empty() {
            self.bytes = self.bytes.saturating_add(frame.len());
            self.frames.push_back(frame);
        }
    }

    /// Bytes of frames not begun yet, and of what is left of the present batch.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.saturating_add(self.batch.as_ref().map_or(0, |(_, rest)| rest.len()))
    }

    /// The next message: the channel it is for, 0 being the mux itself, and the rest of it from its type on.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Bytes)>, DecodeError> {
        loop {
            if let Some((channel, rest)) = &mut self.batch {
                if rest.is_empty() {
                    self.batch = None;
                    continue;
                }
                let len = read_uint(rest)?;
                if len == 0 {
                    *channel = read_uint(rest)?;
                    continue;
                }
                let len = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
                let message = rest.split_to(len);
                if *channel == 0 && message.first() == Some(&CONTROL_BATCH) {
                    // Protomux never nests batches; taking them would mean a stack as deep as a peer likes.
                    return Err(DecodeError::Invalid("nested batch"));
                }
                return Ok(Some((*channel, message)));
            }
            let Some(mut frame) = self.frames.pop_front() else { return Ok(None) };
            self.bytes = self.bytes.saturating_sub(frame.len());
            let channel = read_uint(&mut frame)?;
            if channel == 0 && frame.first() == Some(&CONTROL_BATCH) {
                let mut rest = frame.split_off(1);
                let first = read_uint(&mut rest)?;
                self.batch = Some((first, rest));
                continue;
            }
            return Ok(Some((channel, frame)));
        }
    }
}
