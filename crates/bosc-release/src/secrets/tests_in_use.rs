use super::*;
use crate::stage::tests::noise;
use bosc_format::id;
use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

fn in_groups(text: &str, size: usize, between: &str) -> String {
    text.as_bytes()
        .chunks(size)
        .map(|c| String::from_utf8_lossy(c).into_owned())
        .collect::<Vec<_>>()
        .join(between)
}

/// As `xxd` does, or with `turned` words as `od -x` and `hexdump`.
fn dump(bytes: &[u8], turned: bool, text: bool) -> String {
    let mut out = String::new();
    for (n, line) in bytes.chunks(16).enumerate() {
        let words: Vec<String> = line
            .chunks(2)
            .map(|w| if turned { w.iter().rev().copied().collect() } else { w.to_vec() })
            .map(|w: Vec<u8>| HEXLOWER.encode(&w))
            .collect();
        let shown: String =
            line.iter().map(|b| if b.is_ascii_graphic() { char::from(*b) } else { '.' }).collect();
        let colon = if turned { "" } else { ":" };
        out += &format!(
            "{:08x}{colon} {}{}\n",
            n * 16,
            words.join(" "),
            if text { format!("  {shown}") } else { String::new() }
        );
    }
    out
}

/// As `hexdump -C` does.
fn canonical(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (n, line) in bytes.chunks(16).enumerate() {
        let half = |part: &[u8]| part.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ");
        let (a, b) = line.split_at(line.len().min(8));
        out += &format!("{:08x}  {}  {}  |................|\n", n * 16, half(a), half(b));
    }
    out
}

fn writings_of(key: &[u8]) -> Vec<(String, String)> {
    let hex = HEXLOWER.encode(key);
    let base64 = BASE64.encode(key);
    let mut all: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, text: String| all.push((name.to_owned(), text));
    add("hex", hex.clone());
    add("HEX", HEXUPPER.encode(key));
    add("base64", base64.clone());
    add("base64url", BASE64URL_NOPAD.encode(key));
    add("z-base-32", id::encode_bytes(key));
    add("groups of 4", in_groups(&hex, 4, " "));
    add("groups of 8", in_groups(&hex, 8, "-"));
    add("colons", in_groups(&HEXUPPER.encode(key), 2, ":"));
    add("commas", format!("{{ 0x{} }}", in_groups(&hex, 2, ", 0x")));
    add("commas, lines", format!("0X{}", in_groups(&hex, 2, ",\n    0X")));
    add("escaped", format!("\"\\x{}\"", in_groups(&hex, 2, "\\x")));
    add("hex folded", in_groups(&hex, 32, "\n"));
    add("hex folded, quoted", format!("\"{}\"", in_groups(&hex, 16, "\",\r\n  \"")));
    add("base64 folded", in_groups(&base64, 20, "\n"));
    add("base64 folded in YAML", in_groups(&base64, 16, "\r\n        "));
    add("base64 folded in JSON", in_groups(&base64, 16, "\\n"));
    add("z-base-32 folded", in_groups(&id::encode_bytes(key), 16, "\n"));
    for (n, before) in [&b"k"[..], b"ke", b"key", b"keys", b"a key"].into_iter().enumerate() {
        let whole = [before, key, b"and more"].concat();
        add(&format!("base64 {n} bytes on"), BASE64.encode(&whole));
        add(&format!("base64url {n} bytes on"), BASE64URL.encode(&whole));
        add(&format!("z-base-32 {n} bytes on"), id::encode_bytes(&whole));
        for text in [
            hex.clone(),
            HEXUPPER.encode(key),
            base64.clone(),
            id::encode_bytes(key),
            BASE64URL.encode(&whole),
        ] {
            let inner = [before, text.as_bytes(), b"\n"].concat();
            add(&format!("base64 of {text}"), BASE64.encode(&inner));
            add(&format!("base64url of {text}"), BASE64URL_NOPAD.encode(&inner));
            add(&format!("base64 of {text}, folded"), in_groups(&BASE64_NOPAD.encode(&inner), 20, "\n"));
            add(&format!("hex of {text}"), HEXLOWER.encode(&inner));
        }
    }
    // Wherever it stands in the lines.
    for n in 0..17 {
        let raw = [vec![0x11; n], key.to_vec(), vec![0x22; 20]].concat();
        let text = [vec![b'k'; n], hex.clone().into_bytes(), vec![b'\n'; 3]].concat();
        for (what, bytes) in [("bytes", raw), ("text", text)] {
            add(&format!("xxd of {what} at {n}"), dump(&bytes, false, true));
            add(&format!("od -x of {what} at {n}"), dump(&bytes, true, false));
            add(&format!("hexdump -C of {what} at {n}"), canonical(&bytes));
        }
        add(
            &format!("xxd of base64 at {n}"),
            dump(&[vec![b'k'; n], base64.clone().into_bytes()].concat(), false, true),
        );
    }
    all
}

