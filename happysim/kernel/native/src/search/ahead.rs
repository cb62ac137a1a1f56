//! Several threads: while one takes worlds in, the others look up the steps of those that follow.
//!
//! Worlds that wait are handed out in *shares*. Whoever looks a share up fetches where its steps
//! lead, leaves out what was met before, and finds the judgements that are known. What is missing in
//! the tables and can be answered there it adds itself; what only Python knows is left to the thread
//! that takes in. That one does so in the order of the contract, and asks. So whatever the number of
//! threads, every index and path is the same, and so is every question.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use super::*;
use crate::memory::Apart;
use crate::seen::{fetch, part_of, PARTS};
use crate::shared::wait_until;
use crate::sleep::Sleepers;

/// Fewer worlds of one depth are not worth a thread's start, unless a number of threads is asked for.
pub const WORLDS_MIN: usize = 2048;
const WORLDS_A_SHARE: usize = 128;
/// Shares that are handed out ahead: what was found should still be in a processor's cache.
const SHARES: usize = 64;
/// How far ahead of taking them in the places of worlds are fetched.
const NEXTS_AHEAD: usize = 32;
/// How often a thread that finds no share lets others have the processor before it goes to sleep.
const LOOKS: u32 = 256;
/// Shares that nobody has claimed, for which one is woken: that takes as long as looking a few up.
const SHARES_A_CALL: usize = 8;

/// Worlds of one depth, and the steps that lead on from them.
struct Share<const W: usize> {
    keys: Vec<Key<W>>,
    asleep: Vec<Sleepers>,
    depth: u32,
    batch: Batch<W>,
}

/// A share's place in the ring, used again and again.
#[repr(align(64))]
struct Slot<const W: usize> {
    share: UnsafeCell<Share<W>>,
    /// One more than the number of the share that was looked up here last.
    done: Apart<AtomicUsize>,
}

// SAFETY: a share belongs to the thread that claimed it until it is done, and then, as before it was
// handed out, to the one that takes in.
unsafe impl<const W: usize> Sync for Slot<W> {}

/// The shares in their order, by number: those taken in, looked up or being so, and handed out.
struct Ring<const W: usize> {
    slots: Vec<Slot<W>>,
    /// How many were handed out so far.
    planned: Apart<AtomicUsize>,
    /// How many of these somebody has claimed.
    claimed: Apart<AtomicUsize>,
    /// No more come.
    closed: AtomicBool,
    /// A thread has failed; it will not finish its share.
    failed: AtomicBool,
    sleeping: AtomicUsize,
    bed: Mutex<()>,
    wake: Condvar,
}

/// Sends the other threads away, however the work ends.
struct Closing<'a, const W: usize>(&'a Ring<W>);

impl<const W: usize> Drop for Closing<'_, W> {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::SeqCst);
        self.0.call();
    }
}

/// Notes that a thread ended before its work did.
struct Failing<'a, const W: usize>(&'a Ring<W>);

impl<const W: usize> Drop for Failing<'_, W> {
    fn drop(&mut self) {
        self.0.failed.store(true, Ordering::SeqCst);
    }
}

