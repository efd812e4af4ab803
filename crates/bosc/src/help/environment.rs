//! Variables of the environment by which Bosc is told something, or tells it; those of the system (`SOURCE_DATE_EPOCH`, `NOTIFY_SOCKET`,
//! `HOME`, …) mean what they mean everywhere.

/// A variable.
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    /// The commands it is for.
    pub(crate) who: &'static str,
    pub(crate) meaning: &'static str,
}

const fn variable(name: &'static str, who: &'static str, meaning: &'static str) -> Variable {
    Variable { name, who, meaning }
}

/// Those that a person sets.
pub(super) const READ: [Variable; 20] = [
    variable("BOSC_STORE", "all", "Folder of the store, as `--store DIR`; the flag wins"),
    variable(
        "BOSC_BOOTSTRAP",
        "all",
        "DHT nodes to start from, as `--bootstrap HOST:PORT,...`; the flag wins",
    ),
    variable("BOSC_RELAY", "all", "Blind relays to go through, as `--relay KEY,...`; the flag wins"),
    variable("BOSC_LAN", "all", "As `--lan`, unless it is empty, 0, n, no, off, f or false"),
    variable("NO_COLOR", "all", "No colours, unless `--color always`"),
    variable(
        "BOSC_PRIMARY_KEY",
        "all with a store",
        "64 hex characters: the root secret of a new store, so that another machine makes the same links. A store that \
         has another one is refused",
    ),
    variable(
        "BOSC_PRIMARY_KEY_FILE",
        "all with a store",
        "A file written by `bosc keys backup` to take that secret from; `BOSC_PASSPHRASE` decrypts it",
    ),
    variable(
        "BOSC_PASSPHRASE",
        "all that ask for a passphrase, and all with `BOSC_PRIMARY_KEY_FILE`",
        "The passphrase, where nobody can type it; `--passphrase-fd N` wins",
    ),
    variable(
        "BOSC_NEW_PASSPHRASE",
        "`multisig keys export`, `import`",
        "The passphrase to change to; `--new-passphrase-fd N` wins",
    ),
    variable("BOSC_KEYS", "all with `--keys`", "Folder of the signing keys, as `--keys DIR`; the flag wins"),
    variable(
        "HYPERCORE_SIGN_KEYS_DIRECTORY",
        "all with `--keys`",
        "Folder of the signing keys of npm `hypercore-sign`, in place of `~/.hypercore-sign`",
    ),
    variable(
        "BOSC_UPDATER_SECRET_KEY",
        "`updater sign`, `manifest`",
        "The secret key, in Base64; `--secret-key FILE` and `--secret-key-fd N` win",
    ),
    variable(
        "BOSC_UPDATE_TOKEN",
        "`watch`",
        "A token for the server of `--upgrade`, sent as `Authorization: Bearer TOKEN`; to no other server",
    ),
    variable(
        "AWS_*, GOOGLE_*, AZURE_*",
        "`mirror`, `seed`",
        "Credentials and settings for s3://, gs:// and az://, by the names that the tools of those services use, such as \
         AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL",
    ),
    variable(
        "BOSC_MIRROR_TOKEN",
        "`mirror`, `seed`",
        "A token for the https:// address that a mirror is written to, sent as `Authorization: Bearer TOKEN`",
    ),
    variable("BOSC_MIRROR_USER", "`mirror`, `seed`", "The user of that address, with `BOSC_MIRROR_PASSWORD`"),
    variable("BOSC_MIRROR_PASSWORD", "`mirror`, `seed`", "The password of that user"),
    variable(
        "HTTPS_PROXY",
        "`watch`, and all that read or write mirrors",
        "The proxy for HTTPS (`http`, `https`, `socks4`, `socks4a`, `socks5`, `socks5h`), else `ALL_PROXY`; lower case \
         wins, as in curl. It is used or the connection fails; `--proxy URL` wins",
    ),
    variable(
        "NO_PROXY",
        "`watch`, and all that read or write mirrors",
        "Hosts that are reached without it, by curl's rules: domains with all below them, addresses, networks such as \
         `10.0.0.0/8`, or `*`",
    ),
    variable(
        "SSL_CERT_FILE",
        "`watch`, and all that read or write mirrors",
        "File of certificate authorities (CAs) to use instead of the system's store; the built-in list still counts. \
         `SSL_CERT_DIR` names a folder of them",
    ),
];

/// Those that Bosc sets for a program it starts.
pub(super) const SET: [Variable; 5] = [
    variable(
        "BOSC_UPDATER_SMOKE",
        "your application",
        "Set by `bosc updater smoke` to the folder of the test, so that the application can leave its production data alone",
    ),
    variable(
        "BOSC_UPDATER_WATCHED",
        "your application",
        "Set by the updater when it starts a new build on trial: the number of the trial",
    ),
    variable("BOSC_EXAMPLE", "`demo`", "Makes bosc the example application of the demo"),
    variable("BOSC_INSTALL_VALUE", "`install`", "Carries a path to PowerShell, on Windows"),
    variable(
        "BOSC_MSIX_PACKAGE",
        "`install`, updater",
        "Carries the path of a package to PowerShell, on Windows",
    ),
];
