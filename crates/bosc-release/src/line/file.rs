//! `bosc.toml`: reading it, and changing it without touching what people wrote around it.

use crate::error::{CommandError, ErrorKind};
use crate::publish::snapshot::write_shared;
use bosc_format::id;
use bosc_format::link::PearLink;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::Path;
use toml_edit::{Array, DocumentMut, Item, Table, Value};

/// Largest file read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Most lines in a file.
pub const MAX_LINES: usize = 100;
/// Full copies wanted when nothing is said.
const COPIES: u64 = 2;

/// How a line gets its releases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineKind {
    /// Written by whoever has its key.
    #[default]
    Stage,
    /// Production's blocks and one batch that equals its source.
    Provision,
    /// A copy of its source that a quorum signs.
    Multisig,
}

impl LineKind {
    /// As in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Provision => "provision",
            Self::Multisig => "multisig",
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// `ERR_INVALID_INPUT`.
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        match text {
            "stage" => Ok(Self::Stage),
            "provision" => Ok(Self::Provision),
            "multisig" => Ok(Self::Multisig),
            _ => Err(CommandError::input(format!("no such kind of line: {text:?}"))
                .hint("kinds are stage, provision and multisig")),
        }
    }
}

/// Who has to hold a full copy of a line. In JSON a number, or the list of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Seeds {
    /// So many peers, whoever they are.
    Count(u64),
    /// These peers, by their public keys (z-base-32).
    Keys(Vec<String>),
}

impl Default for Seeds {
    fn default() -> Self {
        Self::Count(COPIES)
    }
}

impl Seeds {
    /// How many copies that is.
    pub fn wanted(&self) -> u64 {
        match self {
            Self::Count(n) => *n,
            Self::Keys(keys) => keys.len() as u64,
        }
    }

    /// Reads what a flag says: a number, or keys with commas between.
    ///
    /// # Errors
    /// `ERR_INVALID_INPUT`.
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        if let Ok(n) = text.parse::<u64>()
            && n <= 1000
        {
            return Ok(Self::Count(n));
        }
        let keys: Vec<String> = text.split(',').map(|k| k.trim().to_owned()).collect();
        Self::check(&keys)?;
        Ok(Self::Keys(keys))
    }

    fn check(keys: &[String]) -> Result<(), CommandError> {
        match keys.iter().find(|k| id::decode(k).is_err()) {
            None if keys.len() <= 64 => Ok(()),
            _ => Err(CommandError::input("seeds are a number, or public keys of peers, at most 64")
                .hint("a peer's key is the `whoami` of `bosc seed`: 52 characters of z-base-32")),
        }
    }
}

/// A declared line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: LineKind,
    /// Its link; `None` while it has none.
    pub link: Option<String>,
    /// The line it is promoted from.
    pub source: Option<String>,
    /// For provision lines: the line whose blocks it starts with.
    pub production: Option<String>,
    /// Who should hold a full copy.
    pub seeds: Seeds,
}

/// The file.
#[derive(Debug, Clone)]
pub struct LineFile {
    doc: DocumentMut,
    /// Its lines end as on Windows; the parser makes them all alike.
    crlf: bool,
    lines: Vec<Declared>,
}

impl LineFile {
    /// Reads the file; `None` when there is none.
    ///
    /// # Errors
    /// `ERR_INVALID_CONFIG` when it does not say what it must.
    pub fn read(path: &Path) -> Result<Option<Self>, CommandError> {
        let file = match bosc_files::open_plain(path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => {
                return Err(CommandError::input(format!("{} cannot be read", path.display()))
                    .because(e)
                    .hint("check its permissions, or name another file with --file"));
            }
        };
        let mut text = String::new();
        let read = file.take(MAX_FILE + 1).read_to_string(&mut text);
        match read {
            Ok(_) if text.len() as u64 <= MAX_FILE => Self::parse(&text).map(Some),
            _ => Err(invalid("it is not a text file of at most 1 MiB")),
        }
    }

