//! A mirror in a bucket, or on a server that takes `PUT` (WebDAV): the crate `object_store`, over the HTTP client that is there anyway.
//!
//! Credentials are those that each service's own tools read from the environment; no argument and no error has one.

use super::place::{Kept, Target, bad};
use super::reason::Reason;
use crate::error::{CommandError, ErrorKind};
use bosc_updater::http::{Roots, is_tls_error};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpService,
};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Error, HeaderValue, ObjectStore, ObjectStoreExt, PutOptions, PutPayload,
};
use std::fmt;
use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Runtime;
use ureq::Agent;
use ureq::http::Request;
use ureq::http::request::Parts;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use zeroize::Zeroizing;

/// Objects on their way at once.
const AT_ONCE: usize = 4;
/// Bytes of an answer that are taken: more than any object that is asked for.
const MAX_ANSWER: u64 = 32 << 20;
/// Longest time to connect, and between two bytes.
const IDLE: Duration = Duration::from_secs(30);

pub(super) struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    shown: String,
    runtime: Runtime,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("shown", &self.shown).finish_non_exhaustive()
    }
}

/// What the environment says; an empty value counts as none.
fn variable(name: &str) -> Option<Zeroizing<String>> {
    std::env::var(name).ok().filter(|v| !v.is_empty()).map(Zeroizing::new)
}

/// How a server that takes `PUT` knows us.
fn authorization() -> Result<Option<HeaderValue>, CommandError> {
    let text = match (variable("BOSC_MIRROR_TOKEN"), variable("BOSC_MIRROR_USER")) {
        (Some(token), _) => Zeroizing::new(format!("Bearer {}", token.as_str())),
        (None, Some(user)) => {
            let password = variable("BOSC_MIRROR_PASSWORD").unwrap_or_default();
            let pair = Zeroizing::new(format!("{}:{}", user.as_str(), password.as_str()));
            Zeroizing::new(format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes())))
        }
        (None, None) => return Ok(None),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        CommandError::input(
            "BOSC_MIRROR_TOKEN, BOSC_MIRROR_USER or BOSC_MIRROR_PASSWORD is not one line of text",
        )
        .hint("set it to the token or password alone")
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Variables whose values cannot be meant so, told before anybody quotes them.
fn check_environment(scheme: &str) -> Result<(), CommandError> {
    const ENDPOINTS: [&str; 4] =
        ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT"];
    const FILES: [&str; 4] = [
        "GOOGLE_SERVICE_ACCOUNT",
        "GOOGLE_SERVICE_ACCOUNT_PATH",
        "SERVICE_ACCOUNT",
        "GOOGLE_APPLICATION_CREDENTIALS",
    ];
    let is_web = matches!(scheme, "http" | "https");
    if let Some(name) =
        ENDPOINTS.iter().find(|name| !is_web && variable(name).is_some_and(|v| v.contains('@')))
    {
        return Err(CommandError::input(format!("{name} has a user or password in it"))
            .hint("leave them out of the address; the service's credentials have variables of their own"));
    }
    if let Some(name) =
        FILES.iter().find(|name| scheme == "gs" && variable(name).is_some_and(|v| v.contains('{')))
    {
        return Err(CommandError::input(format!(
            "{name} holds the key itself, and not the path of a file with it"
        ))
        .hint("set GOOGLE_SERVICE_ACCOUNT_KEY to the key, or write it into a file and name that"));
    }
    Ok(())
}

/// The address of a service on this machine, as tests and gateways have it, may go without TLS.
fn is_here(endpoint: Option<&str>) -> bool {
    endpoint.and_then(|e| e.strip_prefix("http://")).is_some_and(|rest| {
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|a| a.is_loopback())
    })
}

