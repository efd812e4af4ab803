//! A whole manifest from a deployment directory.
//!
//! `by-arch/<os>-<arch>/app/<name>` becomes the entry of Perry's platform key: `darwin`, `linux` and `win32` become `darwin`,
//! `linux` and `windows`; `arm64` and `x64` become `aarch64` and `x86_64`. A folder (a `.app`, a directory application) is
//! packed into `.tar.gz`, a file is copied. Artifacts are written first, the manifest last and in one step: a server that
//! serves the folder never offers what is not there. Builds and release notes are looked at for secrets before anything is written. In the end everything is read again as a client would.

use super::artifact::{artifact_name, failed, replace};
use super::deltas::{self, Earlier};
use super::event::{ComposedManifest, PlatformEntry, UpdaterEvent};
use super::keypair::KeyPair;
use super::{pack, rules, sign, words};
use crate::command::{Sink, Stop};
use crate::error::{CommandError, ErrorKind};
use crate::folder::glob::{Ignore, Only};
use crate::folder::package::Package;
use crate::folder::portable_names::check_archive;
use crate::folder::said_version::{Mismatch, mismatches};
use crate::folder::scan::{FileStat, LocalFile, LocalKind, Scan, ScanError, check_named, open_named, scan};
use crate::output_file::{OutputFile, OutputKind};
use crate::secrets::{Allow, Found, KeysInUse, StorePlaces, check_files, check_text, refused, with_keys};
use bosc_updater::manifest::iso_8601;
use bosc_updater::manifest::verify::PublicKey;
use bosc_updater::manifest::version::parse_version;
use bosc_updater::manifest::{MAX_NOTES_LEN, Manifest};
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The platforms of a deployment directory and what Perry calls them.
pub const PLATFORMS: [(&str, &str); 6] = [
    ("darwin-arm64", "darwin-aarch64"),
    ("darwin-x64", "darwin-x86_64"),
    ("linux-arm64", "linux-aarch64"),
    ("linux-x64", "linux-x86_64"),
    ("win32-arm64", "windows-aarch64"),
    ("win32-x64", "windows-x86_64"),
];
/// Largest CHANGELOG.md that is read, in bytes.
const MAX_CHANGELOG: u64 = 4 * 1024 * 1024;

/// What [`compose`] makes a manifest from.
#[derive(Debug, Clone, Default)]
pub struct Compose {
    /// The deployment directory.
    pub dir: PathBuf,
    /// Where artifacts and manifest are written [default: the directory's name with `-update` behind].
    pub out: Option<PathBuf>,
    /// The URL the contents of `out` will have.
    pub url_base: String,
    /// The version [default: the one in package.json].
    pub version: Option<String>,
    /// The application releases are bound to [default: the name in package.json].
    pub app: Option<String>,
    /// File with release notes [default: this version's part of CHANGELOG.md].
    pub notes: Option<PathBuf>,
    /// The file that the secret key was read from: it is not written over.
    pub key_file: Option<PathBuf>,
    /// `Some(2)` asks clients to take no older signature format from now on.
    pub min_schema: Option<u8>,
    /// Whether applications are told that it should be installed before they are used further.
    pub mandatory: bool,
    /// The oldest version of the operating system that it runs on, as applications are told.
    pub minimum_system: Option<String>,
    /// Files and folders of `dir` that may be released although a secret key is written out in them.
    pub allow_key: Vec<String>,
    /// Earlier artifacts that patches are made from, or folders that hold some.
    pub delta_from: Vec<PathBuf>,
    /// The rules of the release: a file, or a folder with a `release.json`.
    pub policy: Option<PathBuf>,
    /// Say that there are no rules from this release on, to clients that saw some.
    pub no_policy: bool,
    /// Ends it.
    pub stop: Stop,
    /// Name of the manifest in `out`.
    pub manifest_name: String,
    /// When it is published [default: SOURCE_DATE_EPOCH, else now].
    pub now: Option<SystemTime>,
}

