//! Random runs over the tables: `happysim/search/walk.py`, which specifies them, in Rust.

use std::collections::HashMap;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::judge::{Asking, Memo, Parts, Verdict, DONE, FOUND, OUTSIDE};
use crate::random::Random;
use crate::tables::{Exports, Move, Tables, NONE, RAISES};

const STEPS_A_LOOK_AT_SIGNALS: u32 = 1 << 14;

/// What may happen next: a move of a process, or a ledger that the network goes to.
#[derive(Clone, Copy)]
enum Step {
    Of { slot: usize, made: Move },
    Network { ledger: u32 },
}

/// Choices that PCT gives one priority; as `happysim.search.pct.strand`.
type Strand = (u32, u32, u32);

impl Step {
    fn strand(&self) -> Strand {
        match *self {
            Step::Network { .. } => (3, 0, 0),
            Step::Of { slot, made } if made.cost != 0 => (2, made.cost, slot as u32),
            Step::Of { slot, made } if made.source != NONE => (0, made.source, slot as u32),
            Step::Of { slot, .. } => (1, slot as u32, 0),
        }
    }
}

/// How the next step of a run is drawn; see `happysim/search/pct.py`.
struct Priorities {
    change_points: Vec<usize>,
    of: HashMap<Strand, (bool, u64)>,
}

impl Priorities {
    /// Draws the places of change of one run.
    fn new(random: &mut Random, depth: usize, steps: usize) -> Self {
        let change_points = (1..depth).map(|_| random.below(steps) + 1).collect();
        Priorities { change_points, of: HashMap::new() }
    }

    fn pick(&mut self, random: &mut Random, enabled: &[(usize, Step)]) -> usize {
        let mut highest: Option<(Strand, (bool, u64))> = None;
        for (_, step) in enabled {
            let strand = step.strand();
            let priority = *self.of.entry(strand).or_insert_with(|| (true, random.next64()));
            if highest.is_none_or(|(_, most)| priority > most) {
                highest = Some((strand, priority));
            }
        }
        let Some((strand, _)) = highest else { return 0 };
        let of_strand = |at: &usize| enabled[*at].1.strand() == strand;
        let places: Vec<usize> = (0..enabled.len()).filter(of_strand).collect();
        places[random.below(places.len())]
    }

    /// So many steps were taken, the last one by a strand: is that a place of change?
    fn taken(&mut self, steps: usize, strand: Strand) {
        for (at, &point) in self.change_points.iter().enumerate() {
            if point == steps {
                let lowered = (self.change_points.len() - at) as u64;
                self.of.insert(strand, (false, lowered));
            }
        }
    }
}

/// Random runs; how far they are is read off the fields.
#[pyclass]
pub struct Walks {
    tables: Tables,
    exports: Exports,
    judge: Py<PyAny>,
    /// Told the start and the choices, as places among those enabled, of what the judge found.
    note: Py<PyAny>,
    judges_steps: bool,
    judges_quiescence: bool,
    parts: Parts,
    worlds_judged: Memo,
    steps_judged: Memo,
    starts: Vec<Vec<u32>>,
    seed: Vec<u64>,
    steps_most: usize,
    /// 0: each choice is equally likely; else the depth that PCT looks for.
    pct_depth: usize,
    worlds_most: Option<u64>,
    #[pyo3(get)]
    worlds: u64,
    #[pyo3(get)]
    steps: u64,
    #[pyo3(get)]
    depth: usize,
    #[pyo3(get)]
    stopped: Option<&'static str>,
    start: usize,
    picks: Vec<usize>,
    until_signals: u32,
}

