//! What an operator says about the releases of a manifest over HTTPS: in a file beside it, which goes to the server with it or alone.
//!
//! ```text
//!   latest.json ── its rules ─────────────────────┐
//!   latest.json.bosc-statements ── what is said ──┴─> Prepared ── signed by the person ── kept in the store ── written into the file
//! ```
//!
//! # Invariants
//!
//! 1. As of a link: the counter is above what the file has and what this store signed; what was signed is kept before it is written.
//! 2. The file is read again before it is written, and never loses another operator's statement.
//! 3. A file that is something else, or damaged, is not taken for an empty one: a halt would be forgotten.
//!
//! What the manifest says of its release is not verified here: whoever writes it for somebody else can make them speak of another
//! application, and of nothing that they did not see before they signed. Clients verify the rules.

use super::book::{Book, behind};
use super::plan::not_allowed;
use super::signed::Spoken;
use super::{KeyHere, Prepare};
use crate::command::Stop;
use crate::engine::Engine;
use crate::error::{CommandError, ErrorKind};
use crate::manifest::words;
use crate::output_file::{OutputFile, OutputKind};
use crate::policy::event::{Heard, Prepared, Stated};
use crate::policy::look::{LinkRules, Word};
use crate::policy::shown::StatementShown;
use bosc_files::{Durability, Replace};
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_policy::manifest::{STATEMENTS_SUFFIX, application, head};
use bosc_policy::{MAX_STATEMENTS_FILE, Newest, Policy, Signed, Statements};
use bosc_updater::http::{HttpOptions, Published, published};
use bosc_updater::manifest::{MAX_MANIFEST_LEN, Manifest};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

/// The file with what operators say, beside a manifest.
pub fn statements_file(manifest: &Path) -> PathBuf {
    let mut name = OsString::from(manifest);
    name.push(STATEMENTS_SUFFIX);
    name.into()
}

/// A manifest, and what is beside it.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where it is.
    pub name: String,
    manifest: Vec<u8>,
    statements: Option<Vec<u8>>,
}

impl Found {
    /// In a folder.
    ///
    /// # Errors
    /// There is no such file, or one of the two cannot be read.
    pub fn in_file(manifest: &Path) -> Result<Self, CommandError> {
        let bytes = read(manifest, MAX_MANIFEST_LEN as u64)?.ok_or_else(|| {
            CommandError::not_found(format!("there is no manifest {}", manifest.display()))
                .hint("name a link, a manifest's address, or the file that `bosc updater manifest` wrote")
        })?;
        let statements = read(&statements_file(manifest), MAX_STATEMENTS_FILE as u64)?;
        Ok(Self { name: manifest.display().to_string(), manifest: bytes, statements })
    }

    /// On a server.
    ///
    /// # Errors
    /// It cannot be fetched.
    pub fn on_server(url: &str) -> Result<Self, CommandError> {
        let published = published(&HttpOptions::new(url, "")).map_err(|e| {
            let hint = e.next_step().unwrap_or("check the address and the network").to_owned();
            CommandError::new(ErrorKind::Network, "ERR_NETWORK_TIMEOUT", "the manifest cannot be fetched")
                .because(e)
                .hint(hint)
        })?;
        let Published { manifest, statements } = published;
        Ok(Self { name: url.to_owned(), manifest, statements })
    }

    /// Puts both into a folder, under the manifest's own name, to be worked on: what is there of statements is joined with these.
    /// The manifest's path.
    ///
    /// # Errors
    /// Another manifest is there, or nothing can be written.
    pub fn save(&self, folder: &Path) -> Result<PathBuf, CommandError> {
        let path = self.name.split(['?', '#']).next().unwrap_or_default();
        let name = path
            .rsplit('/')
            .next()
            .filter(|name| words::manifest_name(name).is_ok())
            .unwrap_or("latest.json");
        let manifest = folder.join(name);
        let file = statements_file(&manifest);
        OutputFile::new(&manifest, OutputKind::Manifest).check()?;
        OutputFile::new(&file, OutputKind::Plain).check()?;
        let failed = |path: &Path, e| {
            CommandError::failed(format!("{} cannot be written", path.display()))
                .because(e)
                .hint("run the command in a folder that you may write to")
        };
        match read(&manifest, MAX_MANIFEST_LEN as u64)? {
            Some(there) if there == self.manifest => {}
            Some(_) => {
                let message = format!("{} is another manifest than the server has", manifest.display());
                return Err(CommandError::input(message)
                    .hint("run the command in an empty folder, or name the file to speak of that one"));
            }
            None => Replace::new(Durability::Disk)
                .write(&manifest, &self.manifest)
                .map_err(|e| failed(&manifest, e))?,
        }
        let mut all = statements_of(&Self::in_file(&manifest)?)?;
        for signed in statements_of(self)?.iter() {
            all.take(signed.clone());
        }
        if !all.is_empty() {
            Replace::new(Durability::Disk).write(&file, &all.to_bytes()).map_err(|e| failed(&file, e))?;
        }
        Ok(manifest)
    }
}

