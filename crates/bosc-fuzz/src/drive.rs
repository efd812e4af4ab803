//! Blocks of bees, entries, block maps, paths and the chunker.

use crate::Input;
use bosc_drive::bee::{Bee, Header, KeyRange};
use bosc_drive::blobs::{self, BlobId, BlobReader, BlockRef};
use bosc_drive::chunker::Chunker;
use bosc_drive::deltas::{self, Leg};
use bosc_drive::drive::{Drive, EntryValue, path as paths};
use bosc_drive::{BlockSource, MemorySource};
use bytes::Bytes;

/// Most entries any walk below may give: each comes from a block.
const MANY: usize = 100_000;

/// A core of whatever blocks (one a step), read as a bee, as a drive, and as blobs the drive's entries name.
pub fn bee(data: &[u8]) {
    let mut input = Input::new(data);
    let mut core = MemorySource::new();
    while let Some((op, block)) = input.step() {
        if op == 0xff {
            core.set(core.length() as usize + 1, Bytes::copy_from_slice(block));
        } else {
            core.push(Bytes::copy_from_slice(block));
        }
        if core.length() > 256 {
            break;
        }
    }
    let length = core.length();
    let bee = Bee::new(&core);
    let _ = bee.header();
    let _ = bee.get(b"files\0/package.json");
    for range in [KeyRange::all(), KeyRange::all().reverse(), KeyRange::prefix(b"files\0").limit(5)] {
        walk(bee.range(range));
    }
    walk(bee.history(1));
    walk(bee.diff(length / 2, KeyRange::all()));
    walk(Bee::checkout(&core, length / 2).diff(length, KeyRange::all()));
    let mut wanted = bee.range(KeyRange::all());
    assert!(wanted.wanted(16).len() <= 16);
    let _ = wanted.next();
    let drive = Drive::new(&core);
    let _ = drive.entry_follow("/package.json").map(|e| e.map(|e| paths::components(&e.key).map(|_| ())));
    if let Ok(list) = drive.read_dir("/") {
        walk(list);
    }
    if let Ok(diff) = drive.diff(length / 2, "/") {
        walk(diff);
    }
    let _ = drive.blobs_length();
    let Ok(list) = drive.list("/") else { return };
    for entry in list.map_while(Result::ok).take(64) {
        assert!(entry.key.starts_with('/'));
        if let Some(blob) = entry.value.blob {
            read_blob(&core, blob);
        }
    }
}

fn walk<T, E>(items: impl Iterator<Item = Result<T, E>>) {
    let n = items.take(MANY).take_while(Result::is_ok).count();
    assert!(n < MANY, "a walk without end");
}

fn read_blob(core: &MemorySource, blob: BlobId) {
    let _ = blobs::content_length(core, &blob);
    let _ = blobs::content_blocks(core, &blob);
    let _ = blobs::load_map(core, &blob);
    for range in [0..u64::MAX, 3..9, blob.byte_length..blob.byte_length.saturating_add(1)] {
        let _ = blobs::read_plan(core, &blob, range.clone());
        let reader = BlobReader::range(core, blob, range);
        assert!(reader.wanted(16).len() <= 16);
        walk(reader);
    }
}

/// The header of a bee.
pub fn bee_header(data: &[u8]) {
    let Ok(header) = Header::decode(&Bytes::copy_from_slice(data)) else { return };
    assert_eq!(Header::decode(&header.encode().into()).unwrap(), header);
}

/// The JSON of a drive's entry.
pub fn entry(data: &[u8]) {
    let Ok(entry) = EntryValue::decode(0, data) else { return };
    let bytes = entry.encode();
    let again = EntryValue::decode(0, &bytes).unwrap();
    assert_eq!(
        (again.executable, &again.linkname, again.blob),
        (entry.executable, &entry.linkname, entry.blob)
    );
    assert_eq!(again.encode(), bytes);
}

/// A block map in one block, and in two.
pub fn block_map(data: &[u8]) {
    let whole = Bytes::copy_from_slice(data);
    let halves = [whole.slice(..data.len() / 2), whole.slice(data.len() / 2..)];
    let _ = blobs::decode_map(7, &halves);
    let Ok(refs) = blobs::decode_map(7, [&whole]) else { return };
    assert!(refs.len() * 2 <= data.len());
    let blocks: Vec<Bytes> = blobs::encode_map(&refs).unwrap().into_iter().map(Bytes::from).collect();
    let again: Vec<BlockRef> = blobs::decode_map(7, &blocks).unwrap();
    assert_eq!(again, refs);
}

