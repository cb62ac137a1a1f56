//! What may happen next: the rows of moves, put together here from local transitions.
//!
//! A look-up that has no answer yet is a `Miss`. `settle` answers it from the local transitions that
//! are known, with inboxes and cells kept here; what is not known is a `Question`, and `ask` puts it
//! to the model, which is Python. The order of the questions is that of the contract.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::flat::{fold, pair, Flat};
use crate::inbox::{Kind, Ranks};
use crate::mix;
use crate::sleep::{bit, Sleepers, NOBODY};

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
    /// Its place among the free moves of its row, in order of content.
    pub place: u32,
    /// The local state changes, and not just the inbox.
    pub changes: bool,
    /// The processes that it sends to.
    pub reached: Sleepers,
    /// What the change of the cell adds to a fingerprint.
    pub mix: u64,
}

/// The moves from one cell, side by side in `Tables::moves`: those that need no look at the ledger
/// or the history and do not raise, the other free ones, the faults.
#[derive(Clone, Copy)]
pub struct Row {
    pub plain: u32,
    pub other: u32,
    pub faults: u32,
    pub end: u32,
    /// The cell's share in a fingerprint.
    pub mix: u64,
}

const UNKNOWN: Row = Row { plain: u32::MAX, other: 0, faults: 0, end: 0, mix: 0 };

/// A look-up without an answer.
#[derive(Clone, Copy, Debug)]
pub enum Miss {
    Moves { slot: usize, cell: u32 },
    Put { slot: usize, cell: u32, batch: u32 },
    Other(Question),
}

/// What has to be asked of the model.
#[derive(Clone, Copy, Debug)]
pub enum Question {
    Receives { slot: usize, state: u32 },
    Delivery { slot: usize, state: u32, envelope: u32 },
    Own { slot: usize, state: u32 },
    Forgets { slot: usize, state: u32, envelope: u32 },
    Pay { ledger: u32, cost: u32 },
    Record { history: u32, batch: u32 },
    Blocked { ledger: u32, source: u32, target: usize },
    LedgerMoves { ledger: u32 },
}

/// A local step, whatever waits in the inbox; see `contract.Effect`.
struct Effect {
    state: u32,
    own: Box<[u32]>,
    sends: Box<[(u32, u32)]>,
    record: u32,
    cost: u32,
    object: u32,
    cuts: bool,
}

/// Which of `Tables::effects`.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

#[derive(Clone, Copy)]
struct Own {
    free: Span,
    faults: Span,
}

struct Envelope {
    source: u32,
    text: String,
}

#[derive(Default)]
struct Envelopes(Vec<Option<Envelope>>);

impl Envelopes {
    fn get(&self, envelope: u32) -> &Envelope {
        self.0[envelope as usize].as_ref().expect("a message has its rank before it is put")
    }
}

impl Ranks for Envelopes {
    fn compare(&self, one: u32, other: u32) -> Ordering {
        if one == other {
            return Ordering::Equal;
        }
        let (one, other) = (self.get(one), self.get(other));
        // Python compares text by code point, and so do the bytes of UTF-8.
        one.source.cmp(&other.source).then_with(|| one.text.cmp(&other.text))
    }
}

struct Batch {
    envelopes: Box<[u32]>,
    /// The slot whose link is cut.
    cut: u32,
}

#[derive(Default)]
struct Folded(u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = fold(self.0 ^ u64::from_ne_bytes(word) ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93);
        }
    }
}

/// What is known of one process.
struct Process {
    index: HashMap<Arc<[u32]>, u32, BuildHasherDefault<Folded>>,
    cells: Vec<Arc<[u32]>>,
    states: Vec<u32>,
    mixes: Vec<u64>,
    rows: Vec<Row>,
    puts: Flat,
    receives: Vec<Option<bool>>,
    /// Of a local state and a message: which of `lists`.
    deliveries: Flat,
    lists: Vec<Span>,
    own: Vec<Option<Own>>,
    /// Of a local state and a message: whether it is left out.
    forgets: Flat,
}

impl Process {
    fn new() -> Self {
        Process {
            index: HashMap::default(),
            cells: Vec::new(),
            states: Vec::new(),
            mixes: Vec::new(),
            rows: Vec::new(),
            puts: Flat::new(),
            receives: Vec::new(),
            deliveries: Flat::new(),
            lists: Vec::new(),
            own: Vec::new(),
            forgets: Flat::new(),
        }
    }
}

