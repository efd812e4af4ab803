//! Small programs whose functions call each other: ELF and PE of x86-64, Mach-O of arm64.
#![allow(unreachable_pub, dead_code, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

/// What kind of program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Elf,
    Pe,
    MachO,
}

/// Bytes that do not repeat.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) as u8
    };
    (0..len).map(|_| next()).collect()
}

const TEXT: u64 = 0x1000;
const BASE: u64 = 0x40_0000;

impl Program {
    pub fn all() -> [Program; 3] {
        [Program::Elf, Program::Pe, Program::MachO]
    }

    /// A program of so many functions. One of them may be longer by some instructions.
    pub fn build(self, functions: usize, grown: Option<usize>) -> Vec<u8> {
        let arm = self == Program::MachO;
        let len = |i: usize| 64 + if grown == Some(i) { 32 } else { 0 };
        let starts: Vec<u64> =
            (0..=functions).map(|n| TEXT + (0..n).map(len).sum::<usize>() as u64).collect();
        let data = (starts[functions] + 0xfff) & !0xfff;
        let mut code = Vec::new();
        for i in 0..functions {
            let body = noise(i as u64, 16).iter().map(|b| b % 7).collect::<Vec<u8>>();
            let from = code.len();
            for (k, other) in body.iter().enumerate().take(6) {
                let target = starts[(i * 31 + k * 17 + usize::from(*other)) % functions];
                let here = TEXT + code.len() as u64;
                if arm {
                    let words = (target.wrapping_sub(here) as i64 >> 2) as u32 & 0x3ff_ffff;
                    code.extend_from_slice(&(0x9400_0000 | words).to_le_bytes());
                    let slot = data + 8 * ((i + k) % functions) as u64;
                    let pages = ((slot >> 12) as i64 - ((here + 4) >> 12) as i64) as u32;
                    let adrp = 0x9000_0001 | (pages & 3) << 29 | (pages >> 2 & 0x7_ffff) << 5;
                    code.extend_from_slice(&adrp.to_le_bytes());
                } else {
                    // call; 6 bytes in all with a byte that tells them apart.
                    code.push(0xe8);
                    code.extend_from_slice(&(target.wrapping_sub(here + 5) as u32).to_le_bytes());
                    code.extend_from_slice(&[0xb0, *other]);
                }
            }
            let fill = if arm { &[0x1f, 0x20, 0x03, 0xd5][..] } else { &[0x90][..] };
            while code.len() < from + len(i) {
                code.extend_from_slice(fill);
            }
        }
        let pointers: Vec<u8> =
            (0..functions).flat_map(|i| (BASE + starts[(i * 7) % functions]).to_le_bytes()).collect();
        let mut file = match self {
            Program::Elf => elf(code.len() as u64, data, pointers.len() as u64),
            Program::Pe => pe(code.len() as u64, data, pointers.len() as u64),
            Program::MachO => macho(code.len() as u64, data, pointers.len() as u64),
        };
        file.resize(TEXT as usize, 0);
        file.extend_from_slice(&code);
        file.resize(data as usize, 0);
        file.extend_from_slice(&pointers);
        if self == Program::Elf {
            // Section headers last, after their names.
            let names = file.len() as u64;
            file.extend_from_slice(b"\0.text\0.data\0.shstrtab\0\0");
            let at = file.len() as u64;
            file[40..48].copy_from_slice(&at.to_le_bytes());
            for (name, kind, flags, address, offset, len) in [
                (0u32, 0u32, 0u64, 0, 0, 0),
                (1, 1, 6, BASE + TEXT, TEXT, code.len() as u64),
                (7, 1, 3, BASE + data, data, pointers.len() as u64),
                (13, 3, 0, 0, names, 23),
            ] {
                let mut header = Vec::new();
                header.extend_from_slice(&name.to_le_bytes());
                header.extend_from_slice(&kind.to_le_bytes());
                for v in [flags, address, offset, len, 0, 16, 0] {
                    header.extend_from_slice(&v.to_le_bytes());
                }
                header.resize(64, 0);
                file.extend_from_slice(&header);
            }
        }
        file
    }
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    words.iter().for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
}

fn longs(out: &mut Vec<u8>, longs: &[u64]) {
    longs.iter().for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
}

fn elf(code: u64, data: u64, data_len: u64) -> Vec<u8> {
    let mut f = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    f.extend_from_slice(&[2, 0, 62, 0, 1, 0, 0, 0]);
    longs(&mut f, &[BASE + TEXT, 64, 0]);
    f.extend_from_slice(&[0, 0, 0, 0, 64, 0, 56, 0, 2, 0, 64, 0, 4, 0, 3, 0]);
    for (flags, at, len) in [(5u32, 0, TEXT + code), (6, data, data_len)] {
        words(&mut f, &[1, flags]);
        longs(&mut f, &[at, BASE + at, BASE + at, len, len, 0x1000]);
    }
    f
}

fn pe(code: u64, data: u64, data_len: u64) -> Vec<u8> {
    let mut f = vec![0; 64];
    f[..2].copy_from_slice(b"MZ");
    f[60] = 64;
    f.extend_from_slice(b"PE\0\0\x64\x86\x02\0");
    f.extend_from_slice(&[0; 12]);
    f.extend_from_slice(&[240, 0, 0, 0]);
    let optional = f.len();
    f.resize(optional + 240, 0);
    f[optional..optional + 2].copy_from_slice(&[0x0b, 2]);
    f[optional + 24..optional + 32].copy_from_slice(&BASE.to_le_bytes());
    for (name, at, len, flags) in
        [(b".text\0\0\0", TEXT, code, 0x6000_0020u32), (b".data\0\0\0", data, data_len, 0xc000_0040)]
    {
        f.extend_from_slice(name);
        words(&mut f, &[len as u32, at as u32, len as u32, at as u32, 0, 0, 0, flags]);
    }
    f
}

fn macho(code: u64, data: u64, data_len: u64) -> Vec<u8> {
    let mut f = Vec::new();
    words(&mut f, &[0xfeed_facf, 0x0100_000c, 0, 2, 2, 304, 0, 0]);
    for (segment, section, at, from, len, flags) in [
        (b"__TEXT", b"__text", 0, TEXT, code, 0x8000_0400u32),
        (b"__DATA", b"__data", data, data, data_len, 0),
    ] {
        let name = |f: &mut Vec<u8>, name: &[u8]| {
            f.extend_from_slice(name);
            f.resize(f.len() + 16 - name.len(), 0);
        };
        words(&mut f, &[0x19, 152]);
        name(&mut f, segment);
        let whole = from + len - at;
        longs(&mut f, &[BASE + at, whole, at, whole]);
        words(&mut f, &[7, 5, 1, 0]);
        name(&mut f, section);
        name(&mut f, segment);
        longs(&mut f, &[BASE + from, len]);
        words(&mut f, &[from as u32, 4, 0, 0, flags, 0, 0, 0]);
    }
    f
}
