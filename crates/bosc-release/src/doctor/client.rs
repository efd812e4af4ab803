//! Whether a client would update, and why.

use super::facts::Facts;
use super::release::is_app;
use semver::Version;
use serde::{Deserialize, Serialize};

/// Whether and why a client would update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its version.
    pub version: Option<String>,
    /// Its platform.
    pub platform: Option<String>,
    /// Whether it would update.
    pub updates: bool,
    /// Why or why not.
    pub why: Vec<String>,
}

/// What a client of `version` on `platform` would do, going by what the JavaScript updater and ours do.
pub fn client(f: &Facts, version: Option<&str>, platform: Option<&str>) -> Result<Client, String> {
    let mut why = Vec::new();
    let mut updates = true;
    let mut no = |text: String, why: &mut Vec<String>| {
        updates = false;
        why.push(text);
    };
    let own = version
        .map(|v| {
            Version::parse(v.trim_start_matches('v')).map_err(|_| format!("--version {v:?} is not SemVer"))
        })
        .transpose()?;
    if f.length == 0 {
        no("it would wait: no peer offers a release on the link".into(), &mut why);
    } else {
        if f.full.2 == 0 && f.mirrors == 0 && !(f.seeding && f.here) {
            why.push(
                "it would see the new version and then wait for files: no peer was found that has everything"
                    .into(),
            );
            no("it would not finish until a peer seeds all of the link".into(), &mut why);
        }
        match (f.version.as_deref().map(Version::parse), &own) {
            (Some(Ok(new)), Some(own)) => match new.cmp_precedence(own) {
                std::cmp::Ordering::Greater => why.push(format!("{new} is newer than {own}")),
                std::cmp::Ordering::Equal => {
                    no(format!("it has {own} already; only a greater version updates"), &mut why);
                }
                std::cmp::Ordering::Less => no(
                    format!(
                        "{new} is older than {own}, and clients never go back: release the old content as a higher version"
                    ),
                    &mut why,
                ),
            },
            (Some(Ok(new)), None) => why.push(format!("a client of a version below {new} would take it")),
            (Some(Err(_)), _) => no("the version in package.json is not SemVer".into(), &mut why),
            (None, _) => no("there is no version in package.json".into(), &mut why),
        }
        if let Some(platform) = platform {
            let app = f.app.as_deref().unwrap_or_default();
            match f.platforms.iter().find(|p| p.platform == platform) {
                None if f.platforms.is_empty() => {
                    no(format!("there is no build for {platform}, nor for any other system"), &mut why)
                }
                None => no(
                    format!(
                        "there is no build for {platform}; there is: {}",
                        f.platforms.iter().map(|p| p.platform.as_str()).collect::<Vec<_>>().join(", ")
                    ),
                    &mut why,
                ),
                Some(p) if !p.apps.iter().any(|a| is_app(a, app)) => no(
                    format!(
                        "the build for {platform} is called {}, and a client looks for {app}",
                        p.apps.join(", ")
                    ),
                    &mut why,
                ),
                Some(p) => why.push(format!("there is a build for {platform}: {}", p.apps.join(", "))),
            }
        }
        if f.upgrade_key.as_ref().is_some_and(|k| *k != f.key) {
            why.push(
                "only if it was built with this link as upgrade; one built from this package.json follows another".into(),
            );
        }
    }
    Ok(Client { version: own.map(|v| v.to_string()), platform: platform.map(str::to_owned), updates, why })
}
