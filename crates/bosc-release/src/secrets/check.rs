//! From findings to errors and events, and the way for commands that do not read through the stage's pipeline.

use super::found::SecretFound;
use super::in_use::KeysInUse;
use super::kinds::{ContentVerdict, HEAD, Secret, Suspect};
use super::looks::key_looks;
use super::names::check_names;
use super::places::{StoreFolders, StorePlaces};
use super::stream::FileLook;
use crate::error::{CommandError, ErrorKind};
use crate::folder::glob::Only;
use crate::folder::pattern::GlobError;
use crate::folder::scan::{LocalFile, LocalKind, Scan};
use bosc_files::open_plain;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

impl From<SecretFound> for CommandError {
    fn from(found: SecretFound) -> Self {
        let error = CommandError::new(ErrorKind::Input, "ERR_SECRET", found.to_string());
        match found.secret {
            Secret::OwnStore => error.hint(
                "keep the store outside of the folder (`--store DIR`), or leave it out with `--ignore` or a .boscignore",
            ),
            _ => error.hint("move it out of the folder, or leave it out with `--ignore` or a .boscignore"),
        }
    }
}

/// Something that looks like a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Where: a drive key. A folder stands for all that it holds.
    pub key: String,
    /// What it seems to be.
    pub suspect: Suspect,
}

impl Found {
    /// As events tell it.
    pub fn told(&self) -> LooksSecret {
        LooksSecret {
            path: self.key.trim_start_matches('/').to_owned(),
            what: self.suspect.what().to_owned(),
        }
    }
}

/// Something that looks like a secret, as events tell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LooksSecret {
    /// Its path in the folder.
    pub path: String,
    /// What it seems to be.
    pub what: String,
}

/// What somebody knows of and allows: files, or folders with all they hold.
#[derive(Debug, Clone, Default)]
pub struct Allow(Option<Only>);

impl Allow {
    /// Takes paths as people write them.
    ///
    /// # Errors
    /// One that leads out of the folder, or too many.
    pub fn new<T: AsRef<str>>(paths: &[T]) -> Result<Self, GlobError> {
        if paths.is_empty() {
            return Ok(Self(None));
        }
        Ok(Self(Some(Only::new(paths)?)))
    }

    /// Whether this is one of them.
    pub fn allows(&self, key: &str) -> bool {
        self.0.as_ref().is_some_and(|only| only.takes(key))
    }

    /// Those at which nothing was found.
    pub fn unused(&self) -> Vec<&str> {
        self.0.as_ref().map(Only::unused).unwrap_or_default()
    }
}

/// Those which nobody publishes who did not name them: `allow` has those that were.
pub(crate) fn with_keys(found: &[Found], allow: &Allow) -> Vec<Found> {
    found.iter().filter(|f| f.suspect.is_key() && !allow.allows(&f.key)).cloned().collect()
}

/// The error of those who take no suspects, or none with a key in it.
pub(crate) fn refused(found: &[Found]) -> CommandError {
    if let Some(key) = found.iter().find(|f| f.suspect.is_key()) {
        let path = key.key.trim_start_matches('/');
        let message = format!("{path} is {}; nothing was written", key.suspect.what());
        return CommandError::new(ErrorKind::Input, "ERR_SECRET", message).hint(format!(
            "take the key out (a CI has a place for secrets), or leave the file out with `--ignore` or a .boscignore; only if \
             the key opens nothing that is in use, let it pass with `--allow-key {path}`"
        ));
    }
    let shown: Vec<String> = found
        .iter()
        .take(5)
        .map(|f| format!("{} ({})", f.key.trim_start_matches('/'), f.suspect.what()))
        .collect();
    let more = match found.len().saturating_sub(shown.len()) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let first = found.first().map_or("PATH", |f| f.key.trim_start_matches('/'));
    CommandError::new(
        ErrorKind::Input,
        "ERR_LOOKS_SECRET",
        format!("the folder holds what looks secret: {}{more}; nothing was written", shown.join(", ")),
    )
    .hint(format!("leave it out with `--ignore`, or let it pass with `--allow {first}`"))
}

/// What looks secret among these files: by their names, and by what `content` says of them.
pub(crate) fn find_suspects<'f>(
    files: impl Iterator<Item = &'f LocalFile>,
    content: &BTreeMap<String, Suspect>,
    allow: &Allow,
) -> Vec<Found> {
    find_suspect_keys(files.map(|f| f.key.as_str()), content, allow)
}

/// The same of files given by their keys.
pub(crate) fn find_suspect_keys<'f>(
    keys: impl Iterator<Item = &'f str>,
    content: &BTreeMap<String, Suspect>,
    allow: &Allow,
) -> Vec<Found> {
    let mut out: Vec<Found> = Vec::new();
    for file in keys {
        let by_name = key_looks(file).map(|(part, suspect)| (part.to_owned(), suspect));
        let by_content = content.get(file).map(|s| (file.to_owned(), *s));
        // A key is found wherever it is, and has an allowance of its own.
        let key = by_content.as_ref().filter(|(_, suspect)| suspect.is_key()).cloned();
        let found = key.or(by_name).or(by_content);
        if let Some((key, suspect)) = found
            && (suspect.is_key() || !allow.allows(file))
            && out.last().is_none_or(|last| last.key != key)
        {
            out.push(Found { key, suspect });
        }
    }
    out.sort();
    out.dedup();
    out
}

