//! A flat hash table from 64-bit keys to 32-bit values, with open addressing.
//!
//! It only grows. Keys are pairs of small numbers, so no key is all ones.

const EMPTY: u64 = u64::MAX;

/// Mixes two numbers into a key.
#[inline(always)]
pub fn pair(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

/// A multiplication whose two halves are folded: every bit of the input reaches the low bits.
#[inline(always)]
pub fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

pub struct Flat {
    entries: Vec<(u64, u32)>,
    mask: usize,
    filled: usize,
}

impl Flat {
    pub fn new() -> Self {
        Flat { entries: vec![(EMPTY, 0); 16], mask: 15, filled: 0 }
    }

    #[inline(always)]
    fn home(&self, key: u64) -> usize {
        fold(key ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93) as usize & self.mask
    }

    #[inline(always)]
    pub fn get(&self, key: u64) -> Option<u32> {
        let mut at = self.home(key);
        loop {
            // `at` is masked by the table's size, so it is always inside.
            let (known, value) = unsafe { *self.entries.get_unchecked(at) };
            if known == key {
                return Some(value);
            }
            if known == EMPTY {
                return None;
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Adds a key that is not there yet.
    pub fn insert(&mut self, key: u64, value: u32) {
        debug_assert!(key != EMPTY);
        if (self.filled + 1) * 8 > self.entries.len() * 5 {
            let larger = vec![(EMPTY, 0); self.entries.len() * 2];
            self.mask = larger.len() - 1;
            let old = std::mem::replace(&mut self.entries, larger);
            for (key, value) in old.into_iter().filter(|entry| entry.0 != EMPTY) {
                self.place(key, value);
            }
        }
        self.filled += 1;
        self.place(key, value);
    }

    fn place(&mut self, key: u64, value: u32) {
        let mut at = self.home(key);
        while self.entries[at].0 != EMPTY {
            at = (at + 1) & self.mask;
        }
        self.entries[at] = (key, value);
    }
}
