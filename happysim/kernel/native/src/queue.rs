//! Worlds that wait to be expanded, first in, first out, in chunks that are given back once empty.

use std::collections::VecDeque;

use crate::layout::Key;
use crate::seen::OutOfMemory;

const WORLDS_A_CHUNK: usize = 1 << 15;

pub struct Queue<const W: usize> {
    chunks: VecDeque<Vec<Key<W>>>,
    /// Worlds of the first chunk that were taken.
    taken: usize,
    length: usize,
    bytes_max: usize,
}

impl<const W: usize> Queue<W> {
    pub fn new() -> Self {
        Queue { chunks: VecDeque::new(), taken: 0, length: 0, bytes_max: 0 }
    }

    pub fn len(&self) -> usize {
        self.length
    }

    #[inline(always)]
    pub fn push(&mut self, key: &Key<W>) -> Result<(), OutOfMemory> {
        let full = self.chunks.back().is_none_or(|chunk| chunk.len() == chunk.capacity());
        if full {
            let mut chunk = Vec::new();
            chunk.try_reserve_exact(WORLDS_A_CHUNK).map_err(|_| OutOfMemory)?;
            self.chunks.try_reserve(1).map_err(|_| OutOfMemory)?;
            self.chunks.push_back(chunk);
            self.bytes_max = self.bytes_max.max(self.chunks.len() * WORLDS_A_CHUNK * 8 * W);
        }
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.push(*key);
        }
        self.length += 1;
        Ok(())
    }

    /// The next worlds, as many as lie side by side.
    #[inline(always)]
    pub fn front(&self) -> &[Key<W>] {
        self.chunks.front().map_or(&[], |chunk| &chunk[self.taken..])
    }

    /// Copies up to `most` worlds, from `skip` worlds after the next one on.
    pub fn copy(&self, skip: usize, most: usize, into: &mut Vec<Key<W>>) {
        into.clear();
        let mut skip = self.taken + skip;
        for chunk in &self.chunks {
            let start = skip.min(chunk.len());
            let end = chunk.len().min(start + most - into.len());
            into.extend_from_slice(&chunk[start..end]);
            skip -= start;
        }
    }

    #[inline(always)]
    pub fn take(&mut self) {
        self.taken += 1;
        self.length -= 1;
        if self.chunks.front().is_some_and(|chunk| chunk.len() == self.taken && chunk.len() == chunk.capacity()) {
            self.chunks.pop_front();
            self.taken = 0;
        }
    }

    pub fn each(&self) -> impl Iterator<Item = &Key<W>> {
        self.chunks.iter().flatten().skip(self.taken)
    }

    /// The most bytes that it took so far.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }
}
