//! Whose certificates servers may have: the built-in list, the system's, a company's own.
//!
//! The system's list is read when a server's certificate is not vouched for by the built-in one, and not before. `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` stand in its place, as with OpenSSL.
//!
//! | what is read | bound |
//! |---|---|
//! | a file of certificates | 16 MiB, 4,096 certificates |
//! | a folder of certificates | 1,024 files of 64 KiB |

use crate::error::{ErrorKind, UpdateError};
use bosc_files::{read_bounded, read_plain};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use ureq::tls::{Certificate, RootCerts};

/// Bytes of a file of certificates.
const MAX_FILE: u64 = 16 << 20;
/// Certificates of one file.
const MAX_CERTIFICATES: usize = 4096;
/// Files of a folder of certificates, and bytes of one.
const MAX_FILES: usize = 1024;
const MAX_SINGLE: u64 = 64 * 1024;

/// Whose certificates servers may have. Certificates are DER; [`Roots::certificates`] makes it of what comes in files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Roots {
    /// Mozilla's list, as built into this program, and the system's: its store, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    #[default]
    System,
    /// As [`Roots::System`], and these: a company's own authority.
    SystemAnd(Vec<Vec<u8>>),
    /// Mozilla's list alone.
    Bundled,
    /// Mozilla's list and these.
    BundledAnd(Vec<Vec<u8>>),
    /// These and no others.
    Only(Vec<Vec<u8>>),
}

impl Roots {
    /// The certificates in a file's bytes: PEM with one or more of them (also OpenSSL's `TRUSTED CERTIFICATE`, as far as it says that
    /// servers are vouched for), or one in DER. What else is in a PEM text is skipped. At most 16 MiB and 4,096 certificates.
    ///
    /// # Errors
    /// `Input` when there is none that can be used, and why; and for more than the bounds.
    pub fn certificates(bytes: &[u8]) -> Result<Vec<Vec<u8>>, UpdateError> {
        if bytes.len() as u64 > MAX_FILE {
            return Err(too_large());
        }
        let Read { good, bad } = read(bytes)?;
        if !good.is_empty() {
            return Ok(good);
        }
        let why = bad.unwrap_or(
            "it is neither PEM (nothing in it begins with -----BEGIN CERTIFICATE-----) nor a certificate in DER",
        );
        Err(UpdateError::new(ErrorKind::Input, format!("no usable certificate: {why}"))
            .hint("give the authority's certificate in PEM or DER"))
    }

    /// [`Roots::certificates`] of a file.
    ///
    /// # Errors
    /// As that, and `Input` when the file cannot be read.
    pub fn certificates_of(path: &Path) -> Result<Vec<Vec<u8>>, UpdateError> {
        let unreadable = || {
            UpdateError::new(ErrorKind::Input, format!("cannot read certificates from {}", path.display()))
                .hint("give a file with the authority's certificate in PEM or DER")
        };
        match read_plain(path, MAX_FILE) {
            Ok(bytes) => Self::certificates(&bytes),
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => Err(too_large()),
            Err(e) => Err(unreadable().because(e)),
        }
    }

    /// The system's list, for other clients of the same program: its store, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name. What cannot
    /// be read of it is left out.
    pub fn system_certificates() -> Vec<Vec<u8>> {
        system()
    }

    /// How many lists are tried one after another. A server whose certificate the first one does not vouch for is asked again with the
    /// second.
    pub(super) fn steps(&self) -> usize {
        match self {
            Self::Bundled | Self::Only(_) => 1,
            Self::System | Self::SystemAnd(_) | Self::BundledAnd(_) => 2,
        }
    }

    pub(super) fn step(&self, number: usize) -> RootCerts {
        let of = |ders: &[Vec<u8>]| {
            let all: Vec<_> = ders.iter().map(|d| Certificate::from_der(d).to_owned()).collect();
            RootCerts::new_with_certs(&all)
        };
        match self {
            Self::Only(ders) => of(ders),
            _ if number == 0 => RootCerts::WebPki,
            Self::BundledAnd(ders) => of(ders),
            Self::SystemAnd(ders) => of(&[ders.as_slice(), &system()].concat()),
            Self::System | Self::Bundled => of(&system()),
        }
    }
}

