//! Many worlds of one depth at a time, on several threads.
//!
//! A round has two parts that threads share, and one that they do not. First each thread looks up
//! the steps of its share of the worlds, and which of them lead to worlds not yet met; nothing is
//! changed meanwhile. Then each thread enters what is left, in order, into its parts of the table,
//! and marks what was new. Last, one thread numbers the new worlds in the order of the contract. So
//! whatever the number of threads, every number, place and path is the same.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::gather::{Batch, Ground, Item, STEP};
use crate::judge::{Memo, Parts, Verdict};
use crate::layout::Key;
use crate::seen::{part_of, Entry, OutOfMemory, Part, Seen};
use crate::tables::Miss;

/// Fewer worlds are not worth a thread's start, unless a number of threads is asked for.
pub const WORLDS_MIN: usize = 2048;
/// Worlds a thread in one round: their steps should fit its processor's cache.
pub const WORLDS_A_SHARE: usize = 1 << 12;
const WORLDS_A_BATCH: usize = 32;

/// What the threads look at.
#[derive(Clone, Copy)]
pub struct View<'a, const W: usize, E> {
    pub on: Ground<'a, W, E>,
    pub parts: &'a Parts,
    pub worlds_judged: &'a Memo,
    /// `None` where no property looks at steps.
    pub steps_judged: Option<&'a Memo>,
}

/// The share of one thread: worlds, and those of their steps that are not settled.
pub struct Share<const W: usize> {
    pub batch: Batch<W>,
    /// Whether a step of the batch led to a world that was not met before it.
    new: Vec<AtomicBool>,
    raw: Batch<W>,
}

impl<const W: usize> Share<W> {
    pub fn new() -> Self {
        Share { batch: Batch::new(), new: Vec::new(), raw: Batch::new() }
    }
}

/// Fills every share with a part of the worlds, in order.
pub fn look_ahead<const W: usize, E: Entry<W>>(
    view: View<'_, W, E>,
    shares: &mut [Share<W>],
    worlds: &[Key<W>],
) {
    let count = shares.len();
    let bound = |at: usize| worlds.len() * at / count;
    std::thread::scope(|scope| {
        let mut own = None;
        for (at, share) in shares.iter_mut().enumerate() {
            let part = &worlds[bound(at)..bound(at + 1)];
            if at == 0 {
                own = Some((share, part));
            } else {
                scope.spawn(move || look_up(view, share, part));
            }
        }
        if let Some((share, part)) = own {
            look_up(view, share, part);
        }
    });
}

fn look_up<const W: usize, E: Entry<W>>(view: View<'_, W, E>, share: &mut Share<W>, worlds: &[Key<W>]) {
    share.batch.clear();
    for some in worlds.chunks(WORLDS_A_BATCH) {
        share.raw.clear();
        for key in some {
            let kept = share.raw.nexts.len();
            if share.raw.gather(view.on, key).is_err() {
                share.raw.nexts.truncate(kept);
                let start = kept as u32;
                let item = Item { key: *key, start, end: start, settled: 0, moving: true, missed: true };
                share.raw.items.push(item);
            }
        }
        sift(view, &share.raw, &mut share.batch);
    }
}

/// Moves to `batch` the worlds of `raw`, and those of their steps that are not settled.
fn sift<const W: usize, E: Entry<W>>(view: View<'_, W, E>, raw: &Batch<W>, batch: &mut Batch<W>) {
    for &item in &raw.items {
        let sifted = sift_one(view, raw, item, batch);
        batch.items.push(sifted);
    }
}

