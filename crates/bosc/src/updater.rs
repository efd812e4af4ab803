//! `bosc updater`: keys, signatures and manifests, with the flags, output and exit codes of `perry updater`; and the smoke
//! test.

use crate::printer::{Printer, Tone};
use crate::run::absolute;
use bosc_release::command::{Outcome, Stop};
use bosc_release::error::CommandError;
use bosc_release::updater::compose::{Compose, compose};
use bosc_release::updater::keypair::{KeyPair, SECRET_ENV, SecretSource};
use bosc_release::updater::sign;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// `bosc updater`
#[derive(Debug, Args)]
pub(crate) struct Updater {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// The commands below `bosc updater`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make the key pair that signs releases
    Keygen(Keygen),
    /// Sign an artifact
    Sign(Sign),
    /// Verify an artifact's signature
    Verify(Verify),
    /// Make a whole manifest, with its artifacts, from a deployment directory
    Manifest(ManifestArgs),
    /// Try an update of your own application: old build, new build, a broken one, all in a temporary folder
    Smoke(crate::smoke::Smoke),
}

/// `bosc updater keygen`
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// Write the key pair to this file, readable by you alone [default: print it]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Where the secret key comes from.
#[derive(Args)]
#[group(multiple = false)]
pub(crate) struct Secret {
    /// The file that `bosc updater keygen` wrote
    #[arg(long, short = 'k', value_name = "FILE")]
    pub(crate) secret_key: Option<PathBuf>,
    /// The secret key itself; everybody on this machine can read it while the command runs
    #[arg(long, value_name = "BASE64")]
    pub(crate) secret_key_b64: Option<String>,
    /// An open file descriptor with the file or the secret key: `--secret-key-fd 3 3< key.json`
    #[arg(long, value_name = "N")]
    pub(crate) secret_key_fd: Option<u32>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// `bosc updater sign`
#[derive(Debug, Args)]
#[command(after_help = "Without a flag the secret key is taken from BOSC_UPDATER_SECRET_KEY (Base64).")]
pub(crate) struct Sign {
    /// The artifact
    #[arg(long, short, value_name = "FILE")]
    pub(crate) binary: PathBuf,
    /// Its version
    #[arg(long, short, value_name = "SEMVER")]
    pub(crate) version: String,
    /// The secret key.
    #[command(flatten)]
    pub(crate) secret: Secret,
}

/// `bosc updater verify`
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The artifact
    #[arg(long, short, value_name = "FILE")]
    pub(crate) binary: PathBuf,
    /// Its version
    #[arg(long, short, value_name = "SEMVER")]
    pub(crate) version: String,
    /// The signature
    #[arg(long, short, value_name = "BASE64")]
    pub(crate) signature: String,
    /// The public key
    #[arg(long, short = 'k', value_name = "BASE64")]
    pub(crate) pubkey: String,
}

/// `bosc updater manifest`
#[derive(Debug, Args)]
#[command(after_help = "Without a flag the secret key is taken from BOSC_UPDATER_SECRET_KEY (Base64).")]
pub(crate) struct ManifestArgs {
    /// The deployment directory: it holds `by-arch/OS-ARCH/app/NAME`
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// The https:// URL that the contents of --out will have
    #[arg(long, value_name = "URL")]
    pub(crate) url_base: String,
    /// Folder to write artifacts and manifest to [default: DIR-update]
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// The version [default: the one in package.json]
    #[arg(long, short, value_name = "SEMVER")]
    pub(crate) version: Option<String>,
    /// Bind the release to this application and its platform [default: the name in package.json]
    #[arg(long, value_name = "NAME")]
    pub(crate) app: Option<String>,
    /// File with the release notes [default: this version's part of DIR/CHANGELOG.md]
    #[arg(long, value_name = "FILE")]
    pub(crate) notes: Option<PathBuf>,
    /// With 2: clients that saw this manifest never take the older signatures again
    #[arg(long, value_name = "1|2")]
    pub(crate) min_schema: Option<u8>,
    /// Name of the manifest in --out
    #[arg(long, value_name = "NAME", default_value = "latest.json")]
    pub(crate) manifest_name: String,
    /// The secret key.
    #[command(flatten)]
    pub(crate) secret: Secret,
}

