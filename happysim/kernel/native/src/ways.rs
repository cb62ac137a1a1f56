//! How each world was first met: its parent, and which step of the parent led to it.
//!
//! That is six bytes a world, and enough to find any world again: by taking those steps from the
//! first one.

use std::collections::HashMap;

use crate::seen::{push, OutOfMemory};

/// The parent of a first world; its step is its place among the first worlds.
pub const NO_PARENT: u32 = u32::MAX;
const WIDE: u16 = u16::MAX;

pub struct Ways {
    /// False where no way is kept.
    pub kept: bool,
    parents: Vec<u32>,
    steps: Vec<u16>,
    /// Steps that do not fit into 16 bits.
    wide: HashMap<u32, u32>,
    pub count: usize,
}

impl Ways {
    pub fn new(kept: bool) -> Self {
        Ways { kept, parents: Vec::new(), steps: Vec::new(), wide: HashMap::new(), count: 0 }
    }

    /// Makes room for one more world.
    #[inline(always)]
    pub fn reserve(&mut self) -> Result<(), OutOfMemory> {
        if self.kept && self.parents.len() == self.parents.capacity() {
            // An index is 32 bits, and the last one means that there is no parent.
            if self.count >= NO_PARENT as usize {
                return Err(OutOfMemory);
            }
            // By an eighth, where doubling would be most of the memory that there is.
            let more = if self.count < 1 << 20 { self.count.max(64) } else { self.count / 8 };
            self.parents.try_reserve_exact(more).map_err(|_| OutOfMemory)?;
            self.steps.try_reserve_exact(more).map_err(|_| OutOfMemory)?;
        }
        Ok(())
    }

    /// Adds a world, and returns its index. Call `reserve` before.
    #[inline(always)]
    pub fn add(&mut self, parent: u32, step: u32) -> Result<usize, OutOfMemory> {
        let index = self.count;
        if self.kept {
            push(&mut self.parents, parent)?;
            push(&mut self.steps, 0)?;
            self.note(index, step);
        }
        self.count += 1;
        Ok(index)
    }

    fn note(&mut self, index: usize, step: u32) {
        self.steps[index] = step.min(WIDE as u32) as u16;
        if step >= WIDE as u32 {
            self.wide.insert(index as u32, step);
        }
    }

    /// A world was met again, nearer to the start.
    pub fn replace(&mut self, index: usize, parent: u32, step: u32) {
        if self.kept {
            self.parents[index] = parent;
            self.note(index, step);
        }
    }

    /// The steps from a first world, the last one first; the first world's place comes last.
    pub fn back_from(&self, index: usize) -> Vec<u32> {
        let (mut at, mut found) = (index as u32, Vec::new());
        while at != NO_PARENT {
            let step = self.steps[at as usize];
            found.push(if step == WIDE { self.wide[&at] } else { step as u32 });
            at = self.parents[at as usize];
        }
        found
    }

    pub fn bytes(&self) -> usize {
        self.parents.capacity() * 4 + self.steps.capacity() * 2
    }
}
