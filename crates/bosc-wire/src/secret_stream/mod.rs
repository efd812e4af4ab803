//! Encrypted messages over an ordered byte stream, as npm `@hyperswarm/secret-stream` 6 has them.
//!
//! On the wire: frames of `uint24le length || bytes`. With an in-band handshake the first frames are Noise
//! messages (pattern XX or IK, no prologue, no payload). Then each side sends one header frame of 56 bytes: the
//! 32-byte id of its direction, which binds the stream to the handshake, and the 24-byte header of its
//! [`cipher`]. Every later frame is one sealed message, at most 2^24 - 1 bytes with its 17 bytes of overhead.
//! An empty message is a keep-alive.
//!
//! States: `Handshake` (in-band only) → `Header` (we can send; the other side's header is awaited) → `Open`.
//! Any error ends the stream: all later calls fail with [`StreamError::Failed`].
//!
//! Invariants:
//! * A message is handed out only after it authenticated, in order, whole.
//! * Received bytes are copied once, into the buffer they are decrypted in. A large message's memory grows with
//!   the bytes that arrived.
//! * What waits inside is bounded by what the caller feeds before it takes messages, and by what it sends
//!   before it takes output.
//!
//! # Files
//!
//! - Here: the states, the longest message, keep-alives.
//! - `frames`: a byte stream cut into frames by their length, and memory for a large one. `cipher`: what seals them: tags, change of
//!   key. `unordered`: sealed messages outside of the stream.
//! - `namespaces`: what keys are made for.

pub mod cipher;
mod frames;
mod namespaces;
mod unordered;

use crate::noise::{Handshake, HandshakeResult, NoiseError, Pattern};
use bosc_format::crypto::{KeyPair, PublicKey, keyed_hash};
use bytes::{Bytes, BytesMut};
use cipher::{HEADER, OVERHEAD, StreamCipherState, TAG_MESSAGE};
use frames::{BadLength, FrameReader, LONG, Output};
use namespaces::NAMESPACES;
use std::collections::VecDeque;
use std::time::Duration;
use thiserror::Error;
use unordered::Unordered;

/// The longest plain message, in bytes: 2^24 - 1 with tag and authenticator.
pub const MAX_MESSAGE: usize = 0xff_ffff - OVERHEAD;

/// Bytes of the frame that starts a direction.
const ID_HEADER: usize = 32 + HEADER;

/// Why a secret stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The in-band handshake failed.
    #[error("handshake failed: {0}")]
    Noise(#[from] NoiseError),
    /// The other side is not who it was expected to be.
    #[error("remote public key is not the expected one")]
    WrongPeer,
    /// The first frame of the other side is not a header of this handshake.
    #[error("invalid stream header")]
    InvalidHeader,
    /// A frame is shorter than any message, or longer than allowed. Holds its length.
    #[error("frame of {0} bytes")]
    FrameLength(usize),
    /// A message did not authenticate.
    #[error("message did not authenticate")]
    Decrypt,
    /// A message to send is over [`MAX_MESSAGE`]. The stream goes on.
    #[error("message of {0} bytes is too long to send")]
    TooLong(usize),
    /// Nothing can be sent before the in-band handshake is done. The stream goes on.
    #[error("stream is not open yet")]
    NotOpen,
    /// Nothing was received for the configured time.
    #[error("stream timed out")]
    TimedOut,
    /// The nonces for unordered messages are used up.
    #[error("no nonce left for unordered messages")]
    NonceExhausted,
    /// An earlier error ended the stream.
    #[error("stream has failed")]
    Failed,
}