/// Who answers what is not known here.
pub struct Model {
    model: Py<PyAny>,
    local: Py<PyAny>,
}

impl Model {
    pub fn answer<'py>(&self, py: Python<'py>, question: Question) -> PyResult<Bound<'py, PyAny>> {
        let (model, local) = (self.model.bind(py), self.local.bind(py));
        match question {
            Question::Receives { slot, state } => local.call_method1(intern!(py, "receives"), (slot, state)),
            Question::Delivery { slot, state, envelope } => {
                local.call_method1(intern!(py, "delivery"), (slot, state, envelope))
            }
            Question::Own { slot, state } => local.call_method1(intern!(py, "own"), (slot, state)),
            Question::Forgets { slot, state, envelope } => {
                local.call_method1(intern!(py, "forgets"), (slot, state, envelope))
            }
            Question::Pay { ledger, cost } => model.call_method1(intern!(py, "pay"), (ledger, cost)),
            Question::Record { history, batch } => {
                model.call_method1(intern!(py, "record"), (history, batch))
            }
            Question::Blocked { ledger, source, target } => {
                model.call_method1(intern!(py, "blocked"), (ledger, source, target))
            }
            Question::LedgerMoves { ledger } => model.call_method1(intern!(py, "ledger_moves"), (ledger,)),
        }
    }
}

pub struct Tables {
    model: Model,
    kind: Kind,
    drop_cost: u32,
    duplicate_cost: u32,
    /// Some messages are left out of inboxes.
    forgetful: bool,
    pub slots: usize,
    pub partitions: bool,
    pub histories: bool,
    processes: Vec<Process>,
    envelopes: Envelopes,
    batches: Vec<Option<Batch>>,
    effects: Vec<Effect>,
    pub moves: Vec<Move>,
    pub sends: Vec<(u32, u32)>,
    pub raising: Vec<(usize, Py<PyAny>)>,
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

fn at<T: Clone>(values: &mut Vec<T>, index: u32, empty: T) -> &mut T {
    let index = index as usize;
    if index >= values.len() {
        values.resize((index + 1).max(values.len() * 2), empty);
    }
    &mut values[index]
}

impl Tables {
    pub fn new(
        model: Bound<'_, PyAny>,
        slots: usize,
        partitions: bool,
        histories: bool,
    ) -> PyResult<Self> {
        let local = model.getattr(intern!(model.py(), "local"))?;
        let (kind, drop_cost, duplicate_cost): (String, u32, u32) =
            local.call_method0(intern!(model.py(), "network"))?.extract()?;
        let forgetful = local.getattr(intern!(model.py(), "forgetful"))?.is_truthy()?;
        let kind = match kind.as_str() {
            "unordered" => Kind::Unordered,
            "duplicating" => Kind::Duplicating,
            "ordered" => Kind::Ordered,
            _ => return Err(PyValueError::new_err(format!("no kernel knows a network {kind}"))),
        };
        Ok(Tables {
            model: Model { model: model.unbind(), local: local.unbind() },
            kind,
            drop_cost,
            duplicate_cost,
            forgetful,
            slots,
            partitions,
            histories,
            processes: (0..slots).map(|_| Process::new()).collect(),
            envelopes: Envelopes::default(),
            batches: Vec::new(),
            effects: Vec::new(),
            moves: Vec::new(),
            sends: Vec::new(),
            raising: Vec::new(),
            paid: Flat::new(),
            recorded: Flat::new(),
            blocked: Flat::new(),
            ledger_moves: Vec::new(),
            largest: vec![0; slots + 2],
        })
    }

    /// True where a fault too may come before or after what another process sends.
    pub fn faults_commute(&self) -> bool {
        self.kind == Kind::Unordered
    }

    // -- look-ups -----------------------------------------------------------------------------

    #[inline(always)]
    pub fn row(&self, slot: usize, cell: u32) -> Result<Row, Miss> {
        match self.processes[slot].rows.get(cell as usize) {
            Some(row) if row.plain != UNKNOWN.plain => Ok(*row),
            _ => Err(Miss::Moves { slot, cell }),
        }
    }

