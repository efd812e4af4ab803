//! One GET at a time, with every redirect checked by us.

use super::identity::Identity;
use super::options::HttpOptions;
use crate::error::{ErrorKind, UpdateError};
use crate::manifest::url::{MAX_URL_LEN, SecureUrl, UrlKind};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use ureq::http::HeaderMap;
use ureq::tls::TlsConfig;
use ureq::{Agent, Body};

/// Longest wait between two tries, also when the server asks for more.
const MAX_BACK_OFF: Duration = Duration::from_secs(60);

/// Why one try failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// Another try may work, not before this time when the server said one.
    Again(UpdateError, Option<Duration>),
    /// Nothing will.
    Final(UpdateError),
}

impl From<UpdateError> for Fault {
    fn from(e: UpdateError) -> Self {
        Self::Final(e)
    }
}

/// An answer with its body unread.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl Reply {
    /// A header's text, if it is one line of visible ASCII of at most 1 KiB.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.text(name, 1024)
    }

    /// The same of at most `max` bytes.
    fn text(&self, name: &str, max: usize) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok()).filter(|v| v.len() <= max)
    }

    /// Whether the end of the body is told apart from a connection that was cut.
    pub(super) fn says_its_end(&self) -> bool {
        self.length().is_some()
            || self.header("transfer-encoding").is_some_and(|t| t.to_ascii_lowercase().contains("chunked"))
    }

    /// Length of the body if the server says it.
    pub(super) fn length(&self) -> Option<u64> {
        self.header("content-length").and_then(|v| v.trim().parse().ok())
    }
}

/// What ends a running operation from another thread. Flag and connections change together: one operation is cancelled whole,
/// and the next one not at all.
#[derive(Debug, Clone, Default)]
pub(super) struct Canceller(Arc<Mutex<Operation>>);

#[derive(Debug, Default)]
struct Operation {
    cancelled: bool,
    agents: Vec<Agent>,
}

impl Canceller {
    fn lock(&self) -> MutexGuard<'_, Operation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn cancel(&self) {
        let mut operation = self.lock();
        operation.cancelled = true;
        for agent in operation.agents.drain(..) {
            agent.shutdown();
        }
    }

    /// A new operation begins.
    fn begin(&self) {
        *self.lock() = Operation::default();
    }

    /// One more that ends with it. `false`: it has ended.
    fn join(&self, agent: Agent) -> bool {
        let mut operation = self.lock();
        if operation.cancelled {
            agent.shutdown();
        } else {
            operation.agents.push(agent);
        }
        !operation.cancelled
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }
}

pub(super) fn cancelled() -> UpdateError {
    UpdateError::new(ErrorKind::Cancelled, "updater: cancelled").hint("what was received is kept")
}

/// The connections of one check or fetch.
pub(super) struct Http<'a> {
    options: &'a HttpOptions,
    identity: &'a Identity,
    /// One for each list of authorities, without and with the client's certificate; made when it is needed.
    agents: Vec<Option<Agent>>,
    canceller: Canceller,
    deadline: Instant,
    /// Which list the last server's certificate was good for.
    good: usize,
}

impl<'a> Http<'a> {
    pub(super) fn new(
        options: &'a HttpOptions,
        identity: &'a Identity,
        canceller: &Canceller,
        total: Duration,
    ) -> Self {
        canceller.begin();
        let now = Instant::now();
        let deadline = now.checked_add(total).unwrap_or(now);
        let agents = vec![None; options.roots.steps() * 2];
        Self { options, identity, agents, canceller: canceller.clone(), deadline, good: 0 }
    }

