use super::*;
use proptest::prelude::*;

fn ignores(patterns: &[&str], key: &str) -> bool {
    Ignore::new(patterns).unwrap().ignores(key)
}

#[test]
fn what_matches_nothing_is_known() {
    let ignore = Ignore::new(["a/*.js", "typo", "{x,y}", "!keep", "big", "big/inner"]).unwrap();
    assert_eq!(ignore.unused().len(), 6);
    assert!(ignore.ignores("/a/b.js") && ignore.ignores("/y") && !ignore.ignores("/other"));
    // What lies below a folder that is left out is not asked about.
    assert!(ignore.ignores_all_below("/big"));
    assert_eq!(ignore.unused(), ["typo", "!keep"]);
    let only = Only::new(["src", "./gone", "src/x"]).unwrap();
    assert!(only.takes("/src/a") && only.may_take_below("/gone"));
    assert_eq!(only.unused(), ["./gone", "src/x"]);
    assert!(only.takes("/src/x"));
    assert_eq!(only.unused(), ["./gone"]);
}

#[test]
fn an_ignore_file_is_asked_last() {
    let file = IgnoreFile::parse("logs/\n*.tmp\n!b.tmp\n").unwrap();
    let ignore = Ignore::new(["b.tmp", "!logs/kept"]).unwrap().with_file(Some(file));
    assert!(ignore.ignores("/a.tmp") && ignore.ignores("/b.tmp") && ignore.ignores("/logs/x"));
    assert!(!ignore.ignores("/logs/kept") && !ignore.ignores("/c"));
    assert!(!ignore.ignores("/logs"), "a file of that name");
    assert!(!ignore.ignores_all_below("/logs"), "`!` of the command line reaches into it");
}

#[test]
fn patterns_mean_what_they_mean_in_pear() {
    for (pattern, hits, misses) in [
        (
            "node_modules",
            &["/node_modules", "/node_modules/a/b"][..],
            &["/node_modules2", "/x/node_modules"][..],
        ),
        ("/a/b/", &["/a/b", "/a/b/c"], &["/a", "/a/bc"]),
        ("*.js", &["/a.js", "/a.js/b"], &["/.js", "/d/a.js", "/a.jsx", "/ajs"]),
        ("/**/*.js", &["/d/a.js", "/d/e/a.js"], &["/a.js", "/d/a.ts"]),
        ("**/*.js", &["/d/a.js"], &["/a.js"]),
        ("d/**", &["/d/a", "/d/e/f"], &["/d", "/e/d/a"]),
        ("d/*/x", &["/d/a/x", "/d/a/x/y"], &["/d/x", "/d/a/b/x"]),
        // What Pear does not do: a second `**`, a prefix before the star, sets and alternatives.
        ("**/a/**/b", &["/x/a/y/b", "/x/a/y/z/b"], &["/a/y/b", "/x/a/b"]),
        ("lib*", &["/lib1", "/library/a"], &["/lib", "/alib1"]),
        ("a?c", &["/abc"], &["/ac", "/a/c"]),
        ("[a-c]x[!1]", &["/axa", "/cx2"], &["/dxa", "/ax1"]),
        ("*.{js,ts}", &["/a.js", "/b.ts"], &["/a.css", "/a.{js,ts}"]),
        ("a{b", &["/a{b"], &["/ab"]),
        ("a[b", &["/a[b"], &["/ab"]),
        ("f (1).txt", &["/f (1).txt"], &["/f 1.txt"]),
        ("dir\\file", &["/dir/file"], &["/dir"]),
    ] {
        for key in hits {
            assert!(ignores(&[pattern], key), "{pattern} should match {key}");
        }
        for key in misses {
            assert!(!ignores(&[pattern], key), "{pattern} should not match {key}");
        }
    }
}

#[test]
fn taking_back_wins_and_keeps_folders_open() {
    let i = Ignore::new(["a", "!a/keep", "!**/*.md", ""]).unwrap();
    assert!(i.ignores("/a/x"));
    assert!(!i.ignores("/a/keep"));
    assert!(!i.ignores("/a/keep/x"));
    assert!(!i.ignores("/a/x.md"));
    assert!(!i.ignores_all_below("/a"));
    let i = Ignore::new(["a", "b", "!a/keep/*.md"]).unwrap();
    assert!(!i.ignores_all_below("/a"));
    assert!(!i.ignores_all_below("/a/keep"));
    assert!(i.ignores_all_below("/a/drop"));
    assert!(i.ignores_all_below("/b"));
    assert!(!i.ignores_all_below("/c"));
}

#[test]
fn only_takes_files_and_folders() {
    let o = Only::new(["lib", "/bin/x", ""]).unwrap();
    for key in ["/lib/a", "/lib", "/bin/x"] {
        assert!(o.takes(key), "{key}");
    }
    for key in ["/library", "/bin/y", "/a"] {
        assert!(!o.takes(key), "{key}");
    }
    assert!(o.may_take_below("/bin") && o.may_take_below("/lib/deep") && !o.may_take_below("/other"));
    assert!(Only::default().takes("/x") && Only::new(["/"]).unwrap().takes("/x"));
    assert!(Only::new(["../x"]).is_err());
}

#[test]
fn hostile_patterns_end_quickly() {
    let many = "{a,b}".repeat(40);
    assert!(matches!(Ignore::new([many]), Err(GlobError::TooLong(_))));
    assert!(matches!(Ignore::new(["x".repeat(5000)]), Err(GlobError::TooLong(_))));
    let stars = "*a".repeat(1000);
    assert!(!Ignore::new([stars]).unwrap().ignores(&format!("/{}b", "a".repeat(3000))));
}

proptest! {
    /// Against the definition by backtracking, on a small alphabet.
    #[test]
    fn matching_agrees_with_backtracking(pattern in "[ab/*]{0,8}", path in "[ab/]{1,10}") {
        fn rec(p: &[char], s: &[char]) -> bool {
            match p {
                [] => s.is_empty() || s.first() == Some(&'/'),
                ['*', '*', p @ ..] => (0..=s.len()).any(|n| rec(p, s.get(n..).unwrap())),
                ['*', p @ ..] => (1..=s.len())
                    .take_while(|&n| s.get(n - 1) != Some(&'/'))
                    .any(|n| rec(p, s.get(n..).unwrap())),
                [c, p @ ..] => s.first() == Some(c) && rec(p, s.get(1..).unwrap()),
            }
        }
        let clean = pattern.trim_matches('/');
        let (p, s): (Vec<char>, Vec<char>) = (clean.chars().collect(), path.chars().collect());
        let expected = !clean.is_empty() && rec(&p, &s);
        let key = format!("/{path}");
        prop_assert_eq!(Ignore::new([&pattern]).unwrap().ignores(&key), expected);
    }

    #[test]
    fn any_text_is_a_pattern_or_an_error(pattern in any::<String>(), key in any::<String>()) {
        if let Ok(i) = Ignore::new([pattern]) {
            let _ = (i.ignores(&key), i.ignores_all_below(&key));
        }
    }
}