fn too_large() -> UpdateError {
    UpdateError::new(
        ErrorKind::Input,
        format!(
            "a file of certificates has at most {} MiB and {MAX_CERTIFICATES} certificates",
            MAX_FILE >> 20
        ),
    )
    .hint("give the one certificate of the authority")
}

/// The system's list. What cannot be read of it is left out: the built-in list is there in any case.
fn system() -> Vec<Vec<u8>> {
    named(|name| std::env::var_os(name)).unwrap_or_else(store)
}

/// What the environment names; `None` when it names nothing.
fn named(variable: impl Fn(&str) -> Option<OsString>) -> Option<Vec<Vec<u8>>> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let (file, folders) = (set("SSL_CERT_FILE"), set("SSL_CERT_DIR"));
    if file.is_none() && folders.is_none() {
        return None;
    }
    let mut found = file.map(|file| of_file(Path::new(&file), MAX_FILE)).unwrap_or_default();
    for folder in folders.iter().flat_map(std::env::split_paths) {
        found.extend(of_folder(&folder));
    }
    Some(found)
}

#[cfg(any(windows, target_os = "macos"))]
fn store() -> Vec<Vec<u8>> {
    let found = rustls_native_certs::load_native_certs().certs;
    found.into_iter().map(|certificate| certificate.to_vec()).collect()
}

/// Where systems keep one file with all of them; the first one there is counts. (Go and openssl-probe have the same list.)
#[cfg(not(any(windows, target_os = "macos")))]
const FILES: [&str; 9] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
    "/etc/openssl/certs/ca-certificates.crt",
];

#[cfg(not(any(windows, target_os = "macos")))]
fn store() -> Vec<Vec<u8>> {
    let found = FILES.iter().map(|file| of_file(Path::new(file), MAX_FILE)).find(|found| !found.is_empty());
    found.unwrap_or_else(|| of_folder(Path::new("/etc/ssl/certs")))
}

fn of_file(path: &Path, max: u64) -> Vec<Vec<u8>> {
    let bytes = read_bounded(path, max).ok().flatten().unwrap_or_default();
    read(&bytes).map(|read| read.good).unwrap_or_default()
}

fn of_folder(path: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.take(MAX_FILES).map(|entry| entry.path()).collect();
    files.sort();
    files.iter().flat_map(|file| of_file(file, MAX_SINGLE)).take(MAX_CERTIFICATES).collect()
}

/// What came out of a file.
#[derive(Default)]
struct Read {
    good: Vec<Vec<u8>>,
    /// Why something in it cannot be used.
    bad: Option<&'static str>,
}

impl Read {
    fn take(&mut self, der: &[u8]) {
        if RootCertStore::empty().add(CertificateDer::from(der)).is_err() {
            self.bad = Some("it is not the certificate of an authority");
        } else if !self.good.iter().any(|there| there == der) {
            self.good.push(der.to_vec());
        }
    }
}

fn read(bytes: &[u8]) -> Result<Read, UpdateError> {
    let mut out = Read::default();
    let text = String::from_utf8_lossy(bytes);
    if !text.contains("-----BEGIN ") {
        if bytes.first() == Some(&0x30) {
            out.take(bytes);
        }
        return Ok(out);
    }
    let mut label = None;
    let mut body = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(begun) = line.strip_prefix("-----BEGIN ").and_then(|l| l.strip_suffix("-----")) {
            label = Some(begun);
            body.clear();
        } else if line.starts_with("-----END ") {
            let Some(label) = label.take() else { continue };
            if !matches!(label, "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE") {
                continue;
            }
            let Ok(der) = data_encoding::BASE64.decode(body.as_bytes()) else {
                out.bad = Some("a certificate in it is not valid Base64");
                continue;
            };
            match (label, trusted::certificate(&der)) {
                ("TRUSTED CERTIFICATE", Ok(certificate)) => out.take(certificate),
                ("TRUSTED CERTIFICATE", Err(why)) => out.bad = Some(why),
                _ => out.take(&der),
            }
            if out.good.len() > MAX_CERTIFICATES {
                return Err(too_large());
            }
        } else if label.is_some() {
            body.extend(line.chars().filter(|c| !c.is_whitespace()));
        }
    }
    Ok(out)
}

