//! Looking up the steps of many worlds on several threads, while one takes in what they found.
//!
//! Looking up changes nothing, so any thread may do it at any time. Taking in is done by one thread,
//! in the order of the contract. So whatever the number of threads, every number, place and path is
//! the same.

use std::sync::Mutex;

use crate::gather::{Batch, Ground, Item};
use crate::layout::Key;
use crate::pool::Pool;
use crate::seen::Entry;
use crate::sleep::Sleepers;

/// Fewer worlds are not worth a thread's start, unless a number of threads is asked for.
pub const WORLDS_MIN: usize = 2048;
/// Worlds that are looked up ahead: what is found should fit a processor's cache.
pub const WORLDS_A_ROUND: usize = 2048;
const WORLDS_A_SHARE: usize = 128;

/// Worlds of one depth, and the steps that lead on from them, in shares of a few worlds.
pub struct Round<const W: usize> {
    pub keys: Vec<Key<W>>,
    pub asleep: Vec<Sleepers>,
    pub depth: u32,
    pub shares: Vec<Batch<W>>,
    /// The next world to take in: its share, and its place there.
    pub at: (usize, usize),
}

impl<const W: usize> Round<W> {
    pub fn new() -> Self {
        Round { keys: Vec::new(), asleep: Vec::new(), depth: 0, shares: Vec::new(), at: (0, 0) }
    }

    /// Worlds that were not taken in.
    pub fn left(&self) -> usize {
        self.keys.len() - (self.at.0 * WORLDS_A_SHARE + self.at.1)
    }

    pub fn step_on(&mut self) {
        self.at.1 += 1;
        if self.at.1 == WORLDS_A_SHARE {
            self.at = (self.at.0 + 1, 0);
        }
    }

    /// The next world to take in, and the batch that it is in.
    #[inline(always)]
    pub fn next(&self) -> Option<(&Batch<W>, &Item<W>)> {
        let share = self.shares.get(self.at.0)?;
        share.items.get(self.at.1).map(|item| (share, item))
    }

    /// Begins anew with the worlds in `keys`.
    fn clear(&mut self) {
        self.at = (0, 0);
        self.shares.resize_with(self.keys.len().div_ceil(WORLDS_A_SHARE), Batch::new);
    }
}

/// Looks up the steps of the worlds of a round; meanwhile the thread that calls does `own`.
pub fn look_ahead<const W: usize, E: Entry<W>>(
    pool: &Pool,
    on: Ground<'_, W, E>,
    round: &mut Round<W>,
    own: impl FnOnce(),
) {
    round.clear();
    let worlds = round.keys.chunks(WORLDS_A_SHARE).zip(round.asleep.chunks(WORLDS_A_SHARE));
    let open = Mutex::new(round.shares.iter_mut().zip(worlds));
    let next = || open.lock().ok()?.next();
    pool.run(own, &|| {
        while let Some((share, (keys, asleep))) = next() {
            look_up(on, share, keys, asleep);
        }
    });
}

fn look_up<const W: usize, E: Entry<W>>(
    on: Ground<'_, W, E>,
    share: &mut Batch<W>,
    keys: &[Key<W>],
    asleep: &[Sleepers],
) {
    share.clear();
    for (key, &asleep) in keys.iter().zip(asleep) {
        let kept = share.nexts.len();
        if share.gather(on, key, asleep).is_err() {
            share.nexts.truncate(kept);
            let start = kept as u32;
            share.items.push(Item { key: *key, start, end: start, slept: 0, moving: true, missed: true });
        }
    }
}
