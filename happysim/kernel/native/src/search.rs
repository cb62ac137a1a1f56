//! One exploration: the loop, and what is done now and then. The order of everything is that of
//! the reference kernel, so that the two agree in what a user sees.

use std::collections::HashSet;
use std::time::Instant;

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::ahead::{enter, look_ahead, Share, View, WORLDS_A_SHARE};
use crate::gather::{Batch, Ground, Item, Next, STEP};
use crate::judge::{Memo, Parts, Verdict, DONE, OUTSIDE};
use crate::layout::{Key, Layout};
use crate::seen::{Entry, OutOfMemory};
use crate::store::Store;
use crate::tables::{Miss, Tables, NONE};
use crate::ways::{Ways, NO_PARENT};

/// Between two looks at the clock, the memory, signals and the progress callback.
const WORLDS_A_TICK: u32 = 512;
/// Worlds whose steps are looked up together, so that the memory they need is on its way.
const WORLDS_A_BATCH: usize = 32;
const NEXTS_A_BATCH: usize = 512;
/// A run of worlds that nobody need be asked about is shared among threads from here on.
const WORLDS_A_RUN: usize = 256;

/// Why a part of the search could not be done.
pub enum Stop {
    Python(PyErr),
    Memory,
}

impl From<PyErr> for Stop {
    fn from(error: PyErr) -> Self {
        Stop::Python(error)
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

pub struct Search {
    pub tables: Tables,
    pub layout: Layout,
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
    /// Breadth first: the world to expand next, its depth, and where that depth ends.
    cursor: usize,
    depth: u32,
    level_end: usize,
    /// A depth-first search that is cut by depth.
    cut: bool,
    pub steps: u64,
    pub depth_max: u32,
    pub outside_met: bool,
    pub depth_limited: bool,
    pub stopped: Option<&'static str>,
    until_tick: u32,
    started: Instant,
    progress: Option<Py<PyAny>>,
    pub found: Py<PyAny>,
}

fn tuple<'py>(py: Python<'py>, numbers: &[u32]) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, numbers)
}

impl Search {
    pub fn new(
        tables: Tables,
        layout: Layout,
        plan: Plan,
        ways: Ways,
        judge: &Bound<'_, PyAny>,
        progress: Option<Py<PyAny>>,
        found: Py<PyAny>,
    ) -> PyResult<Self> {
        let py = judge.py();
        let cut = plan.cut();
        Ok(Search {
            tables,
            layout,
            plan,
            judges_steps: judge.getattr(intern!(py, "judges_steps"))?.is_truthy()?,
            judges_quiescence: judge.getattr(intern!(py, "judges_quiescence"))?.is_truthy()?,
            judge: judge.clone().unbind(),
            parts: Parts::default(),
            worlds_judged: Memo::new(),
            steps_judged: Memo::new(),
            outside: HashSet::new(),
            ways,
            cursor: 0,
            depth: 1,
            level_end: 0,
            cut,
            steps: 0,
            depth_max: 0,
            outside_met: false,
            depth_limited: false,
            stopped: None,
            until_tick: WORLDS_A_TICK,
            started: Instant::now(),
            progress,
            found,
        })
    }

    // -- what happens at a new world ----------------------------------------------------------

    /// Takes in the first worlds.
    pub fn start<const W: usize, E: Entry<W>>(
        &mut self,
        store: &mut Store<W, E>,
        starts: &[Vec<u32>],
    ) -> Result<(), Stop> {
        for (step, start) in starts.iter().enumerate() {
            let key = self.layout.pack(start);
            let mixes = start.iter().enumerate().map(|(place, &number)| self.tables.mix(place, number));
            let hash = E::hash_of(&key, mixes.fold(0, u64::wrapping_add));
            if !store.seen.contains(&E::of(&key, hash), hash) {
                let next = Next { key, hash, step: step as u32, event: STEP, fine: false };
                self.meet(store, &next, NO_PARENT, 1)?;
            }
        }
        self.level_end = self.ways.count;
        Ok(())
    }

