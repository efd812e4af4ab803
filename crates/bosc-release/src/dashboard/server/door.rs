//! Who gets in: whoever has the token of the first URL, or knows the password. Both are given a cookie.
//!
//! Invariants:
//! * Token, password and cookie are compared by their hashes, without telling where they differ. None is in a log or an error.
//! * A wrong password is answered five times a minute for one address, and [`FAILURES`] times for all; then nobody is let in by one.
//! * A request is for this server: `Host` is an address of it with its port, not a name that somebody points here, and `Origin`, where
//!   there is one, is the same.

use super::request::{Asked, field};
use crate::error::CommandError;
use crate::keys::Passphrase;
use crate::owner::same;
use bosc_format::crypto::hash;
use bosc_format::id;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Wrong passwords in [`MINUTE`] from one address.
const FAILURES_OF_ONE: usize = 5;
/// And from all.
const FAILURES: usize = 50;
const MINUTE: Duration = Duration::from_secs(60);

/// What has to be shown.
enum Secret {
    /// The token of the URL.
    Token(Zeroizing<String>),
    /// The hash of a password.
    Password([u8; 32]),
}

/// Who gets in.
pub struct Door {
    secret: Secret,
    cookie: Zeroizing<String>,
    failures: Mutex<BTreeMap<IpAddr, Vec<Instant>>>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door(..)")
    }
}

/// What a password is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Login {
    Right,
    Wrong,
    /// Too many were wrong: none is looked at.
    TooMany,
}

fn random() -> Result<Zeroizing<String>, CommandError> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *secret)
        .map_err(|e| CommandError::failed("no randomness").because(std::io::Error::other(e)))?;
    Ok(Zeroizing::new(id::encode(&secret)))
}

impl Door {
    fn new(secret: Secret) -> Result<Self, CommandError> {
        Ok(Self { secret, cookie: random()?, failures: Mutex::default() })
    }

    /// Whoever has the URL.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn token() -> Result<Self, CommandError> {
        Self::new(Secret::Token(random()?))
    }

    /// Whoever knows the password.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn password(password: &Passphrase) -> Result<Self, CommandError> {
        Self::new(Secret::Password(hash(&[password.expose().as_bytes()])))
    }

    /// What to open.
    pub(super) fn url(&self, bound: SocketAddr) -> String {
        let ip = match bound.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let at = SocketAddr::new(ip, bound.port());
        match &self.secret {
            Secret::Token(token) => format!("http://{at}/?token={}", token.as_str()),
            Secret::Password(_) => format!("http://{at}/"),
        }
    }

    /// A password is asked for.
    pub(super) fn wants_password(&self) -> bool {
        matches!(self.secret, Secret::Password(_))
    }

    /// Whether the query has the token.
    pub(super) fn is_token(&self, asked: &Asked) -> bool {
        let Secret::Token(token) = &self.secret else { return false };
        field(asked.query.as_bytes(), "token").is_some_and(|given| is_equal(&given, token.as_bytes()))
    }

    /// Whether the body has the password.
    pub(super) fn login(&self, asked: &Asked, from: IpAddr, now: Instant) -> Login {
        let Secret::Password(right) = &self.secret else { return Login::Wrong };
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, times| {
            times.retain(|t| now.saturating_duration_since(*t) < MINUTE);
            !times.is_empty()
        });
        let from = network(from);
        let of_one = failures.get(&from).map_or(0, Vec::len);
        if of_one >= FAILURES_OF_ONE || failures.values().map(Vec::len).sum::<usize>() >= FAILURES {
            return Login::TooMany;
        }
        let given = Zeroizing::new(field(&asked.body, "password").unwrap_or_default());
        if same(&hash(&[given.as_slice()]), right) {
            return Login::Right;
        }
        failures.entry(from).or_default().push(now);
        Login::Wrong
    }

    /// Whether it has the cookie.
    pub(super) fn is_admitted(&self, asked: &Asked, bound: SocketAddr) -> bool {
        asked.cookie(&name(bound)).is_some_and(|given| is_equal(given.as_bytes(), self.cookie.as_bytes()))
    }

    /// The header that gives it.
    pub(super) fn set_cookie(&self, bound: SocketAddr) -> String {
        let (name, value) = (name(bound), self.cookie.as_str());
        format!("Set-Cookie: {name}={value}; Path=/; HttpOnly; SameSite=Strict\r\n")
    }
}

/// The name of the cookie: browsers do not tell ports of a host apart.
fn name(bound: SocketAddr) -> String {
    format!("bosc_dashboard_{}", bound.port())
}