/// The rules of a manifest, as those of a link whose key is the application's name.
pub(crate) fn rules_of(found: &Found) -> Result<LinkRules, CommandError> {
    let parsed = parsed(found)?;
    let app = parsed.rules.as_ref().map_or("", |rules| rules.app.as_str());
    let text = parsed.rules.as_ref().map(|rules| rules.policy.clone()).filter(|text| !text.is_empty());
    let key = application(app);
    let mut rules = LinkRules {
        link: PearLink::new(key).to_string(),
        key,
        head: Newest { fork: 0, length: 0, tree_hash: [0; 32] },
        vouched: true,
        version: Some(parsed.version.clone()),
        signers: Vec::new(),
        bytes: text.as_ref().map(|text| text.clone().into_bytes()),
        mirrors: None,
    };
    if let (Some(policy), Some(text)) = (rules.policy()?, text) {
        rules.head = head(&parsed.version_text, &text, &policy);
    }
    Ok(rules)
}

/// The text of a manifest's rules, whatever it is; none if there are none.
pub(crate) fn bytes_of_manifest(found: &Found) -> Result<Option<Vec<u8>>, CommandError> {
    let rules = parsed(found)?.rules;
    Ok(rules.map(|rules| rules.policy.into_bytes()).filter(|text| !text.is_empty()))
}

fn parsed(found: &Found) -> Result<Manifest, CommandError> {
    // Of no platform: what is asked for stands beside them.
    Manifest::parse(&found.manifest, "").map_err(|e| {
        CommandError::input(format!("{} is not a manifest", found.name))
            .because(e)
            .hint("name what `bosc updater manifest` wrote, such as latest.json")
    })
}

/// What operators say in the file beside a manifest.
pub(crate) fn statements_of(found: &Found) -> Result<Statements, CommandError> {
    let Some(bytes) = &found.statements else { return Ok(Statements::default()) };
    Statements::read(bytes).map_err(|e| {
        let message = format!("the statements beside {} cannot be used", found.name);
        CommandError::new(ErrorKind::Integrity, "ERR_INTEGRITY", message)
            .because(e)
            .hint("fetch the file that the server has, or an older copy of it, and run the command again")
    })
}

/// The same, of each operator of the rules.
pub(crate) fn words_of(policy: &Policy, link: &[u8; 32], all: &Statements) -> Vec<Word> {
    let word = |operator: [u8; 32], signed: Option<Signed>| match signed {
        None => Word { operator, heard: Heard::Nothing, seq: 0, statement: None, answered: true },
        Some(s) => {
            let heard = if s.statement().link == *link { Heard::Statement } else { Heard::Foreign };
            Word { operator, heard, seq: s.statement().counter, statement: Some(s), answered: true }
        }
    };
    let (mut words, mut more) = (Vec::new(), Vec::new());
    for operator in policy.operators() {
        let mut said = all.iter().filter(|s| *s.operator() == operator.key).cloned();
        words.push(word(operator.key, said.next()));
        // Of two with one counter the first is shown, and both count.
        more.extend(said.map(|s| word(operator.key, Some(s))));
    }
    words.extend(more);
    words
}

fn read(path: &Path, most: u64) -> Result<Option<Vec<u8>>, CommandError> {
    bosc_files::read_bounded(path, most).map_err(|e| {
        let message = format!("{} cannot be read", path.display());
        CommandError::new(ErrorKind::Permission, "ERR_UNREADABLE", message)
            .because(e)
            .hint("check that it is a file of this kind, and that you may read it")
    })
}

impl Engine {
    /// What would be signed about the release of a manifest.
    pub(super) fn prepare_for_manifest(
        &self,
        manifest: &Path,
        change: &super::Change,
        keys: &[KeyHere],
    ) -> Result<Prepared, CommandError> {
        let found = Found::in_file(manifest)?;
        let rules = rules_of(&found)?;
        let policy = rules.policy()?.ok_or_else(|| {
            not_allowed(format!("{} has no rules, so nobody is an operator", manifest.display()), &[])
                .hint("write them with `bosc policy set FOLDER --operator NAME`, and make the manifest with `--policy FOLDER`")
        })?;
        let request = Prepare { change: change.clone(), keys: keys.to_vec(), ..Prepare::default() };
        let words = words_of(&policy, &rules.key, &statements_of(&found)?);
        let prepared = self.prepared(&rules, &policy, &words, None, &request)?;
        Ok(Prepared { manifest: Some(manifest.display().to_string()), ..prepared })
    }

    /// Keeps a statement, and writes it into the file beside the manifest.
    pub(super) fn say_for_manifest(
        &self,
        manifest: &Path,
        spoken: &Spoken,
        _stop: &Stop,
    ) -> Result<Stated, CommandError> {
        let found = Found::in_file(manifest)?;
        let rules = rules_of(&found)?;
        let statement = spoken.statement.statement();
        if statement.link != rules.key {
            let message = "the statement is about another application";
            return Err(CommandError::new(ErrorKind::Integrity, "ERR_INTEGRITY", message)
                .hint("run the command again: the manifest was changed meanwhile"));
        }
        let _alone = self.speaking.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = statements_of(&Found::in_file(manifest)?)?;
        let path = statements_file(manifest);
        OutputFile::new(&path, OutputKind::Plain).check()?;
        Book::of(&self.dir).keep(spoken)?;
        if !all.take(spoken.statement.clone()) {
            return Err(behind());
        }
        Replace::new(Durability::Disk).write(&path, &all.to_bytes()).map_err(|e| {
            CommandError::failed(format!("{} cannot be written", path.display())).because(e).hint(
                "it is signed and kept in this store: make room, or check who may write there, then run the command again",
            )
        })?;
        Ok(Stated {
            link: rules.link,
            operator: id::encode(spoken.record.key()),
            statement: StatementShown::of(statement),
            nodes: 0,
            file: Some(path.display().to_string()),
        })
    }
}
