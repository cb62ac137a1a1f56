//! Worlds that wait to be expanded, first in, first out, in chunks that are given back once empty.
//!
//! Only the first two chunks and the last are at hand. Those between are packed: each world as the
//! bytes in which it differs from the one before, and worlds that wait side by side differ little.
//! Where there is a disk, they are there.

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
/// The first chunks, which are at hand.
const AT_HAND: usize = 2;

enum Chunk<const W: usize> {
    Here(Vec<Key<W>>),
    /// So many worlds.
    Packed(Box<[u8]>, usize),
    /// In the file, at that place, so many bytes; and so many worlds.
    Away(u64, usize, usize),
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
    bytes: usize,
    bytes_max: usize,
    shelf: Option<Shelf>,
}

/// For each word a byte that says which of its bytes differ from those of the world before, and
/// these bytes.
fn pack<const W: usize>(keys: &[Key<W>]) -> Box<[u8]> {
    let (mut packed, mut before) = (Vec::new(), [0; W]);
    for key in keys {
        for (word, old) in key.iter().zip(before) {
            let bytes = (word ^ old).to_le_bytes();
            let which = (0..8).fold(0, |which, at| which | u8::from(bytes[at] != 0) << at);
            packed.push(which);
            packed.extend(bytes.into_iter().filter(|&byte| byte != 0));
        }
        before = *key;
    }
    packed.into()
}

fn unpack<const W: usize>(packed: &[u8], into: &mut Vec<Key<W>>) {
    let (mut bytes, mut key) = (packed.iter().copied(), [0; W]);
    let mut at = 0;
    while let Some(which) = bytes.next() {
        let mut change = [0; 8];
        for (bit, byte) in change.iter_mut().enumerate() {
            if which >> bit & 1 != 0 {
                *byte = bytes.next().unwrap_or(0);
            }
        }
        key[at] ^= u64::from_le_bytes(change);
        at += 1;
        if at == W {
            into.push(key);
            at = 0;
        }
    }
}

impl<const W: usize> Queue<W> {
    /// A place in the file holds a chunk in which every byte differs.
    const PLACE: u64 = (WORLDS_A_CHUNK_MAX * 9 * W) as u64;

    pub fn new() -> Self {
        Queue { chunks: VecDeque::new(), taken: 0, length: 0, bytes: 0, bytes_max: 0, shelf: None }
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
        if self.chunks.len() > AT_HAND {
            self.put_away(self.chunks.len() - 1)?;
        }
        // A queue of n worlds has at most an eighth of them to spare.
        let size = (self.length / 8).next_power_of_two().clamp(WORLDS_A_CHUNK_MIN, WORLDS_A_CHUNK_MAX);
        let mut chunk = Vec::new();
        chunk.try_reserve_exact(size).map_err(|_| OutOfMemory)?;
        self.chunks.try_reserve(1).map_err(|_| OutOfMemory)?;
        self.chunks.push_back(Chunk::Here(Vec::new()));
        self.replace(self.chunks.len() - 1, Chunk::Here(chunk));
        Ok(())
    }

    fn bytes_of(chunk: &Chunk<W>) -> usize {
        match chunk {
            Chunk::Here(keys) => keys.capacity() * 8 * W,
            Chunk::Packed(bytes, _) => bytes.len(),
            Chunk::Away(..) => 0,
        }
    }

    fn replace(&mut self, at: usize, chunk: Chunk<W>) {
        self.bytes = self.bytes + Self::bytes_of(&chunk) - Self::bytes_of(&self.chunks[at]);
        self.bytes_max = self.bytes_max.max(self.bytes);
        self.chunks[at] = chunk;
    }