impl<const W: usize> Ring<W> {
    fn new() -> Self {
        let share = || Share { keys: Vec::new(), asleep: Vec::new(), depth: 0, batch: Batch::new() };
        let slot = |_| Slot { share: UnsafeCell::new(share()), done: Apart::default() };
        Ring {
            slots: (0..SHARES).map(slot).collect(),
            planned: Apart::default(),
            claimed: Apart::default(),
            closed: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            sleeping: AtomicUsize::new(0),
            bed: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    fn slot(&self, number: usize) -> &Slot<W> {
        &self.slots[number % SHARES]
    }

    fn is_done(&self, number: usize) -> bool {
        self.slot(number).done.0.load(Ordering::Acquire) == number + 1
    }

    /// Hands out the share that was filled.
    fn hand_out(&self) {
        let planned = 1 + self.planned.0.fetch_add(1, Ordering::SeqCst);
        let many = planned - self.claimed.0.load(Ordering::SeqCst) >= SHARES_A_CALL;
        if many && self.sleeping.load(Ordering::SeqCst) > 0 {
            self.call();
        }
    }

    fn call(&self) {
        let _bed = self.bed.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.wake.notify_all();
    }

    /// The next share that nobody has claimed.
    fn claim(&self) -> Option<usize> {
        let next = |claimed| (claimed < self.planned.0.load(Ordering::SeqCst)).then_some(claimed + 1);
        self.claimed.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).ok()
    }

    fn is_idle(&self) -> bool {
        let nothing = self.claimed.0.load(Ordering::SeqCst) >= self.planned.0.load(Ordering::SeqCst);
        nothing && !self.closed.load(Ordering::SeqCst)
    }

    /// Waits for a share to claim, or for the end.
    fn rest(&self) {
        for _ in 0..LOOKS {
            if !self.is_idle() {
                return;
            }
            std::thread::yield_now();
        }
        self.sleeping.fetch_add(1, Ordering::SeqCst);
        let mut bed = self.bed.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        while self.is_idle() {
            bed = self.wake.wait(bed).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        self.sleeping.fetch_sub(1, Ordering::SeqCst);
    }

    /// Looks up the next share; false where there is none now.
    fn look_up<E: Entry<W>>(&self, on: &LookUp<'_, W, E>) -> bool {
        let Some(number) = self.claim() else { return false };
        // SAFETY: nobody else claims it, and it is not looked at until it is done.
        let share = unsafe { &mut *self.slot(number).share.get() };
        let failing = Failing(self);
        on.steps(share);
        on.news(share);
        std::mem::forget(failing);
        self.slot(number).done.0.store(number + 1, Ordering::Release);
        true
    }

    /// What every thread but the one that takes in does.
    fn work<E: Entry<W>>(&self, on: &LookUp<'_, W, E>) {
        while !self.closed.load(Ordering::SeqCst) {
            if !self.look_up(on) {
                self.rest();
            }
        }
    }
}

/// How a share is looked up.
#[repr(align(64))]
struct LookUp<'a, const W: usize, E> {
    place: &'a Shared,
    seen: *const Seen<W, E>,
    /// Every step is judged, so none is left out.
    every: bool,
}

// SAFETY: the places of the table of worlds change as `Entry::fill` says, and move only while one is
// alone: see `make_room`. How many are filled is looked at by nobody but the thread that takes in.
unsafe impl<const W: usize, E: Entry<W>> Sync for LookUp<'_, W, E> {}

impl<const W: usize, E: Entry<W>> LookUp<'_, W, E> {
    /// The table, during a visit.
    #[inline(always)]
    fn seen(&self, _visited: &Place) -> &Seen<W, E> {
        // SAFETY: see above.
        unsafe { &*self.seen }
    }

    /// Looks up the steps of all worlds of a share. What has to be asked is missing.
    fn steps(&self, share: &mut Share<W>) {
        let Share { keys, asleep, batch, .. } = share;
        batch.clear();
        while batch.items.len() < keys.len() {
            let miss = self.place.visit(|place| {
                if !place.fits() {
                    keys[batch.items.len()..].iter().for_each(|key| batch.miss(key));
                    return None;
                }
                let ground = place.ground(Some(self.seen(place)), place.quiet());
                while batch.items.len() < keys.len() && !self.place.is_wanted() {
                    let (at, kept) = (batch.items.len(), batch.nexts.len());
                    if let Err(miss) = batch.gather(ground, &keys[at], asleep[at]) {
                        batch.nexts.truncate(kept);
                        return Some(miss);
                    }
                }
                None
            });
            if miss.is_some_and(|miss| self.place.alone(|place| place.tables.settle(miss)).is_err()) {
                batch.miss(&keys[batch.items.len()]);
            }
        }
    }

    /// Leaves out what leads to worlds met before, and notes what is known to be fine.
    fn news(&self, share: &mut Share<W>) {
        let Batch { nexts, items, .. } = &mut share.batch;
        let (mut at, mut kept) = (0, 0);
        while at < items.len() {
            self.place.visit(|place| {
                let seen = self.seen(place);
                while at < items.len() && !self.place.is_wanted() {
                    let item = &mut items[at];
                    let (start, end) = (item.start as usize, item.end as usize);
                    item.start = kept as u32;
                    for from in start..end {
                        let next = &mut nexts[from];
                        if next.event == STEP && !self.every {
                            if seen.find(&E::of(&next.key, next.hash), next.hash).is_ok() {
                                item.slept += 1;
                                continue;
                            }
                            next.fine = next.fine || place.recall(&next.key) == Verdict::Fine;
                        }
                        nexts[kept] = nexts[from];
                        kept += 1;
                    }
                    item.end = kept as u32;
                    at += 1;
                }
            });
        }
        nexts.truncate(kept);
    }
}

impl Search {
    /// Expands worlds as long as enough of them wait, together with the threads of a pool.
    pub(super) fn many_worlds<const W: usize, E: Entry<W>>(
        &mut self,
        pool: &Pool,
        place: &Shared,
        store: &mut Store<W, E>,
        batch: &mut Batch<W>,
    ) -> Result<Exit, Stop> {
        let ring = Ring::new();
        let on = LookUp { place, seen: &raw const store.seen, every: self.judges_steps };
        let mut ended = Ok(Exit::Finished);
        place.crowd(|| {
            let own = || {
                let _closing = Closing(&ring);
                ended = self.take_in(&ring, &on, store, batch);
            };
            pool.run(own, &|| ring.work(&on));
        });
        ended
    }

