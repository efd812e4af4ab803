//! The vectors of `vectors/perry.json`: made from the inputs of Perry's own tests.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use bosc_updater::manifest::verify::{
    PublicKey, compute_file_sha256, parse_digest, payload_v2, verify_hash, verify_signature,
    verify_signature_v2,
};
use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::Value;
use std::path::PathBuf;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/perry.json")).unwrap()
}

fn text(v: &Value) -> &str {
    v.as_str().unwrap()
}

fn file(dir: &tempfile::TempDir, body: &str) -> PathBuf {
    let path = dir.path().join("artifact");
    std::fs::write(&path, body).unwrap();
    path
}

fn seed(v: &Value) -> SigningKey {
    SigningKey::from_bytes(&BASE64.decode(text(&v["seed_b64"]).as_bytes()).unwrap().try_into().unwrap())
}

#[test]
fn schema_1_signs_the_digest() {
    let v = &vectors()["v1"];
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, text(&v["body_utf8"]));
    let (signature, key) = (text(&v["signature"]), text(&v["public_key"]));
    assert_eq!(compute_file_sha256(&path).unwrap(), text(&v["sha256"]));
    assert!(verify_hash(&path, text(&v["sha256"])));
    assert!(verify_hash(&path, &text(&v["sha256"]).to_uppercase()));
    assert!(verify_signature(&path, signature, key));
    assert!(verify_signature(&path, &format!(" \n{signature}\t"), &format!("{key}\n")), "white space is cut");
    let payload = HEXLOWER.decode(text(&v["payload_hex"]).as_bytes()).unwrap();
    assert_eq!(BASE64.encode(&seed(v).sign(&payload).to_bytes()), signature);
    std::fs::write(&path, "signed binary content5").unwrap();
    assert!(!verify_signature(&path, signature, key), "tampered");
    assert!(!verify_hash(&path, text(&v["sha256"])));
    std::fs::remove_file(&path).unwrap();
    assert!(!verify_signature(&path, signature, key), "missing");
    assert!(!verify_hash(&path, text(&v["sha256"])));
    assert!(compute_file_sha256(&path).is_err());
}

#[test]
fn schema_2_signs_digest_and_version() {
    let all = vectors();
    let v = &all["v2"];
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, text(&v["body_utf8"]));
    let (signature, key, version) = (text(&v["signature"]), text(&v["public_key"]), text(&v["version"]));
    assert!(verify_signature_v2(&path, signature, key, version));
    let digest = parse_digest(text(&v["sha256"])).unwrap();
    assert_eq!(HEXLOWER.encode(&payload_v2(&digest, version).unwrap()), text(&v["payload_hex"]));
    for other in ["1.2.4", "v1.2.3", "1.2.3 ", "", "1.2"] {
        assert!(!verify_signature_v2(&path, signature, key, other), "{other:?}");
    }
    assert!(!verify_signature(&path, signature, key), "not a signature of schema 1");
    let v1 = BASE64.encode(&seed(v).sign(&digest).to_bytes());
    assert!(verify_signature(&path, &v1, key));
    assert!(!verify_signature_v2(&path, &v1, key, version), "a signature of schema 1 in a manifest of 2");
    assert!(!verify_signature_v2(&path, &v1, key, ""), "an empty version would make it one of schema 1");
    std::fs::write(&path, "v2 signed binary content5").unwrap();
    assert!(!verify_signature_v2(&path, signature, key, version));
}

#[test]
fn base64_is_standard_padded_and_canonical() {
    let v = &vectors()["v1"];
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, text(&v["body_utf8"]));
    let (signature, key) = (text(&v["signature"]), text(&v["public_key"]));
    let unpadded = signature.trim_end_matches('=');
    let hex = HEXLOWER.encode(&BASE64.decode(signature.as_bytes()).unwrap());
    // The last character before the padding has spare bits; they must be zero.
    let spare = signature.replace("Q==", "R==");
    let broken = format!("{}\n{}", &signature[..20], &signature[20..]);
    let long = format!("{signature}{}", "A".repeat(400));
    for bad in [unpadded, &hex, &spare, &broken, &long, "", "===="] {
        assert_ne!(bad, signature);
        assert!(!verify_signature(&path, bad, key), "{bad}");
    }
    let all = vectors();
    let v2 = &all["v2"];
    let path2 = dir.path().join("v2");
    std::fs::write(&path2, text(&v2["body_utf8"])).unwrap();
    let url_safe = text(&v2["signature"]).replace('+', "-").replace('/', "_");
    assert_ne!(url_safe, text(&v2["signature"]));
    assert!(!verify_signature_v2(&path2, &url_safe, text(&v2["public_key"]), "1.2.3"));
    for bad in [&key[..43], "", "AAAA", &HEXLOWER.encode(&BASE64.decode(key.as_bytes()).unwrap())] {
        assert!(!verify_signature(&path, signature, bad), "{bad}");
        assert!(PublicKey::parse(bad).is_err());
    }
    assert!(PublicKey::parse("not base64").unwrap_err().to_string().contains("pubkey is not valid base64"));
    assert_eq!(PublicKey::parse("AAAA").unwrap_err().to_string(), "pubkey must decode to 32 bytes (got 3)");
}
