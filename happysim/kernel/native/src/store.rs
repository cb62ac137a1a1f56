//! What a search keeps of its worlds: those that were met, and those that wait.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::disk::Disk;
use crate::layout::{Key, Layout};
use crate::queue::Queue;
use crate::search::Stop;
use crate::seen::{push, Entry, OutOfMemory, Seen};

/// A world that a depth-first search is to expand.
pub struct Waiting<const W: usize> {
    pub key: Key<W>,
    pub index: u32,
    pub depth: u32,
}

/// Where a depth-first search is cut by depth, a world met again nearer to the start must be expanded
/// again: the index of each world, and by index the world, the least depth at which it was met, and
/// whether it was expanded.
pub struct Near<const W: usize, E> {
    pub index: HashMap<E, u32>,
    pub worlds: Vec<(Key<W>, u32, bool)>,
}

pub struct Store<const W: usize, E> {
    pub seen: Seen<W, E>,
    pub queue: Queue<W>,
    pub stack: Vec<Waiting<W>>,
    pub near: Option<Near<W, E>>,
    /// Once the worlds are on a disk, `seen` is some of those that are known to be no news.
    pub disk: Option<Disk<W, E>>,
    stack_max: usize,
}

/// A store of another width, which takes in the same worlds.
pub trait Sink {
    fn see(&mut self, layout: &Layout, numbers: &[u32], hash: u64) -> Result<(), Stop>;
    fn wait(&mut self, layout: &Layout, numbers: &[u32]) -> Result<(), Stop>;
    fn pile(&mut self, layout: &Layout, numbers: &[u32], index: u32, depth: u32) -> Result<(), Stop>;
    fn spill(&mut self, folder: &Path, memory: usize) -> Result<(), Stop>;
    fn near(&mut self, layout: &Layout, numbers: &[u32], hash: u64, depth: u32, expanded: bool);
}

impl<const W: usize, E: Entry<W>> Store<W, E> {
    pub fn new(near: bool) -> Result<Self, OutOfMemory> {
        Ok(Store {
            seen: Seen::new()?,
            queue: Queue::new(),
            stack: Vec::new(),
            near: near.then(|| Near { index: HashMap::new(), worlds: Vec::new() }),
            disk: None,
            stack_max: 0,
        })
    }

    pub fn push(&mut self, key: &Key<W>, index: u32, depth: u32) -> Result<(), Stop> {
        push(&mut self.stack, Waiting { key: *key, index, depth })?;
        self.stack_max = self.stack_max.max(self.stack.len());
        Ok(())
    }

    /// Hands all worlds on, packed by `old`, to a store whose worlds are packed by `new`.
    pub fn pour(&mut self, old: &Layout, sink: &mut dyn Sink, new: &Layout) -> Result<(), Stop> {
        let mut numbers = Vec::new();
        if let Some(disk) = &self.disk {
            sink.spill(&disk.folder, disk.memory)?;
            self.seen = Seen::new()?;
        }
        let mut see = |entry: E| {
            let mut numbers = Vec::new();
            if let Some(key) = entry.key() {
                old.unpack(&key, &mut numbers);
            }
            sink.see(new, &numbers, entry.its_hash())
        };
        self.seen.drain(&mut see)?;
        if let Some(disk) = &self.disk {
            disk.each(see)?;
        }
        let (mut keys, mut at) = (Vec::new(), 0);
        while self.queue.chunk(at, &mut keys)? {
            for key in &keys {
                old.unpack(key, &mut numbers);
                sink.wait(new, &numbers)?;
            }
            at += 1;
        }
        self.queue = Queue::new();
        for each in &self.stack {
            old.unpack(&each.key, &mut numbers);
            sink.pile(new, &numbers, each.index, each.depth)?;
        }
        if let Some(near) = &self.near {
            let mut hashes = vec![0; near.worlds.len()];
            for (entry, &index) in &near.index {
                hashes[index as usize] = entry.its_hash();
            }
            for (&(key, depth, expanded), hash) in near.worlds.iter().zip(hashes) {
                old.unpack(&key, &mut numbers);
                sink.near(new, &numbers, hash, depth, expanded);
            }
        }
        Ok(())
    }

    pub fn bytes(&self) -> usize {
        self.seen.bytes() + self.queue.bytes_max() + self.stack_max * size_of::<Waiting<W>>()
    }

    /// The number of worlds met.
    pub fn met(&self) -> u64 {
        self.disk.as_ref().map_or(self.seen.len() as u64, Disk::len)
    }

    /// Calls `each` with every world that was met.
    pub fn each_met<F: From<io::Error>>(&self, each: impl FnMut(E) -> Result<(), F>) -> Result<(), F> {
        match &self.disk {
            Some(disk) => disk.each(each),
            None => self.seen.each(each),
        }
    }

    /// Adds a world that was met.
    pub fn add_met(&mut self, entry: E) -> Result<(), Stop> {
        match &mut self.disk {
            Some(disk) => disk.add(entry, entry.its_hash()),
            None => Ok(self.seen.insert(entry, entry.its_hash()).map(|_| ())?),
        }
    }

    /// Moves what does not fit to a disk.
    pub fn spill(&mut self, folder: &Path, memory: usize) -> Result<(), Stop> {
        let mut disk = Disk::new(folder, memory);
        self.seen.each(|entry| disk.add(entry, entry.its_hash()))?;
        self.queue.spill(folder)?;
        self.disk = Some(disk);
        Ok(())
    }
}

impl<const W: usize, E: Entry<W>> Store<W, E> {
    /// A world's entry; a fingerprint stays what it was.
    fn entry(&self, layout: &Layout, numbers: &[u32], hash: u64) -> (E, Key<W>) {
        let key = if numbers.is_empty() { [0; W] } else { layout.pack(numbers) };
        let hash = E::hash_of(&key, hash);
        (E::of(&key, hash), key)
    }
}

impl<const W: usize, E: Entry<W>> Sink for Store<W, E> {
    fn see(&mut self, layout: &Layout, numbers: &[u32], hash: u64) -> Result<(), Stop> {
        self.add_met(self.entry(layout, numbers, hash).0)
    }

    fn wait(&mut self, layout: &Layout, numbers: &[u32]) -> Result<(), Stop> {
        self.queue.reserve()?;
        self.queue.push(&layout.pack(numbers));
        Ok(())
    }

    fn spill(&mut self, folder: &Path, memory: usize) -> Result<(), Stop> {
        Store::spill(self, folder, memory)
    }

    fn pile(&mut self, layout: &Layout, numbers: &[u32], index: u32, depth: u32) -> Result<(), Stop> {
        self.push(&layout.pack(numbers), index, depth)
    }

    fn near(&mut self, layout: &Layout, numbers: &[u32], hash: u64, depth: u32, expanded: bool) {
        let (entry, key) = self.entry(layout, numbers, hash);
        if let Some(near) = &mut self.near {
            near.index.insert(entry, near.worlds.len() as u32);
            near.worlds.push((key, depth, expanded));
        }
    }
}