#[pymethods]
impl Walks {
    #[new]
    #[pyo3(signature = (model, starts, judge, note, partitions, seed, steps, pct_depth, worlds))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        model: Bound<'_, PyAny>,
        starts: Vec<Vec<u32>>,
        judge: Bound<'_, PyAny>,
        note: Py<PyAny>,
        partitions: bool,
        seed: Vec<u64>,
        steps: usize,
        pct_depth: usize,
        worlds: Option<u64>,
    ) -> PyResult<Self> {
        let slots = starts.first().map_or(0, Vec::len).checked_sub(2);
        let slots = slots.ok_or_else(|| PyValueError::new_err("a run needs a first world"))?;
        let mut tables = Tables::new(model, slots, partitions, true)?;
        let exports = Exports::new(py, &tables);
        let starts = starts.iter().map(|start| tables.import(py, start)).collect::<PyResult<_>>()?;
        Ok(Walks {
            tables,
            exports,
            judges_steps: judge.getattr(intern!(py, "judges_steps"))?.is_truthy()?,
            judges_quiescence: judge.getattr(intern!(py, "judges_quiescence"))?.is_truthy()?,
            judge: judge.unbind(),
            note,
            parts: Parts::default(),
            worlds_judged: Memo::new(),
            steps_judged: Memo::new(),
            starts,
            seed,
            steps_most: steps,
            pct_depth,
            worlds_most: worlds,
            worlds: 0,
            steps: 0,
            depth: 0,
            stopped: None,
            start: 0,
            picks: Vec::new(),
            until_signals: STEPS_A_LOOK_AT_SIGNALS,
        })
    }

    /// The run of that number.
    fn run(&mut self, py: Python<'_>, number: u64) -> PyResult<()> {
        let mut random = Random::new(&self.seed, &format!("run {number}"));
        self.start = random.below(self.starts.len());
        let mut priorities =
            (self.pct_depth > 0).then(|| Priorities::new(&mut random, self.pct_depth, self.steps_most));
        self.picks.clear();
        let mut world = self.starts[self.start].clone();
        if !self.arrive(py, &world)? {
            return Ok(());
        }
        let (mut enabled, mut after) = (Vec::new(), Vec::new());
        for taken in 0..=self.steps_most {
            self.depth = self.depth.max(taken + 1);
            let moving = self.list(&world, &mut enabled)?;
            if !moving && self.judges_quiescence {
                let told = self.told(py, &world)?;
                let said = self.judge.bind(py).call_method1(intern!(py, "quiescent"), (0, told))?;
                self.conclude(py, said.extract()?)?;
            }
            if self.stopped.is_some() || taken == self.steps_most {
                return Ok(());
            }
            if !self.advance(py, &world, &mut enabled, &mut random, &mut priorities, &mut after)? {
                return Ok(());
            }
            std::mem::swap(&mut world, &mut after);
        }
        Ok(())
    }
}

impl Walks {
    /// Takes one of the choices that stay inside the bounds; false where the run ends.
    fn advance(
        &mut self,
        py: Python<'_>,
        world: &[u32],
        enabled: &mut Vec<(usize, Step)>,
        random: &mut Random,
        priorities: &mut Option<Priorities>,
        after: &mut Vec<u32>,
    ) -> PyResult<bool> {
        self.until_signals -= 1;
        if self.until_signals == 0 {
            self.until_signals = STEPS_A_LOOK_AT_SIGNALS;
            py.check_signals()?;
        }
        while !enabled.is_empty() && self.stopped.is_none() {
            let at = match priorities {
                None => random.below(enabled.len()),
                Some(priorities) => priorities.pick(random, enabled),
            };
            let (place, step) = enabled.remove(at);
            self.picks.push(place);
            if let Step::Of { slot, made } = step {
                if made.cell == RAISES {
                    self.steps += 1;
                    let object = self.tables.raising[made.object as usize].1.clone_ref(py);
                    let arguments = (0, slot, object);
                    let said = self.judge.bind(py).call_method1(intern!(py, "raised"), arguments)?;
                    self.conclude(py, said.extract()?)?;
                    return Ok(false);
                }
            }
            self.take(world, step, after)?;
            if self.arrive(py, after)? {
                self.steps += 1;
                if let Some(priorities) = priorities {
                    priorities.taken(self.picks.len(), step.strand());
                }
                if self.judges_steps {
                    self.judge_step(py, world, after)?;
                }
                return Ok(true);
            }
            self.picks.pop();
        }
        Ok(false)
    }

    /// Everything that may happen next, in the order of `World.enabled`; true where something other
    /// than a fault is among it.
    fn list(&mut self, world: &[u32], enabled: &mut Vec<(usize, Step)>) -> PyResult<bool> {
        enabled.clear();
        let (slots, ledger) = (self.tables.slots, world[self.tables.slots]);
        for slot in 0..slots {
            let row = self.tables.look(|tables| tables.row(slot, world[slot]))?;
            let first = enabled.len();
            for at in row.plain..row.faults {
                let made = self.tables.moves[at as usize];
                if made.source == NONE
                    || !self.tables.partitions
                    || !self.tables.look(|tables| tables.blocked(ledger, made.source, slot))?
                {
                    enabled.push((made.place as usize, Step::Of { slot, made }));
                }
            }
            // A row lists the plain moves first; a world, all of them in order of content.
            enabled[first..].sort_by_key(|&(place, _)| place);
        }
        let moving = !enabled.is_empty();
        for slot in 0..slots {
            let row = self.tables.look(|tables| tables.row(slot, world[slot]))?;
            for at in row.faults..row.end {
                let made = self.tables.moves[at as usize];
                if self.tables.look(|tables| tables.pay(ledger, made.cost))? != NONE {
                    enabled.push((0, Step::Of { slot, made }));
                }
            }
        }
        let network = self.tables.look(|tables| tables.ledger_moves(ledger).map(<[u32]>::to_vec))?;
        enabled.extend(network.into_iter().map(|ledger| (0, Step::Network { ledger })));
        for (place, entry) in enabled.iter_mut().enumerate() {
            entry.0 = place;
        }
        Ok(moving)
    }

