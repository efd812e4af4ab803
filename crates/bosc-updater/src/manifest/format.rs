//! The manifest a server offers: schema 1 and 2.
//!
//! ```json
//! {"schemaVersion": 2, "version": "1.2.3", "pubDate": "2026-11-01T00:00:00.000Z", "notes": "…", "minSchema": 2,
//!  "platforms": {"linux-x86_64": {"url": "…", "sha256": "…", "signature": "…", "size": 7, "boscSignature": "…"}}}
//! ```
//!
//! The manifest itself is not signed: whoever controls the server writes what they like in every field. What counts is the
//! signature of the one entry for this platform; see [`Asset::verify`]. Fields that are not known are skipped, and so are
//! the entries of other platforms, whatever they hold. As in JavaScript the last of several equal names counts.
//!
//! Some fields are ours, and are skipped by older clients: `minSchema: 2` asks clients never to take schema 1 again, `boscSignature`
//! binds the artifact to application, platform and size too, and `mandatory: true` and `minimumSystemVersion: "12.3"`, of the manifest
//! or of one platform, are reported to the application. `deltas` of a platform are patches (of `bosc-delta`) that make the artifact of
//! an older one: `[{"from": "1.2.2", "baseSha256": "…", "url": "…", "sha256": "…", "size": 41000}]`. What they make is proved as the artifact
//! is, so nothing of them has to be true; one that cannot be read is as if it were not there.
//!
//! `boscRules: {"app": "hello", "policy": "{\"schema\":1, …}"}` are the rules of the release, as a text: the bytes of a `release.json`. Where
//! they are, `boscSignature` is over them, too ([`super::verify::ruled_payload`]), and has to be there: rules that cannot be proved make the
//! manifest useless, and so does a signature over rules that are not there.

use super::delta::AssetDelta;
use super::json::{self, RawAsset, brief, text, whole_number};
use super::url::{SecureUrl, UrlKind};
use super::verify::{
    Binding, Digest32, PublicKey, binding_payload, parse_digest, parse_signature, payload_v2, ruled_payload,
};
use super::version::{MAX_VERSION_LEN, parse_version};
use crate::error::{ErrorKind, UpdateError};
use crate::source::Terms;
use semver::Version;
use serde_json::Value;

/// Largest manifest that is read, in bytes.
pub const MAX_MANIFEST_LEN: usize = 1024 * 1024;
/// Longest release notes that are kept, in bytes; what is over is cut.
pub const MAX_NOTES_LEN: usize = 64 * 1024;
/// Longest text of rules, in bytes: that of a policy.
pub const MAX_RULES_LEN: usize = 64 * 1024;
/// Longest name of an application that rules are of, in bytes.
const MAX_APP_LEN: usize = 255;

/// The signature format of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Schema {
    /// Over the digest alone.
    V1,
    /// Over digest and version.
    V2,
}

impl Schema {
    /// 1 or 2.
    pub fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// The schema with this number.
    pub fn from_number(n: u64) -> Option<Self> {
        match n {
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }
}

/// What a manifest says, as far as it concerns one platform. Nothing of it is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// How its signatures are made.
    pub schema: Schema,
    /// The version.
    pub version: Version,
    /// The version as it is written: what signatures are over.
    pub version_text: String,
    /// When it was published, as written.
    pub pub_date: Option<String>,
    /// Release notes, at most [`MAX_NOTES_LEN`] bytes.
    pub notes: Option<String>,
    /// Whether the publisher asks never to take schema 1 again.
    pub wants_v2: bool,
    /// What the publisher says about it besides: `mandatory`, `minimumSystemVersion`.
    pub terms: Terms,
    /// The rules of the release; `None` when there are none.
    pub rules: Option<Rules>,
    /// The entry of the platform asked for; `None` when there is none.
    pub asset: Option<Asset>,
}

/// The rules that a manifest names. Nothing of them is proved before the asset is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The application, as signatures bind releases to it.
    pub app: String,
    /// The text of a policy, at most [`MAX_RULES_LEN`] bytes. Empty: the publisher has no rules from here on.
    pub policy: String,
}

