//! What is well and what is not with a link: findings, and whether a client would update. Pure: the engine gathers
//! [`Facts`], this judges them.
//!
//! # Files
//!
//! - `command`: gathers the facts. `content`: what the files of a drive say. `event`: events, and the result.

pub(crate) mod command;
mod content;
pub mod event;

use semver::Version;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::PathBuf;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, but not as well as it should, or not for everything.
    Warn,
    /// Clients do not update, or the link cannot be used.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at. These names are stable.
    pub check: Cow<'static, str>,
    /// How it is.
    pub level: Level,
    /// In words.
    pub message: String,
    /// What to do; none when all is well.
    pub next: Option<String>,
}

/// What a platform has in the drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Platform {
    /// As `linux-x64`.
    pub platform: String,
    /// Names in its `app` folder.
    pub apps: Vec<String>,
    /// How many files and symlinks.
    pub files: u64,
    /// Db length at which one of them last changed.
    pub length: u64,
    /// SemVer of the package.json at that length.
    pub version: Option<String>,
}

/// What is known of a link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The link without a version.
    pub link: String,
    /// Fork and length of the newest head; length 0 when nothing is known.
    pub fork: u64,
    /// Its length.
    pub length: u64,
    /// The length looked at: the link's, or the newest.
    pub at: u64,
    /// Whether `at` is the end of a batch.
    pub batch_end: bool,
    /// Connected peers that have the db.
    pub peers: usize,
    /// Peers that hold all of the db, of the blobs, of both.
    pub full: (usize, usize, usize),
    /// Whether this store holds all of both.
    pub here: bool,
    /// Blocks that are damaged here and were not fetched again.
    pub damaged: u64,
    /// Whether this process seeds it now.
    pub seeding: bool,
    /// Whether it can be written here; whether its key was imported and waits; whether others have the key.
    pub writable: bool,
    /// An imported key that has not been used.
    pub pending: bool,
    /// Other machines may have the key.
    pub shared: bool,
    /// Why the store is taken for a copy of another that may write to the link as well.
    pub copied: Option<String>,
    /// Two histories of the link that are known, and what to do about them.
    pub conflict: Option<(String, String)>,
    /// Signers and quorum.
    pub signers: usize,
    /// How many must sign.
    pub quorum: u64,
    /// Whether there is a package.json, and what it says.
    pub package: bool,
    /// `productName`, else `name`.
    pub app: Option<String>,
    /// Programs in `bin`.
    pub bins: Vec<String>,
    /// `version`.
    pub version: Option<String>,
    /// `upgrade`.
    pub upgrade: Option<String>,
    /// Key part of `upgrade`, when it is a link.
    pub upgrade_key: Option<String>,
    /// Key part of the link.
    pub key: String,
    /// What is in `by-arch`.
    pub platforms: Vec<Platform>,
    /// Its package.json starts with a byte order mark.
    pub package_mark: bool,
    /// What is wrong with files of the drive.
    pub files: FilesFound,
    /// Builds that say another version than the release: the file, and the version.
    pub says: Vec<(String, String)>,
    /// A platform whose files changed without a new version, and that version.
    pub not_raised: Option<(String, String)>,
    /// Of the application that is installed here: the version of its release, and what the program says; the error when its
    /// journal cannot be read.
    pub installed: Option<Result<Option<(String, String)>, String>>,
    /// Where its updater's journal lies that was damaged.
    pub journal_damaged: Option<String>,
}

/// Files of a drive that clients refuse or that should not be there; of each kind how many, and the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilesFound {
    /// Names that clients of their own platform refuse.
    pub refused: Option<(usize, String)>,
    /// Names that other platforms refuse.
    pub warned: Option<(usize, String)>,
    /// Symlinks that lead nowhere.
    pub dangling: Option<(usize, String)>,
    /// What looks secret, by name.
    pub secret: Option<(usize, String)>,
}

fn finding(check: &'static str, level: Level, message: impl Into<String>, next: &str) -> Finding {
    let next = (!next.is_empty()).then(|| next.to_owned());
    Finding { check: check.into(), level, message: message.into(), next }
}

