use super::*;
use proptest::prelude::*;

const KEY: &str = "5db4ysm3yq3e47ehpafznb5zmahe7tpd37ujzze6x5nbznhxp33y";
const HASH: &str = "xfbq5mi8sxuosdsjc9kisc3ity69io5z7cw4s5i11ds1pmij6j3y";

fn shown(text: &str) -> String {
    Link::parse_in(text, Some("/home/me")).unwrap().to_string()
}

#[test]
fn every_form_of_a_pear_link_is_read_and_written() {
    let key = id::decode(KEY).unwrap();
    let hash = id::decode(HASH).unwrap();
    for (text, link) in [
        (format!("pear://{KEY}"), PearLink::new(key)),
        (format!("pear://0.5.{KEY}"), PearLink::verlink(key, 0, 5)),
        (format!("pear://2.1000.{KEY}.{HASH}"), PearLink::hashlink(key, 2, 1000, hash)),
    ] {
        assert_eq!(PearLink::parse(&text).as_ref(), Ok(&link));
        assert_eq!(link.to_string(), text);
        let with_path = format!("{text}/by-arch/linux-x64/?a=b#top");
        let parsed = PearLink::parse(&with_path).unwrap();
        assert_eq!(
            (parsed.pathname.as_str(), parsed.search.as_str(), parsed.fragment.as_str()),
            ("/by-arch/linux-x64/", "?a=b", "#top")
        );
        assert_eq!(parsed.to_string(), with_path);
        assert_eq!(parsed.origin(), PearLink::new(key));
    }
    assert_eq!(PearLink::parse(KEY), Ok(PearLink::new(key)));
}

/// Texts and what `pear-link`'s parse and serialize made of them under Node.js.
#[test]
fn texts_become_what_the_javascript_module_makes_of_them() {
    let hex = data_encoding::HEXUPPER.encode(&id::decode(KEY).unwrap());
    for (text, expected) in [
        (format!("pear://{KEY}/a b/../c?x=1#f"), format!("pear://{KEY}/c?x=1#f")),
        (format!("pear://{hex}/é%41?q a#f g"), format!("pear://{KEY}/%C3%A9%41?q%20a#f%20g")),
        (format!("  pear://{KEY}"), format!("pear://{KEY}")),
        (format!("pear://{KEY}/"), format!("pear://{KEY}/")),
        (format!("pear://{KEY}/a//b/./c/.."), format!("pear://{KEY}/a//b/")),
        (format!("pear://{KEY}/^`{{}}|\\\"<>"), format!("pear://{KEY}/^%60%7B%7D|\\%22%3C%3E")),
        ("file:///a/b/".into(), "file:///a/b/".into()),
        ("/a/b c".into(), "file:///a/b%20c".into()),
        ("rel/x".into(), "file:///home/me/rel/x".into()),
        ("C:\\foo\\bar".into(), "file:///C:/foo/bar".into()),
        ("file://".into(), "file:///".into()),
        ("/".into(), "file:///".into()),
        ("file:///a/./b/../c?x#y".into(), "file:///a/c?x#y".into()),
        ("file:///a%20b".into(), "file:///a%20b".into()),
    ] {
        assert_eq!(shown(&text), expected, "{text}");
    }
}

