//! The flags of `bosc watch`, and what they make of the updater.

use super::errors::command_error;
use crate::global::Global;
use bosc_release::error::CommandError;
use bosc_release::output_file::{OutputFile, OutputKind, check_output_folder};
use bosc_updater::client::data_folder;
use bosc_updater::health::Program;
use bosc_updater::http::{ClientCertificate, Roots};
use bosc_updater::install::{HealthPolicy, Installer, Options, Status};
use bosc_updater::{ErrorKind, PublicKey, UpdateError, UpdateSource, Updater, UpdaterBuilder};
use clap::Args;
use semver::Version;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// Bytes of a file with headers, a certificate or a key.
const MAX_FILE: u64 = 256 * 1024;
/// A token for the server, where it is not to be an argument.
const TOKEN: &str = "BOSC_UPDATE_TOKEN";

/// `bosc watch`
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Where updates come from: a pear:// link, or the https:// URL of a signed manifest
    #[arg(long, value_name = "LINK|URL")]
    pub(crate) upgrade: String,
    /// What is replaced: an executable, an AppImage, a folder or a .app
    #[arg(long, value_name = "PATH")]
    pub(crate) app: PathBuf,
    /// Show what is known below everything else, in place, where stderr is a terminal
    #[arg(long)]
    pub(crate) ui: bool,
    /// Replace --app even if it lies in a build folder or runs other programs
    #[arg(long)]
    pub(crate) any_app: bool,
    /// Name of the application on the link, with its extension
    #[arg(long)]
    pub(crate) name: String,
    /// The version that is running
    #[arg(long, value_name = "V")]
    pub(crate) version: String,
    /// The application's data folder [default: the platform's folder for this user, and the name]
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Longest random delay before a new release is fetched
    #[arg(long, value_name = "SECONDS", default_value_t = 3600.0)]
    pub(crate) delay: f64,
    /// How often to ask for a manifest; a link needs no polling
    #[arg(long, value_name = "SECONDS", default_value_t = 3600.0)]
    pub(crate) poll: f64,
    /// Ed25519 public key that may sign the manifest, base64; may be given more than once
    #[arg(long, value_name = "KEY")]
    pub(crate) public_key: Vec<String>,
    /// The application that the manifest must be bound to
    #[arg(long, value_name = "NAME")]
    pub(crate) manifest_app: Option<String>,
    /// Another URL of the manifest, asked when those before give none; may be given more than once
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Vec<String>,
    /// A mirror of the link's drive (`bosc mirror`), asked beside peers: a web address, or a folder; may be given more than once
    #[arg(long, value_name = "URL|DIR")]
    pub(crate) mirror: Vec<String>,
    /// Certificate authorities (PEM or DER) to trust beside the well-known ones and the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Vec<PathBuf>,
    /// Header for the server of --upgrade, "NAME: VALUE", or @FILE with one per line; may be given more than once
    #[arg(long, value_name = "HEADER|@FILE")]
    pub(crate) header: Vec<String>,
    /// Certificate to show to the server of --upgrade, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) client_cert: Option<PathBuf>,
    /// Its private key, PEM [default: in the file of --client-cert]
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub(crate) client_key: Option<PathBuf>,
    /// Proxy for HTTPS, or an empty text for none [default: HTTPS_PROXY, ALL_PROXY and NO_PROXY]
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// Most bytes of an artifact in a second, with K, M or G for thousands, millions, ...
    #[arg(long, value_name = "BYTES")]
    pub(crate) limit_rate: Option<String>,
    /// Download on request: report `available`, and wait for the command `download`
    #[arg(long)]
    pub(crate) tell_only: bool,
    /// Remove the previous build once the new one works
    #[arg(long)]
    pub(crate) no_previous: bool,
    /// Perry's sentinel file, if another build of the application uses the Perry updater
    #[arg(long, value_name = "FILE")]
    pub(crate) sentinel: Option<PathBuf>,
    /// Do not look for updates; rollback still works
    #[arg(long)]
    pub(crate) no_updates: bool,
    /// Let other users of the application fetch from this one
    #[arg(long)]
    pub(crate) seed_back: bool,
    /// How long a new build may take to say that it is healthy
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub(crate) health: f64,
    /// How many starts of a new build may be cut off before it is rolled back; at least 3
    #[arg(long, alias = "threshold", value_name = "N", default_value_t = 3)]
    pub(crate) unfinished: u32,
    /// Take a version below the installed one, once
    #[arg(long)]
    pub(crate) allow_downgrade: bool,
    /// The executable inside an application folder; for a single file, that file in an archive that holds more
    #[arg(long, value_name = "PATH")]
    pub(crate) inside: Option<PathBuf>,
    /// For `relaunch`: arguments of the application
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) args: Vec<OsString>,
}