    /// Reads the file, which has to be there.
    ///
    /// # Errors
    /// As [`LineFile::read`], and `ERR_NOT_FOUND`.
    pub fn open(path: &Path) -> Result<Self, CommandError> {
        Self::read(path)?.ok_or_else(|| {
            CommandError::not_found(format!("there is no {}", path.display())).hint(
                "`bosc line init` writes one with the five usual lines, `bosc line add` one of your own",
            )
        })
    }

    /// Reads the text of the file.
    ///
    /// # Errors
    /// `ERR_INVALID_CONFIG`.
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        let doc: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| {
            invalid("it is not TOML").because(std::io::Error::other(crate::toml_fault::edit(text, &e)))
        })?;
        let mut lines = Vec::new();
        match doc.get("line") {
            None => {}
            Some(item) => {
                let table = item
                    .as_table_like()
                    .ok_or_else(|| invalid("`line` is not a table of lines: [line.NAME]"))?;
                for (name, item) in table.iter() {
                    lines.push(declared(name, item)?);
                }
            }
        }
        let file =
            Self { doc, crlf: text.split_once('\n').is_some_and(|(first, _)| first.ends_with('\r')), lines };
        file.check()?;
        Ok(file)
    }

    /// An empty file with a heading.
    ///
    /// # Errors
    /// Never in practice.
    pub fn new() -> Result<Self, CommandError> {
        Self::parse(
            "# Release lines, from the first to the last. A link is the right to read what is on it: keep this file with\n\
             # the project and out of what is released. See `bosc line --help`.\n",
        )
    }

    /// The lines, in the order of the file.
    pub fn lines(&self) -> &[Declared] {
        &self.lines
    }

    /// A line by its name.
    ///
    /// # Errors
    /// `ERR_NOT_FOUND`, naming those there are.
    pub fn get(&self, name: &str) -> Result<&Declared, CommandError> {
        self.lines.iter().find(|l| l.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.lines.iter().map(|l| l.name.as_str()).collect();
            CommandError::not_found(format!("there is no line {name:?}")).hint(match names.is_empty() {
                true => {
                    "declare one with `bosc line add`, or the usual ones with `bosc line init`".to_owned()
                }
                false => format!("there are: {}", names.join(", ")),
            })
        })
    }

    /// Adds a line, or changes the one of its name.
    ///
    /// # Errors
    /// `ERR_INVALID_CONFIG` when the file would not make sense then; it is as before.
    pub fn put(&mut self, line: &Declared) -> Result<(), CommandError> {
        check_name(&line.name)?;
        let mut doc = self.doc.clone();
        if doc.get("line").is_none() {
            let mut lines = Table::new();
            lines.set_implicit(true);
            doc.insert("line", Item::Table(lines));
        }
        let lines = doc
            .get_mut("line")
            .and_then(Item::as_table_like_mut)
            .ok_or_else(|| invalid("`line` is not a table of lines: [line.NAME]"))?;
        if lines.get(&line.name).is_none() {
            lines.insert(&line.name, Item::Table(Table::new()));
        }
        let table = lines
            .get_mut(&line.name)
            .and_then(Item::as_table_like_mut)
            .ok_or_else(|| invalid(&format!("the line {:?} is not a table", line.name)))?;
        set(table, "kind", Some(line.kind.name().into()));
        set(table, "link", line.link.as_deref().map(Value::from));
        set(table, "source", line.source.as_deref().map(Value::from));
        set(table, "production", line.production.as_deref().map(Value::from));
        let seeds = match &line.seeds {
            Seeds::Count(COPIES) if table.get("seeds").is_none() => None,
            Seeds::Count(n) => Some(Value::from(i64::try_from(*n).unwrap_or(i64::MAX))),
            Seeds::Keys(keys) => Some(Value::Array(keys.iter().collect::<Array>())),
        };
        set(table, "seeds", seeds);
        *self = Self { crlf: self.crlf, ..Self::parse(&doc.to_string())? };
        Ok(())
    }

    /// Takes a line out. Its link and what is on it stay.
    ///
    /// # Errors
    /// `ERR_NOT_FOUND`; `ERR_INVALID_CONFIG` when another line comes from it.
    pub fn remove(&mut self, name: &str) -> Result<Declared, CommandError> {
        let line = self.get(name)?.clone();
        if let Some(other) = self
            .lines
            .iter()
            .find(|l| l.name != name && [&l.source, &l.production].into_iter().flatten().any(|s| s == name))
        {
            return Err(invalid(&format!("the line {:?} comes from {name:?}", other.name))
                .hint(format!("change that first: bosc line add {} --replace ...", other.name)));
        }
        let mut doc = self.doc.clone();
        if let Some(lines) = doc.get_mut("line").and_then(Item::as_table_like_mut) {
            lines.remove(name);
        }
        *self = Self { crlf: self.crlf, ..Self::parse(&doc.to_string())? };
        Ok(line)
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let text = self.doc.to_string();
        if self.crlf { text.replace("\r\n", "\n").replace('\n', "\r\n") } else { text }
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// `ERR_UNWRITABLE`, `ERR_DISK_FULL`.
    pub fn write(&self, path: &Path) -> Result<(), CommandError> {
        write_shared(path, self.text().as_bytes()).map_err(|e| {
            CommandError::unwritable(
                format!("{} could not be written", path.display()),
                e,
                "check the folder's permissions, or name another file with --file",
            )
        })
    }

    /// The line whose blocks a provision line starts with: the declared one, or the multisig line that comes from it.
    ///
    /// # Errors
    /// When it names none and several come from it: a release on the wrong one could never be committed.
    pub fn production_of(&self, line: &Declared) -> Result<Option<&Declared>, CommandError> {
        if let Some(name) = &line.production {
            return Ok(self.lines.iter().find(|l| l.name == *name));
        }
        let mut from_it = self
            .lines
            .iter()
            .filter(|l| l.kind == LineKind::Multisig && l.source.as_deref() == Some(line.name.as_str()));
        let first = from_it.next();
        match from_it.next() {
            None => Ok(first),
            Some(other) => Err(CommandError::input(format!(
                "both {:?} and {:?} are released from {:?}",
                first.map_or("", |l| l.name.as_str()),
                other.name,
                line.name
            ))
            .hint(format!(
                "say which one it starts with: bosc line add {} --kind {} --production NAME --replace",
                line.name,
                line.kind.name()
            ))),
        }
    }

    /// The line of a link.
    pub fn of_link(&self, link: &str) -> Option<&Declared> {
        let key = PearLink::parse(link).ok()?.key;
        self.lines.iter().find(|l| {
            l.link.as_deref().and_then(|t| PearLink::parse(t).ok()).is_some_and(|other| other.key == key)
        })
    }

    fn check(&self) -> Result<(), CommandError> {
        if self.lines.len() > MAX_LINES {
            return Err(invalid(&format!("it has over {MAX_LINES} lines")));
        }
        for line in &self.lines {
            for (field, name) in [("source", &line.source), ("production", &line.production)] {
                let Some(name) = name else { continue };
                if name == &line.name || !self.lines.iter().any(|l| l.name == *name) {
                    return Err(invalid(&format!(
                        "{field} of {:?} is not another line: {name:?}",
                        line.name
                    )));
                }
            }
            if line.production.is_some() && line.kind != LineKind::Provision {
                return Err(invalid(&format!(
                    "{:?} has `production`, which only provision lines have",
                    line.name
                )));
            }
            if let Some(link) = &line.link
                && let Some(other) = self.of_link(link)
                && other.name != line.name
            {
                return Err(invalid(&format!("{:?} and {:?} have the same link", other.name, line.name)));
            }
            let mut at = Some(line);
            for _ in 0..=self.lines.len() {
                at =
                    at.and_then(|l| l.source.as_ref()).and_then(|s| self.lines.iter().find(|l| l.name == *s));
            }
            if at.is_some() {
                return Err(invalid(&format!("the sources of {:?} go round in a circle", line.name)));
            }
        }
        Ok(())
    }
}

