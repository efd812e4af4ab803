//! The version that a build says of itself, where it stands in a file: an application whose version was not raised runs as the
//! version before it, so its users never see the release arrive.

use semver::Version;

/// Largest such file read, in bytes.
pub(crate) const MAX: u64 = 1 << 20;

/// Whether the file with this key says the version of a build: the `Info.plist` of a bundle, the package.json of an
/// Electron application that is not packed.
pub(crate) fn is_told_by(key: &str) -> bool {
    let mut parts = key.trim_start_matches('/').split('/');
    let (Some("by-arch"), Some(_), Some("app"), Some(name)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let rest: Vec<&str> = parts.take(5).collect();
    match rest.as_slice() {
        ["Contents", "Info.plist"] => name.ends_with(".app"),
        ["Contents", "Resources", "app", "package.json"] | ["resources", "app", "package.json"] => true,
        _ => false,
    }
}

/// The version that such a file says.
pub(crate) fn said(key: &str, bytes: &[u8]) -> Option<String> {
    if key.ends_with(".json") {
        let json: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        return json.get("version")?.as_str().map(str::to_owned);
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let (_, rest) = text.split_once("<key>CFBundleShortVersionString</key>")?;
    let (_, value) = rest.trim_start().split_once("<string>").filter(|(before, _)| before.is_empty())?;
    Some(value.split_once("</string>")?.0.trim().to_owned())
}

/// Whether a program that says `said` is another version than the release. Bundles leave zeros and what follows a `-` out;
/// what is not a version says nothing.
pub(crate) fn differs(release: &str, said: &str) -> bool {
    let zeros = ["", ".0", ".0.0"].iter().find_map(|end| Version::parse(&format!("{said}{end}")).ok());
    let (Ok(release), Some(said)) = (Version::parse(release), zeros) else { return false };
    (release.major, release.minor, release.patch) != (said.major, said.minor, said.patch)
        || (!said.pre.is_empty() && said.pre != release.pre)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_build_says_its_version() {
        for (key, told) in [
            ("/by-arch/darwin-arm64/app/Demo.app/Contents/Info.plist", true),
            ("/by-arch/darwin-x64/app/Demo.app/Contents/Resources/app/package.json", true),
            ("/by-arch/linux-x64/app/demo/resources/app/package.json", true),
            ("/package.json", false),
            ("/by-arch/darwin-arm64/app/Demo/Contents/Info.plist", false),
            ("/by-arch/darwin-arm64/app/Demo.app/Contents/Frameworks/x/Info.plist", false),
            ("/by-arch/linux-x64/app/demo/resources/app/node_modules/x/package.json", false),
        ] {
            assert_eq!(is_told_by(key), told, "{key}");
        }
        let plist = b"<dict><key>A</key><string>9</string><key>CFBundleShortVersionString</key>\n <string> 1.0.4 </string></dict>";
        assert_eq!(said("/Info.plist", plist).unwrap(), "1.0.4");
        assert_eq!(said("/package.json", br#"{"version":"1.0.4"}"#).unwrap(), "1.0.4");
        assert_eq!(said("/Info.plist", b"bplist00"), None);
        for (release, says, other) in [
            ("1.0.5", "1.0.4", true),
            ("1.0.5", "1.0.5", false),
            ("1.0.5+7", "1.0.5", false),
            ("1.0.0", "1.0", false),
            ("1.0.0", "1", false),
            ("1.1.0", "1", true),
            ("1.0.5-rc.1", "1.0.5", false),
            ("1.0.5", "1.0.5-rc.1", true),
            ("1.0.5", "next", false),
        ] {
            assert_eq!(differs(release, says), other, "{release} {says}");
        }
    }
}
