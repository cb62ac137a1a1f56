//! One exploration: the loop. The order of everything is that of the reference kernel, so that the two
//! agree in what a user sees. What happens at a new world is in `search/meet.rs`, what the judge is
//! asked in `search/judging.rs`, where a search ends in `search/limits.rs`, and how several threads
//! share the work in `search/ahead.rs`.

mod ahead;
mod judging;
mod limits;
mod meet;

pub use ahead::WORLDS_MIN;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::checkpoint;
use crate::gather::{Batch, Item, Next, STEP};
use crate::judge::{Asking, Memo, Verdict, DONE, OUTSIDE};
use crate::layout::{Key, Layout};
use crate::orbits::Orbits;
use crate::pool::Pool;
use crate::seen::{Entry, OutOfMemory, Seen};
use crate::shared::{Place, Shared};
use crate::sleep::{Sleeping, NOBODY};
use crate::spool::is_full;
use crate::store::Store;
use crate::tables::{Exports, Miss, Tables, NONE};
use crate::ways::{Ways, NO_PARENT};

/// Between two looks at the clock, the memory, signals and the progress callback.
const WORLDS_A_TICK: u32 = 512;
const TICKS_A_LOOK_AT_MEMORY: u32 = 8;
/// Worlds whose steps are looked up together, so that the memory they need is on its way.
const WORLDS_A_BATCH: usize = 32;
const NEXTS_A_BATCH: usize = 512;

/// Why a part of the search could not be done.
pub enum Stop {
    Python(PyErr),
    Memory,
    Disk(io::Error),
}

impl From<PyErr> for Stop {
    fn from(error: PyErr) -> Self {
        Stop::Python(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Disk(error)
    }
}

impl From<OutOfMemory> for Stop {
    fn from(_: OutOfMemory) -> Self {
        Stop::Memory
    }
}

/// How a run of the loop ended.
pub enum Exit {
    Finished,
    /// Some number outgrew its field: pack the worlds anew, and run again.
    Outgrown,
}

pub struct Plan {
    pub depth_first: bool,
    pub depth: Option<u32>,
    pub worlds: Option<u64>,
    pub seconds: Option<f64>,
    pub memory_mib: Option<f64>,
    /// Keep fingerprints of worlds, and not the worlds.
    pub fingerprints: bool,
    /// Where worlds go that take more bytes than this.
    pub disk: Option<(PathBuf, usize)>,
    pub keeper: Option<Keeper>,
    pub threads: usize,
    /// Fewer worlds of one depth are not shared among threads.
    pub threads_from: usize,
}

impl Plan {
    /// A depth-first search that is cut by depth.
    pub fn cut(&self) -> bool {
        self.depth_first && self.depth.is_some()
    }
}

/// Who is told of checkpoints; see `contract.Keeper`.
pub struct Keeper {
    pub object: Py<PyAny>,
    pub path: PathBuf,
    pub every: f64,
}

pub struct Search {
    pub exports: Exports,
    pub plan: Plan,
    pub judge: Py<PyAny>,
    judges_steps: bool,
    judges_quiescence: bool,
    steps_judged: Memo,
    /// Worlds outside the bounds, where the judge read all of them.
    outside: HashSet<Box<[u32]>>,
    pub ways: Ways,
    pub sleeping: Sleeping,
    /// Where worlds are told apart up to symmetry.
    pub orbits: Option<Orbits>,
    /// Breadth first: the world to expand next, its depth, and where that depth ends.
    pub cursor: usize,
    depth: u32,
    pub level_end: usize,
    /// Steps of the world to expand next that were taken in already.
    pub begun: usize,
    /// A depth-first search that is cut by depth.
    cut: bool,
    pub steps: u64,
    pub depth_max: u32,
    pub outside_met: bool,
    pub depth_limited: bool,
    pub stopped: Option<&'static str>,
    until_tick: u32,
    ticks: u32,
    started: Instant,
    kept_at: Instant,
    progress: Option<Py<PyAny>>,
    pub found: Py<PyAny>,
}

impl Search {
    pub fn new(
        exports: Exports,
        plan: Plan,
        ways: Ways,
        orbits: Option<Orbits>,
        judge: &Bound<'_, PyAny>,
        progress: Option<Py<PyAny>>,
        found: Py<PyAny>,
    ) -> PyResult<Self> {
        let py = judge.py();
        let cut = plan.cut();
        let judges_steps = judge.getattr(intern!(py, "judges_steps"))?.is_truthy()?;
        // A judge that does not say has bounds.
        let bounded = judge.getattr_opt(intern!(py, "judges_bounds"))?.map_or(Ok(true), |has| has.is_truthy())?;
        // What is told of symmetry is told of every step.
        let sees_all = plan.depth_first || exports.forgetful || orbits.is_some();
        let sleeping = Sleeping::new(!sees_all && !judges_steps && !bounded);
        Ok(Search {
            exports,
            plan,
            judges_steps,
            judges_quiescence: judge.getattr(intern!(py, "judges_quiescence"))?.is_truthy()?,
            judge: judge.clone().unbind(),
            steps_judged: Memo::new(),
            outside: HashSet::new(),
            ways,
            sleeping,
            orbits,
            cursor: 0,
            depth: 1,
            level_end: 0,
            begun: 0,
            cut,
            steps: 0,
            depth_max: 0,
            outside_met: false,
            depth_limited: false,
            stopped: None,
            until_tick: WORLDS_A_TICK,
            ticks: 0,
            started: Instant::now(),
            kept_at: Instant::now(),
            progress,
            found,
        })
    }