/// Looks at all files of a folder: its secrets are an error, what looks secret is returned. For commands that copy or pack
/// files themselves; each file is read.
///
/// # Errors
/// A secret, or a file that cannot be read.
pub(crate) fn check_files(
    root: &Path,
    found: &Scan,
    places: &StorePlaces,
    keys: &KeysInUse,
) -> Result<Vec<Found>, CommandError> {
    places.check(root, found)?;
    // It goes by its own name, too.
    let own = root.file_name().map(|name| name.to_string_lossy().into_owned());
    check_names(root.parent().unwrap_or(root), own.iter().map(|name| (name.as_str(), None)), keys)?;
    let names = found.files.iter().map(|f| match &f.kind {
        LocalKind::Symlink { target } => (f.key.as_str(), Some(target.as_str())),
        LocalKind::File { .. } => (f.key.as_str(), None),
    });
    check_names(root, names.chain(found.folders.iter().map(|(key, _)| (key.as_str(), None))), keys)?;
    let mut content = BTreeMap::new();
    for file in &found.files {
        let LocalKind::File { .. } = &file.kind else { continue };
        let unreadable = |e: std::io::Error| {
            CommandError::new(
                ErrorKind::Permission,
                "ERR_UNREADABLE",
                format!("{} cannot be read", file.path.display()),
            )
            .because(e)
            .hint("check its permissions, or take it out; nothing was written")
        };
        match look_through(&file.path, keys).map_err(unreadable)? {
            ContentVerdict::Plain => {}
            ContentVerdict::Suspect(suspect) => {
                content.insert(file.key.clone(), suspect);
            }
            ContentVerdict::Secret(secret) => {
                return Err(SecretFound { path: file.path.clone(), secret }.into());
            }
        }
    }
    Ok(find_suspects(found.files.iter(), &content, &Allow::default()))
}

/// Looks at a text that leaves this machine without its file, such as release notes. `path` and `key`: where it is from.
///
/// # Errors
/// A secret.
pub(crate) fn check_text(
    path: &Path,
    key: &str,
    text: &[u8],
    keys: &KeysInUse,
) -> Result<Option<Found>, CommandError> {
    let unreadable = |e| {
        let message = format!("{} cannot be read", path.display());
        CommandError::new(ErrorKind::Permission, "ERR_UNREADABLE", message)
            .because(e)
            .hint("check its permissions; nothing was written")
    };
    let head = text.get(..text.len().min(HEAD)).unwrap_or_default();
    let mut looked = FileLook::new(path, head, text.len() as u64, keys).map_err(unreadable)?;
    let found = looked.feed(text).map_or_else(|| looked.end(), ContentVerdict::Secret);
    match found {
        ContentVerdict::Plain => Ok(None),
        ContentVerdict::Suspect(suspect) => Ok(Some(Found { key: key.to_owned(), suspect })),
        ContentVerdict::Secret(secret) => Err(SecretFound { path: path.to_owned(), secret }.into()),
    }
}

/// Refuses to remove or replace what cannot be had back: the store in use in `store`, any store, backups and keys. `changed`:
/// what is to be removed or written. `work`: how names of folders in that store begin where releases are put together.
///
/// # Errors
/// The first such file.
pub(crate) fn keep(
    store: &Path,
    work: &[&str],
    keys: &KeysInUse,
    changed: impl Iterator<Item = PathBuf>,
) -> Result<(), CommandError> {
    let places = StorePlaces::of_store(store, work);
    let mut stores = StoreFolders::default();
    let refuse = |path: &Path, what: &str| {
        CommandError::new(
            ErrorKind::Input,
            "ERR_SECRET",
            format!("{} is {what}: it is neither removed nor written over", path.display()),
        )
        .hint(
            "move it out of the folder, or keep what is there with --no-prune or --only; nothing was written",
        )
    };
    for path in changed {
        let folder = path.parent().and_then(|f| f.ancestors().find_map(|f| std::fs::canonicalize(f).ok()));
        if folder.as_ref().is_some_and(|folder| places.holds(folder)) {
            return Err(refuse(&path, "part of the store in use"));
        }
        if folder.is_some_and(|folder| !places.is_for_work(&folder) && stores.above(&folder).is_some()) {
            return Err(refuse(&path, "part of a Bosc store"));
        }
        if !std::fs::symlink_metadata(&path).is_ok_and(|m| m.is_file()) {
            continue;
        }
        match look_through(&path, keys) {
            Ok(ContentVerdict::Secret(secret)) => return Err(refuse(&path, secret.what())),
            Ok(ContentVerdict::Suspect(suspect)) if suspect.is_key() => {
                return Err(refuse(&path, suspect.what()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a file is, and whether a key of the environment stands in it.
pub(crate) fn of_file(path: &Path) -> std::io::Result<ContentVerdict> {
    look_through(path, &KeysInUse::of_environment())
}

/// What one file is, and what stands in it.
fn look_through(path: &Path, keys: &KeysInUse) -> std::io::Result<ContentVerdict> {
    let (head, size, mut file) = start_of(path)?;
    let mut looked = FileLook::new(path, &head, size, keys)?;
    if !looked.is_searched() || matches!(looked.told(), ContentVerdict::Secret(_)) {
        return Ok(looked.told());
    }
    let mut part = head;
    loop {
        if let Some(secret) = looked.feed(&part) {
            return Ok(ContentVerdict::Secret(secret));
        }
        part.clear();
        if file.by_ref().take(HEAD as u64).read_to_end(&mut part)? == 0 {
            return Ok(looked.end());
        }
    }
}

/// The first bytes of a file, its size, and the file behind them.
fn start_of(path: &Path) -> std::io::Result<(Zeroizing<Vec<u8>>, u64, File)> {
    let mut file = open_plain(path)?;
    let size = file.metadata()?.len();
    let mut head = Zeroizing::new(Vec::with_capacity(HEAD.min(usize::try_from(size).unwrap_or(HEAD)) + 1));
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    // A file that the system makes up has no size.
    let size = size.max(head.len() as u64);
    Ok((head, size, file))
}
