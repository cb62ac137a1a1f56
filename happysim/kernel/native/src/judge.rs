//! The judge, and what it has said: a decision tree over the parts of a world that it read.
//!
//! What a judge reads first is always the same part; what it reads next depends on what it found.
//! So its answers form a tree: a part at each branching, a branch for each content, the answer at
//! the leaf. A part's content is a small number too, remembered by the number of the cell, the
//! ledger or the history that holds it.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::flat::{pair, Flat};
use crate::tables::{Exports, Tables};

/// The bits of an answer; see `contract.LOCAL`. What is remembered is told by `Judge.reads` here.
pub const OUTSIDE: u32 = 2;
pub const DONE: u32 = 4;
pub const FOUND: u32 = 8;

/// What is remembered of a world or a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The judge need not be asked.
    Fine,
    /// The world lies outside the bounds.
    Beyond,
    /// Not known: the judge must be asked.
    Unknown,
}

/// A mark that the judge has not been asked for yet.
#[derive(Clone, Copy, Debug)]
pub struct MarkMiss {
    part: u32,
    number: u32,
}

const UNMARKED: u32 = u32::MAX;

/// What it takes to ask the judge about a part of a world.
pub struct Asking<'a, 'py> {
    pub judge: &'a Bound<'py, PyAny>,
    pub tables: &'a Tables,
    pub exports: &'a mut Exports,
}

/// The parts that the judge has read so far. A part of the world after a step has a place too:
/// that of the world, plus the number of places of a world.
#[derive(Default)]
pub struct Parts {
    places: Vec<u32>,
    marks: Vec<Vec<u32>>,
}

impl Parts {
    #[inline(always)]
    fn mark(&self, part: u32, number: u32) -> Result<u32, MarkMiss> {
        match self.marks[part as usize].get(number as usize) {
            Some(&mark) if mark != UNMARKED => Ok(mark),
            _ => Err(MarkMiss { part, number }),
        }
    }

    /// What steps of a model with so many processes cannot change.
    fn quiet(&self, slots: usize) -> Quiet {
        let mut quiet = Quiet { states: 0, never: slots > 127, inboxes: false };
        for &place in &self.places {
            let place = place as usize;
            if place >= slots + 2 {
                quiet.states |= 1 << (place - slots - 2).min(127);
            }
            quiet.inboxes |= place < slots;
        }
        quiet
    }

    /// Asks the judge what a part holds.
    fn fill(&mut self, on: &mut Asking<'_, '_>, miss: MarkMiss) -> PyResult<()> {
        let Asking { judge, tables, exports } = on;
        let place = self.places[miss.part as usize] as usize % (2 * tables.slots + 2);
        let mut number = miss.number;
        if place < tables.slots {
            number = exports.cell(judge.py(), tables, place, number)?;
        }
        let name = intern!(judge.py(), "mark");
        let mark: u32 = judge.call_method1(name, (miss.part, number))?.extract()?;
        let marks = &mut self.marks[miss.part as usize];
        let at = miss.number as usize;
        if at >= marks.len() {
            marks.resize((at + 1).max(marks.len() * 2), UNMARKED);
        }
        marks[at] = mark;
        Ok(())
    }

    /// The parts that the judge's last answer depended on; `None`: on the whole world.
    pub fn last_read(&mut self, judge: &Bound<'_, PyAny>) -> PyResult<Option<Vec<u32>>> {
        let py = judge.py();
        let reads = judge.call_method0(intern!(py, "reads"))?;
        if reads.is_none() {
            return Ok(None);
        }
        let mut parts = Vec::new();
        for each in reads.cast::<PyTuple>()?.iter() {
            let part: u32 = each.extract()?;
            while self.places.len() <= part as usize {
                let place = judge.call_method1(intern!(py, "place"), (self.places.len(),))?;
                self.places.push(place.extract()?);
                self.marks.push(Vec::new());
            }
            parts.push(part);
        }
        Ok(Some(parts))
    }
}

/// What a step may change without the judge having anything new to say.
///
/// A world that was expanded is fine. One that differs from it in nothing that was ever read is too.
#[derive(Clone, Copy)]
pub struct Quiet {
    /// Processes whose local state was read, as bits.
    states: u128,
    /// Nothing is known.
    never: bool,
    /// An inbox was read.
    inboxes: bool,
}

impl Quiet {
    pub const NEVER: Quiet = Quiet { states: 0, never: true, inboxes: true };

    /// True where a plain step of a process, that changes its local state or not, tells no news.
    #[inline(always)]
    pub fn on(self, slot: usize, changes: bool) -> bool {
        !self.never && !self.inboxes && (!changes || self.states >> slot & 1 == 0)
    }
}

