#![allow(clippy::unwrap_used)]
use super::*;
use crate::dashboard::snapshot::{
    CeremonyView, Change, MAX_NOTES, NextStep, PolicyView, ReleaseView, SaidView, Sample, SignerView,
    VersionShare,
};
use crate::doctor::{Finding, Level};
use crate::event::{CostBasis, UpdateCost};

/// A line with everything, all of whose texts are `text`, and as much of everything as is kept.
fn full(text: &str, link: &str) -> LineView {
    let t = || text.to_owned();
    LineView {
        name: Some(t()),
        source: Some(t()),
        link: Some(link.to_owned()),
        verlink: Some(t()),
        app: Some(t()),
        version: Some(t()),
        length: 9,
        fork: 1,
        release_bytes: Some(1),
        total_bytes: 2,
        peers: 3,
        wanted: 2,
        conflicts: 1,
        shares: (0..12)
            .map(|n| VersionShare { version: Some(format!("{text}{n}")), seeders: 1, followers: 2 })
            .collect(),
        releases: (0..10)
            .map(|n| ReleaseView {
                version: Some(t()),
                length: n,
                notes: Some(t()),
                changes: vec![Change { file: t(), bytes: Some(1), before: None }; 12],
                ..ReleaseView::default()
            })
            .collect(),
        more_releases: 5,
        costs: vec![
            UpdateCost {
                platform: t(),
                from: t(),
                bytes: 1,
                without: None,
                basis: CostBasis::Publisher
            };
            24
        ],
        policy: Some(PolicyView {
            channel: Some(t()),
            minimum: Some(t()),
            operators: vec![t(); 40],
            said: vec![
                SaidView { operator: t(), version: t(), halt: Some(t()), rollout: Some(150), time: 1 };
                99
            ],
            freshness: Some(60),
            ..PolicyView::default()
        }),
        ceremony: Some(CeremonyView {
            quorum: 2,
            signers: vec![SignerView { key: t(), signed: true }; 99],
            problems: vec![t(); 99],
            ..CeremonyView::default()
        }),
        findings: vec![
            Finding {
                check: t().into(),
                level: Level::Bad,
                message: t(),
                next: Some(format!("{text} `bosc {text}`"))
            };
            60
        ],
        examined: Some(1),
        adoption: (0..720)
            .map(|n| Sample { at: n * 10_800, seeders: 1, versions: vec![(t(), n), ("1.0.0".into(), 2)] })
            .collect(),
        next: vec![NextStep { why: t(), command: t() }; 20],
        error: Some(t()),
        ..LineView::default()
    }
}

fn with(lines: Vec<LineView>) -> Snapshot {
    Snapshot { at: 2_000_000, program: "0.1.0".into(), lines, ..Snapshot::default() }
}

#[test]
fn every_text_of_a_drive_stays_a_text() {
    let hostile = "<script src=//x>\"'&</script><img onerror=1>\u{202e}\u{1b}[31m";
    for text in [hostile, "javascript:alert(1)", "]]></svg><style>*{}</style>"] {
        let s = with(vec![full(text, "pear://a"), full(text, "pear://b")]);
        for html in [whole(&s, View::All), whole(&s, View::Line("a")), part(&s, View::Line("b"))] {
            assert_eq!(html.matches("<script").count(), usize::from(html.starts_with("<!doctype")), "ours");
            for bad in
                ["<img onerror", "<style", "\u{202e}", "\u{1b}", " onclick", " style=", "href=\"javascript"]
            {
                assert!(!html.contains(bad), "{bad}");
            }
            // Tags are those of this program, and each that opens closes.
            for tag in ["section", "table", "div", "dl", "ul", "details", "svg", "code", "span"] {
                let open = html.matches(&format!("<{tag}")).filter(|_| true).count();
                let close = html.matches(&format!("</{tag}>")).count();
                let self_closed = 0;
                assert_eq!(open, close + self_closed, "{tag}");
            }
        }
    }
}

#[test]
fn a_page_stays_below_its_budget_whatever_is_in_it() {
    // Longer than any text is shown, and each character of it longer when it is.
    let long = "<&>\u{202e}".repeat(MAX_NOTES);
    let loaded = STYLE.len() + SCRIPT.len() + ICON.len();
    let one = with(vec![full(&long, "pear://a")]);
    let all = with((0..100).map(|n| full(&long, &format!("pear://{n}"))).collect());
    for html in [whole(&one, View::All), whole(&one, View::Line("a")), whole(&all, View::All)] {
        assert!(html.len() + loaded <= PAGE_MAX, "{} + {loaded}", html.len());
    }
    // What releases look like, as much of it as is kept.
    let usual = |n: usize| full("a-name-of-40-characters-or-nearly-so-1", &format!("pear://{n}"));
    let many = with((0..100).map(usual).collect());
    for html in
        [whole(&many, View::All), whole(&many, View::Line("7")), whole(&with(vec![usual(1)]), View::All)]
    {
        assert!(html.len() + loaded <= PAGE_MAX, "{} + {loaded}", html.len());
    }
}

#[test]
fn nothing_that_is_not_there_breaks_a_page() {
    for s in [Snapshot::default(), with(vec![]), with(vec![LineView::default()])] {
        let html = whole(&s, View::All);
        assert!(html.ends_with("</html>\n"));
        assert!(!has(&s, "nothing") && part(&s, View::Line("nothing")).is_empty());
    }
    assert!(whole(&with(vec![LineView::default()]), View::All).contains("not known yet"));
}

#[test]
fn commands_in_a_remedy_can_be_copied() {
    let finding = Finding {
        check: "seeders".into(),
        level: Level::Bad,
        message: "nobody has it".into(),
        next: Some("run `bosc seed pear://a` elsewhere, or set `upgrade`".into()),
    };
    let s = with(vec![LineView {
        findings: vec![finding],
        examined: Some(1),
        link: Some("pear://a".into()),
        ..LineView::default()
    }]);
    let html = part(&s, View::Line("a"));
    assert!(
        html.contains("<code>bosc seed pear://a</code><button type=\"button\" data-copy hidden>"),
        "{html}"
    );
    assert!(html.contains("<code>upgrade</code>"));
}
