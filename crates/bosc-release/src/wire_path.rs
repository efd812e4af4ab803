//! Paths in what is handed to another process. A path need not be UTF-8, and JSON is: it is a text, or numbers where it is none.
//! (What is told of a path shows it as a terminal would: `crate::event::fields::path`.)

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A path in JSON.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum WirePath {
    Text(String),
    /// The bytes of a name on Unix, its units of UTF-16 on Windows.
    Units(Vec<u16>),
}

impl WirePath {
    fn of(path: &Path) -> Self {
        path.to_str().map_or_else(|| Self::Units(units(path)), |text| Self::Text(text.to_owned()))
    }

    fn path(self) -> Option<PathBuf> {
        match self {
            Self::Text(text) => Some(text.into()),
            Self::Units(units) => from_units(units).map(PathBuf::from),
        }
    }
}

#[cfg(unix)]
fn units(path: &Path) -> Vec<u16> {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).iter().map(|b| u16::from(*b)).collect()
}

#[cfg(unix)]
fn from_units(units: Vec<u16>) -> Option<OsString> {
    let bytes: Option<Vec<u8>> = units.into_iter().map(|unit| u8::try_from(unit).ok()).collect();
    bytes.map(std::os::unix::ffi::OsStringExt::from_vec)
}

#[cfg(windows)]
fn units(path: &Path) -> Vec<u16> {
    std::os::windows::ffi::OsStrExt::encode_wide(path.as_os_str()).collect()
}

#[cfg(windows)]
fn from_units(units: Vec<u16>) -> Option<OsString> {
    Some(std::os::windows::ffi::OsStringExt::from_wide(&units))
}

/// Paths, as fields have them.
pub(crate) trait Paths: Sized {
    type Wire: Serialize + DeserializeOwned;

    fn written(&self) -> Self::Wire;
    fn read(wire: Self::Wire) -> Option<Self>;
}

impl Paths for PathBuf {
    type Wire = WirePath;

    fn written(&self) -> WirePath {
        WirePath::of(self)
    }

    fn read(wire: WirePath) -> Option<Self> {
        wire.path()
    }
}

impl<P: Paths> Paths for Option<P> {
    type Wire = Option<P::Wire>;

    fn written(&self) -> Self::Wire {
        self.as_ref().map(|path| path.written())
    }

    fn read(wire: Self::Wire) -> Option<Self> {
        match wire {
            Some(wire) => P::read(wire).map(Some),
            None => Some(None),
        }
    }
}

impl<P: Paths> Paths for Vec<P> {
    type Wire = Vec<P::Wire>;

    fn written(&self) -> Self::Wire {
        self.iter().map(|path| path.written()).collect()
    }

    fn read(wire: Self::Wire) -> Option<Self> {
        wire.into_iter().map(P::read).collect()
    }
}

/// With a name.
impl<P: Paths> Paths for (String, P) {
    type Wire = (String, P::Wire);

    fn written(&self) -> Self::Wire {
        (self.0.clone(), self.1.written())
    }

    fn read((name, wire): Self::Wire) -> Option<Self> {
        P::read(wire).map(|path| (name, path))
    }
}

/// As it is.
pub(crate) fn serialize<P: Paths, S: Serializer>(path: &P, to: S) -> Result<S::Ok, S::Error> {
    path.written().serialize(to)
}

/// What [`serialize`] wrote.
pub(crate) fn deserialize<'de, P: Paths, D: Deserializer<'de>>(from: D) -> Result<P, D::Error> {
    P::read(P::Wire::deserialize(from)?).ok_or_else(|| D::Error::custom("not a path of this system"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Every path that is sent says how: serde's own way fails for what is no UTF-8.
    #[test]
    fn no_path_is_sent_as_serde_does() {
        let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
        let (mut wrong, mut seen) = (Vec::new(), 0);
        while let Some(folder) = folders.pop() {
            for item in std::fs::read_dir(folder).unwrap() {
                let path = item.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let (mut derived, mut is_sent, mut before) = (false, false, String::new());
                for line in std::fs::read_to_string(&path).unwrap().lines() {
                    let text = line.trim_start();
                    if text.starts_with("#[derive(") {
                        derived = text.contains("Serialize");
                    }
                    if text.contains("struct ") || text.contains("enum ") {
                        is_sent = std::mem::take(&mut derived);
                    }
                    let field = text.split_once(": ").map(|(_, kind)| kind.trim_end_matches(','));
                    let is_path = field.is_some_and(|kind| {
                        ["PathBuf", "Option<PathBuf>", "Vec<PathBuf>", "Vec<(String, PathBuf)>"]
                            .contains(&kind)
                    });
                    if is_sent && is_path {
                        seen += 1;
                        if !before.contains("wire_path") && !before.contains("crate::event::") {
                            wrong.push(format!("{}: {text}", path.display()));
                        }
                    }
                    before = line.to_owned();
                }
            }
        }
        assert!(seen > 30, "{seen}");
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[cfg(unix)]
    #[test]
    fn requests_with_paths_that_are_no_utf8_survive_the_way_to_the_owner() {
        use crate::install::{Install, UserPlaces};
        use crate::keys::{KeysExport, KeysImport};
        use crate::publish::{Ci, Publish};
        use crate::request::Request;
        use std::os::unix::ffi::OsStringExt;
        let path = PathBuf::from(OsString::from_vec(b"/a/caf\xe9".to_vec()));
        let places = UserPlaces { home: path.clone(), path: vec![path.clone()], ..UserPlaces::default() };
        for request in [
            Request::Stage(crate::stage::Stage { dir: path.clone(), ..crate::stage::Stage::default() }),
            Request::Dump(crate::dump::Dump { dir: Some(path.clone()), ..crate::dump::Dump::default() }),
            Request::Install(Install { to: Some(path.clone()), places, ..Install::default() }),
            Request::KeysExport(KeysExport { file: path.clone(), ..KeysExport::default() }),
            Request::KeysImport(KeysImport { file: path.clone(), ..KeysImport::default() }),
            Request::Publish(Publish {
                dir: path.clone(),
                artifacts: vec![("linux-x64".into(), path.clone())],
                ci: Some(Ci { cache: Some(path.clone()), ..Ci::default() }),
                ..Publish::default()
            }),
        ] {
            let text = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request, "{text}");
        }
    }
}