    /// Takes in a world not seen before; false where it lies outside the bounds.
    #[inline(always)]
    fn meet<const W: usize, E: Entry<W>>(
        &mut self,
        store: &mut Store<W, E>,
        next: &Next<W>,
        parent: u32,
        depth: u32,
    ) -> Result<bool, Stop> {
        if !next.fine {
            let (layout, tables, key) = (&self.layout, &self.tables, &next.key);
            let number = |place| layout.place(tables, key, place);
            let inside = match self.worlds_judged.recall(&self.parts, number) {
                Ok(Verdict::Fine) => true,
                Ok(Verdict::Beyond) => false,
                _ => self.ask_about_world(self.ways.count, key)?,
            };
            if !inside {
                return Ok(false);
            }
        }
        if Some(self.ways.count as u64) == self.plan.worlds {
            self.stopped.get_or_insert("worlds");
            return Ok(false);
        }
        self.ways.reserve()?;
        store.seen.insert(E::of(&next.key, next.hash), next.hash)?;
        self.number(store, next, parent, depth)?;
        Ok(true)
    }

    /// Gives a new world, which is in the table, its index, and lets it wait.
    #[inline(always)]
    fn number<const W: usize, E: Entry<W>>(
        &mut self,
        store: &mut Store<W, E>,
        next: &Next<W>,
        parent: u32,
        depth: u32,
    ) -> Result<(), Stop> {
        if self.plan.depth_first {
            store.push(&next.key, self.ways.count as u32, depth)?;
        } else {
            store.queue.push(&next.key)?;
        }
        let index = self.ways.add(parent, next.step)?;
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
    fn ask_about_world<const W: usize>(&mut self, index: usize, key: &Key<W>) -> PyResult<bool> {
        let layout = &self.layout;
        Python::attach(|py| {
            let judge = self.judge.bind(py);
            loop {
                let number = |place| layout.place(&self.tables, key, place);
                match self.worlds_judged.recall(&self.parts, number) {
                    Ok(Verdict::Fine) => return Ok(true),
                    Ok(Verdict::Beyond) => return Ok(false),
                    Ok(Verdict::Unknown) => break,
                    Err(miss) => self.parts.fill(judge, &mut self.tables, miss)?,
                }
            }
            let mut numbers = Vec::new();
            layout.unpack(key, &mut numbers);
            if !self.outside.is_empty() && self.outside.contains(numbers.as_slice()) {
                return Ok(false);
            }
            let mut told = numbers.clone();
            self.tables.export(py, &mut told)?;
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
                loop {
                    let number = |place| layout.place(&self.tables, key, place);
                    let (memo, parts) = (&mut self.worlds_judged, &self.parts);
                    let Err(miss) = memo.remember(parts, &reads, verdict, number) else { break };
                    self.parts.fill(judge, &mut self.tables, miss)?;
                }
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
        index: u32,
        before: &Key<W>,
        after: &Key<W>,
    ) -> PyResult<()> {
        let number = two(&self.layout, &self.tables, before, after);
        if let Ok(Verdict::Fine) = self.steps_judged.recall(&self.parts, number) {
            return Ok(());
        }
        self.ask_about_step(index, before, after)
    }

    #[cold]
    #[inline(never)]
    fn ask_about_step<const W: usize>(
        &mut self,
        index: u32,
        before: &Key<W>,
        after: &Key<W>,
    ) -> PyResult<()> {
        let layout = &self.layout;
        Python::attach(|py| {
            let judge = self.judge.bind(py);
            loop {
                let number = two(layout, &self.tables, before, after);
                match self.steps_judged.recall(&self.parts, number) {
                    Ok(Verdict::Fine) => return Ok(()),
                    Ok(_) => break,
                    Err(miss) => self.parts.fill(judge, &mut self.tables, miss)?,
                }
            }
            let (mut from, mut to) = (Vec::new(), Vec::new());
            layout.unpack(before, &mut from);
            layout.unpack(after, &mut to);
            self.tables.export(py, &mut from)?;
            self.tables.export(py, &mut to)?;
            let arguments = (index, tuple(py, &from)?, tuple(py, &to)?);
            let said: u32 = judge.call_method1(intern!(py, "step"), arguments)?.extract()?;
            if said & DONE != 0 {
                self.stopped = Some("done");
            } else if let Some(reads) = self.parts.last_read(judge)? {
                loop {
                    let number = two(layout, &self.tables, before, after);
                    let (memo, parts) = (&mut self.steps_judged, &self.parts);
                    let Err(miss) = memo.remember(parts, &reads, Verdict::Fine, number) else { break };
                    self.parts.fill(judge, &mut self.tables, miss)?;
                }
            }
            Ok(())
        })
    }

    fn judge_end<const W: usize>(&mut self, index: u32, key: &Key<W>) -> PyResult<()> {
        let mut numbers = Vec::new();
        self.layout.unpack(key, &mut numbers);
        let said: u32 = Python::attach(|py| {
            self.tables.export(py, &mut numbers)?;
            let arguments = (index, tuple(py, &numbers)?);
            self.judge.bind(py).call_method1(intern!(py, "quiescent"), arguments)?.extract()
        })?;
        self.conclude(said);
        Ok(())
    }

    fn judge_raise(&mut self, index: u32, event: u32) -> PyResult<()> {
        let (slot, object) = &self.tables.raising[event as usize];
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
    pub fn run<const W: usize, E: Entry<W>>(&mut self, store: &mut Store<W, E>) -> Result<Exit, Stop> {
        let mut batch = Batch::new();
        let mut shares: Vec<Share<W>> = Vec::new();
        while self.stopped.is_none() && self.waiting(store) > 0 {
            let depth = self.next_depth(store);
            if Some(depth) == self.plan.depth {
                if !self.stand_still(store, depth)? {
                    return Ok(Exit::Outgrown);
                }
                self.after_world(store)?;
                continue;
            }
            let at_once = self.plan.threads * WORLDS_A_SHARE;
            let round = self.worlds_side_by_side(store).min(at_once);
            let alone = self.plan.threads == 1 || self.plan.depth_first;
            let exit = if alone || round < self.plan.threads_from {
                self.some_worlds(store, &mut batch, depth)?
            } else {
                shares.resize_with(self.plan.threads, Share::new);
                self.some_worlds_together(store, &mut shares, &mut batch, round, depth)?
            };
            if let Exit::Outgrown = exit {
                return Ok(Exit::Outgrown);
            }
        }
        Ok(Exit::Finished)
    }

    /// Breadth first: how many worlds of this depth can be looked at as one slice.
    fn worlds_side_by_side<const W: usize, E: Entry<W>>(&self, store: &Store<W, E>) -> usize {
        store.queue.front().len().min(self.level_end - self.cursor)
    }

    fn ground<'a, const W: usize, E: Entry<W>>(&'a self, store: &'a Store<W, E>) -> Ground<'a, W, E> {
        let quiet = self.worlds_judged.quiet(&self.parts, self.tables.slots);
        Ground { tables: &self.tables, layout: &self.layout, seen: &store.seen, quiet }
    }

    fn view<'a, const W: usize, E: Entry<W>>(&'a self, store: &'a Store<W, E>) -> View<'a, W, E> {
        View {
            on: self.ground(store),
            parts: &self.parts,
            worlds_judged: &self.worlds_judged,
            steps_judged: self.judges_steps.then_some(&self.steps_judged),
        }
    }

    /// Expands the next world, asking the model what it needs, and more that need no asking.
    #[inline(always)]
    fn some_worlds<const W: usize, E: Entry<W>>(
        &mut self,
        store: &mut Store<W, E>,
        batch: &mut Batch<W>,
        depth: u32,
    ) -> Result<Exit, Stop> {
        batch.clear();
        let most = if self.plan.depth_first { 1 } else { self.worlds_side_by_side(store).min(WORLDS_A_BATCH) };
        let mut at = 0;
        while at < most && batch.nexts.len() < NEXTS_A_BATCH {
            let key = match store.stack.last() {
                Some(top) => top.key,
                None => store.queue.front()[at],
            };
            let kept = batch.nexts.len();
            let Err(miss) = batch.gather(self.ground(store), &key) else {
                at += 1;
                continue;
            };
            let Err(question) = self.tables.settle(miss) else {
                batch.nexts.truncate(kept);
                continue;
            };
            // Asking about a later world can wait, and must: the search may end before its turn.
            if at > 0 {
                batch.nexts.truncate(kept);
                break;
            }
            if let Err(error) = Python::attach(|py| self.tables.ask(py, question)) {
                // What comes before the question in the order of the contract has happened.
                let end = batch.nexts.len() as u32;
                let item = Item { key, start: 0, end, settled: 0, moving: true, missed: false };
                if self.layout.fits(&self.tables.largest) {
                    self.expand(store, item, depth, &batch.nexts)?;
                }
                return Err(error.into());
            }
            batch.nexts.truncate(kept);
        }
        if !self.layout.fits(&self.tables.largest) {
            return Ok(Exit::Outgrown);
        }
        for &item in &batch.items {
            self.expand(store, item, depth, &batch.nexts)?;
            self.after_world(store)?;
            if self.stopped.is_some() {
                break;
            }
        }
        Ok(Exit::Finished)
    }

    /// Expands the worlds of a round, looked up by several threads.
    fn some_worlds_together<const W: usize, E: Entry<W>>(
        &mut self,
        store: &mut Store<W, E>,
        shares: &mut [Share<W>],
        batch: &mut Batch<W>,
        round: usize,
        depth: u32,
    ) -> Result<Exit, Stop> {
        look_ahead(self.view(store), shares, &store.queue.front()[..round]);
        for share in shares.iter_mut() {
            for at in 0..share.batch.items.len() {
                while share.batch.items[at].missed {
                    let Err(miss) = share.again(self.view(store), at) else { break };
                    if self.tables.settle(miss).is_err() {
                        break;
                    }
                }
            }
        }
        if !self.layout.fits(&self.tables.largest) {
            return Ok(Exit::Outgrown);
        }
        // A run of worlds that nobody need be asked about, as places of items in each share.
        let mut from = (0, 0);
        while from.0 < shares.len() && self.stopped.is_none() {
            let (until, count) = self.plain_run(shares, from);
            if count >= WORLDS_A_RUN.min(self.plan.threads_from) && self.has_room(shares) {
                self.take_in_together(store, shares, from, until, depth)?;
                from = until;
                continue;
            }
            let share = &shares[from.0].batch;
            match share.items.get(from.1) {
                None => from = (from.0 + 1, 0),
                Some(item) => {
                    let before = self.cursor;
                    if item.missed {
                        if let Exit::Outgrown = self.some_worlds(store, batch, depth)? {
                            return Ok(Exit::Outgrown);
                        }
                    } else {
                        self.expand(store, *item, depth, &share.nexts)?;
                        self.after_world(store)?;
                    }
                    // More than one may have been expanded: skip what was.
                    from = advance(shares, from, self.cursor - before);
                }
            }
        }
        Ok(Exit::Finished)
    }

    /// Where the worlds end, from a place on, that nobody need be asked about; and their number.
    fn plain_run<const W: usize>(&self, shares: &[Share<W>], from: (usize, usize)) -> ((usize, usize), usize) {
        let (mut at, mut count) = (from, 0);
        while at.0 < shares.len() {
            if at.1 == shares[at.0].batch.items.len() {
                at = (at.0 + 1, 0);
            } else if shares[at.0].is_plain(at.1, self.judges_quiescence) {
                at.1 += 1;
                count += 1;
            } else {
                break;
            }
        }
        (at, count)
    }

    /// True where the limit of worlds cannot be met in this round.
    fn has_room<const W: usize>(&self, shares: &[Share<W>]) -> bool {
        let steps: usize = shares.iter().map(|share| share.batch.nexts.len()).sum();
        self.plan.worlds.is_none_or(|most| (self.ways.count + steps) as u64 <= most)
    }

    /// Takes in the steps of a run of worlds that nobody need be asked about.
    fn take_in_together<const W: usize, E: Entry<W>>(
        &mut self,
        store: &mut Store<W, E>,
        shares: &mut [Share<W>],
        from: (usize, usize),
        until: (usize, usize),
        depth: u32,
    ) -> Result<(), Stop> {
        let range = |at: usize| {
            let start = if at == from.0 { from.1 } else { 0 };
            let end = if at == until.0 { until.1 } else { shares[at].batch.items.len() };
            if at < from.0 || at > until.0 { 0..0 } else { start..end }
        };
        let items: Vec<_> = (0..shares.len()).map(range).collect();
        enter(&mut store.seen, shares, &items, self.plan.threads)?;
        for (share, items) in shares.iter().zip(items) {
            for item in &share.batch.items[items] {
                let index = self.cursor as u32;
                self.take(store);
                self.steps += (item.settled + item.end - item.start) as u64;
                for at in item.start as usize..item.end as usize {
                    if share.is_new(at) {
                        self.ways.reserve()?;
                        self.number(store, &share.batch.nexts[at], index, depth + 1)?;
                    }
                }
                self.after_world(store)?;
                if self.stopped.is_some() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn waiting<const W: usize, E: Entry<W>>(&self, store: &Store<W, E>) -> usize {
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

    /// Takes the next world off the queue; its index.
    #[inline(always)]
    fn take<const W: usize, E: Entry<W>>(&mut self, store: &mut Store<W, E>) -> u32 {
        match store.stack.pop() {
            Some(top) => top.index,
            None => {
                store.queue.take();
                self.cursor += 1;
                self.cursor as u32 - 1
            }
        }
    }

    /// Takes the steps that lead on from the next world.
    #[inline(always)]
    fn expand<const W: usize, E: Entry<W>>(
        &mut self,
        store: &mut Store<W, E>,
        item: Item<W>,
        depth: u32,
        nexts: &[Next<W>],
    ) -> Result<(), Stop> {
        let parent = self.take(store);
        let steps_before = self.steps;
        self.steps += item.settled as u64;
        let mut again = false;
        if let Some(near) = &mut store.near {
            again = std::mem::replace(&mut near.worlds[parent as usize].2, true);
        }
        for next in &nexts[item.start as usize..item.end as usize] {
            if next.event != STEP {
                self.steps += 1;
                self.judge_raise(parent, next.event)?;
                continue;
            }
            if store.seen.contains(&E::of(&next.key, next.hash), next.hash) {
                if self.cut {
                    self.meet_again(store, next, parent, depth + 1)?;
                }
            } else if !self.meet(store, next, parent, depth + 1)? {
                continue;
            }
            self.steps += 1;
            if self.judges_steps {
                self.judge_step(parent, &item.key, &next.key)?;
            }
        }
        if !item.moving && self.judges_quiescence {
            self.judge_end(parent, &item.key)?;
        }
        if again {
            // Expanded before, from farther away: its steps have been counted.
            self.steps = steps_before;
        }
        Ok(())
    }

    /// Looks an answer up, asking the model for what it has not said yet.
    fn look<T>(&mut self, up: impl Fn(&Tables) -> Result<T, Miss>) -> PyResult<T> {
        loop {
            let miss = match up(&self.tables) {
                Ok(found) => return Ok(found),
                Err(miss) => miss,
            };
            if let Err(question) = self.tables.settle(miss) {
                Python::attach(|py| self.tables.ask(py, question))?;
            }
        }
    }

    /// A world at the depth limit: it is judged, and not expanded. False: a number outgrew its
    /// field, and nothing was done.
    fn stand_still<const W: usize, E: Entry<W>>(
        &mut self,
        store: &mut Store<W, E>,
        depth: u32,
    ) -> PyResult<bool> {
        debug_assert_eq!(Some(depth), self.plan.depth);
        let key = match store.stack.last() {
            Some(top) => top.key,
            None => store.queue.front()[0],
        };
        let mut numbers = Vec::new();
        self.layout.unpack(&key, &mut numbers);
        let moving = self.look(|tables| {
            let mut moving = false;
            for slot in 0..tables.slots {
                let row = tables.row(slot, numbers[slot])?;
                moving |= row.plain != row.faults;
            }
            Ok(moving)
        })?;
        if !self.cut && !self.depth_limited {
            self.depth_limited = self.look(|tables| leads_on(tables, &numbers))?;
        }
        if !self.layout.fits(&self.tables.largest) {
            return Ok(false);
        }
        let index = self.take(store);
        if self.judges_quiescence && !moving {
            self.judge_end(index, &key)?;
        }
        Ok(true)
    }

    /// After a depth-first search that was cut: some worlds at the limit were met again nearer to
    /// the start; is one left that leads on?
    pub fn look_beyond<const W: usize, E: Entry<W>>(&mut self, store: &mut Store<W, E>) -> Result<(), Stop> {
        let Some(near) = store.near.take() else { return Ok(()) };
        let mut numbers = Vec::new();
        for &(key, depth, _) in &near.worlds {
            if Some(depth) == self.plan.depth && !self.depth_limited {
                self.layout.unpack(&key, &mut numbers);
                self.depth_limited = self.look(|tables| leads_on(tables, &numbers))?;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn after_world<const W: usize, E: Entry<W>>(&mut self, store: &Store<W, E>) -> Result<(), Stop> {
        self.until_tick -= 1;
        if self.until_tick == 0 {
            self.until_tick = WORLDS_A_TICK;
            self.tick(store)?;
        }
        Ok(())
    }

    /// Looks at signals, the clock and the memory, and tells how far the search is.
    #[inline(never)]
    fn tick<const W: usize, E: Entry<W>>(&mut self, store: &Store<W, E>) -> PyResult<()> {
        let over = |limit: Option<f64>, used: &dyn Fn() -> f64| limit.is_some_and(|most| used() > most);
        if over(self.plan.seconds, &|| self.started.elapsed().as_secs_f64()) {
            self.stopped = Some("seconds");
        }
        if over(self.plan.memory_mib, &crate::memory::used_mib) {
            self.stopped = Some("memory");
        }
        Python::attach(|py| {
            py.check_signals()?;
            if let Some(progress) = &self.progress {
                self.tell(py, self.waiting(store))?;
                progress.call1(py, (&self.found,))?;
                // The callback may ask the search to stop.
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
        }
        Ok(())
    }

    pub fn waiting_now<const W: usize, E: Entry<W>>(&self, store: &Store<W, E>) -> usize {
        self.waiting(store)
    }
}

/// The item so many worlds further on.
fn advance<const W: usize>(shares: &[Share<W>], mut at: (usize, usize), mut worlds: usize) -> (usize, usize) {
    while worlds > 0 && at.0 < shares.len() {
        let some = worlds.min(shares[at.0].batch.items.len() - at.1);
        worlds -= some;
        at.1 += some;
        if at.1 == shares[at.0].batch.items.len() {
            at = (at.0 + 1, 0);
        }
    }
    at
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