#[derive(Clone, Copy)]
enum Node {
    Open,
    /// A branching at a part; `near` is where its branches for small marks lie in `Memo::near`.
    Read { part: u32, near: u32 },
    Leaf(Verdict),
}

/// Branches for marks below this lie side by side, in one line of the processor's cache.
const NEAR: u32 = 16;
/// The root is nobody's branch.
const NO_BRANCH: u32 = 0;

pub struct Memo {
    nodes: Vec<Node>,
    near: Vec<u32>,
    far: Flat,
    /// Some answer depended on more than the tree can tell.
    pub partial: bool,
}

impl Memo {
    pub fn new() -> Self {
        Memo { nodes: vec![Node::Open], near: Vec::new(), far: Flat::new(), partial: false }
    }

    /// Which steps need no look at the tree.
    pub fn quiet(&self, parts: &Parts, slots: usize) -> Quiet {
        if self.partial { Quiet::NEVER } else { parts.quiet(slots) }
    }

    #[inline(always)]
    fn branch(&self, at: u32, near: u32, mark: u32) -> u32 {
        if mark < NEAR {
            self.near[(near + mark) as usize]
        } else {
            self.far.get(pair(at, mark)).unwrap_or(NO_BRANCH)
        }
    }

    /// What is remembered; `number` gives what stands at a place.
    #[inline(always)]
    pub fn recall(&self, parts: &Parts, number: impl Fn(usize) -> u32) -> Result<Verdict, MarkMiss> {
        let mut at = 0;
        loop {
            match self.nodes[at as usize] {
                Node::Leaf(verdict) => return Ok(verdict),
                Node::Open => return Ok(Verdict::Unknown),
                Node::Read { part, near } => {
                    let mark = parts.mark(part, number(parts.places[part as usize] as usize))?;
                    at = self.branch(at, near, mark);
                    if at == NO_BRANCH {
                        return Ok(Verdict::Unknown);
                    }
                }
            }
        }
    }

    /// As `recall`, asking the judge for the marks that it takes.
    #[inline(always)]
    pub fn recall_asking(
        &self,
        parts: &mut Parts,
        mut on: Asking<'_, '_>,
        number: impl Fn(usize) -> u32 + Copy,
    ) -> PyResult<Verdict> {
        loop {
            match self.recall(parts, number) {
                Ok(verdict) => return Ok(verdict),
                Err(miss) => parts.fill(&mut on, miss)?,
            }
        }
    }

    /// Remembers a verdict that depended on the parts `reads`, asking the judge for their marks.
    pub fn remember(
        &mut self,
        parts: &mut Parts,
        mut on: Asking<'_, '_>,
        reads: &[u32],
        verdict: Verdict,
        number: impl Fn(usize) -> u32 + Copy,
    ) -> PyResult<()> {
        loop {
            match self.insert(parts, reads, verdict, number) {
                Ok(()) => return Ok(()),
                Err(miss) => parts.fill(&mut on, miss)?,
            }
        }
    }

    /// A branching that is there already stays: it tells worlds apart that need not be, which is
    /// sound. This happens once a property is decided, and is read no more.
    fn insert(
        &mut self,
        parts: &Parts,
        reads: &[u32],
        verdict: Verdict,
        number: impl Fn(usize) -> u32,
    ) -> Result<(), MarkMiss> {
        let mut passed: Vec<u32> = Vec::new();
        let mut at = 0u32;
        loop {
            let (part, near) = match self.nodes[at as usize] {
                Node::Leaf(_) => return Ok(()),
                Node::Read { part, near } => (part, near),
                Node::Open => match reads.iter().find(|part| !passed.contains(part)) {
                    None => {
                        self.nodes[at as usize] = Node::Leaf(verdict);
                        return Ok(());
                    }
                    Some(&part) => {
                        let near = self.near.len() as u32;
                        self.near.resize(self.near.len() + NEAR as usize, NO_BRANCH);
                        self.nodes[at as usize] = Node::Read { part, near };
                        (part, near)
                    }
                },
            };
            passed.push(part);
            let mark = parts.mark(part, number(parts.places[part as usize] as usize))?;
            let mut below = self.branch(at, near, mark);
            if below == NO_BRANCH {
                below = self.nodes.len() as u32;
                self.nodes.push(Node::Open);
                if mark < NEAR {
                    self.near[(near + mark) as usize] = below;
                } else {
                    self.far.insert(pair(at, mark), below);
                }
            }
            at = below;
        }
    }
}
