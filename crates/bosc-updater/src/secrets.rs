//! What the environment of a publisher holds and no application is to see.

use std::process::Command;

/// Every variable in which a program of Bosc finds a secret, or the way to one. The one list: who reads another one from the
/// environment adds it here (a test reads the sources to see to it).
pub const VARIABLES: [&str; 8] = [
    "BOSC_PASSPHRASE",
    "BOSC_NEW_PASSPHRASE",
    "BOSC_PRIMARY_KEY",
    "BOSC_PRIMARY_KEY_FILE",
    "BOSC_UPDATER_SECRET_KEY",
    "BOSC_UPDATE_TOKEN",
    "BOSC_MIRROR_TOKEN",
    "BOSC_MIRROR_PASSWORD",
];

/// Keeps them from a program that is about to be started. Whoever starts one calls it.
pub fn keep_from(command: &mut Command) -> &mut Command {
    for name in VARIABLES {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// The rules of a name that holds a secret, so that a new one is not forgotten.
    fn is_secret(name: &str) -> bool {
        ["PASSPHRASE", "SECRET", "PRIMARY_KEY", "PASSWORD", "TOKEN"].iter().any(|word| name.contains(word))
    }

    fn sources(at: &Path, see: &mut dyn FnMut(&Path, &str)) {
        for entry in std::fs::read_dir(at).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, see);
            } else if path.extension().is_some_and(|e| e == "rs") {
                see(&path, &std::fs::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn the_list_has_every_secret_and_who_starts_programs_keeps_them_back() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut seen = std::collections::BTreeSet::new();
        let mut starts = Vec::new();
        for name in ["bosc", "bosc-release", "bosc-updater", "bosc-node", "bosc-store"] {
            sources(&crates.join(name).join("src"), &mut |path, text| {
                for part in text.split("BOSC_").skip(1) {
                    let end =
                        part.find(|c: char| !(c.is_ascii_uppercase() || c == '_')).unwrap_or(part.len());
                    let name = format!("BOSC_{}", part[..end].trim_end_matches('_'));
                    if is_secret(&name) {
                        seen.insert(name);
                    }
                }
                let code = text.split("#[cfg(test)]").next().unwrap();
                // What takes a command from another place does not make one.
                if code.contains("Command::new(")
                    && (code.contains(".spawn()") || code.contains(".status()"))
                    && !code.contains("secrets::keep_from")
                {
                    starts.push(path.display().to_string());
                }
            });
        }
        for name in &seen {
            assert!(VARIABLES.contains(&name.as_str()), "{name} is read and not on the list");
        }
        assert!(seen.len() >= 5, "{seen:?}");
        assert!(starts.is_empty(), "they start programs and hand secrets on: {starts:?}");
    }
}
