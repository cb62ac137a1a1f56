//! The steps that lead on from a world, by look-ups alone: nothing is asked and nothing is changed.

use crate::judge::Quiet;
use crate::layout::{Key, Layout};
use crate::seen::{Entry, Seen};
use crate::sleep::{after_plain, bit, Sleepers, EVERYBODY, NOBODY};
use crate::tables::{Miss, Move, Tables, NONE, RAISES};

/// Where a step leads, and the hash of that; or a raise.
#[derive(Clone, Copy)]
pub struct Next<const W: usize> {
    pub key: Key<W>,
    pub hash: u64,
    /// Which step of its world it is.
    pub step: u32,
    /// `STEP`, or which of `Tables::raising` raised.
    pub event: u32,
    /// Who need not be looked at in the world that it leads to.
    pub asleep: Sleepers,
    /// The judge is known to have nothing to say about it.
    pub fine: bool,
}

pub const STEP: u32 = u32::MAX;

/// A world whose steps were gathered: those from `start` to `end` in the batch.
#[derive(Clone, Copy)]
pub struct Item<const W: usize> {
    pub key: Key<W>,
    pub start: u32,
    pub end: u32,
    /// Steps of processes that sleep, and others that lead to worlds met before: they are not in the
    /// batch.
    pub slept: u32,
    /// Something other than a fault can happen, blocked by a partition or not.
    pub moving: bool,
    /// It was not gathered: something is missing.
    pub missed: bool,
}

/// Worlds in the order in which they are expanded, and their steps in the order of the contract:
/// plain ones by process, then the other free ones and the faults by process, then the network's.
pub struct Batch<const W: usize> {
    pub nexts: Vec<Next<W>>,
    pub items: Vec<Item<W>>,
    numbers: Vec<u32>,
    /// Of the world gathered last: see `Item::slept`.
    pub slept: u32,
}

/// What the steps are looked up in.
#[derive(Clone, Copy)]
pub struct Ground<'a, const W: usize, E> {
    pub tables: &'a Tables,
    pub layout: &'a Layout,
    /// Where to look for what is found soon after; `None`: another thread will, later.
    pub seen: Option<&'a Seen<W, E>>,
    pub quiet: Quiet,
}

impl<const W: usize> Batch<W> {
    pub fn new() -> Self {
        Batch { nexts: Vec::new(), items: Vec::new(), numbers: Vec::new(), slept: 0 }
    }

    pub fn clear(&mut self) {
        self.nexts.clear();
        self.items.clear();
    }

    /// Adds a world about which something is missing.
    pub fn miss(&mut self, key: &Key<W>) {
        let start = self.nexts.len() as u32;
        self.items.push(Item { key: *key, start, end: start, slept: 0, moving: true, missed: true });
    }

    /// Adds a world. On a miss the steps found before it stay, and the world is not added.
    #[inline(always)]
    pub fn gather<E: Entry<W>>(
        &mut self,
        on: Ground<'_, W, E>,
        key: &Key<W>,
        asleep: Sleepers,
    ) -> Result<(), Miss> {
        let Ground { tables, layout, quiet, .. } = on;
        let start = self.nexts.len() as u32;
        self.slept = 0;
        layout.unpack(key, &mut self.numbers);
        let ledger = self.numbers[tables.slots];
        let mut mix = 0u64;
        if E::MIXED {
            mix = tables
                .mix(tables.slots, ledger)
                .wrapping_add(tables.mix(tables.slots + 1, self.numbers[tables.slots + 1]));
            for slot in 0..tables.slots {
                mix = mix.wrapping_add(tables.row(slot, self.numbers[slot])?.mix);
            }
        }
        let (mut moving, mut special) = (false, false);
        for slot in 0..tables.slots {
            let cell = self.numbers[slot];
            let row = tables.row(slot, cell)?;
            moving |= row.plain != row.faults;
            special |= row.other != row.end;
            if asleep & bit(slot) != 0 {
                self.slept += row.other - row.plain;
                continue;
            }
            let field = layout.field(slot);
            for step in &tables.moves[row.plain as usize..row.other as usize] {
                let mut after = *key;
                field.change(&mut after, cell, step.cell);
                let mix = if E::MIXED { mix.wrapping_add(step.mix) } else { 0 };
                let fine = quiet.on(slot, step.changes);
                let asleep = after_plain(asleep, slot, step.reached);
                self.send(on, start, after, mix, step, asleep, fine)?;
            }
        }
        if special {
            self.special(on, start, key, mix)?;
        }
        for &ledger_after in tables.ledger_moves(ledger)? {
            let mut after = *key;
            layout.change(&mut after, tables.slots, ledger, ledger_after);
            let mix = moved::<W, E>(tables, mix, tables.slots, ledger, ledger_after);
            self.add(on, start, after, mix, STEP, EVERYBODY, false);
        }
        let end = self.nexts.len() as u32;
        self.items.push(Item { key: *key, start, end, slept: self.slept, moving, missed: false });
        Ok(())
    }

