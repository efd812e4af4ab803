//! Which URLs may be fetched.
//!
//! `https` anywhere, `http` only on this machine, no user name or password in it. The parser is strict on purpose: what it
//! lets through has one meaning for everybody, so the check here and the connection made later agree on the host.

use crate::error::{ErrorKind, UpdateError};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest URL that is read, in bytes.
pub const MAX_URL_LEN: usize = 4096;

/// What a URL is for; it is named in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlKind {
    /// The manifest.
    Manifest,
    /// The artifact.
    Asset,
    /// A mirror of a drive. Every byte of it is proved, so TLS is not asked for; what begins with it does not go on without.
    Mirror,
}

impl fmt::Display for UrlKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manifest => "manifest",
            Self::Asset => "asset",
            Self::Mirror => "mirror",
        })
    }
}

/// A URL that may be fetched.
#[derive(Clone, PartialEq, Eq)]
pub struct SecureUrl {
    https: bool,
    /// Lower case; an IPv6 address has its brackets.
    host: String,
    port: Option<u16>,
    /// Path and query, starts with `/`, printable ASCII.
    target: String,
}

impl SecureUrl {
    /// Checks a URL: Perry's `assertSecureUrl`.
    ///
    /// # Errors
    /// `Refused`, with Perry's texts.
    pub fn parse(kind: UrlKind, text: &str) -> Result<Self, UpdateError> {
        let invalid = || refused(format!("updater: {kind} URL is not a valid URL: {}", shown(text)));
        if text.len() > MAX_URL_LEN || text.chars().any(|c| c.is_control() || c == '\\') {
            return Err(invalid());
        }
        let (scheme, rest) = text.split_once(':').ok_or_else(invalid)?;
        let starts_well = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
        if !starts_well || !scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) {
            return Err(invalid());
        }
        let scheme = scheme.to_ascii_lowercase();
        if scheme != "https" && scheme != "http" {
            return Err(refused(format!("updater: {kind} URL must use https:// (got {scheme}://).")));
        }
        let rest = rest.strip_prefix("//").ok_or_else(invalid)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end).ok_or_else(invalid)?;
        if authority.contains('@') {
            return Err(refused(format!("updater: {kind} URL must not contain a user name or password")));
        }
        let (host, port) = split_port(authority).ok_or_else(invalid)?;
        let https = scheme == "https";
        let url = Self { https, host, port, target: encode_target(target) };
        if !https && kind != UrlKind::Mirror && !url.is_loopback() {
            return Err(refused(format!(
                "updater: {kind} URL must use https:// (got http://{}). Loopback (127.0.0.1, ::1, localhost) is allowed \
                 for local testing.",
                url.host
            )));
        }
        Ok(url)
    }

    /// Where a redirect from here leads.
    ///
    /// # Errors
    /// `Refused` for what [`SecureUrl::parse`] refuses, from https to http, and from another machine to this one.
    pub fn redirect(&self, kind: UrlKind, location: &str) -> Result<Self, UpdateError> {
        let location = location.trim_matches([' ', '\t']);
        let path_end = location.find(['/', '?', '#']).unwrap_or(location.len());
        let has_scheme = location.get(..path_end).is_some_and(|head| head.contains(':'));
        let absolute = if has_scheme {
            location.to_owned()
        } else if location.starts_with("//") {
            format!("{}:{location}", self.scheme())
        } else if location.starts_with('/') {
            format!("{}{location}", self.origin())
        } else if location.is_empty() || location.starts_with(['?', '#']) {
            let path = self.target.split('?').next().unwrap_or_default();
            format!("{}{path}{location}", self.origin())
        } else {
            let path = self.target.split('?').next().unwrap_or_default();
            let folder = path.rfind('/').and_then(|i| path.get(..=i)).unwrap_or("/");
            format!("{}{folder}{location}", self.origin())
        };
        let to = Self::parse(kind, &absolute)?;
        if self.https && !to.https {
            return Err(refused(format!("updater: {kind} URL redirects from https:// to http://")));
        }
        if to.is_this_machine() && !self.is_this_machine() {
            return Err(refused(format!("updater: {kind} URL redirects to this machine")));
        }
        Ok(to)
    }

    fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// Host in lower case; an IPv6 address has its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether both lead to the same server: scheme, host and port.
    pub fn is_same_server(&self, other: &Self) -> bool {
        let port = |url: &Self| url.port.unwrap_or(if url.https { 443 } else { 80 });
        self.https == other.https && self.host == other.host && port(self) == port(other)
    }

    fn origin(&self) -> String {
        match self.port {
            Some(port) => format!("{}://{}:{port}", self.scheme(), self.host),
            None => format!("{}://{}", self.scheme(), self.host),
        }
    }

    /// Whether it may be fetched without TLS: the names of this machine that Perry's updater takes.
    fn is_loopback(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "[::1]")
    }

    /// Whether it leads to this machine, however it is written: `localhost` and names below it, all of 127.0.0.0/8, `::1` and the
    /// addresses that stand for no machine, in IPv6 too, and what resolvers take for one of them (`127.1`, `0x7f000001`).
    pub fn is_this_machine(&self) -> bool {
        let host = self.host.trim_end_matches('.');
        if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return inner.parse::<Ipv6Addr>().is_ok_and(|address| {
                let v4 = address.to_ipv4_mapped();
                address.is_loopback() || address.is_unspecified() || v4.is_some_and(is_here)
            });
        }
        host == "localhost" || host.ends_with(".localhost") || resolved_v4(host).is_some_and(is_here)
    }

    /// All of it, as it is fetched and compared.
    pub fn whole(&self) -> String {
        format!("{}{}", self.origin(), self.target)
    }

    /// The file of this name behind the path: what belongs to the file that is there.
    ///
    /// # Errors
    /// `Refused`: it would be too long.
    #[cfg(feature = "http")]
    pub(crate) fn beside(&self, kind: UrlKind, suffix: &str) -> Result<Self, UpdateError> {
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (self.target.as_str(), String::new()),
        };
        Self::parse(kind, &format!("{}{path}{suffix}{query}", self.origin()))
    }

    /// Whether a message does not repeat the query.
    #[cfg(any(feature = "http", test))]
    pub(crate) fn is_hidden_in(&self, message: &str) -> bool {
        let query = self.target.split_once('?').map(|(_, query)| query).filter(|query| !query.is_empty());
        query.is_none_or(|query| !message.contains(query))
    }

    /// The last part of the path, percent-decoding left alone; empty when the path ends in `/`.
    pub fn file_name(&self) -> &str {
        let path = self.target.split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }
}

