//! DNS packets as multicast DNS has them (RFC 1035, RFC 6762), as far as our one service needs: a question for it, and the records of one
//! instance of it (RFC 6763).
//!
//! ```text
//!   PTR  _bosc._udp.local            → INSTANCE._bosc._udp.local
//!   SRV  INSTANCE._bosc._udp.local   → port, HOST.local          (both names are the same random hex digits)
//!   TXT  INSTANCE._bosc._udp.local   → "v=1", "n=" and 16 bytes, "t=" and entries of 40 bytes (as many strings as needed)
//!   A    HOST.local                  → the address it is sent from
//! ```
//!
//! # Invariants
//!
//! * At most [`MAX_RECORDS`] records of a packet are looked at, and [`MAX_ENTRIES`] entries of an instance kept.
//! * A name takes at most [`MAX_JUMPS`] steps through pointers and 255 bytes.

use std::net::Ipv4Addr;

/// Largest packet that is read, as RFC 6762 has it.
pub(super) const MAX_PACKET: usize = 9000;
/// Most entries of an instance: its packet fits into one frame.
pub(super) const MAX_ENTRIES: usize = 24;
const MAX_RECORDS: usize = 64;
const MAX_JUMPS: usize = 16;
const MAX_NAME: usize = 255;
/// Entries in one string of a TXT record, which has 255 bytes at most.
const PER_STRING: usize = 6;
const ENTRY: usize = 40;

const SERVICE: [&str; 3] = ["_bosc", "_udp", "local"];
const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;
const SRV: u16 = 33;
const ANY: u16 = 255;
const IN: u16 = 1;
/// What is unique replaces what is cached.
const FLUSH: u16 = 0x8000;
const ANSWER: u16 = 0x8400;

/// The random name of an instance, as hex digits in the packet.
pub(super) type Instance = [u8; 8];

/// What one topic has in an announcement: a tag by which those who know the topic see that it is theirs, and a key that they alone read.
pub(super) type Entry = ([u8; 8], [u8; 32]);

/// An instance of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Beacon {
    pub(super) instance: Instance,
    /// UDP port of its node.
    pub(super) port: u16,
    /// Salt of its entries.
    pub(super) nonce: [u8; 16],
    pub(super) entries: Vec<Entry>,
    /// Seconds that it may be kept; 0: it is gone.
    pub(super) ttl: u32,
}

/// A packet that concerns us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet {
    /// Who is there, but for those that are known?
    Question(Vec<Instance>),
    /// One instance.
    Beacon(Beacon),
}

