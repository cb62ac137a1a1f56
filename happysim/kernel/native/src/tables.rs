//! What the model has answered so far, so that the loop asks it nothing twice.
//!
//! A look-up that has no answer yet is a `Miss`. The loop hands it back, and `fill` asks Python.

use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::flat::{pair, Flat};

/// The cell of a move whose handler raised.
pub const RAISES: u32 = u32::MAX;
/// No number is that large: of a ledger, where there is no budget; of a source, where there is none.
pub const NONE: u32 = u32::MAX;
const LARGEST: i64 = u32::MAX as i64 - 1;

/// One step of one process from one cell; see `contract.Move`.
#[derive(Clone, Copy)]
pub struct Move {
    pub cell: u32,
    pub sends: u32,
    pub sends_end: u32,
    pub record: u32,
    pub cost: u32,
    pub source: u32,
    /// Where the handler raised: which of `Tables::raising` it is.
    pub object: u32,
}

/// The moves from one cell, side by side in `Tables::moves`: those that need no look at the ledger
/// or the history and do not raise, the other free ones, the faults.
#[derive(Clone, Copy)]
pub struct Row {
    pub plain: u32,
    pub other: u32,
    pub faults: u32,
    pub end: u32,
}

const UNKNOWN: Row = Row { plain: u32::MAX, other: 0, faults: 0, end: 0 };

/// A question that the model has not been asked yet.
#[derive(Clone, Copy, Debug)]
pub enum Miss {
    Moves { slot: usize, cell: u32 },
    Put { slot: usize, cell: u32, batch: u32 },
    Pay { ledger: u32, cost: u32 },
    Record { history: u32, batch: u32 },
    Blocked { ledger: u32, source: u32, target: usize },
    LedgerMoves { ledger: u32 },
}

pub struct Tables {
    model: Py<PyAny>,
    pub slots: usize,
    pub partitions: bool,
    pub histories: bool,
    rows: Vec<Vec<Row>>,
    pub moves: Vec<Move>,
    pub sends: Vec<(u32, u32)>,
    pub raising: Vec<(usize, Py<PyAny>)>,
    puts: Vec<Flat>,
    paid: Flat,
    recorded: Flat,
    blocked: Flat,
    ledger_moves: Vec<Option<Box<[u32]>>>,
    /// The largest number met at each place of a world.
    pub largest: Vec<u32>,
}

fn number(value: &Bound<'_, PyAny>) -> PyResult<u32> {
    let number: i64 = value.extract()?;
    if (0..=LARGEST).contains(&number) {
        return Ok(number as u32);
    }
    Err(PyOverflowError::new_err(format!("{number} is no number of a cell, ledger or history")))
}

fn attribute(object: &Bound<'_, PyAny>, name: &Bound<'_, pyo3::types::PyString>) -> PyResult<i64> {
    object.getattr(name)?.extract()
}

impl Tables {
    pub fn new(model: Py<PyAny>, slots: usize, partitions: bool, histories: bool) -> Self {
        Tables {
            model,
            slots,
            partitions,
            histories,
            rows: (0..slots).map(|_| Vec::new()).collect(),
            moves: Vec::new(),
            sends: Vec::new(),
            raising: Vec::new(),
            puts: (0..slots).map(|_| Flat::new()).collect(),
            paid: Flat::new(),
            recorded: Flat::new(),
            blocked: Flat::new(),
            ledger_moves: Vec::new(),
            largest: vec![0; slots + 2],
        }
    }

    #[inline(always)]
    pub fn row(&self, slot: usize, cell: u32) -> Result<Row, Miss> {
        match self.rows[slot].get(cell as usize) {
            Some(row) if row.plain != UNKNOWN.plain => Ok(*row),
            _ => Err(Miss::Moves { slot, cell }),
        }
    }

    #[inline(always)]
    pub fn put(&self, slot: usize, cell: u32, batch: u32) -> Result<u32, Miss> {
        self.puts[slot].get(pair(cell, batch)).ok_or(Miss::Put { slot, cell, batch })
    }

    /// The ledger after a fault; `NONE` where there is no budget.
    #[inline]
    pub fn pay(&self, ledger: u32, cost: u32) -> Result<u32, Miss> {
        self.paid.get(pair(ledger, cost)).ok_or(Miss::Pay { ledger, cost })
    }

    #[inline]
    pub fn record(&self, history: u32, batch: u32) -> Result<u32, Miss> {
        self.recorded.get(pair(history, batch)).ok_or(Miss::Record { history, batch })
    }

    #[inline]
    pub fn blocked(&self, ledger: u32, source: u32, target: usize) -> Result<bool, Miss> {
        let miss = Miss::Blocked { ledger, source, target };
        self.blocked.get(self.link(ledger, source, target)).map(|held| held != 0).ok_or(miss)
    }

    fn link(&self, ledger: u32, source: u32, target: usize) -> u64 {
        pair(ledger, source * self.slots as u32 + target as u32)
    }

