//! Which files `init` writes, and what they say: decided here, written in `write`.

use super::candidates::below;
use super::config::{self, Publishing};
use super::event::ChangeKind;
use super::found::{Found, Tool};
use super::look::is_plain_path;
use super::read::text;
use super::workflow::{Ci, GITHUB, GITLAB, MARK, Workflow};
use crate::build::PackageKind;
use crate::error::{CommandError, ErrorKind};
use crate::publish::package_edit::{set_product_name, set_upgrade};
use crate::publish::project_file::FILE_NAME;
use crate::stage::link_rules;
use bosc_format::id::Z32_ALPHABET;
use serde_json::json;
use std::path::Path;

/// Beside the random part, most characters of the name of a link.
const LINK_NAME: usize = 40;
/// Random characters in it.
const RANDOM: usize = 8;

/// What a person or the flags said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// What the application is called on disk.
    pub name: String,
    /// Its version.
    pub version: String,
    /// For whom the workflow is.
    pub ci: Ci,
    /// Files that were changed since `init` wrote them are written anew.
    pub force: bool,
}

/// The link that is written into files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitLink {
    /// It, or what is shown in its place.
    pub link: String,
    /// Which link of the primary key, where it is one.
    pub name: Option<String>,
}

/// A file that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// Relative to the folder, with `/`.
    pub file: String,
    /// What is there.
    pub old: Option<String>,
    /// What will be.
    pub new: String,
    /// What happens to it.
    pub change: ChangeKind,
}

/// All files, in the order in which they are written: the link comes into the package last, when everything else names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// They.
    pub files: Vec<PlannedFile>,
    /// What is left as it is, and why.
    pub kept: Vec<(String, String)>,
}

/// What a file may do when it is there and says something else.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Old {
    /// Its text was taken up into the new one.
    Taken,
    /// It is a person's now.
    Theirs,
}

impl Plan {
    /// Everything for an application.
    ///
    /// # Errors
    /// What is there is damaged, or cannot be part of it.
    pub fn new(
        dir: &Path,
        found: &Found,
        settings: &Settings,
        link: &InitLink,
    ) -> Result<Self, CommandError> {
        let of = &found.candidate;
        let paths = found.builds.values().map(|b| &b.path).chain(&of.package).chain(&of.program);
        if let Some(path) = paths.into_iter().find(|path| !is_plain_path(path)) {
            let shown: String = path.chars().take(64).collect();
            return Err(CommandError::new(
                ErrorKind::Input,
                "ERR_INVALID_APP_NAME",
                format!("{shown:?} has a sign in it that a workflow cannot hold"),
            )
            .hint("rename that file or folder: letters, digits and `. _ - +` will do"));
        }
        let mut plan = Self::default();
        let package = found.candidate.package.as_deref().unwrap_or("package.json");
        let publishing = Publishing { package, link_name: link.name.as_deref(), builds: &found.builds };
        let old = text(dir, FILE_NAME)?;
        let new = config::text(old.as_deref(), &publishing)?;
        plan.put(dir, FILE_NAME, new, Old::Taken, settings)?;
        if !found.as_it_is {
            plan.put(
                dir,
                ".bosc/.gitignore",
                "# What `bosc publish` puts together.\n*\n".into(),
                Old::Theirs,
                settings,
            )?;
        }
        plan.ignore(dir, found, settings)?;
        plan.snippet(dir, found, settings, link)?;
        plan.workflow(dir, found, settings, link)?;
        plan.package(dir, found, settings, link)?;
        Ok(plan)
    }

    fn put(
        &mut self,
        dir: &Path,
        file: &str,
        new: String,
        old: Old,
        settings: &Settings,
    ) -> Result<(), CommandError> {
        let there = text(dir, file)?;
        let change = match (&there, old) {
            (None, _) => ChangeKind::Create,
            // Where git writes the ends of lines as Windows has them.
            (Some(text), _) if *text == new || text.replace("\r\n", "\n") == new => return Ok(()),
            (Some(_), Old::Taken) => ChangeKind::Edit,
            (Some(_), Old::Theirs) if settings.force => ChangeKind::Replace,
            (Some(_), Old::Theirs) => {
                self.kept.push((
                    file.to_owned(),
                    "it was changed, or written by somebody else; --force shows what is different and replaces it".into(),
                ));
                return Ok(());
            }
        };
        self.files.push(PlannedFile { file: file.to_owned(), old: there, new, change });
        Ok(())
    }

    /// The ignore file that `stage` reads. One that is there is a person's; only what must not be released is added.
    fn ignore(&mut self, dir: &Path, found: &Found, settings: &Settings) -> Result<(), CommandError> {
        let pear = text(dir, ".boscignore")?.is_none() && text(dir, ".pearignore")?.is_some();
        let file = if pear { ".pearignore" } else { ".boscignore" };
        let mut needed: Vec<String> = Vec::new();
        if found.as_it_is {
            // The folder itself is released, and this is no part of it.
            needed.extend(
                [
                    "/bosc.toml",
                    "/.git/",
                    "/.gitignore",
                    "/.gitattributes",
                    "/.github/",
                    "/.gitlab/",
                    "/.gitlab-ci.yml",
                ]
                .map(str::to_owned),
            );
        }
        let usual = [".DS_Store", "Thumbs.db", "desktop.ini", "*.pdb", "*.dSYM/", ".env", ".env.*"];
        let new = match text(dir, file)? {
            None => {
                let lines: Vec<String> = needed.into_iter().chain(usual.map(str::to_owned)).collect();
                format!(
                    "# What `bosc publish` leaves out of a release, in the syntax of .gitignore.\n{}\n",
                    lines.join("\n")
                )
            }
            Some(old) => {
                needed.retain(|line| !old.lines().any(|l| l.trim() == line));
                if needed.is_empty() {
                    return Ok(());
                }
                let end = if old.is_empty() || old.ends_with('\n') { "" } else { "\n" };
                let break_ = if old.contains("\r\n") { "\r\n" } else { "\n" };
                format!("{old}{end}{}{break_}", needed.join(break_))
            }
        };
        self.put(dir, file, new, Old::Taken, settings)
    }

