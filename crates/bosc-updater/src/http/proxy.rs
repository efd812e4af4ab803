//! Which proxy a connection goes through: what the environment says, by curl's rules.
//!
//! | variable | for |
//! |---|---|
//! | `https_proxy`, `HTTPS_PROXY` | `https` addresses |
//! | `all_proxy`, `ALL_PROXY` | the same, when neither of the above is set |
//! | `no_proxy`, `NO_PROXY` | hosts that are reached without |
//!
//! Lower case wins, and an empty variable counts as none. A proxy that was named is used or the request fails: nothing goes around
//! it. Addresses of this machine (`localhost` and names below it, 127.0.0.0/8, `::1`, however they are written) never go through one:
//! for the proxy they would be itself. There curl asks the proxy all the same, unless `NO_PROXY` names them.

use crate::error::{ErrorKind, UpdateError};
use crate::manifest::url::SecureUrl;
use std::fmt;
use std::net::IpAddr;

/// Longest proxy address or list that is read, in bytes.
const MAX_LEN: usize = 16 * 1024;

/// Through which proxies servers are reached.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// What names the proxy, and its address.
    proxy: Option<(String, String)>,
    except: Vec<Exception>,
}

/// An entry of `NO_PROXY`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    All,
    /// A domain and everything below it, without dots around.
    Domain(String),
    Address(IpAddr),
    /// An address and how many of its bits count.
    Network(IpAddr, u32),
}

impl Proxies {
    /// What the environment of this process says.
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned()))
    }

    /// No proxy, whatever the environment says.
    pub fn none() -> Self {
        Self::default()
    }

    /// This one for every server: `http://`, `https://`, `socks4://`, `socks4a://`, `socks5://` (names are resolved here) or
    /// `socks5h://` (by the proxy), with `user:password@` before the host where it asks for them.
    pub fn through(proxy: impl Into<String>) -> Self {
        Self { proxy: Some(("the proxy option".to_owned(), proxy.into())), except: Vec::new() }
    }

    /// [`Proxies::from_environment`] for variables that come from elsewhere.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&str]| {
            names.iter().find_map(|name| {
                let value = variable(name).filter(|value| !value.is_empty())?;
                Some(((*name).to_owned(), value))
            })
        };
        let proxy = first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]);
        let except = first(&["no_proxy", "NO_PROXY"]).map(|(_, list)| exceptions(&list)).unwrap_or_default();
        Self { proxy, except }
    }

    /// The proxy for a URL; `None` when it is reached without.
    ///
    /// # Errors
    /// `Input` for one that cannot be used.
    pub(super) fn of(&self, url: &SecureUrl) -> Result<Option<ureq::Proxy>, UpdateError> {
        let Some((name, address)) = &self.proxy else { return Ok(None) };
        if url.is_this_machine() || self.is_excepted(url.host()) {
            return Ok(None);
        }
        // The address may hold a password: it is not shown.
        let unusable = || {
            UpdateError::new(ErrorKind::Input, format!("updater: {name} does not name a usable proxy"))
                .hint("set it to http://HOST:PORT (or https, socks4, socks4a, socks5, socks5h); requests never bypass it")
        };
        if address.len() > MAX_LEN {
            return Err(unusable());
        }
        let proxy = ureq::Proxy::new(address.trim()).map_err(|e| unusable().because(e))?;
        if proxy.host().is_empty() {
            return Err(unusable());
        }
        Ok(Some(proxy))
    }

    /// What is said about a connection that did not come about.
    pub(super) fn named(&self) -> Option<&str> {
        self.proxy.as_ref().map(|(name, _)| name.as_str())
    }

    fn is_excepted(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let address: Option<IpAddr> = bare.parse().ok();
        let host = bare.trim_end_matches('.').to_ascii_lowercase();
        self.except.iter().any(|exception| match (exception, address) {
            (Exception::All, _) => true,
            (Exception::Address(a), Some(b)) => *a == b,
            (Exception::Network(network, bits), Some(b)) => is_in(b, *network, *bits),
            (Exception::Domain(domain), None) => {
                host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            _ => false,
        })
    }
}

/// Without what may be a password.
impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies").field("from", &self.named()).field("except", &self.except).finish()
    }
}

fn exceptions(list: &str) -> Vec<Exception> {
    // Only as the whole list: `*` is not a pattern.
    if list.trim() == "*" {
        return vec![Exception::All];
    }
    if list.len() > MAX_LEN {
        return Vec::new();
    }
    let words = list.split([',', ' ', '\t']).filter(|word| !word.is_empty());
    words.filter_map(exception).collect()
}

fn exception(word: &str) -> Option<Exception> {
    let address = |text: &str| text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    if let Some((network, bits)) = word.split_once('/') {
        return Some(Exception::Network(address(network)?, bits.parse().ok()?));
    }
    if let Some(address) = address(word) {
        return Some(Exception::Address(address));
    }
    // `*.example.com` is not curl's, and people write it.
    let domain = word.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(word);
    let domain = domain.trim_matches('.').to_ascii_lowercase();
    (!domain.is_empty()).then_some(Exception::Domain(domain))
}

