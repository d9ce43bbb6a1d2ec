//! Checking many signatures of one key.
//!
//! A signature (R, s) over a message holds where R = s·B − h·A, with the key A,
//! the base point B, and h the hash of R, A and the message. The usual ways to do
//! this faster for many signatures add up their equations with random factors and check the
//! sum. That has two faults here. A key's owner can craft signatures whose errors
//! (of small order) cancel in a sum but not alone, so that the verdict would depend on
//! chance and on the neighbours, and differ from Nix's. And a failing sum has to be
//! taken apart again.
//!
//! Signatures in a cache are by few keys, so here the work on the *key* is done
//! once: a table of multiples of A, and one of B for all. A product is then 37
//! additions and no doubling, R need not be decompressed, and each signature is judged
//! alone, by exactly the rules of [`PublicKey::verifies`](super::PublicKey::verifies):
//! libsodium's, without cofactor. It takes half the time of a single check and
//! as much as a sum over 64. A table takes 379 kB and about half a millisecond.

use std::sync::OnceLock;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;
use sha2::{Digest, Sha512};

/// Bits of a digit. At 7 the two tables fit into a second-level cache.
const BITS: usize = 7;
/// Digits of a scalar, which has 253 bits.
const DIGITS: usize = 253usize.div_ceil(BITS);
/// Digits are signed, from −63 to 64: so many multiples for each.
const PER_DIGIT: usize = 1 << (BITS - 1);

/// `j · 2^(7i) · P` at `64 i + j − 1`.
struct Multiples(Box<[EdwardsPoint]>);

impl Multiples {
    fn of(point: EdwardsPoint) -> Self {
        let mut table = Vec::with_capacity(DIGITS * PER_DIGIT);
        let mut base = point;
        for _ in 0..DIGITS {
            let mut multiple = base;
            table.push(multiple);
            for _ in 1..PER_DIGIT {
                multiple += base;
                table.push(multiple);
            }
            base = multiple + multiple;
        }
        Self(table.into())
    }

    fn of_base_point() -> &'static Self {
        static TABLE: OnceLock<Multiples> = OnceLock::new();
        TABLE.get_or_init(|| Self::of(ED25519_BASEPOINT_POINT))
    }

    /// Adds `scalar · P` to `sum`.
    fn add_product(&self, scalar: &Scalar, sum: &mut EdwardsPoint) {
        for (digit, row) in digits(scalar)
            .into_iter()
            .zip(self.0.chunks_exact(PER_DIGIT))
        {
            let multiple = usize::from(digit.unsigned_abs());
            match digit {
                0 => {}
                1.. => *sum += &row[multiple - 1],
                _ => *sum -= &row[multiple - 1],
            }
        }
    }
}

/// The scalar in base 128 with digits from −63 to 64, least significant first.
fn digits(scalar: &Scalar) -> [i8; DIGITS] {
    let bytes = scalar.as_bytes();
    let byte = |at: usize| bytes.get(at).map_or(0, |byte| i16::from(*byte));
    let mut carry = 0;
    std::array::from_fn(|n| {
        let (at, shift) = (n * BITS / 8, n * BITS % 8);
        let window = (byte(at) >> shift | byte(at + 1) << (8 - shift)) & ((1 << BITS) - 1);
        let digit = window + carry;
        carry = i16::from(digit > PER_DIGIT as i16);
        (digit - (carry << BITS)) as i8
    })
}

/// A public key prepared for checking many signatures.
pub(super) struct PreparedKey {
    bytes: [u8; 32],
    /// Of −A.
    multiples: Multiples,
}

impl PreparedKey {
    /// Prepares a key, or nothing where the bytes are no point.
    pub(super) fn new(bytes: &[u8; 32]) -> Option<Self> {
        let point = CompressedEdwardsY(*bytes).decompress()?;
        Some(Self {
            bytes: *bytes,
            multiples: Multiples::of(-point),
        })
    }

