//! Judges what the link releases: package.json, builds of the platforms, names, versions.

use super::facts::Facts;
use super::finding::{AddFinding, Level};
use semver::Version;

pub(super) fn package(f: &Facts, add: &mut AddFinding<'_>) {
    use Level::{Bad, Ok, Warn};
    if f.package_mark {
        add(
            "package",
            Bad,
            "package.json starts with a byte order mark, so JavaScript clients cannot read it".into(),
            "save it as UTF-8 without a mark and stage again",
        );
        return;
    }
    if f.package_away {
        add(
            "package",
            Bad,
            "package.json is in the drive, and no peer that was found has its content".into(),
            "seed the drive from a store that has all of it",
        );
        return;
    }
    if !f.package {
        add(
            "package",
            Bad,
            "there is no readable package.json in the drive".into(),
            "stage a deployment directory made with `bosc build`",
        );
        return;
    }
    match f.version.as_deref().map(|v| (v, Version::parse(v))) {
        None => add(
            "version",
            Bad,
            "package.json has no version, so no client can update".into(),
            "add a version and stage again",
        ),
        Some((text, Err(_))) => add(
            "version",
            Bad,
            format!("the version {text:?} is not SemVer, so clients fail on it"),
            "use a version like 1.2.3 and stage again",
        ),
        Some((text, Result::Ok(v))) if !v.pre.is_empty() => add(
            "version",
            Warn,
            format!("version {text} is a prerelease: it can be followed, but not provisioned"),
            "stage a version without a suffix before you provision",
        ),
        Some((text, Result::Ok(_))) => add("version", Ok, format!("version {text}"), ""),
    }
    match (&f.upgrade, &f.upgrade_key) {
        (None, _) => add(
            "upgrade",
            Warn,
            "package.json has no upgrade link: applications built from it never update".into(),
            "set \"upgrade\" to the link the application is to follow, build and stage again",
        ),
        (Some(text), None) => add(
            "upgrade",
            Bad,
            format!("upgrade is not a pear link: {:?}", text.chars().take(120).collect::<String>()),
            "set \"upgrade\" to a link like pear://<key>, build and stage again",
        ),
        (Some(_), Some(key)) if *key == f.key => {
            add("upgrade", Ok, "applications built from it follow this link".into(), "")
        }
        (Some(text), Some(_)) => add(
            "upgrade",
            if f.signers > 1 { Warn } else { Ok },
            format!("applications built from it follow another link: {text}"),
            if f.signers > 1 {
                "right when followers are to move to that link; else set \"upgrade\" to this one"
            } else {
                ""
            },
        ),
    }
}

pub(super) fn platforms(f: &Facts, add: &mut AddFinding<'_>) {
    use Level::{Bad, Ok, Warn};
    if f.platforms.is_empty() {
        add(
            "platforms",
            Bad,
            "there is no /by-arch/<platform>/app in the drive, so no client finds a build".into(),
            "make the folder with `bosc build` and stage it",
        );
        return;
    }
    for p in &f.platforms {
        let version = p.version.as_deref().unwrap_or("an unknown version");
        let text =
            format!("{}: {} (last changed in {version}, length {})", p.platform, p.apps.join(", "), p.length);
        let named = f.app.as_deref().is_none_or(|app| p.apps.iter().any(|a| is_app(a, app)));
        let bin = p.apps.iter().any(|a| f.bins.iter().any(|b| is_app(a, b)));
        if !named && !bin {
            add(
                "platforms",
                Bad,
                format!(
                    "{text}, but the application is called {}",
                    f.app.as_deref().unwrap_or("something else")
                ),
                "name the artifact after productName (or name), then build and stage again",
            );
        } else if p.version.is_some() && f.version.is_some() && p.version != f.version {
            add(
                "platforms",
                Warn,
                text,
                "its files did not change since; if this platform was meant to be released too, build it again and stage",
            );
        } else {
            add("platforms", Ok, text, "");
        }
    }
}
/// Whether an artifact is called as the application, with or without an extension.
pub fn is_app(artifact: &str, app: &str) -> bool {
    artifact == app
        || artifact.strip_prefix(app).is_some_and(|rest| {
            matches!(rest.to_ascii_lowercase().as_str(), ".app" | ".appimage" | ".msix" | ".exe")
        })
}
/// Files that clients refuse, or that should not be there.
pub(super) fn files(f: &Facts, add: &mut AddFinding<'_>) {
    use Level::{Bad, Warn};
    let text = |(n, first): &(usize, String), what: &str| format!("{n} {what}: {first}");
    if let Some(found) = &f.files.refused {
        add(
            "names",
            Bad,
            text(found, "names that clients of their platform refuse"),
            "rename them and stage again: `bosc stage` says what is wrong with each",
        );
    }
    if let Some(found) = &f.files.warned {
        let what = "names that another platform cannot hold";
        add(
            "names",
            Warn,
            text(found, what),
            "rename them if the link is for that platform too, and stage again",
        );
    }
    if let Some(found) = &f.files.dangling {
        let what = "links that lead nowhere";
        add(
            "links",
            Warn,
            text(found, what),
            "make what they lead to part of the folder, or remove them, and stage again",
        );
    }
    if let Some(found) = &f.files.secret {
        add(
            "secrets",
            Warn,
            text(found, "files that look secret by their name"),
            "everybody with the link can read every version of them: change those passwords and keys, then leave the files \
             out with `--ignore` and stage again",
        );
    }
}

/// Versions that were not raised: a client updates to a newer version only.
pub(super) fn versions(f: &Facts, add: &mut AddFinding<'_>) {
    use Level::{Bad, Ok, Warn};
    let release = f.version.as_deref().unwrap_or("nothing");
    if let Some((platform, version)) = &f.not_raised {
        add(
            "raised",
            Warn,
            format!(
                "{platform} changed and the version stayed {version}: a client that has {version} does not update"
            ),
            "raise the version in package.json and in the program, build and stage again",
        );
    }
    for (file, said) in &f.says {
        add(
            "program",
            Warn,
            format!("the release says {release}, the running program {said} ({file})"),
            "raise the version in the program too, build and stage again",
        );
    }
    if let Some(aside) = &f.journal_damaged {
        add(
            "installed",
            Warn,
            format!("the updater's journal of the application was damaged: {aside}"),
            "the application keeps working, but a release on trial is not rolled back by itself: if it does not work, \
             install it again; otherwise remove that file",
        );
    }
    match &f.installed {
        None => {}
        Some(Err(why)) => add(
            "installed",
            Bad,
            format!("what is known of the installed application cannot be read: {why}"),
            "run `bosc doctor` as the user who runs the application, and give the path that is replaced with --app",
        ),
        Some(Result::Ok(Some((release, said)))) => add(
            "installed",
            Warn,
            format!("the release says {release}, the running program {said}"),
            "the installed release was built without raising the version in the program: raise it in the next \
             release, which corrects this",
        ),
        Some(Result::Ok(None)) if f.journal_damaged.is_some() => {}
        Some(Result::Ok(None)) => {
            add("installed", Ok, "the installed application says the version of its release".into(), "");
        }
    }
}
