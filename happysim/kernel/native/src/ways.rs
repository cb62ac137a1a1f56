//! How each world was first met: its parent, and which step of the parent led to it.
//!
//! That is six bytes a world, and enough to find any world again: by taking those steps from the
//! first one. On a disk it is eight.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::search::Stop;
use crate::seen::OutOfMemory;
use crate::spool::Spool;

/// The parent of a first world; its step is its place among the first worlds.
pub const NO_PARENT: u32 = u32::MAX;
const WIDE: u16 = u16::MAX;
/// A parent and a step, as bytes.
pub const BYTES: usize = 8;

pub struct Ways {
    /// False where no way is kept.
    pub kept: bool,
    parents: Vec<u32>,
    steps: Vec<u16>,
    /// Steps that do not fit into 16 bits.
    wide: HashMap<u32, u32>,
    /// All of them, once they are on a disk.
    disk: Option<Spool>,
    pub count: usize,
}

fn as_bytes(parent: u32, step: u32) -> [u8; BYTES] {
    ((parent as u64) << 32 | step as u64).to_le_bytes()
}

fn from_bytes(bytes: [u8; BYTES]) -> (u32, u32) {
    let word = u64::from_le_bytes(bytes);
    ((word >> 32) as u32, word as u32)
}

impl Ways {
    pub fn new(kept: bool) -> Self {
        let (parents, steps, wide) = (Vec::new(), Vec::new(), HashMap::new());
        Ways { kept, parents, steps, wide, disk: None, count: 0 }
    }

    /// Makes room for one more world.
    #[inline(always)]
    pub fn reserve(&mut self) -> Result<(), Stop> {
        // An index is 32 bits, and the last one means that there is no parent.
        if self.count >= NO_PARENT as usize {
            return Err(OutOfMemory.into());
        }
        if let Some(disk) = &mut self.disk {
            disk.reserve()?;
        } else if self.kept && self.parents.len() == self.parents.capacity() {
            // By an eighth, where doubling would be most of the memory that there is.
            let more = if self.count < 1 << 12 { self.count.max(64) } else { self.count / 8 };
            self.parents.try_reserve_exact(more).map_err(|_| OutOfMemory)?;
            self.steps.try_reserve_exact(more).map_err(|_| OutOfMemory)?;
        }
        Ok(())
    }

    /// Adds a world, and returns its index. Call `reserve` before.
    #[inline(always)]
    pub fn add(&mut self, parent: u32, step: u32) -> usize {
        let index = self.count;
        if let Some(disk) = &mut self.disk {
            disk.push(&as_bytes(parent, step));
        } else if self.kept {
            self.parents.push(parent);
            self.steps.push(0);
            self.note(index, step);
        }
        self.count += 1;
        index
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

    /// How the world at an index was met.
    fn get(&self, index: u32) -> io::Result<(u32, u32)> {
        if let Some(disk) = &self.disk {
            let mut bytes = [0; BYTES];
            disk.get(index as u64, &mut bytes)?;
            return Ok(from_bytes(bytes));
        }
        let step = self.steps[index as usize];
        let step = if step == WIDE { self.wide[&index] } else { step as u32 };
        Ok((self.parents[index as usize], step))
    }

    /// The steps from a first world, the last one first; the first world's place comes last.
    pub fn back_from(&self, index: usize) -> io::Result<Vec<u32>> {
        let (mut at, mut found) = (index as u32, Vec::new());
        while at != NO_PARENT {
            let (parent, step) = self.get(at)?;
            found.push(step);
            at = parent;
        }
        Ok(found)
    }

    /// Moves all of it to a disk: on an error nothing has changed.
    pub fn spill(&mut self, folder: &Path, memory: usize) -> io::Result<()> {
        if self.kept && self.disk.is_none() {
            let mut disk = Spool::new(folder, BYTES, memory);
            for index in 0..self.count as u32 {
                let (parent, step) = self.get(index)?;
                disk.reserve()?;
                disk.push(&as_bytes(parent, step));
            }
            self.disk = Some(disk);
            (self.parents, self.steps, self.wide) = (Vec::new(), Vec::new(), HashMap::new());
        }
        Ok(())
    }

    /// Hands over all ways as bytes, one or many at a time.
    pub fn each(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        if let Some(disk) = &self.disk {
            return disk.each(take);
        }
        for index in 0..self.parents.len() as u32 {
            let (parent, step) = self.get(index)?;
            take(&as_bytes(parent, step))?;
        }
        Ok(())
    }

    /// Adds a way as `each` gave it; false where it leads nowhere.
    pub fn add_saved(&mut self, way: [u8; BYTES]) -> Result<bool, Stop> {
        let (parent, step) = from_bytes(way);
        self.reserve()?;
        let index = self.add(parent, step);
        Ok(!self.kept || parent == NO_PARENT || (parent as usize) < index)
    }

    pub fn bytes(&self) -> usize {
        self.parents.capacity() * 4 + self.steps.capacity() * 2
    }
}
