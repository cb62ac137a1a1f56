//! Orbits: which worlds differ only by which of some interchangeable processes is which.
//!
//! The algorithm is that of `happysim/kernel/orbits.py`, which explains it. Here it works on the
//! cells of this kernel: the image of a cell is put together from those of its local state and of
//! its messages, which the model is asked for once.

use std::cmp::Ordering;
use std::collections::HashMap;

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;

use crate::layout::Layout;
use crate::seen::Entry;
use crate::tables::{Tables, NONE};

/// Numbers by number, filled on first use.
#[derive(Default, Clone)]
struct Row(Vec<u32>);

impl Row {
    #[inline(always)]
    fn get(&self, at: u32) -> Option<u32> {
        match self.0.get(at as usize) {
            Some(&known) if known != NONE => Some(known),
            _ => None,
        }
    }

    fn set(&mut self, at: u32, number: u32) {
        let at = at as usize;
        if at >= self.0.len() {
            self.0.resize((at + 1).max(self.0.len() * 2), NONE);
        }
        self.0[at] = number;
    }
}

/// What exchanging two neighbours makes of each number.
#[derive(Clone)]
struct Swap {
    one: usize,
    other: usize,
    cells: Vec<Row>,
    states: Vec<Row>,
    envelopes: Row,
    ledgers: Row,
    histories: Row,
}

pub struct Orbits {
    symmetry: Py<PyAny>,
    slots: usize,
    sets: Vec<Vec<usize>>,
    /// For each set the first of its swaps.
    first_swap: Vec<usize>,
    swaps: Vec<Swap>,
    moving: Vec<usize>,
    fixed: Vec<usize>,
    permutations: u128,
    /// By slot: the sight of a cell, for each process that may be sought.
    sights: Vec<Row>,
    state_sights: Vec<Row>,
    envelope_sights: Row,
    numbered: HashMap<Box<[u32]>, u32>,
    /// What stands for each of the worlds last looked at, and of how many it does.
    found: Vec<u32>,
    members: Vec<u128>,
    pub in_full: u128,
    /// Room to work in: the marks by which processes are told apart, and the order of these.
    marks: Vec<u64>,
    others: Vec<(u64, u32, u32)>,
    order: Vec<usize>,
    numbers: Vec<u32>,
    colours: Vec<u64>,
}

/// The least arrangement so far, and how many permutations lead to it.
struct Best {
    numbers: Vec<u32>,
    same: u128,
}

/// Processes of one colour: their set, and where in it they begin and end.
type Tie = (usize, usize, usize);

fn factorial(count: usize) -> u128 {
    (1..=count as u128).product()
}

impl Orbits {
    pub fn new(model: &Bound<'_, PyAny>, slots: usize) -> PyResult<Self> {
        let symmetry = model.getattr("symmetry")?;
        let sets: Vec<Vec<usize>> = symmetry.getattr("sets")?.extract()?;
        let (mut first_swap, mut swaps) = (Vec::new(), Vec::new());
        for set in &sets {
            first_swap.push(swaps.len());
            for pair in set.windows(2) {
                swaps.push(Swap {
                    one: pair[0],
                    other: pair[1],
                    cells: vec![Row::default(); slots],
                    states: vec![Row::default(); slots],
                    envelopes: Row::default(),
                    ledgers: Row::default(),
                    histories: Row::default(),
                });
            }
        }
        let moving: Vec<usize> = sets.iter().flatten().copied().collect();
        Ok(Orbits {
            symmetry: symmetry.unbind(),
            slots,
            first_swap,
            swaps,
            fixed: (0..slots).filter(|slot| !moving.contains(slot)).collect(),
            moving,
            permutations: sets.iter().map(|set| factorial(set.len())).product(),
            sets,
            sights: vec![Row::default(); slots],
            state_sights: vec![Row::default(); slots],
            envelope_sights: Row::default(),
            numbered: HashMap::new(),
            found: Vec::new(),
            members: Vec::new(),
            in_full: 0,
            marks: Vec::new(),
            others: Vec::new(),
            order: Vec::new(),
            numbers: Vec::new(),
            colours: Vec::new(),
        })
    }

    // -- what a search asks -------------------------------------------------------------------

    /// Forgets the worlds last looked at.
    pub fn clear(&mut self) {
        self.found.clear();
        self.members.clear();
    }

