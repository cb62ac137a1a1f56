//! The worlds met so far: a hash table of whole worlds, or of 64-bit fingerprints of them.
//!
//! With whole worlds the hash decides where to look and nothing else, so counts are exact. The table
//! comes in parts by the first bits of the hash. Each part grows by itself, so growing takes little
//! more memory at a time.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::flat::fold;
use crate::layout::Key;
use crate::memory::{in_large_pages, Apart};
use crate::search::Stop;

/// The system would not give more memory.
#[derive(Debug)]
pub struct OutOfMemory;

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

/// What a place of the table holds.
#[derive(PartialEq, Eq)]
pub enum Found {
    Nothing,
    Same,
    Other,
}

/// One word of an entry.
#[inline(always)]
unsafe fn atom<'a>(word: *const u64) -> &'a AtomicU64 {
    // SAFETY: an entry is made of such words, and lives as long as its table.
    unsafe { &*word.cast::<AtomicU64>() }
}

/// What the table keeps of a world: words, of which the first one is never all ones.
pub trait Entry<const W: usize>: Copy + Eq + Hash + Send + Sync {
    const EMPTY: Self;
    /// True where fingerprints must be kept up step by step.
    const MIXED: bool;
    /// Lines of the processor's cache in a part of the table to begin with.
    const LINES: usize = if Self::MIXED { 8 } else { 16 };
    fn hash_of(key: &Key<W>, mix: u64) -> u64;
    fn of(key: &Key<W>, hash: u64) -> Self;
    fn its_hash(&self) -> u64;
    /// The world, where all of it is kept.
    fn key(&self) -> Option<Key<W>>;
    /// What is in a place of the table. Another thread may be filling it.
    ///
    /// # Safety
    /// The place is one of a table, and nothing but `fill` changes it.
    unsafe fn look(&self, place: *const Self) -> Found;
    /// Puts an entry into an empty place.
    ///
    /// # Safety
    /// As `look`, and no other thread fills places.
    unsafe fn fill(self, place: *mut Self);
    /// The entry as bytes, and back.
    fn write(&self, into: &mut [u8]);
    fn read(bytes: &[u8]) -> Self;
}

/// The world itself. No layout fills the first word with ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Whole<const W: usize>(pub Key<W>);

impl<const W: usize> Entry<W> for Whole<W> {
    const EMPTY: Self = Whole([u64::MAX; W]);
    const MIXED: bool = false;

    #[inline(always)]
    fn hash_of(key: &Key<W>, _mix: u64) -> u64 {
        let mut mixed = fold(key[0] ^ 0x9e37_79b9_7f4a_7c15, 0xa076_1d64_78bd_642f);
        for &word in &key[1..] {
            mixed = fold(mixed ^ word ^ 0x8ebc_6af0_9c88_c6e3, 0x5899_65cc_7537_4cc3);
        }
        mixed
    }

    #[inline(always)]
    fn of(key: &Key<W>, _hash: u64) -> Self {
        Whole(*key)
    }

    fn its_hash(&self) -> u64 {
        Self::hash_of(&self.0, 0)
    }

    fn key(&self) -> Option<Key<W>> {
        Some(self.0)
    }

    #[inline(always)]
    unsafe fn look(&self, place: *const Self) -> Found {
        let words = place.cast::<u64>();
        // SAFETY: as above. The first word is written last.
        let first = unsafe { atom(words) }.load(Ordering::Acquire);
        if first == u64::MAX {
            return Found::Nothing;
        }
        // SAFETY: as above.
        let same = |at: usize| self.0[at] == unsafe { atom(words.add(at)) }.load(Ordering::Relaxed);
        if first == self.0[0] && (1..W).all(same) { Found::Same } else { Found::Other }
    }

    #[inline(always)]
    unsafe fn fill(self, place: *mut Self) {
        let words = place.cast::<u64>().cast_const();
        for at in 1..W {
            // SAFETY: as above.
            unsafe { atom(words.add(at)) }.store(self.0[at], Ordering::Relaxed);
        }
        // SAFETY: as above.
        unsafe { atom(words) }.store(self.0[0], Ordering::Release);
    }

    fn write(&self, into: &mut [u8]) {
        for (bytes, word) in into.chunks_exact_mut(8).zip(self.0) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }

    fn read(bytes: &[u8]) -> Self {
        Whole(std::array::from_fn(|at| word(&bytes[at * 8..])))
    }
}