/// For people: without the query, which may hold a token. [`SecureUrl::whole`] is what is fetched.
impl fmt::Display for SecureUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        let more = if path.len() < self.target.len() { "?\u{2026}" } else { "" };
        write!(f, "{}{path}{more}", self.origin())
    }
}

impl fmt::Debug for SecureUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecureUrl({self})")
    }
}

/// What may be shown of a text that is or should be a URL: nothing behind `?` or `#`, nor before `@`.
pub(crate) fn shown(text: &str) -> String {
    let open = text.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = open.split_once("://").map_or(("", open), |(scheme, rest)| (scheme, rest));
    let text = match rest.rsplit_once('@') {
        Some((_, host)) if scheme.is_empty() => format!("\u{2026}@{host}"),
        Some((_, host)) => format!("{scheme}://\u{2026}@{host}"),
        None => open.to_owned(),
    };
    text.chars().take(200).filter(|c| !c.is_control()).collect()
}

fn is_here(address: Ipv4Addr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

/// The IPv4 address that resolvers read a text as (`inet_aton`): up to four numbers, decimal, octal or hexadecimal, of which the last
/// fills what is left.
fn resolved_v4(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<&str> = text.split('.').take(5).collect();
    let last = parts.len().checked_sub(1).filter(|last| *last < 4)?;
    let mut address = 0u32;
    for (i, part) in parts.iter().enumerate() {
        let number = match (part.strip_prefix("0x"), part.strip_prefix('0')) {
            (Some(hex), _) => u32::from_str_radix(hex, 16).ok()?,
            (None, Some(octal)) if !octal.is_empty() => u32::from_str_radix(octal, 8).ok()?,
            _ => part.parse().ok().filter(|_| part.bytes().all(|b| b.is_ascii_digit()))?,
        };
        let bits = if i == last { 32 - 8 * i as u32 } else { 8 };
        if bits < 32 && number >> bits > 0 {
            return None;
        }
        address |= if i == last { number } else { number << (24 - 8 * i as u32) };
    }
    Some(Ipv4Addr::from_bits(address))
}

/// Host in lower case and port, or `None` when one of them is malformed.
fn split_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']')?;
        let (host, rest) = authority.split_at_checked(end + 1)?;
        let inner = host.get(1..end)?;
        inner.parse::<Ipv6Addr>().ok()?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return None,
        }
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if host.is_empty() || host.len() > 253 || !host.chars().all(plain) {
            return None;
        }
        (host, port)
    };
    let port = match port {
        None | Some("") => None,
        Some(p) if p.chars().all(|c| c.is_ascii_digit()) => Some(p.parse::<u16>().ok().filter(|p| *p > 0)?),
        Some(_) => return None,
    };
    Some((host.to_ascii_lowercase(), port))
}