    /// Looks at one more world.
    pub fn look(&mut self, tables: &mut Tables, numbers: &[u32]) -> PyResult<()> {
        let mut colours = std::mem::take(&mut self.colours);
        colours.clear();
        colours.resize(self.slots, 0);
        for at in 0..self.moving.len() {
            let slot = self.moving[at];
            colours[slot] = self.sight(tables, slot, numbers[slot], at)? as u64;
        }
        let mut arranged = std::mem::take(&mut self.numbers);
        arranged.clear();
        arranged.extend_from_slice(numbers);
        let tie = self.settle(tables, &mut arranged, &mut colours)?;
        if tie.is_none() {
            // Most worlds: nothing is alike, and there is one arrangement.
            self.found.extend_from_slice(&arranged);
            self.members.push(self.permutations);
        } else {
            let mut best = Best { numbers: Vec::new(), same: 0 };
            self.branch(tables, arranged.clone(), colours.clone(), tie, 1, &mut best)?;
            self.found.extend_from_slice(&best.numbers);
            self.members.push(self.permutations / best.same);
        }
        (self.numbers, self.colours) = (arranged, colours);
        Ok(())
    }

    /// A step that leads to no world takes a place too.
    pub fn skip(&mut self) {
        self.found.resize(self.found.len() + self.slots + 2, 0);
        self.members.push(0);
    }

    /// What is kept for a world that was looked at, by its place, and the hash of that.
    #[inline]
    pub fn entry<const W: usize, E: Entry<W>>(&self, tables: &Tables, layout: &Layout, at: usize) -> (E, u64) {
        let width = self.slots + 2;
        let numbers = &self.found[at * width..(at + 1) * width];
        let key = layout.pack(numbers);
        let mut mix = 0u64;
        if E::MIXED {
            let mixes = numbers.iter().enumerate().map(|(place, &number)| tables.mix(place, number));
            mix = mixes.fold(0, u64::wrapping_add);
        }
        let hash = E::hash_of(&key, mix);
        (E::of(&key, hash), hash)
    }

    /// A world that was looked at is the first of its orbit.
    pub fn count(&mut self, at: usize) {
        self.in_full += self.members[at];
    }

    // -- the algorithm ------------------------------------------------------------------------

    /// Compares every arrangement of a world; `times` permutations lead here.
    fn arrange(
        &mut self,
        tables: &mut Tables,
        mut numbers: Vec<u32>,
        mut colours: Vec<u64>,
        times: u128,
        best: &mut Best,
    ) -> PyResult<()> {
        let tie = self.settle(tables, &mut numbers, &mut colours)?;
        self.branch(tables, numbers, colours, tie, times, best)
    }

    /// As `arrange`, once the world is settled.
    fn branch(
        &mut self,
        tables: &mut Tables,
        numbers: Vec<u32>,
        mut colours: Vec<u64>,
        tie: Option<Tie>,
        times: u128,
        best: &mut Best,
    ) -> PyResult<()> {
        let Some((set, first, end)) = tie else {
            match (best.same, numbers.cmp(&best.numbers)) {
                (0, _) | (_, Ordering::Less) => *best = Best { numbers, same: times },
                (_, Ordering::Equal) => best.same += times,
                _ => {}
            }
            return Ok(());
        };
        let chains = self.twins(tables, &numbers, set, first, end)?;
        if chains.len() == 1 {
            for place in first..end {
                let colour = &mut colours[self.sets[set][place]];
                *colour = *colour * self.slots as u64 + place as u64;
            }
            return self.arrange(tables, numbers, colours, times * factorial(end - first), best);
        }
        for (chosen, alike) in chains {
            let mut apart: Vec<u64> = colours.iter().map(|colour| 2 * colour + 1).collect();
            apart[self.sets[set][chosen]] -= 1;
            self.arrange(tables, numbers.clone(), apart, times * alike, best)?;
        }
        Ok(())
    }

    /// Sorts a world, and tells its processes apart as far as refining does; a tie that is left.
    fn settle(
        &mut self,
        tables: &mut Tables,
        numbers: &mut [u32],
        colours: &mut [u64],
    ) -> PyResult<Option<Tie>> {
        self.sort(tables, numbers, colours)?;
        let (mut tie, mut told_apart) = (self.first_tie(colours), 0);
        while tie.is_some() {
            let count = self.count_of(colours);
            if count == told_apart {
                break;
            }
            told_apart = count;
            self.refine(tables, numbers, colours)?;
            self.sort(tables, numbers, colours)?;
            tie = self.first_tie(colours);
        }
        Ok(tie)
    }