    /// The agent that trusts list number `list`, for this URL.
    fn agent(&mut self, list: usize, url: &SecureUrl) -> Result<Agent, UpdateError> {
        let client = self.identity.client(url);
        let at = list * 2 + usize::from(client.is_some());
        if let Some(Some(agent)) = self.agents.get(at) {
            return Ok(agent.clone());
        }
        let tls = TlsConfig::builder().root_certs(self.options.roots.step(list)).client_cert(client).build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            // Each request says by itself what it goes through.
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(32 * 1024)
            .max_idle_connections(2)
            .user_agent(self.options.user_agent.as_str())
            .timeout_resolve(Some(self.options.connect_timeout))
            .timeout_connect(Some(self.options.connect_timeout))
            .timeout_per_read(Some(self.options.idle_timeout))
            .timeout_per_write(Some(self.options.idle_timeout))
            .build()
            .new_agent();
        if !self.canceller.join(agent.clone()) {
            return Err(cancelled());
        }
        if let Some(slot) = self.agents.get_mut(at) {
            *slot = Some(agent.clone());
        }
        Ok(agent)
    }

    /// Asks for a URL and follows redirects.
    pub(super) fn get(
        &mut self,
        kind: UrlKind,
        url: &SecureUrl,
        headers: &[(&str, &str)],
    ) -> Result<Reply, Fault> {
        let mut url = url.clone();
        for _ in 0..=self.options.max_redirects {
            let reply = self.one(&url, headers)?;
            if !matches!(reply.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(reply);
            }
            // Addresses that carry a signature are longer than other headers.
            let location = reply.text("location", MAX_URL_LEN).ok_or_else(|| {
                UpdateError::new(
                    ErrorKind::Network,
                    format!("updater: the {kind} redirects without an address"),
                )
                .hint("try again later; the publisher's server is misconfigured")
            })?;
            url = url.redirect(kind, location)?;
        }
        Err(Fault::Final(
            UpdateError::new(
                ErrorKind::Network,
                format!("updater: the {kind} redirects more than {} times", self.options.max_redirects),
            )
            .hint("try again later; the publisher's server is misconfigured"),
        ))
    }

    fn one(&mut self, url: &SecureUrl, headers: &[(&str, &str)]) -> Result<Reply, Fault> {
        let lists = self.options.roots.steps();
        let mut last = None;
        for step in 0..lists {
            let list = (self.good + step) % lists;
            match self.try_list(list, url, headers) {
                Err((fault, true)) => last = Some(fault),
                Err((fault, false)) => return Err(fault),
                Ok(reply) => {
                    self.good = list;
                    return Ok(reply);
                }
            }
        }
        Err(last.unwrap_or_else(|| Fault::Final(cancelled())))
    }

