//! Which URLs may be fetched.
//!
//! `https` anywhere, `http` only on this machine, no user name or password in it. The parser is strict on purpose: what it
//! lets through has one meaning for everybody, so the check here and the connection made later agree on the host.

use crate::error::{ErrorKind, UpdateError};
use std::fmt;

/// Longest URL that is read, in bytes.
pub const MAX_URL_LEN: usize = 4096;

/// What a URL is for; it is named in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlKind {
    /// The manifest.
    Manifest,
    /// The artifact.
    Asset,
}

impl fmt::Display for UrlKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manifest => "manifest",
            Self::Asset => "asset",
        })
    }
}

/// A URL that may be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        let invalid = || {
            let shown: String = text.chars().take(200).filter(|c| !c.is_control()).collect();
            refused(format!("updater: {kind} URL is not a valid URL: {shown}"))
        };
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
            return Err(refused(format!("updater: {kind} URL must not hold a user name or password")));
        }
        let (host, port) = split_port(authority).ok_or_else(invalid)?;
        let https = scheme == "https";
        let url = Self { https, host, port, target: encode_target(target) };
        if !https && !url.is_loopback() {
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
        if to.is_loopback() && !self.is_loopback() {
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

    /// Whether it names this machine.
    pub fn is_loopback(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "[::1]")
    }

    /// The last part of the path, percent-decoding left alone; empty when the path ends in `/`.
    pub fn file_name(&self) -> &str {
        let path = self.target.split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for SecureUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.target)
    }
}

/// Host in lower case and port, or `None` when one of them is malformed.
fn split_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']')?;
        let (host, rest) = authority.split_at_checked(end + 1)?;
        let inner = host.get(1..end)?;
        inner.parse::<std::net::Ipv6Addr>().ok()?;
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

    fn parse(text: &str) -> Result<String, String> {
        SecureUrl::parse(UrlKind::Asset, text).map(|u| u.to_string()).map_err(|e| e.to_string())
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
        let to = |l: &str| from.redirect(UrlKind::Asset, l).map(|u| u.to_string()).map_err(|e| e.to_string());
        assert_eq!(to("https://b.example/z").as_deref(), Ok("https://b.example/z"));
        assert_eq!(to("//b.example/z").as_deref(), Ok("https://b.example/z"));
        assert_eq!(to("/z").as_deref(), Ok("https://a.example/z"));
        assert_eq!(to("z").as_deref(), Ok("https://a.example/x/z"));
        assert_eq!(to("z?u=http://q").as_deref(), Ok("https://a.example/x/z?u=http://q"));
        assert_eq!(to("?z").as_deref(), Ok("https://a.example/x/y?z"));
        assert!(to("http://a.example/x").unwrap_err().contains("must use https"));
        assert!(to("http://127.0.0.1/x").unwrap_err().contains("from https:// to http://"));
        assert!(to("https://127.0.0.1/x").unwrap_err().contains("this machine"));
        assert!(to("javascript:alert(1)").is_err());
        assert!(to("https://u@b.example/").is_err());
    }
}