    /// How many colours there are, in a sorted world.
    fn count_of(&self, colours: &[u64]) -> usize {
        let apart = |set: &Vec<usize>| set.windows(2).filter(|pair| colours[pair[0]] != colours[pair[1]]).count();
        self.sets.iter().map(|set| 1 + apart(set)).sum()
    }

    /// Puts the processes of each set in order of colour.
    fn sort(&mut self, tables: &mut Tables, numbers: &mut [u32], colours: &mut [u64]) -> PyResult<()> {
        for set in 0..self.sets.len() {
            for end in 1..self.sets[set].len() {
                let mut at = end;
                while at > 0 {
                    let (one, other) = (self.sets[set][at - 1], self.sets[set][at]);
                    if colours[one] <= colours[other] {
                        break;
                    }
                    self.exchange(tables, numbers, self.first_swap[set] + at - 1)?;
                    colours.swap(one, other);
                    at -= 1;
                }
            }
        }
        Ok(())
    }

    /// The first run of one colour: its set, its first place, its end.
    fn first_tie(&self, colours: &[u64]) -> Option<Tie> {
        for (at, set) in self.sets.iter().enumerate() {
            for first in 0..set.len() - 1 {
                let colour = colours[set[first]];
                let mut end = first + 1;
                while end < set.len() && colours[set[end]] == colour {
                    end += 1;
                }
                if end > first + 1 {
                    return Some((at, first, end));
                }
            }
        }
        None
    }

    /// Lets colours also tell processes apart by how they see others, and are seen.
    ///
    /// Colours of different sets differ from the start: a sight tells the set of who sees.
    fn refine(&mut self, tables: &mut Tables, numbers: &[u32], colours: &mut [u64]) -> PyResult<()> {
        let width = 1 + self.fixed.len() + 3 * (self.moving.len() - 1);
        let mut marks = std::mem::take(&mut self.marks);
        marks.clear();
        for sought in 0..self.moving.len() {
            let slot = self.moving[sought];
            marks.push(colours[slot]);
            for at in 0..self.fixed.len() {
                let other = self.fixed[at];
                marks.push(self.sight(tables, other, numbers[other], sought)? as u64);
            }
            self.others.clear();
            for index in 0..self.moving.len() {
                let other = self.moving[index];
                if other != slot {
                    let seen = self.sight(tables, other, numbers[other], sought)?;
                    let sees = self.sight(tables, slot, numbers[slot], index)?;
                    self.others.push((colours[other], seen, sees));
                }
            }
            self.others.sort_unstable();
            for &(colour, seen, sees) in &self.others {
                marks.extend([colour, seen as u64, sees as u64]);
            }
        }
        let mark = |at: usize| &marks[at * width..(at + 1) * width];
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(0..self.moving.len());
        order.sort_unstable_by(|&one, &other| mark(one).cmp(mark(other)));
        // Not from 0: `branch` multiplies a colour to tell those apart that share it.
        let mut rank = 1;
        for at in 0..order.len() {
            rank += (at > 0 && mark(order[at]) != mark(order[at - 1])) as u64;
            colours[self.moving[order[at]]] = rank;
        }
        (self.marks, self.order) = (marks, order);
        Ok(())
    }

    /// A run of one colour as chains of neighbours whose exchange changes nothing.
    fn twins(
        &mut self,
        tables: &mut Tables,
        numbers: &[u32],
        set: usize,
        first: usize,
        end: usize,
    ) -> PyResult<Vec<(usize, u128)>> {
        let mut chains = vec![(first, 1)];
        let mut image = Vec::new();
        for place in first + 1..end {
            image.clear();
            image.extend_from_slice(numbers);
            self.exchange(tables, &mut image, self.first_swap[set] + place - 1)?;
            match chains.last_mut() {
                Some(chain) if image == numbers => chain.1 += 1,
                _ => chains.push((place, 1)),
            }
        }
        Ok(chains)
    }

    // -- images -------------------------------------------------------------------------------

