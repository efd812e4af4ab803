//! One text of a property list of Apple's, in XML or binary (`bplist00`).
//!
//! Of a binary list only its outermost dictionary is read, and of that only keys and values that are texts: nothing is followed, so
//! that no list takes long. What does not have the form says nothing, and is no error.
//!
//! ```text
//! "bplist00" objects… offsets of the objects… trailer: 6 bytes, size of an offset, size of a reference, then 8 bytes each:
//!                                              number of objects, number of the outermost one, where the offsets begin
//! ```

/// Longest text that is read, in characters.
const MAX_TEXT: usize = 4096;
const MAGIC: &[u8] = b"bplist00";
const TRAILER: usize = 32;

/// The text that stands behind a key of the outermost dictionary.
pub fn text(list: &[u8], key: &str) -> Option<String> {
    if list.starts_with(MAGIC) { Binary::new(list)?.text(key) } else { in_xml(list, key) }
}

fn in_xml(list: &[u8], key: &str) -> Option<String> {
    let list = std::str::from_utf8(list).ok()?;
    let (_, rest) = list.split_once(&format!("<key>{key}</key>"))?;
    let (_, value) = rest.trim_start().split_once("<string>").filter(|(before, _)| before.is_empty())?;
    let value = value
        .split_once("</string>")?
        .0
        .trim()
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&");
    Some(value)
}

struct Binary<'a> {
    list: &'a [u8],
    /// Where the offsets are.
    offsets: &'a [u8],
    offset_len: usize,
    reference_len: usize,
    top: usize,
}

impl<'a> Binary<'a> {
    fn new(list: &'a [u8]) -> Option<Self> {
        let (list, trailer) = list.split_at_checked(list.len().checked_sub(TRAILER)?)?;
        let [_, _, _, _, _, _, offset_len, reference_len, numbers @ ..] = trailer else { return None };
        let mut numbers = numbers.chunks_exact(8).map(number);
        let (count, top, begin) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let offset_len = usize::from(*offset_len);
        let len = count.checked_mul(offset_len)?;
        let offsets = list.get(begin..begin.checked_add(len)?)?;
        Some(Self { list, offsets, offset_len, reference_len: usize::from(*reference_len), top })
    }

    /// What stands at an object's place and behind it.
    fn object(&self, index: usize) -> Option<&'a [u8]> {
        let at = index.checked_mul(self.offset_len)?;
        self.list.get(number(self.offsets.get(at..at.checked_add(self.offset_len)?)?)?..)
    }

    fn text(&self, key: &str) -> Option<String> {
        let (kind, count, rest) = head(self.object(self.top)?)?;
        if kind != 0xd || self.reference_len == 0 {
            return None;
        }
        let keys = count.checked_mul(self.reference_len)?;
        let (keys, values) = rest.get(..keys.checked_mul(2)?)?.split_at_checked(keys)?;
        let mut pairs = keys.chunks_exact(self.reference_len).zip(values.chunks_exact(self.reference_len));
        let (_, value) = pairs.find(|(name, _)| number(name).is_some_and(|n| self.is_text(n, key)))?;
        self.read(number(value)?)
    }

    fn is_text(&self, index: usize, wanted: &str) -> bool {
        let text = || {
            let (kind, count, rest) = head(self.object(index)?)?;
            // Keys that are not ASCII are none of those that are asked for.
            Some(kind == 0x5 && count == wanted.len() && rest.get(..count)? == wanted.as_bytes())
        };
        text() == Some(true)
    }

    fn read(&self, index: usize) -> Option<String> {
        let (kind, count, rest) = head(self.object(index)?)?;
        if count > MAX_TEXT {
            return None;
        }
        let text = match kind {
            0x5 => std::str::from_utf8(rest.get(..count)?).ok().filter(|text| text.is_ascii())?.to_owned(),
            0x6 => {
                let units = rest.get(..count.checked_mul(2)?)?.chunks_exact(2);
                let units: Vec<u16> =
                    units.filter_map(|unit| Some(u16::from_be_bytes(unit.try_into().ok()?))).collect();
                String::from_utf16(&units).ok()?
            }
            _ => return None,
        };
        Some(text.trim().to_owned())
    }
}