/// Judges a link.
pub fn judge(f: &Facts) -> Vec<Finding> {
    use Level::{Bad, Ok, Warn};
    let mut out = Vec::new();
    let mut add = |check, level, message: String, next: &str| out.push(finding(check, level, message, next));
    if f.length == 0 {
        if f.writable || f.peers > 0 {
            add(
                "resolve",
                Bad,
                "the link exists and holds nothing yet".into(),
                "stage a folder: `bosc stage <link> <dir>`",
            );
        } else {
            add(
                "resolve",
                Bad,
                "no peer that has this link was found, and it is not in this store".into(),
                "check the link, and run `bosc seed <link>` where it was staged",
            );
        }
    } else {
        add("resolve", Ok, format!("the newest version is length {} of fork {}", f.length, f.fork), "");
    }
    write_access(f, &mut add);
    match &f.conflict {
        Some((heads, next)) => add("history", Bad, format!("the link has two histories: {heads}"), next),
        None if f.length > 0 && f.peers > 0 => {
            add("history", Ok, "no peer that was found has another history of the link".into(), "");
        }
        None => {}
    }
    if f.length == 0 {
        return out;
    }
    seeders(f, &mut add);
    if f.damaged > 0 {
        add(
            "damage",
            Bad,
            format!("{} blocks of it are damaged in this store: they are not given to others", f.damaged),
            "fetch them from peers: `bosc store repair <link>`; a running `bosc seed <link>` does it by itself",
        );
    }
    if f.fork > 0 {
        add(
            "fork",
            Warn,
            format!(
                "the link was cut back {} times: it can be followed, but a quorum can never sign it",
                f.fork
            ),
            "to release it, provision it to a fresh link first",
        );
    } else {
        add("fork", Ok, "the link was never cut back".into(), "");
    }
    if f.batch_end {
        add("batch", Ok, format!("length {} is a whole version", f.at), "");
    } else {
        add(
            "batch",
            Bad,
            format!("length {} lies inside a batch: it shows half of a stage", f.at),
            "use a length that `bosc versions <link>` shows",
        );
    }
    if f.signers > 1 {
        let message = format!("{} of {} signers must sign a release", f.quorum, f.signers);
        if f.quorum <= 1 {
            add("signers", Warn, message, "a single stolen key can release; use a quorum of at least 2");
        } else if f.quorum == f.signers as u64 {
            add(
                "signers",
                Warn,
                message,
                "one lost key ends the link; use a quorum below the number of signers",
            );
        } else {
            add("signers", Ok, message, "");
        }
    } else {
        add("signers", Ok, "one signer: a stage or provision link".into(), "");
    }
    package(f, &mut add);
    platforms(f, &mut add);
    files(f, &mut add);
    versions(f, &mut add);
    out
}

/// Files that clients refuse, or that should not be there.
fn files(f: &Facts, add: &mut AddFinding<'_>) {
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
fn versions(f: &Facts, add: &mut AddFinding<'_>) {
    use Level::{Bad, Ok, Warn};
    let release = f.version.as_deref().unwrap_or("nothing");
    if let Some((platform, version)) = &f.not_raised {
        add(
            "raised",
            Warn,
            format!("{platform} changed and the version stayed {version}: who has {version} does not update"),
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
            "the application goes on as it is, but a release on trial is not rolled back by itself. If it does not work, \
             install it again; else remove that file",
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
            "the installed release was built without raising the version in the program: raise it in the next one, which \
             mends this",
        ),
        Some(Result::Ok(None)) if f.journal_damaged.is_some() => {}
        Some(Result::Ok(None)) => {
            add("installed", Ok, "the installed application says the version of its release".into(), "");
        }
    }
}

type AddFinding<'a> = dyn FnMut(&'static str, Level, String, &str) + 'a;