fn is_in(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (a, b, width) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    // As curl: no bits are all of them.
    let bits = if bits == 0 { width } else { bits };
    bits <= width && (a ^ b).checked_shr(width - bits).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::url::UrlKind;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::from_variables(|name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        })
    }

    fn of(proxies: &Proxies, url: &str) -> Result<Option<String>, ErrorKind> {
        let proxy = proxies.of(&SecureUrl::parse(UrlKind::Manifest, url).unwrap());
        proxy.map(|p| p.map(|p| format!("{} {}:{}", p.protocol(), p.host(), p.port()))).map_err(|e| e.kind())
    }

    #[test]
    fn the_variables_are_curls() {
        let url = "https://example.com/";
        for (variables, want) in [
            (&[("HTTPS_PROXY", "socks5h://p:1")][..], Some("SOCKS5h p:1")),
            (&[("ALL_PROXY", "socks5://p:1")], Some("SOCKS5 p:1")),
            (&[("all_proxy", "socks4a://p")], Some("SOCKS4a p:1080")),
            (&[("ALL_PROXY", "socks4://a:1"), ("HTTPS_PROXY", "http://h:2")], Some("HTTP h:2")),
            (&[("https_proxy", "l:1"), ("HTTPS_PROXY", "u:2")], Some("HTTP l:1")),
            (&[("https_proxy", ""), ("ALL_PROXY", "https://a:2")], Some("HTTPS a:2")),
            // Another scheme's is not for us.
            (&[("HTTP_PROXY", "h:1"), ("http_proxy", "h:1")], None),
            (&[], None),
        ] {
            assert_eq!(of(&proxies(variables), url).unwrap().as_deref(), want, "{variables:?}");
        }
        for here in [
            "http://127.0.0.1:8/",
            "https://127.0.0.2/",
            "https://127.9.9.9/",
            "https://[::1]/",
            "https://a.localhost/",
        ] {
            assert_eq!(of(&proxies(&[("ALL_PROXY", "h:1")]), here), Ok(None), "{here}");
        }
        assert!(of(&proxies(&[("ALL_PROXY", "h:1")]), "https://128.0.0.1/").unwrap().is_some());
    }

    #[test]
    fn one_that_cannot_be_used_is_refused_and_its_password_not_shown() {
        let long = format!("http://user:hunter2@{}:1", "p".repeat(MAX_LEN));
        for bad in [
            "ftp://user:hunter2@p:1",
            "socks6://user:hunter2@p",
            "http://",
            "http://:1",
            "socks5h://user:hunter2@:1",
            "://hunter2",
            "a b",
            &long,
        ] {
            let proxies = proxies(&[("ALL_PROXY", bad)]);
            assert_eq!(of(&proxies, "https://example.com/"), Err(ErrorKind::Input), "{bad}");
            let url = SecureUrl::parse(UrlKind::Manifest, "https://example.com/").unwrap();
            let e = proxies.of(&url).unwrap_err();
            let told = format!("{e} {:?} {:?} {proxies:?}", e.causes(), e.next_step());
            assert!(!told.contains("hunter2"), "{told}");
            assert!(told.contains("ALL_PROXY"), "{told}");
        }
    }

    #[test]
    fn exceptions_are_curls() {
        let is_direct = |list: &str, host: &str| {
            let proxies = proxies(&[("ALL_PROXY", "p:1"), ("NO_PROXY", list)]);
            of(&proxies, &format!("https://{host}/")).unwrap().is_none()
        };
        for (list, host, direct) in [
            ("example.com", "example.com", true),
            ("example.com", "www.example.com", true),
            ("example.com", "nonexample.com", false),
            (".example.com", "example.com", true),
            (".example.com", "a.b.example.com", true),
            ("*.example.com", "www.example.com", true),
            ("EXAMPLE.com.", "Example.COM", true),
            ("example.com", "example.com.", true),
            ("www.example.com", "example.com", false),
            ("com", "example.com", true),
            ("a, b ,\texample.com", "example.com", true),
            ("a b example.com", "example.com", true),
            ("*", "example.com", true),
            (" * ", "example.com", true),
            ("a,*", "example.com", false),
            ("", "example.com", false),
            ("example.com:443", "example.com", false),
            ("192.168.0.1", "192.168.0.1", true),
            ("192.168.0.1", "192.168.0.10", false),
            ("0.1", "192.168.0.1", false),
            ("192.168.0.0/16", "192.168.7.9", true),
            ("192.168.0.0/16", "192.169.0.1", false),
            ("192.168.0.7/0", "192.168.0.7", true),
            ("192.168.0.7/0", "10.0.0.1", false),
            ("192.168.0.0/33", "192.168.0.0", false),
            ("10.0.0.0/8", "10.example.com", false),
            ("2001:db8::/32", "[2001:db8::5]", true),
            ("[2001:db8::5]", "[2001:db8::5]", true),
            ("2001:db8::/32", "[2001:db9::5]", false),
            ("2001:db8::/0", "[2001:db8::5]", false),
        ] {
            assert_eq!(is_direct(list, host), direct, "{list} {host}");
        }
        // Nobody reads megabytes for every request: such a list counts as none.
        let long = |len: usize| format!("{}example.com", "a,".repeat(len / 2));
        assert!(is_direct(&long(1000), "example.com"));
        assert!(!is_direct(&long(MAX_LEN), "example.com"));
        let lower = proxies(&[("ALL_PROXY", "p:1"), ("no_proxy", "a.example"), ("NO_PROXY", "b.example")]);
        assert_eq!(of(&lower, "https://a.example/"), Ok(None));
        assert!(of(&lower, "https://b.example/").unwrap().is_some());
    }
}
