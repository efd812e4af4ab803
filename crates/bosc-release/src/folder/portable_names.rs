//! Names of a release that some client cannot hold, told before it is published. The rules are those the clients ask:
//! [`bosc_names`].
//!
//! In a drive, `by-arch/<platform>/app/<name>` is read by clients of that platform: what they would refuse there is refused
//! here. What only another platform cannot hold is a warning, and only when the drive is for that platform too: it has a
//! tree for it, or no trees at all. In an archive every name must do everywhere, as its clients ask for that.

use super::glob::{Ignore, Only};
use super::package;
use super::scan::{LocalKind, Scan, scan};
use crate::error::{CommandError, ErrorKind};
use bosc_names::{Target, Twins, check_link, check_name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Most findings of a kind that are kept.
const MAX_FOUND: usize = 1000;

/// A name that is refused somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameFound {
    /// The file: a drive key, or its path in an archive.
    pub key: String,
    /// Who refuses it.
    pub on: Target,
    /// Why.
    pub why: String,
}

impl NameFound {
    /// As events tell it.
    pub fn told(&self) -> BadName {
        BadName {
            path: self.key.trim_start_matches('/').to_owned(),
            system: self.on.name().to_owned(),
            why: self.why.clone(),
        }
    }
}

/// A name that some system cannot hold, as events tell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadName {
    /// Its path in the folder.
    pub path: String,
    /// The system.
    pub system: String,
    /// Why.
    pub why: String,
}

/// What is wrong with the names of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameReport {
    /// What clients of its platform refuse.
    pub refused: Vec<NameFound>,
    /// What other systems cannot hold.
    pub warned: Vec<NameFound>,
}

impl NameReport {
    /// The error when anything is refused.
    ///
    /// # Errors
    /// `ERR_INVALID_NAME`.
    pub fn check(&self) -> Result<(), CommandError> {
        match self.refused.first() {
            None => Ok(()),
            Some(first) => Err(refused(first, self.refused.len())),
        }
    }
}

fn refused(first: &NameFound, count: usize) -> CommandError {
    let shown: String = first.key.trim_start_matches('/').chars().take(200).collect();
    let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
    let who = match first.on {
        Target::Archive => "every client of an archive refuses".to_owned(),
        on => format!("clients on {} refuse", on.name()),
    };
    CommandError::new(
        ErrorKind::Input,
        "ERR_INVALID_NAME",
        format!("{who} {shown:?}: {}{more}; nothing was written", first.why),
    )
    .hint("rename it in the build, or leave it out")
}

fn note(list: &mut Vec<NameFound>, key: &str, on: Target, why: impl ToString) {
    if list.len() < MAX_FOUND {
        list.push(NameFound { key: key.to_owned(), on, why: why.to_string() });
    }
}

/// `by-arch/<platform>/app/<name>` of a key: the platform, the name, and what is below it.
fn build_of(key: &str) -> Option<(&str, &str, &str)> {
    let mut parts = key.strip_prefix("/by-arch/")?.splitn(4, '/');
    let (platform, app, name) = (parts.next()?, parts.next()?, parts.next()?);
    (app == "app" && !name.is_empty()).then_some((platform, name, parts.next().unwrap_or_default()))
}