    #[inline(always)]
    pub fn put(&self, slot: usize, cell: u32, batch: u32) -> Result<u32, Miss> {
        self.processes[slot].puts.get(pair(cell, batch)).ok_or(Miss::Put { slot, cell, batch })
    }

    /// The number of the local state of a cell.
    #[inline(always)]
    pub fn state(&self, slot: usize, cell: u32) -> u32 {
        self.processes[slot].states[cell as usize]
    }

    /// A number's share in a fingerprint.
    #[inline(always)]
    pub fn mix(&self, place: usize, number: u32) -> u64 {
        if place < self.slots {
            self.processes[place].mixes[number as usize]
        } else {
            mix::of(place, &[number])
        }
    }

    /// The ledger after a fault; `NONE` where there is no budget.
    #[inline]
    pub fn pay(&self, ledger: u32, cost: u32) -> Result<u32, Miss> {
        self.paid.get(pair(ledger, cost)).ok_or(Miss::Other(Question::Pay { ledger, cost }))
    }

    #[inline]
    pub fn record(&self, history: u32, batch: u32) -> Result<u32, Miss> {
        let found = self.recorded.get(pair(history, batch));
        found.ok_or(Miss::Other(Question::Record { history, batch }))
    }

    #[inline]
    pub fn blocked(&self, ledger: u32, source: u32, target: usize) -> Result<bool, Miss> {
        let miss = Miss::Other(Question::Blocked { ledger, source, target });
        self.blocked.get(self.link(ledger, source, target)).map(|held| held != 0).ok_or(miss)
    }

    fn link(&self, ledger: u32, source: u32, target: usize) -> u64 {
        pair(ledger, source * self.slots as u32 + target as u32)
    }

    #[inline(always)]
    pub fn ledger_moves(&self, ledger: u32) -> Result<&[u32], Miss> {
        match self.ledger_moves.get(ledger as usize) {
            Some(Some(moves)) => Ok(moves),
            _ => Err(Miss::Other(Question::LedgerMoves { ledger })),
        }
    }

    pub fn note(&mut self, place: usize, number: u32) {
        self.largest[place] = self.largest[place].max(number);
    }

    // -- what can be answered here ------------------------------------------------------------

    /// Looks an answer up, asking the model for what it has not said yet.
    pub fn look<T>(&mut self, up: impl Fn(&Tables) -> Result<T, Miss>) -> PyResult<T> {
        loop {
            let miss = match up(self) {
                Ok(found) => return Ok(found),
                Err(miss) => miss,
            };
            if let Err(question) = self.settle(miss) {
                Python::attach(|py| self.ask(py, question))?;
            }
        }
    }

    /// Answers a miss from what is known; an error says what to ask first.
    pub fn settle(&mut self, miss: Miss) -> Result<(), Question> {
        match miss {
            Miss::Moves { slot, cell } => self.make_row(slot, cell),
            Miss::Put { slot, cell, batch } => {
                let mut content = self.processes[slot].cells[cell as usize].to_vec();
                let batch_made = self.batches[batch as usize].as_ref().expect("asked with its move");
                if batch_made.cut != NONE {
                    self.kind.cut(&mut content, Some(batch_made.cut));
                }
                for &envelope in &batch_made.envelopes {
                    let source = self.envelopes.get(envelope).source;
                    self.kind.put(&mut content, envelope, source, &self.envelopes);
                }
                self.forget(slot, &mut content)?;
                let after = self.cell(slot, &content);
                self.processes[slot].puts.insert(pair(cell, batch), after);
                Ok(())
            }
            Miss::Other(question) => Err(question),
        }
    }

    /// Leaves out of a cell the messages that the model says to.
    fn forget(&self, slot: usize, content: &mut Vec<u32>) -> Result<(), Question> {
        if !self.forgetful {
            return Ok(());
        }
        let (state, forgets) = (content[0], &self.processes[slot].forgets);
        for envelope in self.kind.heads(content) {
            match forgets.get(pair(state, envelope)) {
                None => return Err(Question::Forgets { slot, state, envelope }),
                Some(0) => {}
                Some(_) => self.kind.forget(content, envelope),
            }
        }
        Ok(())
    }