impl Bucket {
    /// The bucket or server that a URL names; `None` for another scheme. Nothing is asked yet.
    pub(super) fn open(target: &str) -> Result<Option<Self>, CommandError> {
        let Some((scheme, rest)) = target.split_once("://") else { return Ok(None) };
        if rest.contains(['@', '?', '#']) {
            return Err(CommandError::input("a target has no user, password, `?` or `#` in it")
                .hint("credentials are taken from the environment, see `bosc help mirror`"));
        }
        check_environment(scheme)?;
        let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
        if place.is_empty() {
            return Err(bad(target));
        }
        let connector = Connector { authorization: None };
        let unusable = |e: Error| {
            CommandError::input(format!("{scheme}://{place} cannot be used")).because(Reason::of(&e)).hint(
                "check the name, and the variables of the service in the environment; see `bosc help mirror`",
            )
        };
        let parse =
            |path: &str| Path::parse(path.trim_matches('/')).map_err(|e| bad(target).because(Reason::of(&e)));
        let (store, prefix): (Arc<dyn ObjectStore>, Path) = match scheme {
            "s3" => {
                let endpoint = variable("AWS_ENDPOINT_URL").or_else(|| variable("AWS_ENDPOINT"));
                let builder =
                    AmazonS3Builder::from_env().with_bucket_name(place).with_http_connector(connector);
                let here = is_here(endpoint.as_ref().map(|e| e.as_str()));
                let builder = if here { builder.with_allow_http(true) } else { builder };
                (Arc::new(builder.build().map_err(unusable)?), parse(path)?)
            }
            "gs" => {
                let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(place);
                let store = builder.with_http_connector(connector).build().map_err(unusable)?;
                (Arc::new(store), parse(path)?)
            }
            "az" => {
                let builder = MicrosoftAzureBuilder::from_env().with_container_name(place);
                let store = builder.with_http_connector(connector).build().map_err(unusable)?;
                (Arc::new(store), parse(path)?)
            }
            "https" | "http" => {
                let options = ClientOptions::new().with_allow_http(true);
                let authorization = authorization()?;
                if scheme == "http" && authorization.is_some() && !is_here(Some(target)) {
                    return Err(CommandError::input(
                        "a token or password would go to this target without TLS",
                    )
                    .hint("give its https:// address"));
                }
                let builder =
                    HttpBuilder::new().with_url(target.trim_end_matches('/')).with_client_options(options);
                let builder = builder.with_http_connector(Connector { authorization });
                (Arc::new(builder.build().map_err(unusable)?), Path::default())
            }
            _ => return Ok(None),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime =
            runtime.map_err(|e| CommandError::failed("no thread for the upload could be had").because(e))?;
        Ok(Some(Self { store, prefix, shown: target.to_owned(), runtime }))
    }

    fn path(&self, path: &str) -> Path {
        path.split('/').fold(self.prefix.clone(), |at, part| at.join(part))
    }

    fn failed(&self, path: &str, e: Error) -> CommandError {
        let message = format!("{}: {path} cannot be used", self.shown);
        match e {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => CommandError::new(
                ErrorKind::Permission,
                "ERR_MIRROR",
                message,
            )
            .because(Reason::of(&e))
            .hint("check the credentials in the environment, and that they may read, write and delete there"),
            e => CommandError::new(ErrorKind::Network, "ERR_MIRROR", message)
                .because(Reason::of(&e))
                .hint("check the name and the network, then run the command again: it goes on where it was"),
        }
    }

    async fn send(&self, path: &Path, bytes: Vec<u8>, kept: Kept) -> Result<(), Error> {
        let cache = match kept {
            Kept::ForEver => "public, max-age=31536000, immutable",
            Kept::Fresh => "no-cache",
        };
        let attributes = Attributes::from_iter([
            (Attribute::CacheControl, cache),
            (Attribute::ContentType, "application/octet-stream"),
        ]);
        // One request: no object is so large that a service would want it in parts, and so it is there whole or not at all.
        let options = PutOptions { attributes, ..PutOptions::default() };
        self.store.put_opts(path, PutPayload::from(bytes), options).await.map(drop)
    }
}

impl Target for Bucket {
    fn name(&self) -> String {
        self.shown.clone()
    }

