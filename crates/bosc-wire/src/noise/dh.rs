//! Diffie-Hellman on Edwards points, refusing what libsodium's `crypto_scalarmult_ed25519_noclamp` refuses.

use super::error::NoiseError;
use bosc_format::crypto::{KeyPair, PublicKey};
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use zeroize::Zeroize;

/// `scalar(local) * remote`, compressed.
///
/// The scalar is taken modulo the group order, which gives the same point as the clamped integer because the
/// point is known to lie in the prime-order subgroup.
pub(super) fn shared(local: &KeyPair, remote: &PublicKey) -> Result<[u8; 32], NoiseError> {
    let compressed = CompressedEdwardsY(*remote);
    let point = compressed.decompress().ok_or(NoiseError::InvalidKey)?;
    // Decompression reduces the coordinate and ignores the sign of zero: one encoding only is canonical.
    if point.compress() != compressed || point.is_small_order() || !point.is_torsion_free() {
        return Err(NoiseError::InvalidKey);
    }
    let mut bytes = local.scalar();
    let mut scalar = Scalar::from_bytes_mod_order(bytes);
    bytes.zeroize();
    let mut product = point * scalar;
    scalar.zeroize();
    if product.is_identity() {
        return Err(NoiseError::InvalidKey);
    }
    let out = product.compress().to_bytes();
    product.zeroize();
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::EIGHT_TORSION;
    use curve25519_dalek::edwards::EdwardsPoint;

    #[test]
    fn both_sides_get_the_same_secret() {
        let (a, b) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
        assert_eq!(shared(&a, &b.public()).unwrap(), shared(&b, &a.public()).unwrap());
    }

    #[test]
    fn small_order_torsion_and_other_spellings_are_refused() {
        let a = KeyPair::from_seed(&[1; 32]);
        let good: EdwardsPoint =
            CompressedEdwardsY(KeyPair::from_seed(&[2; 32]).public()).decompress().unwrap();
        for (i, t) in EIGHT_TORSION.iter().enumerate() {
            assert_eq!(shared(&a, &t.compress().to_bytes()), Err(NoiseError::InvalidKey), "torsion {i}");
            let mixed = shared(&a, &(good + t).compress().to_bytes());
            assert_eq!(mixed.is_ok(), t.is_identity(), "mixed order {i}");
        }
        // y = p, p + 1 and 2^255 - 1 are other spellings of small numbers; so is the identity with a sign.
        for low in [0xed_u8, 0xee, 0xff] {
            let mut y = [0xff; 32];
            y[0] = low;
            y[31] = 0x7f;
            assert_eq!(shared(&a, &y), Err(NoiseError::InvalidKey));
        }
        let mut signed_identity = [0; 32];
        signed_identity[0] = 1;
        signed_identity[31] = 0x80;
        assert_eq!(shared(&a, &signed_identity), Err(NoiseError::InvalidKey));
        // Any y in p..2^255 is refused, also when y - p is on the curve and of full order.
        for low in 0xed..=0xff_u8 {
            let mut y = [0xff; 32];
            y[0] = low;
            for top in [0x7f, 0xff] {
                y[31] = top;
                assert_eq!(shared(&a, &y), Err(NoiseError::InvalidKey), "{low:x} {top:x}");
            }
        }
    }
}