/// OpenSSL's `TRUSTED CERTIFICATE`: a certificate, and behind it what it is trusted for.
///
/// ```text
/// SEQUENCE { trust SEQUENCE OF OID OPTIONAL, reject [0] IMPLICIT SEQUENCE OF OID OPTIONAL, ... } OPTIONAL
/// ```
mod trusted {
    /// `serverAuth` and `anyExtendedKeyUsage`, as DER has them.
    const SERVERS: [&[u8]; 2] = [&[0x2b, 6, 1, 5, 5, 7, 3, 1], &[0x55, 0x1d, 0x25, 0]];

    /// The certificate, if servers are vouched for; else why not.
    pub(super) fn certificate(der: &[u8]) -> Result<&[u8], &'static str> {
        let damaged = "a TRUSTED CERTIFICATE in it is damaged";
        let (_, whole, mut rest) =
            element(der).map(|(tag, _, whole, rest)| (tag, whole, rest)).ok_or(damaged)?;
        if rest.is_empty() {
            return Ok(whole);
        }
        let (0x30, mut settings, _, _) = element(rest).ok_or(damaged)? else { return Err(damaged) };
        while !settings.is_empty() {
            let (tag, list, _, after) = element(settings).ok_or(damaged)?;
            settings = after;
            let mut servers = false;
            rest = if matches!(tag, 0x30 | 0xa0) { list } else { &[] };
            while !rest.is_empty() {
                let (_, oid, _, after) = element(rest).ok_or(damaged)?;
                servers |= SERVERS.contains(&oid);
                rest = after;
            }
            if (tag == 0x30 && !servers) || (tag == 0xa0 && servers) {
                return Err("the settings in a TRUSTED CERTIFICATE do not allow it to vouch for servers");
            }
        }
        Ok(whole)
    }

    /// Tag, content, both together, and what follows.
    type Element<'a> = (u8, &'a [u8], &'a [u8], &'a [u8]);

    fn element(der: &[u8]) -> Option<Element<'_>> {
        let (tag, first) = (*der.first()?, *der.get(1)?);
        let (head, length) = if first < 0x80 {
            (2, usize::from(first))
        } else {
            let count = usize::from(first & 0x7f);
            if !(1..=3).contains(&count) {
                return None;
            }
            let digits = der.get(2..2 + count)?;
            (2 + count, digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)))
        };
        let end = head.checked_add(length)?;
        Some((tag, der.get(head..end)?, der.get(..end)?, der.get(end..)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    fn authority() -> Vec<u8> {
        let mut params = CertificateParams::new(Vec::default()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn pem(label: &str, der: &[u8]) -> String {
        let text = data_encoding::BASE64.encode(der);
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).unwrap()).collect();
        format!("-----BEGIN {label}-----\r\n{}\r\n-----END {label}-----\r\n", lines.join("\r\n"))
    }

    #[test]
    fn pem_der_and_openssls_form_are_read() {
        let (a, b) = (authority(), authority());
        assert_eq!(Roots::certificates(&a).unwrap(), std::slice::from_ref(&a));
        let bundle = format!(
            "\u{feff}# ours\n{}{}{}{}",
            pem("PRIVATE KEY", b"secret"),
            pem("CERTIFICATE", &a),
            pem("X509 CERTIFICATE", &b),
            pem("CERTIFICATE", &a)
        );
        assert_eq!(Roots::certificates(bundle.as_bytes()).unwrap(), [a.clone(), b.clone()]);
        for bad in [
            String::new(),
            "nothing".to_owned(),
            pem("PRIVATE KEY", &a),
            pem("CERTIFICATE", b"0\x03abc"),
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".to_owned(),
        ] {
            assert_eq!(Roots::certificates(bad.as_bytes()).unwrap_err().kind(), ErrorKind::Input, "{bad}");
        }
    }

    #[test]
    fn openssls_settings_are_heeded() {
        let a = authority();
        let server: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
        let mail: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 4];
        let list = |tag: u8, oids: &[&[u8]]| {
            let body = oids.concat();
            [&[tag, u8::try_from(body.len()).unwrap()][..], &body].concat()
        };
        let of = |settings: &[Vec<u8>]| {
            let all = list(0x30, &settings.iter().map(Vec::as_slice).collect::<Vec<_>>());
            Roots::certificates(pem("TRUSTED CERTIFICATE", &[a.as_slice(), &all].concat()).as_bytes())
        };
        assert_eq!(
            Roots::certificates(pem("TRUSTED CERTIFICATE", &a).as_bytes()).unwrap(),
            std::slice::from_ref(&a)
        );
        assert_eq!(of(&[]).unwrap(), std::slice::from_ref(&a));
        assert_eq!(of(&[list(0x30, &[mail, server])]).unwrap(), std::slice::from_ref(&a));
        assert_eq!(of(&[list(0xa0, &[mail]), vec![0x0c, 1, b'x']]).unwrap(), std::slice::from_ref(&a));
        for settings in [
            &[list(0x30, &[mail])][..],
            &[list(0xa0, &[server])],
            &[list(0x30, &[server]), list(0xa0, &[server])],
        ] {
            let e = of(settings).unwrap_err();
            assert!(e.to_string().contains("vouch for servers"), "{e}");
        }
        assert!(
            Roots::certificates(pem("TRUSTED CERTIFICATE", &[a.as_slice(), &[0x30, 9]].concat()).as_bytes())
                .is_err()
        );
    }

    #[test]
    fn a_bundle_has_a_stated_bound() {
        let one = pem("CERTIFICATE", &authority());
        // A company's bundle of several MiB, most of it comments.
        let large = format!("{}{one}", "# comment\n".repeat(800_000));
        assert_eq!(Roots::certificates(large.as_bytes()).unwrap().len(), 1);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, "#".repeat((MAX_FILE + 1) as usize)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for e in [Roots::certificates_of(&path), Roots::certificates(&bytes)].map(Result::unwrap_err) {
            assert!(e.to_string().contains("16 MiB"), "{e}");
        }
        assert_eq!(Roots::certificates_of(dir.path()).unwrap_err().kind(), ErrorKind::Input);
    }

    /// So many certificates that differ.
    fn many(count: usize) -> Vec<Vec<u8>> {
        let mut params = CertificateParams::new(Vec::default()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let number = |n: usize| {
            params.serial_number = Some((n as u64 + 1).into());
            params.self_signed(&key).unwrap().der().to_vec()
        };
        (0..count).map(number).collect()
    }

    #[test]
    fn a_file_and_a_folder_hold_a_bounded_number_of_certificates() {
        let all = many(MAX_CERTIFICATES + 1);
        let text: Vec<String> = all.iter().map(|der| pem("CERTIFICATE", der)).collect();
        let of = |count: usize| Roots::certificates(text[..count].concat().as_bytes());
        assert_eq!(of(MAX_CERTIFICATES).unwrap().len(), MAX_CERTIFICATES);
        assert!(of(MAX_CERTIFICATES + 1).unwrap_err().to_string().contains("4096 certificates"));
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("large", &format!("{}{}", text[0], "#".repeat(MAX_SINGLE as usize)));
        assert_eq!(of_folder(dir.path()), [[0; 0]; 0], "a file that is too large is left out");
        for (n, text) in text.iter().take(MAX_FILES + 8).enumerate() {
            write(&format!("{n}.pem"), text);
        }
        let found = of_folder(dir.path()).len();
        assert!((MAX_FILES - 1..=MAX_FILES).contains(&found), "{found}");
    }

    #[test]
    fn the_environment_stands_in_for_the_systems_store() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (authority(), authority());
        let file = dir.path().join("all.pem");
        std::fs::write(&file, pem("CERTIFICATE", &a)).unwrap();
        let folder = dir.path().join("certs");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("b.0"), pem("CERTIFICATE", &b)).unwrap();
        std::fs::write(folder.join("README"), "no certificate").unwrap();
        let of = |file: Option<&Path>, folder: Option<&Path>| {
            named(|name| match name {
                "SSL_CERT_FILE" => file.map(|p| p.as_os_str().to_owned()),
                "SSL_CERT_DIR" => folder.map(|p| p.as_os_str().to_owned()),
                _ => None,
            })
        };
        assert_eq!(of(None, None), None);
        assert_eq!(of(Some(Path::new("")), Some(Path::new(""))), None, "an empty variable counts as none");
        assert_eq!(of(Some(&file), None), Some(vec![a.clone()]));
        assert_eq!(of(None, Some(&folder)), Some(vec![b.clone()]));
        assert_eq!(of(Some(&file), Some(&folder)), Some(vec![a, b]));
        assert_eq!(of(Some(&folder.join("gone")), None), Some(vec![]));
    }
}