    fn get(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>, CommandError> {
        let at = self.path(path);
        let got = self.runtime.block_on(async {
            let got = self.store.get(&at).await?;
            if got.meta.size > max {
                return Ok(bytes::Bytes::new());
            }
            got.bytes().await
        });
        match got {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed(path, e)),
        }
    }

    fn size(&self, path: &str) -> Result<Option<u64>, CommandError> {
        match self.runtime.block_on(self.store.head(&self.path(path))) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed(path, e)),
        }
    }

    fn put(&self, path: &str, bytes: Vec<u8>, kept: Kept) -> Result<(), CommandError> {
        self.runtime.block_on(self.send(&self.path(path), bytes, kept)).map_err(|e| self.failed(path, e))
    }

    fn remove(&self, path: &str) -> Result<(), CommandError> {
        match self.runtime.block_on(self.store.delete(&self.path(path))) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.failed(path, e)),
        }
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }
}

/// Connects by ureq: one HTTP client, one list of authorities and one rule of proxies in the program.
#[derive(Debug)]
struct Connector {
    authorization: Option<HeaderValue>,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let agents = Arc::new(Agents { first: agent(RootCerts::WebPki), second: OnceLock::new() });
        Ok(HttpClient::new(Service { agents, authorization: self.authorization.clone() }))
    }
}

fn agent(roots: RootCerts) -> Agent {
    Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .allow_non_standard_methods(true)
        .max_idle_connections_per_host(AT_ONCE)
        .timeout_connect(Some(IDLE))
        .timeout_per_read(Some(IDLE))
        .timeout_per_write(Some(IDLE))
        .build()
        .new_agent()
}

/// Two lists of authorities: the built-in one, and the system's for servers that it does not vouch for.
#[derive(Debug)]
struct Agents {
    first: Agent,
    second: OnceLock<Agent>,
}

impl Agents {
    fn run(&self, parts: &Parts, body: &[u8]) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let again = || Request::from_parts(parts.clone(), body);
        if let Some(second) = self.second.get() {
            return match second.run(again()) {
                Err(e) if is_tls_error(&e) => self.first.run(again()),
                done => done,
            };
        }
        // Nothing was sent when TLS did not begin.
        match self.first.run(again()) {
            Err(e) if is_tls_error(&e) => {
                let second = self.second.get_or_init(|| {
                    let ders = Roots::system_certificates();
                    let all: Vec<_> = ders.iter().map(|d| Certificate::from_der(d).to_owned()).collect();
                    agent(RootCerts::new_with_certs(&all))
                });
                second.run(again())
            }
            done => done,
        }
    }
}

#[derive(Debug)]
struct Service {
    agents: Arc<Agents>,
    authorization: Option<HeaderValue>,
}

#[async_trait::async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        use http_body_util::BodyExt;

        let (mut parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|e| HttpError::new(HttpErrorKind::Unknown, e))?.to_bytes();
        if let Some(authorization) = &self.authorization {
            parts.headers.insert("authorization", authorization.clone());
        }
        let agents = Arc::clone(&self.agents);
        let call = move || -> Result<HttpResponse, ureq::Error> {
            let (parts, body) = agents.run(&parts, &body)?.into_parts();
            let mut bytes = Vec::new();
            body.into_reader().take(MAX_ANSWER).read_to_end(&mut bytes)?;
            Ok(HttpResponse::from_parts(parts, bytes.into()))
        };
        let done = tokio::task::spawn_blocking(call).await;
        done.map_err(|e| HttpError::new(HttpErrorKind::Unknown, e))?.map_err(|e| {
            let kind = match &e {
                ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
                ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => HttpErrorKind::Connect,
                ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
                    HttpErrorKind::Connect
                }
                ureq::Error::Io(_) => HttpErrorKind::Interrupted,
                _ => HttpErrorKind::Unknown,
            };
            HttpError::new(kind, e)
        })
    }
}
