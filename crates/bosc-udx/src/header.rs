//! The UDX packet: a header of 20 bytes, selective acknowledgements or padding, payload.
//!
//! Source of the format: `udx_write_header` and `process_packet` of libudx (in npm udx-native 1.21.3).
//!
//! | bytes | field |
//! |---|---|
//! | 0 | magic, 255 |
//! | 1 | version, 1 |
//! | 2 | flags, see [`flags`] |
//! | 3 | data offset: bytes between header and payload (padding of an MTU probe, or acknowledged ranges) |
//! | 4..8 | the receiver's stream id |
//! | 8..12 | receive window of the sender of this packet, bytes |
//! | 12..16 | sequence number of this packet, or of the next data packet if it carries none |
//! | 16..20 | the next sequence number the sender of this packet waits for |
//!
//! All numbers are little endian. Sequence numbers count packets, not bytes. A packet with [`flags::SACK`] has ranges
//! of 8 bytes (first sequence number, one past the last) after the header: as many as fit before the data offset, or
//! before the packet's end if that is 0.

/// Length of the fixed header.
pub const HEADER_LEN: usize = 20;
/// Most acknowledged ranges in one packet, as libudx sends them.
pub const MAX_SACK_RANGES: usize = 50;

const MAGIC: u8 = 255;
const VERSION: u8 = 1;

/// The bits of a header's third byte. Unknown bits are ignored.
pub mod flags {
    /// The payload is the stream's next bytes. Takes a sequence number.
    pub const DATA: u8 = 1;
    /// The stream ends after this packet. Takes a sequence number.
    pub const END: u8 = 2;
    /// Acknowledged ranges follow the header.
    pub const SACK: u8 = 4;
    /// The payload is a message outside of the stream: unordered, not repeated.
    pub const MESSAGE: u8 = 8;
    /// The sender has forgotten the stream.
    pub const DESTROY: u8 = 16;
    /// Asks for an acknowledgement (keep-alive, zero window probe). Everything else in the packet is ignored.
    pub const HEARTBEAT: u8 = 32;
    /// Flags of packets that take a sequence number of their own and are repeated until acknowledged.
    pub const SEQUENCED: u8 = DATA | END;
}

/// The fixed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// See [`flags`].
    pub flags: u8,
    /// Bytes between header and payload.
    pub data_offset: u8,
    /// The stream's id at the receiver of the packet.
    pub stream_id: u32,
    /// Bytes the sender of the packet is ready to receive.
    pub window: u32,
    /// Sequence number.
    pub sequence: u32,
    /// Everything before this sequence number has arrived.
    pub ack: u32,
}

impl Header {
    /// The 20 bytes.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let [s0, s1, s2, s3] = self.stream_id.to_le_bytes();
        let [w0, w1, w2, w3] = self.window.to_le_bytes();
        let [q0, q1, q2, q3] = self.sequence.to_le_bytes();
        let [a0, a1, a2, a3] = self.ack.to_le_bytes();
        let offset = self.data_offset;
        [MAGIC, VERSION, self.flags, offset, s0, s1, s2, s3, w0, w1, w2, w3, q0, q1, q2, q3, a0, a1, a2, a3]
    }

    /// Reads the first 20 bytes; none if they are not a UDX header.
    pub fn decode(bytes: &[u8]) -> Option<Header> {
        let (head, _) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let [magic, version, flags, data_offset, numbers @ ..] = head;
        if *magic != MAGIC || *version != VERSION {
            return None;
        }
        let (words, _) = numbers.as_chunks::<4>();
        let &[stream_id, window, sequence, ack] = words else { return None };
        Some(Header {
            flags: *flags,
            data_offset: *data_offset,
            stream_id: u32::from_le_bytes(stream_id),
            window: u32::from_le_bytes(window),
            sequence: u32::from_le_bytes(sequence),
            ack: u32::from_le_bytes(ack),
        })
    }
}

/// The stream a datagram is for, none if it is not a UDX packet. What a node with one socket for several protocols asks
/// first.
pub fn stream_id(datagram: &[u8]) -> Option<u32> {
    Header::decode(datagram).map(|header| header.stream_id)
}

/// Writes another stream id into a packet that is passed on as it is, as a relay does. False if it is not a UDX packet.
pub fn set_stream_id(datagram: &mut [u8], stream_id: u32) -> bool {
    if Header::decode(datagram).is_none() {
        return false;
    }
    match datagram.get_mut(4..8) {
        Some(field) => {
            field.copy_from_slice(&stream_id.to_le_bytes());
            true
        }
        None => false,
    }
}

