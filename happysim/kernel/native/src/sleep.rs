//! Steps that need no look: where they lead has been met for certain.
//!
//! Most steps of a search lead to worlds met before, and most of those are the other corner of a
//! square: two processes take a step each, in either order. The *sleepers* of a world are processes
//! whose plain steps close such squares, so that they are counted and not looked up. These are the
//! sleep sets of Godefroid, "Partial-Order Methods for the Verification of Concurrent Systems",
//! 1996, chapter 5, used for what they keep: every world, index, path and count stays the same.
//!
//! Let `w` be met by a step `a` of process `i`, from a world `p` being expanded. A process `j` other
//! than `i` sleeps in `w` where (1) `a` sends `j` nothing, so that `j` has the steps in `w` that it
//! has in `p`, and (2) every plain step `b` of `j` leads from `p` to a world met before `w`: because
//! it came before `a` in the order of steps, or because `j` sleeps in `p`. Call that world `q`. It
//! has a smaller index than `w`, so a breadth-first search expands it first. In `q` process `i` can
//! still take the step `a`, since all that `b` can do to it is to put messages into its inbox; and
//! the order in which a message is taken and others arrive, from other senders, is not to be seen.
//! So `a` leads from `q` to the world to which `b` leads from `w`, which is met before `w` is
//! expanded.
//!
//! That holds where every world met is expanded, and breadth first: a search with bounds has nobody
//! sleep. Nor has one that judges steps, since it must see each, that leaves messages out of inboxes,
//! or that tells worlds apart up to symmetry. A fault may do more to an inbox than to take out a
//! message; it counts as a step like others on an unordered network only.
//!
//! A checkpoint does not say who sleeps, and who goes on from one has nobody sleep. Where it was
//! written between two steps of a world, of which `n` were done, the first `n` of all its steps are
//! left out. None of them comes after those that were done, so each was done, or slept; and what is
//! done twice leads to a world met by then. The count of steps is the same.

use std::collections::VecDeque;

/// Processes, as bits. Those from the 33rd on never sleep.
pub type Sleepers = u32;
pub const NOBODY: Sleepers = 0;
pub const EVERYBODY: Sleepers = u32::MAX;

#[inline(always)]
pub fn bit(slot: usize) -> Sleepers {
    if slot < 32 { 1 << slot } else { 0 }
}

/// Those who sleep after a step of the process at `slot`, from a world in which `asleep` do, if all
/// steps of the processes before it are done. `reached` are those that it sends to.
#[inline(always)]
pub fn after_plain(asleep: Sleepers, slot: usize, reached: Sleepers) -> Sleepers {
    (asleep | bit(slot).wrapping_sub(1)) & !bit(slot) & !reached
}

/// The sleepers of each world that waits, in the same order.
pub struct Sleeping {
    /// False where nobody may sleep.
    on: bool,
    waiting: VecDeque<Sleepers>,
    waiting_max: usize,
}

impl Sleeping {
    pub fn new(on: bool) -> Self {
        Sleeping { on, waiting: VecDeque::new(), waiting_max: 0 }
    }

    /// Nobody sleeps from now on: the worlds that wait go to the disk.
    pub fn end(&mut self) {
        self.on = false;
        self.waiting = VecDeque::new();
    }

    #[inline(always)]
    pub fn push(&mut self, asleep: Sleepers) {
        if self.on {
            self.waiting.push_back(asleep);
            self.waiting_max = self.waiting_max.max(self.waiting.len());
        }
    }

    #[inline(always)]
    pub fn take(&mut self) {
        self.waiting.pop_front();
    }

    /// Those of the world that waits behind so many others.
    #[inline(always)]
    pub fn get(&self, at: usize) -> Sleepers {
        if self.on { self.waiting[at] } else { NOBODY }
    }

    /// Those of `count` worlds, from the one behind `skip` others on.
    pub fn copy(&self, skip: usize, count: usize, into: &mut Vec<Sleepers>) {
        into.clear();
        into.extend((skip..skip + count).map(|at| self.get(at)));
    }

    /// The most bytes that it took so far.
    pub fn bytes_max(&self) -> usize {
        self.waiting_max * size_of::<Sleepers>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_step_those_before_it_sleep_and_those_it_reaches_wake() {
        assert_eq!(after_plain(NOBODY, 2, 0b0001), 0b0010);
        assert_eq!(after_plain(0b1100, 1, 0b0100), 0b1001);
        assert_eq!(after_plain(NOBODY, 40, NOBODY), EVERYBODY);
    }
}
