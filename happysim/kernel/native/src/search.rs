//! One exploration: the loop, and what is done now and then. The order of everything is that of
//! the reference kernel, so that the two agree in what a user sees.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::ahead::{look_ahead, Round, WORLDS_A_ROUND};
use crate::checkpoint;
use crate::gather::{Batch, Ground, Item, Next, STEP};
use crate::judge::{Asking, Memo, Parts, Quiet, Verdict, DONE, OUTSIDE};
use crate::layout::{Key, Layout};
use crate::orbits::Orbits;
use crate::pool::Pool;
use crate::seen::{Entry, OutOfMemory, Seen};
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
/// How far ahead of taking them in the places of worlds are fetched.
const NEXTS_AHEAD: usize = 32;

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

/// What steps are looked up in. Several threads read it while one takes in what they found.
pub struct Place {
    pub tables: Tables,
    pub layout: Layout,
}

impl Place {
    pub fn ground<'a, const W: usize, E: Entry<W>>(
        &'a self,
        seen: Option<&'a Seen<W, E>>,
        quiet: Quiet,
    ) -> Ground<'a, W, E> {
        Ground { tables: &self.tables, layout: &self.layout, seen, quiet }
    }

    pub fn fits(&self) -> bool {
        self.layout.fits(&self.tables.largest)
    }
}