    /// Expands worlds until none is left, a limit is met, or a number outgrows its field.
    pub fn run<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Shared,
        store: &mut Store<W, E>,
    ) -> Result<Exit, Stop> {
        let mut batch = Batch::new();
        let mut pool = None;
        while self.stopped.is_none() && self.waiting(store) > 0 {
            self.spill(store)?;
            place.visit(|place| self.keep(place, store, false))?;
            let depth = self.next_depth(store);
            if Some(depth) == self.plan.depth {
                if !self.stand_still(place, store)? {
                    return Ok(Exit::Outgrown);
                }
                self.after_world(store)?;
                continue;
            }
            let few = self.near(store) < self.plan.threads_from;
            // Steps that were left out of a batch are not counted in what a search had begun.
            let alone = self.takes_one_thread() || self.begun > 0;
            let exit = if store.disk.is_some() {
                self.worlds_on_disk(place, store, &mut batch, depth)?
            } else if alone || few {
                self.some_worlds(place, store, &mut batch, depth, self.level_end - self.cursor)?
            } else {
                let pool = pool.get_or_insert_with(|| Pool::new(self.plan.threads - 1));
                self.many_worlds(pool, place, store, &mut batch)?
            };
            if let Exit::Outgrown = exit {
                return Ok(Exit::Outgrown);
            }
        }
        Ok(Exit::Finished)
    }

    fn takes_one_thread(&self) -> bool {
        self.plan.threads == 1 || self.plan.depth_first || self.orbits.is_some()
    }

    /// How many worlds of the depth can be looked at, if these are few.
    fn near<const W: usize, E: Entry<W>>(&self, store: &Store<W, E>) -> usize {
        (self.level_end - self.cursor).min(store.queue.near(self.plan.threads_from))
    }

