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

use super::url::{SecureUrl, UrlKind};
use super::verify::{
    Binding, Digest32, PublicKey, binding_payload, parse_digest, parse_signature, payload_v2,
};
use super::version::{MAX_VERSION_LEN, parse_version};
use crate::error::{ErrorKind, UpdateError};
use crate::source::Terms;
use semver::Version;
use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// Largest manifest that is read, in bytes.
pub const MAX_MANIFEST_LEN: usize = 1024 * 1024;
/// Longest release notes that are kept, in bytes; what is over is cut.
pub const MAX_NOTES_LEN: usize = 64 * 1024;
/// Most deltas of one platform that are looked at.
pub const MAX_DELTAS: usize = 16;
/// Largest number that JSON of JavaScript carries exactly.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

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
    /// The entry of the platform asked for; `None` when there is none.
    pub asset: Option<Asset>,
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

/// A patch that makes an artifact of an older one. Nothing of it is proved, nor has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetDelta {
    /// The version of the older artifact.
    pub from: String,
    /// SHA-256 of the older artifact.
    pub base_sha256: Digest32,
    /// Where the patch is.
    pub url: SecureUrl,
    /// SHA-256 of the patch.
    pub sha256: Digest32,
    /// Bytes of the patch.
    pub size: u64,
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
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let raw = Top { platform }
            .deserialize(&mut json)
            .and_then(|raw| json.end().map(|()| raw))
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
        let asset = raw.asset.map(|a| a.check(platform)).transpose()?;
        Ok(Self {
            schema,
            version,
            version_text,
            pub_date: text(raw.pub_date, 64),
            notes: text(raw.notes, MAX_NOTES_LEN),
            wants_v2: raw.min_schema.as_ref().and_then(whole_number).is_some_and(|n| n >= 2),
            terms,
            asset,
        })
    }
}

impl Asset {
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

fn bad(message: impl Into<String>) -> UpdateError {
    UpdateError::new(ErrorKind::Integrity, message)
        .hint("the manifest on the server is broken; nothing was changed here")
}

/// A number as JavaScript compares it: `2` and `2.0` are the same.
fn whole_number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(n) => n.as_u64().or_else(|| {
            let f = n.as_f64().filter(|f| f.fract() == 0.0 && (0.0..=MAX_SAFE_INTEGER as f64).contains(f))?;
            Some(f as u64)
        }),
        _ => None,
    }
}

fn brief(value: &Value) -> String {
    value.to_string().chars().take(40).collect()
}

/// A text, cut to at most `max` bytes; `None` for anything else.
fn text(value: Option<Value>, max: usize) -> Option<String> {
    let Some(Value::String(mut text)) = value else { return None };
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    Some(text)
}