pub(crate) fn seconds(what: &str, s: f64) -> Result<Duration, CommandError> {
    if s.is_finite() && (0.0..=86_400.0 * 365.0).contains(&s) {
        Ok(Duration::from_secs_f64(s))
    } else {
        Err(CommandError::input(format!("--{what} takes a number of seconds")))
    }
}

/// Whether a build is on trial: then the application has to be heard whatever its flags say of the source.
pub(super) fn is_on_trial(a: &Watch) -> bool {
    let installer =
        Version::parse(&a.version).ok().and_then(|v| Installer::open(Options::new(&a.app, v)).ok());
    installer.is_some_and(|i| matches!(i.status(), Ok(Status::Trial { .. })))
}

/// What the flags make of the updater, and what is wrong with the source while a build is on trial.
pub(super) fn options(a: &Watch, g: &Global) -> Result<(UpdaterBuilder, Option<UpdateError>), CommandError> {
    let version = Version::parse(&a.version).map_err(|e| {
        CommandError::input(format!("--version is not of the form 1.2.3: {:?}", a.version)).because(e)
    })?;
    let absolute = |p: &PathBuf| {
        std::path::absolute(p)
            .map_err(|e| CommandError::input(format!("not a path: {}", p.display())).because(e))
    };
    let dir = match &a.dir {
        Some(dir) => absolute(dir)?,
        None => data_folder(&a.name).ok_or_else(|| {
            CommandError::input("there is no known folder for the application's data")
                .hint("give one with `--dir DIR`")
        })?,
    };
    check_output_folder(&dir, &[])?;
    let (source, fault) = match source(a, g) {
        Err(e) if is_on_trial(a) => {
            let fault = UpdateError::new(ErrorKind::Input, e.message()).hint(e.hint_text().to_owned());
            (UpdateSource::from_upgrade(&a.upgrade, []), Some(fault))
        }
        source => (source?, None),
    };
    let mut health = HealthPolicy::within(seconds("health", a.health)?);
    if !(3..=64).contains(&a.unfinished) {
        return Err(CommandError::input("--unfinished takes a number from 3 to 64").hint(
            "a logout, a power cut and a closed terminal end a start as well, and are not the build's fault",
        ));
    }
    health.unfinished = a.unfinished;
    let mut builder = Updater::builder(&a.name, version, source)
        .data_folder(dir)
        .updates(!a.no_updates && fault.is_none())
        .delay(seconds("delay", a.delay)?)
        .check_every(seconds("poll", a.poll)?)
        .health(health)
        .program(program(a))
        .download_automatically(!a.tell_only)
        .keep_previous(!a.no_previous)
        .allow_downgrade(a.allow_downgrade);
    let app = absolute(&a.app)?;
    check_output_folder(&app, &[])?;
    builder = if a.any_app { builder.app(app) } else { builder.installed_app(app) };
    if let Some(path) = &a.sentinel {
        let path = absolute(path)?;
        bosc_files::refuse_special(&path).map_err(|e| {
            CommandError::input(format!("--sentinel {} cannot be written: {e}", path.display()))
                .hint("name a file")
        })?;
        OutputFile::new(&path, OutputKind::Plain).check()?;
        builder = builder.perry_sentinel(path);
    }
    Ok((builder, fault))
}

/// Where updates come from.
fn source(a: &Watch, g: &Global) -> Result<UpdateSource, CommandError> {
    let mut source = UpdateSource::from_upgrade(&a.upgrade, a.public_key.iter().map(PublicKey::base64))
        .bootstrap(g.bootstrap.iter().cloned())
        .relay(g.relay.iter().cloned())
        .lan(g.lan)
        .seed_back(a.seed_back);
    if let Some(name) = &a.manifest_app {
        source = source.bound_to(name);
    }
    for url in &a.endpoint {
        source = source.or_from(url);
    }
    for mirror in crate::values::mirrors(&a.mirror)? {
        source = source.mirror(mirror);
    }
    for path in &a.ca {
        source = source.add_certificates(Roots::certificates_of(path).map_err(|e| command_error(&e))?);
    }
    for (name, value) in headers(&a.header)? {
        source = source.header(name, value);
    }
    if let Some(token) = std::env::var(TOKEN).ok().filter(|token| !token.is_empty()) {
        source = source.bearer_token(token);
    }
    if let Some(path) = &a.client_cert {
        source =
            source.client_certificate(client_certificate(path, a.client_key.as_deref().unwrap_or(path))?);
    }
    if let Some(proxy) = &a.proxy {
        source = source.proxy(proxy);
    }
    if let Some(rate) = &a.limit_rate {
        source = source.limit_rate(bytes_per_second(rate)?);
    }
    Ok(source)
}

