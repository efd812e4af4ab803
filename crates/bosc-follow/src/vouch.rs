//! Whose word counts. Pure judgements on a core's snapshot.
//!
//! A peer tells a fork and a length, and anybody can tell any. With a history here, a peer *vouches* for it once it
//! proved, by a signature of the core's key, that its tree is ours as far as both go
//! ([`bosc_node::LiveCore::compare`]). A peer that was asked several times in vain to prove what it claims
//! ([`claims_in_vain`]) does not keep the word of others from counting.

use bosc_format::crypto::PublicKey;
use bosc_node::{CoreStatus, PeerStatus};
use std::collections::BTreeMap;

/// How often a peer is asked in vain to prove what it claims before the claim does not count.
const UNPROVED: u32 = 2;
/// Most claims remembered.
const MAX_CLAIMS: usize = 256;

/// Whether a peer claims more than we have.
pub fn is_ahead(p: &PeerStatus, s: &CoreStatus) -> bool {
    (p.fork, p.length) > (s.fork, s.length)
}

/// Whether a peer was asked often enough to prove what it claims, and did not.
pub fn claims_in_vain(p: &PeerStatus) -> bool {
    p.unproved >= UNPROVED
}

/// Whether somebody claims more than we have, and may still prove it.
pub fn has_open_claims(s: &CoreStatus) -> bool {
    s.peers.iter().any(|p| is_ahead(p, s) && !claims_in_vain(p))
}

/// Whether a peer showed that what it has is of our history; at another fork it has nothing to say.
pub fn is_compared(p: &PeerStatus, s: &CoreStatus) -> bool {
    p.length == 0 || p.fork != s.fork || p.proved_length >= p.length.min(s.length)
}

/// Whether a peer may turn out to have another history.
pub fn is_uncompared(s: &CoreStatus) -> bool {
    s.has_manifest
        && s.peers.iter().any(|p| {
            p.synced && p.fork == s.fork && !p.other_history && p.proved_length < p.length.min(s.length)
        })
}

/// Whether some peer's word can be taken: with a history here, that of one that proved to have it too.
pub fn is_vouched(s: &CoreStatus) -> bool {
    s.peers.iter().any(|p| {
        p.synced
            && (s.length == 0
                || (p.length > 0 && p.fork == s.fork && p.length <= s.length && is_compared(p, s)))
    })
}

/// Whether everybody who is there told what it has and was compared, nobody is ahead, and somebody vouches.
pub fn is_settled(s: &CoreStatus) -> bool {
    is_vouched(s)
        && (s.length == 0 || s.has_manifest)
        && s.peers.iter().all(|p| p.synced && is_compared(p, s) && !is_ahead(p, s))
}

/// Whether everybody who is there told what it has, and nobody has more of our history. Who proved another one is not waited
/// for: what it has never comes.
pub fn is_told(s: &CoreStatus) -> bool {
    !s.is_behind() && s.peers.iter().all(|p| p.synced || p.other_history)
}

/// Whether what is here is the newest of all that was told. `all`: nobody may have told nothing yet, nor be one that was
/// not compared; else claims in vain do not count.
pub fn is_level(s: &CoreStatus, all: bool) -> bool {
    s.peers.iter().all(|p| match is_ahead(p, s) {
        false => !all || (p.synced && (p.length == 0 || p.fork < s.fork || p.proved_length >= p.length)),
        true => !all && claims_in_vain(p),
    })
}

/// Peers that proved to have our history and hold whole what they have of it, of both cores.
pub fn full_peers(db: &CoreStatus, blobs: &CoreStatus) -> usize {
    let holds = |s: &CoreStatus, p: &PeerStatus| {
        p.length > 0
            && p.fork == s.fork
            && p.length <= s.length
            && p.proved_length >= p.length
            && p.contiguous_length >= p.length
    };
    let content = |key: &[u8; 32]| blobs.peers.iter().any(|p| p.key == *key && holds(blobs, p));
    db.peers.iter().filter(|p| holds(db, p) && (blobs.length == 0 || content(&p.key))).count()
}

/// What a peer claimed to have, and nobody proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Its public key.
    pub peer: PublicKey,
    /// The fork it told.
    pub fork: u64,
    /// The length it told.
    pub length: u64,
}