/// A parsed datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The header.
    pub header: Header,
    ranges: &'a [u8],
    /// What follows the data offset.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Parses a datagram; none if it is not a UDX packet, or its data offset lies beyond its end.
    pub fn parse(bytes: &'a [u8]) -> Option<Packet<'a>> {
        let header = Header::decode(bytes)?;
        let body = bytes.get(HEADER_LEN..)?;
        let offset = usize::from(header.data_offset);
        let ranges = if header.flags & flags::SACK == 0 {
            &[]
        } else if offset > 0 {
            body.get(..offset).unwrap_or(body)
        } else {
            body
        };
        // A heartbeat asks for an answer whatever else it holds.
        let payload = match body.get(offset..) {
            Some(payload) => payload,
            None if header.flags & flags::HEARTBEAT != 0 => &[],
            None => return None,
        };
        Some(Packet { header, ranges, payload })
    }

    /// The acknowledged ranges: first sequence number, one past the last. Not checked in any way.
    pub fn sack_ranges(&self) -> impl Iterator<Item = (u32, u32)> + use<'a> {
        self.ranges.as_chunks::<8>().0.iter().map(|[a, b, c, d, e, f, g, h]| {
            (u32::from_le_bytes([*a, *b, *c, *d]), u32::from_le_bytes([*e, *f, *g, *h]))
        })
    }
}

/// Appends one acknowledged range to a packet.
pub fn push_sack_range(out: &mut Vec<u8>, start: u32, end: u32) {
    out.extend_from_slice(&start.to_le_bytes());
    out.extend_from_slice(&end.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_of_a_header() {
        let header = Header {
            flags: flags::DATA | flags::END,
            data_offset: 7,
            stream_id: 0x0403_0201,
            window: 4 * 1024 * 1024,
            sequence: 258,
            ack: u32::MAX,
        };
        let bytes = header.encode();
        assert_eq!(bytes, [255, 1, 3, 7, 1, 2, 3, 4, 0, 0, 64, 0, 2, 1, 0, 0, 255, 255, 255, 255],);
        assert_eq!(Header::decode(&bytes), Some(header));
        assert_eq!(stream_id(&bytes), Some(0x0403_0201));
    }

    #[test]
    fn what_is_no_packet() {
        let good = Header::default().encode();
        assert!(Packet::parse(&good).is_some());
        assert!(Packet::parse(good.get(..19).unwrap()).is_none());
        assert!(Packet::parse(&[]).is_none());
        for at in 0..2 {
            let mut bad = good;
            bad[at] ^= 1;
            assert!(Packet::parse(&bad).is_none());
        }
        let mut offset = good;
        offset[3] = 1;
        assert!(Packet::parse(&offset).is_none(), "the data offset lies beyond the end");
        offset[2] = flags::HEARTBEAT;
        assert!(Packet::parse(&offset).is_some());
    }

    #[test]
    fn ranges_before_data_and_alone() {
        let mut alone = Header { flags: flags::SACK, ..Header::default() }.encode().to_vec();
        push_sack_range(&mut alone, 1, 3);
        push_sack_range(&mut alone, 7, 8);
        alone.push(9);
        let packet = Packet::parse(&alone).unwrap();
        assert_eq!(packet.sack_ranges().collect::<Vec<_>>(), [(1, 3), (7, 8)]);

        let head = Header { flags: flags::SACK | flags::DATA, data_offset: 8, ..Header::default() };
        let mut both = head.encode().to_vec();
        push_sack_range(&mut both, 1, 3);
        both.extend_from_slice(b"data of a packet");
        let packet = Packet::parse(&both).unwrap();
        assert_eq!(packet.sack_ranges().collect::<Vec<_>>(), [(1, 3)]);
        assert_eq!(packet.payload, b"data of a packet");
    }

    #[test]
    fn a_relay_changes_only_the_stream_id() {
        let mut bytes = Header { flags: 1, stream_id: 5, ..Header::default() }.encode();
        assert!(set_stream_id(&mut bytes, 77));
        assert_eq!(Header::decode(&bytes), Some(Header { flags: 1, stream_id: 77, ..Header::default() }));
        assert!(!set_stream_id(&mut [1, 2, 3], 77));
    }

    proptest! {
        #[test]
        fn round_trip(f: u8, o: u8, stream_id: u32, window: u32, sequence: u32, ack: u32) {
            let header = Header { flags: f, data_offset: o, stream_id, window, sequence, ack };
            prop_assert_eq!(Header::decode(&header.encode()), Some(header));
        }

        #[test]
        fn any_bytes_parse_or_not(mut bytes in prop::collection::vec(any::<u8>(), 0..300), real: bool) {
            if real && bytes.len() > 2 {
                bytes[0] = 255;
                bytes[1] = 1;
            }
            if let Some(packet) = Packet::parse(&bytes) {
                prop_assert!(packet.sack_ranges().count() <= bytes.len() / 8);
                prop_assert!(packet.payload.len() + HEADER_LEN <= bytes.len());
            }
        }
    }
}