#[inline(always)]
fn sift_one<const W: usize, E: Entry<W>>(
    view: View<'_, W, E>,
    raw: &Batch<W>,
    mut item: Item<W>,
    batch: &mut Batch<W>,
) -> Item<W> {
    let Ground { tables, layout, seen, .. } = view.on;
    let places = 2 * tables.slots + 2;
    let nexts = &raw.nexts[item.start as usize..item.end as usize];
    item.start = batch.nexts.len() as u32;
    for next in nexts {
        let mut next = *next;
        if next.event == STEP {
            let known = view.steps_judged.is_none_or(|memo| {
                let number = |place: usize| match place.checked_sub(places) {
                    None => layout.place(tables, &item.key, place),
                    Some(place) => layout.place(tables, &next.key, place),
                };
                matches!(memo.recall(view.parts, number), Ok(Verdict::Fine))
            });
            if seen.contains(&E::of(&next.key, next.hash), next.hash) {
                if known {
                    item.settled += 1;
                    continue;
                }
                next.fine = false;
            } else {
                next.fine = known && (next.fine || {
                    let number = |place| layout.place(tables, &next.key, place);
                    matches!(view.worlds_judged.recall(view.parts, number), Ok(Verdict::Fine))
                });
            }
        }
        batch.nexts.push(next);
    }
    item.end = batch.nexts.len() as u32;
    item
}

impl<const W: usize> Share<W> {
    /// Looks up again a world that was missed; an error says what is missing now.
    pub fn again<E: Entry<W>>(&mut self, view: View<'_, W, E>, at: usize) -> Result<(), Miss> {
        let key = self.batch.items[at].key;
        self.raw.clear();
        self.raw.gather(view.on, &key)?;
        let item = self.raw.items[0];
        self.batch.items[at] = sift_one(view, &self.raw, item, &mut self.batch);
        Ok(())
    }

    /// True where a step of the batch led to a new world, once it was entered.
    #[inline(always)]
    pub fn is_new(&self, at: usize) -> bool {
        self.new[at].load(Ordering::Relaxed)
    }

    /// True where nobody need be asked about what follows from a world.
    pub fn is_plain(&self, at: usize, judges_quiescence: bool) -> bool {
        let item = &self.batch.items[at];
        let nexts = &self.batch.nexts[item.start as usize..item.end as usize];
        !item.missed
            && (item.moving || !judges_quiescence)
            && nexts.iter().all(|next| next.fine && next.event == STEP)
    }
}

/// Enters the steps of some worlds of each share, in order, and marks those that led to new worlds.
pub fn enter<const W: usize, E: Entry<W>>(
    seen: &mut Seen<W, E>,
    shares: &mut [Share<W>],
    items: &[Range<usize>],
    threads: usize,
) -> Result<(), OutOfMemory> {
    for share in shares.iter_mut() {
        let more = share.batch.nexts.len().saturating_sub(share.new.len());
        share.new.extend((0..more).map(|_| AtomicBool::new(false)));
    }
    let shares = &*shares;
    let mut owned: Vec<Vec<Option<&mut Part<W, E>>>> = (0..threads).map(|_| Vec::new()).collect();
    for (at, part) in seen.parts.iter_mut().enumerate() {
        let mut part = Some(part);
        for (thread, parts) in owned.iter_mut().enumerate() {
            parts.push(if at % threads == thread { part.take() } else { None });
        }
    }
    std::thread::scope(|scope| {
        let mut own = None;
        let mut others = Vec::new();
        for (thread, parts) in owned.into_iter().enumerate() {
            if thread == 0 {
                own = Some(parts);
            } else {
                others.push(scope.spawn(move || enter_own(parts, shares, items)));
            }
        }
        let mut ended = own.map_or(Ok(()), |parts| enter_own(parts, shares, items));
        for other in others {
            ended = ended.and(other.join().unwrap_or(Err(OutOfMemory)));
        }
        ended
    })
}

fn enter_own<const W: usize, E: Entry<W>>(
    mut parts: Vec<Option<&mut Part<W, E>>>,
    shares: &[Share<W>],
    items: &[Range<usize>],
) -> Result<(), OutOfMemory> {
    for (share, items) in shares.iter().zip(items) {
        for item in &share.batch.items[items.clone()] {
            for at in item.start as usize..item.end as usize {
                let next = &share.batch.nexts[at];
                if let Some(part) = &mut parts[part_of(next.hash)] {
                    let new = part.insert(E::of(&next.key, next.hash), next.hash)?;
                    share.new[at].store(new, Ordering::Relaxed);
                }
            }
        }
    }
    Ok(())
}