/// Claims to be ahead of us, remembered when their peers are gone: whoever claims, is silent and leaves has to be told of
/// like one that stays. Whether a claim counts is decided by who is there ([`has_open_claims`]), never by this.
#[derive(Debug, Default)]
pub struct Claims(BTreeMap<PublicKey, (u64, u64)>);

impl Claims {
    /// Takes in who claims more than we have.
    pub fn note(&mut self, s: &CoreStatus) {
        for p in s.peers.iter().filter(|p| p.synced && is_ahead(p, s)) {
            if self.0.len() < MAX_CLAIMS || self.0.contains_key(&p.key) {
                self.0.insert(p.key, (p.fork, p.length));
            }
        }
    }

    /// Those that nobody proved until now.
    pub fn unproved(&self, s: &CoreStatus) -> Vec<Claim> {
        let claim = |(peer, (fork, length)): (&PublicKey, &(u64, u64))| Claim {
            peer: *peer,
            fork: *fork,
            length: *length,
        };
        self.0.iter().map(claim).filter(|c| (c.fork, c.length) > (s.fork, s.length)).collect()
    }
}

/// The first peer that proved another history.
pub fn other_history(s: &CoreStatus) -> Option<&PeerStatus> {
    s.peers.iter().find(|p| p.other_history)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(length: u64, proved: u64) -> PeerStatus {
        PeerStatus {
            key: [length as u8; 32],
            synced: true,
            fork: 0,
            length,
            contiguous_length: length,
            proved_length: proved,
            other_history: false,
            unproved: 0,
            stale: false,
            uploaded_bytes: 0,
        }
    }

    fn status(length: u64, peers: Vec<PeerStatus>) -> CoreStatus {
        CoreStatus { length, has_manifest: true, peers, ..CoreStatus::default() }
    }

    #[test]
    fn a_length_alone_vouches_for_nothing() {
        assert!(!is_vouched(&status(5, vec![peer(5, 0)])));
        assert!(is_vouched(&status(5, vec![peer(5, 5)])));
        assert!(is_vouched(&status(5, vec![peer(3, 3)])), "who is behind knows the history too");
        assert!(!is_vouched(&status(5, vec![peer(0, 0)])), "who has nothing knows nothing");
        assert!(is_vouched(&status(0, vec![peer(0, 0)])), "but that there is nothing to know");
    }

    #[test]
    fn only_who_stands_in_the_same_fork_and_no_further_vouches() {
        let fork = |fork, p: PeerStatus| PeerStatus { fork, ..p };
        assert!(!is_vouched(&status(5, vec![peer(9, 5)])), "who claims more has more to prove");
        let mut s = status(5, vec![fork(0, peer(5, 0))]);
        s.fork = 1;
        assert!(!is_vouched(&s), "another fork is another history");
        s.peers.push(fork(1, peer(5, 5)));
        assert!(is_settled(&s), "who stands in an older fork has nothing to prove");
        s.peers[0].fork = 2;
        assert!(is_vouched(&s) && !is_settled(&s), "a newer one may be the truth");
    }

    #[test]
    fn another_history_that_is_longer_is_not_waited_for() {
        let mut s = status(5, vec![peer(5, 5), peer(9, 0)]);
        assert!(!is_told(&s), "it may come");
        s.peers[1].other_history = true;
        assert!(is_told(&s));
        s.peers[0].synced = false;
        assert!(!is_told(&s), "it may have more");
    }

    #[test]
    fn nothing_is_settled_while_somebody_has_not_spoken_or_proved() {
        let settled = |change: fn(&mut CoreStatus)| {
            let mut s = status(5, vec![peer(5, 5), peer(3, 3)]);
            change(&mut s);
            is_settled(&s)
        };
        assert!(settled(|_| ()));
        assert!(!settled(|s| s.peers[1].synced = false), "it may know more");
        assert!(!settled(|s| s.peers[1].proved_length = 0), "its history may be another");
        assert!(!settled(|s| s.has_manifest = false), "nothing can be verified");
        assert!(!settled(|s| s.peers.clear()), "nobody said anything");
    }

    #[test]
    fn comparing_goes_on_with_those_who_can_be_compared() {
        let uncompared = |change: fn(&mut CoreStatus)| {
            let mut s = status(5, vec![peer(5, 0)]);
            change(&mut s);
            is_uncompared(&s)
        };
        assert!(uncompared(|_| ()));
        for change in [
            (|s| s.peers[0].proved_length = 5) as fn(&mut CoreStatus),
            |s| s.peers[0].other_history = true,
            |s| s.peers[0].synced = false,
            |s| s.peers[0].fork = 1,
            |s| s.has_manifest = false,
        ] {
            assert!(!uncompared(change));
        }
    }

    #[test]
    fn all_are_level_when_each_proved_what_it_has() {
        let level = |p: PeerStatus| {
            let mut s = status(5, vec![p]);
            s.fork = 1;
            (is_level(&s, false), is_level(&s, true))
        };
        let fork = |fork, p: PeerStatus| PeerStatus { fork, ..p };
        assert_eq!(level(fork(1, peer(5, 5))), (true, true));
        assert_eq!(level(fork(1, peer(0, 0))), (true, true), "it has nothing to prove");
        assert_eq!(level(fork(0, peer(5, 0))), (true, true), "it is behind");
        assert_eq!(level(fork(1, peer(5, 4))), (true, false));
        assert_eq!(level(PeerStatus { synced: false, ..fork(1, peer(0, 0)) }), (true, false));
        assert_eq!(level(fork(1, peer(6, 5))), (false, false));
        assert_eq!(level(PeerStatus { unproved: UNPROVED, ..fork(1, peer(6, 5)) }), (true, false));
    }

    #[test]
    fn a_claim_counts_until_it_was_asked_for_in_vain() {
        let mut liar = peer(1000, 5);
        let s = status(5, vec![peer(5, 5), liar.clone()]);
        assert!(has_open_claims(&s) && !is_settled(&s) && !is_level(&s, false));
        liar.unproved = UNPROVED;
        let s = status(5, vec![peer(5, 5), liar]);
        assert!(!has_open_claims(&s) && is_level(&s, false) && !is_level(&s, true));
        assert!(is_vouched(&s));
    }

    #[test]
    fn a_claim_is_told_of_when_its_peer_is_gone_unless_it_was_proved() {
        let mut claims = Claims::default();
        claims.note(&status(5, vec![peer(5, 5), peer(9, 5), peer(7, 5)]));
        let alone = status(7, vec![]);
        claims.note(&alone);
        assert_eq!(claims.unproved(&alone), [Claim { peer: [9; 32], fork: 0, length: 9 }]);
        let mut refork = status(1, vec![]);
        refork.fork = 1;
        assert_eq!(claims.unproved(&refork), [], "a higher fork is ahead of all");
        let mut silent = peer(11, 0);
        silent.synced = false;
        claims.note(&status(5, vec![silent]));
        assert_eq!(claims.unproved(&alone).len(), 1, "who has not spoken claims nothing");
        // Those who are level take nobody's room.
        for key in 0..2000u64 {
            let mut level = peer(5, 5);
            level.key[..8].copy_from_slice(&key.to_le_bytes());
            claims.note(&status(5, vec![level]));
        }
        claims.note(&status(5, vec![peer(13, 5)]));
        assert_eq!(claims.unproved(&alone).len(), 2);
        for key in 0..2000u64 {
            let mut many = peer(9, 5);
            many.key[..8].copy_from_slice(&key.to_le_bytes());
            claims.note(&status(5, vec![many]));
        }
        assert!(claims.0.len() <= MAX_CLAIMS);
    }

    #[test]
    fn a_full_peer_holds_both_cores() {
        let (db, blobs) = (status(5, vec![peer(5, 5)]), status(9, vec![peer(9, 9)]));
        assert_eq!(full_peers(&db, &blobs), 0, "two peers, each with one");
        let mut same = peer(9, 9);
        same.key = [5; 32];
        assert_eq!(full_peers(&db, &status(9, vec![same.clone()])), 1);
        let said = PeerStatus { proved_length: 8, ..same.clone() };
        assert_eq!(
            full_peers(&db, &status(9, vec![said])),
            0,
            "what it did not prove may be another history"
        );
        same.contiguous_length = 8;
        assert_eq!(full_peers(&db, &status(9, vec![same])), 0);
        assert_eq!(full_peers(&db, &status(0, vec![])), 1);
    }
}
