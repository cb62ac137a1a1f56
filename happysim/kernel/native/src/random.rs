//! The random numbers of `happysim/core/prng.py`, which specifies them: xoshiro256** 1.0, seeded by
//! splitmix64.

pub struct Random([u64; 4]);

fn splitmix64(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, mixed ^ (mixed >> 31))
}

impl Random {
    /// `seed` in words of 64 bits, the lowest first.
    pub fn new(seed: &[u64], stream: &str) -> Self {
        let mut state = seed.first().copied().unwrap_or(0);
        let more = seed.iter().skip(1).copied();
        for word in more.chain(stream.bytes().map(u64::from)) {
            let (after, mixed) = splitmix64(state ^ word);
            state = after ^ mixed;
        }
        let mut words = [0; 4];
        for word in &mut words {
            (state, *word) = splitmix64(state);
        }
        Random(words)
    }

    pub fn next64(&mut self) -> u64 {
        let [s0, s1, s2, s3] = self.0;
        let drawn = s1.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (t2, t3) = (s2 ^ s0, s3 ^ s1);
        self.0 = [s0 ^ t3, s1 ^ t2, t2 ^ (s1 << 17), t3.rotate_left(45)];
        drawn
    }

    /// A number in 0 .. bound - 1, each equally likely (by rejection).
    pub fn below(&mut self, bound: usize) -> usize {
        if bound <= 1 {
            return 0;
        }
        let spare = (bound as u64 - 1).leading_zeros();
        loop {
            let drawn = self.next64() >> spare;
            if drawn < bound as u64 {
                return drawn as usize;
            }
        }
    }
}
