//! Breadth first with more worlds than memory holds: duplicates are found late, and many at a time.
//!
//! Source: Korf, "Best-first frontier search with delayed duplicate detection", AAAI 2004; Stern and
//! Dill, "Using magnetic disk instead of main memory in the Murphi verifier", CAV 1998. The worlds
//! met lie in files by their hash. Of the worlds of one depth, or of some of them, all steps are
//! looked up first, and where they lead is written to files by the same hash. Then one file after
//! the other is held in memory beside what was met, and a bit is set for each step that leads to a
//! world for the first time. At last the steps are looked up again, in the order of the contract,
//! and taken in by those bits. So every number, place and path is that of a search in memory.

use std::io;
use std::path::{Path, PathBuf};

use pyo3::exceptions::PyException;
use pyo3::prelude::*;

use crate::gather::{Batch, Item, Next, STEP};
use crate::layout::Key;
use crate::search::{Exit, Search, Stop};
use crate::seen::{Entry, Part, Seen};
use crate::shared::{Place, Shared};
use crate::sleep::NOBODY;
use crate::spool::Spool;
use crate::store::Store;

const FILES: usize = 64;
/// Steps that are looked up together: as many bits are in memory.
const STEPS_MAX: u64 = 1 << 28;
/// Between two looks at how large the table of what is no news has become.
const WORLDS_A_LOOK: u64 = 64;
/// Among fewer worlds, a look at one file takes no time.
const WORLDS_A_LONG_LOOK: usize = 1 << 20;
/// An ordinal, as bytes.
const ORDINAL: usize = 4;

/// A bit for each step that was looked up.
struct Bits(Vec<u64>);

impl Bits {
    fn new(count: u64) -> Self {
        Bits(vec![0; count.div_ceil(64) as usize])
    }

    fn set(&mut self, at: u32) {
        self.0[at as usize / 64] |= 1 << (at % 64);
    }

    #[inline(always)]
    fn get(&self, at: u64) -> bool {
        self.0[at as usize / 64] >> (at % 64) & 1 != 0
    }
}

/// The worlds met, and what is to be compared with them; in files by the low bits of the hash.
pub struct Disk<const W: usize, E> {
    pub folder: PathBuf,
    /// Bytes that it may take, about.
    pub memory: usize,
    met: Vec<Spool>,
    candidates: Vec<Spool>,
    record: Vec<u8>,
    entries: std::marker::PhantomData<E>,
}

impl<const W: usize, E: Entry<W>> Disk<W, E> {
    pub fn new(folder: &Path, memory: usize) -> Self {
        let spools = |record: usize| (0..FILES).map(|_| Spool::new(folder, record, memory)).collect();
        Disk {
            folder: folder.to_path_buf(),
            memory,
            met: spools(size_of::<E>()),
            candidates: spools(size_of::<E>() + ORDINAL),
            record: vec![0; size_of::<E>() + ORDINAL],
            entries: std::marker::PhantomData,
        }
    }

    /// The number of worlds met.
    pub fn len(&self) -> u64 {
        self.met.iter().map(Spool::len).sum()
    }

    fn file_of(hash: u64) -> usize {
        hash as usize % FILES
    }

    /// Adds a world that was met. On an error nothing has changed.
    pub fn add(&mut self, entry: E, hash: u64) -> Result<(), Stop> {
        let file = &mut self.met[Self::file_of(hash)];
        file.reserve()?;
        entry.write(&mut self.record[..size_of::<E>()]);
        file.push(&self.record[..size_of::<E>()]);
        Ok(())
    }

    /// Adds where a step leads.
    #[inline(always)]
    fn compare(&mut self, entry: E, hash: u64, ordinal: u32) -> Result<(), Stop> {
        let file = &mut self.candidates[Self::file_of(hash)];
        file.reserve()?;
        let (world, place) = self.record.split_at_mut(size_of::<E>());
        entry.write(world);
        place.copy_from_slice(&ordinal.to_le_bytes());
        file.push(&self.record);
        Ok(())
    }

    /// Calls `each` with every world that was met.
    pub fn each<F: From<io::Error>>(&self, mut each: impl FnMut(E) -> Result<(), F>) -> Result<(), F> {
        for file in &self.met {
            file.each(|bytes| bytes.chunks_exact(size_of::<E>()).try_for_each(|entry| each(E::read(entry))))?;
        }
        Ok(())
    }

