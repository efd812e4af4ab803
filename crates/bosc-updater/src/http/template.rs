//! URLs of servers that decide by who asks, with Tauri's variables: `{{current_version}}`, `{{target}}`, `{{arch}}`.

use crate::error::{ErrorKind, UpdateError};
use semver::Version;

/// Replaces the variables by what is known. `platform` is a platform key, `<target>-<arch>`.
///
/// # Errors
/// `Input` for a variable that is not one of the three.
pub(super) fn expand(template: &str, platform: &str, current: &Version) -> Result<String, UpdateError> {
    let (target, arch) = platform.split_once('-').unwrap_or((platform, ""));
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, word)) = rest.split_once("{{") {
        let (word, after) = word.split_once("}}").ok_or_else(|| unknown(word))?;
        out.push_str(before);
        match word.trim() {
            // A plus sign is a space in a query.
            "current_version" => out.push_str(&current.to_string().replace('+', "%2B")),
            "target" => out.push_str(target),
            "arch" => out.push_str(arch),
            other => return Err(unknown(other)),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn unknown(word: &str) -> UpdateError {
    let word: String = word.chars().take(40).filter(|c| !c.is_control()).collect();
    UpdateError::new(
        ErrorKind::Input,
        format!("updater: the manifest URL has an unknown placeholder: {{{{{word}}}}}"),
    )
    .hint("use {{current_version}}, {{target}} and {{arch}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_tauris() {
        let of = |template: &str| expand(template, "linux-x86_64", &"1.2.3-rc.1+5".parse().unwrap());
        assert_eq!(
            of("https://e.com/{{target}}/{{arch}}/{{ current_version }}?x={{target}}").unwrap(),
            "https://e.com/linux/x86_64/1.2.3-rc.1%2B5?x=linux"
        );
        assert_eq!(of("https://e.com/{a}").unwrap(), "https://e.com/{a}");
        for bad in ["https://e.com/{{version}}", "https://e.com/{{target", "https://e.com/{{}}"] {
            assert_eq!(of(bad).unwrap_err().kind(), ErrorKind::Input, "{bad}");
        }
    }
}