/// Composes, signs, writes and checks. The manifest.
///
/// # Errors
/// `Input` for a directory, version or URL that does not fit, `Failed` when something cannot be read or written.
pub fn compose(c: &Compose, key: &KeyPair, sink: &mut dyn Sink) -> Result<ComposedManifest, CommandError> {
    let package = Package::read(&c.dir).ok();
    let version =
        c.version.clone().or_else(|| package.as_ref().and_then(|p| p.version.clone())).ok_or_else(|| {
            CommandError::input("no version is known").hint("give --version, or put one into package.json")
        })?;
    if parse_version(&version).is_none() {
        return Err(CommandError::input(format!("{version:?} is not a version"))
            .hint("versions are SemVer without a leading v, such as 1.2.3"));
    }
    let app =
        c.app.clone().or_else(|| package.as_ref().and_then(|p| p.name.clone())).filter(|a| !a.is_empty());
    let base = words::base(&c.url_base)?;
    words::manifest_name(&c.manifest_name)?;
    c.minimum_system.as_deref().map_or(Ok(()), words::minimum_system)?;
    app.as_deref().map_or(Ok(()), words::app)?;
    if c.min_schema.is_some_and(|n| n != 1 && n != 2) {
        return Err(CommandError::input("--min-schema takes 1 or 2"));
    }
    let out =
        c.out.clone().unwrap_or_else(|| with_suffix(&c.dir.components().collect::<PathBuf>(), "-update"));
    let allow_key = Allow::new(&c.allow_key).map_err(|e| CommandError::input(e.to_string()))?;
    let named = (c.policy.as_deref(), c.no_policy);
    let rules = rules::of(named, (app.as_deref(), &version), sink)?;
    let keys = KeysInUse::of_environment().with(&key.signing_key().to_bytes());
    let texts = [
        ("--url-base", Some(base)),
        ("--app", app.as_deref()),
        ("--version", Some(version.as_str())),
        ("--minimum-system", c.minimum_system.as_deref()),
        ("--manifest-name", Some(c.manifest_name.as_str())),
        ("--policy", rules.as_ref().map(|rules| rules.policy.as_str())),
    ];
    if let Some((flag, _)) = texts.iter().find(|(_, text)| text.is_some_and(|text| keys.in_name(text))) {
        let message = format!("{flag} holds a secret key that is in use here; nothing was written");
        return Err(CommandError::new(ErrorKind::Input, "ERR_SECRET", message)
            .hint("leave the key out: whoever reads the manifest reads it"));
    }
    let notes = checked_notes(c, &version, &keys, &allow_key, sink)?;
    let mut sources = Vec::new();
    for (folder, platform) in PLATFORMS {
        if let Some(source) = only_entry(&c.dir.join("by-arch").join(folder).join("app"))? {
            check_source(&source, &c.dir, &version, &keys, &allow_key, sink)?;
            sources.push((source, platform));
        }
    }
    let earlier = deltas::earlier((&c.delta_from, &out), &sources, &version, sink)?;
    check_outputs(c, (&out, base), &version, &sources, &earlier)?;
    std::fs::create_dir_all(&out).map_err(|e| failed(&out, e))?;

    let mut platforms = BTreeMap::new();
    for (source, platform) in sources {
        let file = artifact(&source, &out, &version, platform)?;
        let path = out.join(&file);
        let rules = rules.as_ref().map(|rules| rules.policy.as_str());
        let bind = app.as_deref().map(|app| sign::Bind { app, platform, rules });
        let signed = sign::sign(&path, &version, key, bind)?;
        let deltas = deltas::make(&earlier, (&source, platform), (&out, base, &version), sink, &c.stop)?;
        let entry = PlatformEntry {
            url: format!("{base}/{file}"),
            sha256: signed.sha256.clone(),
            signature: signed.signature,
            size: signed.size,
            bosc_signature: signed.bound,
            deltas,
        };
        sink.tell(UpdaterEvent::Artifact {
            platform: platform.to_owned(),
            file,
            size: signed.size,
            sha256: signed.sha256,
        });
        platforms.insert(platform.to_owned(), entry);
    }
    skipped(&c.dir, sink);
    if platforms.is_empty() {
        return Err(CommandError::input(format!("{} holds no desktop build", c.dir.display())).hint(
            "it must hold by-arch/<os>-<arch>/app/<name>, with darwin, linux or win32 and arm64 or x64",
        ));
    }
    let manifest = ComposedManifest {
        schema_version: 2,
        pub_date: iso_8601(c.now.unwrap_or_else(publication_time)),
        notes,
        version,
        platforms,
        min_schema: c.min_schema.filter(|n| *n == 2),
        mandatory: c.mandatory.then_some(true),
        minimum_system_version: c.minimum_system.clone(),
        bosc_rules: rules,
    };
    let text = serde_json::to_string_pretty(&manifest).unwrap_or_default() + "\n";
    check(&text, key, app.as_deref(), &manifest.platforms)?;
    let path = out.join(&c.manifest_name);
    replace(&path, |file| file.write_all(text.as_bytes())).map_err(|e| failed(&path, e))?;
    sink.tell(UpdaterEvent::Manifest { path, platforms: manifest.platforms.len() });
    Ok(manifest)
}

