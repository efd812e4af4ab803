//! What stands for a link and its head where releases come by a manifest over HTTPS: there is neither.
//!
//! | of a link | of a manifest |
//! |---|---|
//! | its key | [`application`]: who is spoken of |
//! | a head: fork, length, tree hash | [`head`]: 0, the `time` of the rules, a hash of version and rules |
//! | `bosc-statements` on a mirror | the manifest's name with [`STATEMENTS_SUFFIX`] behind |
//!
//! The rules' time takes the length's place because it is what grows from release to release, and the publisher's key signed it.

use crate::policy::Policy;
use crate::statement::Newest;
use bosc_format::crypto::hash;

/// Behind the manifest's name: the file with what operators say.
pub const STATEMENTS_SUFFIX: &str = ".bosc-statements";

/// What a statement calls an application, where a link has its key.
pub fn application(app: &str) -> [u8; 32] {
    hash(&[b"bosc manifest application\0", app.as_bytes()])
}

/// What a statement calls a release of a manifest, where a link has a head. `text`: the rules as they were signed.
pub fn head(version: &str, text: &str, policy: &Policy) -> Newest {
    let length = (version.len() as u64).to_be_bytes();
    let tree_hash = hash(&[b"bosc manifest release\0", &length, version.as_bytes(), text.as_bytes()]);
    Newest { fork: 0, length: policy.time().unwrap_or(0), tree_hash }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_application_and_each_release_is_another() {
        assert_ne!(application("a"), application("b"));
        let read = |text: &str| Policy::read(text.as_bytes()).unwrap();
        let (one, two) = (r#"{"schema":1,"time":5}"#, r#"{"schema":1,"time":6}"#);
        let of = |version: &str, text: &str| head(version, text, &read(text));
        assert_eq!(of("1.0.0", one).length, 5);
        assert_ne!(of("1.0.0", one).tree_hash, of("1.0.1", one).tree_hash);
        assert_ne!(of("1.0.0", one).tree_hash, of("1.0.0", two).tree_hash);
        assert_eq!(head("1.0.0", "{}", &read(r#"{"schema":1}"#)).length, 0);
    }
}