    /// True where `signature` is this key's over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let (claimed, s) = signature.split_at(32);
        let Ok(s) = s.try_into() else { return false };
        let Some(s) = Option::<Scalar>::from(Scalar::from_canonical_bytes(s)) else {
            return false;
        };
        let hash = Sha512::new()
            .chain_update(claimed)
            .chain_update(self.bytes)
            .chain_update(message)
            .finalize();
        let h = Scalar::from_bytes_mod_order_wide(&hash.into());
        let mut expected = EdwardsPoint::identity();
        Multiples::of_base_point().add_product(&s, &mut expected);
        self.multiples.add_product(&h, &mut expected);
        expected.compress().as_bytes() == claimed && !expected.is_small_order()
    }
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;
    use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn products_are_those_of_the_library() {
        let point = ED25519_BASEPOINT_POINT * Scalar::from(12345u64) + EIGHT_TORSION[3];
        let table = Multiples::of(point);
        let edges = [
            Scalar::ZERO,
            Scalar::ONE,
            -Scalar::ONE,
            Scalar::from(64u64),
            Scalar::from(65u64),
            Scalar::from(u64::MAX),
            Scalar::from(u128::MAX),
        ];
        for scalar in edges {
            let mut product = EdwardsPoint::identity();
            table.add_product(&scalar, &mut product);
            // The point is not of prime order: the scalar counts as the integer it is.
            assert_eq!(product, point * scalar, "{scalar:?}");
        }
    }

    /// A signature whose R is off by a point of small order: the sum over a batch would
    /// sometimes let it pass, libsodium never does.
    fn crafted(seed: [u8; 32], message: &[u8], torsion: EdwardsPoint) -> [u8; 64] {
        let secret = SigningKey::from_bytes(&seed);
        let r = Scalar::from_bytes_mod_order(seed);
        let claimed = (EdwardsPoint::mul_base(&r) + torsion).compress();
        let hash = Sha512::new()
            .chain_update(claimed.as_bytes())
            .chain_update(secret.verifying_key().as_bytes())
            .chain_update(message)
            .finalize();
        let s = r + Scalar::from_bytes_mod_order_wide(&hash.into()) * secret.to_scalar();
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(claimed.as_bytes());
        signature[32..].copy_from_slice(s.as_bytes());
        signature
    }

    /// Both ways to check, which must agree.
    fn check(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let single = VerifyingKey::from_bytes(key)
            .is_ok_and(|key| key.verify_strict(message, &signature.into()).is_ok());
        let prepared = PreparedKey::new(key).is_some_and(|key| key.verifies(message, signature));
        assert_eq!(single, prepared);
        prepared
    }

    #[test]
    fn signatures_crafted_to_cancel_in_a_sum_are_refused_always() {
        let key = SigningKey::from_bytes(&[5; 32]).verifying_key();
        for (n, torsion) in EIGHT_TORSION.into_iter().enumerate() {
            let signature = crafted([5; 32], b"message", torsion);
            assert_eq!(
                check(key.as_bytes(), b"message", &signature),
                n == 0,
                "torsion {n}"
            );
        }
    }

    #[test]
    fn an_r_of_small_order_is_refused() {
        // s = h·a with R the neutral element satisfies the equation.
        let secret = SigningKey::from_bytes(&[6; 32]);
        let claimed = EdwardsPoint::identity().compress();
        let hash = Sha512::new()
            .chain_update(claimed.as_bytes())
            .chain_update(secret.verifying_key().as_bytes())
            .chain_update(b"message")
            .finalize();
        let s = Scalar::from_bytes_mod_order_wide(&hash.into()) * secret.to_scalar();
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(claimed.as_bytes());
        signature[32..].copy_from_slice(s.as_bytes());
        assert!(!check(
            secret.verifying_key().as_bytes(),
            b"message",
            &signature
        ));
    }

    #[test]
    fn an_s_that_is_not_reduced_is_refused() {
        let secret = SigningKey::from_bytes(&[7; 32]);
        let mut signature = secret.sign(b"message").to_bytes();
        // Adding the group's order gives the same scalar in another form.
        let order: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut carry = 0u16;
        for (byte, add) in signature[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = sum as u8;
            carry = sum >> 8;
        }
        assert_eq!(carry, 0);
        assert!(!check(
            secret.verifying_key().as_bytes(),
            b"message",
            &signature
        ));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn both_ways_agree(seed: [u8; 32], message: Vec<u8>, flip in 0usize..1024) {
            let secret = SigningKey::from_bytes(&seed);
            let key = secret.verifying_key();
            let mut signature = secret.sign(&message).to_bytes();
            prop_assert!(check(key.as_bytes(), &message, &signature));
            if let Some(byte) = signature.get_mut(flip / 8) {
                *byte ^= 1 << (flip % 8);
                prop_assert!(!check(key.as_bytes(), &message, &signature));
            }
        }

        #[test]
        fn digits_add_up(bytes: [u8; 32]) {
            let scalar = Scalar::from_bytes_mod_order(bytes);
            let mut sum = Scalar::ZERO;
            for digit in digits(&scalar).into_iter().rev() {
                prop_assert!((-63..=64).contains(&digit));
                sum *= Scalar::from(128u64);
                let size = Scalar::from(u64::from(digit.unsigned_abs()));
                sum += if digit < 0 { -size } else { size };
            }
            prop_assert_eq!(sum, scalar);
        }
    }
}