/// The entry of one platform. Nothing of it is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Its platform key.
    pub platform: String,
    /// Where the artifact is.
    pub url: SecureUrl,
    /// SHA-256 of the artifact.
    pub sha256: Digest32,
    /// The signature as the schema wants it.
    pub signature: [u8; 64],
    /// Bytes of the artifact.
    pub size: Option<u64>,
    /// The signature over [`binding_payload`], if there is one.
    pub bound: Option<[u8; 64]>,
    /// Patches that make the artifact of an older one.
    pub deltas: Vec<AssetDelta>,
}

/// What a proved [`Asset`] is proved to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// How it was signed.
    pub schema: Schema,
    /// Whether application, platform and size are signed too.
    pub bound: bool,
}

/// Perry's platform key for this build: `darwin`, `windows`, else `linux`; `aarch64`, `x86_64`, `i686`, else as it is.
pub fn platform_key() -> String {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "windows",
        _ => "linux",
    };
    let arch = match std::env::consts::ARCH {
        "x86" => "i686",
        arch => arch,
    };
    format!("{os}-{arch}")
}

impl Manifest {
    /// Reads a manifest for one platform.
    ///
    /// # Errors
    /// `Integrity` with Perry's texts: no JSON object, an unknown schema, no version, a field of the wrong type in this
    /// platform's entry; `Refused` for a URL that may not be fetched.
    pub fn parse(bytes: &[u8], platform: &str) -> Result<Self, UpdateError> {
        if bytes.len() > MAX_MANIFEST_LEN {
            return Err(bad(format!("updater: manifest is larger than {MAX_MANIFEST_LEN} bytes")));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let raw = json::read(bytes, platform)
            .map_err(|e| bad("updater: manifest is not a JSON object").because(e))?;
        let number = raw.schema.as_ref().and_then(whole_number);
        let schema = number.and_then(Schema::from_number).ok_or_else(|| {
            let shown = raw.schema.as_ref().map_or_else(|| "undefined".to_owned(), brief);
            bad(format!("updater: unsupported manifest schemaVersion {shown}"))
                .hint("the manifest is newer than this application: install the newest version by hand")
        })?;
        let version_text = match raw.version {
            Some(Value::String(text)) if text.len() <= MAX_VERSION_LEN => text,
            _ => return Err(bad("updater: invalid version string")),
        };
        let version = parse_version(&version_text).ok_or_else(|| bad("updater: invalid version string"))?;
        let own = raw.asset.as_ref().map(|asset| asset.terms.clone()).unwrap_or_default();
        let terms = own.or(raw.terms);
        let rules = raw.rules.map(Rules::checked).transpose()?;
        let asset = raw.asset.map(|a| Asset::checked(a, platform)).transpose()?;
        Ok(Self {
            schema,
            version,
            version_text,
            pub_date: text(raw.pub_date, 64),
            notes: text(raw.notes, MAX_NOTES_LEN),
            wants_v2: raw.min_schema.as_ref().and_then(whole_number).is_some_and(|n| n >= 2),
            terms,
            rules,
            asset,
        })
    }
}

impl Rules {
    /// Rules that are not of the form are not left out: whoever made them meant to restrict something.
    fn checked(raw: json::RawRules) -> Result<Self, UpdateError> {
        let wrong = |field| bad(format!("updater: the manifest's boscRules have no usable {field}"));
        if raw.malformed {
            return Err(wrong("object"));
        }
        let string = |value, field, max| match value {
            Some(Value::String(text)) if text.len() <= max => Ok(text),
            _ => Err(wrong(field)),
        };
        let app = string(raw.app, "app", MAX_APP_LEN)?;
        if app.is_empty() {
            return Err(wrong("app"));
        }
        Ok(Self { app, policy: string(raw.policy, "policy", MAX_RULES_LEN)? })
    }
}

impl Asset {
    fn checked(raw: RawAsset, platform: &str) -> Result<Self, UpdateError> {
        let wrong =
            |field: &str| bad(format!("updater: the manifest's entry for {platform} has no usable {field}"));
        if raw.malformed {
            return Err(wrong("object"));
        }
        let string = |value: Option<Value>, field| match value {
            Some(Value::String(s)) => Ok(s),
            _ => Err(wrong(field)),
        };
        let url = SecureUrl::parse(UrlKind::Asset, &string(raw.url, "url")?)?;
        let sha256 = parse_digest(&string(raw.sha256, "sha256")?).ok_or_else(|| wrong("sha256"))?;
        let signature =
            parse_signature(&string(raw.signature, "signature")?).ok_or_else(|| wrong("signature"))?;
        let size = match raw.size {
            None => None,
            Some(v) => {
                Some(whole_number(&v).filter(|n| *n <= json::MAX_SAFE_INTEGER).ok_or_else(|| wrong("size"))?)
            }
        };
        let bound = match raw.bound {
            None => None,
            some => {
                Some(parse_signature(&string(some, "boscSignature")?).ok_or_else(|| wrong("boscSignature"))?)
            }
        };
        Ok(Self { platform: platform.to_owned(), url, sha256, signature, size, bound, deltas: raw.deltas })
    }