/// Looks at a build before anything is written: it tells when the build says another version; no secret is in it, and no name that every client would refuse.
fn check_source(
    source: &Path,
    dir: &Path,
    version: &str,
    keys: &KeysInUse,
    allow_key: &Allow,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    check_named(source)?;
    let is_folder = source.is_dir();
    let found = match is_folder {
        true => scan(source, &Ignore::default(), &Only::default())?,
        false => Scan {
            files: vec![LocalFile {
                key: String::new(),
                path: source.to_owned(),
                kind: LocalKind::File { stat: FileStat::default(), executable: None },
            }],
            ..Scan::default()
        },
    };
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    if is_folder {
        check_archive(&name, &found).check()?;
    }
    let suspects = check_files(source, &found, &StorePlaces::default(), keys)?;
    let parts = source.strip_prefix(dir).unwrap_or(source).iter();
    let below: String = parts.map(|part| format!("/{}", part.to_string_lossy())).collect();
    let in_dir = |f: &Found| Found { key: format!("{below}{}", f.key), suspect: f.suspect };
    let keys = with_keys(&suspects.iter().map(in_dir).collect::<Vec<_>>(), allow_key);
    if !keys.is_empty() {
        return Err(refused(&keys));
    }
    let files: BTreeMap<String, &Path> =
        found.files.iter().map(|f| (format!("{below}{}", f.key), f.path.as_path())).collect();
    let path = |key: &str| files.get(key).copied().unwrap_or(dir);
    for Mismatch { key, running } in mismatches(version, files.keys().map(String::as_str), path) {
        let path = key.trim_start_matches('/').to_owned();
        sink.tell(UpdaterEvent::VersionMismatch { path, release: version.to_owned(), running });
    }
    for mut suspect in suspects {
        suspect.key = format!("{name}{}", suspect.key);
        sink.tell(UpdaterEvent::LooksSecret(suspect.told()));
    }
    Ok(())
}

/// Reads the manifest as every client will.
fn check(
    text: &str,
    key: &KeyPair,
    app: Option<&str>,
    platforms: &BTreeMap<String, PlatformEntry>,
) -> Result<(), CommandError> {
    let wrong = |e: bosc_updater::UpdateError| {
        CommandError::failed("the manifest would be refused by clients")
            .hint("report this as a defect; nothing was published")
            .because(e)
    };
    let public = PublicKey::parse(&key.public_base64()).map_err(wrong)?;
    for platform in platforms.keys() {
        let manifest = Manifest::parse(text.as_bytes(), platform).map_err(wrong)?;
        if let Some(asset) = &manifest.asset {
            asset.verify(&manifest, std::slice::from_ref(&public), app).map_err(wrong)?;
            if asset.deltas.len() != platforms.get(platform).map_or(0, |p| p.deltas.len()) {
                return Err(CommandError::failed("clients would not see the deltas of the manifest")
                    .hint("report this as a defect; nothing was published"));
            }
        }
    }
    Ok(())
}

/// The one build of a platform; `None` when there is none.
fn only_entry(app_dir: &Path) -> Result<Option<PathBuf>, CommandError> {
    let entries = match std::fs::read_dir(app_dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(app_dir, e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| failed(app_dir, e))?;
        if entry.file_name() != ".DS_Store" {
            found.push(entry.path());
        }
        if found.len() > 1 {
            return Err(CommandError::input(format!("{} holds more than one build", app_dir.display()))
                .hint("a manifest has one artifact a platform: leave one there"));
        }
    }
    Ok(found.pop())
}

/// Writes the artifact of a build; its file name.
pub(super) fn artifact(
    source: &Path,
    out: &Path,
    version: &str,
    platform: &str,
) -> Result<String, CommandError> {
    let file = artifact_name(source, version, platform)?;
    let path = out.join(&file);
    if source.is_dir() {
        let name = source.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let mut inner = Ok(());
        let written = replace(&path, |f| {
            let mut buffered = BufWriter::with_capacity(256 * 1024, f);
            inner = pack::pack(source, name, &mut buffered);
            if inner.is_err() {
                return Err(io::Error::other("not packed"));
            }
            buffered.flush()
        });
        inner?;
        written.map_err(|e| failed(&path, e))?;
    } else {
        let mut from = open_named(source)?;
        replace(&path, |f| io::copy(&mut from, f).map(|_| ())).map_err(|e| failed(&path, e))?;
    }
    Ok(file)
}

