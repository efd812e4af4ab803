//! `bosc updater`: keys, signatures and manifests, with the flags, output and exit codes of `perry updater`; and the smoke
//! test.

pub(crate) mod human;
mod smoke;

use crate::human::Human;
use crate::plain::Tone;
use crate::printer::{Ended, Final, Printer};
use crate::values::absolute;
use bosc_release::command::Stop;
use bosc_release::error::CommandError;
use bosc_release::event::Event;
use bosc_release::keys::guarded::no_core_dumps;
use bosc_release::manifest::compose::{Compose, compose};
use bosc_release::manifest::keypair::{KeyPair, SECRET_ENV, SecretSource};
use bosc_release::manifest::sign;
use clap::{Args, Subcommand};
use serde::Serialize;
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
    /// Make a manifest and its artifacts from a deployment directory
    Manifest(ManifestArgs),
    /// Try an update of your application: old build, new build, broken ones
    Smoke(smoke::Smoke),
}

/// `bosc updater keygen`
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// Write the key pair to this file, readable only by you [default: print it]
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
    /// The secret key itself; every user of this machine can read it meanwhile
    #[arg(long, value_name = "BASE64")]
    pub(crate) secret_key_b64: Option<String>,
    /// Read the file or the secret key from this open file descriptor: `--secret-key-fd 3 3< key.json`
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
    /// 2: clients that have seen this manifest never accept older signatures again
    #[arg(long, value_name = "1|2")]
    pub(crate) min_schema: Option<u8>,
    /// Tell applications that this version should be installed before they are used further
    #[arg(long)]
    pub(crate) mandatory: bool,
    /// Tell applications the oldest version of the operating system that it runs on
    #[arg(long, value_name = "VERSION")]
    pub(crate) minimum_system: Option<String>,
    /// Release these files of DIR although a secret key is written out in them; only for keys that open nothing
    #[arg(long, value_name = "PATH,...", value_delimiter = ',')]
    pub(crate) allow_key: Vec<String>,
    /// Make patches from these earlier artifacts of the application, or from those in these folders; may be given more than once
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) delta_from: Vec<PathBuf>,
    /// The rules of the release (`bosc policy set`): a file, or the folder with its release.json; signed with every artifact
    #[arg(long, value_name = "FILE|FOLDER", conflicts_with = "no_policy")]
    pub(crate) policy: Option<PathBuf>,
    /// Say that there are no rules from this release on; clients that saw some accept no manifest without them otherwise
    #[arg(long)]
    pub(crate) no_policy: bool,
    /// Name of the manifest in --out
    #[arg(long, value_name = "NAME", default_value = "latest.json")]
    pub(crate) manifest_name: String,
    /// The secret key.
    #[command(flatten)]
    pub(crate) secret: Secret,
}

/// Runs it.
pub(crate) fn run(a: &Updater, printer: &Printer, stop: &Stop) -> Ended {
    match &a.verb {
        Verb::Keygen(a) => keygen(a, printer),
        Verb::Sign(a) => {
            let key = load(&a.secret, printer)?;
            let envelope = sign::sign(&a.binary, &a.version, &key, None)?.envelope();
            printer.document(&envelope);
            Ok(Final::of(envelope))
        }
        Verb::Verify(a) => {
            sign::verify(&a.binary, &a.version, &a.signature, &a.pubkey)?;
            printer.data("OK");
            Ok(Final::of(Verified { version: &a.version }))
        }
        Verb::Manifest(a) => manifest(a, printer, stop),
        Verb::Smoke(a) => smoke::run(a, printer, stop).map(Final::of),
    }
}

fn keygen(a: &Keygen, printer: &Printer) -> Ended {
    no_core_dumps();
    let key = KeyPair::generate()?;
    let Some(path) = &a.output else {
        printer.say(Tone::Warn, "warning: the secret key goes to stdout; --output FILE keeps it to yourself");
        let text = key.to_json();
        printer.data(&text);
        // Under --json the pair is the result, as it is without.
        let shown: Option<serde_json::Value> =
            printer.is_json().then(|| serde_json::from_str(&text)).transpose().unwrap_or_default();
        return Ok(Final::of(shown));
    };
    if let Some(old) = key.write(path)? {
        printer.say(Tone::Warn, &format!("what was there is now {}", old.display()));
    }
    printer.say(Tone::Plain, &format!("wrote keypair to {}", path.display()));
    Ok(Final::of(KeyWritten { path: path.display().to_string(), public_key: key.public_base64() }))
}

fn load(secret: &Secret, printer: &Printer) -> Result<KeyPair, CommandError> {
    no_core_dumps();
    if secret.secret_key_b64.is_some() {
        printer.say(
            Tone::Warn,
            &format!(
                "warning: a secret key on the command line can be read by every user of this machine; put it in \
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

fn manifest(a: &ManifestArgs, printer: &Printer, stop: &Stop) -> Ended {
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
        key_file: a.secret.secret_key.clone(),
        min_schema: a.min_schema,
        mandatory: a.mandatory,
        minimum_system: a.minimum_system.clone(),
        allow_key: a.allow_key.clone(),
        delta_from: a.delta_from.iter().map(|path| absolute(path)).collect::<Result<_, _>>()?,
        policy: a.policy.as_deref().map(absolute).transpose()?,
        no_policy: a.no_policy,
        stop: stop.clone(),
        manifest_name: name.clone(),
        now: None,
    };
    let mut human = Human::new(printer, false, false);
    let composed = compose(&request, &key, &mut |event: Event| human.event(&event))?;
    printer.document(&composed);
    Ok(Final::of(composed))
}

/// What `updater verify` ends with.
#[derive(Serialize)]
struct Verified<'a> {
    version: &'a str,
}

/// What `updater keygen --output` ends with.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyWritten {
    path: String,
    public_key: String,
}
