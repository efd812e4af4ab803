//! Where an application says that its updates come from, and whom it believes.

use crate::manifest::url::shown;

/// An Ed25519 public key that may sign a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(pub(crate) String);

impl PublicKey {
    /// A key as `bosc updater keygen` prints it: 32 bytes in base64. One that is not such a key is reported by
    /// [`UpdaterBuilder::validate`](crate::UpdaterBuilder::validate), and by an event once the updater runs.
    pub fn base64(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Where updates come from, and whom to believe.
#[derive(Clone)]
pub struct UpdateSource {
    pub(crate) upgrade: String,
    pub(crate) public_keys: Vec<PublicKey>,
    pub(crate) manifest_app: Option<String>,
    pub(crate) certificates: Vec<Vec<u8>>,
    #[cfg(feature = "http")]
    pub(crate) https: Https,
    pub(crate) bootstrap: Vec<String>,
    pub(crate) relay: Vec<String>,
    pub(crate) lan: bool,
    /// Of the drive.
    pub(crate) drive_mirrors: Vec<String>,
    pub(crate) seed_back: bool,
}

/// What only servers are asked with.
#[cfg(feature = "http")]
#[derive(Clone, Default)]
pub(crate) struct Https {
    pub(crate) mirrors: Vec<String>,
    pub(crate) also_trusted: Vec<Vec<u8>>,
    /// The server it is for (that of the manifest when `None`), name and value.
    pub(crate) headers: Vec<(Option<String>, String, String)>,
    pub(crate) client: Option<crate::http::ClientCertificate>,
    pub(crate) proxy: Option<String>,
    pub(crate) max_rate: Option<u64>,
}

/// Tokens and passwords are not shown.
#[cfg(feature = "http")]
impl std::fmt::Debug for Https {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mirrors: Vec<String> = self.mirrors.iter().map(|url| shown(url)).collect();
        f.debug_struct("Https").field("mirrors", &mirrors).finish_non_exhaustive()
    }
}

/// A URL may hold a token.
impl std::fmt::Debug for UpdateSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpdateSource").field("upgrade", &shown(&self.upgrade)).finish_non_exhaustive()
    }
}

impl UpdateSource {
    /// A `pear://` link. The link is the key. Needs the feature `p2p`.
    pub fn pear(link: impl Into<String>) -> Self {
        Self::of(link.into(), Vec::new())
    }

    /// The `https://` URL of a manifest, and the key that signs it. Needs the feature `http`. `{{current_version}}`, `{{target}}`
    /// (`linux`, `darwin`, `windows`) and `{{arch}}` (`x86_64`, `aarch64`, …) in it are replaced, for a server that decides by who asks;
    /// it answers 204 when there is nothing newer.
    pub fn https(manifest: impl Into<String>, key: PublicKey) -> Self {
        Self::of(manifest.into(), vec![key])
    }

    /// A link or a URL, as a setting or a flag gives it; a link needs no keys.
    pub fn from_upgrade(upgrade: impl Into<String>, keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Self::of(upgrade.into(), keys.into_iter().collect())
    }

    fn of(upgrade: String, public_keys: Vec<PublicKey>) -> Self {
        Self {
            upgrade,
            public_keys,
            manifest_app: None,
            certificates: Vec::new(),
            #[cfg(feature = "http")]
            https: Https::default(),
            bootstrap: Vec::new(),
            relay: Vec::new(),
            lan: false,
            drive_mirrors: Vec::new(),
            seed_back: false,
        }
    }

    /// HTTPS: another key that may sign instead. Give the next key a release before the old one goes.
    #[must_use]
    pub fn or_key(mut self, key: PublicKey) -> Self {
        self.public_keys.push(key);
        self
    }

    /// HTTPS: the application's name as its manifests are bound to it (`bosc updater manifest --app`). With it, a release of another
    /// application that was signed with the same key is refused.
    #[must_use]
    pub fn bound_to(mut self, manifest_app: impl Into<String>) -> Self {
        self.manifest_app = Some(manifest_app.into());
        self
    }