    fn snippet(
        &mut self,
        dir: &Path,
        found: &Found,
        settings: &Settings,
        link: &InitLink,
    ) -> Result<(), CommandError> {
        let Some(file) = snippet_file(found) else { return Ok(()) };
        let text = match found.candidate.tool {
            Tool::Tauri | Tool::Cargo => include_str!("templates/updates.rs").to_owned(),
            Tool::ElectronBuilder | Tool::ElectronForge => {
                [include_str!("templates/updater.mjs"), include_str!("templates/electron.mjs")].concat()
            }
            Tool::Pyinstaller => {
                [include_str!("templates/updater.py"), include_str!("templates/python.py")].concat()
            }
            _ => [include_str!("templates/updater.mjs"), include_str!("templates/node.mjs")].concat(),
        };
        let name = file.rsplit('/').next().unwrap_or(&file).to_owned();
        let new =
            text.replace("@LINK@", &link.link).replace("@NAME@", &settings.name).replace("@FILE@", &name);
        self.put(dir, &file, new, Old::Theirs, settings)
    }

    fn workflow(
        &mut self,
        dir: &Path,
        found: &Found,
        settings: &Settings,
        link: &InitLink,
    ) -> Result<(), CommandError> {
        let slug = slug(&settings.name);
        let link_name = link.name.as_deref().unwrap_or(&slug);
        let workflow = Workflow { dir, found, name: &settings.name, link_name };
        match settings.ci {
            Ci::None => Ok(()),
            Ci::Github => self.put(dir, GITHUB, workflow.github(), Old::Theirs, settings),
            Ci::Gitlab => {
                let [alone, beside] = GITLAB;
                match text(dir, alone)? {
                    Some(other) if !other.starts_with(MARK) => {
                        if !other.contains(beside) {
                            let why = format!("it is yours: add to it `include: [{{ local: '{beside}' }}]`");
                            self.kept.push((alone.to_owned(), why));
                        }
                        self.put(dir, beside, workflow.gitlab(), Old::Theirs, settings)
                    }
                    _ => self.put(dir, alone, workflow.gitlab(), Old::Theirs, settings),
                }
            }
        }
    }

    /// Name, version and link where `publish` reads them.
    fn package(
        &mut self,
        dir: &Path,
        found: &Found,
        settings: &Settings,
        link: &InitLink,
    ) -> Result<(), CommandError> {
        if found.upgrade.is_some() && found.product.is_none() {
            return Ok(());
        }
        let Some(file) = &found.candidate.package else {
            let slug = slug(&settings.name);
            let name = serde_json::Value::from(slug.as_str());
            let product = match slug == settings.name {
                true => String::new(),
                false => format!("  \"productName\": {},\n", json!(settings.name)),
            };
            let (version, link) = (json!(settings.version), json!(link.link));
            let new = format!(
                "{{\n  \"name\": {name},\n{product}  \"version\": {version},\n  \"upgrade\": {link}\n}}\n"
            );
            return self.put(dir, "package.json", new, Old::Taken, settings);
        };
        let old = text(dir, file)?.unwrap_or_default();
        let kind = PackageKind::of(Path::new(file));
        let invalid = |why: String| {
            super::read::invalid(&dir.join(file), &format!("the link cannot be put into it: {why}"))
        };
        let mut new = old;
        if let Some(name) = &found.product {
            new = set_product_name(&new, name).map_err(invalid)?;
        }
        if found.upgrade.is_none() {
            new = set_upgrade(kind, &new, &link.link).map_err(invalid)?;
        }
        self.put(dir, file, new, Old::Taken, settings)
    }
}

/// Where the snippet for the application goes; none where nothing is known of its language, or its runtime updates it.
pub(super) fn snippet_file(found: &Found) -> Option<String> {
    let package = found.candidate.package.as_deref()?;
    let folder = package.rsplit_once('/').map_or("", |(folder, _)| folder);
    match found.candidate.tool {
        Tool::Tauri | Tool::Cargo => Some(below(folder, "src/updates.rs")),
        Tool::ElectronBuilder | Tool::ElectronForge | Tool::Node => Some(below(folder, "bosc-updates.mjs")),
        Tool::Pyinstaller => Some(below(folder, "bosc_updates.py")),
        Tool::Pear | Tool::Builds => None,
    }
}

/// A name in small letters, digits and hyphens.
fn slug(name: &str) -> String {
    let dashed: String =
        name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let parts: Vec<&str> = dashed.split('-').filter(|p| !p.is_empty()).collect();
    let slug: String = parts.join("-").chars().take(LINK_NAME).collect();
    if slug.is_empty() { "app".to_owned() } else { slug.trim_end_matches('-').to_owned() }
}

/// A new name for a link of the primary key. Random, so that two projects of one name are two links.
///
/// # Errors
/// There is no randomness.
pub fn new_link_name(name: &str) -> Result<String, CommandError> {
    let mut bytes = [0u8; RANDOM];
    getrandom::fill(&mut bytes)
        .map_err(|e| CommandError::failed("no randomness").because(std::io::Error::other(e)))?;
    let letters: Vec<char> = Z32_ALPHABET.chars().collect();
    let random = bytes.iter().filter_map(|b| letters.get(usize::from(*b) % letters.len().max(1)));
    let made = format!("{}-{}", slug(name), random.collect::<String>());
    link_rules::check_name(&made)?;
    Ok(made)
}
