//! What identifies the client to a server: headers and a client certificate. Each was given for one server, and no other gets it,
//! wherever a redirect or a manifest leads.

use crate::error::{ErrorKind, UpdateError};
use crate::manifest::url::{SecureUrl, UrlKind};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use ureq::http::{HeaderName, HeaderValue};
use ureq::tls::{Certificate, ClientCert, PrivateKey};

/// Headers of one source.
const MAX_HEADERS: usize = 64;
/// Bytes of a header's value.
const MAX_VALUE: usize = 8 * 1024;

/// What this client says by itself, and what concerns the connection.
const OURS: [&str; 12] = [
    "accept-encoding",
    "connection",
    "content-length",
    "host",
    "if-none-match",
    "if-range",
    "proxy-authorization",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A header that one server gets with every request.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// Any URL of the server: scheme, host and port count.
    pub server: String,
    /// Its name.
    pub name: String,
    /// Its value. Never shown.
    pub value: String,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("server", &self.server)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A certificate with its private key, by which a server knows this client.
#[derive(Clone)]
pub struct ClientCertificate(ClientCert);

impl ClientCertificate {
    /// From PEM: the certificate, with those between it and its authority behind it, and the key (PKCS#8, PKCS#1 or SEC1, without a
    /// passphrase). Both may be one text.
    ///
    /// # Errors
    /// `Input` for an invalid certificate or key, and for a key that belongs to another certificate.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, UpdateError> {
        let wrong = |what: &str| {
            UpdateError::new(ErrorKind::Input, format!("the client certificate cannot be used: {what}"))
                .hint("give certificate and key in PEM; a key without a passphrase (`openssl pkey`)")
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(|_| wrong("the text with the certificate is damaged"))?;
        if chain.is_empty() {
            return Err(wrong("there is no certificate in it"));
        }
        let der = PrivateKeyDer::from_pem_slice(key).map_err(|_| wrong("there is no private key in it"))?;
        let signing = rustls::crypto::ring::sign::any_supported_type(&der)
            .map_err(|_| wrong("its private key is damaged or of an unknown kind"))?;
        match rustls::sign::CertifiedKey::new(chain.clone(), signing).keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(_) => return Err(wrong("the key does not belong to the certificate")),
        }
        let chain: Vec<_> = chain.iter().map(|c| Certificate::from_der(c).to_owned()).collect();
        let key = PrivateKey::from_pem(key).map_err(|_| wrong("there is no private key in it"))?;
        Ok(Self(ClientCert::new_with_certs(&chain, key)))
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("certificates", &self.0.certs().len())
            .finish_non_exhaustive()
    }
}

/// All of that, checked.
#[derive(Debug, Default)]
pub(super) struct Identity {
    headers: Vec<(SecureUrl, HeaderName, HeaderValue)>,
    client: Option<(SecureUrl, ClientCertificate)>,
}

impl Identity {
    pub(super) fn new(
        headers: &[Header],
        client: Option<&(String, ClientCertificate)>,
    ) -> Result<Self, UpdateError> {
        let wrong = |name: &str, why: &str| {
            let name: String = name.chars().take(64).collect();
            UpdateError::new(ErrorKind::Input, format!("the request header {name:?} cannot be used: {why}"))
                .hint("give a name of letters, digits and dashes, and a value of one line")
        };
        if headers.len() > MAX_HEADERS {
            return Err(wrong("", "there are too many"));
        }
        let mut all = Vec::new();
        for Header { server, name, value } in headers {
            let url = SecureUrl::parse(UrlKind::Manifest, server)?;
            let parsed: HeaderName = name.parse().map_err(|_| wrong(name, "its name is not valid"))?;
            if OURS.contains(&parsed.as_str()) {
                return Err(wrong(name, "the updater sets it by itself"));
            }
            let mut value = Some(value)
                .filter(|value| value.len() <= MAX_VALUE)
                .and_then(|value| HeaderValue::from_str(value).ok())
                .ok_or_else(|| wrong(name, "its value is not valid"))?;
            value.set_sensitive(true);
            all.push((url, parsed, value));
        }
        let client = match client {
            Some((server, certificate)) => {
                Some((SecureUrl::parse(UrlKind::Manifest, server)?, certificate.clone()))
            }
            None => None,
        };
        Ok(Self { headers: all, client })
    }

    /// The headers for a URL.
    pub(super) fn headers(&self, url: &SecureUrl) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        let url = url.clone();
        let here = move |server: &SecureUrl| server.is_same_server(&url);
        self.headers.iter().filter(move |(server, ..)| here(server)).map(|(_, name, value)| (name, value))
    }

    /// The certificate for a URL.
    pub(super) fn client(&self, url: &SecureUrl) -> Option<ClientCert> {
        let (_, certificate) = self.client.as_ref().filter(|(server, _)| server.is_same_server(url))?;
        Some(certificate.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_for_one_server_and_cannot_be_ours_or_smuggle_another() {
        let header = |server: &str, name: &str, value: &str| Header {
            server: server.into(),
            name: name.into(),
            value: value.into(),
        };
        let identity =
            Identity::new(&[header("https://a.example/x", "Authorization", "Bearer hunter2")], None).unwrap();
        let count = |url: &str| identity.headers(&SecureUrl::parse(UrlKind::Asset, url).unwrap()).count();
        assert_eq!(count("https://A.example:443/other"), 1);
        for other in
            ["https://b.example/", "https://a.example:8443/", "https://x.a.example/", "http://localhost/"]
        {
            assert_eq!(count(other), 0, "{other}");
        }
        assert!(!format!("{identity:?}").contains("hunter2"));
        let shown = format!("{:?}", header("https://a.example/", "Authorization", "Bearer hunter2"));
        assert!(shown.contains("Authorization") && !shown.contains("hunter2"), "{shown}");
        for (name, value) in
            [("Host", "x"), ("range", "x"), ("a b", "x"), ("x", "a\r\nb: c"), ("x", "ü\u{1}"), ("", "x")]
        {
            let e = Identity::new(&[header("https://a.example/", name, value)], None).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Input, "{name}");
        }
        let e = Identity::new(&[header("http://a.example/", "x", "y")], None).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Refused, "not in the clear");
        for (count, length, good) in [
            (MAX_HEADERS, 1, true),
            (MAX_HEADERS + 1, 1, false),
            (1, MAX_VALUE, true),
            (1, MAX_VALUE + 1, false),
        ] {
            let all = vec![header("https://a.example/", "x", &"y".repeat(length)); count];
            assert_eq!(Identity::new(&all, None).is_ok(), good, "{count} of {length} bytes");
        }
    }
}
