use super::*;

#[test]
fn nothing_a_terminal_obeys_is_left() {
    let evil = "evil\x1b[2K\x1b[1A\u{9b}2J\rok\u{202e}txt\x07";
    assert_eq!(printable(evil), "evil\\u{1b}[2K\\u{1b}[1A\\u{9b}2J\\u{d}ok\\u{202e}txt\\u{7}");
    assert_eq!(one_line("a\nFake: line\tb\x1b[32m"), "a\\u{a}Fake: line\\u{9}b\\u{1b}[32m");
    assert_eq!(sentence("no\nnext: line"), "no\\u{a}next: line");
}

#[test]
fn colour_is_never_recognised_in_a_text() {
    for code in ["\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[0m", "\x1b[8m"] {
        let line = render(&[(Tone::Good, "+"), (Tone::Plain, &format!(" a{code}b"))], true);
        assert_eq!(line, format!("\x1b[32m+\x1b[0m a\\u{{1b}}{}b", &code[1..]));
        assert!(!render(&[(Tone::Bad, code)], false).contains('\x1b'));
    }
}

#[test]
fn ordinary_text_stays() {
    for line in [
        "plain",
        "ü, 語 and 🎉",
        "Café Zoë Łódź naïve ça ñ ß İstanbul ığ",
        "Привет, мир",
        "ОСОБЫЙ СССР",
        "Ελληνικά",
        "Հայերեն",
        "שלום עולם",
        "مرحبا بالعالم",
        "می\u{200c}خواهم",
        "हिन्दी",
        "क्\u{200d}ष",
        "ไทย น้ำ",
        "日本語\u{3000}テキスト",
        "한국어",
        "中文",
        "Tiếng Việt",
        "🎉 🚀 ✔ → – — … « » “x” ™ © €",
        "C:\\users\\new\\table",
        "100 % {} \\ u{}",
        "/by-arch/linux-x64/app/Hello.AppImage",
    ] {
        assert_eq!(printable(line), line);
        assert_eq!(sentence(line), line);
        assert_eq!(one_line(line), line);
    }
    assert_eq!(printable("two\nlines\twith ü"), "two\nlines\twith ü");
}

#[test]
fn what_is_not_seen_is_shown() {
    let hidden = [
        '\u{0}',
        '\u{7f}',
        '\u{80}',
        '\u{9f}',
        '\u{a0}',
        '\u{ad}',
        '\u{34f}',
        '\u{61c}',
        '\u{115f}',
        '\u{1160}',
        '\u{17b4}',
        '\u{180b}',
        '\u{180d}',
        '\u{180e}',
        '\u{1680}',
        '\u{2000}',
        '\u{200a}',
        '\u{200b}',
        '\u{200c}',
        '\u{200d}',
        '\u{200e}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202a}',
        '\u{202e}',
        '\u{202f}',
        '\u{205f}',
        '\u{2060}',
        '\u{2064}',
        '\u{2066}',
        '\u{2069}',
        '\u{206f}',
        '\u{2800}',
        '\u{3164}',
        '\u{e000}',
        '\u{f8ff}',
        '\u{fe00}',
        '\u{fe0f}',
        '\u{feff}',
        '\u{ffa0}',
        '\u{fff9}',
        '\u{ffff}',
        '\u{fdd0}',
        '\u{378}',
        '\u{1d159}',
        '\u{1d173}',
        '\u{1bca0}',
        '\u{e0001}',
        '\u{e0020}',
        '\u{e0041}',
        '\u{e007f}',
        '\u{e0100}',
        '\u{f0000}',
        '\u{10ffff}',
    ];
    for c in hidden {
        let name = format!("na{c}me");
        let shown = format!("na\\u{{{:x}}}me", u32::from(c));
        assert_eq!(one_line(&name), shown);
        assert_eq!(printable(&name), shown);
    }
}

