//! Many worlds of one depth at a time, on several threads.
//!
//! Each thread looks up the steps of its share of the worlds, and which of them lead to worlds not
//! yet met. Nothing is changed meanwhile. What is left, about one step a new world, is then taken in
//! the order of the contract by one thread. So whatever the number of threads, every number, place
//! and path is the same.

use std::ops::Range;

use crate::gather::{Batch, STEP};
use crate::judge::{Memo, Parts, Verdict};
use crate::layout::Layout;
use crate::store::Store;
use crate::tables::Tables;

/// Fewer worlds are not worth a thread's start, unless a number of threads is asked for.
pub const WORLDS_MIN: usize = 4096;
const WORLDS_MAX: usize = 1 << 15;
const WORLDS_A_BATCH: usize = 32;

/// What the threads look at.
#[derive(Clone, Copy)]
pub struct View<'a, const W: usize> {
    pub tables: &'a Tables,
    pub layout: &'a Layout,
    pub store: &'a Store<W>,
    pub parts: &'a Parts,
    pub worlds_judged: &'a Memo,
    /// `None` where no property looks at steps.
    pub steps_judged: Option<&'a Memo>,
}

/// The share of one thread: `batch` holds the first worlds of `range`, up to the first miss.
pub struct Share<const W: usize> {
    pub range: Range<usize>,
    pub batch: Batch<W>,
    raw: Batch<W>,
}

impl<const W: usize> Share<W> {
    pub fn new() -> Self {
        Share { range: 0..0, batch: Batch::new(), raw: Batch::new() }
    }
}

/// How many of `waiting` worlds to look up together; 0 where fewer than `least` wait.
pub fn worlds_a_round(waiting: usize, least: usize) -> usize {
    if waiting < least { 0 } else { waiting.min(WORLDS_MAX) }
}

/// Fills every share with a part of the worlds in `range`, in order.
pub fn look_ahead<const W: usize>(
    view: View<'_, W>,
    shares: &mut [Share<W>],
    range: Range<usize>,
) {
    let count = shares.len();
    let bound = |at: usize| range.start + range.len() * at / count;
    for (at, share) in shares.iter_mut().enumerate() {
        share.range = bound(at)..bound(at + 1);
    }
    let (first, rest) = shares.split_at_mut(1);
    std::thread::scope(|scope| {
        for share in rest {
            scope.spawn(move || look_up(view, share));
        }
        look_up(view, &mut first[0]);
    });
}

fn look_up<const W: usize>(view: View<'_, W>, share: &mut Share<W>) {
    let View { tables, layout, store, .. } = view;
    let Share { range, batch, raw } = share;
    batch.clear();
    let mut start = range.start;
    while start < range.end {
        let end = range.end.min(start + WORLDS_A_BATCH);
        raw.clear();
        let missed = (start..end)
            .any(|index| raw.gather(tables, layout, store, index as u32).is_err());
        for next in &raw.nexts {
            store.prefetch_key(next.hash);
        }
        sift(view, raw, batch);
        if missed {
            return;
        }
        start = end;
    }
}

/// Moves to `batch` the worlds of `raw`, and those of their steps that are not settled.
fn sift<const W: usize>(view: View<'_, W>, raw: &Batch<W>, batch: &mut Batch<W>) {
    let View { layout, store, parts, worlds_judged, steps_judged, .. } = view;
    let places = view.tables.slots + 2;
    let mut start = 0;
    for &item in &raw.items {
        let mut item = item;
        let before = &store.keys[item.index as usize];
        for next in &raw.nexts[start..item.end as usize] {
            let mut next = *next;
            if next.event == STEP {
                if store.find(&next.key, next.hash).is_some() {
                    let known = steps_judged.is_none_or(|memo| {
                        let number = |place: usize| match place.checked_sub(places) {
                            None => layout.get(before, place),
                            Some(place) => layout.get(&next.key, place),
                        };
                        matches!(memo.recall(parts, number), Ok(Verdict::Fine))
                    });
                    if known {
                        item.settled += 1;
                        continue;
                    }
                } else {
                    let said = worlds_judged.recall(parts, |place| layout.get(&next.key, place));
                    next.fine = matches!(said, Ok(Verdict::Fine));
                }
            }
            batch.nexts.push(next);
        }
        start = item.end as usize;
        item.end = batch.nexts.len() as u32;
        batch.items.push(item);
    }
}