fn is_equal(given: &[u8], wanted: &[u8]) -> bool {
    same(&hash(&[given]), &hash(&[wanted]))
}

/// Whoever has an IPv6 address has 2^64 of them.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.into(),
            None => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        },
    }
}

/// Whether a request is for this server, and comes from its own page if it comes from one.
pub(super) fn is_for_us(asked: &Asked, bound: SocketAddr) -> bool {
    is_our_host(&asked.host, bound)
        && asked.origin.as_ref().is_none_or(|o| o.eq_ignore_ascii_case(&format!("http://{}", asked.host)))
}

/// Addresses, and `localhost`, which no name server has a say in. A name of somebody's may lead here (DNS rebinding).
fn is_our_host(host: &str, bound: SocketAddr) -> bool {
    let ip = |text: &str| text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let (ip, port) = match host.parse::<SocketAddr>() {
        Ok(at) => (Some(at.ip()), at.port()),
        Err(_) => match host.rsplit_once(':') {
            Some((name, port)) if name.eq_ignore_ascii_case("localhost") => {
                (Some(Ipv4Addr::LOCALHOST.into()), port.parse().unwrap_or(0))
            }
            _ if host.eq_ignore_ascii_case("localhost") => (Some(Ipv4Addr::LOCALHOST.into()), 80),
            _ => (ip(host), 80),
        },
    };
    let Some(ip) = ip else { return false };
    port == bound.port() && (!bound.ip().is_loopback() || ip.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::request::Method;
    use super::*;

    fn asked(host: &str, origin: Option<&str>) -> Asked {
        Asked {
            method: Method::Get,
            path: "/".into(),
            query: String::new(),
            host: host.into(),
            origin: origin.map(str::to_owned),
            cookies: Vec::new(),
            body: Vec::new(),
        }
    }

    #[test]
    fn a_name_that_somebody_points_here_is_not_ours() {
        let here = "127.0.0.1:8080".parse().unwrap();
        for host in ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080", "127.0.0.2:8080"] {
            assert!(is_our_host(host, here), "{host}");
        }
        for host in [
            "",
            "127.0.0.1",
            "127.0.0.1:80",
            "127.0.0.1:8081",
            "attacker.example:8080",
            "attacker.example",
            "127.0.0.1.attacker.example:8080",
            "localhost.attacker.example:8080",
            "192.0.2.1:8080",
            "127.0.0.1:8080:8080",
        ] {
            assert!(!is_our_host(host, here), "{host}");
        }
        let anywhere = "0.0.0.0:80".parse().unwrap();
        assert!(is_our_host("192.0.2.1", anywhere) && is_our_host("192.0.2.1:80", anywhere));
        assert!(!is_our_host("attacker.example", anywhere));
    }

    #[test]
    fn a_page_of_another_origin_is_refused() {
        let here = "127.0.0.1:8080".parse().unwrap();
        let is = |origin| is_for_us(&asked("127.0.0.1:8080", origin), here);
        assert!(is(None) && is(Some("http://127.0.0.1:8080")));
        for other in ["null", "http://127.0.0.1:8081", "https://127.0.0.1:8080", "http://localhost:8080", ""]
        {
            assert!(!is(Some(other)), "{other}");
        }
    }

    #[test]
    fn guesses_of_a_password_are_counted() {
        let door = Door::password(&Passphrase::new(Zeroizing::new("right horse".into()))).unwrap();
        let with = |password: &str| Asked {
            body: format!("password={password}").into_bytes(),
            ..asked("127.0.0.1:1", None)
        };
        let (one, two): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let now = Instant::now();
        assert_eq!(door.login(&with("right+horse"), one, now), Login::Right);
        for _ in 0..FAILURES_OF_ONE {
            assert_eq!(door.login(&with("guess"), one, now), Login::Wrong);
        }
        assert_eq!(door.login(&with("right+horse"), one, now), Login::TooMany);
        assert_eq!(door.login(&with("right+horse"), two, now), Login::Right);
        assert_eq!(door.login(&with("right+horse"), one, now + MINUTE), Login::Right);
        for n in 0..FAILURES {
            let from = IpAddr::V4(Ipv4Addr::from_bits(n as u32));
            assert_eq!(door.login(&with("guess"), from, now), Login::Wrong, "{n}");
        }
        assert_eq!(door.login(&with("right+horse"), two, now), Login::TooMany);
        // All addresses of one network count as one.
        let six: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(network(six), network("2001:db8::2".parse().unwrap()));
    }
}