    /// The world after a step that does not raise.
    fn take(&mut self, world: &[u32], step: Step, after: &mut Vec<u32>) -> PyResult<()> {
        let slots = self.tables.slots;
        after.clear();
        after.extend_from_slice(world);
        let (slot, made) = match step {
            Step::Network { ledger } => {
                after[slots] = ledger;
                return Ok(());
            }
            Step::Of { slot, made } => (slot, made),
        };
        after[slot] = made.cell;
        for at in made.sends..made.sends_end {
            let (target, batch) = self.tables.sends[at as usize];
            let (target, before) = (target as usize, world[target as usize]);
            after[target] = self.tables.look(|tables| tables.put(target, before, batch))?;
        }
        if made.cost != 0 {
            after[slots] = self.tables.look(|tables| tables.pay(world[slots], made.cost))?;
        }
        if made.record != 0 {
            after[slots + 1] = self.tables.look(|tables| tables.record(world[slots + 1], made.record))?;
        }
        Ok(())
    }

    fn told<'py>(&mut self, py: Python<'py>, world: &[u32]) -> PyResult<Bound<'py, PyTuple>> {
        let mut numbers = world.to_vec();
        self.exports.world(py, &self.tables, &mut numbers)?;
        PyTuple::new(py, numbers)
    }

    /// Judges a world; false where it lies outside the bounds.
    fn arrive(&mut self, py: Python<'_>, world: &[u32]) -> PyResult<bool> {
        if Some(self.worlds) == self.worlds_most {
            self.stopped.get_or_insert("worlds");
            return Ok(false);
        }
        let judge = self.judge.clone_ref(py);
        let judge = judge.bind(py);
        let on = Asking { judge, tables: &self.tables, exports: &mut self.exports };
        let number = |place| at(&self.tables, world, place);
        match self.worlds_judged.recall_asking(&mut self.parts, on, number)? {
            Verdict::Fine => {
                self.worlds += 1;
                return Ok(true);
            }
            Verdict::Beyond => return Ok(false),
            Verdict::Unknown => {}
        }
        let told = self.told(py, world)?;
        let said: u32 = judge.call_method1(intern!(py, "world"), (0, told))?.extract()?;
        let inside = said & OUTSIDE == 0;
        if let Some(reads) = self.parts.last_read(judge)? {
            let verdict = if inside { Verdict::Fine } else { Verdict::Beyond };
            let on = Asking { judge, tables: &self.tables, exports: &mut self.exports };
            let number = |place| at(&self.tables, world, place);
            self.worlds_judged.remember(&mut self.parts, on, &reads, verdict, number)?;
        }
        if inside {
            self.worlds += 1;
            self.conclude(py, said)?;
        }
        Ok(inside)
    }

    fn judge_step(&mut self, py: Python<'_>, before: &[u32], after: &[u32]) -> PyResult<()> {
        let judge = self.judge.clone_ref(py);
        let judge = judge.bind(py);
        let on = Asking { judge, tables: &self.tables, exports: &mut self.exports };
        let number = |place| two(&self.tables, before, after, place);
        if self.steps_judged.recall_asking(&mut self.parts, on, number)? == Verdict::Fine {
            return Ok(());
        }
        let told = (0, self.told(py, before)?, self.told(py, after)?);
        let said: u32 = judge.call_method1(intern!(py, "step"), told)?.extract()?;
        if let Some(reads) = self.parts.last_read(judge)? {
            let on = Asking { judge, tables: &self.tables, exports: &mut self.exports };
            let number = |place| two(&self.tables, before, after, place);
            self.steps_judged.remember(&mut self.parts, on, &reads, Verdict::Fine, number)?;
        }
        self.conclude(py, said)
    }

    /// Hands on what the judge has found, and stops where nothing is left to find.
    fn conclude(&mut self, py: Python<'_>, said: u32) -> PyResult<()> {
        if said & FOUND != 0 {
            self.note.bind(py).call1((self.start, self.picks.clone()))?;
        }
        if said & DONE != 0 {
            self.stopped = Some("done");
        }
        Ok(())
    }
}

/// What stands at a place in the sense of `contract.Judge.place`.
fn at(tables: &Tables, world: &[u32], place: usize) -> u32 {
    match place.checked_sub(tables.slots + 2) {
        None => world[place],
        Some(slot) => tables.state(slot, world[slot]),
    }
}

fn two(tables: &Tables, before: &[u32], after: &[u32], place: usize) -> u32 {
    match place.checked_sub(2 * tables.slots + 2) {
        None => at(tables, before, place),
        Some(place) => at(tables, after, place),
    }
}