/// A scalar is kept, an array or object is skipped without memory for it.
struct Scalar;

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Option<Value>, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
        Ok(Some(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
        Ok(Some(v.into()))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
        Ok(Some(v.into()))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
        Ok(Some(v.into()))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Some(v.into()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut a: A) -> Result<Self::Value, A::Error> {
        while a.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Some(Value::Array(Vec::new())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut a: A) -> Result<Self::Value, A::Error> {
        while a.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Some(Value::Object(serde_json::Map::new())))
    }
}

/// The terms as they are written.
#[derive(Default, Clone)]
struct RawTerms {
    mandatory: Option<Value>,
    minimum_system: Option<Value>,
}

impl RawTerms {
    /// What a platform says goes before what is said for all.
    fn or(self, all: Self) -> Terms {
        let mandatory = self.mandatory.or(all.mandatory);
        Terms {
            mandatory: mandatory == Some(Value::Bool(true)),
            minimum_system: text(self.minimum_system.or(all.minimum_system), 64),
        }
    }
}

#[derive(Default)]
struct RawManifest {
    schema: Option<Value>,
    version: Option<Value>,
    pub_date: Option<Value>,
    notes: Option<Value>,
    min_schema: Option<Value>,
    terms: RawTerms,
    asset: Option<RawAsset>,
}

#[derive(Default)]
struct RawAsset {
    url: Option<Value>,
    sha256: Option<Value>,
    signature: Option<Value>,
    size: Option<Value>,
    bound: Option<Value>,
    terms: RawTerms,
    deltas: Vec<AssetDelta>,
    /// It was there, and no object.
    malformed: bool,
}

impl RawAsset {
    fn check(self, platform: &str) -> Result<Asset, UpdateError> {
        let wrong =
            |field: &str| bad(format!("updater: the manifest's entry for {platform} has no usable {field}"));
        if self.malformed {
            return Err(wrong("object"));
        }
        let string = |value: Option<Value>, field| match value {
            Some(Value::String(s)) => Ok(s),
            _ => Err(wrong(field)),
        };
        let url = SecureUrl::parse(UrlKind::Asset, &string(self.url, "url")?)?;
        let sha256 = parse_digest(&string(self.sha256, "sha256")?).ok_or_else(|| wrong("sha256"))?;
        let signature =
            parse_signature(&string(self.signature, "signature")?).ok_or_else(|| wrong("signature"))?;
        let size = match self.size {
            None => None,
            Some(v) => {
                Some(whole_number(&v).filter(|n| *n <= MAX_SAFE_INTEGER).ok_or_else(|| wrong("size"))?)
            }
        };
        let bound = match self.bound {
            None => None,
            some => {
                Some(parse_signature(&string(some, "boscSignature")?).ok_or_else(|| wrong("boscSignature"))?)
            }
        };
        Ok(Asset { platform: platform.to_owned(), url, sha256, signature, size, bound, deltas: self.deltas })
    }
}

struct Top<'a> {
    platform: &'a str,
}

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = RawManifest;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<RawManifest, D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = RawManifest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut a: A) -> Result<RawManifest, A::Error> {
        let mut raw = RawManifest::default();
        while let Some(key) = a.next_key::<String>()? {
            match key.as_str() {
                "schemaVersion" => raw.schema = a.next_value_seed(Scalar)?,
                "version" => raw.version = a.next_value_seed(Scalar)?,
                "pubDate" => raw.pub_date = a.next_value_seed(Scalar)?,
                "notes" => raw.notes = a.next_value_seed(Scalar)?,
                "minSchema" => raw.min_schema = a.next_value_seed(Scalar)?,
                "mandatory" => raw.terms.mandatory = a.next_value_seed(Scalar)?,
                "minimumSystemVersion" => raw.terms.minimum_system = a.next_value_seed(Scalar)?,
                "platforms" => raw.asset = a.next_value_seed(Platforms { platform: self.platform })?,
                _ => {
                    a.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(raw)
    }
}

/// The map of platforms: keeps one entry. Anything but an object holds none.
struct Platforms<'a> {
    platform: &'a str,
}

impl<'de> DeserializeSeed<'de> for Platforms<'_> {
    type Value = Option<RawAsset>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Platforms<'_> {
    type Value = Option<RawAsset>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one entry a platform")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut a: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = a.next_key::<String>()? {
            if key == self.platform {
                found = a.next_value_seed(Entry)?;
            } else {
                a.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// One platform's entry; `null` counts as absent.
struct Entry;

impl<'de> DeserializeSeed<'de> for Entry {
    type Value = Option<RawAsset>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entry {
    type Value = Option<RawAsset>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(malformed())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(malformed())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(malformed())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(malformed())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(malformed())
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut a: A) -> Result<Self::Value, A::Error> {
        while a.next_element::<IgnoredAny>()?.is_some() {}
        Ok(malformed())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut a: A) -> Result<Self::Value, A::Error> {
        let mut raw = RawAsset::default();
        while let Some(key) = a.next_key::<String>()? {
            match key.as_str() {
                "url" => raw.url = a.next_value_seed(Scalar)?,
                "sha256" => raw.sha256 = a.next_value_seed(Scalar)?,
                "signature" => raw.signature = a.next_value_seed(Scalar)?,
                "size" => raw.size = a.next_value_seed(Scalar)?,
                "boscSignature" => raw.bound = a.next_value_seed(Scalar)?,
                "deltas" => raw.deltas = a.next_value_seed(Deltas)?,
                "mandatory" => raw.terms.mandatory = a.next_value_seed(Scalar)?,
                "minimumSystemVersion" => raw.terms.minimum_system = a.next_value_seed(Scalar)?,
                _ => {
                    a.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Some(raw))
    }
}

fn malformed() -> Option<RawAsset> {
    Some(RawAsset { malformed: true, ..RawAsset::default() })
}

/// A list of deltas: anything but a list holds none.
struct Deltas;

impl<'de> DeserializeSeed<'de> for Deltas {
    type Value = Vec<AssetDelta>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Deltas {
    type Value = Vec<AssetDelta>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of deltas")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut a: A) -> Result<Self::Value, A::Error> {
        while a.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Vec::new())
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut a: A) -> Result<Self::Value, A::Error> {
        let mut out = Vec::new();
        while out.len() < MAX_DELTAS {
            match a.next_element_seed(OneDelta)? {
                Some(delta) => out.extend(delta),
                None => return Ok(out),
            }
        }
        while a.next_element::<IgnoredAny>()?.is_some() {}
        Ok(out)
    }
}

/// One delta; none when it is anything else.
struct OneDelta;

impl<'de> DeserializeSeed<'de> for OneDelta {
    type Value = Option<AssetDelta>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneDelta {
    type Value = Option<AssetDelta>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a delta")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut a: A) -> Result<Self::Value, A::Error> {
        while a.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut a: A) -> Result<Self::Value, A::Error> {
        let (mut from, mut base, mut url, mut sha256, mut size) = (None, None, None, None, None);
        while let Some(key) = a.next_key::<String>()? {
            match key.as_str() {
                "from" => from = a.next_value_seed(Scalar)?,
                "baseSha256" => base = a.next_value_seed(Scalar)?,
                "url" => url = a.next_value_seed(Scalar)?,
                "sha256" => sha256 = a.next_value_seed(Scalar)?,
                "size" => size = a.next_value_seed(Scalar)?,
                _ => {
                    a.next_value::<IgnoredAny>()?;
                }
            }
        }
        let digest = |value: Option<Value>| value.and_then(|v| parse_digest(v.as_str()?));
        let delta = || {
            Some(AssetDelta {
                from: text(from, MAX_VERSION_LEN)?,
                base_sha256: digest(base)?,
                url: SecureUrl::parse(UrlKind::Asset, url?.as_str()?).ok()?,
                sha256: digest(sha256)?,
                size: whole_number(&size?)?,
            })
        };
        Ok(delta())
    }
}