    /// HTTPS: the authorities (DER) that may vouch for the server, instead of the built-in list of the well-known ones and the
    /// system's: for an application that knows its one server, or a test. See [`crate::http::Roots::certificates`] for PEM.
    #[must_use]
    pub fn certificates(mut self, der: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.certificates = der.into_iter().collect();
        self
    }

    /// HTTPS: more authorities (DER) that may vouch for the server, beside the built-in list and the system's.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn add_certificates(mut self, der: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.https.also_trusted.extend(der);
        self
    }

    /// HTTPS: another URL of the same manifest. They are asked in the order in which they were given, until one gives a usable
    /// manifest.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn or_from(mut self, manifest: impl Into<String>) -> Self {
        self.https.mirrors.push(manifest.into());
        self
    }

    /// HTTPS: a header for every request to the server of the first manifest URL. No other server gets it: none that a redirect, the
    /// manifest or [`UpdateSource::or_from`] names; see [`UpdateSource::header_for`].
    #[cfg(feature = "http")]
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.https.headers.push((None, name.into(), value.into()));
        self
    }

    /// HTTPS: a header for every request to the server of this URL: its scheme, host and port.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn header_for(
        mut self,
        server: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.https.headers.push((Some(server.into()), name.into(), value.into()));
        self
    }

    /// HTTPS: [`UpdateSource::header`] `Authorization: Bearer <token>`.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn bearer_token(self, token: impl std::fmt::Display) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// HTTPS: the certificate by which the server of the first manifest URL, and no other, knows this client.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn client_certificate(mut self, certificate: crate::http::ClientCertificate) -> Self {
        self.https.client = Some(certificate);
        self
    }

    /// HTTPS: the proxy, instead of those that the environment names; see [`crate::http::Proxies::through`]. An empty text: none.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn proxy(mut self, proxy: impl Into<String>) -> Self {
        self.https.proxy = Some(proxy.into());
        self
    }

    /// HTTPS: the most bytes of an artifact that are taken in a second, at least 1024. Default: no limit.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn limit_rate(mut self, bytes_per_second: u64) -> Self {
        self.https.max_rate = Some(bytes_per_second);
        self
    }

    /// Links: DHT nodes to start from, as `host:port`, instead of the public ones.
    #[must_use]
    pub fn bootstrap(mut self, nodes: impl IntoIterator<Item = String>) -> Self {
        self.bootstrap = nodes.into_iter().collect();
        self
    }

    /// Links: public keys of blind relays (52 characters of z-base-32 or 64 of hex, as `bosc relay` prints them) to go through where
    /// no direct way to a peer is found. A relay sees ciphertext, who talks to whom, and how much. Default: none; then only a relay that the
    /// other peer names is used.
    #[must_use]
    pub fn relay(mut self, keys: impl IntoIterator<Item = String>) -> Self {
        self.relay = keys.into_iter().collect();
        self
    }

    /// Links: also finds peers in the same local network, by multicast DNS: without internet, and without a DHT. With
    /// [`UpdateSource::seed_back`] it is found there as well. What is sent then says nothing of the link to those who do not know it. Off by
    /// default.
    #[must_use]
    pub fn lan(mut self, lan: bool) -> Self {
        self.lan = lan;
        self
    }

    /// Links: a mirror of the drive (`bosc mirror`): the `https://` address of one on a web server, which needs the feature `http`, or the
    /// path of a folder, such as one on a stick. Every byte of it is proved against the link, as from a peer, and both are asked at the same
    /// time: where no peer can be reached, a mirror is enough. Can be called several times. Authorities and the proxy are those of
    /// [`UpdateSource::certificates`], [`UpdateSource::add_certificates`] and [`UpdateSource::proxy`].
    #[must_use]
    pub fn mirror(mut self, address: impl Into<String>) -> Self {
        self.drive_mirrors.push(address.into());
        self
    }

    /// Links: lets other users find this one and fetch from it. Off by default: then it does not announce itself; peers that it is
    /// connected to for its own downloads may still ask it for blocks.
    #[must_use]
    pub fn seed_back(mut self, on: bool) -> Self {
        self.seed_back = on;
        self
    }
}