    fn take_in<const W: usize, E: Entry<W>>(
        &mut self,
        ring: &Ring<W>,
        on: &LookUp<'_, W, E>,
        store: &mut Store<W, E>,
        batch: &mut Batch<W>,
    ) -> Result<Exit, Stop> {
        let (mut number, mut handed_out) = (0, self.cursor);
        while self.stopped.is_none() && !self.is_due(store) {
            if self.waiting(store) > 0 {
                self.next_depth(store);
            }
            self.hand_out(ring, store, number, &mut handed_out);
            if number == ring.planned.0.load(Ordering::SeqCst) {
                break;
            }
            while !ring.is_done(number) {
                // Whoever has claimed it may be at its end; there is other work meanwhile.
                if !ring.look_up(on) {
                    wait_until(|| ring.is_done(number) || ring.failed.load(Ordering::SeqCst));
                }
                assert!(!ring.failed.load(Ordering::SeqCst), "a thread of a search has failed");
            }
            // SAFETY: it is done, and handed out no more.
            let share = unsafe { &*ring.slot(number).share.get() };
            if let Exit::Outgrown = self.take_in_share(on.place, store, batch, share)? {
                return Ok(Exit::Outgrown);
            }
            number += 1;
        }
        Ok(Exit::Finished)
    }

    /// True where a checkpoint, or a move to the disk, waits.
    fn is_due<const W: usize, E: Entry<W>>(&self, store: &Store<W, E>) -> bool {
        let keeper = self.plan.keeper.as_ref();
        let due = keeper.is_some_and(|keeper| self.kept_at.elapsed().as_secs_f64() >= keeper.every);
        due || self.is_large(store)
    }

    /// Hands out worlds that wait: from the index `next` on, in shares of one depth each.
    fn hand_out<const W: usize, E: Entry<W>>(
        &self,
        ring: &Ring<W>,
        store: &Store<W, E>,
        number: usize,
        next: &mut usize,
    ) {
        loop {
            let planned = ring.planned.0.load(Ordering::SeqCst);
            let same_depth = *next < self.level_end;
            let end = if same_depth { self.level_end } else { self.ways.count };
            let depth = self.depth + !same_depth as u32;
            let most = (end - *next).min(WORLDS_A_SHARE);
            // Of the next depth more may come; and a few are not worth while.
            let few = !same_depth && most < WORLDS_A_SHARE;
            let alone = planned == number && end - *next < self.plan.threads_from.min(WORLDS_MIN);
            if planned == number + SHARES || most == 0 || few || alone || Some(depth) == self.plan.depth {
                return;
            }
            // SAFETY: the share that was there has been taken in.
            let share = unsafe { &mut *ring.slot(planned).share.get() };
            let skip = *next - self.cursor;
            store.queue.copy(skip, most, &mut share.keys);
            if share.keys.is_empty() {
                return;
            }
            self.sleeping.copy(skip, share.keys.len(), &mut share.asleep);
            share.depth = depth;
            *next += share.keys.len();
            ring.hand_out();
        }
    }

    /// Takes in the worlds of a share, and asks what is missing about them.
    fn take_in_share<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Shared,
        store: &mut Store<W, E>,
        batch: &mut Batch<W>,
        share: &Share<W>,
    ) -> Result<Exit, Stop> {
        let Share { depth, batch: Batch { nexts, items, .. }, .. } = share;
        // Another processor wrote them; to have them come one by one takes longer than to take them in.
        fetch(items);
        fetch(nexts);
        let begin = self.cursor;
        self.make_room(place, store, nexts)?;
        while self.stopped.is_none() && self.cursor - begin < items.len() {
            let left = &items[self.cursor - begin..];
            let missed = left.iter().take_while(|item| item.missed).count();
            if missed > 0 {
                if let Exit::Outgrown = self.some_worlds(place, store, batch, *depth, missed)? {
                    return Ok(Exit::Outgrown);
                }
                self.make_room(place, store, nexts)?;
                continue;
            }
            let item = &left[0];
            let ahead = |at: u32| nexts.len().min(at as usize + NEXTS_AHEAD);
            for next in &nexts[ahead(item.start)..ahead(item.end)] {
                store.seen.prefetch_to_write(next.hash);
            }
            self.expand(place, store, item, *depth, nexts)?;
            self.after_world(store)?;
        }
        Ok(Exit::Finished)
    }

    /// Lets the table of worlds grow before they are entered, where other threads look into it.
    pub(super) fn make_room<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Shared,
        store: &mut Store<W, E>,
        nexts: &[Next<W>],
    ) -> Result<(), Stop> {
        if !place.is_crowded() {
            return Ok(());
        }
        let mut more = [0; PARTS];
        for next in nexts {
            more[part_of(next.hash)] += 1;
        }
        if store.seen.lacks_room(&more) {
            place.alone(|_| store.seen.reserve(&more))?;
        }
        Ok(())
    }
}