/// How the application is started again.
pub(super) fn program(a: &Watch) -> Program {
    let mut program = Program::new().args(&a.args);
    program.inside.clone_from(&a.inside);
    program
}

/// Reads a small file with what is not an argument: others see arguments.
fn read(flag: &str, path: &Path) -> Result<Vec<u8>, CommandError> {
    let unreadable = || {
        CommandError::input(format!("cannot read {}", path.display()))
            .hint(format!("{flag} takes a file of at most {} KiB", MAX_FILE / 1024))
    };
    bosc_files::read_plain(path, MAX_FILE).map_err(|e| unreadable().because(e))
}

/// Names and values.
fn headers(given: &[String]) -> Result<Vec<(String, String)>, CommandError> {
    let mut lines = Vec::new();
    for header in given {
        match header.strip_prefix('@') {
            Some(path) => {
                let text = String::from_utf8(read("--header @FILE", Path::new(path))?)
                    .map_err(|_| CommandError::input(format!("{path} is not a text")))?;
                lines.extend(text.lines().map(str::to_owned).filter(|line| !line.trim().is_empty()));
            }
            None => lines.push(header.clone()),
        }
    }
    lines
        .iter()
        .map(|line| match line.split_once(':') {
            Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
            // It may be a secret that was put in the wrong place.
            None => Err(CommandError::input("--header takes NAME: VALUE, or @FILE with one per line")
                .hint("put a token into a file or into BOSC_UPDATE_TOKEN: others can see arguments")),
        })
        .collect()
}

fn client_certificate(certificate: &Path, key: &Path) -> Result<ClientCertificate, CommandError> {
    let certificate = read("--client-cert", certificate)?;
    let key = Zeroizing::new(read("--client-key", key)?);
    ClientCertificate::from_pem(&certificate, &key).map_err(|e| command_error(&e))
}

fn bytes_per_second(text: &str) -> Result<u64, CommandError> {
    let (number, unit) = match text.trim().chars().last() {
        Some('k' | 'K') => (text.trim().get(..text.trim().len() - 1), 1_000),
        Some('m' | 'M') => (text.trim().get(..text.trim().len() - 1), 1_000_000),
        Some('g' | 'G') => (text.trim().get(..text.trim().len() - 1), 1_000_000_000),
        _ => (Some(text.trim()), 1),
    };
    number
        .and_then(|number| number.parse::<u64>().ok()?.checked_mul(unit))
        .filter(|rate| *rate > 0)
        .ok_or_else(|| {
            CommandError::input(format!("--limit-rate is not a number of bytes: {text:?}"))
                .hint("give 500K or 2M, for example")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_headers_are_read() {
        for (text, want) in [
            ("1024", Some(1024)),
            ("500K", Some(500_000)),
            ("2m", Some(2_000_000)),
            ("1G", Some(1_000_000_000)),
        ] {
            assert_eq!(bytes_per_second(text).ok(), want, "{text}");
        }
        for bad in ["", "K", "0", "-1", "1.5M", "1KB", "99999999999999999999"] {
            assert!(bytes_per_second(bad).is_err(), "{bad}");
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("headers");
        std::fs::write(&file, "Authorization: Bearer x:y\r\n\nX-Licence: 7\n").unwrap();
        let got = headers(&["A:b".to_owned(), format!("@{}", file.display())]).unwrap();
        let want = [("A", "b"), ("Authorization", "Bearer x:y"), ("X-Licence", "7")];
        assert_eq!(got, want.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let e = headers(&["hunter2".to_owned()]).unwrap_err();
        assert!(!format!("{e:?}").contains("hunter2"));
        assert!(headers(&["@/nowhere".to_owned()]).is_err());
    }
}
