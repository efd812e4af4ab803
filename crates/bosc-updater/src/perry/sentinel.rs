//! The sentinel: the file that says a new build is on trial, and counts its boots.
//!
//! ```json
//! {"prevExePath":"/opt/app.prev","stagedAt":"2026-11-01T00:00:00.000Z","currentVersion":"1.0.0","targetVersion":"1.0.1",
//!  "restartCount":0,"state":"armed","generation":"m5x-1-k3f"}
//! ```
//!
//! One line of JSON with the keys in this order. Keys that are not known are kept where they are when the count goes up.
//! It is written to `<path>.tmp`, synced, renamed and the folder synced; mode 0600. Changes by this client happen under a
//! lock on `<path>.lock`, so that of two processes one sees what the other wrote.

use crate::error::UpdateError;
use crate::files;
use crate::manifest::iso_8601;
use bosc_files::Durability;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::fmt;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Largest sentinel that is read, in bytes. A larger one counts as malformed.
pub const MAX_SENTINEL_LEN: u64 = 64 * 1024;

/// A sentinel's fields, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Sentinel {
    fields: Vec<(String, Value)>,
}

impl Sentinel {
    /// A build that was just put in place, not booted yet.
    pub fn armed(previous: &Path, current: &str, target: &str, now: SystemTime) -> Self {
        let text = |s: &str| Value::String(s.to_owned());
        Self {
            fields: vec![
                ("prevExePath".into(), text(&previous.to_string_lossy())),
                ("stagedAt".into(), text(&iso_8601(now))),
                ("currentVersion".into(), text(current)),
                ("targetVersion".into(), text(target)),
                ("restartCount".into(), Value::from(0)),
                ("state".into(), text("armed")),
                ("generation".into(), text(&new_generation(now))),
            ],
        }
    }

    /// Reads a sentinel's text; `None` when it is not a JSON object or the count is not a whole number from 0.
    pub fn parse(text: &str) -> Option<Self> {
        let sentinel: Self = serde_json::from_str(text).ok()?;
        sentinel.restart_count()?;
        Some(sentinel)
    }

    /// The one line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.fields.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    fn set(&mut self, key: &str, value: Value) {
        match self.fields.iter_mut().find(|(k, _)| k == key) {
            Some((_, v)) => *v = value,
            None => self.fields.push((key.to_owned(), value)),
        }
    }

    /// Whether it is on trial. In any other state the file is left alone.
    pub fn is_armed(&self) -> bool {
        self.text("state") == Some("armed")
    }

    /// Boots counted so far; absent and `null` are 0.
    pub fn restart_count(&self) -> Option<u32> {
        match self.get("restartCount") {
            None | Some(Value::Null) => Some(0),
            Some(Value::Number(n)) => {
                let n =
                    n.as_f64().filter(|f| f.fract() == 0.0 && (0.0..=f64::from(u32::MAX - 1)).contains(f))?;
                Some(n as u32)
            }
            Some(_) => None,
        }
    }

    /// Where the previous build is.
    pub fn previous(&self) -> Option<&str> {
        self.text("prevExePath")
    }

    /// The version on trial.
    pub fn target_version(&self) -> Option<&str> {
        self.text("targetVersion")
    }

    /// The version before it.
    pub fn current_version(&self) -> Option<&str> {
        self.text("currentVersion")
    }

    /// Which update this is about; absent in the files of old clients.
    pub fn generation(&self) -> Option<&str> {
        self.text("generation")
    }

    /// Counts one boot, and names the update if it has no name yet.
    pub fn bump(&mut self, now: SystemTime) {
        let count = self.restart_count().unwrap_or(0).saturating_add(1);
        self.set("restartCount", Value::from(count));
        if self.generation().is_none() {
            self.set("generation", Value::String(new_generation(now)));
        }
    }
}

impl Serialize for Sentinel {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(self.fields.len()))?;
        for (k, v) in &self.fields {
            map.serialize_entry(k, v)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Sentinel {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Sentinel;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut a: A) -> Result<Sentinel, A::Error> {
                let mut sentinel = Sentinel { fields: Vec::new() };
                while let Some((key, value)) = a.next_entry::<String, Value>()? {
                    // A name given twice has its first place and its last value, as in JavaScript.
                    sentinel.set(&key, value);
                    if sentinel.fields.len() > 256 {
                        return Err(serde::de::Error::custom("too many fields"));
                    }
                }
                Ok(sentinel)
            }
        }
        d.deserialize_map(Fields)
    }
}

