use super::*;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../../interop/vectors/multisig.json")).unwrap()
}

fn hex(v: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(v.as_str().unwrap().as_bytes()).unwrap()
}

fn fixed<const N: usize>(v: &Value) -> [u8; N] {
    hex(v).try_into().unwrap()
}

fn limits(v: &Value) -> KdfLimits {
    KdfLimits { ops: v["ops"].as_u64().unwrap(), mem: v["mem"].as_u64().unwrap() }
}

fn key(v: &Value) -> SigningKey {
    SigningKey { id: fixed(&v["id"]), pair: KeyPair::from_seed(&fixed(&v["seed"])) }
}

const CHEAP: KdfLimits = KdfLimits { ops: 32_768, mem: 1 << 24 };

#[test]
fn keys_made_by_javascript_open_and_are_written_the_same() {
    let v = vectors();
    let passphrase = v["passphrase"].as_str().unwrap().as_bytes();
    for c in v["cheap"].as_array().unwrap() {
        let bytes = hex(&c["v1"]);
        let read = EncryptedKey::decode(&bytes).unwrap();
        assert_eq!(read.encode(), bytes);
        assert_eq!(read.public_key(), Some(&fixed(&v["publicKey"])));
        let open = read.decrypt(passphrase).unwrap();
        assert_eq!(open.pair().seed(), fixed::<32>(&v["seed"]));
        let made = key(&v).encrypt_with(passphrase, limits(c), fixed(&v["salt"])).unwrap();
        assert_eq!(made.encode(), bytes);

        let old = hex(&c["v0"]);
        let read = EncryptedKey::decode(&old).unwrap();
        assert_eq!((read.encode(), read.public_key()), (old, None));
        assert_eq!(read.decrypt(passphrase).unwrap().pair().public(), fixed::<32>(&v["publicKey"]));
        assert_eq!(read.with_public_key(fixed(&v["publicKey"])).encode(), bytes);
    }
}

#[test]
fn a_key_as_people_make_it_takes_a_gibibyte_and_is_the_same_as_in_javascript() {
    let v = vectors();
    assert_eq!(limits(&v["sensitive"]), KdfLimits::SENSITIVE);
    assert_eq!(KdfLimits::SENSITIVE.pick(), Some((20, 1)));
    let bytes = hex(&v["sensitive"]["v1"]);
    let made = key(&v)
        .encrypt_with(v["passphrase"].as_str().unwrap().as_bytes(), KdfLimits::SENSITIVE, fixed(&v["salt"]))
        .unwrap();
    assert_eq!(made.encode(), bytes);
    assert_eq!(bytes.len(), V1_BYTES);
}

#[test]
fn a_wrong_passphrase_and_a_damaged_file_are_refused() {
    let v = vectors();
    let bytes = hex(&v["cheap"][0]["v1"]);
    let read = EncryptedKey::decode(&bytes).unwrap();
    assert_eq!(read.decrypt(b"password124").unwrap_err(), SigningKeyError::Decrypt);
    assert_eq!(read.decrypt(b"").unwrap_err(), SigningKeyError::Decrypt);
    let passphrase = v["passphrase"].as_str().unwrap().as_bytes();
    for at in [17, 50, 100, 153] {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        let e = EncryptedKey::decode(&bad).and_then(|k| k.decrypt(passphrase)).unwrap_err();
        assert_eq!(e, SigningKeyError::Decrypt, "byte {at}");
    }
    let mut other = bytes.clone();
    other[160] ^= 1;
    assert_eq!(
        EncryptedKey::decode(&other).unwrap().decrypt(passphrase).unwrap_err(),
        SigningKeyError::OtherPublicKey
    );
    for cut in 0..bytes.len() {
        assert!(EncryptedKey::decode(&bytes[..cut]).is_err(), "{cut}");
    }
    assert_eq!(EncryptedKey::decode(&[&bytes[..], &[0]].concat()), Err(SigningKeyError::NotAKey));
    let mut newer = bytes;
    newer[0] = 2;
    assert_eq!(EncryptedKey::decode(&newer), Err(SigningKeyError::UnknownVersion(2)));
}

#[test]
fn a_hostile_file_cannot_take_more_memory_or_time_than_a_real_one() {
    let with = |ops: u64, mem: u64| {
        let mut e = Encoder::new();
        e.uint(1).u64(ops).u64(mem).raw(&[0; 32]).buffer(&[0; PAYLOAD_BYTES]).raw(&[0; 32]);
        EncryptedKey::decode(&e.finish()).map(|k| k.limits.pick())
    };
    for (ops, mem) in [
        (u64::MAX, u64::MAX),
        (u64::MAX, 1 << 30),
        (1 << 25, 1 << 40),
        (33_554_432 * 5, 1 << 30),
        (1 << 40, 1 << 24),
        (33_554_432, 1 << 32),
        (u64::MAX, 0),
        (0, 0),
    ] {
        match with(ops, mem) {
            Err(e) => assert_eq!(e, SigningKeyError::Parameters, "{ops} {mem}"),
            Ok(picked) => {
                let (log_n, p) = picked.unwrap();
                assert!(log_n <= 20 && (u64::from(p) << log_n) <= MAX_WORK, "{ops} {mem}: {log_n} {p}");
            }
        }
    }
    assert!(with(33_554_432, 1 << 30).is_ok());
}

#[test]
fn a_secret_is_not_shown() {
    let key = SigningKey::generate().unwrap();
    let text = format!("{key:?}");
    assert!(!text.contains(&data_encoding::HEXLOWER.encode(&key.pair.seed())));
    let e = key.encrypt_with(b"x", CHEAP, [1; 32]).unwrap();
    assert_eq!(e.decrypt(b"x").unwrap().pair().seed(), key.pair.seed());
}