    /// Turns a world into its image.
    fn exchange(&mut self, tables: &mut Tables, numbers: &mut [u32], swap: usize) -> PyResult<()> {
        for (slot, number) in numbers[..self.slots].iter_mut().enumerate() {
            *number = match self.swaps[swap].cells[slot].get(*number) {
                Some(image) => image,
                None => self.make_cell(tables, swap, slot, *number)?,
            };
        }
        let (one, other) = (self.swaps[swap].one, self.swaps[swap].other);
        numbers.swap(one, other);
        for (place, name) in [(self.slots, "ledger"), (self.slots + 1, "history")] {
            let rest = &self.swaps[swap];
            let row = if place == self.slots { &rest.ledgers } else { &rest.histories };
            numbers[place] = match row.get(numbers[place]) {
                Some(image) => image,
                None => {
                    let image = self.ask(name, (swap, numbers[place]))?;
                    tables.note(place, image);
                    let rest = &mut self.swaps[swap];
                    let row = if place == self.slots { &mut rest.ledgers } else { &mut rest.histories };
                    row.set(numbers[place], image);
                    image
                }
            };
        }
        Ok(())
    }

    #[cold]
    fn make_cell(&mut self, tables: &mut Tables, swap: usize, slot: usize, cell: u32) -> PyResult<u32> {
        let (state, waiting) = tables.inside(slot, cell);
        let known = self.swaps[swap].states[slot].get(state);
        let image = match known {
            Some(image) => image,
            None => {
                let image = self.ask("state", (swap, slot, state))?;
                self.swaps[swap].states[slot].set(state, image);
                image
            }
        };
        let mut arrived = Vec::with_capacity(waiting.len());
        for (envelope, copies) in waiting {
            let known = self.swaps[swap].envelopes.get(envelope);
            let image = match known {
                Some(image) => image,
                None => {
                    let image = self.ask("envelope", (swap, envelope))?;
                    tables.learn(image)?;
                    self.swaps[swap].envelopes.set(envelope, image);
                    image
                }
            };
            arrived.push((image, copies));
        }
        let (one, other) = (self.swaps[swap].one, self.swaps[swap].other);
        let to = if slot == one { other } else if slot == other { one } else { slot };
        let made = tables.outside(to, image, &arrived);
        self.swaps[swap].cells[slot].set(cell, made);
        Ok(made)
    }

    // -- sights -------------------------------------------------------------------------------

    /// How a cell speaks of the process that is `sought`, by its place among those that move.
    #[inline(always)]
    fn sight(&mut self, tables: &Tables, slot: usize, cell: u32, sought: usize) -> PyResult<u32> {
        let at = cell * self.moving.len() as u32 + sought as u32;
        match self.sights[slot].get(at) {
            Some(sight) => Ok(sight),
            None => self.make_sight(tables, slot, cell, sought, at),
        }
    }

    #[cold]
    fn make_sight(&mut self, tables: &Tables, slot: usize, cell: u32, sought: usize, at: u32) -> PyResult<u32> {
        let (state, waiting) = tables.inside(slot, cell);
        let width = self.moving.len() as u32;
        let place = state * width + sought as u32;
        let whom = self.moving[sought];
        let of_state = match self.state_sights[slot].get(place) {
            Some(sight) => sight,
            None => {
                let sight = self.ask("state_sight", (slot, state, whom))?;
                self.state_sights[slot].set(place, sight);
                sight
            }
        };
        let mut arrived = Vec::with_capacity(waiting.len());
        for (envelope, copies) in waiting {
            let place = envelope * width + sought as u32;
            let sight = match self.envelope_sights.get(place) {
                Some(sight) => sight,
                None => {
                    let sight = self.ask("envelope_sight", (envelope, whom))?;
                    self.envelope_sights.set(place, sight);
                    sight
                }
            };
            arrived.push((sight, copies));
        }
        arrived.sort_unstable();
        let mut content = vec![of_state];
        content.extend(arrived.into_iter().flat_map(|(sight, copies)| [sight, copies]));
        let next = self.numbered.len() as u32;
        let sight = *self.numbered.entry(content.into()).or_insert(next);
        self.sights[slot].set(at, sight);
        Ok(sight)
    }

    /// Asks the model's symmetry.
    fn ask<A>(&self, what: &str, arguments: A) -> PyResult<u32>
    where
        A: for<'py> pyo3::call::PyCallArgs<'py>,
    {
        Python::attach(|py| {
            let said: i64 = self.symmetry.bind(py).call_method1(what, arguments)?.extract()?;
            u32::try_from(said).map_err(|_| PyKeyError::new_err(format!("{said} is no number")))
        })
    }
}