pub struct Search {
    pub exports: Exports,
    pub plan: Plan,
    pub judge: Py<PyAny>,
    judges_steps: bool,
    judges_quiescence: bool,
    parts: Parts,
    worlds_judged: Memo,
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

fn tuple<'py>(py: Python<'py>, numbers: &[u32]) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, numbers)
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
            parts: Parts::default(),
            worlds_judged: Memo::new(),
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

    // -- what happens at a new world ----------------------------------------------------------

    /// Takes in the first worlds.
    pub fn start<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Place,
        store: &mut Store<W, E>,
        starts: &[Vec<u32>],
    ) -> Result<(), Stop> {
        for (step, start) in starts.iter().enumerate() {
            let key = place.layout.pack(start);
            let mixes = start.iter().enumerate().map(|(at, &number)| place.tables.mix(at, number));
            let hash = E::hash_of(&key, mixes.fold(0, u64::wrapping_add));
            let next = Next { key, hash, step: step as u32, event: STEP, asleep: NOBODY, fine: false };
            let (entry, hash) = self.entry(place, &next, step);
            if let Err(at) = store.seen.find(&entry, hash) {
                if self.meet(place, store, at, &next, (entry, hash), NO_PARENT, 1)? {
                    self.count_orbit(step);
                }
            }
        }
        self.level_end = self.ways.count;
        Ok(())
    }

    /// What is kept of a world, and its hash; `at` is its place among those last looked at.
    #[inline(always)]
    fn entry<const W: usize, E: Entry<W>>(&self, place: &Place, next: &Next<W>, at: usize) -> (E, u64) {
        match &self.orbits {
            None => (E::of(&next.key, next.hash), next.hash),
            Some(orbits) => orbits.entry(&place.tables, &place.layout, at),
        }
    }

    #[inline(always)]
    fn count_orbit(&mut self, at: usize) {
        if let Some(orbits) = &mut self.orbits {
            orbits.count(at);
        }
    }

    /// Finds what stands for the worlds that steps lead to; some number may have outgrown its field.
    fn look_at_orbits<const W: usize>(&mut self, place: &mut Place, nexts: &[Next<W>]) -> PyResult<()> {
        let Some(orbits) = &mut self.orbits else { return Ok(()) };
        orbits.clear();
        let mut numbers = Vec::new();
        for next in nexts {
            if next.event == STEP {
                place.layout.unpack(&next.key, &mut numbers);
                orbits.look(&mut place.tables, &numbers)?;
            } else {
                orbits.skip();
            }
        }
        Ok(())
    }

    /// Takes in a world not seen before, for which the table has the place `at`; false where it lies
    /// outside the bounds.
    #[inline(always)]
    fn meet<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Place,
        store: &mut Store<W, E>,
        at: usize,
        next: &Next<W>,
        (entry, hash): (E, u64),
        parent: u32,
        depth: u32,
    ) -> Result<bool, Stop> {
        if !self.admits(place, next)? {
            return Ok(false);
        }
        self.reserve(store)?;
        store.seen.insert_at(at, entry, hash)?;
        self.number(store, next, parent, depth)?;
        Ok(true)
    }

    /// Judges a new world; false where it lies outside the bounds, or there is no room for it.
    #[inline(always)]
    pub fn admits<const W: usize>(&mut self, place: &Place, next: &Next<W>) -> Result<bool, Stop> {
        if !next.fine {
            let (layout, tables, key) = (&place.layout, &place.tables, &next.key);
            let number = |at| layout.place(tables, key, at);
            let inside = match self.worlds_judged.recall(&self.parts, number) {
                Ok(Verdict::Fine) => true,
                Ok(Verdict::Beyond) => false,
                _ => self.ask_about_world(place, self.ways.count, key)?,
            };
            if !inside {
                return Ok(false);
            }
        }
        if Some(self.ways.count as u64) == self.plan.worlds {
            self.stopped.get_or_insert("worlds");
            return Ok(false);
        }
        Ok(true)
    }

    /// True where a world was judged before, and lies outside the bounds.
    pub fn lies_outside<const W: usize>(&self, place: &Place, key: &Key<W>) -> bool {
        let number = |at| place.layout.place(&place.tables, key, at);
        match self.worlds_judged.recall(&self.parts, number) {
            Ok(Verdict::Beyond) => true,
            Ok(Verdict::Fine) => false,
            _ => {
                let mut numbers = Vec::new();
                place.layout.unpack(key, &mut numbers);
                self.outside.contains(numbers.as_slice())
            }
        }
    }

    /// Makes room for one more world, so that it is taken in as a whole or not at all.
    #[inline(always)]
    pub fn reserve<const W: usize, E: Entry<W>>(&mut self, store: &mut Store<W, E>) -> Result<(), Stop> {
        if !self.plan.depth_first {
            store.queue.reserve()?;
        }
        self.ways.reserve()
    }

    /// Gives a new world, which is in the table, its index, and lets it wait.
    #[inline(always)]
    pub fn number<const W: usize, E: Entry<W>>(
        &mut self,
        store: &mut Store<W, E>,
        next: &Next<W>,
        parent: u32,
        depth: u32,
    ) -> Result<(), Stop> {
        if self.plan.depth_first {
            store.push(&next.key, self.ways.count as u32, depth)?;
        } else {
            store.queue.push(&next.key);
            self.sleeping.push(next.asleep);
        }
        let index = self.ways.add(parent, next.step);
        if let Some(near) = &mut store.near {
            near.index.insert(E::of(&next.key, next.hash), index as u32);
            near.worlds.push((next.key, depth, false));
        }
        self.depth_max = self.depth_max.max(depth);
        Ok(())
    }

    /// Judges a world of which nothing is remembered; false where it lies outside the bounds.
    #[cold]
    #[inline(never)]
    fn ask_about_world<const W: usize>(
        &mut self,
        place: &Place,
        index: usize,
        key: &Key<W>,
    ) -> PyResult<bool> {
        let layout = &place.layout;
        Python::attach(|py| {
            let (judge, tables) = (self.judge.bind(py), &place.tables);
            let number = |at| layout.place(tables, key, at);
            let on = Asking { judge, tables, exports: &mut self.exports };
            match self.worlds_judged.recall_asking(&mut self.parts, on, number)? {
                Verdict::Fine => return Ok(true),
                Verdict::Beyond => return Ok(false),
                Verdict::Unknown => {}
            }
            let mut numbers = Vec::new();
            layout.unpack(key, &mut numbers);
            if !self.outside.is_empty() && self.outside.contains(numbers.as_slice()) {
                return Ok(false);
            }
            let mut told = numbers.clone();
            self.exports.world(py, &place.tables, &mut told)?;
            let arguments = (index, tuple(py, &told)?);
            let said: u32 = judge.call_method1(intern!(py, "world"), arguments)?.extract()?;
            let reads = self.parts.last_read(judge)?;
            let is_outside = said & OUTSIDE != 0;
            if is_outside {
                self.outside_met = true;
            } else if said & DONE != 0 {
                // A world for which there is no room is not met, and decides nothing.
                if Some(index as u64) != self.plan.worlds {
                    self.stopped = Some("done");
                }
                return Ok(true);
            }
            let verdict = if is_outside { Verdict::Beyond } else { Verdict::Fine };
            if let Some(reads) = reads {
                let on = Asking { judge, tables, exports: &mut self.exports };
                self.worlds_judged.remember(&mut self.parts, on, &reads, verdict, number)?;
            } else {
                self.worlds_judged.partial = true;
                if is_outside {
                    self.outside.insert(numbers.into());
                }
            }
            Ok(!is_outside)
        })
    }

    /// A world seen before, in a depth-first search that is cut by depth.
    fn meet_again<const W: usize, E: Entry<W>>(
        &mut self,
        store: &mut Store<W, E>,
        next: &Next<W>,
        parent: u32,
        depth: u32,
    ) -> Result<(), Stop> {
        let Some(near) = &mut store.near else { return Ok(()) };
        let Some(&index) = near.index.get(&E::of(&next.key, next.hash)) else { return Ok(()) };
        let before = &mut near.worlds[index as usize].1;
        if depth < *before {
            *before = depth;
            store.push(&next.key, index, depth)?;
            self.ways.replace(index as usize, parent, next.step);
        }
        Ok(())
    }

    /// A step, where some property looks at steps.
    #[inline(always)]
    fn judge_step<const W: usize>(
        &mut self,
        place: &Place,
        index: u32,
        before: &Key<W>,
        after: &Key<W>,
    ) -> PyResult<()> {
        let number = two(&place.layout, &place.tables, before, after);
        if let Ok(Verdict::Fine) = self.steps_judged.recall(&self.parts, number) {
            return Ok(());
        }
        self.ask_about_step(place, index, before, after)
    }

    #[cold]
    #[inline(never)]
    fn ask_about_step<const W: usize>(
        &mut self,
        place: &Place,
        index: u32,
        before: &Key<W>,
        after: &Key<W>,
    ) -> PyResult<()> {
        let layout = &place.layout;
        Python::attach(|py| {
            let (judge, tables) = (self.judge.bind(py), &place.tables);
            let number = two(layout, tables, before, after);
            let on = Asking { judge, tables, exports: &mut self.exports };
            if self.steps_judged.recall_asking(&mut self.parts, on, number)? == Verdict::Fine {
                return Ok(());
            }
            let (mut from, mut to) = (Vec::new(), Vec::new());
            layout.unpack(before, &mut from);
            layout.unpack(after, &mut to);
            self.exports.world(py, &place.tables, &mut from)?;
            self.exports.world(py, &place.tables, &mut to)?;
            let arguments = (index, tuple(py, &from)?, tuple(py, &to)?);
            let said: u32 = judge.call_method1(intern!(py, "step"), arguments)?.extract()?;
            if said & DONE != 0 {
                self.stopped = Some("done");
            } else if let Some(reads) = self.parts.last_read(judge)? {
                let on = Asking { judge, tables, exports: &mut self.exports };
                self.steps_judged.remember(&mut self.parts, on, &reads, Verdict::Fine, number)?;
            }
            Ok(())
        })
    }

    fn judge_end<const W: usize>(&mut self, place: &Place, index: u32, key: &Key<W>) -> PyResult<()> {
        let mut numbers = Vec::new();
        place.layout.unpack(key, &mut numbers);
        let said: u32 = Python::attach(|py| {
            self.exports.world(py, &place.tables, &mut numbers)?;
            let arguments = (index, tuple(py, &numbers)?);
            self.judge.bind(py).call_method1(intern!(py, "quiescent"), arguments)?.extract()
        })?;
        self.conclude(said);
        Ok(())
    }

    fn judge_raise(&mut self, place: &Place, index: u32, event: u32) -> PyResult<()> {
        let (slot, object) = &place.tables.raising[event as usize];
        let said: u32 = Python::attach(|py| {
            let arguments = (index, *slot, object);
            self.judge.bind(py).call_method1(intern!(py, "raised"), arguments)?.extract()
        })?;
        self.conclude(said);
        Ok(())
    }

    /// Stops where the judge has nothing left to find out.
    fn conclude(&mut self, said: u32) {
        if said & DONE != 0 {
            self.stopped = Some("done");
        }
    }

    // -- the loop -----------------------------------------------------------------------------

    /// Expands worlds until none is left, a limit is met, or a number outgrows its field.
    pub fn run<const W: usize, E: Entry<W>>(
        &mut self,
        place: &mut Place,
        store: &mut Store<W, E>,
    ) -> Result<Exit, Stop> {
        let mut batch = Batch::new();
        let mut pool = None;
        while self.stopped.is_none() && self.waiting(store) > 0 {
            self.spill(store)?;
            self.keep(place, store, false)?;
            let depth = self.next_depth(store);
            if Some(depth) == self.plan.depth {
                if !self.stand_still(place, store)? {
                    return Ok(Exit::Outgrown);
                }
                self.after_world(store)?;
                continue;
            }
            let alone = self.plan.threads == 1 || self.plan.depth_first || self.orbits.is_some();
            let exit = if store.disk.is_some() {
                self.worlds_on_disk(place, store, &mut batch, depth)?
            } else if alone || self.near(store) < self.plan.threads_from {
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

    /// How many worlds of the depth can be looked at, if these are few.
    fn near<const W: usize, E: Entry<W>>(&self, store: &Store<W, E>) -> usize {
        (self.level_end - self.cursor).min(store.queue.near(self.plan.threads_from))
    }

    pub fn quiet(&self, place: &Place) -> Quiet {
        self.worlds_judged.quiet(&self.parts, place.tables.slots)
    }

    /// Expands the next world, asking the model what it needs, and more that need no asking.
    #[inline(always)]
    fn some_worlds<const W: usize, E: Entry<W>>(
        &mut self,
        place: &mut Place,
        store: &mut Store<W, E>,
        batch: &mut Batch<W>,
        depth: u32,
        most: usize,
    ) -> Result<Exit, Stop> {
        batch.clear();
        let waiting = store.queue.front().len().min(most);
        let most = if self.plan.depth_first { 1 } else { waiting.min(WORLDS_A_BATCH) };
        let quiet = self.quiet(place);
        let mut at = 0;
        while at < most && batch.nexts.len() < NEXTS_A_BATCH {
            let (key, asleep) = match store.stack.last() {
                Some(top) => (top.key, NOBODY),
                None => (store.queue.front()[at], self.sleeping.get(at)),
            };
            let kept = batch.nexts.len();
            let Err(miss) = batch.gather(place.ground(Some(&store.seen), quiet), &key, asleep) else {
                at += 1;
                continue;
            };
            let Err(question) = place.tables.settle(miss) else {
                batch.nexts.truncate(kept);
                continue;
            };
            // Asking about a later world can wait, and must: the search may end before its turn.
            if at > 0 {
                batch.nexts.truncate(kept);
                break;
            }
            if let Err(error) = Python::attach(|py| place.tables.ask(py, question)) {
                // What comes before the question in the order of the contract has happened.
                let end = batch.nexts.len() as u32;
                let item = Item { key, start: 0, end, slept: 0, moving: true, missed: true };
                if place.fits() && self.orbits.is_none() {
                    self.expand(place, store, &item, depth, &batch.nexts)?;
                }
                return Err(error.into());
            }
            batch.nexts.truncate(kept);
        }
        // What outgrew its field cannot be read there: such worlds are gathered once more.
        if place.fits() {
            self.look_at_orbits(place, &batch.nexts)?;
        }
        if !place.fits() {
            return Ok(Exit::Outgrown);
        }
        for item in &batch.items {
            self.expand(place, store, item, depth, &batch.nexts)?;
            self.after_world(store)?;
            if self.stopped.is_some() {
                break;
            }
        }
        Ok(Exit::Finished)
    }

    /// Expands worlds as long as enough of them wait: while one round of them is taken in, the next
    /// is looked up by other threads.
    fn many_worlds<const W: usize, E: Entry<W>>(
        &mut self,
        pool: &Pool,
        place: &mut Place,
        store: &mut Store<W, E>,
        batch: &mut Batch<W>,
    ) -> Result<Exit, Stop> {
        let (mut round, mut following) = (Round::new(), Round::new());
        while self.stopped.is_none() {
            self.plan_round(store, &round, &mut following);
            if round.left() == 0 && following.keys.len() < self.plan.threads_from.min(WORLDS_A_ROUND) {
                break;
            }
            let mut ended = Ok(());
            let ground = place.ground::<W, E>(None, self.quiet(place));
            look_ahead(pool, ground, &mut following, || {
                ended = self.take_in(place, store, &mut round);
            });
            ended?;
            while self.stopped.is_none() && round.left() > 0 {
                // Something is missing about the next world: ask, and go on alone.
                let before = self.cursor;
                if let Exit::Outgrown = self.some_worlds(place, store, batch, round.depth, round.left())? {
                    return Ok(Exit::Outgrown);
                }
                for _ in before..self.cursor {
                    round.step_on();
                }
                self.take_in(place, store, &mut round)?;
            }
            std::mem::swap(&mut round, &mut following);
            self.next_depth(store);
            let keeper = self.plan.keeper.as_ref();
            let due = keeper.is_some_and(|keeper| self.kept_at.elapsed().as_secs_f64() >= keeper.every);
            if due || self.is_large(store) {
                break;
            }
        }
        Ok(Exit::Finished)
    }

    /// Which worlds follow those that are left of a round: of one depth, and met already.
    fn plan_round<const W: usize, E: Entry<W>>(
        &self,
        store: &Store<W, E>,
        round: &Round<W>,
        following: &mut Round<W>,
    ) {
        let skip = round.left();
        let same_depth = self.level_end - self.cursor - skip;
        following.depth = self.depth + (same_depth == 0) as u32;
        let most = if same_depth == 0 { WORLDS_A_ROUND } else { same_depth.min(WORLDS_A_ROUND) };
        let most = if Some(following.depth) == self.plan.depth { 0 } else { most };
        store.queue.copy(skip, most, &mut following.keys);
        self.sleeping.copy(skip, following.keys.len(), &mut following.asleep);
    }

    /// Takes in the worlds of a round, up to the first of which something is missing.
    fn take_in<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Place,
        store: &mut Store<W, E>,
        round: &mut Round<W>,
    ) -> Result<(), Stop> {
        while self.stopped.is_none() {
            let Some((batch, item)) = round.next() else { break };
            if item.missed {
                break;
            }
            let ahead = |at: u32| batch.nexts.len().min(at as usize + NEXTS_AHEAD);
            for next in &batch.nexts[ahead(item.start)..ahead(item.end)] {
                store.seen.prefetch(next.hash);
            }
            self.expand(place, store, item, round.depth, &batch.nexts)?;
            self.after_world(store)?;
            round.step_on();
        }
        Ok(())
    }

    /// How far the search is; see `recount`.
    pub fn counts(&self) -> [u64; 9] {
        [
            self.cursor as u64,
            self.level_end as u64,
            self.depth as u64,
            self.begun as u64,
            self.steps,
            self.depth_max as u64,
            self.outside_met as u64,
            self.depth_limited as u64,
            self.ways.count as u64,
        ]
    }

    /// Goes on from where another search was; the number of worlds that it had met.
    pub fn recount(&mut self, counts: [u64; 9]) -> u64 {
        let [cursor, level_end, depth, begun, steps, depth_max, outside, limited, count] = counts;
        (self.cursor, self.level_end, self.begun) = (cursor as usize, level_end as usize, begun as usize);
        (self.depth, self.depth_max, self.steps) = (depth as u32, depth_max as u32, steps);
        (self.outside_met, self.depth_limited) = (outside != 0, limited != 0);
        // What the judge read of the worlds met before is not known here, so any step may be news.
        self.worlds_judged.partial = true;
        self.sleeping.end();
        count
    }

    /// Writes a checkpoint, where one is due: once in a while, and where it `ends` early.
    pub fn keep<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Place,
        store: &Store<W, E>,
        ends: bool,
    ) -> PyResult<()> {
        let Some(keeper) = &self.plan.keeper else { return Ok(()) };
        let due = self.kept_at.elapsed().as_secs_f64() >= keeper.every;
        if !(due || ends) {
            return Ok(());
        }
        let head: Vec<u8> = Python::attach(|py| {
            keeper.object.call_method1(py, intern!(py, "head"), (self.ways.count,))?.extract(py)
        })?;
        let said = checkpoint::save(&keeper.path, &head, self, place, store);
        let trouble = said.err().map_or(String::new(), |error| error.to_string());
        Python::attach(|py| keeper.object.call_method1(py, intern!(py, "kept"), (trouble,)))?;
        self.kept_at = Instant::now();
        Ok(())
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
        place: &Place,
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
        place: &Place,
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
        place: &Place,
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

    /// A world at the depth limit: it is judged, and not expanded. False: a number outgrew its
    /// field, and nothing was done.
    fn stand_still<const W: usize, E: Entry<W>>(
        &mut self,
        place: &mut Place,
        store: &mut Store<W, E>,
    ) -> Result<bool, Stop> {
        let key = match store.stack.last() {
            Some(top) => top.key,
            None => store.queue.front()[0],
        };
        let mut numbers = Vec::new();
        place.layout.unpack(&key, &mut numbers);
        let moving = place.tables.look(|tables| {
            let mut moving = false;
            for slot in 0..tables.slots {
                let row = tables.row(slot, numbers[slot])?;
                moving |= row.plain != row.faults;
            }
            Ok(moving)
        })?;
        if !self.cut && !self.depth_limited {
            self.depth_limited = place.tables.look(|tables| leads_on(tables, &numbers))?;
        }
        if !place.fits() {
            return Ok(false);
        }
        let index = self.take(store);
        let item = Item { key, start: 0, end: 0, slept: 0, moving, missed: false };
        self.leave(place, store, &item, index)?;
        Ok(true)
    }

    /// After a depth-first search that was cut: some worlds at the limit were met again nearer to
    /// the start; is one left that leads on?
    pub fn look_beyond<const W: usize, E: Entry<W>>(
        &mut self,
        place: &mut Place,
        store: &mut Store<W, E>,
    ) -> Result<(), Stop> {
        let Some(near) = store.near.take() else { return Ok(()) };
        let mut numbers = Vec::new();
        for &(key, depth, _) in &near.worlds {
            if Some(depth) == self.plan.depth && !self.depth_limited {
                place.layout.unpack(&key, &mut numbers);
                self.depth_limited = place.tables.look(|tables| leads_on(tables, &numbers))?;
            }
        }
        Ok(())
    }

    #[inline(always)]
    pub fn after_world<const W: usize, E: Entry<W>>(&mut self, store: &Store<W, E>) -> Result<(), Stop> {
        self.until_tick -= 1;
        if self.until_tick == 0 {
            self.until_tick = WORLDS_A_TICK;
            self.tick(store)?;
        }
        Ok(())
    }

    /// Looks at signals, the clock and the memory, and tells how far the search is.
    #[inline(never)]
    pub fn tick<const W: usize, E: Entry<W>>(&mut self, store: &Store<W, E>) -> PyResult<()> {
        let over = |limit: Option<f64>, used: &dyn Fn() -> f64| limit.is_some_and(|most| used() > most);
        if over(self.plan.seconds, &|| self.started.elapsed().as_secs_f64()) {
            self.stopped = Some("seconds");
        }
        // Asking the system costs more than a look at the clock.
        self.ticks += 1;
        if self.ticks % TICKS_A_LOOK_AT_MEMORY == 1 && over(self.plan.memory_mib, &crate::memory::used_mib) {
            self.stopped = Some("memory");
        }
        Python::attach(|py| {
            py.check_signals()?;
            if let Some(progress) = &self.progress {
                self.tell(py, self.waiting(store))?;
                progress.call1(py, (&self.found,))?;
            }
            Ok(())
        })
    }

    /// Writes what is known so far into the `contract.Exploration`.
    pub fn tell(&self, py: Python<'_>, waiting: usize) -> PyResult<()> {
        let found = self.found.bind(py);
        found.setattr(intern!(py, "worlds"), self.ways.count)?;
        found.setattr(intern!(py, "waiting"), waiting)?;
        found.setattr(intern!(py, "steps"), self.steps)?;
        found.setattr(intern!(py, "depth"), self.depth_max)?;
        found.setattr(intern!(py, "outside"), self.outside_met)?;
        found.setattr(intern!(py, "depth_limited"), self.depth_limited)?;
        found.setattr(intern!(py, "stopped"), self.stopped)
    }

    /// Notes why the search ended early; an error that is no such reason is handed on.
    pub fn end_early(&mut self, py: Python<'_>, stop: Stop) -> PyResult<()> {
        match stop {
            Stop::Python(error) if error.is_instance_of::<PyKeyboardInterrupt>(py) => {
                self.stopped = Some("interrupt");
            }
            Stop::Python(error) => return Err(error),
            Stop::Memory => self.stopped = Some("memory"),
            Stop::Disk(error) => {
                self.found.bind(py).setattr(intern!(py, "trouble"), error.to_string())?;
                self.stopped = Some(if is_full(&error) { "disk full" } else { "disk" });
            }
        }
        Ok(())
    }
}

/// What stands at a place of the worlds before and after a step.
fn two<'a, const W: usize>(
    layout: &'a Layout,
    tables: &'a Tables,
    before: &'a Key<W>,
    after: &'a Key<W>,
) -> impl Fn(usize) -> u32 + Copy + 'a {
    let places = 2 * tables.slots + 2;
    move |place| match place.checked_sub(places) {
        None => layout.place(tables, before, place),
        Some(place) => layout.place(tables, after, place),
    }
}

/// True where a world has a step, so that a depth limit left something out.
fn leads_on(tables: &Tables, numbers: &[u32]) -> Result<bool, Miss> {
    let ledger = numbers[tables.slots];
    for slot in 0..tables.slots {
        let row = tables.row(slot, numbers[slot])?;
        if row.plain != row.other {
            return Ok(true);
        }
        for step in &tables.moves[row.other as usize..row.faults as usize] {
            if step.source == NONE || !tables.blocked(ledger, step.source, slot)? {
                return Ok(true);
            }
        }
        for step in &tables.moves[row.faults as usize..row.end as usize] {
            if tables.pay(ledger, step.cost)? != NONE {
                return Ok(true);
            }
        }
    }
    Ok(!tables.ledger_moves(ledger)?.is_empty())
}
