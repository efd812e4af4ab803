//! What the address of a mirror means.

use crate::error::{ErrorKind, UpdateError};
#[cfg(feature = "http")]
use crate::http::{MirrorServer, Proxies, Roots};
use crate::manifest::url::shown;
#[cfg(feature = "http")]
use crate::manifest::url::{SecureUrl, UrlKind};
use bosc_follow::mirror::{Carrier, FolderCarrier};
use std::path::Path;
use std::sync::Arc;

/// A mirror of a drive by its address: `https://` or `http://` of a folder on a web server, or the path of one on this machine.
///
/// # Errors
/// `Input` or `Refused` for what is neither; `Unsupported` for a web server without the feature `http`.
#[cfg(feature = "http")]
pub fn mirror(address: &str, roots: Roots, proxies: Proxies) -> Result<Arc<dyn Carrier>, UpdateError> {
    match scheme(address)? {
        Some(_) => Ok(Arc::new(MirrorServer::new(address, roots, proxies)?)),
        None => Ok(Arc::new(FolderCarrier::new(Path::new(address)))),
    }
}

/// A mirror of a drive by its address: the path of a folder on this machine.
///
/// # Errors
/// `Unsupported` for a web server; `Input` for what is no path.
#[cfg(not(feature = "http"))]
pub fn mirror(address: &str) -> Result<Arc<dyn Carrier>, UpdateError> {
    match scheme(address)? {
        Some(_) => Err(UpdateError::new(
            ErrorKind::Unsupported,
            "this program was built without mirrors on web servers",
        )
        .hint("build it with the feature `http` of bosc-updater")),
        None => Ok(Arc::new(FolderCarrier::new(Path::new(address)))),
    }
}

/// A mirror that a link's policy names: `https://`, or `http://` of this machine. Who named it is trusted with the releases, not with
/// this machine's files or network.
///
/// # Errors
/// `Refused` for any other address.
#[cfg(feature = "http")]
pub fn named_mirror(address: &str, roots: Roots, proxies: Proxies) -> Result<Arc<dyn Carrier>, UpdateError> {
    SecureUrl::parse(UrlKind::Asset, address)?;
    Ok(Arc::new(MirrorServer::new(address, roots, proxies)?))
}

/// That of a web server; `None` for a path.
fn scheme(address: &str) -> Result<Option<&str>, UpdateError> {
    let bad = |what: &str, hint: &str| {
        UpdateError::new(ErrorKind::Input, format!("{what}: {:?}", shown(address))).hint(hint)
    };
    let usual = "give the https:// address of a mirror, or the path of its folder";
    if address.is_empty() {
        return Err(bad("the address of a mirror is empty", usual));
    }
    match address.split_once("://").map(|(scheme, _)| scheme) {
        None => Ok(None),
        Some(scheme) if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http") => {
            Ok(Some(scheme))
        }
        Some("s3" | "gs" | "az") => Err(bad(
            "a bucket is read by its web address",
            "give the https:// address at which the bucket's files can be read",
        )),
        Some(_) => Err(bad("not the address of a mirror", usual)),
    }
}

#[cfg(all(test, feature = "http"))]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_neither_folders_nor_plain_servers() {
        let of = |address: &str| named_mirror(address, Roots::Bundled, Proxies::none());
        for good in ["https://example.com/app", "http://127.0.0.1:8080/app", "http://localhost/app"] {
            assert!(of(good).is_ok(), "{good}");
        }
        for bad in [
            "http://example.com/app",
            "http://10.0.0.1/",
            "/srv/www/app",
            "",
            "file:///etc",
            "https://u:p@example.com/",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