/// Perry's `writeSentinel`: replaces the file in one step, with everything synced. Makes its folder.
///
/// # Errors
/// `Disk` or `Permission`: `updater: failed to write sentinel`.
pub fn write_sentinel(path: &Path, json: &str) -> Result<(), UpdateError> {
    files::state()
        .write(path, json.as_bytes())
        .map_err(|e| failed("updater: failed to write sentinel", path, e))
}

/// Perry's `readSentinel`: the text, `None` when there is no file.
///
/// # Errors
/// `Disk` or `Permission` when it is there and cannot be read. A file above [`MAX_SENTINEL_LEN`], or one that is not UTF-8,
/// is given back as an empty text, which no parser takes. What is not a file (a fifo, a folder) counts as none.
pub fn read_sentinel(path: &Path) -> Result<Option<String>, UpdateError> {
    files::read_text(path, MAX_SENTINEL_LEN).map_err(|e| failed("updater: failed to read sentinel", path, e))
}

/// Perry's `clearSentinel`: removes the file; good when there is none. `context` ends the text of the error.
///
/// # Errors
/// `Disk` or `Permission`: `updater: failed to clear sentinel <context>`.
pub fn clear_sentinel(path: &Path, context: &str) -> Result<(), UpdateError> {
    bosc_files::remove_file(path, Durability::Disk)
        .map(drop)
        .map_err(|e| failed(&format!("updater: failed to clear sentinel {context}"), path, e))
}

/// Removes the sentinel if it still is about this update. Whether it was removed.
///
/// # Errors
/// As [`clear_sentinel`] and [`read_sentinel`].
pub fn clear_generation(path: &Path, generation: &str, context: &str) -> Result<bool, UpdateError> {
    let _lock = Lock::take(path)?;
    let Some(text) = read_sentinel(path)? else { return Ok(false) };
    if Sentinel::parse(&text).is_none_or(|s| s.generation() != Some(generation)) {
        return Ok(false);
    }
    clear_sentinel(path, context)?;
    Ok(true)
}

/// Removes the sentinel if it still holds these bytes. Whether it was removed.
///
/// # Errors
/// As [`clear_sentinel`] and [`read_sentinel`].
pub fn clear_text(path: &Path, text: &str, context: &str) -> Result<bool, UpdateError> {
    let _lock = Lock::take(path)?;
    if read_sentinel(path)?.is_none_or(|t| t != text) {
        return Ok(false);
    }
    clear_sentinel(path, context)?;
    Ok(true)
}

/// The lock under which this client changes a sentinel; given back when dropped or when the process ends.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn take(sentinel: &Path) -> Result<Self, UpdateError> {
        bosc_files::refuse_special(sentinel)
            .map_err(|e| failed("updater: failed to write sentinel", sentinel, e))?;
        files::lock(sentinel).map(|file| Self { _file: file }).map_err(|e| {
            failed("updater: failed to lock the sentinel", &files::with_ending(sentinel, ".lock"), e)
        })
    }
}

fn failed(message: &str, path: &Path, e: io::Error) -> UpdateError {
    UpdateError::new(files::kind(&e), message)
        .hint(format!("check that this user may write {}", path.display()))
        .because(e)
}

/// `<base36 ms>-<base36 counter>-<base36 random>`.
fn new_generation(now: SystemTime) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let ms = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let counter = COUNTER.fetch_add(1, Ordering::Relaxed) + 1;
    // Seeded by the system for each process; a name needs no more.
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u64(counter);
    hasher.write_u32(std::process::id());
    format!("{}-{}-{}", base36(ms), base36(counter), base36(hasher.finish()))
}

fn base36(mut n: u64) -> String {
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(n % 36).unwrap_or(0);
        digits.push(char::from_digit(digit, 36).unwrap_or('0'));
        n /= 36;
        if n == 0 {
            return digits.iter().rev().collect();
        }
    }
}
