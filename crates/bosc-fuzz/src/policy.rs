//! What a quorum allows, and what operators say of releases.

use bosc_policy::{Policy, Seen, Signed};

/// A signed statement: a signature holds for one spelling.
pub fn statement(bytes: &[u8]) {
    if let Ok(signed) = Signed::read(bytes) {
        assert_eq!(signed.as_bytes(), bytes);
        assert_eq!(Signed::read(signed.as_bytes()).as_ref(), Ok(&signed));
    }
}

/// `/release.json`: whoever is not named may do nothing.
pub fn policy(bytes: &[u8]) {
    let Ok(policy) = Policy::read(bytes) else { return };
    assert!(policy.operators().len() <= bosc_policy::MAX_OPERATORS);
    let stranger = [0xa5; 32];
    if policy.operators().iter().all(|o| o.key != stranger) {
        assert!(bosc_policy::Right::ALL.iter().all(|right| !policy.lets(&stranger, *right)));
    }
    let _ = (policy.notes("en"), policy.minimum_system("linux"), policy.unknown());
}

/// What a client remembers.
pub fn seen(bytes: &[u8]) {
    if let Ok(seen) = Seen::from_bytes(bytes) {
        assert_eq!(Seen::from_bytes(&seen.to_bytes()).as_ref(), Ok(&seen));
    }
}
