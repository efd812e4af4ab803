//! The key pair that signs releases, and where its secret half may come from.
//!
//! The file is `{"public_key": Base64 of 32 bytes, "secret_key": Base64 of the 32-byte seed}`, indented by two spaces and
//! without a newline at the end. It has mode 0600 from the first instant, under whatever name.

use crate::error::CommandError;
use data_encoding::BASE64;
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Largest key pair file that is read, in bytes.
pub(super) const MAX_KEY_FILE: u64 = 64 * 1024;
/// The environment variable that may hold the seed in Base64.
pub const SECRET_ENV: &str = "BOSC_UPDATER_SECRET_KEY";

#[derive(Serialize, Deserialize)]
struct KeyFile {
    public_key: String,
    secret_key: Zeroizing<String>,
}

/// A new key pair.
pub struct KeyPair(SigningKey);

impl KeyPair {
    /// Makes one from the system's randomness.
    ///
    /// # Errors
    /// `Failed` when the system gives none.
    pub fn generate() -> Result<Self, CommandError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(|e| {
            CommandError::failed("the system provides no random numbers")
                .hint("run the command on another machine")
                .because(std::io::Error::other(e.to_string()))
        })?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// The key pair of a seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// What signs.
    pub fn signing_key(&self) -> &SigningKey {
        &self.0
    }

    /// Base64 of the public half.
    pub fn public_base64(&self) -> String {
        BASE64.encode(self.0.verifying_key().as_bytes())
    }

    /// The text of the file: it holds the secret.
    pub fn to_json(&self) -> Zeroizing<String> {
        let file = KeyFile {
            public_key: self.public_base64(),
            secret_key: Zeroizing::new(BASE64.encode(self.0.as_bytes())),
        };
        Zeroizing::new(serde_json::to_string_pretty(&file).unwrap_or_default())
    }
}

/// Whether the bytes are a key pair file, however its JSON is laid out.
pub(crate) fn is_key_pair(bytes: &[u8]) -> bool {
    serde_json::from_slice::<KeyFile>(bytes).is_ok_and(|file| {
        let secret = BASE64.decode(file.secret_key.trim().as_bytes()).map(Zeroizing::new);
        let public = BASE64.decode(file.public_key.trim().as_bytes());
        matches!((secret, public), (Ok(s), Ok(p)) if p.len() == 32 && matches!(s.len(), 32 | 64))
    })
}

/// Where the secret half comes from.
#[derive(Clone, Default)]
pub struct SecretSource {
    /// A key pair file.
    pub file: Option<PathBuf>,
    /// The seed in Base64, from the command line: seen by everybody on the machine.
    pub inline: Option<Zeroizing<String>>,
    /// An open file descriptor with either.
    pub fd: Option<u32>,
    /// The seed in Base64, from [`SECRET_ENV`].
    pub env: Option<Zeroizing<String>>,
}

impl SecretSource {
    /// Reads the secret: what was given as a flag, else the environment variable.
    ///
    /// # Errors
    /// `Failed`, with Perry's texts.
    pub fn load(&self) -> Result<KeyPair, CommandError> {
        if let Some(path) = &self.file {
            let text = read_file(path)?;
            return from_key_file(&text, &path.display().to_string());
        }
        if let Some(seed) = &self.inline {
            return from_seed_text(seed);
        }
        if let Some(fd) = self.fd {
            let text = read_fd(fd)?;
            return match text.trim_start().starts_with('{') {
                true => from_key_file(&text, &format!("file descriptor {fd}")),
                false => from_seed_text(&text),
            };
        }
        if let Some(seed) = &self.env {
            return from_seed_text(seed);
        }
        Err(CommandError::failed("must pass either --secret-key <file> or --secret-key-b64 <inline-base64>").hint(
            format!("better: put the seed in {SECRET_ENV}, or open a file for the command and name it with --secret-key-fd"),
        ))
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<String>, CommandError> {
    let failed = |e: std::io::Error| {
        CommandError::failed(format!("failed to read {}", path.display()))
            .hint("give the file that `bosc updater keygen --output` wrote")
            .because(e)
    };
    read_bounded(bosc_files::open_plain(path).map_err(failed)?).map_err(failed)
}

/// Reads what somebody opened for us: the secret is in no argument, no environment and no name.
fn read_fd(fd: u32) -> Result<Zeroizing<String>, CommandError> {
    let failed = |e: std::io::Error| {
        CommandError::failed(format!("failed to read file descriptor {fd}"))
            .hint("open it in the shell, as in `bosc updater sign ... --secret-key-fd 3 3< key.json`")
            .because(e)
    };
    if cfg!(windows) {
        return Err(failed(std::io::Error::other("Windows has no numbered file descriptors")))
            .map_err(|e| e.hint(format!("use --secret-key, or {SECRET_ENV}")));
    }
    read_bounded(bosc_files::open_descriptor(fd).map_err(failed)?).map_err(failed)
}

fn read_bounded(file: File) -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_KEY_FILE).read_to_string(&mut text)?;
    Ok(text)
}

fn from_key_file(text: &str, name: &str) -> Result<KeyPair, CommandError> {
    // The parser's own error is not passed on: it may quote what it read.
    let file: KeyFile = serde_json::from_str(text).map_err(|_| {
        CommandError::failed(format!(
            "{name} is not a valid keypair JSON (run `bosc updater keygen` to produce one)"
        ))
        .hint("run `bosc updater keygen --output FILE`, or give the right file")
    })?;
    from_seed_text(&file.secret_key)
}

fn from_seed_text(text: &str) -> Result<KeyPair, CommandError> {
    let hint = "the secret is the `secret_key` of the file that `bosc updater keygen` wrote";
    let bytes = Zeroizing::new(
        BASE64
            .decode(text.trim().as_bytes())
            .map_err(|_| CommandError::failed("secret_key is not valid base64").hint(hint))?,
    );
    let seed: Zeroizing<[u8; 32]> = Zeroizing::new(bytes.as_slice().try_into().map_err(|_| {
        CommandError::failed(format!("secret key must decode to 32 bytes (got {})", bytes.len())).hint(hint)
    })?);
    Ok(KeyPair::from_seed(&seed))
}