/// The kind of an object, how much it holds, and what follows.
fn head(object: &[u8]) -> Option<(u8, usize, &[u8])> {
    let (first, rest) = object.split_first()?;
    let (kind, small) = (first >> 4, first & 0xf);
    if small < 0xf {
        return Some((kind, usize::from(small), rest));
    }
    // An integer of 1, 2, 4 or 8 bytes says how much.
    let (first, rest) = rest.split_first()?;
    if first >> 4 != 0x1 {
        return None;
    }
    let (count, rest) =
        rest.split_at_checked(1usize.checked_shl(u32::from(first & 0xf)).filter(|len| *len <= 8)?)?;
    Some((kind, number(count)?, rest))
}

/// A number of up to 8 bytes, the highest first.
fn number(bytes: &[u8]) -> Option<usize> {
    if bytes.is_empty() || bytes.len() > 8 {
        return None;
    }
    let all = bytes.iter().fold(0u64, |all, byte| all << 8 | u64::from(*byte));
    usize::try_from(all).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Written by Python's `plistlib` from `CFBundleExecutable: "Tom & Eva"`, `CFBundleName: "Ünïcödé"`,
    /// `CFBundleShortVersionString: "1.0.4"`, `LSMinimumSystemVersion: "11.0"`, `Nested: {CFBundleVersion: "9"}`, `Number: 7`.
    const WRITTEN: &str = "62706c6973743030d60102030405060708090a0b0e5f1012434642756e646c6545786563757461626c655c434642756e646c654e616d655f101a434642756e646c6553686f727456657273696f6e537472696e675f10164c534d696e696d756d53797374656d56657273696f6e564e6573746564564e756d62657259546f6d2026204576616700dc006e00ef006300f6006400e955312e302e345431312e30d10c0d5f100f434642756e646c6556657273696f6e5139100708152a37546d747b85949a9fa2b4b60000000000000101000000000000000f000000000000000000000000000000b8";

    fn written() -> Vec<u8> {
        data_encoding::HEXLOWER.decode(WRITTEN.as_bytes()).unwrap()
    }

    #[test]
    fn a_binary_list_says_what_one_in_xml_says() {
        let list = written();
        assert_eq!(text(&list, "CFBundleShortVersionString").as_deref(), Some("1.0.4"));
        assert_eq!(text(&list, "CFBundleExecutable").as_deref(), Some("Tom & Eva"));
        assert_eq!(text(&list, "CFBundleName").as_deref(), Some("Ünïcödé"));
        assert_eq!(text(&list, "CFBundleVersion"), None, "only of another dictionary");
        assert_eq!(text(&list, "Number"), None, "no text");
        let xml =
            b"<dict><key>A</key><string>x</string><key>B</key>\n <string> Tom &amp; Eva </string></dict>";
        assert_eq!(text(xml, "B").as_deref(), Some("Tom & Eva"));
        assert_eq!(text(b"<key>B</key><true/><string>x</string>", "B"), None);
        assert_eq!(text(b"bplist00", "B"), None);
    }

    #[test]
    fn a_list_that_was_cut_or_changed_does_no_harm() {
        let list = written();
        for len in 0..list.len() {
            let _ = text(list.get(..len).unwrap(), "CFBundleShortVersionString");
        }
        for at in 0..list.len() {
            for value in [0, 1, 0x1f, 0x7f, 0xdf, 0xff] {
                let mut list = list.clone();
                list[at] = value;
                let _ = text(&list, "CFBundleShortVersionString");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), trailer in prop::array::uniform32(any::<u8>())) {
            let list = [MAGIC, &bytes, &trailer].concat();
            let _ = text(&list, "A");
        }
    }
}