/// A fingerprint; two worlds may share one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl<const W: usize> Entry<W> for Fingerprint {
    const EMPTY: Self = Fingerprint(u64::MAX);
    const MIXED: bool = true;

    #[inline(always)]
    fn hash_of(_key: &Key<W>, mix: u64) -> u64 {
        mix.min(u64::MAX - 1)
    }

    #[inline(always)]
    fn of(_key: &Key<W>, hash: u64) -> Self {
        Fingerprint(hash)
    }

    fn its_hash(&self) -> u64 {
        self.0
    }

    fn key(&self) -> Option<Key<W>> {
        None
    }

    #[inline(always)]
    unsafe fn look(&self, place: *const Self) -> Found {
        // SAFETY: as above.
        let first = unsafe { atom(place.cast::<u64>()) }.load(Ordering::Acquire);
        if first == u64::MAX {
            return Found::Nothing;
        }
        if first == self.0 { Found::Same } else { Found::Other }
    }

    #[inline(always)]
    unsafe fn fill(self, place: *mut Self) {
        // SAFETY: as above.
        unsafe { atom(place.cast::<u64>().cast_const()) }.store(self.0, Ordering::Release);
    }

    fn write(&self, into: &mut [u8]) {
        into.copy_from_slice(&self.0.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Self {
        Fingerprint(word(bytes))
    }
}

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(word)
}

const PARTS_BITS: u32 = 4;
pub const PARTS: usize = 1 << PARTS_BITS;
const LINE: usize = 64;

/// Which part of the table a hash belongs to.
#[inline(always)]
pub fn part_of(hash: u64) -> usize {
    (hash >> (64 - PARTS_BITS)) as usize
}

pub struct Part<const W: usize, E> {
    entries: Vec<E>,
    /// Where the first line of the processor's cache begins among the entries.
    first: usize,
    lines: u64,
    filled: Apart<usize>,
    room: usize,
}

impl<const W: usize, E: Entry<W>> Part<W, E> {
    const A_LINE: usize = match LINE / size_of::<E>() {
        0 | 1 => 1,
        2 | 3 => 2,
        4..=7 => 4,
        _ => 8,
    };

    /// A part of so many bytes doubles when it grows; a larger one grows by less. A table of
    /// fingerprints is there to save memory, another one to be fast.
    const SMALL: usize = if E::MIXED { 1 << 9 } else { 1 << 21 };

    /// Room for so many entries, without growing.
    pub fn of_size(entries: usize) -> Result<Self, OutOfMemory> {
        Self::sized(entries * 8 / 5 / Self::A_LINE + 1)
    }

    /// One more than the largest place of an entry.
    pub fn places(&self) -> usize {
        self.entries.len()
    }

    fn sized(lines: usize) -> Result<Self, OutOfMemory> {
        let length = (lines + 1) * Self::A_LINE;
        let mut entries: Vec<E> = Vec::new();
        entries.try_reserve_exact(length).map_err(|_| OutOfMemory)?;
        in_large_pages(&entries);
        entries.resize(length, E::EMPTY);
        let first = entries.as_ptr().align_offset(LINE).min(Self::A_LINE - 1);
        let slots = lines * Self::A_LINE;
        let small = size_of::<E>() * slots <= Self::SMALL;
        let room = if small { slots * 5 / 8 } else if E::MIXED { slots * 15 / 16 } else { slots * 3 / 4 };
        Ok(Part { entries, first, lines: lines as u64, filled: Apart(0), room })
    }

    /// The first entry of the line to look at, and the place in it to begin with.
    #[inline(always)]
    fn home(&self, hash: u64) -> (usize, usize) {
        let at = (hash << PARTS_BITS) as u128 * (self.lines * Self::A_LINE as u64) as u128;
        let at = (at >> 64) as usize;
        (self.first + (at & !(Self::A_LINE - 1)), at & (Self::A_LINE - 1))
    }

    /// The place of an entry, or the empty one where it belongs: in the line that its hash names,
    /// or where that is full in another, and so on. Lines at random keep the way short in a table
    /// that is nearly full, where neighbours would be full together.
    #[inline(always)]
    pub fn find(&self, entry: &E, mut hash: u64) -> Result<usize, usize> {
        let (mut line, mut at) = self.home(hash);
        loop {
            for _ in 0..Self::A_LINE {
                // SAFETY: always inside: a line begins below `lines`, and ends where the next begins.
                match unsafe { entry.look(self.entries.as_ptr().add(line + at)) } {
                    Found::Same => return Ok(line + at),
                    Found::Nothing => return Err(line + at),
                    Found::Other => {}
                }
                at = (at + 1) & (Self::A_LINE - 1);
            }
            hash = fold(hash ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93);
            (line, at) = self.home(hash);
        }
    }

    /// Adds an entry that is not there, at the place that `find` gave.
    #[inline(always)]
    pub fn insert_at(&mut self, mut at: usize, entry: E, hash: u64) -> Result<(), OutOfMemory> {
        if self.filled.0 == self.room {
            self.grow()?;
            at = self.find(&entry, hash).unwrap_or_else(|at| at);
        }
        // SAFETY: `find` gave the place; threads that look meanwhile see an entry as a whole, or none.
        unsafe { entry.fill(self.entries[at..].as_mut_ptr()) };
        self.filled.0 += 1;
        Ok(())
    }