/// Limits and timers of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// The longest plain message taken from the other side, in bytes. At most [`MAX_MESSAGE`] counts.
    pub max_message: usize,
    /// Sends an empty message when nothing was sent for so long; also drops received empty messages. Zero: off.
    /// HyperDHT uses 5 seconds.
    pub keep_alive: Duration,
    /// How long the other side's messages may stand for our empty ones. The transport acknowledges what arrives, which tells
    /// the other side, and every NAT between, that we are there. So while something arrives at least every one and a half times
    /// [`Config::keep_alive`], an empty message is sent only when nothing was sent for so long. Zero: what arrives stands for nothing.
    pub spared: Duration,
    /// Fails when nothing was received for so long. Zero: off.
    pub timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_message: MAX_MESSAGE,
            keep_alive: Duration::from_secs(5),
            spared: Duration::ZERO,
            timeout: Duration::ZERO,
        }
    }
}

/// Random bytes for a new stream. Must be fresh for each stream.
#[derive(Clone)]
pub struct Seeds {
    /// Seed of the ephemeral key of an in-band handshake.
    pub ephemeral: [u8; 32],
    /// Header of the sending cipher.
    pub header: [u8; HEADER],
    /// First nonce of unordered messages.
    pub nonce: [u8; 8],
}

impl std::fmt::Debug for Seeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seeds").finish_non_exhaustive()
    }
}

impl Seeds {
    /// Draws all of them from a random source.
    pub fn draw(entropy: &mut dyn FnMut(&mut [u8])) -> Self {
        let mut s = Self { ephemeral: [0; 32], header: [0; HEADER], nonce: [0; 8] };
        entropy(&mut s.ephemeral);
        entropy(&mut s.header);
        entropy(&mut s.nonce);
        s
    }
}

enum State {
    /// In-band Noise. The key the other side must prove to hold, if we know it.
    Handshake(Box<Handshake>, Option<PublicKey>),
    /// We can send; the other side's header has not arrived. Holds the key to receive with.
    Header(StreamKeys),
    Open(Box<StreamCipherState>),
    Failed,
}

struct StreamKeys {
    rx: [u8; 32],
    expected_id: [u8; 32],
}

/// One end of a secret stream.
pub struct SecretStream {
    initiator: bool,
    config: Config,
    seeds: Seeds,
    state: State,
    encrypt: Option<StreamCipherState>,
    unordered: Option<Unordered>,
    result: Option<HandshakeResult>,
    reader: FrameReader,
    sealed: VecDeque<BytesMut>,
    sealed_bytes: usize,
    output: Output,
    last_write: Duration,
    last_read: Duration,
}

impl std::fmt::Debug for SecretStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state {
            State::Handshake(..) => "handshake",
            State::Header(_) => "header",
            State::Open(_) => "open",
            State::Failed => "failed",
        };
        f.debug_struct("SecretStream")
            .field("initiator", &self.initiator)
            .field("state", &state)
            .field("result", &self.result)
            .finish_non_exhaustive()
    }
}

impl SecretStream {
    /// A stream whose handshake was done elsewhere, as HyperDHT does. It can send at once.
    pub fn from_handshake(
        initiator: bool,
        handshake: HandshakeResult,
        config: Config,
        seeds: Seeds,
        now: Duration,
    ) -> Self {
        let mut stream = Self::empty(initiator, config, seeds, State::Failed, now);
        stream.establish(handshake);
        stream
    }

    /// A stream that does its handshake in band. With `remote` the other side must prove to hold that key; the
    /// initiator of [`Pattern::IK`] needs it.
    pub fn in_band(
        initiator: bool,
        pattern: Pattern,
        key_pair: &KeyPair,
        remote: Option<PublicKey>,
        config: Config,
        seeds: Seeds,
        now: Duration,
    ) -> Result<Self, StreamError> {
        let mut noise = Handshake::new(pattern, initiator, key_pair, remote, &[], seeds.ephemeral)?;
        let first = if initiator { Some(noise.send(&[])?) } else { None };
        let mut stream =
            Self::empty(initiator, config, seeds, State::Handshake(Box::new(noise), remote), now);
        if let Some(message) = first {
            stream.write_plain_frame(&message);
        }
        Ok(stream)
    }