/// Looks at all keys of a drive, with the targets of its symlinks. `app`: the application's name, then those of its
/// programs; links are only held to leading nowhere else in builds of these names, which clients read whole.
pub(crate) fn check_drive<'k>(
    keys: impl Iterator<Item = (&'k str, Option<&'k str>)> + Clone,
    app: &[String],
) -> NameReport {
    let mut report = NameReport::default();
    if is_portable(keys.clone()) {
        return report;
    }
    let mut systems: Vec<Target> = keys
        .clone()
        .filter_map(|(key, _)| Target::of_platform(build_of(key)?.0))
        .fold(Vec::new(), |mut all, on| {
            if !all.contains(&on) {
                all.push(on);
            }
            all
        });
    if systems.is_empty() {
        systems = vec![Target::Darwin, Target::Windows];
    }
    let others = systems.iter().filter(|on| **on != Target::Linux);
    let mut everywhere: Vec<(Target, Twins<'_>)> = others.map(|on| (*on, Twins::new(*on))).collect();
    let mut trees: BTreeMap<(&str, &str), Twins<'_>> = BTreeMap::new();
    let bins = app.get(1..).unwrap_or_default();
    for (key, link) in keys {
        let path = key.trim_start_matches('/');
        let own = build_of(key).and_then(|(platform, name, rest)| {
            let on = Target::of_platform(platform)?;
            Some((on, platform, name, rest))
        });
        if let Some((on, platform, name, rest)) = own {
            let parts = std::iter::once(name).chain(rest.split('/')).filter(|p| !p.is_empty());
            for problem in parts.filter_map(|part| check_name(part, on).err()) {
                note(&mut report.refused, key, on, problem);
            }
            if let Err(clash) = trees.entry((platform, name)).or_insert_with(|| Twins::new(on)).add(rest)
                && !rest.is_empty()
            {
                note(&mut report.refused, key, on, clash_text(&clash));
            }
            let is_read = app.first().is_some_and(|app| package::fits(name, app, bins));
            if let Some(target) = link.filter(|_| is_read && !rest.is_empty())
                && let Err(problem) = check_link(rest, target, on)
            {
                note(&mut report.refused, key, on, format!("it is a symlink that {problem}"));
            }
        }
        let own = own.map(|(on, ..)| on);
        for (on, twins) in &mut everywhere {
            let clash = twins.add(path).err();
            if own == Some(*on) {
                continue;
            }
            if let Some(problem) = path.split('/').find_map(|part| check_name(part, *on).err()) {
                note(&mut report.warned, key, *on, problem);
            } else if let Some(clash) = clash {
                note(&mut report.warned, key, *on, clash_text(&clash));
            }
        }
        // A line end in a name is a mistake wherever it can be.
        if everywhere.iter().all(|(on, _)| *on != Target::Windows) && path.contains(|c: char| c.is_control())
        {
            note(&mut report.warned, key, Target::Archive, "its name holds a control character");
        }
    }
    report
}

/// Whether every name does everywhere and no link is in a build: so most drives are, and it is cheap to see.
fn is_portable<'k>(keys: impl Iterator<Item = (&'k str, Option<&'k str>)>) -> bool {
    let on = Target::Archive;
    let (mut twins, mut last) = (Twins::new(on), "");
    for (key, link) in keys {
        let path = key.trim_start_matches('/');
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        // Files of one folder come one after the other.
        let fits = (folder == last || folder.split('/').all(|part| check_name(part, on).is_ok()))
            && check_name(name, on).is_ok()
            && twins.add(path).is_ok()
            && (link.is_none() || build_of(key).is_none());
        if !fits {
            return false;
        }
        last = folder;
    }
    true
}

fn clash_text(clash: &bosc_names::Clash) -> String {
    match clash {
        bosc_names::Clash::Twin(other) => {
            format!("it and {other:?} differ in case or Unicode form only: they are one file there")
        }
        clash => format!("it {clash}"),
    }
}

/// Looks at a build that goes into an archive, or is installed as if it came in one: `found` lies below the folder `name`.
pub(crate) fn check_archive(name: &str, found: &Scan) -> NameReport {
    let mut report = NameReport::default();
    let on = Target::Archive;
    if let Err(problem) = check_name(name, on) {
        note(&mut report.refused, name, on, problem);
    }
    let mut twins = Twins::new(on);
    for file in &found.files {
        let path = file.key.trim_start_matches('/');
        let shown = format!("{name}{}", file.key);
        if let Some(problem) = path.split('/').find_map(|part| check_name(part, on).err()) {
            note(&mut report.refused, &shown, on, problem);
        } else if let Err(clash) = twins.add(path) {
            note(&mut report.refused, &shown, on, clash_text(&clash));
        }
        if let LocalKind::Symlink { target } = &file.kind
            && let Err(problem) = check_link(path, target, on)
        {
            note(&mut report.refused, &shown, on, format!("it is a symlink that {problem}"));
        }
    }
    report
}