    /// Sets the bits of the steps that first lead to a world which was not met, among those in one
    /// file.
    fn sift(&self, file: usize, news: &mut Bits) -> Result<(), Stop> {
        let (met, candidates) = (&self.met[file], &self.candidates[file]);
        if candidates.len() == 0 {
            return Ok(());
        }
        // The first step that leads to each; none, once that was met.
        let mut ways = Part::<W, E>::of_size(candidates.len() as usize)?;
        let mut first: Vec<Option<u32>> = vec![None; ways.places()];
        candidates.each(|bytes| {
            bytes.chunks_exact(size_of::<E>() + ORDINAL).try_for_each(|record| {
                let (entry, ordinal) = record.split_at(size_of::<E>());
                let (entry, hash) = (E::read(entry), E::read(entry).its_hash());
                if let Err(at) = ways.find(&entry, hash) {
                    ways.insert_at(at, entry, hash)?;
                    first[at] = Some(u32::from_le_bytes(ordinal.try_into().unwrap_or_default()));
                }
                Ok::<(), Stop>(())
            })
        })?;
        met.each(|bytes| {
            for entry in bytes.chunks_exact(size_of::<E>()) {
                let entry = E::read(entry);
                if let Ok(at) = ways.find(&entry, entry.its_hash()) {
                    first[at] = None;
                }
            }
            Ok::<(), Stop>(())
        })?;
        first.iter().flatten().for_each(|&ordinal| news.set(ordinal));
        Ok(())
    }

    fn forget_candidates(&mut self) -> Result<(), Stop> {
        for file in &mut self.candidates {
            file.clear()?;
        }
        Ok(())
    }
}

/// What was looked up: so many worlds with so many steps. The error is about the world after them.
struct Looked {
    worlds: u64,
    steps: u64,
    error: Option<PyErr>,
}

impl Search {
    /// Moves the worlds to the disk once they take more memory than is allowed.
    pub fn spill<const W: usize, E: Entry<W>>(&mut self, store: &mut Store<W, E>) -> Result<(), Stop> {
        let Some((folder, most)) = &self.plan.disk else { return Ok(()) };
        if !self.is_large(store) {
            return Ok(());
        }
        self.sleeping.end();
        self.ways.spill(folder, *most)?;
        store.spill(folder, *most)
    }

    /// True where worlds are to go to the disk.
    pub fn is_large<const W: usize, E: Entry<W>>(&self, store: &Store<W, E>) -> bool {
        let Some((_, most)) = self.plan.disk else { return false };
        store.disk.is_none() && store.seen.bytes() + store.queue.bytes() + self.ways.bytes() > most
    }