    /// Expands the next world, asking the model what it needs, and more that need no asking.
    #[inline(always)]
    fn some_worlds<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Shared,
        store: &mut Store<W, E>,
        batch: &mut Batch<W>,
        depth: u32,
        most: usize,
    ) -> Result<Exit, Stop> {
        batch.clear();
        let waiting = store.queue.front().len().min(most);
        let most = if self.plan.depth_first { 1 } else { waiting.min(WORLDS_A_BATCH) };
        let quiet = place.visit(Place::quiet);
        let mut at = 0;
        while at < most && batch.nexts.len() < NEXTS_A_BATCH {
            let (key, asleep) = match store.stack.last() {
                Some(top) => (top.key, NOBODY),
                None => (store.queue.front()[at], self.sleeping.get(at)),
            };
            let kept = batch.nexts.len();
            let looked = place.visit(|place| batch.gather(place.ground(Some(&store.seen), quiet), &key, asleep));
            let Err(miss) = looked else {
                at += 1;
                continue;
            };
            let Err(question) = place.alone(|place| place.tables.settle(miss)) else {
                batch.nexts.truncate(kept);
                continue;
            };
            // Asking about a later world can wait, and must: the search may end before its turn.
            if at > 0 {
                batch.nexts.truncate(kept);
                break;
            }
            if let Err(error) = place.ask(question) {
                // What comes before the question in the order of the contract has happened.
                let end = batch.nexts.len() as u32;
                let item = Item { key, start: 0, end, slept: 0, moving: true, missed: true };
                if place.visit(Place::fits) && self.orbits.is_none() {
                    self.make_room(place, store, &batch.nexts)?;
                    self.expand(place, store, &item, depth, &batch.nexts)?;
                }
                return Err(error.into());
            }
            batch.nexts.truncate(kept);
        }
        // What outgrew its field cannot be read there: such worlds are gathered once more.
        if self.orbits.is_some() && place.visit(Place::fits) {
            place.alone(|place| self.look_at_orbits(place, &batch.nexts))?;
        }
        if !place.visit(Place::fits) {
            return Ok(Exit::Outgrown);
        }
        self.make_room(place, store, &batch.nexts)?;
        for item in &batch.items {
            self.expand(place, store, item, depth, &batch.nexts)?;
            self.after_world(store)?;
            if self.stopped.is_some() {
                break;
            }
        }
        Ok(Exit::Finished)
    }

    pub fn waiting<const W: usize, E: Entry<W>>(&self, store: &Store<W, E>) -> usize {
        if self.plan.depth_first { store.stack.len() } else { store.queue.len() }
    }

    /// The depth of the world to expand next.
    #[inline(always)]
    fn next_depth<const W: usize, E: Entry<W>>(&mut self, store: &Store<W, E>) -> u32 {
        if let Some(top) = store.stack.last() {
            return top.depth;
        }
        if self.cursor == self.level_end {
            self.depth += 1;
            self.level_end = self.ways.count;
        }
        self.depth
    }

    /// The index of the next world. Depth first it is taken off the stack at once, since other
    /// worlds go there; breadth first `leave` takes it off the queue.
    #[inline(always)]
    fn take<const W: usize, E: Entry<W>>(&mut self, store: &mut Store<W, E>) -> u32 {
        store.stack.pop().map_or(self.cursor as u32, |top| top.index)
    }

    /// A world has been expanded, unless something about it was missing.
    #[inline(always)]
    fn leave<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Shared,
        store: &mut Store<W, E>,
        item: &Item<W>,
        index: u32,
    ) -> Result<(), Stop> {
        if item.missed {
            return Ok(());
        }
        if !item.moving && self.judges_quiescence {
            self.judge_end(place, index, &item.key)?;
        }
        self.begun = 0;
        self.steps += item.slept as u64;
        if !self.plan.depth_first {
            store.queue.take()?;
            self.sleeping.take();
            self.cursor += 1;
        }
        Ok(())
    }

    /// Takes the steps that lead on from the next world.
    #[inline(always)]
    fn expand<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Shared,
        store: &mut Store<W, E>,
        item: &Item<W>,
        depth: u32,
        nexts: &[Next<W>],
    ) -> Result<(), Stop> {
        let parent = self.take(store);
        let steps_before = self.steps;
        let mut again = false;
        if let Some(near) = &mut store.near {
            again = std::mem::replace(&mut near.worlds[parent as usize].2, true);
        }
        self.take_steps(place, store, item, parent, nexts, |search, store, at, next| {
            let (entry, hash) = search.entry(place, next, at);
            match store.seen.find(&entry, hash) {
                Ok(_) if search.cut => search.meet_again(store, next, parent, depth + 1)?,
                Ok(_) => {}
                Err(free) => {
                    if !search.meet(place, store, free, next, (entry, hash), parent, depth + 1)? {
                        return Ok(false);
                    }
                    search.count_orbit(at);
                }
            }
            Ok(true)
        })?;
        if again {
            // Expanded before, from farther away: its steps have been counted.
            self.steps = steps_before;
        }
        Ok(())
    }

    /// Takes the steps of the world at `parent` that were not taken in yet. `arrive` is told the place
    /// of each among `nexts`, and says whether it leads to a world inside the bounds.
    #[inline(always)]
    pub fn take_steps<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Shared,
        store: &mut Store<W, E>,
        item: &Item<W>,
        parent: u32,
        nexts: &[Next<W>],
        mut arrive: impl FnMut(&mut Self, &mut Store<W, E>, usize, &Next<W>) -> Result<bool, Stop>,
    ) -> Result<(), Stop> {
        let end = item.end as usize;
        let first = (item.start as usize + self.begun).min(end);
        for (at, next) in (first..).zip(&nexts[first..end]) {
            if next.event != STEP {
                self.judge_raise(place, parent, next.event)?;
            } else if !arrive(self, store, at, next)? {
                self.begun += 1;
                continue;
            } else if self.judges_steps {
                self.judge_step(place, parent, &item.key, &next.key)?;
            }
            self.steps += 1;
            self.begun += 1;
        }
        self.leave(place, store, item, parent)
    }
}