    /// Adds an entry; false where it is there already.
    #[inline(always)]
    pub fn insert(&mut self, entry: E, hash: u64) -> Result<bool, OutOfMemory> {
        match self.find(&entry, hash) {
            Ok(_) => Ok(false),
            Err(at) => self.insert_at(at, entry, hash).map(|_| true),
        }
    }

    /// Makes room for so many more, so that adding them moves nothing.
    pub fn reserve(&mut self, more: usize) -> Result<(), OutOfMemory> {
        while self.room - self.filled.0 < more {
            self.grow()?;
        }
        Ok(())
    }

    #[cold]
    fn grow(&mut self) -> Result<(), OutOfMemory> {
        let lines = self.lines as usize;
        let small = size_of::<E>() * self.entries.len() <= Self::SMALL;
        let more = if small { lines } else if E::MIXED { (lines / 10).max(1) } else { lines / 2 };
        let mut larger = Self::sized(lines + more)?;
        for entry in &self.entries {
            if *entry != E::EMPTY {
                let at = larger.find(entry, entry.its_hash()).unwrap_or_else(|at| at);
                larger.entries[at] = *entry;
            }
        }
        larger.filled.0 = self.filled.0;
        *self = larger;
        Ok(())
    }
}

/// Read by all threads; next to it lies what one of them writes.
#[repr(align(64))]
pub struct Seen<const W: usize, E> {
    pub parts: Vec<Part<W, E>>,
}

impl<const W: usize, E: Entry<W>> Seen<W, E> {
    pub fn new() -> Result<Self, OutOfMemory> {
        // Where memory counts, parts of different sizes grow at different times, so that they are
        // not all at their emptiest together.
        let parts = (0..PARTS).map(|at| Part::sized(E::LINES + if E::MIXED { at * E::LINES / PARTS } else { 0 })).collect::<Result<_, _>>()?;
        Ok(Seen { parts })
    }

    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        let part = &self.parts[part_of(hash)];
        prefetch(part.entries.as_ptr().wrapping_add(part.home(hash).0));
    }

    /// Takes the line away from a processor that has looked at it.
    #[inline(always)]
    pub fn prefetch_to_write(&self, hash: u64) {
        let part = &self.parts[part_of(hash)];
        prefetch_to_write(part.entries.as_ptr().wrapping_add(part.home(hash).0));
    }

    /// As `Part::find`.
    #[inline(always)]
    pub fn find(&self, entry: &E, hash: u64) -> Result<usize, usize> {
        self.parts[part_of(hash)].find(entry, hash)
    }

    #[inline(always)]
    pub fn insert_at(&mut self, at: usize, entry: E, hash: u64) -> Result<(), OutOfMemory> {
        self.parts[part_of(hash)].insert_at(at, entry, hash)
    }

    #[inline(always)]
    pub fn insert(&mut self, entry: E, hash: u64) -> Result<bool, OutOfMemory> {
        self.parts[part_of(hash)].insert(entry, hash)
    }

    /// True where some part may have to grow for so many more in each.
    pub fn lacks_room(&self, more: &[usize; PARTS]) -> bool {
        self.parts.iter().zip(more).any(|(part, &more)| part.room - part.filled.0 < more)
    }

    /// Makes room for so many more in each part.
    pub fn reserve(&mut self, more: &[usize; PARTS]) -> Result<(), OutOfMemory> {
        self.parts.iter_mut().zip(more).try_for_each(|(part, &more)| part.reserve(more))
    }

    /// Calls `each` with every entry.
    pub fn each<F>(&self, mut each: impl FnMut(E) -> Result<(), F>) -> Result<(), F> {
        let entries = self.parts.iter().flat_map(|part| &part.entries);
        entries.filter(|entry| **entry != E::EMPTY).try_for_each(|entry| each(*entry))
    }

    /// Calls `each` with every entry; nothing is left here then.
    pub fn drain(&mut self, mut each: impl FnMut(E) -> Result<(), Stop>) -> Result<(), Stop> {
        for part in &mut self.parts {
            for entry in std::mem::take(&mut part.entries) {
                if entry != E::EMPTY {
                    each(entry)?;
                }
            }
        }
        Ok(())
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.filled.0).sum()
    }

    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.entries.capacity() * size_of::<E>()).sum()
    }
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

#[inline(always)]
fn prefetch_to_write<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_prefetch(at.cast::<i8>(), std::arch::x86_64::_MM_HINT_ET0)
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Has all of these on their way.
pub fn fetch<T>(values: &[T]) {
    let start = values.as_ptr().cast::<u8>();
    (0..size_of_val(values)).step_by(LINE).for_each(|at| prefetch(start.wrapping_add(at)));
}