    fn empty(initiator: bool, config: Config, seeds: Seeds, state: State, now: Duration) -> Self {
        Self {
            initiator,
            config: Config { max_message: config.max_message.min(MAX_MESSAGE), ..config },
            seeds,
            state,
            encrypt: None,
            unordered: None,
            result: None,
            reader: FrameReader::default(),
            sealed: VecDeque::new(),
            sealed_bytes: 0,
            output: Output::default(),
            last_write: now,
            last_read: now,
        }
    }

    /// Whether we are the initiator.
    pub fn is_initiator(&self) -> bool {
        self.initiator
    }

    /// Whether the handshake is done and messages can be sent.
    pub fn can_send(&self) -> bool {
        self.encrypt.is_some() && !matches!(self.state, State::Failed)
    }

    /// Whether the other side's header arrived, which proves that it holds the keys of the handshake once its
    /// first message authenticates.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// The keys and the remote public key, once the handshake is done.
    pub fn handshake(&self) -> Option<&HandshakeResult> {
        self.result.as_ref()
    }

    /// Takes bytes from the transport. All of `data` is consumed, unless an error ends the stream.
    pub fn feed(&mut self, mut data: &[u8], now: Duration) -> Result<(), StreamError> {
        if !data.is_empty() {
            self.last_read = now;
        }
        let data = &mut data;
        loop {
            let (min, max) = match &self.state {
                State::Handshake(..) => (32, crate::noise::MAX_MESSAGE),
                State::Header(_) => (ID_HEADER, ID_HEADER),
                State::Open(_) => (OVERHEAD, self.config.max_message + OVERHEAD),
                State::Failed => return Err(StreamError::Failed),
            };
            match self.reader.next(data, min, max) {
                Ok(None) => return Ok(()),
                Ok(Some(frame)) => {
                    let done = self.on_frame(frame);
                    self.check(done)?;
                }
                Err(BadLength(n)) => {
                    let error = match self.state {
                        State::Header(_) => StreamError::InvalidHeader,
                        _ => StreamError::FrameLength(n),
                    };
                    return self.check(Err(error));
                }
            }
        }
    }

    /// The next message. Decrypts it now, in place. A small message may share memory with others: copy it to
    /// keep it long.
    pub fn next_message(&mut self) -> Result<Option<Bytes>, StreamError> {
        loop {
            let State::Open(decrypt) = &mut self.state else {
                return if matches!(self.state, State::Failed) { Err(StreamError::Failed) } else { Ok(None) };
            };
            let Some(mut frame) = self.sealed.pop_front() else { return Ok(None) };
            self.sealed_bytes = self.sealed_bytes.saturating_sub(frame.len());
            if decrypt.open(&mut frame).is_none() {
                return self.check(Err(StreamError::Decrypt));
            }
            let end = frame.len().saturating_sub(OVERHEAD - 1);
            frame.truncate(end);
            let message = frame.split_off(1.min(end)).freeze();
            if message.is_empty() && !self.config.keep_alive.is_zero() {
                continue;
            }
            return Ok(Some(message));
        }
    }

    /// Bytes received and not yet handed out. A caller that stops feeding while this is large bounds memory.
    pub fn buffered(&self) -> usize {
        self.sealed_bytes.saturating_add(self.reader.held())
    }

    /// Sends one message.
    pub fn send(&mut self, message: &[u8], now: Duration) -> Result<(), StreamError> {
        self.send_parts(&[message], now)
    }

    /// Sends one message made of several slices, each copied once into the sealed frame. A long message is better given to
    /// [`send_shared`](Self::send_shared).
    pub fn send_parts<P: AsRef<[u8]>>(&mut self, parts: &[P], now: Duration) -> Result<(), StreamError> {
        let len = self.may_send(parts)?;
        if len > LONG {
            let copies = parts.iter().map(|p| Bytes::copy_from_slice(p.as_ref())).collect();
            return self.send_long(len, copies, now);
        }
        self.send_short(len, parts, now)
    }