fn write_access(f: &Facts, add: &mut AddFinding<'_>) {
    use Level::{Ok, Warn};
    if f.pending {
        add(
            "writable",
            Ok,
            "the link's key was imported here; the next stage fetches the newest version and writes on it"
                .into(),
            "",
        );
    } else if let (true, Some(why)) = (f.writable, &f.copied) {
        add(
            "writable",
            Warn,
            format!("this store can write to the link, and is a copy of another store: {why}"),
            "before every write a peer has to show the newest version, so keep the link seeded; when the other copy is not \
             in use any more, say so once with `--sole-copy`",
        );
    } else if f.writable && f.shared {
        add(
            "writable",
            Warn,
            "this store can write to the link, and its key was exported: another machine may write to it as well".into(),
            "let only one machine stage at a time, and keep the link seeded: every stage asks peers first",
        );
    } else if f.writable {
        add("writable", Ok, "this store can write to the link".into(), "");
    } else if f.signers > 1 {
        add("writable", Ok, "nobody can write to the link alone: its signers release together".into(), "");
    } else {
        add("writable", Ok, "this store cannot write to the link, only read and seed it".into(), "");
    }
}

fn seeders(f: &Facts, add: &mut AddFinding<'_>) {
    use Level::{Bad, Ok, Warn};
    let (db, blobs, both) = f.full;
    let text = format!("{both} peers hold everything ({} connected; db {db}, blobs {blobs})", f.peers);
    let copies = both + usize::from(f.seeding && f.here);
    match copies {
        0 if f.here => add(
            "seeders",
            Bad,
            format!("{text}; this store has it all but does not seed it"),
            "run `bosc seed <link>` here and on a second machine that is always on",
        ),
        0 => add(
            "seeders",
            Bad,
            text,
            "run `bosc seed <link>` on the machine that staged it and on a second one, and let both finish",
        ),
        1 => add(
            "seeders",
            Warn,
            text,
            "seed it on one more machine that is always on: a release needs two full copies, and one can fail",
        ),
        _ => add("seeders", Ok, text, ""),
    }
}

