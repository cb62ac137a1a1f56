//! What happens at a new world.

use super::*;

impl Search {
    /// Takes in the first worlds.
    pub fn start<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Shared,
        store: &mut Store<W, E>,
        starts: &[Vec<u32>],
    ) -> Result<(), Stop> {
        for (step, start) in starts.iter().enumerate() {
            let (key, hash) = place.visit(|place| {
                let key = place.layout.pack(start);
                let mixes = start.iter().enumerate().map(|(at, &number)| place.tables.mix(at, number));
                (key, E::hash_of(&key, mixes.fold(0, u64::wrapping_add)))
            });
            let next = Next { key, hash, step: step as u32, event: STEP, asleep: NOBODY, fine: false };
            let (entry, hash) = self.entry(place, &next, step);
            if let Err(at) = store.seen.find(&entry, hash) {
                if self.meet(place, store, at, &next, (entry, hash), NO_PARENT, 1)? {
                    self.count_orbit(step);
                }
            }
        }
        self.level_end = self.ways.count;
        Ok(())
    }

    /// What is kept of a world, and its hash; `at` is its place among those last looked at.
    #[inline(always)]
    pub(super) fn entry<const W: usize, E: Entry<W>>(&self, place: &Shared, next: &Next<W>, at: usize) -> (E, u64) {
        match &self.orbits {
            None => (E::of(&next.key, next.hash), next.hash),
            Some(orbits) => place.visit(|place| orbits.entry(&place.tables, &place.layout, at)),
        }
    }

    #[inline(always)]
    pub(super) fn count_orbit(&mut self, at: usize) {
        if let Some(orbits) = &mut self.orbits {
            orbits.count(at);
        }
    }

    /// Finds what stands for the worlds that steps lead to; some number may have outgrown its field.
    pub(super) fn look_at_orbits<const W: usize>(&mut self, place: &mut Place, nexts: &[Next<W>]) -> PyResult<()> {
        let Some(orbits) = &mut self.orbits else { return Ok(()) };
        orbits.clear();
        let mut numbers = Vec::new();
        for next in nexts {
            if next.event == STEP {
                place.layout.unpack(&next.key, &mut numbers);
                orbits.look(&mut place.tables, &numbers)?;
            } else {
                orbits.skip();
            }
        }
        Ok(())
    }

    /// Takes in a world not seen before, for which the table has the place `at`; false where it lies
    /// outside the bounds.
    #[inline(always)]
    pub(super) fn meet<const W: usize, E: Entry<W>>(
        &mut self,
        place: &Shared,
        store: &mut Store<W, E>,
        at: usize,
        next: &Next<W>,
        (entry, hash): (E, u64),
        parent: u32,
        depth: u32,
    ) -> Result<bool, Stop> {
        if !self.admits(place, next)? {
            return Ok(false);
        }
        self.reserve(store)?;
        store.seen.insert_at(at, entry, hash)?;
        self.number(store, next, parent, depth)?;
        Ok(true)
    }

    /// Judges a new world; false where it lies outside the bounds, or there is no room for it.
    #[inline(always)]
    pub fn admits<const W: usize>(&mut self, place: &Shared, next: &Next<W>) -> Result<bool, Stop> {
        if !next.fine {
            let inside = match place.visit(|place| place.recall(&next.key)) {
                Verdict::Fine => true,
                Verdict::Beyond => false,
                Verdict::Unknown => self.ask_about_world(place, self.ways.count, &next.key)?,
            };
            if !inside {
                return Ok(false);
            }
        }
        if Some(self.ways.count as u64) == self.plan.worlds {
            self.stopped.get_or_insert("worlds");
            return Ok(false);
        }
        Ok(true)
    }

    /// True where a world was judged before, and lies outside the bounds.
    pub fn lies_outside<const W: usize>(&self, place: &Shared, key: &Key<W>) -> bool {
        place.visit(|place| match place.recall(key) {
            Verdict::Beyond => true,
            Verdict::Fine => false,
            Verdict::Unknown => {
                let mut numbers = Vec::new();
                place.layout.unpack(key, &mut numbers);
                self.outside.contains(numbers.as_slice())
            }
        })
    }

    /// Makes room for one more world, so that it is taken in as a whole or not at all.
    #[inline(always)]
    pub fn reserve<const W: usize, E: Entry<W>>(&mut self, store: &mut Store<W, E>) -> Result<(), Stop> {
        if !self.plan.depth_first {
            store.queue.reserve()?;
        }
        self.ways.reserve()
    }

    /// Gives a new world, which is in the table, its index, and lets it wait.
    #[inline(always)]
    pub fn number<const W: usize, E: Entry<W>>(
        &mut self,
        store: &mut Store<W, E>,
        next: &Next<W>,
        parent: u32,
        depth: u32,
    ) -> Result<(), Stop> {
        if self.plan.depth_first {
            store.push(&next.key, self.ways.count as u32, depth)?;
        } else {
            store.queue.push(&next.key);
            self.sleeping.push(next.asleep);
        }
        let index = self.ways.add(parent, next.step);
        if let Some(near) = &mut store.near {
            near.index.insert(E::of(&next.key, next.hash), index as u32);
            near.worlds.push((next.key, depth, false));
        }
        self.depth_max = self.depth_max.max(depth);
        Ok(())
    }

    /// A world seen before, in a depth-first search that is cut by depth.
    pub(super) fn meet_again<const W: usize, E: Entry<W>>(
        &mut self,
        store: &mut Store<W, E>,
        next: &Next<W>,
        parent: u32,
        depth: u32,
    ) -> Result<(), Stop> {
        let Some(near) = &mut store.near else { return Ok(()) };
        let Some(&index) = near.index.get(&E::of(&next.key, next.hash)) else { return Ok(()) };
        let before = &mut near.worlds[index as usize].1;
        if depth < *before {
            *before = depth;
            store.push(&next.key, index, depth)?;
            self.ways.replace(index as usize, parent, next.step);
        }
        Ok(())
    }
}
