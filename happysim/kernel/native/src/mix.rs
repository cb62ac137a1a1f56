//! Fingerprints: a world's is the sum of a hash of each (place, content).
//!
//! A cell is hashed by its content and not by its number here, so that a fingerprint does not
//! depend on the order in which cells were met.

/// The finaliser of splitmix64: every bit of the input reaches every bit of the output.
#[inline]
fn scatter(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// The share of one place in a fingerprint.
pub fn of(place: usize, content: &[u32]) -> u64 {
    let mut mixed = scatter(place as u64 ^ 0x9e37_79b9_7f4a_7c15);
    for &word in content {
        mixed = scatter(mixed.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ (word as u64 + 1));
    }
    mixed
}