    /// Steps that look at the ledger or the history, or raise.
    fn special<E: Entry<W>>(
        &mut self,
        on: Ground<'_, W, E>,
        start: u32,
        key: &Key<W>,
        mix: u64,
    ) -> Result<(), Miss> {
        let Ground { tables, layout, .. } = on;
        let (at_ledger, at_history) = (tables.slots, tables.slots + 1);
        let (ledger, history) = (self.numbers[at_ledger], self.numbers[at_history]);
        for slot in 0..tables.slots {
            let cell = self.numbers[slot];
            let row = tables.row(slot, cell)?;
            for step in &tables.moves[row.other as usize..row.end as usize] {
                let (mut after, mut mix) = (*key, mix);
                if step.cost != 0 {
                    let ledger_after = tables.pay(ledger, step.cost)?;
                    if ledger_after == NONE {
                        continue;
                    }
                    layout.change(&mut after, at_ledger, ledger, ledger_after);
                    mix = moved::<W, E>(tables, mix, at_ledger, ledger, ledger_after);
                } else if step.source != NONE && tables.blocked(ledger, step.source, slot)? {
                    continue;
                }
                if step.cell == RAISES {
                    self.add(on, start, after, mix, step.object, NOBODY, false);
                    continue;
                }
                layout.change(&mut after, slot, cell, step.cell);
                mix = mix.wrapping_add(step.mix);
                if step.record != 0 && tables.histories {
                    let history_after = tables.record(history, step.record)?;
                    layout.change(&mut after, at_history, history, history_after);
                    mix = moved::<W, E>(tables, mix, at_history, history, history_after);
                }
                // All plain steps are done by now.
                let asleep = if step.cost == 0 || tables.faults_commute() { EVERYBODY } else { NOBODY };
                let asleep = asleep & !bit(slot) & !step.reached;
                self.send(on, start, after, mix, step, asleep, false)?;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn send<E: Entry<W>>(
        &mut self,
        on: Ground<'_, W, E>,
        start: u32,
        mut after: Key<W>,
        mut mix: u64,
        step: &Move,
        asleep: Sleepers,
        fine: bool,
    ) -> Result<(), Miss> {
        let Ground { tables, layout, .. } = on;
        for &(target, batch) in &tables.sends[step.sends as usize..step.sends_end as usize] {
            let target = target as usize;
            let before = self.numbers[target];
            let put = tables.put(target, before, batch)?;
            layout.change(&mut after, target, before, put);
            mix = moved::<W, E>(tables, mix, target, before, put);
        }
        self.add(on, start, after, mix, STEP, asleep, fine);
        Ok(())
    }

    #[inline(always)]
    fn add<E: Entry<W>>(
        &mut self,
        on: Ground<'_, W, E>,
        start: u32,
        key: Key<W>,
        mix: u64,
        event: u32,
        asleep: Sleepers,
        fine: bool,
    ) {
        let hash = E::hash_of(&key, mix);
        if let Some(seen) = on.seen {
            seen.prefetch(hash);
        }
        let step = self.nexts.len() as u32 - start + self.slept;
        self.nexts.push(Next { key, hash, step, event, asleep, fine });
    }
}

/// A fingerprint after the number at one place changed.
#[inline(always)]
fn moved<const W: usize, E: Entry<W>>(tables: &Tables, mix: u64, place: usize, from: u32, to: u32) -> u64 {
    if !E::MIXED {
        return 0;
    }
    mix.wrapping_add(tables.mix(place, to)).wrapping_sub(tables.mix(place, from))
}