fn package(f: &Facts, add: &mut AddFinding<'_>) {
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

fn platforms(f: &Facts, add: &mut AddFinding<'_>) {
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
                "the artifact must be named as productName (else name) says; build and stage again",
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

/// Whether and why a client would update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its version.
    pub version: Option<String>,
    /// Its platform.
    pub platform: Option<String>,
    /// Whether it would update.
    pub updates: bool,
    /// Why or why not.
    pub why: Vec<String>,
}

/// What a client of `version` on `platform` would do, going by what the JavaScript updater and ours do.
pub fn client(f: &Facts, version: Option<&str>, platform: Option<&str>) -> Result<Client, String> {
    let mut why = Vec::new();
    let mut updates = true;
    let mut no = |text: String, why: &mut Vec<String>| {
        updates = false;
        why.push(text);
    };
    let own = version
        .map(|v| {
            Version::parse(v.trim_start_matches('v')).map_err(|_| format!("--version {v:?} is not SemVer"))
        })
        .transpose()?;
    if f.length == 0 {
        no("it would wait: no peer offers a release on the link".into(), &mut why);
    } else {
        if f.full.2 == 0 && !(f.seeding && f.here) {
            why.push(
                "it would see the new version and then wait for files: no peer was found that has everything"
                    .into(),
            );
            no("it would not finish until somebody seeds all of the link".into(), &mut why);
        }
        match (f.version.as_deref().map(Version::parse), &own) {
            (Some(Ok(new)), Some(own)) => match new.cmp_precedence(own) {
                std::cmp::Ordering::Greater => why.push(format!("{new} is newer than {own}")),
                std::cmp::Ordering::Equal => {
                    no(format!("it has {own} already; only a greater version updates"), &mut why);
                }
                std::cmp::Ordering::Less => no(
                    format!(
                        "{new} is older than {own}, and clients never go back: release the old content as a higher version"
                    ),
                    &mut why,
                ),
            },
            (Some(Ok(new)), None) => why.push(format!("a client of a version below {new} would take it")),
            (Some(Err(_)), _) => no("the version in package.json is not SemVer".into(), &mut why),
            (None, _) => no("there is no version in package.json".into(), &mut why),
        }
        if let Some(platform) = platform {
            let app = f.app.as_deref().unwrap_or_default();
            match f.platforms.iter().find(|p| p.platform == platform) {
                None if f.platforms.is_empty() => {
                    no(format!("there is no build for {platform}, nor for any other system"), &mut why)
                }
                None => no(
                    format!(
                        "there is no build for {platform}; there is: {}",
                        f.platforms.iter().map(|p| p.platform.as_str()).collect::<Vec<_>>().join(", ")
                    ),
                    &mut why,
                ),
                Some(p) if !p.apps.iter().any(|a| is_app(a, app)) => no(
                    format!(
                        "the build for {platform} is called {}, and a client looks for {app}",
                        p.apps.join(", ")
                    ),
                    &mut why,
                ),
                Some(p) => why.push(format!("there is a build for {platform}: {}", p.apps.join(", "))),
            }
        }
        if f.upgrade_key.as_ref().is_some_and(|k| *k != f.key) {
            why.push(
                "only if it was built with this link as upgrade; one built from this package.json follows another".into(),
            );
        }
    }
    Ok(Client { version: own.map(|v| v.to_string()), platform: platform.map(str::to_owned), updates, why })
}

/// `bosc doctor`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doctor {
    /// The link.
    pub link: String,
    /// Version of a client to judge.
    pub version: Option<String>,
    /// Its platform, as `linux-x64`.
    pub platform: Option<String>,
    /// The path of an application that is installed on this machine and updates from the link.
    #[serde(default)]
    pub app: Option<PathBuf>,
    /// How long to look for peers, in milliseconds.
    pub timeout_ms: u64,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn healthy() -> Facts {
        Facts {
            link: "pear://k".into(),
            key: "k".into(),
            length: 9,
            at: 9,
            batch_end: true,
            peers: 2,
            full: (2, 2, 2),
            signers: 1,
            quorum: 1,
            package: true,
            app: Some("Demo".into()),
            version: Some("1.2.0".into()),
            upgrade: Some("pear://k".into()),
            upgrade_key: Some("k".into()),
            platforms: vec![Platform {
                platform: "linux-x64".into(),
                apps: vec!["Demo.AppImage".into()],
                files: 1,
                length: 9,
                version: Some("1.2.0".into()),
            }],
            ..Facts::default()
        }
    }

    fn level(f: &Facts, check: &str) -> Level {
        judge(f).iter().filter(|x| x.check == check).map(|x| x.level).max().unwrap()
    }

    #[test]
    fn a_healthy_link_has_nothing_bad_and_every_other_finding_says_what_to_do() {
        assert!(judge(&healthy()).iter().all(|f| f.level == Level::Ok && f.next.is_none()));
        type Change = Box<dyn Fn(&mut Facts)>;
        let sick: Vec<(&str, Level, Change)> = vec![
            ("resolve", Level::Bad, Box::new(|f| (f.length, f.peers) = (0, 0))),
            ("seeders", Level::Bad, Box::new(|f| f.full = (2, 0, 0))),
            ("seeders", Level::Warn, Box::new(|f| f.full = (1, 1, 1))),
            ("fork", Level::Warn, Box::new(|f| f.fork = 1)),
            ("batch", Level::Bad, Box::new(|f| f.batch_end = false)),
            ("signers", Level::Warn, Box::new(|f| (f.signers, f.quorum) = (3, 1))),
            ("signers", Level::Warn, Box::new(|f| (f.signers, f.quorum) = (3, 3))),
            ("signers", Level::Ok, Box::new(|f| (f.signers, f.quorum) = (3, 2))),
            ("package", Level::Bad, Box::new(|f| f.package = false)),
            ("version", Level::Bad, Box::new(|f| f.version = None)),
            ("version", Level::Bad, Box::new(|f| f.version = Some("1.2".into()))),
            ("version", Level::Warn, Box::new(|f| f.version = Some("1.2.0-rc.1".into()))),
            ("upgrade", Level::Warn, Box::new(|f| f.upgrade = None)),
            ("upgrade", Level::Bad, Box::new(|f| f.upgrade_key = None)),
            ("upgrade", Level::Warn, Box::new(|f| (f.key, f.signers, f.quorum) = ("m".into(), 3, 2))),
            ("platforms", Level::Bad, Box::new(|f| f.platforms.clear())),
            ("platforms", Level::Bad, Box::new(|f| f.app = Some("Other".into()))),
            (
                "platforms",
                Level::Warn,
                Box::new(|f| f.platforms.first_mut().unwrap().version = Some("1.1.0".into())),
            ),
            ("writable", Level::Warn, Box::new(|f| (f.writable, f.shared) = (true, true))),
            ("writable", Level::Warn, Box::new(|f| (f.writable, f.copied) = (true, Some("a copy".into())))),
            ("package", Level::Bad, Box::new(|f| f.package_mark = true)),
            ("names", Level::Bad, Box::new(|f| f.files.refused = Some((1, "/aux".into())))),
            ("names", Level::Warn, Box::new(|f| f.files.warned = Some((1, "/aux".into())))),
            ("links", Level::Warn, Box::new(|f| f.files.dangling = Some((1, "/a -> b".into())))),
            ("secrets", Level::Warn, Box::new(|f| f.files.secret = Some((1, "/.env".into())))),
            ("raised", Level::Warn, Box::new(|f| f.not_raised = Some(("linux-x64".into(), "1.2.0".into())))),
            ("program", Level::Warn, Box::new(|f| f.says = vec![("x/Info.plist".into(), "1.1.0".into())])),
            ("installed", Level::Bad, Box::new(|f| f.installed = Some(Err("damaged".into())))),
            ("installed", Level::Ok, Box::new(|f| f.installed = Some(Ok(None)))),
            (
                "installed",
                Level::Warn,
                Box::new(|f| {
                    f.installed = Some(Ok(None));
                    f.journal_damaged = Some("/a/.app.bosc/journal.damaged".into());
                }),
            ),
            (
                "installed",
                Level::Warn,
                Box::new(|f| f.installed = Some(Ok(Some(("1.0.5".into(), "1.0.4".into()))))),
            ),
            ("history", Level::Bad, Box::new(|f| f.conflict = Some(("two".into(), "cut it back".into())))),
        ];
        for (check, expected, change) in sick {
            let mut f = healthy();
            change(&mut f);
            assert_eq!(level(&f, check), expected, "{check}: {f:?}");
            for x in judge(&f) {
                assert_eq!(x.level == Level::Ok, x.next.is_none(), "{x:?}");
            }
        }
    }

    #[test]
    fn clients_go_by_version_platform_and_seeders() {
        let f = healthy();
        for (version, platform, updates, says) in [
            ("1.1.0", "linux-x64", true, "newer"),
            ("v1.1.9", "linux-x64", true, "newer"),
            ("1.2.0-rc.1", "linux-x64", true, "newer"),
            ("1.2.0", "linux-x64", false, "already"),
            ("1.2.0+build", "linux-x64", false, "already"),
            ("1.3.0", "linux-x64", false, "never go back"),
            ("1.1.0", "darwin-arm64", false, "no build for darwin-arm64"),
        ] {
            let c = client(&f, Some(version), Some(platform)).unwrap();
            assert_eq!(c.updates, updates, "{version} {platform}: {c:?}");
            assert!(c.why.join("; ").contains(says), "{c:?}");
        }
        assert!(client(&f, Some("one"), None).is_err());
        let alone = Facts { full: (1, 0, 0), ..healthy() };
        assert!(!client(&alone, Some("1.0.0"), None).unwrap().updates);
        let renamed = Facts { app: Some("New".into()), ..healthy() };
        assert!(!client(&renamed, Some("1.0.0"), Some("linux-x64")).unwrap().updates);
        assert!(is_app("My.App.exe", "My.App") && !is_app("My.Apps", "My.App"));
    }
}
