//! The `multisig` part of `pear.json`: who signs a link.

use super::Signers;
use super::errors::bad_signer;
use crate::error::{CommandError, ErrorKind};
use crate::output_file::{OutputFile, OutputKind, alone};
use bosc_files::{Durability, Replace};
use bosc_format::id;
use bosc_format::manifest::MAX_SIGNERS;
use serde_json::Value;
use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest configuration file, in bytes.
const CONFIG_MAX: u64 = 4 << 20;
/// Longest namespace, in bytes.
const NAMESPACE_MAX: usize = 4096;

/// A configuration file and what it says.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it is.
    pub path: PathBuf,
    /// Who signs.
    pub signers: Signers,
    json: Value,
}

fn invalid(message: String) -> CommandError {
    CommandError::new(ErrorKind::Input, "ERR_INVALID_CONFIG", message).hint(
        "pear.json needs \"multisig\": {\"publicKeys\": [...], \"quorum\": 2, \"namespace\": \"org/app\"}; \
         name another file with --config",
    )
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// `ERR_INVALID_INPUT` when it cannot be read, `ERR_INVALID_CONFIG` when it does not say what it must.
    pub fn read(path: &Path) -> Result<Self, CommandError> {
        let shown = path.display();
        let unreadable = |e: std::io::Error| {
            CommandError::input(format!("the configuration {shown} cannot be read"))
                .because(e)
                .hint("run the command in the folder of pear.json, or name the file with --config")
        };
        let mut text = String::new();
        let file = bosc_files::open_plain(path).map_err(unreadable)?;
        let read = file.take(CONFIG_MAX + 1).read_to_string(&mut text);
        if let Err(e) = read {
            return Err(match e.kind() {
                std::io::ErrorKind::InvalidData => {
                    invalid(format!("Could not parse config {shown}: not text"))
                }
                _ => unreadable(e),
            });
        }
        if text.len() as u64 > CONFIG_MAX {
            return Err(invalid(format!("Could not parse config {shown}: over 4 MiB")));
        }
        let json: Value = serde_json::from_str(&text)
            .map_err(|e| invalid(format!("Could not parse config {shown}: {e}")))?;
        let signers = signers(&json, path)?;
        Ok(Self { path: path.to_owned(), signers, json })
    }

    /// Writes the file again with another namespace, everything else as it was.
    ///
    /// # Errors
    /// When the file cannot be replaced.
    pub fn set_namespace(&mut self, namespace: &str) -> Result<(), CommandError> {
        OutputFile::new(&self.path, OutputKind::Edited).check()?;
        let _alone = alone(&self.path)?;
        let now = Self::read(&self.path)?;
        if now.signers.public_keys != self.signers.public_keys || now.signers.quorum != self.signers.quorum {
            return Err(CommandError::input(format!(
                "the signers in {} changed meanwhile",
                self.path.display()
            ))
            .hint("run the command again"));
        }
        self.json = now.json;
        if let Some(m) = self.json.get_mut("multisig").and_then(Value::as_object_mut) {
            m.insert("namespace".into(), namespace.into());
        }
        namespace.clone_into(&mut self.signers.namespace);
        let failed = |e: std::io::Error| {
            CommandError::new(
                ErrorKind::Permission,
                "ERR_PERMISSION_REQUIRED",
                format!("{} cannot be written", self.path.display()),
            )
            .because(e)
            .hint("check that you may write the file and its folder")
        };
        let mut text = serde_json::to_string_pretty(&self.json)
            .map_err(|e| CommandError::failed("the configuration cannot be written").because(e))?;
        text.push('\n');
        Replace::new(Durability::Disk).follow_links().write(&self.path, text.as_bytes()).map_err(failed)
    }
}

fn signers(json: &Value, path: &Path) -> Result<Signers, CommandError> {
    let missing = |field: &str| invalid(format!("{field} field required in {}", path.display()));
    // As JavaScript sees it: what is empty, zero or null is missing.
    let given = |v: &Value| !matches!(v, Value::Null | Value::Bool(false)) && *v != 0 && *v != "";
    let multisig = json.get("multisig").filter(|v| given(v)).ok_or_else(|| missing("multisig"))?;
    let field = |name: &str| {
        multisig.get(name).filter(|v| given(v)).ok_or_else(|| missing(&format!("multisig.{name}")))
    };
    let wrong = |what: &str| invalid(format!("{what} in {}", path.display()));
    let keys = field("publicKeys")?
        .as_array()
        .filter(|a| !a.is_empty())
        .ok_or_else(|| wrong("publicKeys array required"))?;
    if keys.len() > MAX_SIGNERS {
        return Err(wrong("multisig.publicKeys has over 1024 keys"));
    }
    let mut seen = HashSet::new();
    let mut public_keys = Vec::new();
    for key in keys {
        let text = key.as_str().ok_or_else(|| bad_signer(&key.to_string()))?;
        let bytes = id::decode(text).map_err(|_| bad_signer(text))?;
        if !seen.insert(bytes) {
            return Err(wrong(&format!("the signing key {text} is listed twice")));
        }
        public_keys.push(id::encode(&bytes));
    }
    let quorum = field("quorum")?
        .as_u64()
        .filter(|q| *q <= public_keys.len() as u64)
        .ok_or_else(|| wrong(&format!("multisig.quorum must be a number from 1 to {}", public_keys.len())))?;
    let namespace = field("namespace")?
        .as_str()
        .filter(|n| n.len() <= NAMESPACE_MAX)
        .ok_or_else(|| wrong("multisig.namespace must be a text of at most 4096 bytes"))?
        .to_owned();
    Ok(Signers { public_keys, quorum, namespace })
}

#[cfg(test)]
mod tests;
