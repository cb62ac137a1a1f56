//! The steps that lead on from a world, by look-ups alone: nothing is asked and nothing is changed.

use crate::layout::{Key, Layout};
use crate::store::{hash, Store};
use crate::tables::{Miss, Move, Tables, NONE, RAISES};

/// Where a step leads, and the hash of that; or a raise.
#[derive(Clone, Copy)]
pub struct Next<const W: usize> {
    pub key: Key<W>,
    pub hash: u64,
    /// `STEP`, or which of `Tables::raising` raised.
    pub event: u32,
    /// The judge is known to have nothing to say about it.
    pub fine: bool,
}

pub const STEP: u32 = u32::MAX;

/// A world whose steps were gathered: they end at `end` in the batch.
#[derive(Clone, Copy)]
pub struct Item {
    pub index: u32,
    pub end: u32,
    /// Steps that are counted and left out of the batch: nothing else is to be done about them.
    pub settled: u32,
    /// Something other than a fault can happen, blocked by a partition or not.
    pub moving: bool,
}

/// Worlds in the order in which they are expanded, and their steps in the order of the contract:
/// plain ones by process, then the other free ones and the faults by process, then the network's.
pub struct Batch<const W: usize> {
    pub nexts: Vec<Next<W>>,
    pub items: Vec<Item>,
    numbers: Vec<u32>,
}

impl<const W: usize> Batch<W> {
    pub fn new() -> Self {
        Batch { nexts: Vec::new(), items: Vec::new(), numbers: Vec::new() }
    }

    pub fn clear(&mut self) {
        self.nexts.clear();
        self.items.clear();
    }

    /// Adds a world. On a miss the steps found before it stay, and the world is not added.
    #[inline(always)]
    pub fn gather(
        &mut self,
        tables: &Tables,
        layout: &Layout,
        store: &Store<W>,
        index: u32,
    ) -> Result<(), Miss> {
        let key = store.keys[index as usize];
        layout.unpack(&key, &mut self.numbers);
        let (mut moving, mut special) = (false, false);
        for slot in 0..tables.slots {
            let cell = self.numbers[slot];
            let row = tables.row(slot, cell)?;
            moving |= row.plain != row.faults;
            special |= row.other != row.end;
            for step in &tables.moves[row.plain as usize..row.other as usize] {
                let mut after = key;
                layout.change(&mut after, slot, cell, step.cell);
                self.send(tables, layout, store, &mut after, step)?;
            }
        }
        if special {
            self.special(tables, layout, store, &key)?;
        }
        let ledger = self.numbers[tables.slots];
        for &ledger_after in tables.ledger_moves(ledger)? {
            let mut after = key;
            layout.change(&mut after, tables.slots, ledger, ledger_after);
            self.add(store, after, STEP);
        }
        self.items.push(Item { index, end: self.nexts.len() as u32, settled: 0, moving });
        Ok(())
    }

    /// Steps that look at the ledger or the history, or raise.
    fn special(
        &mut self,
        tables: &Tables,
        layout: &Layout,
        store: &Store<W>,
        key: &Key<W>,
    ) -> Result<(), Miss> {
        let (at_ledger, at_history) = (tables.slots, tables.slots + 1);
        let (ledger, history) = (self.numbers[at_ledger], self.numbers[at_history]);
        for slot in 0..tables.slots {
            let cell = self.numbers[slot];
            let row = tables.row(slot, cell)?;
            for step in &tables.moves[row.other as usize..row.end as usize] {
                let mut after = *key;
                if step.cost != 0 {
                    let ledger_after = tables.pay(ledger, step.cost)?;
                    if ledger_after == NONE {
                        continue;
                    }
                    layout.change(&mut after, at_ledger, ledger, ledger_after);
                } else if step.source != NONE && tables.blocked(ledger, step.source, slot)? {
                    continue;
                }
                if step.cell == RAISES {
                    self.add(store, after, step.object);
                    continue;
                }
                layout.change(&mut after, slot, cell, step.cell);
                if step.record != 0 && tables.histories {
                    let history_after = tables.record(history, step.record)?;
                    layout.change(&mut after, at_history, history, history_after);
                }
                self.send(tables, layout, store, &mut after, step)?;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn send(
        &mut self,
        tables: &Tables,
        layout: &Layout,
        store: &Store<W>,
        after: &mut Key<W>,
        step: &Move,
    ) -> Result<(), Miss> {
        for &(target, batch) in &tables.sends[step.sends as usize..step.sends_end as usize] {
            let before = self.numbers[target as usize];
            let put = tables.put(target as usize, before, batch)?;
            layout.change(after, target as usize, before, put);
        }
        self.add(store, *after, STEP);
        Ok(())
    }

    #[inline(always)]
    fn add(&mut self, store: &Store<W>, key: Key<W>, event: u32) {
        let hash = hash(&key);
        store.prefetch_entry(hash);
        self.nexts.push(Next { key, hash, event, fine: false });
    }
}
