//! What several threads look steps up in, and any of them may add to.
//!
//! To look is a *visit*: many at a time, short, and cheap as a lock could not be. To add is to be
//! *alone*: whoever wants that says so and waits until the visits have ended. So a visit must be
//! short, or ask now and then whether somebody is waiting; and whoever visits must not want to be
//! alone, nor visit again. Of several threads none visits or is alone while a handler or a property
//! runs, so that the others go on. And only one of them ever asks Python: whoever waits here for
//! another never waits for one that waits for the interpreter.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Mutex;

use pyo3::prelude::*;

use crate::gather::Ground;
use crate::judge::{Memo, Parts, Quiet, Verdict};
use crate::layout::{Key, Layout};
use crate::memory::Apart;
use crate::seen::{Entry, Seen};
use crate::tables::{Question, Tables};

/// What steps are looked up in, and what is known of the worlds that they lead to.
pub struct Place {
    pub tables: Tables,
    pub layout: Layout,
    pub parts: Parts,
    pub worlds_judged: Memo,
}

impl Place {
    pub fn new(tables: Tables, layout: Layout) -> Self {
        Place { tables, layout, parts: Parts::default(), worlds_judged: Memo::new() }
    }

    #[inline(always)]
    pub fn ground<'a, const W: usize, E: Entry<W>>(
        &'a self,
        seen: Option<&'a Seen<W, E>>,
        quiet: Quiet,
    ) -> Ground<'a, W, E> {
        Ground { tables: &self.tables, layout: &self.layout, seen, quiet }
    }

    /// Which steps need no look at what was judged.
    pub fn quiet(&self) -> Quiet {
        self.worlds_judged.quiet(&self.parts, self.tables.slots)
    }

    /// What was judged of a world, as far as it is remembered.
    #[inline(always)]
    pub fn recall<const W: usize>(&self, key: &Key<W>) -> Verdict {
        let number = |at| self.layout.place(&self.tables, key, at);
        self.worlds_judged.recall(&self.parts, number).unwrap_or(Verdict::Unknown)
    }

    pub fn fits(&self) -> bool {
        self.layout.fits(&self.tables.largest)
    }
}

pub struct Shared {
    place: UnsafeCell<Place>,
    /// False while one thread is all there is.
    crowded: AtomicBool,
    visitors: Apart<AtomicUsize>,
    /// Threads that want to be alone.
    waiting: Apart<AtomicUsize>,
    adding: Mutex<()>,
}

// SAFETY: `visit` and `alone` see to it that nobody looks at the place while somebody changes it.
unsafe impl Sync for Shared {}

struct Visit<'a>(&'a Shared);

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.0.visitors.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Wait<'a>(&'a Shared);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.0.waiting.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits for something that other threads do at once; if not, they may need the processor.
pub fn wait_until(mut done: impl FnMut() -> bool) {
    const TURNS: u32 = 1 << 8;
    let mut turns = 0;
    while !done() {
        turns += 1;
        if turns < TURNS { std::hint::spin_loop() } else { std::thread::yield_now() }
    }
}

impl Shared {
    pub fn new(place: Place) -> Self {
        Shared {
            place: UnsafeCell::new(place),
            crowded: AtomicBool::new(false),
            visitors: Apart::default(),
            waiting: Apart::default(),
            adding: Mutex::new(()),
        }
    }

    pub fn into_inner(self) -> Place {
        self.place.into_inner()
    }

    pub fn get_mut(&mut self) -> &mut Place {
        self.place.get_mut()
    }

    #[inline(always)]
    pub fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed)
    }

    /// While `work` is done, other threads may come.
    pub fn crowd<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Crowd<'a>(&'a Shared);
        impl Drop for Crowd<'_> {
            fn drop(&mut self) {
                self.0.crowded.store(false, Ordering::Relaxed);
            }
        }
        self.crowded.store(true, Ordering::Relaxed);
        let _crowd = Crowd(self);
        work()
    }

    #[inline(always)]
    pub fn visit<T>(&self, look: impl FnOnce(&Place) -> T) -> T {
        let _visit = self.is_crowded().then(|| self.enter());
        // SAFETY: nobody changes the place while visits last.
        look(unsafe { &*self.place.get() })
    }

    fn enter(&self) -> Visit<'_> {
        loop {
            // Either this is seen by whoever wants to be alone, or the wish is seen here.
            self.visitors.0.fetch_add(1, Ordering::SeqCst);
            let visit = Visit(self);
            if !self.is_wanted() {
                return visit;
            }
            drop(visit);
            wait_until(|| !self.is_wanted());
        }
    }

    /// True where a visit should end: somebody is waiting to be alone.
    #[inline(always)]
    pub fn is_wanted(&self) -> bool {
        self.waiting.0.load(Ordering::SeqCst) != 0
    }

    #[inline(always)]
    pub fn alone<T>(&self, change: impl FnOnce(&mut Place) -> T) -> T {
        if !self.is_crowded() {
            // SAFETY: there is no other thread, and no visit changes anything.
            return change(unsafe { &mut *self.place.get() });
        }
        self.waiting.0.fetch_add(1, Ordering::SeqCst);
        let _wait = Wait(self);
        let _adding = self.adding.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        wait_until(|| self.visitors.0.load(Ordering::SeqCst) == 0);
        // SAFETY: all visits have ended, and none begins; the lock keeps others out who would add.
        change(unsafe { &mut *self.place.get() })
    }

    /// Puts a question to the model, and keeps the answer.
    pub fn ask(&self, question: Question) -> PyResult<()> {
        Python::attach(|py| {
            let model = self.visit(|place| place.tables.model(py));
            let answer = model.answer(py, question)?;
            self.alone(|place| place.tables.keep(py, &model, question, &answer))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_where_what_is_waited_for_takes_long() {
        let mut turns = 0;
        wait_until(|| {
            turns += 1;
            turns > 1000
        });
        assert_eq!(turns, 1001);
    }
}