#[test]
fn a_key_is_found_however_it_is_written() {
    for seed in 1..5 {
        let key = noise(seed, 32);
        let keys = KeysInUse::default().with(&key);
        let other = KeysInUse::default().with(&noise(seed + 100, 32));
        for (name, text) in writings_of(&key) {
            for around in [text.clone(), format!("a key: {text} and more, 0x12 abcdef\n")] {
                // Not at the end of a line that a dump does not have.
                let around = if around.contains("\n0") { format!("dumped\n{text}end\n") } else { around };
                assert!(keys.in_text(around.as_bytes()), "{name}: {around}");
                assert!(!other.in_text(around.as_bytes()), "{name}: {around}");
            }
        }
    }
}

#[test]
fn part_of_a_key_is_no_key() {
    let key = noise(7, 32);
    let keys = KeysInUse::default().with(&key);
    let mut changed = key.clone();
    // The last bits of a key may not be told from what follows.
    *changed.get_mut(28).unwrap() ^= 0x10;
    for (name, text) in writings_of(&changed) {
        assert!(!keys.in_text(text.as_bytes()), "{name}");
    }
    assert!(!keys.in_text(HEXLOWER.encode(key.get(..31).unwrap_or_default()).as_bytes()));
    assert!(!keys.in_text(b""));
}

/// Whatever JSON it is sent in.
#[test]
fn a_set_that_went_to_another_process_finds_the_keys_and_says_nothing_of_them() {
    let key = noise(3, 32);
    let set = KeysInUse::default().with(&key);
    let sent = serde_json::to_string(&set).unwrap_or_default();
    let there: KeysInUse = serde_json::from_str(&sent).unwrap_or_default();
    assert_eq!(there, set);
    assert!(
        there.in_bytes(&[&[1, 2, 3][..], &key].concat())
            && !there.in_bytes(key.get(..31).unwrap_or_default())
    );
    // As numbers, as serde writes them, or as text: nothing behind the first bytes.
    for window in key.windows(4).skip(4) {
        let numbers: Vec<String> = window.iter().map(u8::to_string).collect();
        assert!(!sent.contains(&numbers.join(",")) && !sent.contains(&HEXLOWER.encode(window)));
    }
    assert!(!format!("{set:?}").contains(&numbers_of(&key)));
}

fn numbers_of(key: &[u8]) -> String {
    key.iter().take(2).map(u8::to_string).collect::<Vec<_>>().join(", ")
}

#[test]
fn keys_of_another_are_in_use_as_long_as_they_are_held() {
    let key = noise(5, 32);
    let before = KeysInUse::of_environment();
    let held = KeysInUse::default().with(&key).hold();
    assert!(KeysInUse::of_environment().in_bytes(&key));
    let elsewhere = std::thread::spawn(KeysInUse::of_environment).join();
    assert!(elsewhere.is_ok_and(|keys| keys == before), "on this thread alone");
    drop(held);
    assert_eq!(KeysInUse::of_environment(), before);
}
