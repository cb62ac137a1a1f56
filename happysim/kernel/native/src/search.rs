//! One exploration: the loop, and what is done now and then. The order of everything is that of
//! the reference kernel, so that the two agree in what a user sees.

use std::collections::HashSet;
use std::time::Instant;

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::ahead::{look_ahead, worlds_a_round, Share, View};
use crate::gather::{Batch, Item, Next, STEP};
use crate::judge::{MarkMiss, Memo, Parts, Verdict, DONE, OUTSIDE};
use crate::layout::{Key, Layout};
use crate::store::{push, OutOfMemory, Store, NO_PARENT};
use crate::tables::{Miss, Tables, NONE};

/// Between two looks at the clock, the memory, signals and the progress callback.
const WORLDS_A_TICK: u32 = 512;
/// Worlds whose steps are looked up together, so that the memory they need is on its way.
const WORLDS_A_BATCH: usize = 32;
const NEXTS_A_BATCH: usize = 512;

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
    pub threads: usize,
    /// Fewer worlds of one depth are not shared among threads.
    pub threads_from: usize,
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
    pub parents: Vec<u32>,
    /// Breadth first: the world to expand next, its depth, and where that depth ends.
    cursor: usize,
    depth: u32,
    level_end: usize,
    /// Depth first: worlds to expand, each with its depth.
    stack: Vec<(u32, u32)>,
    /// Where a depth-first search is cut by depth, a world met again nearer to the start must be
    /// expanded again: the least depth at which each was met, and whether it was expanded.
    nearest: Option<Vec<u32>>,
    expanded: Vec<bool>,
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
        judge: &Bound<'_, PyAny>,
        progress: Option<Py<PyAny>>,
        found: Py<PyAny>,
    ) -> PyResult<Self> {
        let py = judge.py();
        let nearest = (plan.depth_first && plan.depth.is_some()).then(Vec::new);
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
            parents: Vec::new(),
            cursor: 0,
            depth: 1,
            level_end: 0,
            stack: Vec::new(),
            nearest,
            expanded: Vec::new(),
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
    pub fn start<const W: usize>(
        &mut self,
        store: &mut Store<W>,
        starts: &[Vec<u32>],
    ) -> Result<(), Stop> {
        for start in starts {
            let key = self.layout.pack(start);
            let hash = crate::store::hash(&key);
            if store.find(&key, hash).is_none() {
                self.meet(store, &Next { key, hash, event: STEP, fine: false }, NO_PARENT, 1)?;
            }
        }
        self.level_end = store.keys.len();
        Ok(())
    }

    /// Takes in a world not seen before; false where it lies outside the bounds.
    #[inline(always)]
    fn meet<const W: usize>(
        &mut self,
        store: &mut Store<W>,
        next: &Next<W>,
        parent: u32,
        depth: u32,
    ) -> Result<bool, Stop> {
        if !next.fine {
            let (layout, key) = (&self.layout, &next.key);
            let known = self.worlds_judged.recall(&self.parts, |place| layout.get(key, place));
            let inside = match known {
                Ok(Verdict::Fine) => true,
                Ok(Verdict::Beyond) => false,
                _ => self.ask_about_world(store.keys.len(), key)?,
            };
            if !inside {
                return Ok(false);
            }
        }
        if Some(store.keys.len() as u64) == self.plan.worlds {
            self.stopped.get_or_insert("worlds");
            return Ok(false);
        }
        if self.parents.len() == self.parents.capacity() {
            self.parents.try_reserve(1).map_err(|_| OutOfMemory)?;
        }
        if let Some(nearest) = &mut self.nearest {
            nearest.try_reserve(1).map_err(|_| OutOfMemory)?;
            self.expanded.try_reserve(1).map_err(|_| OutOfMemory)?;
        }
        let index = store.insert(&next.key, next.hash)?;
        self.parents.push(parent);
        if let Some(nearest) = &mut self.nearest {
            nearest.push(depth);
            self.expanded.push(false);
        }
        if self.plan.depth_first {
            push(&mut self.stack, (index, depth))?;
        }
        self.depth_max = self.depth_max.max(depth);
        Ok(true)
    }

    /// Judges a world of which nothing is remembered; false where it lies outside the bounds.
    #[cold]
    #[inline(never)]
    fn ask_about_world<const W: usize>(&mut self, index: usize, key: &Key<W>) -> PyResult<bool> {
        let layout = &self.layout;
        let number = |place: usize| layout.get(key, place);
        Python::attach(|py| {
            let judge = self.judge.bind(py);
            loop {
                match self.worlds_judged.recall(&self.parts, number) {
                    Ok(Verdict::Fine) => return Ok(true),
                    Ok(Verdict::Beyond) => return Ok(false),
                    Ok(Verdict::Unknown) => break,
                    Err(miss) => self.parts.fill(judge, miss)?,
                }
            }
            let mut numbers = Vec::new();
            layout.unpack(key, &mut numbers);
            if !self.outside.is_empty() && self.outside.contains(numbers.as_slice()) {
                return Ok(false);
            }
            let arguments = (index, tuple(py, &numbers)?);
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
                let (memo, parts) = (&mut self.worlds_judged, &mut self.parts);
                remember(memo, parts, judge, &reads, verdict, number)?;
            } else if is_outside {
                self.outside.insert(numbers.into());
            }
            Ok(!is_outside)
        })
    }

    /// A world seen before, in a depth-first search that is cut by depth.
    fn meet_again(&mut self, index: u32, parent: u32, depth: u32) -> Result<(), Stop> {
        if let Some(nearest) = &mut self.nearest {
            if depth < nearest[index as usize] {
                push(&mut self.stack, (index, depth))?;
                nearest[index as usize] = depth;
                self.parents[index as usize] = parent;
            }
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
        let places = self.tables.slots + 2;
        let layout = &self.layout;
        let number = |place: usize| match place.checked_sub(places) {
            None => layout.get(before, place),
            Some(place) => layout.get(after, place),
        };
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
        let places = self.tables.slots + 2;
        let layout = &self.layout;
        let number = |place: usize| match place.checked_sub(places) {
            None => layout.get(before, place),
            Some(place) => layout.get(after, place),
        };
        Python::attach(|py| {
            let judge = self.judge.bind(py);
            loop {
                match self.steps_judged.recall(&self.parts, number) {
                    Ok(Verdict::Fine) => return Ok(()),
                    Ok(_) => break,
                    Err(miss) => self.parts.fill(judge, miss)?,
                }
            }
            let (mut from, mut to) = (Vec::new(), Vec::new());
            layout.unpack(before, &mut from);
            layout.unpack(after, &mut to);
            let arguments = (index, tuple(py, &from)?, tuple(py, &to)?);
            let said: u32 = judge.call_method1(intern!(py, "step"), arguments)?.extract()?;
            if said & DONE != 0 {
                self.stopped = Some("done");
            } else if let Some(reads) = self.parts.last_read(judge)? {
                let (memo, parts) = (&mut self.steps_judged, &mut self.parts);
                remember(memo, parts, judge, &reads, Verdict::Fine, number)?;
            }
            Ok(())
        })
    }

    fn judge_end<const W: usize>(&mut self, index: u32, key: &Key<W>) -> PyResult<()> {
        let mut numbers = Vec::new();
        self.layout.unpack(key, &mut numbers);
        let said: u32 = Python::attach(|py| {
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
    pub fn run<const W: usize>(&mut self, store: &mut Store<W>) -> Result<Exit, Stop> {
        let mut batch = Batch::new();
        let mut shares: Vec<Share<W>> = Vec::new();
        while self.stopped.is_none() && self.waiting(store) > 0 {
            let (first, depth) = self.next(store);
            if Some(depth) == self.plan.depth {
                if !self.stand_still(store, first)? {
                    return Ok(Exit::Outgrown);
                }
                self.after_world(store)?;
                continue;
            }
            let round = match self.plan.threads {
                1 => 0,
                _ if self.plan.depth_first => 0,
                _ => worlds_a_round(self.level_end - self.cursor, self.plan.threads_from),
            };
            if round == 0 {
                let end = self.level_end;
                if let Exit::Outgrown = self.some_worlds(store, &mut batch, end)? {
                    return Ok(Exit::Outgrown);
                }
                continue;
            }
            shares.resize_with(self.plan.threads, Share::new);
            let view = View {
                tables: &self.tables,
                layout: &self.layout,
                store,
                parts: &self.parts,
                worlds_judged: &self.worlds_judged,
                steps_judged: self.judges_steps.then_some(&self.steps_judged),
            };
            look_ahead(view, &mut shares, self.cursor..self.cursor + round);
            for share in &shares {
                self.take_in(store, &share.batch, depth)?;
                while self.stopped.is_none() && self.cursor < share.range.end {
                    let end = share.range.end;
                    if let Exit::Outgrown = self.some_worlds(store, &mut batch, end)? {
                        return Ok(Exit::Outgrown);
                    }
                }
                if self.stopped.is_some() {
                    break;
                }
            }
        }
        Ok(Exit::Finished)
    }

    /// Expands the next world, asking the model what it needs, and more that need no asking.
    #[inline(always)]
    fn some_worlds<const W: usize>(
        &mut self,
        store: &mut Store<W>,
        batch: &mut Batch<W>,
        end: usize,
    ) -> Result<Exit, Stop> {
        let (first, depth) = self.next(store);
        batch.clear();
        while let Err(miss) = batch.gather(&self.tables, &self.layout, store, first) {
            if let Err(error) = Python::attach(|py| self.tables.fill(py, miss)) {
                // What comes before the question in the order of the contract has happened.
                let end = batch.nexts.len() as u32;
                let item = Item { index: first, end, settled: 0, moving: true };
                self.take();
                self.expand(store, item, depth, &batch.nexts)?;
                return Err(error.into());
            }
            if !self.layout.fits(&self.tables.largest) {
                return Ok(Exit::Outgrown);
            }
            batch.clear();
        }
        self.gather_more(store, batch, first, end);
        self.take_in(store, batch, depth)?;
        Ok(Exit::Finished)
    }

    /// Expands the worlds of a batch, in order, until the search is to stop.
    #[inline(always)]
    fn take_in<const W: usize>(
        &mut self,
        store: &mut Store<W>,
        batch: &Batch<W>,
        depth: u32,
    ) -> Result<(), Stop> {
        let mut start = 0;
        for &item in &batch.items {
            let end = item.end as usize;
            self.take();
            self.expand(store, item, depth, &batch.nexts[start..end])?;
            self.after_world(store)?;
            if self.stopped.is_some() {
                break;
            }
            start = end;
        }
        Ok(())
    }

    /// Breadth first: the worlds that come next at the same depth, up to the first miss. Asking the
    /// model about them can wait, and must: the search may end before their turn.
    #[inline(always)]
    fn gather_more<const W: usize>(
        &self,
        store: &Store<W>,
        batch: &mut Batch<W>,
        first: u32,
        end: usize,
    ) {
        if !self.plan.depth_first {
            let end = end.min(first as usize + WORLDS_A_BATCH);
            for index in first as usize + 1..end {
                let kept = batch.nexts.len();
                if kept > NEXTS_A_BATCH {
                    break;
                }
                if batch.gather(&self.tables, &self.layout, store, index as u32).is_err() {
                    batch.nexts.truncate(kept);
                    break;
                }
            }
        }
        for next in &batch.nexts {
            store.prefetch_key(next.hash);
        }
    }

    fn waiting<const W: usize>(&self, store: &Store<W>) -> usize {
        if self.plan.depth_first { self.stack.len() } else { store.keys.len() - self.cursor }
    }

    /// The world to expand next, and its depth.
    #[inline(always)]
    fn next<const W: usize>(&mut self, store: &Store<W>) -> (u32, u32) {
        if let Some(&top) = self.stack.last() {
            return top;
        }
        if self.cursor == self.level_end {
            self.depth += 1;
            self.level_end = store.keys.len();
        }
        (self.cursor as u32, self.depth)
    }

    #[inline(always)]
    fn take(&mut self) {
        if self.stack.pop().is_none() {
            self.cursor += 1;
        }
    }

    /// Takes the steps that lead on from one world.
    #[inline(always)]
    fn expand<const W: usize>(
        &mut self,
        store: &mut Store<W>,
        item: Item,
        depth: u32,
        nexts: &[Next<W>],
    ) -> Result<(), Stop> {
        let steps_before = self.steps;
        self.steps += item.settled as u64;
        let cut = self.nearest.is_some();
        let key = store.keys[item.index as usize];
        let again = cut && std::mem::replace(&mut self.expanded[item.index as usize], true);
        for next in nexts {
            if next.event != STEP {
                self.steps += 1;
                self.judge_raise(item.index, next.event)?;
                continue;
            }
            match store.find(&next.key, next.hash) {
                Some(index) if cut => self.meet_again(index, item.index, depth + 1)?,
                Some(_) => {}
                None => {
                    if !self.meet(store, next, item.index, depth + 1)? {
                        continue;
                    }
                }
            }
            self.steps += 1;
            if self.judges_steps {
                self.judge_step(item.index, &key, &next.key)?;
            }
        }
        if !item.moving && self.judges_quiescence {
            self.judge_end(item.index, &key)?;
        }
        if again {
            // Expanded before, from farther away: its steps have been counted.
            self.steps = steps_before;
        }
        Ok(())
    }

    /// Looks an answer up, asking the model for what it has not said yet. `None`: a number outgrew
    /// its field.
    fn look<T>(&mut self, up: impl Fn(&Tables) -> Result<T, Miss>) -> PyResult<Option<T>> {
        loop {
            match up(&self.tables) {
                Ok(found) => return Ok(Some(found)),
                Err(miss) => Python::attach(|py| self.tables.fill(py, miss))?,
            }
            if !self.layout.fits(&self.tables.largest) {
                return Ok(None);
            }
        }
    }

    /// A world at the depth limit: it is judged, and not expanded. False: a number outgrew its
    /// field, and nothing was done.
    fn stand_still<const W: usize>(&mut self, store: &Store<W>, index: u32) -> PyResult<bool> {
        let key = store.keys[index as usize];
        let mut numbers = Vec::new();
        self.layout.unpack(&key, &mut numbers);
        let moving = |tables: &Tables| {
            let mut moving = false;
            for slot in 0..tables.slots {
                let row = tables.row(slot, numbers[slot])?;
                moving |= row.plain != row.faults;
            }
            Ok(moving)
        };
        let Some(moving) = self.look(moving)? else { return Ok(false) };
        if self.nearest.is_none() && !self.depth_limited {
            match self.look(|tables| leads_on(tables, &numbers)) {
                Ok(Some(on)) => self.depth_limited = on,
                Ok(None) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.take();
        if self.judges_quiescence && !moving {
            self.judge_end(index, &key)?;
        }
        Ok(true)
    }

    /// After a depth-first search that was cut: some worlds at the limit were met again nearer to
    /// the start; is one left that leads on?
    pub fn look_beyond<const W: usize>(&mut self, store: &Store<W>) -> Result<Exit, Stop> {
        let Some(nearest) = self.nearest.take() else { return Ok(Exit::Finished) };
        let mut numbers = Vec::new();
        for (index, &depth) in nearest.iter().enumerate() {
            if Some(depth) == self.plan.depth && !self.depth_limited {
                self.layout.unpack(&store.keys[index], &mut numbers);
                // No world is packed any more, so a number may outgrow its field.
                loop {
                    match leads_on(&self.tables, &numbers) {
                        Ok(on) => break self.depth_limited = on,
                        Err(miss) => Python::attach(|py| self.tables.fill(py, miss))?,
                    }
                }
            }
        }
        Ok(Exit::Finished)
    }

    #[inline(always)]
    fn after_world<const W: usize>(&mut self, store: &Store<W>) -> Result<(), Stop> {
        self.until_tick -= 1;
        if self.until_tick == 0 {
            self.until_tick = WORLDS_A_TICK;
            self.tick(store)?;
        }
        Ok(())
    }

    /// Looks at signals, the clock and the memory, and tells how far the search is.
    #[inline(never)]
    fn tick<const W: usize>(&mut self, store: &Store<W>) -> PyResult<()> {
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
                self.tell(py, store.keys.len(), self.waiting(store))?;
                progress.call1(py, (&self.found,))?;
                // The callback may ask the search to stop.
            }
            Ok(())
        })
    }

    /// Writes what is known so far into the `contract.Exploration`.
    pub fn tell(&self, py: Python<'_>, worlds: usize, waiting: usize) -> PyResult<()> {
        let found = self.found.bind(py);
        found.setattr(intern!(py, "worlds"), worlds)?;
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

    pub fn waiting_now<const W: usize>(&self, store: &Store<W>) -> usize {
        self.waiting(store)
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

fn remember(
    memo: &mut Memo,
    parts: &mut Parts,
    judge: &Bound<'_, PyAny>,
    reads: &[u32],
    verdict: Verdict,
    number: impl Fn(usize) -> u32 + Copy,
) -> PyResult<()> {
    while let Err(miss) = memo.remember(parts, reads, verdict, number) {
        let miss: MarkMiss = miss;
        parts.fill(judge, miss)?;
    }
    Ok(())
}