#[test]
fn second_spellings_are_shown() {
    for (name, shown) in [
        ("cafe\u{301}", "cafe\\u{301}"),
        ("\u{ff41}pp", "\\u{ff41}pp"),
        ("\u{1d41a}pp", "\\u{1d41a}pp"),
        ("\u{fb01}le", "\\u{fb01}le"),
        ("a\u{2215}b\u{2044}c\u{29f8}d", "a\\u{2215}b\\u{2044}c\\u{29f8}d"),
        ("pear\u{a789}//x", "pear\\u{a789}//x"),
        ("1\u{2024}0\u{ff0e}0", "1\\u{2024}0\\u{ff0e}0"),
        ("a\u{2010}b\u{2011}c\u{2212}d", "a\\u{2010}b\\u{2011}c\\u{2212}d"),
        ("\u{212b}ngstr\u{f6}m", "\\u{212b}ngström"),
        ("\u{1112}\u{1161}", "\\u{1112}\\u{1161}"),
        ("か\u{3099}", "か\\u{3099}"),
        ("/\u{338}x", "/\\u{338}x"),
        // Marks on nothing, and towers of them.
        ("\u{5bf}a", "\\u{5bf}a"),
        ("ก\u{e49}\u{e49}\u{e49}\u{e49}\u{e49}", "ก\u{e49}\u{e49}\u{e49}\u{e49}\\u{e49}"),
    ] {
        assert_eq!(one_line(name), shown);
    }
}

#[test]
fn words_that_look_latin_are_shown() {
    for (name, shown) in [
        // In a Latin word; a word of its own whose letters could all be Latin; one whose letters could not.
        ("\u{440}\u{430}ypal", "\\u{440}\\u{430}ypal"),
        ("\u{440}\u{430}\u{443}", "\\u{440}\\u{430}\\u{443}"),
        ("\u{421}\u{41e}\u{420}\u{415}", "\\u{421}\\u{41e}\\u{420}\\u{415}"),
        ("hello \u{43e}", "hello \\u{43e}"),
        ("\u{43c}\u{438}\u{440} \u{440}\u{430}\u{443}", "\u{43c}\u{438}\u{440} \u{440}\u{430}\u{443}"),
        ("\u{3bf}pera", "\\u{3bf}pera"),
        ("1.0.\u{43e}", "1.0.\\u{43e}"),
        ("app\u{456}", "app\\u{456}"),
        ("\u{13aa}BC", "\\u{13aa}BC"),
        ("\u{578}\u{585}", "\\u{578}\\u{585}"),
    ] {
        assert_eq!(one_line(name), shown, "{name}");
    }
}

#[test]
fn two_values_never_look_the_same() {
    let names = [
        "app",
        "app ",
        " app",
        "a pp",
        "a\u{a0}pp",
        "a\u{200b}pp",
        "a\\u{200b}pp",
        "a\\\\u{200b}pp",
        "a\\\\\\u{200b}pp",
        "a\\\u{200b}pp",
        "\u{430}pp",
        "a\u{440}p",
        "\u{ff41}pp",
        "app\u{3164}",
        "app\u{3000}",
        "app\n",
        "app\t",
        "app\u{2029}",
        "\u{202e}ppa",
        "app\u{e0041}",
        "app\x1b[32m",
        "app\\x1b[32m",
        "app\\",
        "app\\\\",
    ];
    let shown: std::collections::HashSet<String> = names.iter().map(|n| one_line(n)).collect();
    assert_eq!(shown.len(), names.len(), "{shown:?}");
    for s in shown {
        assert!(s.trim() == s && !s.chars().any(char::is_control), "{s:?}");
    }
}

#[test]
fn every_character_is_shown_or_escaped() {
    for c in ('\0'..=char::MAX).filter(|c| !c.is_ascii() || c.is_control()) {
        let shown = one_line(&format!("語{c}語"));
        let escaped = format!("語\\u{{{:x}}}語", u32::from(c));
        assert!(shown == escaped || shown == format!("語{c}語"), "{shown:?}");
        if c.is_control() || (c.is_whitespace() && c != '\u{3000}') {
            assert_eq!(shown, escaped);
        }
    }
}

#[test]
fn json_stays_json() {
    let value = serde_json::json!({ "name": "a\u{202e}b\u{9b}c\u{e0041}\x1b[32m\n\u{2029}", "fine": "ü 語 🎉 Привет" });
    let line = value.to_string();
    let shown = json_line(&line);
    assert!(
        !shown.chars().any(|c| c.is_control() || "\u{202e}\u{9b}\u{e0041}\u{2029}".contains(c)),
        "{shown}"
    );
    assert!(shown.contains("ü 語 🎉 Привет"));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
}