#[test]
fn wrong_links_say_what_is_wrong() {
    use LinkError::*;
    let parse = |t: &str| Link::parse(t).unwrap_err();
    assert_eq!(parse(""), Empty);
    assert_eq!(parse("''"), Empty);
    assert_eq!(parse("http://x"), UnsupportedProtocol("http".into()));
    assert_eq!(parse("pear://"), InvalidKey("".into()));
    assert_eq!(parse("pear:///x"), InvalidKey("".into()));
    assert_eq!(parse("pear://1.2"), IncorrectHost("1.2".into()));
    assert_eq!(parse("pear://1.2.3.4.5"), IncorrectHost("1.2.3.4.5".into()));
    assert_eq!(parse(&format!("pear://1.2.{KEY}.{HASH}.x")), IncorrectHost(format!("1.2.{KEY}.{HASH}.x")));
    assert_eq!(parse(&format!("pear://{KEY}:80/x")), IncorrectHost(format!("{KEY}:80")));
    assert_eq!(parse(&format!("pear://u@{KEY}")), IncorrectHost(format!("u@{KEY}")));
    assert_eq!(parse("pear://keet"), OldName("keet".into()));
    assert_eq!(parse("pear://0.1.keet"), OldName("keet".into()));
    assert_eq!(parse(&format!("pear://x.2.{KEY}")), NotANumber { what: "fork", text: "x".into() });
    for bad in ["", "-1", "+1", "1e3", "0x10", "9007199254740992", "99999999999999999999", "١"] {
        let error = parse(&format!("pear://0.{bad}.{KEY}"));
        assert_eq!(error, NotANumber { what: "length", text: bad.into() });
    }
    assert_eq!(parse(&format!("pear://0.1.{KEY}.zz")), InvalidHash("zz".into()));
    assert_eq!(parse(&format!("pear://{}", KEY.to_uppercase())), InvalidKey(KEY.to_uppercase()));
    assert_eq!(parse("file://host/x"), FileHost);
    assert_eq!(parse("rel"), RelativePath("rel".into()));
    assert_eq!(parse(&"a".repeat(MAX_LINK + 1)), TooLong);
    assert_eq!(PearLink::parse("/tmp/x"), Err(NotPear("/tmp/x".into())));
    assert_eq!(PearLink::parse("rel"), Err(NotPear("rel".into())));
    assert!(OldName("keet".into()).to_string().contains("use the key"));
}

#[test]
fn one_pair_of_quotes_is_taken_off() {
    for q in ['"', '\'', '`'] {
        assert_eq!(shown(&format!("{q}pear://{KEY}{q}")), format!("pear://{KEY}"));
        assert_eq!(PearLink::parse(&format!(" {q}{KEY}{q} ")).map(|l| l.key), Ok(id::decode(KEY).unwrap()));
    }
    assert!(Link::parse(&format!("\"pear://{KEY}'")).is_err());
}

#[test]
fn paths_come_back_as_they_were() {
    for path in ["/a/b c", "/100%/x", "/a%20b", "/what?/#1", "/é/ü", "/"] {
        let link = FileLink::from_path(path);
        assert_eq!(link.path(), path);
        assert_eq!(Link::parse(&link.to_string()), Ok(Link::File(link)));
    }
    assert_eq!(FileLink::from_path("C:\\a b\\c").path(), "C:/a b/c");
    assert_eq!(PearLink::parse(&format!("pear://{KEY}/a%20b")).unwrap().path().as_deref(), Some("/a b"));
    assert_eq!(PearLink::parse(&format!("pear://{KEY}/%ff")).unwrap().path(), None);
    assert_eq!(normalize("pear://x/"), "pear://x");
    assert_eq!(normalize("pear://x"), "pear://x");
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        key: [u8; 32], fork in 0..1u64 << 53, length in 0..1u64 << 53, hash: Option<[u8; 32]>, path in "(/[ -~é]{0,20})?"
    ) {
        let mut link = PearLink::verlink(key, fork, length);
        link.hash = hash;
        let path = path.replace(['?', '#'], "");
        let link = PearLink::parse(&format!("{link}{path}")).unwrap();
        prop_assert_eq!(PearLink::parse(&link.to_string()), Ok(link));
    }

    #[test]
    fn no_text_panics(text in ".{0,80}", host in "[a-z0-9.]{0,130}") {
        let _ = Link::parse_in(&text, Some("/x"));
        let _ = PearLink::parse(&format!("pear://{host}{text}"));
        let _ = Link::parse(&format!("file://{text}"));
    }
}

/// Expected values are those of `pathToFileURL` of Node.js 20 on Linux.
#[test]
fn every_character_of_a_path_stands_for_itself() {
    for (path, pathname) in
        [("/a\\b", "/a%5Cb"), ("/a\tb", "/a%09b"), ("/a\nb", "/a%0Ab"), ("/a%b", "/a%25b")]
    {
        let link = FileLink::from_path(path);
        assert_eq!(link.pathname, pathname);
        assert_eq!(link.path(), path);
        assert_eq!(Link::parse(&link.to_string()), Ok(Link::File(link)));
    }
}