/// Looks at a build on disk, a file or a folder, as `check_archive` does.
///
/// # Errors
/// `ERR_INVALID_NAME`, or what keeps the folder from being read.
pub fn check_build(path: &Path) -> Result<(), CommandError> {
    let Some(name) = path.file_name().and_then(|n| n.to_str()) else { return Ok(()) };
    if !path.is_dir() {
        return check_archive(name, &Scan::default()).check();
    }
    let found = scan(path, &Ignore::default(), &Only::default())?;
    check_archive(name, &found).check()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(keys: &[(&str, Option<&str>)]) -> (Vec<String>, Vec<String>) {
        let report = check_drive(keys.iter().copied(), &["Demo".to_owned()]);
        let shown = |list: &[NameFound]| list.iter().map(|f| format!("{} {}", f.on.name(), f.key)).collect();
        (shown(&report.refused), shown(&report.warned))
    }

    const BAD: [&str; 6] = ["Foo::Bar.3pm", "aux.js", "readme.", "N/a", "n/b", "line\nend"];

    fn tree(platform: &str) -> Vec<String> {
        BAD.iter().map(|bad| format!("/by-arch/{platform}/app/Demo/{bad}")).collect()
    }

    #[test]
    fn a_platforms_own_tree_is_held_to_what_its_clients_hold() {
        let keys = tree("win32-x64");
        let all: Vec<_> = keys.iter().map(|k| (k.as_str(), None)).collect();
        let (refused, warned) = check(&all);
        let expected: Vec<String> =
            keys.iter().filter(|k| !k.ends_with("N/a")).map(|k| format!("Windows {k}")).collect();
        assert_eq!((refused, warned), (expected, vec![]));

        let keys = tree("darwin-arm64");
        let all: Vec<_> = keys.iter().map(|k| (k.as_str(), None)).collect();
        let (refused, _) = check(&all);
        assert_eq!(refused, ["macOS /by-arch/darwin-arm64/app/Demo/n/b"]);
    }

    #[test]
    fn other_platforms_warn_when_the_drive_is_for_them() {
        let keys = tree("linux-x64");
        let mut all: Vec<_> = keys.iter().map(|k| (k.as_str(), None)).collect();
        let (refused, warned) = check(&all);
        assert_eq!(refused, Vec::<String>::new());
        assert_eq!(warned, ["an archive /by-arch/linux-x64/app/Demo/line\nend"], "a line end is told always");
        all.push(("/by-arch/win32-x64/app/Demo.exe", None));
        let (refused, warned) = check(&all);
        assert_eq!(refused, Vec::<String>::new());
        assert_eq!(warned.len(), 5);
        // A drive without trees is for everybody.
        let (refused, warned) = check(&[("/N/a", None), ("/n/b", None), ("/aux.js", None)]);
        assert_eq!(refused, Vec::<String>::new());
        assert_eq!(warned, ["macOS /n/b", "Windows /n/b", "Windows /aux.js"]);
    }

    #[test]
    fn links_that_leave_a_build_are_refused_where_clients_read_them() {
        let (refused, _) = check(&[
            ("/by-arch/linux-x64/app/Demo/lib/ok", Some("../x")),
            ("/by-arch/linux-x64/app/Demo/bad", Some("../../x")),
            ("/by-arch/linux-x64/app/Demo/abs", Some("/x")),
            ("/by-arch/linux-x64/app/other/up", Some("../Demo")),
            ("/link", Some("/x")),
        ]);
        assert_eq!(
            refused,
            ["Linux /by-arch/linux-x64/app/Demo/bad", "Linux /by-arch/linux-x64/app/Demo/abs"]
        );
    }

    #[test]
    fn unicode_twins_are_refused_on_macos_only() {
        let pair = |platform: &str| {
            let keys = ["caf\u{e9}", "cafe\u{301}"].map(|n| format!("/by-arch/{platform}/app/Demo/{n}"));
            check(&[(&keys[0], None), (&keys[1], None)]).0.len()
        };
        assert_eq!((pair("darwin-x64"), pair("win32-x64"), pair("linux-x64")), (1, 0, 0));
    }

    #[cfg(unix)]
    #[test]
    fn archives_take_what_every_system_holds() {
        for bad in BAD {
            let dir = tempfile::tempdir().unwrap();
            let app = dir.path().join("Demo");
            for name in [bad, "N/a"] {
                let path = app.join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, "x").unwrap();
            }
            let result = check_build(&app);
            if bad == "N/a" {
                result.unwrap();
            } else {
                let error = result.unwrap_err();
                assert_eq!(error.code(), "ERR_INVALID_NAME", "{bad:?}");
                assert!(!error.hint_text().is_empty());
            }
        }
    }
}