    /// The number of a cell here, by its content.
    fn cell(&mut self, slot: usize, content: &[u32]) -> u32 {
        let process = &mut self.processes[slot];
        if let Some(&known) = process.index.get(content) {
            return known;
        }
        let made = process.cells.len() as u32;
        let shared: Arc<[u32]> = content.into();
        process.index.insert(shared.clone(), made);
        process.cells.push(shared);
        process.states.push(content[0]);
        process.mixes.push(mix::of(slot, content));
        self.note(slot, made);
        made
    }

    fn make_row(&mut self, slot: usize, cell: u32) -> Result<(), Question> {
        let sends = self.sends.len();
        let made = self.try_row(slot, cell);
        if made.is_err() {
            self.sends.truncate(sends);
        }
        made
    }

    fn try_row(&mut self, slot: usize, cell: u32) -> Result<(), Question> {
        let content = self.processes[slot].cells[cell as usize].clone();
        let (state, kind) = (content[0], self.kind);
        let process = &self.processes[slot];
        let Some(&Some(receives)) = process.receives.get(state as usize) else {
            return Err(Question::Receives { slot, state });
        };
        let heads = kind.heads(&content);
        let mut free: Vec<(Option<u32>, Span)> = Vec::new();
        if receives {
            for &envelope in &heads {
                let Some(list) = process.deliveries.get(pair(state, envelope)) else {
                    return Err(Question::Delivery { slot, state, envelope });
                };
                free.push((Some(envelope), process.lists[list as usize]));
            }
        }
        let Some(&Some(own)) = process.own.get(state as usize) else {
            return Err(Question::Own { slot, state });
        };
        free.push((None, own.free));
        let (mut plain, mut other, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for (envelope, span) in free {
            for at in span.start..span.end {
                let mut after = content.to_vec();
                let mut source = NONE;
                if let Some(envelope) = envelope {
                    source = self.envelopes.get(envelope).source;
                    kind.take(&mut after, envelope, source);
                }
                let mut step = self.make_move(slot, cell, at, after, source)?;
                step.place = (plain.len() + other.len()) as u32;
                // What needs a look at the ledger or the history is not plain, nor is a raise.
                let looks = step.record != 0 || (self.partitions && source != NONE);
                (if looks || step.cell == RAISES { &mut other } else { &mut plain }).push(step);
            }
        }
        for &envelope in &heads {
            let source = self.envelopes.get(envelope).source;
            if self.drop_cost != 0 {
                let mut after = content.to_vec();
                kind.lose(&mut after, envelope, source);
                faults.push(self.make_fault(slot, cell, after, self.drop_cost)?);
            }
            if self.duplicate_cost != 0 {
                let mut after = content.to_vec();
                if kind.copy(&mut after, envelope, source, &self.envelopes) {
                    faults.push(self.make_fault(slot, cell, after, self.duplicate_cost)?);
                }
            }
        }
        for at in own.faults.start..own.faults.end {
            let mut after = content.to_vec();
            if self.effects[at as usize].cuts {
                kind.cut(&mut after, None);
            }
            let step = self.make_move(slot, cell, at, after, NONE)?;
            faults.push(step);
        }
        let start = self.moves.len() as u32;
        let row = Row {
            plain: start,
            other: start + plain.len() as u32,
            faults: start + (plain.len() + other.len()) as u32,
            end: start + (plain.len() + other.len() + faults.len()) as u32,
            mix: self.processes[slot].mixes[cell as usize],
        };
        self.moves.extend(plain.into_iter().chain(other).chain(faults));
        *at(&mut self.processes[slot].rows, cell, UNKNOWN) = row;
        Ok(())
    }

    /// An effect on one cell; `after` is the cell once the event has happened, in its old state.
    fn make_move(
        &mut self,
        slot: usize,
        from: u32,
        effect: u32,
        mut after: Vec<u32>,
        source: u32,
    ) -> Result<Move, Question> {
        let sends = self.sends.len() as u32;
        let made = &self.effects[effect as usize];
        let mut step = Move {
            cell: RAISES,
            sends,
            sends_end: sends,
            record: made.record,
            cost: made.cost,
            source,
            object: made.object,
            place: 0,
            changes: made.state != after[0],
            reached: made.sends.iter().fold(NOBODY, |reached, &(to, _)| reached | bit(to as usize)),
            mix: 0,
        };
        if made.object != NONE {
            return Ok(step);
        }
        self.sends.extend_from_slice(&made.sends);
        step.sends_end = self.sends.len() as u32;
        after[0] = made.state;
        for &envelope in &made.own {
            self.kind.put(&mut after, envelope, slot as u32, &self.envelopes);
        }
        self.lead_to(&mut step, slot, from, after)?;
        Ok(step)
    }

    fn make_fault(&mut self, slot: usize, from: u32, after: Vec<u32>, cost: u32) -> Result<Move, Question> {
        let sends = self.sends.len() as u32;
        let mut step = Move {
            cell: RAISES,
            sends,
            sends_end: sends,
            record: 0,
            cost,
            source: NONE,
            object: NONE,
            place: 0,
            changes: false,
            reached: NOBODY,
            mix: 0,
        };
        self.lead_to(&mut step, slot, from, after)?;
        Ok(step)
    }

    fn lead_to(&mut self, step: &mut Move, slot: usize, from: u32, mut after: Vec<u32>) -> Result<(), Question> {
        self.forget(slot, &mut after)?;
        step.cell = self.cell(slot, &after);
        let mixes = &self.processes[slot].mixes;
        step.mix = mixes[step.cell as usize].wrapping_sub(mixes[from as usize]);
        Ok(())
    }

    // -- what Python is asked -----------------------------------------------------------------

    /// Whom to ask.
    pub fn model(&self, py: Python<'_>) -> Model {
        Model { model: self.model.model.clone_ref(py), local: self.model.local.clone_ref(py) }
    }

    /// Asks the model, and keeps the answer.
    pub fn ask(&mut self, py: Python<'_>, question: Question) -> PyResult<()> {
        let model = self.model(py);
        let answer = model.answer(py, question)?;
        self.keep(py, &model, question, &answer)
    }

    /// Keeps an answer of the model.
    pub fn keep(
        &mut self,
        py: Python<'_>,
        model: &Model,
        question: Question,
        made: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let local = model.local.bind(py);
        match question {
            Question::Receives { slot, state } => {
                *at(&mut self.processes[slot].receives, state, None) = Some(made.is_truthy()?);
            }
            Question::Delivery { slot, state, envelope } => {
                let span = self.add_effects(slot, local, made, &[])?;
                let process = &mut self.processes[slot];
                process.deliveries.insert(pair(state, envelope), process.lists.len() as u32);
                process.lists.push(span);
            }
            Question::Own { slot, state } => {
                let (free, faults, cuts): (Bound<'_, PyAny>, Bound<'_, PyAny>, Vec<bool>) =
                    made.extract()?;
                let free = self.add_effects(slot, local, &free, &[])?;
                let faults = self.add_effects(slot, local, &faults, &cuts)?;
                *at(&mut self.processes[slot].own, state, None) = Some(Own { free, faults });
            }
            Question::Forgets { slot, state, envelope } => {
                let forgets = made.is_truthy()? as u32;
                self.processes[slot].forgets.insert(pair(state, envelope), forgets);
            }
            Question::Pay { ledger, cost } => {
                let after = if made.extract::<i64>()? < 0 { NONE } else { number(made)? };
                if after != NONE {
                    self.note(self.slots, after);
                }
                self.paid.insert(pair(ledger, cost), after);
            }
            Question::Record { history, batch } => {
                let after = number(made)?;
                self.note(self.slots + 1, after);
                self.recorded.insert(pair(history, batch), after);
            }
            Question::Blocked { ledger, source, target } => {
                let link = self.link(ledger, source, target);
                self.blocked.insert(link, made.is_truthy()? as u32);
            }
            Question::LedgerMoves { ledger } => {
                let mut moves = Vec::new();
                for each in made.try_iter()? {
                    let after = number(&each?)?;
                    self.note(self.slots, after);
                    moves.push(after);
                }
                *at(&mut self.ledger_moves, ledger, None) = Some(moves.into());
            }
        }
        Ok(())
    }

    /// Keeps what local steps do, with all that they send. `cuts`: which of them break links.
    fn add_effects(
        &mut self,
        slot: usize,
        local: &Bound<'_, PyAny>,
        made: &Bound<'_, PyAny>,
        cuts: &[bool],
    ) -> PyResult<Span> {
        let py = local.py();
        let start = self.effects.len() as u32;
        for (at, each) in made.try_iter()?.enumerate() {
            let each = each?;
            let state: i64 = each.getattr(intern!(py, "state"))?.extract()?;
            let cost = number(&each.getattr(intern!(py, "cost"))?)?;
            let cuts = cuts.get(at).copied().unwrap_or(false);
            if state < 0 {
                let object = self.raising.len() as u32;
                self.raising.push((slot, each.unbind()));
                let (own, sends) = (Box::default(), Box::default());
                self.effects.push(Effect { state: NONE, own, sends, record: 0, cost, object, cuts });
                continue;
            }
            let own: Vec<u32> = each.getattr(intern!(py, "own"))?.extract()?;
            let sends: Vec<(u32, u32)> = each.getattr(intern!(py, "sends"))?.extract()?;
            for &envelope in &own {
                self.know_envelope(local, envelope)?;
            }
            for &(_, batch) in &sends {
                self.know_batch(local, batch)?;
            }
            self.effects.push(Effect {
                state: number(&each.getattr(intern!(py, "state"))?)?,
                own: own.into(),
                sends: sends.into(),
                record: number(&each.getattr(intern!(py, "record"))?)?,
                cost,
                object: NONE,
                cuts,
            });
        }
        Ok(Span { start, end: self.effects.len() as u32 })
    }

    fn know_envelope(&mut self, local: &Bound<'_, PyAny>, envelope: u32) -> PyResult<()> {
        if !matches!(self.envelopes.0.get(envelope as usize), Some(Some(_))) {
            let rank = local.call_method1(intern!(local.py(), "rank"), (envelope,))?;
            let (source, text) = rank.extract()?;
            let known = &mut self.envelopes.0;
            if envelope as usize >= known.len() {
                known.resize_with(envelope as usize + 1, || None);
            }
            known[envelope as usize] = Some(Envelope { source, text });
        }
        Ok(())
    }

    fn know_batch(&mut self, local: &Bound<'_, PyAny>, batch: u32) -> PyResult<()> {
        if matches!(self.batches.get(batch as usize), Some(Some(_))) {
            return Ok(());
        }
        let made = local.call_method1(intern!(local.py(), "batch"), (batch,))?;
        let (envelopes, cut): (Vec<u32>, i64) = made.extract()?;
        for &envelope in &envelopes {
            self.know_envelope(local, envelope)?;
        }
        let at = batch as usize;
        if at >= self.batches.len() {
            self.batches.resize_with(at + 1, || None);
        }
        let cut = if cut < 0 { NONE } else { cut as u32 };
        self.batches[at] = Some(Batch { envelopes: envelopes.into(), cut });
        Ok(())
    }

    // -- for a search up to symmetry ----------------------------------------------------------

    /// What a cell holds: a local state, and each message with its number of copies, in order.
    pub fn inside(&self, slot: usize, cell: u32) -> (u32, Vec<(u32, u32)>) {
        let content = &self.processes[slot].cells[cell as usize];
        let waiting = match self.kind {
            Kind::Unordered => content[1..].chunks(2).map(|each| (each[0], each[1])).collect(),
            _ => self.kind.every(content).into_iter().map(|envelope| (envelope, 1)).collect(),
        };
        (content[0], waiting)
    }

    /// The cell in which these messages have come, one after the other.
    pub fn outside(&mut self, slot: usize, state: u32, waiting: &[(u32, u32)]) -> u32 {
        let mut content = vec![state];
        for &(envelope, copies) in waiting {
            let source = self.envelopes.get(envelope).source;
            for _ in 0..copies {
                self.kind.put(&mut content, envelope, source, &self.envelopes);
            }
        }
        self.cell(slot, &content)
    }

    /// Asks for the rank of a message that this kernel may not have met.
    pub fn learn(&mut self, envelope: u32) -> PyResult<()> {
        Python::attach(|py| {
            let local = self.model.local.clone_ref(py);
            self.know_envelope(local.bind(py), envelope)
        })
    }

    // -- the model's numbers ------------------------------------------------------------------

    /// A world by the model's numbers, as numbers of this kernel.
    /// A cell by its content, in the model's numbers; its number here. `None`: it has no content.
    pub fn import_cell(&mut self, py: Python<'_>, slot: usize, content: &[u32]) -> PyResult<Option<u32>> {
        if !self.kind.fits(content) {
            return Ok(None);
        }
        let local = self.model.local.clone_ref(py);
        for envelope in self.kind.every(content) {
            self.know_envelope(local.bind(py), envelope)?;
        }
        Ok(Some(self.cell(slot, content)))
    }

    /// The cells of a process, by their numbers: a local state and an inbox each.
    pub fn cells(&self, slot: usize) -> &[Arc<[u32]>] {
        &self.processes[slot].cells
    }

    /// True where every cell of a world is known, and nothing in it larger than what was met.
    pub fn has(&self, numbers: &[u32]) -> bool {
        let known = |(slot, &cell): (usize, &u32)| (cell as usize) < self.processes[slot].cells.len();
        let rest = &numbers[self.slots..];
        numbers[..self.slots].iter().enumerate().all(known)
            && rest.iter().zip(&self.largest[self.slots..]).all(|(number, largest)| number <= largest)
    }

    pub fn import(&mut self, py: Python<'_>, world: &[u32]) -> PyResult<Vec<u32>> {
        let local = self.model.local.clone_ref(py);
        let local = local.bind(py);
        let mut numbers = Vec::new();
        for (slot, &cell) in world[..self.slots].iter().enumerate() {
            let inside = local.call_method1(intern!(py, "inside"), (slot, cell))?;
            let (state, inbox): (u32, Bound<'_, PyTuple>) = inside.extract()?;
            let mut content = vec![state];
            for each in inbox.iter() {
                match self.kind {
                    Kind::Duplicating => content.push(each.extract()?),
                    Kind::Unordered => content.extend(<[u32; 2]>::from(each.extract::<(u32, u32)>()?)),
                    Kind::Ordered => {
                        let (source, queue): (u32, Vec<u32>) = each.extract()?;
                        content.extend([source, queue.len() as u32]);
                        content.extend(queue);
                    }
                }
            }
            for envelope in self.kind.every(&content) {
                self.know_envelope(local, envelope)?;
            }
            numbers.push(self.cell(slot, &content));
        }
        for place in self.slots..self.slots + 2 {
            self.note(place, world[place]);
            numbers.push(world[place]);
        }
        Ok(numbers)
    }
}

/// What the model calls the cells of this kernel.
pub struct Exports {
    /// The model leaves messages out of inboxes.
    pub forgetful: bool,
    local: Py<PyAny>,
    numbers: Vec<Vec<u32>>,
}

impl Exports {
    pub fn new(py: Python<'_>, tables: &Tables) -> Self {
        let numbers = (0..tables.slots).map(|_| Vec::new()).collect();
        Exports { forgetful: tables.forgetful, local: tables.model.local.clone_ref(py), numbers }
    }

    /// Turns numbers of this kernel into the model's.
    pub fn world(&mut self, py: Python<'_>, tables: &Tables, numbers: &mut [u32]) -> PyResult<()> {
        for slot in 0..tables.slots {
            numbers[slot] = self.cell(py, tables, slot, numbers[slot])?;
        }
        Ok(())
    }

    /// What the model calls a cell.
    pub fn cell(&mut self, py: Python<'_>, tables: &Tables, slot: usize, cell: u32) -> PyResult<u32> {
        let known = *at(&mut self.numbers[slot], cell, NONE);
        if known != NONE {
            return Ok(known);
        }
        let content = &tables.processes[slot].cells[cell as usize];
        let inbox = match tables.kind {
            Kind::Duplicating => PyTuple::new(py, &content[1..])?,
            Kind::Unordered => PyTuple::new(py, content[1..].chunks(2).map(|each| (each[0], each[1])))?,
            Kind::Ordered => {
                let (mut queues, mut at) = (Vec::new(), 1);
                while at < content.len() {
                    let end = at + 2 + content[at + 1] as usize;
                    queues.push((content[at], PyTuple::new(py, &content[at + 2..end])?));
                    at = end;
                }
                PyTuple::new(py, queues)?
            }
        };
        let made = self.local.bind(py).call_method1(intern!(py, "cell"), (slot, content[0], inbox))?;
        let made = number(&made)?;
        *at(&mut self.numbers[slot], cell, NONE) = made;
        Ok(made)
    }
}