fn name(out: &mut Vec<u8>, labels: &[&str]) {
    for label in labels {
        out.push(u8::try_from(label.len()).unwrap_or(63));
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
}

fn hex(instance: &Instance) -> String {
    instance.iter().map(|b| format!("{b:02x}")).collect()
}

fn from_hex(label: &[u8]) -> Option<Instance> {
    let text = std::str::from_utf8(label).ok().filter(|t| t.len() == 16 && t.is_ascii())?;
    Some(u64::from_str_radix(text, 16).ok()?.to_be_bytes())
}

fn header(flags: u16, questions: u16, answers: u16) -> Vec<u8> {
    let mut out = vec![0, 0];
    for n in [flags, questions, answers, 0, 0] {
        out.extend_from_slice(&n.to_be_bytes());
    }
    out
}

fn record(out: &mut Vec<u8>, owner: &[&str], kind: u16, class: u16, ttl: u32, data: &[u8]) {
    name(out, owner);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&class.to_be_bytes());
    out.extend_from_slice(&ttl.to_be_bytes());
    out.extend_from_slice(&u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(data);
}

fn pointer(instance: &str) -> Vec<u8> {
    let mut data = Vec::new();
    let [a, b, c] = SERVICE;
    name(&mut data, &[instance, a, b, c]);
    data
}

/// A question for the service, with those that are known.
pub(super) fn question(known: &[Instance], ttl: u32) -> Vec<u8> {
    let known = known.get(..MAX_RECORDS.min(known.len())).unwrap_or_default();
    let mut out = header(0, 1, u16::try_from(known.len()).unwrap_or(0));
    name(&mut out, &SERVICE);
    out.extend_from_slice(&PTR.to_be_bytes());
    out.extend_from_slice(&IN.to_be_bytes());
    for instance in known {
        record(&mut out, &SERVICE, PTR, IN, ttl, &pointer(&hex(instance)));
    }
    out
}

/// The records of an instance, sent from `host`.
pub(super) fn beacon(b: &Beacon, host: Ipv4Addr) -> Vec<u8> {
    let instance = hex(&b.instance);
    let [s1, s2, s3] = SERVICE;
    let owner = [instance.as_str(), s1, s2, s3];
    let mut out = header(ANSWER, 0, 4);
    record(&mut out, &SERVICE, PTR, IN, b.ttl, &pointer(&instance));
    let mut srv = vec![0, 0, 0, 0];
    srv.extend_from_slice(&b.port.to_be_bytes());
    name(&mut srv, &[&instance, "local"]);
    record(&mut out, &owner, SRV, IN | FLUSH, b.ttl, &srv);
    let mut txt = Vec::new();
    let mut string = |key: &[u8], value: &[u8]| {
        txt.push(u8::try_from(key.len() + value.len()).unwrap_or(u8::MAX));
        txt.extend_from_slice(key);
        txt.extend_from_slice(value);
    };
    string(b"v=", b"1");
    string(b"n=", &b.nonce);
    for part in b.entries.chunks(PER_STRING) {
        let bytes: Vec<u8> = part.iter().flat_map(|(tag, key)| tag.iter().chain(key).copied()).collect();
        string(b"t=", &bytes);
    }
    record(&mut out, &owner, TXT, IN | FLUSH, b.ttl, &txt);
    record(&mut out, &[&instance, "local"], A, IN | FLUSH, b.ttl, &host.octets());
    out
}

/// Reads on through a packet.
struct Reader<'a> {
    packet: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn u16(&mut self) -> Option<u16> {
        let bytes = self.packet.get(self.at..self.at + 2)?;
        self.at += 2;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let bytes = self.packet.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(bytes)
    }

    /// The labels of a name, in lower case.
    fn name(&mut self) -> Option<Vec<Vec<u8>>> {
        let (mut at, mut jumped, mut jumps, mut total) = (self.at, false, 0, 0);
        let mut labels = Vec::new();
        loop {
            let len = *self.packet.get(at)?;
            match len {
                0 => {
                    if !jumped {
                        self.at = at + 1;
                    }
                    return Some(labels);
                }
                1..=63 => {
                    let label = self.packet.get(at + 1..at + 1 + usize::from(len))?;
                    at += 1 + usize::from(len);
                    total += 1 + usize::from(len);
                    if total > MAX_NAME {
                        return None;
                    }
                    labels.push(label.to_ascii_lowercase());
                }
                0xc0..=0xff => {
                    let low = *self.packet.get(at + 1)?;
                    if !jumped {
                        self.at = at + 2;
                    }
                    (jumped, jumps) = (true, jumps + 1);
                    if jumps > MAX_JUMPS {
                        return None;
                    }
                    at = usize::from(u16::from_be_bytes([len & 0x3f, low]));
                }
                _ => return None,
            }
        }
    }
}

fn is(labels: &[Vec<u8>], expected: &[&str]) -> bool {
    labels.len() == expected.len() && labels.iter().zip(expected).all(|(l, e)| l == e.as_bytes())
}

/// The instance that a name stands for.
fn instance_of(labels: &[Vec<u8>]) -> Option<Instance> {
    let (first, rest) = labels.split_first()?;
    if is(rest, &SERVICE) { from_hex(first) } else { None }
}

/// Reads a packet; none if it does not concern us, or is none.
pub(super) fn read(packet: &[u8]) -> Option<Packet> {
    if packet.len() > MAX_PACKET {
        return None;
    }
    let mut r = Reader { packet, at: 2 };
    let flags = r.u16()?;
    let [questions, answers, authorities, additionals] = [r.u16()?, r.u16()?, r.u16()?, r.u16()?];
    let mut asked = false;
    for _ in 0..usize::from(questions).min(MAX_RECORDS) {
        let name = r.name()?;
        let (kind, class) = (r.u16()?, r.u16()?);
        asked |= is(&name, &SERVICE) && (kind == PTR || kind == ANY) && class & !FLUSH == IN;
    }
    let is_answer = flags & 0x8000 != 0;
    if !is_answer && (!asked || usize::from(questions) > MAX_RECORDS) {
        return None;
    }
    let (mut known, mut ttl) = (Vec::new(), None);
    let (mut srv, mut txt) = (None, None);
    let count = usize::from(answers) + usize::from(authorities) + usize::from(additionals);
    for _ in 0..count.min(MAX_RECORDS) {
        let owner = r.name()?;
        let (kind, _, high, low, len) = (r.u16()?, r.u16()?, r.u16()?, r.u16()?, r.u16()?);
        let start = r.at;
        let data = r.take(usize::from(len))?;
        let seconds = u32::from(high) << 16 | u32::from(low);
        match kind {
            PTR if is(&owner, &SERVICE) => {
                let name = Reader { packet, at: start }.name();
                if let Some(instance) = name.and_then(|n| instance_of(&n)) {
                    known.push(instance);
                    ttl = ttl.or(Some(seconds));
                }
            }
            SRV => {
                let port = data.get(4..6).and_then(|p| Some(u16::from_be_bytes(p.try_into().ok()?)));
                srv = srv.or(instance_of(&owner).zip(port));
            }
            TXT => txt = txt.or(instance_of(&owner).zip(text(data))),
            _ => {}
        }
    }
    if !is_answer {
        return Some(Packet::Question(known));
    }
    let ((instance, port), (of, (nonce, entries))) = (srv?, txt?);
    (instance == of && known.contains(&instance) && port != 0).then_some(Packet::Beacon(Beacon {
        instance,
        port,
        nonce,
        entries,
        ttl: ttl?,
    }))
}