    /// Sends one message made of several slices. Of a message over 512 KiB nothing is copied before
    /// [`take_output`](Self::take_output) comes to it, and then a piece at a time.
    pub fn send_shared(&mut self, parts: Vec<Bytes>, now: Duration) -> Result<(), StreamError> {
        let len = self.may_send(&parts)?;
        if len > LONG { self.send_long(len, parts, now) } else { self.send_short(len, &parts, now) }
    }

    /// The length of a message that can be sent.
    fn may_send<P: AsRef<[u8]>>(&self, parts: &[P]) -> Result<usize, StreamError> {
        if matches!(self.state, State::Failed) {
            return Err(StreamError::Failed);
        }
        let len = parts.iter().fold(0usize, |n, p| n.saturating_add(p.as_ref().len()));
        if len > MAX_MESSAGE { Err(StreamError::TooLong(len)) } else { Ok(len) }
    }

    fn send_long(&mut self, len: usize, parts: Vec<Bytes>, now: Duration) -> Result<(), StreamError> {
        let encrypt = self.encrypt.as_mut().ok_or(StreamError::NotOpen)?;
        self.output.long_frame(len, parts, encrypt);
        self.last_write = now;
        Ok(())
    }

    fn send_short<P: AsRef<[u8]>>(
        &mut self,
        len: usize,
        parts: &[P],
        now: Duration,
    ) -> Result<(), StreamError> {
        let encrypt = self.encrypt.as_mut().ok_or(StreamError::NotOpen)?;
        if self.output.has_long() {
            if len == 0 {
                // What is on its way says that we are here, and where it cannot go no keep-alive can.
                self.last_write = now;
                return Ok(());
            }
            self.output.seal_long(encrypt);
        }
        let mut sealed = false;
        self.output.frame(len + OVERHEAD, |frame| {
            frame.put(&[0]);
            for p in parts {
                frame.put(p.as_ref());
            }
            frame.put(&[0; OVERHEAD - 1]);
            sealed = encrypt.seal(TAG_MESSAGE, frame.body());
        });
        self.last_write = now;
        if sealed { Ok(()) } else { self.check(Err(StreamError::TooLong(len))) }
    }

    /// The next chunk of bytes for the transport. Takes the next piece of a long message when all before it is taken.
    pub fn take_output(&mut self) -> Option<Bytes> {
        self.output.take(self.encrypt.as_mut())
    }

    /// Bytes waiting for [`take_output`](Self::take_output).
    pub fn output_len(&self) -> usize {
        self.output.len()
    }

    /// Changes the keep-alive interval. Zero: off, and empty messages are handed out.
    pub fn set_keep_alive(&mut self, interval: Duration) {
        self.config.keep_alive = interval;
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let due = |since: Duration, after: Duration| (!after.is_zero()).then(|| since.saturating_add(after));
        let write = self.can_send().then(|| self.keep_alive_at()).flatten();
        let read = match self.state {
            State::Failed => None,
            _ => due(self.last_read, self.config.timeout),
        };
        [write, read].into_iter().flatten().min()
    }

    /// Sends a keep-alive when one is due. Fails when the other side was silent for too long.
    pub fn handle_timeout(&mut self, now: Duration) -> Result<(), StreamError> {
        if matches!(self.state, State::Failed) {
            return Err(StreamError::Failed);
        }
        let past = |since: Duration, after: Duration| !after.is_zero() && now >= since.saturating_add(after);
        if past(self.last_read, self.config.timeout) {
            return self.check(Err(StreamError::TimedOut));
        }
        if self.can_send() && self.keep_alive_at().is_some_and(|at| at <= now) {
            self.send(&[], now)?;
        }
        Ok(())
    }

    fn keep_alive_at(&self) -> Option<Duration> {
        let Config { keep_alive, spared, .. } = self.config;
        if keep_alive.is_zero() {
            return None;
        }
        let silent = self.last_read.saturating_add(keep_alive).saturating_add(keep_alive / 2);
        let spared = silent.min(self.last_write.saturating_add(spared));
        Some(self.last_write.saturating_add(keep_alive).max(spared))
    }