    /// The flag of an error says that the certificate's issuer is not in this list.
    fn try_list(
        &mut self,
        list: usize,
        url: &SecureUrl,
        headers: &[(&str, &str)],
    ) -> Result<Reply, (Fault, bool)> {
        let last = |e: UpdateError| (Fault::Final(e), false);
        let left = self.left().map_err(last)?;
        let proxy = self.options.proxies.of(url).map_err(last)?;
        let agent = self.agent(list, url).map_err(last)?;
        let mut request = agent.get(url.whole()).header("accept-encoding", "identity");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in self.identity.headers(url) {
            request = request.header(name, value);
        }
        let by_proxy = proxy.is_some();
        let config = request.config().timeout_global(Some(left)).proxy(proxy);
        match config.build().call() {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
            }
            Err(e) => {
                let unknown = certificate_error(&e)
                    .is_some_and(|c| matches!(c, rustls::CertificateError::UnknownIssuer));
                Err((self.failed(url, e, by_proxy), unknown))
            }
        }
    }

    /// Another operation begins on the same connections, with this much time.
    #[cfg(feature = "p2p")]
    pub(super) fn renew(&mut self, total: Duration) {
        let now = Instant::now();
        self.deadline = now.checked_add(total).unwrap_or(now);
    }

    /// Time that is left of the whole operation.
    pub(super) fn left(&self) -> Result<Duration, UpdateError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(UpdateError::new(ErrorKind::Network, "updater: the server took too long")
                .hint("try again; what was received is kept"));
        }
        Ok(left)
    }

    /// What a failed read of a body means.
    pub(super) fn fault(&self, url: &SecureUrl, e: ureq::Error) -> Fault {
        self.failed(url, e, false)
    }

    fn failed(&self, url: &SecureUrl, e: ureq::Error, by_proxy: bool) -> Fault {
        if self.canceller.is_cancelled() {
            return Fault::Final(cancelled());
        }
        if certificate_error(&e).is_some() {
            return Fault::Final(
                UpdateError::new(
                    ErrorKind::Network,
                    format!("updater: the certificate of {url} is not valid"),
                )
                .hint(
                    "check the clock of this machine, and whether something intercepts its connections; a company's or a test server's own \
                     authority is named with `--ca FILE` (in Rust `add_certificates`), SSL_CERT_FILE, or the system's store",
                )
                .because(e),
            );
        }
        let again = matches!(
            &e,
            ureq::Error::Timeout(_)
                | ureq::Error::Io(_)
                | ureq::Error::HostNotFound
                | ureq::Error::ConnectionFailed
                | ureq::Error::ConnectProxyFailed(_)
                | ureq::Error::Protocol(_)
        );
        let through = match self.options.proxies.named().filter(|_| by_proxy) {
            Some(name) => format!(" through the proxy of {name}"),
            None => String::new(),
        };
        let error = UpdateError::new(ErrorKind::Network, format!("updater: no answer from {url}{through}"))
            .hint("check the network, then try again; what was received is kept");
        let error = if url.is_hidden_in(&e.to_string()) { error.because(e) } else { error };
        if again { Fault::Again(error, None) } else { Fault::Final(error) }
    }

    /// What a status other than the wanted ones means. The texts are Perry's.
    pub(super) fn status_fault(kind: UrlKind, reply: &Reply) -> Fault {
        let what = match kind {
            UrlKind::Manifest => "manifest fetch failed",
            UrlKind::Asset | UrlKind::Mirror => "download failed",
        };
        let error = UpdateError::new(ErrorKind::Network, format!("updater: {what}: {}", reply.status))
            .hint("try again later; if that does not help, the publisher has to check the server");
        match reply.status {
            408 | 425 | 429 | 500..=599 => {
                let after = reply.header("retry-after").and_then(|v| v.trim().parse().ok());
                Fault::Again(error, after.map(Duration::from_secs))
            }
            _ => Fault::Final(error),
        }
    }

    /// Waits before try number `failed` + 1. `go_on` is asked ten times a second.
    pub(super) fn wait(
        &self,
        failed: u32,
        asked: Option<Duration>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<(), UpdateError> {
        let factor = 1_u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX);
        let wait =
            self.options.back_off.saturating_mul(factor).max(asked.unwrap_or_default()).min(MAX_BACK_OFF);
        // Up to half as long again, so that those who failed together do not come back together.
        let random = RandomState::new().build_hasher().finish() % 512;
        let wait = wait + wait.saturating_mul(u32::try_from(random).unwrap_or(0)) / 1024;
        let start = Instant::now();
        loop {
            if self.canceller.is_cancelled() || !go_on() {
                return Err(cancelled());
            }
            let left = wait.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(100)).min(self.left()?));
        }
    }
}

/// Reads at most `max` bytes of a body; `None` when there are more.
pub(super) fn read_body(body: Body, max: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    body.into_reader().take(max as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= max).then_some(bytes))
}

/// Whether a TLS connection did not begin: nothing was sent on it.
#[doc(hidden)]
pub fn is_tls_error(e: &ureq::Error) -> bool {
    match e {
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => true,
        ureq::Error::Io(e) => e.get_ref().is_some_and(|e| e.downcast_ref::<rustls::Error>().is_some()),
        _ => false,
    }
}

fn certificate_error(e: &ureq::Error) -> Option<&rustls::CertificateError> {
    let tls = match e {
        ureq::Error::Rustls(e) => e,
        ureq::Error::Io(e) => e.get_ref()?.downcast_ref::<rustls::Error>()?,
        _ => return None,
    };
    match tls {
        rustls::Error::InvalidCertificate(c) => Some(c),
        _ => None,
    }
}