    /// Whether one of `keys` signed that this digest is this version: checked against what the entry claims, before a byte
    /// of the artifact is fetched. `app` names the application when the publisher binds releases to one.
    ///
    /// # Errors
    /// `Integrity`.
    pub fn verify(
        &self,
        manifest: &Manifest,
        keys: &[PublicKey],
        app: Option<&str>,
    ) -> Result<Proof, UpdateError> {
        let schema = manifest.schema;
        let payload = match schema {
            Schema::V1 => Some(self.sha256.to_vec()),
            Schema::V2 => payload_v2(&self.sha256, &manifest.version_text),
        };
        let good = payload.is_some_and(|p| keys.iter().any(|k| k.verifies(&p, &self.signature)));
        if !good {
            return Err(bad(format!(
                "updater: Ed25519 signature verification failed (schemaVersion {})",
                schema.number()
            ))
            .hint(
                "nothing was downloaded; if it happens again, the publisher's server may be under attack",
            ));
        }
        if let Some(rules) = &manifest.rules {
            self.verify_ruled(manifest, rules, keys, app)?;
            // Whoever does not say which application it is learned nothing of that.
            return Ok(Proof { schema, bound: app.is_some() });
        }
        let bound = match (&self.bound, app, self.size) {
            (Some(signature), Some(app), Some(size)) => {
                let binding =
                    Binding { app, platform: &self.platform, version: &manifest.version_text, size };
                let payload = binding_payload(&self.sha256, &binding);
                if !payload.is_some_and(|p| keys.iter().any(|k| k.verifies(&p, signature))) {
                    return Err(bad(format!(
                        "updater: the release is not signed for {app} on {} with {size} bytes",
                        self.platform
                    ))
                    .hint("the entry belongs to another application or platform; nothing was downloaded"));
                }
                true
            }
            _ => false,
        };
        Ok(Proof { schema, bound })
    }
}

impl Asset {
    /// Whether one of `keys` signed that this artifact goes with these rules, and is of the application that they are of.
    fn verify_ruled(
        &self,
        manifest: &Manifest,
        rules: &Rules,
        keys: &[PublicKey],
        app: Option<&str>,
    ) -> Result<(), UpdateError> {
        let of = |size| Binding {
            app: &rules.app,
            platform: &self.platform,
            version: &manifest.version_text,
            size,
        };
        let payload = self.size.and_then(|size| ruled_payload(&self.sha256, &of(size), &rules.policy));
        let signed = payload.zip(self.bound);
        let good = signed.is_some_and(|(p, signature)| keys.iter().any(|k| k.verifies(&p, &signature)));
        if good && app.is_none_or(|app| app == rules.app) {
            return Ok(());
        }
        Err(bad(format!(
            "updater: the release is not signed with its rules for {}",
            app.unwrap_or(&rules.app)
        ))
        .hint("the rules belong to another release or application, or were changed; nothing was downloaded"))
    }
}

fn bad(message: impl Into<String>) -> UpdateError {
    UpdateError::new(ErrorKind::Integrity, message)
        .hint("the manifest on the server is broken; nothing was changed here")
}
