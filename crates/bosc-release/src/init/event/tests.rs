use super::*;
use crate::golden;

#[test]
fn events_and_result_have_the_names_that_others_read() {
    use InitEvent as E;
    let builds = || vec![BuildFound { platform: "linux-x64".into(), path: "p".into(), there: true }];
    let found = |tool, builds| E::Found {
        dir: "/d".into(),
        tool,
        package: Some("f".into()),
        name: Some("n".into()),
        version: Some("1.0.0".into()),
        upgrade: Some("l".into()),
        builds,
    };
    let tools = [
        (Tool::Tauri, "tauri"),
        (Tool::ElectronBuilder, "electron-builder"),
        (Tool::ElectronForge, "electron-forge"),
        (Tool::Pear, "pear"),
        (Tool::Pyinstaller, "pyinstaller"),
        (Tool::Cargo, "cargo"),
        (Tool::Node, "node"),
        (Tool::Builds, "builds"),
    ];
    let texts = tools.map(|(_, name)| {
        format!(
            concat!(
                r#"{{"dir":"/d","tool":"{}","package":"f","name":"n","version":"1.0.0","upgrade":"l","#,
                r#""builds":[{{"platform":"linux-x64","path":"p","there":true}}]}}"#
            ),
            name
        )
    });
    let all =
        tools.iter().zip(&texts).map(|((tool, _), text)| (found(*tool, builds()), "found", text.as_str()));
    let none = E::Found {
        dir: "/d".into(),
        tool: Tool::Builds,
        package: None,
        name: None,
        version: None,
        upgrade: None,
        builds: vec![],
    };
    let writes = |change| E::Writes(FileChanged { file: "f".into(), change, diff: vec!["+a".into()] });
    golden::events(
        all.chain([
            (
                none,
                "found",
                r#"{"dir":"/d","tool":"builds","package":null,"name":null,"version":null,"upgrade":null,"builds":[]}"#,
            ),
            (writes(ChangeKind::Create), "writes", r#"{"file":"f","change":"create","diff":["+a"]}"#),
            (writes(ChangeKind::Edit), "writes", r#"{"file":"f","change":"edit","diff":["+a"]}"#),
            (writes(ChangeKind::Replace), "writes", r#"{"file":"f","change":"replace","diff":["+a"]}"#),
            (E::Kept { file: "f".into(), why: "w".into() }, "kept", r#"{"file":"f","why":"w"}"#),
        ])
        .collect(),
    );
    let done = |link: Option<&str>| InitDone {
        dir: "/d".into(),
        name: "n".into(),
        version: "1.0.0".into(),
        link: link.map(str::to_owned),
        files: vec!["f".into()],
        dry_run: false,
        next: vec!["x".into()],
    };
    golden::texts(vec![
        (
            done(Some("l")),
            r#"{"dir":"/d","name":"n","version":"1.0.0","link":"l","files":["f"],"dryRun":false,"next":["x"]}"#,
        ),
        (
            done(None),
            r#"{"dir":"/d","name":"n","version":"1.0.0","link":null,"files":["f"],"dryRun":false,"next":["x"]}"#,
        ),
    ]);
}
