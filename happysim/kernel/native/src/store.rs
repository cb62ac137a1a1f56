//! The worlds met so far, in order of first meeting, and a table to find them by content.
//!
//! The table holds 32 bits of a world's hash and its index. Worlds are compared whole, so the
//! hash decides where to look and nothing else: counts are exact.

use crate::flat::fold;
use crate::layout::{Key, Layout};
use crate::memory::in_large_pages;

/// The parent of a first world.
pub const NO_PARENT: u32 = u32::MAX;

/// The system would not give more memory.
#[derive(Debug)]
pub struct OutOfMemory;

pub struct Store<const W: usize> {
    pub keys: Vec<Key<W>>,
    table: Vec<u64>,
    mask: usize,
    // How many worlds the table takes before it grows.
    room: usize,
}

#[inline(always)]
pub fn hash<const W: usize>(key: &Key<W>) -> u64 {
    let mut mixed = fold(key[0] ^ 0x9e37_79b9_7f4a_7c15, 0xa076_1d64_78bd_642f);
    for &word in &key[1..] {
        mixed = fold(mixed ^ word ^ 0x8ebc_6af0_9c88_c6e3, 0x5899_65cc_7537_4cc3);
    }
    mixed
}

#[inline(always)]
fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_prefetch(at.cast::<i8>(), std::arch::x86_64::_MM_HINT_T0)
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

fn zeroed(length: usize) -> Result<Vec<u64>, OutOfMemory> {
    let mut made = Vec::new();
    made.try_reserve_exact(length).map_err(|_| OutOfMemory)?;
    in_large_pages(&made);
    made.resize(length, 0);
    Ok(made)
}

/// Adds a value; an error where there is no memory for it, and then nothing has changed.
#[inline(always)]
pub fn push<T>(values: &mut Vec<T>, value: T) -> Result<(), OutOfMemory> {
    if values.len() == values.capacity() {
        values.try_reserve(1).map_err(|_| OutOfMemory)?;
        in_large_pages(values);
    }
    values.push(value);
    Ok(())
}

impl<const W: usize> Store<W> {
    pub fn new() -> Self {
        Store { keys: Vec::new(), table: vec![0; 1 << 10], mask: (1 << 10) - 1, room: 700 }
    }

    #[inline(always)]
    pub fn prefetch_entry(&self, hash: u64) {
        prefetch(self.table.as_ptr().wrapping_add(hash as usize & self.mask));
    }

    /// Asks for the world that a hash probably leads to. Call `prefetch_entry` well before.
    #[inline(always)]
    pub fn prefetch_key(&self, hash: u64) {
        let entry = unsafe { *self.table.get_unchecked(hash as usize & self.mask) };
        if entry >> 32 == hash >> 32 {
            prefetch(self.keys.as_ptr().wrapping_add((entry as u32).wrapping_sub(1) as usize));
        }
    }

    /// The index of a world, if it was met.
    #[inline(always)]
    pub fn find(&self, key: &Key<W>, hash: u64) -> Option<u32> {
        let mut at = hash as usize & self.mask;
        loop {
            // `at` is masked by the table's size; an entry names a world that is there.
            let entry = unsafe { *self.table.get_unchecked(at) };
            if entry == 0 {
                return None;
            }
            if entry >> 32 == hash >> 32 {
                let index = entry as u32 - 1;
                if unsafe { self.keys.get_unchecked(index as usize) } == key {
                    return Some(index);
                }
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Adds a world that is not there yet, and returns its index.
    pub fn insert(&mut self, key: &Key<W>, hash: u64) -> Result<u32, OutOfMemory> {
        if self.keys.len() >= self.room {
            self.grow(self.table.len() * 2)?;
        }
        let index = self.keys.len() as u32;
        push(&mut self.keys, *key)?;
        self.place(hash, index);
        Ok(index)
    }

    #[inline(always)]
    fn place(&mut self, hash: u64, index: u32) {
        let mut at = hash as usize & self.mask;
        while self.table[at] != 0 {
            at = (at + 1) & self.mask;
        }
        self.table[at] = hash >> 32 << 32 | (index as u64 + 1);
    }

    fn grow(&mut self, length: usize) -> Result<(), OutOfMemory> {
        // 2^32 worlds have an index; the last one would read as an empty entry.
        if self.keys.len() >= u32::MAX as usize - 1 {
            return Err(OutOfMemory);
        }
        let table = zeroed(length)?;
        self.table = table;
        self.mask = length - 1;
        self.room = (length / 10 * 7).min(u32::MAX as usize - 2);
        self.enter_all();
        Ok(())
    }

    /// Enters every world into the table anew.
    fn enter_all(&mut self) {
        self.table.fill(0);
        for index in 0..self.keys.len() {
            if let Some(ahead) = self.keys.get(index + 16) {
                self.prefetch_entry(hash(ahead));
            }
            self.place(hash(&self.keys[index]), index as u32);
        }
    }

    /// The same worlds, packed as another layout says; nothing is left here then.
    pub fn repacked<const V: usize>(
        &mut self,
        old: &Layout,
        new: &Layout,
    ) -> Result<Store<V>, OutOfMemory> {
        let mut keys = Vec::new();
        keys.try_reserve_exact(self.keys.capacity()).map_err(|_| OutOfMemory)?;
        let mut numbers = Vec::new();
        for key in &self.keys {
            old.unpack(key, &mut numbers);
            keys.push(new.pack(&numbers));
        }
        self.keys = Vec::new();
        let table = std::mem::take(&mut self.table);
        let mut made = Store { keys, table, mask: self.mask, room: self.room };
        made.enter_all();
        Ok(made)
    }

    /// Bytes that the worlds take, in use or set aside.
    pub fn bytes(&self) -> usize {
        self.keys.capacity() * 8 * W + self.table.capacity() * 8
    }
}