/// Checks a name: what a TOML key needs no quotes for, and no flag.
///
/// # Errors
/// `ERR_INVALID_INPUT`.
pub fn check_name(name: &str) -> Result<(), CommandError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.len() <= 64 && !name.starts_with('-') && name.chars().all(fits) {
        return Ok(());
    }
    Err(CommandError::input(format!(
        "not a name for a line: {:?}",
        name.chars().take(64).collect::<String>()
    ))
    .hint("a line's name has 1 to 64 letters, digits, underscores and hyphens"))
}

fn set(table: &mut dyn toml_edit::TableLike, key: &str, value: Option<Value>) {
    match value {
        None => drop(table.remove(key)),
        Some(value) => match table.get_mut(key).and_then(Item::as_value_mut) {
            Some(old) => {
                // What stands around the old value (a comment, say) stays.
                let decor = old.decor().clone();
                *old = value;
                *old.decor_mut() = decor;
            }
            None => drop(table.insert(key, Item::Value(value))),
        },
    }
}

fn declared(name: &str, item: &Item) -> Result<Declared, CommandError> {
    check_name(name)?;
    let table = item.as_table_like().ok_or_else(|| invalid(&format!("the line {name:?} is not a table")))?;
    let bad = |what: &str| invalid(&format!("line {name:?}: {what}"));
    let text = |key: &str| match table.get(key) {
        None => Ok(None),
        Some(item) => match item.as_str() {
            Some("") => Ok(None),
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(bad(&format!("{key} is not a string"))),
        },
    };
    for (key, _) in table.iter() {
        if !["kind", "link", "source", "production", "seeds"].contains(&key) {
            return Err(bad(&format!(
                "there is no field {key:?}; fields are kind, link, source, production and seeds"
            )));
        }
    }
    let kind = LineKind::parse(&text("kind")?.ok_or_else(|| bad("kind is missing"))?)
        .map_err(|_| bad("kind is stage, provision or multisig"))?;
    let link = text("link")?;
    if let Some(link) = &link {
        let link = PearLink::parse(link).map_err(|e| bad("link is not a pear link").because(e))?;
        // A line moves: promoting would go on from the newest version and never say so.
        if link.version.is_some() || !matches!(link.pathname.as_str(), "" | "/") {
            return Err(bad(&format!("link is one without a version or a path: {}", link.origin())));
        }
    }
    let seeds = match table.get("seeds") {
        None => Seeds::default(),
        Some(item) => match (item.as_integer(), item.as_array()) {
            (Some(n), _) if (0..=1000).contains(&n) => Seeds::Count(n.unsigned_abs()),
            (_, Some(array)) => {
                let keys: Vec<String> = array.iter().filter_map(|v| v.as_str()).map(str::to_owned).collect();
                if keys.len() != array.len() {
                    return Err(bad("seeds is a number or a list of keys"));
                }
                Seeds::check(&keys).map_err(|e| bad("seeds").because(e))?;
                Seeds::Keys(keys)
            }
            _ => return Err(bad("seeds is a number up to 1000 or a list of keys")),
        },
    };
    Ok(Declared {
        name: name.to_owned(),
        kind,
        link,
        source: text("source")?,
        production: text("production")?,
        seeds,
    })
}

fn invalid(what: &str) -> CommandError {
    CommandError::new(ErrorKind::Input, "ERR_INVALID_CONFIG", format!("{FILE_NAME}: {what}"))
        .hint("correct the file; `bosc help line` shows what it holds")
}

/// The name of the file.
pub const FILE_NAME: &str = "bosc.toml";

#[cfg(test)]
mod tests;
