//! Zstandard, as a stream.

use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use std::io::{self, BufRead, BufReader, Read};

/// Memory that a Zstandard archive may ask for.
const MAX_WINDOW: u64 = 64 << 20;

/// Zstandard: one frame after another.
pub(super) struct Zst<R: Read> {
    state: Option<Frame<R>>,
}

enum Frame<R: Read> {
    Between(BufReader<R>),
    Inside(Box<StreamingDecoder<BufReader<R>, FrameDecoder>>),
}

impl<R: Read> Zst<R> {
    pub(super) fn new(from: R) -> Self {
        Self { state: Some(Frame::Between(BufReader::new(from))) }
    }
}

impl<R: Read> Read for Zst<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let broken = |e: ruzstd::decoding::errors::FrameDecoderError| {
            io::Error::new(io::ErrorKind::InvalidData, e.to_string())
        };
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            match self.state.take() {
                Some(Frame::Between(mut from)) => {
                    if from.fill_buf()?.is_empty() {
                        self.state = Some(Frame::Between(from));
                        return Ok(0);
                    }
                    let decoder =
                        StreamingDecoder::new_with_max_window_size(from, MAX_WINDOW).map_err(broken)?;
                    self.state = Some(Frame::Inside(Box::new(decoder)));
                }
                Some(Frame::Inside(mut decoder)) => {
                    let n = decoder.read(buf)?;
                    if n > 0 {
                        self.state = Some(Frame::Inside(decoder));
                        return Ok(n);
                    }
                    self.state = Some(Frame::Between(decoder.into_inner()));
                }
                // An error ended it.
                None => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "it ended with an error before"));
                }
            }
        }
    }
}
