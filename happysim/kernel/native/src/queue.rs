//! Worlds that wait to be expanded, first in, first out, in chunks that are given back once empty.
//!
//! Where there is a disk, only the first chunk and the last are in memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::layout::Key;
use crate::search::Stop;
use crate::seen::OutOfMemory;
use crate::spool::{nameless, read_at, write_at};

/// The size of a chunk: small ones first, so that a small search takes little.
const WORLDS_A_CHUNK_MIN: usize = 1 << 8;
const WORLDS_A_CHUNK_MAX: usize = 1 << 15;

enum Chunk<const W: usize> {
    Here(Vec<Key<W>>),
    /// In the file, at that place; so many worlds.
    Away(u64, usize),
}

/// Places in a file, one a chunk.
struct Shelf {
    file: File,
    places: u64,
    free: Vec<u64>,
}

pub struct Queue<const W: usize> {
    chunks: VecDeque<Chunk<W>>,
    /// Worlds of the first chunk that were taken.
    taken: usize,
    length: usize,
    /// Keys that there is room for in memory.
    room: usize,
    room_max: usize,
    shelf: Option<Shelf>,
}

fn as_bytes<const W: usize>(keys: &[Key<W>]) -> Vec<u8> {
    keys.iter().flatten().flat_map(|word| word.to_le_bytes()).collect()
}

impl<const W: usize> Queue<W> {
    pub fn new() -> Self {
        Queue { chunks: VecDeque::new(), taken: 0, length: 0, room: 0, room_max: 0, shelf: None }
    }

    pub fn len(&self) -> usize {
        self.length
    }

    /// Makes room for one more world.
    #[inline(always)]
    pub fn reserve(&mut self) -> Result<(), Stop> {
        match self.chunks.back() {
            Some(Chunk::Here(chunk)) if chunk.len() < chunk.capacity() => Ok(()),
            _ => self.grow(),
        }
    }

    #[cold]
    fn grow(&mut self) -> Result<(), Stop> {
        if self.chunks.len() > 1 {
            self.put_away(self.chunks.len() - 1)?;
        }
        // A queue of n worlds has at most an eighth of them to spare.
        let size = (self.length / 8).next_power_of_two().clamp(WORLDS_A_CHUNK_MIN, WORLDS_A_CHUNK_MAX);
        let mut chunk = Vec::new();
        chunk.try_reserve_exact(size).map_err(|_| OutOfMemory)?;
        self.chunks.try_reserve(1).map_err(|_| OutOfMemory)?;
        self.room += chunk.capacity();
        self.room_max = self.room_max.max(self.room);
        self.chunks.push_back(Chunk::Here(chunk));
        Ok(())
    }

    /// Moves a full chunk to the disk, where there is one.
    fn put_away(&mut self, at: usize) -> io::Result<()> {
        let (Some(shelf), Chunk::Here(chunk)) = (&mut self.shelf, &self.chunks[at]) else { return Ok(()) };
        let place = shelf.free.last().copied().unwrap_or(shelf.places);
        write_at(&shelf.file, place * Self::PLACE, &as_bytes(chunk))?;
        if shelf.free.pop().is_none() {
            shelf.places += 1;
        }
        self.room -= chunk.capacity();
        self.chunks[at] = Chunk::Away(place, chunk.len());
        Ok(())
    }

    const PLACE: u64 = (WORLDS_A_CHUNK_MAX * 8 * W) as u64;

    fn fetch(file: &File, place: u64, length: usize, into: &mut Vec<Key<W>>) -> io::Result<()> {
        let mut bytes = vec![0; length * 8 * W];
        read_at(file, place * Self::PLACE, &mut bytes)?;
        into.extend(bytes.chunks_exact(8 * W).map(|key| {
            let word = |at: usize| u64::from_le_bytes(key[at * 8..at * 8 + 8].try_into().unwrap_or_default());
            std::array::from_fn(word)
        }));
        Ok(())
    }

    /// Adds a world. Call `reserve` before.
    #[inline(always)]
    pub fn push(&mut self, key: &Key<W>) {
        if let Some(Chunk::Here(chunk)) = self.chunks.back_mut() {
            chunk.push(*key);
            self.length += 1;
        }
    }

    /// The next worlds, as many as lie side by side.
    #[inline(always)]
    pub fn front(&self) -> &[Key<W>] {
        match self.chunks.front() {
            Some(Chunk::Here(chunk)) => &chunk[self.taken..],
            _ => &[],
        }
    }

    /// Copies up to `most` worlds, from `skip` worlds after the next one on, as far as they are in
    /// memory.
    pub fn copy(&self, skip: usize, most: usize, into: &mut Vec<Key<W>>) {
        into.clear();
        let mut skip = self.taken + skip;
        for chunk in &self.chunks {
            let Chunk::Here(chunk) = chunk else { break };
            let start = skip.min(chunk.len());
            let end = chunk.len().min(start + most - into.len());
            into.extend_from_slice(&chunk[start..end]);
            skip -= start;
        }
    }

    /// Copies what waits in a chunk; false where there is no such chunk.
    pub fn chunk(&self, at: usize, into: &mut Vec<Key<W>>) -> Result<bool, Stop> {
        into.clear();
        match (self.chunks.get(at), &self.shelf) {
            (Some(Chunk::Here(chunk)), _) => {
                into.extend_from_slice(&chunk[if at == 0 { self.taken } else { 0 }..]);
            }
            (Some(&Chunk::Away(place, length)), Some(shelf)) => {
                Self::fetch(&shelf.file, place, length, into)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    #[inline(always)]
    pub fn take(&mut self) -> Result<(), Stop> {
        let front = self.front();
        let whole = matches!(self.chunks.front(), Some(Chunk::Here(chunk)) if chunk.len() == chunk.capacity());
        if front.len() == 1 && (whole || self.chunks.len() > 1) {
            self.next_chunk()?;
        } else {
            self.taken += 1;
        }
        self.length -= 1;
        Ok(())
    }

    #[cold]
    fn next_chunk(&mut self) -> Result<(), Stop> {
        if let (Some(&Chunk::Away(place, length)), Some(shelf)) = (self.chunks.get(1), &mut self.shelf) {
            let mut keys = Vec::new();
            keys.try_reserve_exact(length).map_err(|_| OutOfMemory)?;
            Self::fetch(&shelf.file, place, length, &mut keys)?;
            shelf.free.push(place);
            self.room += keys.capacity();
            self.chunks[1] = Chunk::Here(keys);
        }
        if let Some(Chunk::Here(chunk)) = self.chunks.pop_front() {
            self.room -= chunk.capacity();
        }
        self.taken = 0;
        Ok(())
    }

    /// Uses a disk from now on.
    pub fn spill(&mut self, folder: &Path) -> io::Result<()> {
        if self.shelf.is_none() {
            self.shelf = Some(Shelf { file: nameless(folder)?, places: 0, free: Vec::new() });
            for at in 1..self.chunks.len().saturating_sub(1) {
                self.put_away(at)?;
            }
        }
        Ok(())
    }

    /// The most bytes of memory that it took so far.
    pub fn bytes_max(&self) -> usize {
        self.room_max * 8 * W
    }

    pub fn bytes(&self) -> usize {
        self.room * 8 * W
    }
}
