//! The JSON of a manifest, read for one platform: what is not wanted takes no memory, whatever it is and however much of it there is.
//! What the values mean is in `format`.

use super::delta::{AssetDelta, MAX_DELTAS};
use super::url::{SecureUrl, UrlKind};
use super::verify::parse_digest;
use super::version::MAX_VERSION_LEN;
use crate::source::Terms;
use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// Largest number that JSON of JavaScript carries exactly.
pub(super) const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Reads all of a text.
///
/// # Errors
/// It is not a JSON object.
pub(super) fn read(bytes: &[u8], platform: &str) -> Result<RawManifest, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let raw = Top { platform }.deserialize(&mut json)?;
    json.end().map(|()| raw)
}

/// A number as JavaScript compares it: `2` and `2.0` are the same.
pub(super) fn whole_number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(n) => n.as_u64().or_else(|| {
            let f = n.as_f64().filter(|f| f.fract() == 0.0 && (0.0..=MAX_SAFE_INTEGER as f64).contains(f))?;
            Some(f as u64)
        }),
        _ => None,
    }
}

pub(super) fn brief(value: &Value) -> String {
    value.to_string().chars().take(40).collect()
}

/// A text, cut to at most `max` bytes; `None` for anything else.
pub(super) fn text(value: Option<Value>, max: usize) -> Option<String> {
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
pub(super) struct RawTerms {
    pub(super) mandatory: Option<Value>,
    pub(super) minimum_system: Option<Value>,
}

impl RawTerms {
    /// What a platform says goes before what is said for all.
    pub(super) fn or(self, all: Self) -> Terms {
        let mandatory = self.mandatory.or(all.mandatory);
        Terms {
            mandatory: mandatory == Some(Value::Bool(true)),
            minimum_system: text(self.minimum_system.or(all.minimum_system), 64),
        }
    }
}

#[derive(Default)]
pub(super) struct RawManifest {
    pub(super) schema: Option<Value>,
    pub(super) version: Option<Value>,
    pub(super) pub_date: Option<Value>,
    pub(super) notes: Option<Value>,
    pub(super) min_schema: Option<Value>,
    pub(super) terms: RawTerms,
    pub(super) rules: Option<RawRules>,
    pub(super) asset: Option<RawAsset>,
}

#[derive(Default)]
pub(super) struct RawAsset {
    pub(super) url: Option<Value>,
    pub(super) sha256: Option<Value>,
    pub(super) signature: Option<Value>,
    pub(super) size: Option<Value>,
    pub(super) bound: Option<Value>,
    pub(super) terms: RawTerms,
    pub(super) deltas: Vec<AssetDelta>,
    /// It was there, and no object.
    pub(super) malformed: bool,
}

/// The rules as they are written.
#[derive(Default)]
pub(super) struct RawRules {
    pub(super) app: Option<Value>,
    pub(super) policy: Option<Value>,
    /// They were there, and no object.
    pub(super) malformed: bool,
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
                "boscRules" => raw.rules = a.next_value_seed(Rules)?,
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

/// The rules; `null` counts as absent.
struct Rules;

impl<'de> DeserializeSeed<'de> for Rules {
    type Value = Option<RawRules>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_any(self)
    }
}

fn no_rules() -> Option<RawRules> {
    Some(RawRules { malformed: true, ..RawRules::default() })
}

impl<'de> Visitor<'de> for Rules {
    type Value = Option<RawRules>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(no_rules())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(no_rules())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(no_rules())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(no_rules())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(no_rules())
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut a: A) -> Result<Self::Value, A::Error> {
        while a.next_element::<IgnoredAny>()?.is_some() {}
        Ok(no_rules())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut a: A) -> Result<Self::Value, A::Error> {
        let mut raw = RawRules::default();
        while let Some(key) = a.next_key::<String>()? {
            match key.as_str() {
                "app" => raw.app = a.next_value_seed(Scalar)?,
                "policy" => raw.policy = a.next_value_seed(Scalar)?,
                _ => {
                    a.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Some(raw))
    }
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