    #[inline(always)]
    pub fn ledger_moves(&self, ledger: u32) -> Result<&[u32], Miss> {
        match self.ledger_moves.get(ledger as usize) {
            Some(Some(moves)) => Ok(moves),
            _ => Err(Miss::LedgerMoves { ledger }),
        }
    }

    fn note(&mut self, place: usize, number: u32) {
        self.largest[place] = self.largest[place].max(number);
    }

    /// Asks the model, and keeps the answer.
    pub fn fill(&mut self, py: Python<'_>, miss: Miss) -> PyResult<()> {
        let model = self.model.clone_ref(py);
        let model = model.bind(py);
        match miss {
            Miss::Moves { slot, cell } => {
                let made = model.call_method1(intern!(py, "moves"), (slot, cell))?;
                self.add_row(slot, cell, &made)?;
            }
            Miss::Put { slot, cell, batch } => {
                let made = number(&model.call_method1(intern!(py, "put"), (slot, cell, batch))?)?;
                self.note(slot, made);
                self.puts[slot].insert(pair(cell, batch), made);
            }
            Miss::Pay { ledger, cost } => {
                let made = model.call_method1(intern!(py, "pay"), (ledger, cost))?;
                let after = if made.extract::<i64>()? < 0 { NONE } else { number(&made)? };
                if after != NONE {
                    self.note(self.slots, after);
                }
                self.paid.insert(pair(ledger, cost), after);
            }
            Miss::Record { history, batch } => {
                let made = model.call_method1(intern!(py, "record"), (history, batch))?;
                let after = number(&made)?;
                self.note(self.slots + 1, after);
                self.recorded.insert(pair(history, batch), after);
            }
            Miss::Blocked { ledger, source, target } => {
                let made = model.call_method1(intern!(py, "blocked"), (ledger, source, target))?;
                let link = self.link(ledger, source, target);
                self.blocked.insert(link, made.is_truthy()? as u32);
            }
            Miss::LedgerMoves { ledger } => {
                let made = model.call_method1(intern!(py, "ledger_moves"), (ledger,))?;
                let mut moves = Vec::new();
                for each in made.try_iter()? {
                    let after = number(&each?)?;
                    self.note(self.slots, after);
                    moves.push(after);
                }
                let at = ledger as usize;
                if at >= self.ledger_moves.len() {
                    self.ledger_moves.resize(at + 1, None);
                }
                self.ledger_moves[at] = Some(moves.into());
            }
        }
        Ok(())
    }

    fn add_row(&mut self, slot: usize, cell: u32, made: &Bound<'_, PyAny>) -> PyResult<()> {
        let (free, faults): (Bound<'_, PyAny>, Bound<'_, PyAny>) = made.extract()?;
        let (mut plain, mut other, mut costly) = (Vec::new(), Vec::new(), Vec::new());
        for each in free.try_iter()? {
            let step = self.prepare(slot, &each?)?;
            // What needs a look at the ledger or the history is not plain, nor is a raise.
            let looks = step.record != 0 || (self.partitions && step.source != NONE);
            (if looks || step.cell == RAISES { &mut other } else { &mut plain }).push(step);
        }
        for each in faults.try_iter()? {
            costly.push(self.prepare(slot, &each?)?);
        }
        let start = self.moves.len() as u32;
        let row = Row {
            plain: start,
            other: start + plain.len() as u32,
            faults: start + (plain.len() + other.len()) as u32,
            end: start + (plain.len() + other.len() + costly.len()) as u32,
        };
        self.moves.extend(plain.into_iter().chain(other).chain(costly));
        let rows = &mut self.rows[slot];
        if cell as usize >= rows.len() {
            rows.resize((cell as usize + 1).max(rows.len() * 2), UNKNOWN);
        }
        rows[cell as usize] = row;
        Ok(())
    }

    fn prepare(&mut self, slot: usize, step: &Bound<'_, PyAny>) -> PyResult<Move> {
        let py = step.py();
        let cell = attribute(step, intern!(py, "cell"))?;
        let cost = number(&step.getattr(intern!(py, "cost"))?)?;
        let source = attribute(step, intern!(py, "source"))?;
        let source = if source < 0 { NONE } else { source as u32 };
        let sends = self.sends.len() as u32;
        let mut made = Move { cell: RAISES, sends, sends_end: sends, record: 0, cost, source, object: 0 };
        if cell < 0 {
            made.object = self.raising.len() as u32;
            self.raising.push((slot, step.clone().unbind()));
            return Ok(made);
        }
        made.cell = number(&step.getattr(intern!(py, "cell"))?)?;
        self.note(slot, made.cell);
        made.record = number(&step.getattr(intern!(py, "record"))?)?;
        let batches = step.getattr(intern!(py, "sends"))?;
        for each in batches.cast::<PyTuple>()?.iter() {
            self.sends.push(each.extract()?);
        }
        made.sends_end = self.sends.len() as u32;
        Ok(made)
    }
}