    /// Expands worlds of one depth, with what was met on the disk.
    pub fn worlds_on_disk<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Shared,
        store: &mut Store<W, E>,
        batch: &mut Batch<W>,
        depth: u32,
    ) -> Result<Exit, Stop> {
        let looked = self.look_up(place, store, batch);
        let taken = looked.and_then(|looked| {
            if !place.visit(Place::fits) {
                return Ok(Exit::Outgrown);
            }
            let Some(news) = self.sift(store, looked.steps)? else { return Ok(Exit::Finished) };
            self.take_in_news(place, store, batch, depth, looked, &news)?;
            Ok(Exit::Finished)
        });
        if let Some(disk) = &mut store.disk {
            disk.forget_candidates()?;
        }
        taken
    }

    /// Looks up the steps of worlds of one depth, and writes down where they lead, unless that is
    /// known to be no news.
    fn look_up<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Shared,
        store: &mut Store<W, E>,
        batch: &mut Batch<W>,
    ) -> Result<Looked, Stop> {
        let most = (self.level_end - self.cursor) as u64;
        let mut looked = Looked { worlds: 0, steps: 0, error: None };
        let (mut keys, mut chunk) = (Vec::new(), 0);
        while looked.worlds < most && store.queue.chunk(chunk, &mut keys)? {
            chunk += 1;
            for key in keys.iter().take((most - looked.worlds) as usize) {
                looked.error = self.look_up_one::<W, E>(place, batch, key)?;
                // An error is told in its turn: what comes before it comes first. It may also be none
                // the next time, or not be reached.
                let waits = looked.error.is_some() && looked.worlds > 0;
                if waits || !place.visit(Place::fits) || looked.steps + batch.nexts.len() as u64 > STEPS_MAX {
                    looked.error = None;
                    return Ok(looked);
                }
                self.write_down(store, batch, &mut looked)?;
                if self.stopped.is_some() || looked.error.is_some() {
                    return Ok(looked);
                }
                looked.worlds += 1;
                self.after_world(store)?;
            }
        }
        Ok(looked)
    }

    /// The steps of one world, as far as there is no error.
    fn look_up_one<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Shared,
        batch: &mut Batch<W>,
        key: &Key<W>,
    ) -> Result<Option<PyErr>, Stop> {
        loop {
            batch.clear();
            let looked = place.visit(|place| batch.gather(place.ground::<W, E>(None, place.quiet()), key, NOBODY));
            let Err(miss) = looked else { return Ok(None) };
            let Err(question) = place.alone(|place| place.tables.settle(miss)) else { continue };
            if let Err(error) = place.ask(question) {
                let waits = Python::attach(|py| error.is_instance_of::<PyException>(py));
                return if waits { Ok(Some(error)) } else { Err(error.into()) };
            }
        }
    }

    /// Writes down where steps lead, but for what is known to be no news.
    fn write_down<const W: usize, E: Entry<W>>(
        &mut self,
        store: &mut Store<W, E>,
        batch: &Batch<W>,
        looked: &mut Looked,
    ) -> Result<(), Stop> {
        let Store { seen, disk: Some(disk), .. } = store else { return Ok(()) };
        let most = self.plan.disk.as_ref().map_or(0, |(_, most)| *most);
        if looked.worlds % WORLDS_A_LOOK == 0 && seen.bytes() > most {
            *seen = Seen::new()?;
        }
        for next in &batch.nexts {
            let entry = E::of(&next.key, next.hash);
            if next.event == STEP && seen.insert(entry, next.hash)? {
                disk.compare(entry, next.hash, looked.steps as u32)?;
            }
            looked.steps += 1;
        }
        Ok(())
    }

    /// Which steps lead to new worlds; `None` where the search was stopped meanwhile.
    fn sift<const W: usize, E: Entry<W>>(
        &mut self,
        store: &Store<W, E>,
        steps: u64,
    ) -> Result<Option<Bits>, Stop> {
        let mut news = Bits::new(steps);
        for file in 0..FILES {
            if self.stopped.is_some() {
                return Ok(None);
            }
            if let Some(disk) = &store.disk {
                disk.sift(file, &mut news)?;
            }
            if self.ways.count >= WORLDS_A_LONG_LOOK {
                self.tick(store)?;
            }
        }
        Ok(self.stopped.is_none().then_some(news))
    }

    /// Takes in what was looked up, in order.
    fn take_in_news<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Shared,
        store: &mut Store<W, E>,
        batch: &mut Batch<W>,
        depth: u32,
        looked: Looked,
        news: &Bits,
    ) -> Result<(), Stop> {
        let mut first = 0;
        for _ in 0..looked.worlds {
            batch.clear();
            let key = store.queue.front()[0];
            let known = place.visit(|place| batch.gather(place.ground::<W, E>(None, place.quiet()), &key, NOBODY));
            debug_assert!(known.is_ok(), "it was looked up before");
            let item = batch.items[0];
            self.expand_by_news(place, store, &item, depth, &batch.nexts, |at| news.get(first + at))?;
            first += batch.nexts.len() as u64;
            self.after_world(store)?;
            if self.stopped.is_some() {
                return Ok(());
            }
        }
        let Some(error) = looked.error else { return Ok(()) };
        // What comes before the question in the order of the contract has happened.
        batch.clear();
        let key = store.queue.front()[0];
        let _ = place.visit(|place| batch.gather(place.ground::<W, E>(None, place.quiet()), &key, NOBODY));
        let item = Item { key, start: 0, end: batch.nexts.len() as u32, slept: 0, moving: true, missed: true };
        self.expand_by_news(place, store, &item, depth, &batch.nexts, |at| news.get(first + at))?;
        Err(error.into())
    }

    /// As `expand`, where it is known which steps lead to new worlds.
    #[inline(always)]
    fn expand_by_news<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Shared,
        store: &mut Store<W, E>,
        item: &Item<W>,
        depth: u32,
        nexts: &[Next<W>],
        is_new: impl Fn(u64) -> bool,
    ) -> Result<(), Stop> {
        let parent = self.cursor as u32;
        let mut refused: Vec<E> = Vec::new();
        self.take_steps(place, store, item, parent, nexts, |search, store, at, next| {
            let entry = E::of(&next.key, next.hash);
            if !is_new(at as u64) {
                let outside = || search.outside_met && search.lies_outside(place, &next.key);
                return Ok(!refused.contains(&entry) && !outside());
            }
            let met = search.meet_on_disk(place, store, entry, next, parent, depth + 1)?;
            if !met {
                refused.push(entry);
            }
            Ok(met)
        })
    }

    fn meet_on_disk<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Shared,
        store: &mut Store<W, E>,
        entry: E,
        next: &Next<W>,
        parent: u32,
        depth: u32,
    ) -> Result<bool, Stop> {
        if !self.admits(place, next)? {
            return Ok(false);
        }
        self.reserve(store)?;
        if let Some(disk) = &mut store.disk {
            disk.add(entry, next.hash)?;
        }
        self.number(store, next, parent, depth)?;
        Ok(true)
    }
}
