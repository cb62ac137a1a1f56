//! What is done now and then, and where a search ends.

use super::*;

impl Search {
    /// A world at the depth limit: it is judged, and not expanded. False: a number outgrew its
    /// field, and nothing was done.
    pub(super) fn stand_still<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Shared,
        store: &mut Store<W, E>,
    ) -> Result<bool, Stop> {
        let key = match store.stack.last() {
            Some(top) => top.key,
            None => store.queue.front()[0],
        };
        let moving = place.alone(|Place { tables, layout, .. }| {
            let mut numbers = Vec::new();
            layout.unpack(&key, &mut numbers);
            let moving = tables.look(|tables| {
                let mut moving = false;
                for slot in 0..tables.slots {
                    let row = tables.row(slot, numbers[slot])?;
                    moving |= row.plain != row.faults;
                }
                Ok(moving)
            })?;
            if !self.cut && !self.depth_limited {
                self.depth_limited = tables.look(|tables| leads_on(tables, &numbers))?;
            }
            Ok::<bool, PyErr>(moving)
        })?;
        if !place.visit(Place::fits) {
            return Ok(false);
        }
        let index = self.take(store);
        let item = Item { key, start: 0, end: 0, slept: 0, moving, missed: false };
        self.leave(place, store, &item, index)?;
        Ok(true)
    }

    /// After a depth-first search that was cut: some worlds at the limit were met again nearer to
    /// the start; is one left that leads on?
    pub fn look_beyond<const W: usize, E: Entry<W>>(
        &mut self,
        place: &mut Place,
        store: &mut Store<W, E>,
    ) -> Result<(), Stop> {
        let Some(near) = store.near.take() else { return Ok(()) };
        let mut numbers = Vec::new();
        for &(key, depth, _) in &near.worlds {
            if Some(depth) == self.plan.depth && !self.depth_limited {
                place.layout.unpack(&key, &mut numbers);
                self.depth_limited = place.tables.look(|tables| leads_on(tables, &numbers))?;
            }
        }
        Ok(())
    }

    #[inline(always)]
    pub fn after_world<const W: usize, E: Entry<W>>(&mut self, store: &Store<W, E>) -> Result<(), Stop> {
        self.until_tick -= 1;
        if self.until_tick == 0 {
            self.until_tick = WORLDS_A_TICK;
            self.tick(store)?;
        }
        Ok(())
    }

    /// Looks at signals, the clock and the memory, and tells how far the search is.
    #[inline(never)]
    pub fn tick<const W: usize, E: Entry<W>>(&mut self, store: &Store<W, E>) -> PyResult<()> {
        let over = |limit: Option<f64>, used: &dyn Fn() -> f64| limit.is_some_and(|most| used() > most);
        if over(self.plan.seconds, &|| self.started.elapsed().as_secs_f64()) {
            self.stopped = Some("seconds");
        }
        // Asking the system costs more than a look at the clock.
        self.ticks += 1;
        if self.ticks % TICKS_A_LOOK_AT_MEMORY == 1 && over(self.plan.memory_mib, &crate::memory::used_mib) {
            self.stopped = Some("memory");
        }
        Python::attach(|py| {
            py.check_signals()?;
            if let Some(progress) = &self.progress {
                self.tell(py, self.waiting(store))?;
                progress.call1(py, (&self.found,))?;
            }
            Ok(())
        })
    }

    /// Writes what is known so far into the `contract.Exploration`.
    pub fn tell(&self, py: Python<'_>, waiting: usize) -> PyResult<()> {
        let found = self.found.bind(py);
        found.setattr(intern!(py, "worlds"), self.ways.count)?;
        found.setattr(intern!(py, "waiting"), waiting)?;
        found.setattr(intern!(py, "steps"), self.steps)?;
        found.setattr(intern!(py, "depth"), self.depth_max)?;
        found.setattr(intern!(py, "outside"), self.outside_met)?;
        found.setattr(intern!(py, "depth_limited"), self.depth_limited)?;
        found.setattr(intern!(py, "stopped"), self.stopped)
    }

    /// Notes why the search ended early; an error that is no such reason is handed on.
    pub fn end_early(&mut self, py: Python<'_>, stop: Stop) -> PyResult<()> {
        match stop {
            Stop::Python(error) if error.is_instance_of::<PyKeyboardInterrupt>(py) => {
                self.stopped = Some("interrupt");
            }
            Stop::Python(error) => return Err(error),
            Stop::Memory => self.stopped = Some("memory"),
            Stop::Disk(error) => {
                self.found.bind(py).setattr(intern!(py, "trouble"), error.to_string())?;
                self.stopped = Some(if is_full(&error) { "disk full" } else { "disk" });
            }
        }
        Ok(())
    }

    /// How far the search is; see `recount`.
    pub fn counts(&self) -> [u64; 9] {
        [
            self.cursor as u64,
            self.level_end as u64,
            self.depth as u64,
            self.begun as u64,
            self.steps,
            self.depth_max as u64,
            self.outside_met as u64,
            self.depth_limited as u64,
            self.ways.count as u64,
        ]
    }

    /// Goes on from where another search was; the number of worlds that it had met.
    pub fn recount(&mut self, counts: [u64; 9]) -> u64 {
        let [cursor, level_end, depth, begun, steps, depth_max, outside, limited, count] = counts;
        (self.cursor, self.level_end, self.begun) = (cursor as usize, level_end as usize, begun as usize);
        (self.depth, self.depth_max, self.steps) = (depth as u32, depth_max as u32, steps);
        (self.outside_met, self.depth_limited) = (outside != 0, limited != 0);
        self.sleeping.end();
        count
    }

    /// Writes a checkpoint, where one is due: once in a while, and where it `ends` early.
    pub fn keep<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Place,
        store: &Store<W, E>,
        ends: bool,
    ) -> PyResult<()> {
        let Some(keeper) = &self.plan.keeper else { return Ok(()) };
        let due = self.kept_at.elapsed().as_secs_f64() >= keeper.every;
        if !(due || ends) {
            return Ok(());
        }
        let head: Vec<u8> = Python::attach(|py| {
            keeper.object.call_method1(py, intern!(py, "head"), (self.ways.count,))?.extract(py)
        })?;
        let said = checkpoint::save(&keeper.path, &head, self, place, store);
        let trouble = said.err().map_or(String::new(), |error| error.to_string());
        Python::attach(|py| keeper.object.call_method1(py, intern!(py, "kept"), (trouble,)))?;
        self.kept_at = Instant::now();
        Ok(())
    }
}

/// True where a world has a step, so that a depth limit left something out.
fn leads_on(tables: &Tables, numbers: &[u32]) -> Result<bool, Miss> {
    let ledger = numbers[tables.slots];
    for slot in 0..tables.slots {
        let row = tables.row(slot, numbers[slot])?;
        if row.plain != row.other {
            return Ok(true);
        }
        for step in &tables.moves[row.other as usize..row.faults as usize] {
            if step.source == NONE || !tables.blocked(ledger, step.source, slot)? {
                return Ok(true);
            }
        }
        for step in &tables.moves[row.faults as usize..row.end as usize] {
            if tables.pay(ledger, step.cost)? != NONE {
                return Ok(true);
            }
        }
    }
    Ok(!tables.ledger_moves(ledger)?.is_empty())
}
