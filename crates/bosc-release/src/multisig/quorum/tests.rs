use super::*;
use bosc_format::crypto::KeyPair;
use bosc_format::manifest::Manifest;
use bosc_format::signing::Content;

fn pairs() -> Vec<KeyPair> {
    (1..=4).map(|n| KeyPair::from_seed(&[n; 32])).collect()
}

fn made(length: u64) -> (Request, Vec<u8>) {
    let keys: Vec<_> = pairs().iter().take(3).map(KeyPair::public).collect();
    let content = Content { length: 4, tree_hash: [7; 32] };
    let request = Request::new(Manifest::multisig(&keys, 2, "a/b"), length, 0, [9; 32], Some(content));
    let bytes = request.encode();
    (request, bytes)
}

fn by(request: &(Request, Vec<u8>), signer: usize) -> String {
    request.0.sign(&request.1, &pairs()[signer]).unwrap().to_text()
}

#[test]
fn any_order_and_any_subset_gives_the_signers_in_their_order() {
    let r = made(5);
    for order in [vec![0, 1], vec![1, 0], vec![2, 0], vec![2, 1, 0]] {
        let texts: Vec<_> = order.iter().map(|i| by(&r, *i)).collect();
        let judged = judge(&r.0, &r.1, &texts).unwrap();
        assert_eq!(judged.count(), order.len() as u64);
        judged.refuse_bad().unwrap();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        let keys: Vec<_> = judged.valid.iter().map(|r| r.public_key).collect();
        assert_eq!(keys, sorted.iter().map(|i| pairs()[*i].public()).collect::<Vec<_>>());
        assert!(r.0.assemble(&r.1, &judged.valid).is_ok());
    }
}

#[test]
fn each_way_to_be_wrong_has_its_own_message() {
    let (r, other) = (made(5), made(6));
    let code = |texts: &[String]| judge(&r.0, &r.1, texts).unwrap().refuse_bad().unwrap_err();
    assert_eq!(code(&[by(&r, 0), by(&other, 1)]).code(), "SIGNATURE_OTHER_REQUEST");
    let mut forged = r.0.sign(&r.1, &pairs()[0]).unwrap();
    forged.signatures[1][3] ^= 1;
    assert_eq!(code(&[forged.to_text()]).code(), "SIGNATURE_INVALID");
    let mut stranger = r.0.sign(&r.1, &pairs()[0]).unwrap();
    stranger.public_key = pairs()[3].public();
    assert_eq!(code(&[stranger.to_text()]).code(), "SIGNER_UNKNOWN");
    let mut posing = r.0.sign(&r.1, &pairs()[0]).unwrap();
    posing.public_key = pairs()[1].public();
    assert_eq!(code(&[posing.to_text()]).code(), "SIGNATURE_INVALID");
    let mut half = r.0.sign(&r.1, &pairs()[0]).unwrap();
    half.signatures.pop();
    assert_eq!(code(&[half.to_text()]).code(), "SIGNATURE_INVALID");
}

#[test]
fn a_signer_counts_once() {
    let r = made(5);
    let judged = judge(&r.0, &r.1, &[by(&r, 0), by(&r, 0)]).unwrap();
    assert_eq!((judged.count(), &judged.verdicts[1].1), (1, &Verdict::Duplicate));
    assert!(judged.refuse_bad().is_ok());
    assert!(r.0.assemble(&r.1, &judged.valid).is_err());
}