/// Nonce and entries of a TXT record.
fn text(mut data: &[u8]) -> Option<([u8; 16], Vec<Entry>)> {
    let (mut nonce, mut entries, mut version) = (None, Vec::new(), false);
    while let Some((len, rest)) = data.split_first() {
        let string = rest.get(..usize::from(*len))?;
        data = rest.get(usize::from(*len)..)?;
        match string {
            [b'v', b'=', value @ ..] => version = value == b"1",
            [b'n', b'=', value @ ..] => nonce = <[u8; 16]>::try_from(value).ok(),
            [b't', b'=', value @ ..] => {
                for entry in value.chunks_exact(ENTRY) {
                    let (tag, key) = entry.split_first_chunk::<8>()?;
                    if entries.len() < MAX_ENTRIES {
                        entries.push((*tag, <[u8; 32]>::try_from(key).ok()?));
                    }
                }
            }
            _ => {}
        }
    }
    Some((nonce.filter(|_| version)?, entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 2);

    fn sample(entries: usize) -> Beacon {
        let entry = |n: usize| ([n as u8; 8], [n as u8 + 100; 32]);
        Beacon {
            instance: *b"\x01\x23\x45\x67\x89\xab\xcd\xef",
            port: 49_737,
            nonce: [9; 16],
            entries: (0..entries).map(entry).collect(),
            ttl: 120,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for entries in [0, 1, PER_STRING, PER_STRING + 1, MAX_ENTRIES] {
            let b = sample(entries);
            let packet = beacon(&b, HOST);
            assert!(packet.len() < 1400, "{entries} entries take {} bytes", packet.len());
            assert_eq!(read(&packet), Some(Packet::Beacon(b)));
        }
        let known = vec![[1; 8], [2; 8]];
        assert_eq!(read(&question(&known, 120)), Some(Packet::Question(known)));
        assert_eq!(read(&question(&[], 120)), Some(Packet::Question(Vec::new())));
    }

    #[test]
    fn names_of_others_are_read_in_any_case_and_through_pointers() {
        let mut q = header(0, 1, 0);
        name(&mut q, &["_BOSC", "_udp", "LOCAL"]);
        q.extend_from_slice(&[0, 12, 0x80, 1]);
        assert_eq!(read(&q), Some(Packet::Question(Vec::new())));
        // A question for another service, then one for ours whose end is a pointer into the first.
        let mut q = header(0, 2, 0);
        name(&mut q, &["_http", "_udp", "local"]);
        q.extend_from_slice(&[0, 12, 0, 1]);
        q.extend_from_slice(b"\x05_bosc\xc0\x12\x00\x0c\x00\x01");
        assert_eq!(read(&q), Some(Packet::Question(Vec::new())));
    }

    #[test]
    fn nothing_that_is_cut_off_loops_or_claims_more_than_it_has_is_taken() {
        let packet = beacon(&sample(3), HOST);
        for end in 0..packet.len() - 30 {
            let got = read(&packet[..end]);
            assert!(got.is_none(), "{end}: {got:?}");
        }
        let mut looped = header(0, 1, 0);
        looped.extend_from_slice(&[0xc0, 12, 0, 12, 0, 1]);
        assert_eq!(read(&looped), None);
        assert_eq!(read(&vec![0xff; MAX_PACKET]), None);
        assert_eq!(read(&vec![0; MAX_PACKET + 1]), None);
        let mut state = 5u64;
        for _ in 0..20_000 {
            let mut wrong = packet.clone();
            for _ in 0..4 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (state >> 33) as usize % wrong.len();
                wrong[at] = (state >> 20) as u8;
            }
            if let Some(Packet::Beacon(b)) = read(&wrong) {
                assert!(b.entries.len() <= MAX_ENTRIES);
            }
        }
    }
}