/// Keys of patches, and the ways that they make: whoever wrote the drive chose both.
pub fn deltas(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        for key in [text.to_owned(), format!("{}/{text}", deltas::FOLDER)] {
            let direct = deltas::parse(&key).and_then(|(file, base)| deltas::key_of(&file, &base));
            let hop =
                deltas::parse_hop(&key).and_then(|(file, base, end)| deltas::hop_key_of(&file, &base, &end));
            assert!(direct.is_none() || hop.is_none());
            assert_eq!(direct.or(hop), deltas::file_of(&key).map(|_| key));
        }
    }
    let legs: Vec<Leg<()>> = data
        .chunks_exact(3)
        .map(|leg| {
            let result = (leg[1] % 9 > 0).then(|| [leg[1] % 9; 32]);
            let size = if leg[2] == 255 { u64::MAX } else { u64::from(leg[2]) };
            Leg { base: [1 + leg[0] % 8; 32], result, size, patch: () }
        })
        .collect();
    for (base, (cost, way)) in deltas::routes(&legs) {
        assert!((1..=deltas::MAX_CHAIN).contains(&way.len()));
        let mut at = Some(base);
        for leg in way.iter().map(|i| &legs[*i]) {
            assert_eq!(at, Some(leg.base));
            at = leg.result;
        }
        assert_eq!(at, None, "it ends at the file");
        assert_eq!(cost, way.iter().fold(0, |n: u64, i| n.saturating_add(legs[*i].size)));
    }
}

/// Names of files, and keys that are to become paths on disk.
pub fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(parts) = paths::components(text) {
        assert!(!parts.is_empty());
        let bad = |p: &&str| p.is_empty() || *p == "." || *p == ".." || p.contains(['/', '\\', '\0']);
        assert!(!parts.iter().any(bad), "{parts:?}");
        assert_eq!(format!("/{}", parts.join("/")), text);
    }
    if let Ok(key) = paths::normalize(text)
        && key.len() <= paths::MAX_PATH_LEN
    {
        assert_eq!(paths::normalize(&key).as_deref().ok(), Some(&*key));
        assert!(paths::components(&key).is_ok(), "{key:?}");
    }
    let _ = paths::normalize_folder(text);
    if let Some((base, name)) = text.split_once('\n')
        && let Ok(key) = paths::resolve(base, name)
    {
        assert!(key.starts_with('/') && !key.split('/').any(|p| p == ".."), "{key:?}");
    }
}

fn cuts(sizes: (usize, usize), data: &[u8], mut slice: impl FnMut() -> usize) -> Vec<usize> {
    let mut chunker = Chunker::with_sizes(sizes.0, sizes.1);
    let (mut out, mut at, mut chunk) = (Vec::new(), 0, 0);
    while at < data.len() {
        let end = data.len().min(at + slice().max(1));
        match chunker.push(&data[at..end]) {
            Some(n) => {
                assert!(n <= end - at);
                out.push(chunk + n);
                (at, chunk) = (at + n, 0);
            }
            None => {
                chunk += end - at;
                at = end;
            }
        }
        assert_eq!(chunker.pending(), chunk);
    }
    out.extend((chunk > 0).then_some(chunk));
    out
}

/// Cuts do not depend on the slices the content comes in, and chunks keep their bounds.
pub fn chunker(data: &[u8]) {
    let mut input = Input::new(data);
    let min = usize::from(input.u8() % 128) + 1;
    let max = min + usize::from(input.u16() % 4096);
    let mut slices = Input::new(input.take(16));
    let data = input.rest();
    let whole = cuts((min, max), data, || usize::MAX / 2);
    assert_eq!(whole.iter().sum::<usize>(), data.len());
    assert!(whole.iter().rev().skip(1).all(|n| (min..=max).contains(n)), "{min} {max} {whole:?}");
    assert!(whole.last().is_none_or(|n| *n <= max));
    let sliced = cuts((min, max), data, || usize::from(slices.u8()) * 3);
    assert_eq!(whole, sliced);
}