/// Path and query without fragment; what is not allowed in one is percent-encoded, as a browser does.
fn encode_target(target: &str) -> String {
    use std::fmt::Write;
    let target = target.split('#').next().unwrap_or_default();
    let mut out = String::with_capacity(target.len() + 1);
    if !target.starts_with('/') {
        out.push('/');
    }
    for byte in target.bytes() {
        match byte {
            b' ' | b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'|' | b'^' | 0x7f.. => {
                let _ = write!(out, "%{byte:02X}");
            }
            _ => out.push(char::from(byte)),
        }
    }
    out
}

fn refused(message: String) -> UpdateError {
    UpdateError::new(ErrorKind::Refused, message)
        .hint("publish manifest and artifacts under https:// addresses and update the manifest")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: [&str; 16] = [
        "127.0.0.1",
        "127.0.0.2",
        "127.255.1.9",
        "localhost",
        "LocalHost.",
        "app.localhost",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.3]",
        "0.0.0.0",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.0.0x0.1.",
    ];

    #[test]
    fn this_machine_is_known_however_it_is_written() {
        let is = |host: &str| {
            SecureUrl::parse(UrlKind::Asset, &format!("https://{host}/")).unwrap().is_this_machine()
        };
        for host in HERE {
            assert!(is(host), "{host}");
        }
        for host in [
            "128.0.0.1",
            "10.0.0.1",
            "126.1",
            "[::2]",
            "[::ffff:10.0.0.1]",
            "localhost.example",
            "notlocalhost",
            "127.example",
            "127.0.0.1.example",
            "127.0.0.1.1",
            "127.0.0.256",
            "127.0.0.0xg",
            "127..1",
            "1.2.3.4",
        ] {
            assert!(!is(host), "{host}");
        }
    }

    fn parse(text: &str) -> Result<String, String> {
        SecureUrl::parse(UrlKind::Asset, text).map(|u| u.whole()).map_err(|e| e.to_string())
    }

    #[test]
    fn https_and_loopback_pass() {
        for (text, want) in [
            ("https://Example.com/a?b=c#d", "https://example.com/a?b=c"),
            ("HTTPS://example.com", "https://example.com/"),
            ("https://example.com:8443/My App.AppImage", "https://example.com:8443/My%20App.AppImage"),
            ("https://example.com/ü", "https://example.com/%C3%BC"),
            ("https://example.com/a%20b", "https://example.com/a%20b"),
            ("https://example.com?x", "https://example.com/?x"),
            ("https://[2001:DB8::1]:1/x", "https://[2001:db8::1]:1/x"),
            ("http://localhost/x", "http://localhost/x"),
            ("http://LOCALHOST:80/x", "http://localhost:80/x"),
            ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"),
            ("http://[::1]/x", "http://[::1]/x"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(want), "{text}");
        }
    }

    /// A token in a query, or a password in what is no URL, is in no text for people.
    #[test]
    fn no_query_and_no_password_is_shown() {
        let url = SecureUrl::parse(UrlKind::Manifest, "https://e.com/m.json?token=hunter2#x").unwrap();
        assert_eq!(url.to_string(), "https://e.com/m.json?\u{2026}");
        assert_eq!(url.whole(), "https://e.com/m.json?token=hunter2");
        assert!(!format!("{url:?}").contains("hunter2"));
        assert!(
            !url.is_hidden_in("bad uri: https://e.com/m.json?token=hunter2") && url.is_hidden_in("timed out")
        );
        for bad in [
            "https://e.com:99999/m?token=hunter2",
            "https://me:hunter2@e.com/m",
            "https://me:hunter2@e.com:x/m?a",
            "e.com/m?token=hunter2",
            "me:hunter2@e.com",
            "https://e.com\\m?hunter2",
            "https://#hunter2",
        ] {
            let e = SecureUrl::parse(UrlKind::Manifest, bad).unwrap_err();
            assert!(!e.to_string().contains("hunter2"), "{bad}: {e}");
        }
    }

    #[test]
    fn the_texts_are_perrys() {
        assert_eq!(
            parse("http://evil.example/x").unwrap_err(),
            "updater: asset URL must use https:// (got http://evil.example). Loopback (127.0.0.1, ::1, localhost) is \
             allowed for local testing."
        );
        assert_eq!(parse("ftp://h/x").unwrap_err(), "updater: asset URL must use https:// (got ftp://).");
        assert_eq!(
            parse("file:///etc/passwd").unwrap_err(),
            "updater: asset URL must use https:// (got file://)."
        );
        assert_eq!(parse("nonsense").unwrap_err(), "updater: asset URL is not a valid URL: nonsense");
    }

    #[test]
    fn hostile_urls_are_refused() {
        for text in [
            "",
            "https://",
            "https:///x",
            "https:example.com",
            "https://user@example.com/",
            "https://user:pw@example.com/",
            "https://example.com:0/",
            "https://example.com:99999/",
            "https://example.com:8a/",
            "https://exa mple.com/",
            "https://example.com\\@evil.example/",
            "https://example.com/\r\nHost: evil",
            "https://[::1/",
            "https://[::1]x/",
            "https://[zz]/",
            "https://exämple.com/",
            "http://127.0.0.1.evil.example/",
            "http://localhost.evil.example/",
            "http://127.0.0.1@evil.example/",
            "http://0177.0.0.1/",
            "://x",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&format!("https://example.com/{}", "a".repeat(5000))).is_err());
    }

    #[test]
    fn redirects_are_resolved_and_checked() {
        let from = SecureUrl::parse(UrlKind::Asset, "https://a.example/x/y?q=1").unwrap();
        let to = |l: &str| from.redirect(UrlKind::Asset, l).map(|u| u.whole()).map_err(|e| e.to_string());
        assert_eq!(to("https://b.example/z").as_deref(), Ok("https://b.example/z"));
        assert_eq!(to("//b.example/z").as_deref(), Ok("https://b.example/z"));
        assert_eq!(to("/z").as_deref(), Ok("https://a.example/z"));
        assert_eq!(to("z").as_deref(), Ok("https://a.example/x/z"));
        assert_eq!(to("z?u=http://q").as_deref(), Ok("https://a.example/x/z?u=http://q"));
        assert_eq!(to("?z").as_deref(), Ok("https://a.example/x/y?z"));
        assert!(to("http://a.example/x").unwrap_err().contains("must use https"));
        assert!(to("http://127.0.0.1/x").unwrap_err().contains("from https:// to http://"));
        for here in HERE {
            assert!(to(&format!("https://{here}/x")).unwrap_err().contains("this machine"), "{here}");
        }
        assert!(to("javascript:alert(1)").is_err());
        assert!(to("https://u@b.example/").is_err());
    }
}
