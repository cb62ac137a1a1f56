//! What the judge is asked, and is told.

use super::*;

fn unpacked<const W: usize>(place: &Shared, key: &Key<W>) -> Vec<u32> {
    let mut numbers = Vec::new();
    place.visit(|place| place.layout.unpack(key, &mut numbers));
    numbers
}

impl Search {
    /// Judges a world of which nothing is remembered; false where it lies outside the bounds.
    #[cold]
    #[inline(never)]
    pub(super) fn ask_about_world<const W: usize>(
        &mut self,
        place: &Shared,
        index: usize,
        key: &Key<W>,
    ) -> PyResult<bool> {
        Python::attach(|py| {
            let judge = self.judge.clone_ref(py).into_bound(py);
            let known = place.alone(|Place { tables, layout, parts, worlds_judged }| {
                let on = Asking { judge: &judge, tables, exports: &mut self.exports };
                worlds_judged.recall_asking(parts, on, |at| layout.place(tables, key, at))
            })?;
            match known {
                Verdict::Fine => return Ok(true),
                Verdict::Beyond => return Ok(false),
                Verdict::Unknown => {}
            }
            let numbers = unpacked(place, key);
            if !self.outside.is_empty() && self.outside.contains(numbers.as_slice()) {
                return Ok(false);
            }
            let arguments = (index, self.told(py, place, &numbers)?);
            let said: u32 = judge.call_method1(intern!(py, "world"), arguments)?.extract()?;
            let is_outside = said & OUTSIDE != 0;
            if is_outside {
                self.outside_met = true;
            }
            place.alone(|Place { tables, layout, parts, worlds_judged }| {
                let reads = parts.last_read(&judge)?;
                if !is_outside && said & DONE != 0 {
                    // A world for which there is no room is not met, and decides nothing.
                    if Some(index as u64) != self.plan.worlds {
                        self.stopped = Some("done");
                    }
                    return Ok(true);
                }
                let verdict = if is_outside { Verdict::Beyond } else { Verdict::Fine };
                if let Some(reads) = reads {
                    let on = Asking { judge: &judge, tables, exports: &mut self.exports };
                    let number = |at| layout.place(tables, key, at);
                    worlds_judged.remember(parts, on, &reads, verdict, number)?;
                } else {
                    worlds_judged.partial = true;
                    if is_outside {
                        self.outside.insert(numbers.into());
                    }
                }
                Ok(!is_outside)
            })
        })
    }

    /// A world as the judge calls it.
    fn told<'py>(&mut self, py: Python<'py>, place: &Shared, numbers: &[u32]) -> PyResult<Bound<'py, PyTuple>> {
        let mut told = numbers.to_vec();
        place.visit(|place| self.exports.world(py, &place.tables, &mut told))?;
        PyTuple::new(py, told)
    }

    /// A step, where some property looks at steps.
    #[inline(always)]
    pub(super) fn judge_step<const W: usize>(
        &mut self,
        place: &Shared,
        index: u32,
        before: &Key<W>,
        after: &Key<W>,
    ) -> PyResult<()> {
        let known = place.visit(|place| {
            let number = two(&place.layout, &place.tables, before, after);
            self.steps_judged.recall(&place.parts, number)
        });
        if let Ok(Verdict::Fine) = known {
            return Ok(());
        }
        self.ask_about_step(place, index, before, after)
    }

    #[cold]
    #[inline(never)]
    fn ask_about_step<const W: usize>(
        &mut self,
        place: &Shared,
        index: u32,
        before: &Key<W>,
        after: &Key<W>,
    ) -> PyResult<()> {
        Python::attach(|py| {
            let judge = self.judge.clone_ref(py).into_bound(py);
            let known = place.alone(|Place { tables, layout, parts, .. }| {
                let on = Asking { judge: &judge, tables, exports: &mut self.exports };
                self.steps_judged.recall_asking(parts, on, two(layout, tables, before, after))
            })?;
            if known == Verdict::Fine {
                return Ok(());
            }
            let from = self.told(py, place, &unpacked(place, before))?;
            let to = self.told(py, place, &unpacked(place, after))?;
            let said: u32 = judge.call_method1(intern!(py, "step"), (index, from, to))?.extract()?;
            if said & DONE != 0 {
                self.stopped = Some("done");
                return Ok(());
            }
            place.alone(|Place { tables, layout, parts, .. }| {
                let Some(reads) = parts.last_read(&judge)? else { return Ok(()) };
                let on = Asking { judge: &judge, tables, exports: &mut self.exports };
                let number = two(layout, tables, before, after);
                self.steps_judged.remember(parts, on, &reads, Verdict::Fine, number)
            })
        })
    }

    pub(super) fn judge_end<const W: usize>(
        &mut self,
        place: &Shared,
        index: u32,
        key: &Key<W>,
    ) -> PyResult<()> {
        let said: u32 = Python::attach(|py| {
            let arguments = (index, self.told(py, place, &unpacked(place, key))?);
            self.judge.bind(py).call_method1(intern!(py, "quiescent"), arguments)?.extract()
        })?;
        self.conclude(said);
        Ok(())
    }

    pub(super) fn judge_raise(&mut self, place: &Shared, index: u32, event: u32) -> PyResult<()> {
        let said: u32 = Python::attach(|py| {
            let (slot, object) = place.visit(|place| {
                let (slot, object) = &place.tables.raising[event as usize];
                (*slot, object.clone_ref(py))
            });
            self.judge.bind(py).call_method1(intern!(py, "raised"), (index, slot, object))?.extract()
        })?;
        self.conclude(said);
        Ok(())
    }

    /// Stops where the judge has nothing left to find out.
    fn conclude(&mut self, said: u32) {
        if said & DONE != 0 {
            self.stopped = Some("done");
        }
    }
}

/// What stands at a place of the worlds before and after a step.
fn two<'a, const W: usize>(
    layout: &'a Layout,
    tables: &'a Tables,
    before: &'a Key<W>,
    after: &'a Key<W>,
) -> impl Fn(usize) -> u32 + Copy + 'a {
    let places = 2 * tables.slots + 2;
    move |place| match place.checked_sub(places) {
        None => layout.place(tables, before, place),
        Some(place) => layout.place(tables, after, place),
    }
}
