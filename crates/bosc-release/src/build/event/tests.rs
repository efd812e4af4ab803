use super::*;
use crate::golden;

#[test]
fn events_and_result_have_the_names_that_others_read() {
    use BuildEvent as E;
    let building = |from| E::Building {
        name: "n".into(),
        version: "1.0.0".into(),
        target: "t".into(),
        package: "p".into(),
        from,
    };
    let begin = r#"{"name":"n","version":"1.0.0","target":"t","package":"p","from""#;
    golden::events(vec![
        (
            E::BadName(BadName { path: "a".into(), system: "Windows".into(), why: "w".into() }),
            "bad-name",
            r#"{"path":"a","system":"Windows","why":"w"}"#,
        ),
        (
            E::LooksSecret(LooksSecret { path: "a".into(), what: "w".into() }),
            "looks-secret",
            r#"{"path":"a","what":"w"}"#,
        ),
        (
            E::VersionMismatch { path: "p".into(), release: "1.0.5".into(), running: "1.0.4".into() },
            "version-mismatch",
            r#"{"path":"p","release":"1.0.5","running":"1.0.4"}"#,
        ),
        (building(PackageKind::Npm), "building", &format!(r#"{begin}:"package.json"}}"#)),
        (building(PackageKind::Cargo), "building", &format!(r#"{begin}:"Cargo.toml"}}"#)),
        (building(PackageKind::Tauri), "building", &format!(r#"{begin}:"tauri.conf.json"}}"#)),
        (building(PackageKind::TauriJson5), "building", &format!(r#"{begin}:"tauri.conf.json5"}}"#)),
        (building(PackageKind::TauriToml), "building", &format!(r#"{begin}:"Tauri.toml"}}"#)),
        (building(PackageKind::Python), "building", &format!(r#"{begin}:"pyproject.toml"}}"#)),
        (E::Carried { file: "f".into(), origin: "o".into() }, "carried", r#"{"file":"f","origin":"o"}"#),
        (E::Skipped { path: "p".into(), reason: "r".into() }, "skipped", r#"{"path":"p","reason":"r"}"#),
        (E::Warning { file: "f".into(), message: "m".into() }, "warning", r#"{"file":"f","message":"m"}"#),
        (
            E::Executable { file: "f".into(), origin: "o".into() },
            "executable",
            r#"{"file":"f","origin":"o"}"#,
        ),
    ]);
    let built = Built {
        target: "t".into(),
        name: "n".into(),
        version: "1.0.0".into(),
        executables: 1,
        platforms: vec!["linux-x64".into()],
        files: 2,
        bytes: 3,
    };
    let text = concat!(
        r#"{"target":"t","name":"n","version":"1.0.0","executables":1,"platforms":["linux-x64"],"files":2,"#,
        r#""bytes":3}"#
    );
    golden::texts(vec![(built, text)]);
}
