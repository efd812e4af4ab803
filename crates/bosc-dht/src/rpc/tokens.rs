//! Tokens: who stores something here must have been heard from before, from the same host.
//!
//! A token is a hash of the host under a secret. There are two secrets: the current one, under which tokens
//! are given, and the one before. Every 7.5 seconds a fresh one takes over, so a token is good for 7.5 to
//! 15 seconds, and this node keeps nothing per host.

use crate::rng::Entropy;
use crate::rpc::wire::Token;
use bosc_format::crypto::keyed_hash;
use std::net::Ipv4Addr;
use std::time::Duration;

const ROTATE: Duration = Duration::from_millis(7500);

#[derive(Debug)]
pub(crate) struct Tokens {
    current: [u8; 32],
    previous: [u8; 32],
    rotated: Duration,
}

impl Tokens {
    pub(crate) fn new(entropy: &mut Entropy, now: Duration) -> Self {
        let mut tokens = Self { current: [0; 32], previous: [0; 32], rotated: now };
        entropy(&mut tokens.current);
        entropy(&mut tokens.previous);
        tokens
    }

    /// Brings the secrets to the present. To be called before [`Tokens::issue`] and [`Tokens::check`].
    pub(crate) fn advance(&mut self, entropy: &mut Entropy, now: Duration) {
        let late = now.saturating_sub(self.rotated);
        if late < ROTATE {
            return;
        }
        self.previous = self.current;
        entropy(&mut self.current);
        if late >= ROTATE.saturating_mul(2) {
            entropy(&mut self.previous);
        }
        self.rotated = now;
    }

    pub(crate) fn issue(&self, host: &Ipv4Addr) -> Token {
        keyed_hash(&self.current, &[&host.octets()])
    }

    pub(crate) fn check(&self, host: &Ipv4Addr, token: &Token) -> bool {
        let host = host.octets();
        same(token, &keyed_hash(&self.current, &[&host]))
            || same(token, &keyed_hash(&self.previous, &[&host]))
    }
}

/// Compares without telling by its time where the difference is.
fn same(a: &Token, b: &Token) -> bool {
    a.iter().zip(b).fold(0u8, |acc, (x, y)| acc | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_one_host_and_at_most_two_periods() {
        let mut n = 0u8;
        let mut entropy: Entropy = Box::new(move |b: &mut [u8]| {
            n += 1;
            b.fill(n);
        });
        let at = |ms| Duration::from_millis(ms);
        let mut tokens = Tokens::new(&mut entropy, at(0));
        let (a, b) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let token = tokens.issue(&a);
        assert!(tokens.check(&a, &token) && !tokens.check(&b, &token));
        tokens.advance(&mut entropy, at(7499));
        assert_eq!(tokens.issue(&a), token);
        tokens.advance(&mut entropy, at(7500));
        assert_ne!(tokens.issue(&a), token);
        assert!(tokens.check(&a, &token));
        tokens.advance(&mut entropy, at(15000));
        assert!(!tokens.check(&a, &token));
        let token = tokens.issue(&a);
        tokens.advance(&mut entropy, at(60000));
        assert!(!tokens.check(&a, &token));
    }
}