    /// Seals a message for the transport's unordered datagrams: at most as long as those, less 24 bytes.
    pub fn seal_unordered(&mut self, message: &[u8]) -> Result<Vec<u8>, StreamError> {
        match &mut self.unordered {
            None => Err(StreamError::NotOpen),
            Some(u) => match u.seal(message) {
                Some(sealed) => Ok(sealed),
                None => self.check(Err(StreamError::NonceExhausted)),
            },
        }
    }

    /// Opens an unordered message. `None`: not for this stream, drop it. Replays are not detected.
    pub fn open_unordered(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        self.unordered.as_ref()?.open(sealed)
    }

    fn on_frame(&mut self, frame: BytesMut) -> Result<(), StreamError> {
        match &mut self.state {
            State::Failed => Err(StreamError::Failed),
            State::Open(_) => {
                self.sealed_bytes = self.sealed_bytes.saturating_add(frame.len());
                self.sealed.push_back(frame);
                Ok(())
            }
            State::Header(keys) => {
                let (id, header) = frame.split_first_chunk::<32>().ok_or(StreamError::InvalidHeader)?;
                let header = header.first_chunk::<HEADER>().ok_or(StreamError::InvalidHeader)?;
                if *id != keys.expected_id {
                    return Err(StreamError::InvalidHeader);
                }
                self.state = State::Open(Box::new(StreamCipherState::new(&keys.rx, header)));
                Ok(())
            }
            State::Handshake(noise, expected) => {
                noise.recv(&frame)?;
                if noise.remote_public_key().zip(*expected).is_some_and(|(got, want)| got != want) {
                    return Err(StreamError::WrongPeer);
                }
                let answer = if noise.is_our_turn() { Some(noise.send(&[])?) } else { None };
                let finished = noise.is_finished();
                if let Some(message) = answer {
                    self.write_plain_frame(&message);
                }
                if finished
                    && let State::Handshake(noise, _) = std::mem::replace(&mut self.state, State::Failed)
                {
                    self.establish(noise.finish()?);
                }
                Ok(())
            }
        }
    }

    /// Turns a handshake into keys and writes our header.
    fn establish(&mut self, handshake: HandshakeResult) {
        self.encrypt = Some(StreamCipherState::new(&handshake.tx, &self.seeds.header));
        self.unordered = Some(Unordered::new(&handshake.hash, self.initiator, self.seeds.nonce));
        let mut first = [0; ID_HEADER];
        let id = stream_id(&handshake.hash, self.initiator);
        for (f, b) in first.iter_mut().zip(id.iter().chain(&self.seeds.header)) {
            *f = *b;
        }
        self.write_plain_frame(&first);
        let expected_id = stream_id(&handshake.hash, !self.initiator);
        self.state = State::Header(StreamKeys { rx: handshake.rx, expected_id });
        self.result = Some(handshake);
    }

    fn write_plain_frame(&mut self, bytes: &[u8]) {
        self.output.frame(bytes.len(), |frame| frame.put(bytes));
    }

    fn check<T>(&mut self, result: Result<T, StreamError>) -> Result<T, StreamError> {
        if result.is_err() {
            self.state = State::Failed;
            self.sealed.clear();
            self.sealed_bytes = 0;
            self.reader = FrameReader::default();
        }
        result
    }
}

impl Drop for StreamKeys {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.rx);
    }
}

/// The id of a direction: the hash of its namespace, keyed with the handshake's hash.
pub fn stream_id(handshake_hash: &[u8; 64], initiator: bool) -> [u8; 32] {
    let [from_initiator, from_responder, _] = &*NAMESPACES;
    keyed_hash(handshake_hash, &[if initiator { from_initiator } else { from_responder }])
}

#[cfg(test)]
mod tests;