/// Runs it.
pub(crate) fn run(a: &Updater, printer: &Printer, stop: &Stop) -> Outcome {
    match &a.verb {
        Verb::Keygen(a) => keygen(a, printer),
        Verb::Sign(a) => {
            let key = load(&a.secret, printer)?;
            let envelope = sign::sign(&a.binary, &a.version, &key, None)?.envelope();
            printer.data(&serde_json::to_string_pretty(&envelope).unwrap_or_default());
            Ok(envelope)
        }
        Verb::Verify(a) => {
            sign::verify(&a.binary, &a.version, &a.signature, &a.pubkey)?;
            printer.data("OK");
            Ok(json!({ "version": a.version }))
        }
        Verb::Manifest(a) => manifest(a, printer),
        Verb::Smoke(a) => crate::smoke::run(a, printer, stop),
    }
}

fn keygen(a: &Keygen, printer: &Printer) -> Outcome {
    let key = KeyPair::generate()?;
    let Some(path) = &a.output else {
        printer.say(Tone::Warn, "warning: the secret key goes to stdout; --output FILE keeps it to yourself");
        let text = key.to_json();
        printer.data(&text);
        // Under --json the pair is the result, as it is without.
        return Ok(if printer.is_json() {
            serde_json::from_str(&text).unwrap_or_default()
        } else {
            Value::Null
        });
    };
    if let Some(old) = key.write(path)? {
        printer.say(Tone::Warn, &format!("the key pair that was there is now {}", old.display()));
    }
    printer.say(Tone::Plain, &format!("wrote keypair to {}", path.display()));
    Ok(json!({ "path": path, "publicKey": key.public_base64() }))
}

fn load(secret: &Secret, printer: &Printer) -> Result<KeyPair, CommandError> {
    if secret.secret_key_b64.is_some() {
        printer.say(
            Tone::Warn,
            &format!(
                "warning: a secret key on the command line can be read by everybody on this machine; put it in \
                 {SECRET_ENV} or use --secret-key-fd"
            ),
        );
    }
    let env = std::env::var(SECRET_ENV).ok().filter(|v| !v.is_empty()).map(Zeroizing::new);
    SecretSource {
        file: secret.secret_key.clone(),
        inline: secret.secret_key_b64.clone().map(Zeroizing::new),
        fd: secret.secret_key_fd,
        env,
    }
    .load()
}

fn manifest(a: &ManifestArgs, printer: &Printer) -> Outcome {
    let name = &a.manifest_name;
    if name.is_empty() || name.contains(['/', '\\']) || name == ".." || name == "." {
        return Err(CommandError::input("--manifest-name takes a file name").hint("give one without a path"));
    }
    let key = load(&a.secret, printer)?;
    let dir = absolute(&a.dir)?;
    let request = Compose {
        dir,
        out: a.out.as_deref().map(absolute).transpose()?,
        url_base: a.url_base.clone(),
        version: a.version.clone(),
        app: a.app.clone(),
        notes: a.notes.clone(),
        min_schema: a.min_schema,
        manifest_name: name.clone(),
        now: None,
    };
    let mut sink = |tag: &str, data: Value| {
        printer.json(tag, &data);
        let text = |k: &str| data.get(k).and_then(Value::as_str).unwrap_or_default().to_owned();
        match tag {
            "artifact" => printer.say(Tone::Plain, &format!("{}: {}", text("platform"), text("file"))),
            "skipping" => printer.say(Tone::Warn, &format!("Not in the manifest: {}", text("reason"))),
            "manifest" => printer.say(Tone::Good, &format!("Wrote {}", text("path"))),
            _ => {}
        }
    };
    let composed = compose(&request, &key, &mut sink)?;
    printer.data(&serde_json::to_string_pretty(&composed).unwrap_or_default());
    Ok(composed)
}