/// Refuses to write over what this command reads, over a key, or into a store: before anything is written.
fn check_outputs(
    c: &Compose,
    (out, base): (&Path, &str),
    version: &str,
    sources: &[(PathBuf, &'static str)],
    earlier: &[Earlier],
) -> Result<(), CommandError> {
    let read = || {
        let named = ["package.json", "CHANGELOG.md", "by-arch"].map(|name| c.dir.join(name));
        let builds = sources.iter().map(|(source, _)| source.clone());
        let bases = earlier.iter().map(|base| &base.path);
        let others = c.notes.iter().chain(&c.key_file).chain(&c.policy).chain(bases).cloned();
        named.into_iter().chain(builds).chain(others)
    };
    let manifest = out.join(&c.manifest_name);
    for (source, platform) in sources {
        let file = artifact_name(source, version, platform)?;
        words::artifact(base, &file)?;
        let path = out.join(file);
        if path == manifest {
            return Err(CommandError::input(format!("{:?} is the name of an artifact", c.manifest_name))
                .hint("give the manifest another name with --manifest-name"));
        }
        OutputFile::new(&path, OutputKind::Artifact).apart_from(read()).check()?;
        for base in earlier.iter().filter(|base| base.platform == *platform) {
            let path = out.join(base.patch_name(source, version)?);
            OutputFile::new(&path, OutputKind::Artifact).apart_from(read()).check()?;
        }
    }
    OutputFile::new(&manifest, OutputKind::Manifest).apart_from(read()).check()
}

/// Tells which platforms have a build and no key in a manifest.
fn skipped(dir: &Path, sink: &mut dyn Sink) {
    let Ok(entries) = std::fs::read_dir(dir.join("by-arch")) else { return };
    let mut names: Vec<String> =
        entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    for name in names {
        if name != ".DS_Store" && !PLATFORMS.iter().any(|(folder, _)| *folder == name) {
            sink.tell(UpdaterEvent::Skipping {
                reason: format!("by-arch/{name}: not a platform of a manifest"),
            });
        }
    }
}

/// The release notes, looked at as the files of a build are: they stand in the manifest as they are.
fn checked_notes(
    c: &Compose,
    version: &str,
    keys: &KeysInUse,
    allow_key: &Allow,
    sink: &mut dyn Sink,
) -> Result<String, CommandError> {
    let (path, mut text) = notes(c, version)?;
    if text.contains('\0') {
        return Err(CommandError::input(format!("{} is not a text", path.display()))
            .hint("name a text file with --notes"));
    }
    let key = format!("/{}", path.file_name().unwrap_or_default().to_string_lossy());
    let found = check_text(&path, &key, text.as_bytes(), keys)?;
    let refusing = with_keys(found.as_slice(), allow_key);
    if !refusing.is_empty() {
        return Err(refused(&refusing));
    }
    if let Some(found) = found {
        sink.tell(UpdaterEvent::LooksSecret(found.told()));
    }
    if c.notes.is_some() && text.trim().is_empty() {
        return Err(CommandError::input(format!("{} says nothing", path.display()))
            .hint("write what is new into it, or leave --notes out"));
    }
    if text.len() > MAX_NOTES_LEN {
        let reason =
            format!("what {} says beyond {MAX_NOTES_LEN} bytes: clients show no more", path.display());
        sink.tell(UpdaterEvent::Skipping { reason });
    }
    let mut end = MAX_NOTES_LEN.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    Ok(text)
}

/// Where the release notes are, and what they say.
fn notes(c: &Compose, version: &str) -> Result<(PathBuf, String), CommandError> {
    let read = |path: &Path| -> Result<Option<String>, CommandError> {
        let file = match open_named(path) {
            Ok(file) => file,
            Err(ScanError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(ScanError::Io { error, .. }) => return Err(failed(path, error)),
            Err(e) => return Err(e.into()),
        };
        let mut text = String::new();
        file.take(MAX_CHANGELOG).read_to_string(&mut text).map_err(|e| failed(path, e))?;
        Ok(Some(text))
    };
    if let Some(path) = &c.notes {
        let text = read(path)?.ok_or_else(|| failed(path, io::ErrorKind::NotFound.into()))?;
        return Ok((path.clone(), text));
    }
    let path = c.dir.join("CHANGELOG.md");
    let text = read(&path)?.and_then(|text| section(&text, version)).unwrap_or_default();
    Ok((path, text))
}

/// The part of a change log below `## <version>`, with or without a leading `v` or brackets.
pub fn section(changelog: &str, version: &str) -> Option<String> {
    let mut lines = changelog.lines();
    lines.find(|l| {
        l.strip_prefix("## ").is_some_and(|rest| {
            let first = rest.split_whitespace().next().unwrap_or_default();
            first.trim_matches(['[', ']']).trim_start_matches('v') == version
        })
    })?;
    let body: Vec<&str> = lines.take_while(|l| !l.starts_with("## ")).collect();
    Some(body.join("\n").trim().to_owned())
}

/// SOURCE_DATE_EPOCH makes the whole manifest the same on every machine.
fn publication_time() -> SystemTime {
    std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|t| t.trim().parse().ok())
        .filter(|s| *s < 253_402_300_800)
        .map_or_else(SystemTime::now, |s| SystemTime::UNIX_EPOCH + Duration::from_secs(s))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