    /// Packs a full chunk, and moves it to the disk, where there is one.
    fn put_away(&mut self, at: usize) -> io::Result<()> {
        let (packed, count) = match &mut self.chunks[at] {
            Chunk::Here(keys) => (pack(keys), keys.len()),
            Chunk::Packed(bytes, count) => (std::mem::take(bytes), *count),
            Chunk::Away(..) => return Ok(()),
        };
        let mut away = None;
        let mut written = Ok(());
        if let Some(shelf) = &mut self.shelf {
            let place = shelf.free.last().copied().unwrap_or(shelf.places);
            written = write_at(&shelf.file, place * Self::PLACE, &packed);
            if written.is_ok() {
                if shelf.free.pop().is_none() {
                    shelf.places += 1;
                }
                away = Some(Chunk::Away(place, packed.len(), count));
            }
        }
        self.replace(at, away.unwrap_or(Chunk::Packed(packed, count)));
        written
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

    /// The chunks at hand, from the first on.
    fn at_hand(&self) -> impl Iterator<Item = &Vec<Key<W>>> {
        self.chunks.iter().map_while(|chunk| match chunk {
            Chunk::Here(keys) => Some(keys),
            _ => None,
        })
    }

    /// How many of the next worlds `copy` can see, if these are fewer than `most`.
    pub fn near(&self, most: usize) -> usize {
        let mut found = 0;
        for keys in self.at_hand() {
            found += keys.len();
            if found >= self.taken + most {
                break;
            }
        }
        found - self.taken.min(found)
    }

    /// Copies up to `most` worlds, from `skip` worlds after the next one on, of those at hand.
    pub fn copy(&self, skip: usize, most: usize, into: &mut Vec<Key<W>>) {
        into.clear();
        let mut skip = self.taken + skip;
        for chunk in self.at_hand() {
            let start = skip.min(chunk.len());
            let end = chunk.len().min(start + most - into.len());
            into.extend_from_slice(&chunk[start..end]);
            skip -= start;
        }
    }

    /// Copies what waits in a chunk; false where there is no such chunk.
    pub fn chunk(&self, at: usize, into: &mut Vec<Key<W>>) -> io::Result<bool> {
        into.clear();
        match (self.chunks.get(at), &self.shelf) {
            (None, _) => return Ok(false),
            (Some(Chunk::Here(chunk)), _) => {
                into.extend_from_slice(&chunk[if at == 0 { self.taken } else { 0 }..]);
            }
            (Some(Chunk::Packed(packed, _)), _) => unpack(packed, into),
            (Some(&Chunk::Away(place, length, _)), Some(shelf)) => {
                let mut packed = vec![0; length];
                read_at(&shelf.file, place * Self::PLACE, &mut packed)?;
                unpack(&packed, into);
            }
            (Some(Chunk::Away(..)), None) => unreachable!("a chunk is away in a file"),
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
        // The second chunk is at hand. The one behind it is brought here, before anything changes.
        if !matches!(self.chunks.get(AT_HAND), None | Some(Chunk::Here(_))) {
            let count = match &self.chunks[AT_HAND] {
                Chunk::Packed(_, count) | Chunk::Away(_, _, count) => *count,
                Chunk::Here(keys) => keys.len(),
            };
            let mut keys = Vec::new();
            keys.try_reserve_exact(count).map_err(|_| OutOfMemory)?;
            self.chunk(AT_HAND, &mut keys)?;
            if let (&Chunk::Away(place, ..), Some(shelf)) = (&self.chunks[AT_HAND], &mut self.shelf) {
                shelf.free.push(place);
            }
            self.replace(AT_HAND, Chunk::Here(keys));
        }
        self.replace(0, Chunk::Packed(Box::default(), 0));
        self.chunks.pop_front();
        self.taken = 0;
        Ok(())
    }

    /// Uses a disk from now on.
    pub fn spill(&mut self, folder: &Path) -> io::Result<()> {
        if self.shelf.is_none() {
            self.shelf = Some(Shelf { file: nameless(folder)?, places: 0, free: Vec::new() });
            for at in AT_HAND..self.chunks.len().saturating_sub(1) {
                self.put_away(at)?;
            }
        }
        Ok(())
    }

    /// The most bytes of memory that it took so far.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
